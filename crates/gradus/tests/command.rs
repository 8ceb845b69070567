//! The command as a user meets it: exit codes, one-line errors, help, and a round trip of train, eval, info and predict.

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::{error, gradus};

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn wrong_usage_is_2_and_help_teaches() {
    for arguments in [
        &["trian"][..],
        &["train", "--epochs", "many"],
        &["train", "cifar"],
        &["predict"],
        &["eval"],
    ] {
        assert_eq!(gradus(arguments).status.code(), Some(2), "{arguments:?}");
    }
    let help = gradus(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    let text = out(&help);
    assert!(
        text.contains("Examples:") && text.contains("gradus train mnist --resume"),
        "{text}"
    );
    for command in ["train", "eval", "predict", "info", "tokenize"] {
        let text = out(&gradus(&[command, "--help"]));
        assert!(text.contains("Examples:"), "{command}: {text}");
    }
}

#[test]
fn errors_are_one_line_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    assert!(error(&["info", &path("none")]).contains("No such file"));
    std::fs::write(path("junk"), b"not a weights file").unwrap();
    assert!(error(&["info", &path("junk")]).contains("junk"));
    assert!(error(&["eval", "--weights", &path("junk")]).contains("junk"));
    assert!(error(&["predict", &path("."), "x.png"]).contains("train first"));
    assert!(error(&["train", "--resume", "--out", &path("none")]).contains("leave out --resume"));
    assert!(
        error(&["train", "--data", &path("."), "--out", &path("o")])
            .contains("train-images-idx3-ubyte.gz")
    );
    assert!(error(&["train", "--lr", "0", "--out", &path("o")]).contains("above 0"));
    assert!(error(&["train", "--threads", "0", "--out", &path("o")]).contains("--threads 0"));
    std::fs::write(path("file"), b"").unwrap();
    let text = error(&["train", "--limit", "100", "--out", &path("file")]);
    assert!(text.contains("file"), "{text}");
}

#[test]
fn a_bad_instruction_set_is_a_clear_error() {
    for command in [&["devices"][..], &["info", "x"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_gradus"))
            .args(command)
            .env("GRADUS_ISA", "sse9")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("sse9") && text.contains("scalar"), "{text}");
    }
    let text = out(&gradus(&["devices"]));
    assert!(
        text.contains("instruction sets: scalar") && text.contains("cuda"),
        "{text}"
    );
}

/// A test digit drawn large, dark on light or light on dark.
fn draw(path: &Path, digit: usize, dark_on_light: bool) -> usize {
    use gradus_vision::datasets::{ImageSet, Split};
    let set = ImageSet::embedded_mnist(Split::Test).unwrap();
    let index = (0..2000).find(|&i| set.label(i) == Some(digit)).unwrap();
    let (side, margin) = (180, 40);
    let large = set.image(index).unwrap().resize(side, side).unwrap();
    let width = side + 2 * margin;
    let mut pixels = vec![0u8; width * width];
    for y in 0..side {
        for x in 0..side {
            pixels[(y + margin) * width + x + margin] =
                (255.0 * large.pixels()[y * side + x]) as u8;
        }
    }
    if dark_on_light {
        for p in &mut pixels {
            *p = 255 - *p;
        }
    }
    let file = std::fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, width as u32, width as u32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&pixels)
        .unwrap();
    digit
}

#[test]
fn train_eval_info_predict() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let (run, file) = (
        run.display().to_string(),
        run.join("last.safetensors").display().to_string(),
    );
    let trained = gradus(&[
        "train", "mnist", "--limit", "3000", "--epochs", "3", "--out", &run,
    ]);
    let text = out(&trained);
    assert!(
        trained.status.success(),
        "{}",
        String::from_utf8_lossy(&trained.stderr)
    );
    let accuracy = text
        .lines()
        .last()
        .unwrap()
        .strip_prefix("test accuracy: ")
        .unwrap();
    let value: f64 = accuracy.strip_suffix(" %").unwrap().parse().unwrap();
    assert!(value > 93.0, "{text}");
    for name in [
        "last.safetensors",
        "best.safetensors",
        "history.csv",
        "history.svg",
        "tensorboard",
    ] {
        assert!(Path::new(&run).join(name).exists(), "{name} is missing");
    }
    let csv = std::fs::read_to_string(Path::new(&run).join("history.csv")).unwrap();
    assert_eq!(csv.lines().count(), 4);

    let evaluated = out(&gradus(&["eval", "--weights", &file]));
    assert_eq!(
        evaluated.lines().last(),
        Some(format!("accuracy: {accuracy}").as_str())
    );
    assert!(error(&["eval", "--model", "article", "--weights", &file]).contains("load_state_dict"));

    let info = out(&gradus(&["info", &run]));
    assert!(
        info.contains("conv1.weight") && info.contains("gradus.model: small"),
        "{info}"
    );

    let mut right = 0;
    for digit in 0..10 {
        let path = folder.path().join(format!("{digit}.png"));
        draw(&path, digit, digit % 2 == 0);
        let text = out(&gradus(&["predict", &run, &path.display().to_string()]));
        let best = text.lines().nth(1).unwrap_or_default().trim_start();
        right += usize::from(best.starts_with(&digit.to_string()));
    }
    assert!(right >= 9, "{right} of 10 drawn digits are right");
    let missing = gradus(&[
        "predict",
        &run,
        "none.png",
        &folder.path().join("3.png").display().to_string(),
    ]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(out(&missing).contains("3.png"));
}

