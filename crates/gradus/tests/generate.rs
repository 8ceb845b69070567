//! Language on the command line: `train gpt` and `train char-rnn` on a small text, `generate` with what they leave behind and with
//! Hugging Face's layout, and the errors in between.

mod common;

use std::path::Path;

use common::{error, gradus, said};

/// The number after `validation loss: `, the last line.
fn loss(text: &str) -> f64 {
    let last = text.trim_end().lines().last().unwrap_or_default();
    let number = last.strip_prefix("validation loss: ");
    number.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

fn text(folder: &Path) -> String {
    let path = folder.join("song.txt");
    let verses = "row row row your boat\ngently down the stream\nmerrily merrily merrily merrily\nlife is but a dream\n";
    std::fs::write(&path, verses.repeat(40)).unwrap();
    path.display().to_string()
}

#[test]
fn a_gpt_learns_a_song_and_sings_it() {
    let folder = tempfile::tempdir().unwrap();
    let (data, run) = (
        text(folder.path()),
        folder.path().join("run").display().to_string(),
    );
    let small = [
        "--layers",
        "1",
        "--heads",
        "2",
        "--width",
        "32",
        "--block",
        "16",
        "--epochs",
        "1",
        "--batch-size",
        "8",
    ];
    let train = |more: &[&str]| {
        said(
            &[
                &[
                    "train", "gpt", "--data", &data, "--out", &run, "--lr", "0.01",
                ],
                &small[..],
                more,
            ]
            .concat(),
        )
    };
    let told = train(&[]);
    // Far better than counting letters, and the baselines are there.
    assert!(loss(&told) < 1.0, "{told}");
    assert!(
        told.contains("all characters equally likely")
            && told.contains("three characters of context"),
        "{told}"
    );
    for file in [
        "config.json",
        "tokenizer.json",
        "last.safetensors",
        "best.safetensors",
        "history.csv",
        "history.svg",
    ] {
        assert!(folder.path().join("run").join(file).is_file(), "{file}");
    }
    // The same seed writes the same, another another; what it writes begins with the prompt.
    let write = |more: &[&str]| {
        let told = said(
            &[
                &[
                    "generate",
                    "--weights",
                    &run,
                    "--prompt",
                    "row ",
                    "--max-new-tokens",
                    "40",
                ],
                more,
            ]
            .concat(),
        );
        let (text, last) = told.trim_end().rsplit_once('\n').unwrap();
        assert!(last.contains("4 tokens read"), "{told}");
        text.to_owned()
    };
    let first = write(&["--seed", "1"]);
    assert_eq!(write(&["--seed", "1"]), first);
    assert_ne!(write(&["--seed", "2", "--temperature", "3"]), first);
    assert!(
        first.starts_with("row ") && first.chars().count() == 44,
        "{first}"
    );
    assert!(write(&["--greedy"]).contains("row"));
    assert!(write(&["--greedy", "--stop", "\\n"]).lines().count() == 1);
    assert!(!write(&["--beams", "3"]).is_empty());
    // Going on with a finished run says what it would have said.
    assert_eq!(loss(&train(&["--resume"])), loss(&told));

    let said = |more: &[&str]| error(&[&["generate", "--weights", &run], more].concat());
    assert!(said(&["--prompt", "ROW"]).contains("not in the vocabulary"));
    assert!(said(&["--ids", "1", "99"]).contains("id 99"));
    assert!(said(&["--prompt", ""]).contains("empty"));
    std::fs::write(
        folder.path().join("run/config.json"),
        "{\"model_type\": \"gpt2\", \"n_embd\": 48}",
    )
    .unwrap();
    assert!(said(&["--prompt", "row"]).contains("in the checkpoint"));
}

#[test]
fn a_recurrent_network_learns_it_too() {
    let folder = tempfile::tempdir().unwrap();
    let (data, run) = (
        text(folder.path()),
        folder.path().join("run").display().to_string(),
    );
    let told = said(&[
        "train",
        "char-rnn",
        "--data",
        &data,
        "--out",
        &run,
        "--cell",
        "gru",
        "--layers",
        "1",
        "--width",
        "32",
        "--block",
        "12",
        "--epochs",
        "1",
        "--batch-size",
        "8",
        "--lr",
        "0.01",
    ]);
    assert!(loss(&told) < 1.0, "{told}");
    let written = said(&[
        "generate",
        "--weights",
        &run,
        "--prompt",
        "row ",
        "--max-new-tokens",
        "100",
    ]);
    assert!(written.chars().count() > 104, "{written}");
}

#[test]
fn texts_and_models_that_cannot_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (run, data) = (path("run"), path("text"));
    let train =
        |more: &[&str]| error(&[&["train", "gpt", "--data", &data, "--out", &run], more].concat());
    assert!(train(&[]).contains("cannot read"));
    std::fs::write(&data, "").unwrap();
    assert!(train(&[]).contains("empty"));
    std::fs::write(&data, [0xff, 0xfe]).unwrap();
    assert!(train(&[]).contains("UTF-8"));
    std::fs::write(&data, "too short a text").unwrap();
    assert!(train(&[]).contains("has no window of 64"));
    std::fs::write(&data, "long enough ".repeat(300)).unwrap();
    assert!(train(&["--heads", "3"]).contains("n_head"));
    assert!(train(&["--dropout", "1.5"]).contains("--dropout 1.5"));
    assert_eq!(gradus(&["train", "gpt"]).status.code(), Some(2));
    assert_eq!(
        gradus(&[
            "train",
            "gpt",
            "--data",
            "x",
            "--nanogpt-cpu",
            "--layers",
            "2"
        ])
        .status
        .code(),
        Some(2)
    );

    let generate = |weights: &str| error(&["generate", "--weights", weights, "--ids", "1"]);
    assert!(generate(&path("nowhere")).contains("cannot read"));
    std::fs::write(path("short.bin"), [0; 20]).unwrap();
    assert!(generate(&path("short.bin")).contains("too few for its header"));
    std::fs::write(path("lying.bin"), [7; 2000]).unwrap();
    assert!(generate(&path("lying.bin")).contains("makes no model"));
    assert!(
        error(&["generate", "--weights", &path("short.bin"), "--prompt", "x"]).contains("header")
    );
    std::fs::write(path("config.json"), "{\"model_type\": \"bert\"}").unwrap();
    assert!(generate(&path(".")).contains("safetensors"));
}
