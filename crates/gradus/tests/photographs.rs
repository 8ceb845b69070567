//! The commands that look at photographs: eval, classify, explain, info, with networks of the registry and files of every kind.

mod common;

use std::path::{Path, PathBuf};

use common::{error, said};
use gradus::nn::Module as _;
use gradus::tensor::{random::manual_seed, safetensors};
use gradus::vision::datasets::ImageSet;
use gradus::vision::decode::{self, Rgba};
use gradus::vision::encode;
use gradus::vision::models::{Options, SMALL, build, digit_model};

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().display().to_string()
}

/// A picture of stripes and a square, other for each seed.
fn picture(side: usize, seed: usize) -> Rgba {
    let pixel = |i: usize| {
        let (y, x) = (i / side, i % side);
        let square = y > side / 2 && x > side / 3;
        let stripe = (255 * ((x + seed * y) % 7) / 6) as u8;
        [
            stripe,
            if square { 220 } else { 30 },
            (31 * seed % 256) as u8,
            255,
        ]
    };
    Rgba {
        height: side,
        width: side,
        pixels: (0..side * side).map(pixel).collect(),
    }
}

/// Weights of a network as `DataParallel` saves them.
fn save(name: &str, options: &Options, path: &Path) {
    manual_seed(11);
    let state = build(name, options).unwrap().state_dict();
    let named = state
        .iter()
        .map(|(name, tensor)| (format!("module.{name}"), tensor));
    safetensors::save(path, named, &Default::default()).unwrap();
}

#[test]
fn eval_and_classify_agree() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    save(
        "cifar_resnet20",
        &Options::default(),
        &at("net.safetensors"),
    );
    for (class, name) in ["dog", "airplane", "truck"].into_iter().enumerate() {
        std::fs::create_dir_all(at("set").join(name)).unwrap();
        for i in 0..2 {
            let path = at("set").join(name).join(format!("{i}.png"));
            encode::write(&picture(32, 2 * class + i), path).unwrap();
        }
    }
    let (net, set) = (text(at("net.safetensors")), text(at("set")));
    let common = ["--model", "cifar_resnet20", "--weights", &net];
    // Which of the six classify gets right.
    let mut right = 0;
    for name in ["dog", "airplane", "truck"] {
        let images = [0, 1].map(|i| text(at("set").join(name).join(format!("{i}.png"))));
        let said = said(
            &[
                &["classify", &images[0], &images[1], "--top", "4"][..],
                &common,
            ]
            .concat(),
        );
        assert_eq!(said.lines().count(), 2 * (1 + 4), "{said}");
        let best = said.lines().filter(|line| line.starts_with(' ')).step_by(4);
        right += best
            .filter(|line| line.trim_start().starts_with(name))
            .count();
    }
    let told = said(&[&["eval", "--data", &set][..], &common].concat());
    assert!(
        told.contains(&format!("{right} of 6 right")),
        "{right}: {told}"
    );
    let percent = format!("accuracy: {:.2} %", 100.0 * right as f64 / 6.0);
    assert_eq!(told.lines().last(), Some(percent.as_str()));

    let told = said(&["info", &net]);
    assert!(told.contains("module.layer1.0.bn1.weight"), "{told}");
    std::fs::create_dir_all(at("set/zebra")).unwrap();
    encode::write(&picture(32, 9), at("set/zebra/1.png")).unwrap();
    let wrong = error(&[&["eval", "--data", &set][..], &common].concat());
    assert!(
        wrong.contains("4 classes and the network 10") && wrong.contains("zebra"),
        "{wrong}"
    );
}

#[test]
fn heads_of_any_width_and_names_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    save(
        "squeezenet1_1",
        &Options::classes(3),
        &at("model.safetensors"),
    );
    encode::write(&picture(80, 1), at("x.png")).unwrap();
    std::fs::write(at("names.txt"), "red fox\nhare\nowl\n").unwrap();
    let (image, names) = (text(at("x.png")), text(at("names.txt")));
    // A folder of weights does as well as their file.
    let weights = text(folder.path());
    let common = ["classify", &image, "--weights", &weights, "--model"];
    let said = said(
        &[
            &common[..],
            &[
                "squeezenet1_1",
                "--classes",
                &names,
                "--resize",
                "64",
                "--crop",
                "64",
            ],
        ]
        .concat(),
    );
    assert!(
        said.contains("red fox") && said.lines().count() == 4,
        "{said}"
    );
    std::fs::write(at("names.txt"), "one").unwrap();
    let with = |rest: &[&str]| error(&[&common[..], rest].concat());
    assert!(with(&["squeezenet1_1", "--classes", &names]).contains("3 classes"));
    assert!(with(&["squeezenet1_1", "--crop", "0"]).contains("--crop"));
    assert!(with(&["resnet51"]).contains("no model \"resnet51\""));
    let other = with(&["resnet18"]);
    assert!(
        other.contains("missing") && other.contains("model.safetensors"),
        "{other}"
    );
    let unnamed = error(&["classify", &image, "--weights", &weights]);
    assert!(unnamed.contains("give --model"), "{unnamed}");
    assert!(error(&["info", "hf:someone/thing@../x"]).contains("hub"));
}