#[test]
fn tokenize_learns_cuts_and_puts_together() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let text = "the cat sat on the mat, the cats sat: été";
    std::fs::write(path("text.txt"), text).unwrap();
    let saved = path("tokenizer.json");
    let train = [
        "tokenize",
        "--train",
        "300",
        "--file",
        &path("text.txt"),
        "--out",
        &saved,
    ];
    let learnt = gradus(&[&train[..], &["--special", "<end>"]].concat());
    assert!(out(&learnt).contains("256 bytes, "), "{}", out(&learnt));
    assert!(Path::new(&saved).is_file());

    let with = |rest: &[&str]| gradus(&[&["tokenize", "--tokenizer", &saved], rest].concat());
    let table = out(&with(&["the cat<end>"]));
    assert!(
        table.contains("Ġcat") && table.contains("3..7") && table.contains("<end>"),
        "{table}"
    );
    let json: serde_json::Value = serde_json::from_str(&out(&with(&["--json", text]))).unwrap();
    assert_eq!(json["text"], text);
    assert_eq!(
        json["ids"].as_array().unwrap().len(),
        json["offsets"].as_array().unwrap().len()
    );
    let ids = json["ids"].to_string();
    assert_eq!(out(&with(&["--decode", &ids])).trim_end(), text);
    let counts = out(&with(&["--count", text, "the cat<end>", "--ordinary"]));
    assert!(
        counts.lines().count() == 2 && counts.contains("41 characters"),
        "{counts}"
    );

    // A tokenizer that fills up to a length: the filling is counted, not shown.
    let file = std::fs::read_to_string(&saved).unwrap();
    let mut padded: serde_json::Value = serde_json::from_str(&file).unwrap();
    padded["padding"] = serde_json::json!({
        "strategy": {"Fixed": 1200}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "!",
    });
    std::fs::write(path("padded.json"), padded.to_string()).unwrap();
    let table = out(&gradus(&[
        "tokenize",
        "--tokenizer",
        &path("padded.json"),
        "x!",
    ]));
    assert!(
        table.ends_with("\n2 tokens, and 1,198 of padding\n"),
        "{table}"
    );

    let at = |tokenizer: &str, text: &str| error(&["tokenize", "--tokenizer", tokenizer, text]);
    assert!(at(&path("none"), "x").contains("cannot read"));
    assert!(at(&path("text.txt"), "x").contains("[UNK]"));
    std::fs::create_dir(path("empty")).unwrap();
    assert!(at(&path("empty"), "x").contains("holds no tokenizer"));
    std::fs::write(path("latin1"), b"caf\xe9").unwrap();
    assert!(
        error(&["tokenize", "--tokenizer", &saved, "--file", &path("latin1")]).contains("byte 3")
    );
    assert!(error(&["tokenize", "--tokenizer", &saved, "--decode", "99999"]).contains("99999"));
    assert!(error(&["tokenize", "--tokenizer", &saved, "--decode", "x"]).contains("ids"));
    assert!(error(&["tokenize", "--train", "9", "--out", &saved, "x"]).contains("256 bytes"));
    assert_eq!(gradus(&["tokenize", "x"]).status.code(), Some(2));
}

#[test]
fn sixteen_bits_train_as_well() {
    let folder = tempfile::tempdir().unwrap();
    for (precision, said) in [
        ("f16", ", products in f16,"),
        ("bf16", ", products in bf16,"),
    ] {
        let run = folder.path().join(precision).display().to_string();
        let arguments = ["train", "mnist", "--limit", "1000", "--epochs", "2"];
        let rest = ["--precision", precision, "--out", &run];
        let output = gradus(&[&arguments[..], &rest[..]].concat());
        let text = out(&output);
        assert!(output.status.success() && text.contains(said), "{text}");
        let accuracy = text.split("test accuracy: ").nth(1).unwrap();
        let accuracy: f64 = accuracy.split(' ').next().unwrap().parse().unwrap();
        assert!(accuracy > 80.0, "{precision}: {accuracy} %");
        let changed = [
            "train",
            "mnist",
            "--resume",
            "--out",
            &run,
            "--precision",
            "f32",
        ];
        let text = error(&changed);
        assert!(text.contains("the run was started with"), "{text}");
    }
}
