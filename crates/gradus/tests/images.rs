//! `gradus train MODEL` and `gradus finetune MODEL` on pictures of one's own: what they print, what they save, what they refuse.

use std::path::Path;
use std::process::{Command, Output};

use gradus::train::load_weights;

fn gradus(arguments: &str, folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gradus"))
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .env_remove("GRADUS_DATA")
        .output()
        .unwrap()
}

/// Standard output of a command that must succeed.
fn out(arguments: &str, folder: &Path) -> String {
    let output = gradus(arguments, folder);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Standard error of a command that must fail.
fn error(arguments: &str, folder: &Path) -> String {
    let output = gradus(arguments, folder);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments}: {text}");
    assert_eq!(text.lines().count(), 1, "{arguments}: {text}");
    text
}

/// A picture of 16 x 16: noise, brighter in one channel (the class).
fn picture(path: &Path, class: usize, number: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut state = (number * 31 + class * 7 + 1) as u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 25) as u8
    };
    let pixels: Vec<u8> = (0..3 * 16 * 16)
        .map(|i| {
            if i % 3 == class {
                120 + noise()
            } else {
                noise()
            }
        })
        .collect();
    let file = std::fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, 16, 16);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
}

fn pictures(folder: &Path, classes: &[&str], each: usize) {
    for (class, name) in classes.iter().enumerate() {
        for number in 0..each {
            picture(
                &folder.join(name).join(format!("{number:03}.png")),
                class,
                number,
            );
        }
    }
}

#[test]
fn train_then_finetune_on_pictures_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    pictures(&here.join("data"), &["blue", "green", "red"], 24);
    let train = "train cifar_resnet20 --data data --batch-size 8 --lr 0.02 --threads 2";
    let text = out(&format!("{train} --epochs 6"), here);
    assert!(
        text.contains("55 pictures of 3 classes to learn from, 2 to validate, 15 to test"),
        "{text}"
    );
    assert!(text.contains("pictures of 16x16"), "{text}");
    let last = text.lines().last().unwrap();
    let accuracy: f64 = last
        .strip_prefix("test accuracy: ")
        .unwrap()
        .strip_suffix(" %")
        .unwrap()
        .parse()
        .unwrap();
    assert!(accuracy > 80.0, "{text}");
    let runs = here.join("runs/cifar_resnet20");
    let (_, metadata) = load_weights(runs.join("last.safetensors")).unwrap();
    assert_eq!(metadata["gradus.classes"], r#"["blue","green","red"]"#);
    assert_eq!(metadata["gradus.model"], "cifar_resnet20");
    assert!(
        metadata["gradus.preset"].contains("\"crop\":16"),
        "{metadata:?}"
    );
    let resumed = out(&format!("{train} --epochs 7 --resume"), here);
    assert!(resumed.contains("test accuracy"), "{resumed}");
    assert!(
        error(&format!("{train} --resume --size 32"), here)
            .contains("--size 32 does not go with --resume")
    );

    // Two other classes: the last layer is new, the rest may stay as it is.
    pictures(&here.join("pairs/train"), &["leaf", "sky"], 20);
    pictures(&here.join("pairs/test"), &["leaf", "sky"], 5);
    let finetune =
        "finetune resnet20 --data pairs --batch-size 8 --validation 0 --lr 0.1 --epochs 2";
    let weights = "--weights runs/cifar_resnet20/last.safetensors";
    let text = out(
        &format!("{finetune} {weights} --freeze --out runs/tuned"),
        here,
    );
    assert!(
        text.contains("tell 3 classes apart: the last layer (linear) begins anew"),
        "{text}"
    );
    assert!(text.contains("130 of them trained"), "{text}");
    assert!(
        text.contains("40 pictures of 2 classes to learn from, 10 to test"),
        "{text}"
    );
    let state = |run: &str| {
        load_weights(here.join("runs").join(run).join("last.safetensors"))
            .unwrap()
            .0
    };
    let (before, after) = (state("cifar_resnet20"), state("tuned"));
    let values = |s: &gradus::nn::StateDict, name: &str| s[name].to_vec::<f32>().unwrap();
    for name in ["conv1.weight", "layer3.2.conv2.weight", "layer3.2.bn2.bias"] {
        assert_eq!(values(&before, name), values(&after, name), "{name}");
    }
    assert_eq!(after["linear.weight"].dims(), [2, 64]);
    let text = out(
        &format!("{finetune} {weights} --mixup 0.2 --augment strong --out runs/all"),
        here,
    );
    assert!(text.contains("test accuracy"), "{text}");
    assert_ne!(
        values(&before, "conv1.weight"),
        values(&state("all"), "conv1.weight")
    );
}

#[test]
fn what_cannot_be_learnt_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    pictures(&here.join("data"), &["a", "b"], 3);
    let train = "train cifar_resnet20 --epochs 1";
    assert!(error(train, here).contains("--data cifar10"));
    assert!(error(&format!("{train} --data cifar10"), here).contains("set GRADUS_DATA"));
    assert!(error(&format!("{train} --data nowhere"), here).contains("nowhere"));
    assert!(error(&format!("{train} --data data --size 4"), here).contains("--size 4"));
    assert!(
        error(&format!("{train} --data data --stem 3/2"), here)
            .contains("takes no argument stem_kernel")
    );
    assert!(error("train resnet18 --data data --stem 3x3", here).contains("KERNEL/STEP"));
    assert!(error("train resnet18 --data data --stem 2/2", here).contains("must be odd"));
    assert!(error(&format!("{train} --data data --validation 9"), here).contains("leaves nothing"));
    assert!(error(&format!("{train} --data data --mixup 0"), here).contains("mixup"));
    assert!(
        error(&format!("{train} --data data --label-smoothing 1"), here)
            .contains("label-smoothing 1")
    );
    pictures(&here.join("others"), &["a", "c"], 2);
    let text = error(&format!("{train} --data data --test others"), here);
    assert!(
        text.contains("the classes to learn are a, b, those to test a, c"),
        "{text}"
    );
    std::fs::write(here.join("data/a/001.png"), b"no picture").unwrap();
    let text = error(&format!("{train} --data data"), here);
    assert!(text.contains("001.png: neither a PNG nor a JPEG"), "{text}");
    std::fs::write(here.join("junk.pth"), b"PK junk").unwrap();
    let text = error("finetune resnet20 --weights junk.pth --data others", here);
    assert!(text.contains("junk.pth"), "{text}");
    let usage = gradus("finetune resnet20 --data others", here);
    assert_eq!(usage.status.code(), Some(2));
    assert_eq!(gradus("finetune resnet21", here).status.code(), Some(2));
    for help in [
        "train resnet18 --help",
        "finetune resnet20 --help",
        "finetune --help",
    ] {
        assert!(out(help, here).contains("Examples:"), "{help}");
    }
}