#[test]
fn explain_writes_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    save(
        "cifar_resnet20",
        &Options::default(),
        &at("net.safetensors"),
    );
    encode::write(&picture(32, 3), at("thing.png")).unwrap();
    let (net, image, to) = (
        text(at("net.safetensors")),
        text(at("thing.png")),
        text(at("why")),
    );
    let common = [
        "explain",
        "--weights",
        &net,
        "--model",
        "cifar_resnet20",
        "--out",
        &to,
    ];
    let told = said(&[&common[..], &["--class", "cat", "--steps", "16", &image]].concat());
    assert!(
        told.contains("why cat?") && told.contains("Grad-CAM at layer3"),
        "{told}"
    );
    let files = [
        "thing.png",
        "thing.grad-cam.png",
        "thing.integrated-gradients.png",
        "thing.saliency.png",
        "thing.activations.png",
        "filters.png",
    ];
    for name in files {
        let made = decode::read(at("why").join(name)).unwrap();
        let first = made.pixels[0];
        assert!(made.pixels.iter().any(|&p| p != first), "{name} is empty");
    }
    let cam = decode::read(at("why/thing.grad-cam.png")).unwrap();
    assert_eq!((cam.height, cam.width), (416, 416)); // 13 times 32
    let layer = said(&[&common[..], &["--layer", "layer1", "--steps", "2", &image]].concat());
    assert!(
        layer.contains("Grad-CAM at layer1") && layer.contains("activations of layer1"),
        "{layer}"
    );

    let with = |rest: &[&str]| error(&[&common[..], rest].concat());
    assert!(with(&["--class", "zebra", &image]).contains("no class \"zebra\""));
    assert!(with(&["--layer", "layer9", &image]).contains("there are: conv1"));
    std::fs::write(at("junk.png"), b"not a picture").unwrap();
    assert!(with(&[&text(at("junk.png"))]).contains("junk.png"));
    assert!(error(&["explain", &net]).contains("no picture after"));
}

/// A checkpoint of the digits says itself what it is.
#[test]
fn explain_reads_checkpoints_of_digits() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    manual_seed(5);
    let state = digit_model(SMALL).unwrap().state_dict();
    let facts = [("gradus.model", SMALL), ("gradus.dataset", "mnist")];
    let facts = facts
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    safetensors::save(at("last.safetensors"), state.iter(), &facts).unwrap();
    encode::write(&picture(50, 1), at("digit.png")).unwrap();
    let run = text(folder.path());
    let said = said(&[
        "explain",
        &run,
        &text(at("digit.png")),
        "--out",
        &text(at("why")),
        "--steps",
        "8",
    ]);
    assert!(
        said.contains("Grad-CAM at bn2") && said.contains("activations of conv1"),
        "{said}"
    );
    assert!(at("why/digit.integrated-gradients.png").is_file());
}

/// The published CIFAR ResNet-20, from both of its files, on the first 20 test images of each class: PyTorch gets 160 of 200 right.
#[test]
fn published_weights_have_the_published_accuracy() {
    let Some(data) = std::env::var_os("GRADUS_DATA").map(PathBuf::from) else {
        println!("skipped: no GRADUS_DATA");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let images = ImageSet::folder(data.join("cifar10/test.zip")).unwrap();
    let mut taken = [0; 10];
    for i in 0..10_000 {
        let class = images.label(i).unwrap();
        if taken[class] == 20 {
            continue;
        }
        taken[class] += 1;
        let image = images.image(i).unwrap();
        let bytes = image.bytes().unwrap();
        let colours = |p: usize| [bytes[p], bytes[1024 + p], bytes[2048 + p], 255];
        let picture = Rgba {
            height: 32,
            width: 32,
            pixels: (0..1024).map(colours).collect(),
        };
        let class = folder.path().join(&images.classes()[class]);
        std::fs::create_dir_all(&class).unwrap();
        encode::write(&picture, class.join(format!("{i:05}.png"))).unwrap();
    }
    let weights = data.join("pretrained/cifar10-resnet");
    let eval = |file: &str| {
        let (file, set) = (text(weights.join(file)), text(folder.path()));
        let said = said(&[
            "eval",
            "--model",
            "cifar_resnet20",
            "--weights",
            &file,
            "--data",
            &set,
        ]);
        let last = said.lines().last().unwrap().to_owned();
        let percent = last.strip_prefix("accuracy: ").unwrap();
        percent.strip_suffix(" %").unwrap().parse::<f64>().unwrap()
    };
    let legacy = eval("resnet20-12fca82f.th");
    assert!((legacy - 80.0).abs() <= 1.0, "{legacy}");
    assert_eq!(legacy, eval("resnet20.safetensors"));
}
