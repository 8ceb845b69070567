//! Encoders of text from the command line, on a tiny model and a handful of texts: `gradus finetune bert`, `gradus embed`.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use gradus_nlp::models::{BertConfig, BertForSequenceClassification, BertModel, Pretrained};
use gradus_nn::Module;
use gradus_tensor::{random, safetensors};
use gradus_train::Checkpoint;

const WORDS: [&str; 12] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "a", "very", "not", "so",
];

/// A folder with a model nobody has trained, its vocabulary, and texts of two classes.
fn prepare(folder: &Path) {
    random::manual_seed(1);
    let model = BertModel::new(&BertConfig {
        vocab_size: WORDS.len(),
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 32,
        max_position_embeddings: 32,
        ..BertConfig::default()
    })
    .unwrap();
    let config = r#"{"model_type": "bert", "vocab_size": 12, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 32}"#;
    let model_folder = folder.join("model");
    std::fs::create_dir_all(&model_folder).unwrap();
    std::fs::write(model_folder.join("config.json"), config).unwrap();
    std::fs::write(model_folder.join("vocab.txt"), WORDS.join("\n")).unwrap();
    let file = model_folder.join("model.safetensors");
    safetensors::save(file, &model.state_dict(), &Default::default()).unwrap();
    let mut lines = String::new();
    for i in 0..120 {
        let (word, class) = if i % 3 == 0 {
            ("bad", "no")
        } else {
            ("good", "yes")
        };
        let more = "very ".repeat(i % 4);
        lines.push_str(&format!(
            "a {more}{word} film{}\t{class}\n",
            " so".repeat(i % 5)
        ));
    }
    std::fs::write(folder.join("texts.tsv"), lines).unwrap();
}

fn gradus(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradus"));
    command.current_dir(folder);
    command.args(arguments.split_whitespace());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(Stdio::piped());
    command
}

fn succeed(folder: &Path, arguments: &str) -> String {
    let output: Output = gradus(folder, arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "gradus {arguments}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn fail(folder: &Path, arguments: &str) -> String {
    let output = gradus(folder, arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "gradus {arguments}");
    String::from_utf8(output.stderr).unwrap()
}

const FINETUNE: &str =
    "finetune bert --weights model --data texts.tsv --lr 0.005 --batch-size 8 --epochs 4 --seed 3";

#[test]
fn a_tiny_encoder_learns_two_classes_and_goes_on_after_kills() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    let text = succeed(folder, &format!("{FINETUNE} --out whole"));
    assert!(
        text.contains("2 classes: no, yes") && text.contains("loaded 39"),
        "{text}"
    );
    assert_eq!(
        text.lines().last(),
        Some("test accuracy: 100.00 %"),
        "{text}"
    );
    for name in [
        "last.safetensors",
        "best.safetensors",
        "history.csv",
        "history.svg",
    ] {
        assert!(folder.join("whole").join(name).is_file(), "{name}");
    }

    // What it leaves behind is a folder like the one it came from.
    let (again, report) =
        BertForSequenceClassification::from_pretrained(folder.join("whole/model")).unwrap();
    assert!(report.is_exact() && again.num_params() > 0, "{report}");
    succeed(folder, "embed --weights whole/model --json good");

    // Killed again and again, it ends with the same bits.
    for pause in [60, 120, 200, 300] {
        let resume = if folder.join("killed/last.safetensors").is_file() {
            "--resume"
        } else {
            ""
        };
        let mut child = gradus(
            folder,
            &format!("{FINETUNE} --out killed --save-every 1 {resume}"),
        )
        .spawn()
        .unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        let _ = child.kill();
        child.wait().unwrap();
    }
    let resume = if folder.join("killed/last.safetensors").is_file() {
        "--resume"
    } else {
        ""
    };
    let again = succeed(folder, &format!("{FINETUNE} --out killed {resume}"));
    assert_eq!(again.lines().last(), text.lines().last());
    let load = |out: &str| {
        Checkpoint::load(folder.join(out).join("last.safetensors"))
            .unwrap()
            .model
    };
    let (whole, killed) = (load("whole"), load("killed"));
    assert!(whole.keys().eq(killed.keys()));
    for (name, tensor) in &whole {
        assert_eq!(
            tensor.to_vec::<f32>().unwrap(),
            killed[name].to_vec::<f32>().unwrap(),
            "{name}"
        );
    }
}

#[test]
fn parts_and_adapters_can_be_trained_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    let text = succeed(
        folder,
        &format!("{FINETUNE} --out lora --lora 2 --pooling mean"),
    );
    assert!(text.contains("290 of them learn"), "{text}"); // 2 layers, 2 adapters of 2 x (16 + 16), and the head's 34
    let adapters = safetensors::load(folder.join("lora/adapter_model.safetensors")).unwrap();
    assert_eq!(adapters.len(), 8);
    let text = succeed(
        folder,
        &format!(
            "{FINETUNE} --out part --freeze bert.embeddings --freeze-below 1 --layer-decay 0.8"
        ),
    );
    assert!(text.contains("test accuracy: "), "{text}");
}

#[test]
fn sentences_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    let ours = gradus(folder, "embed --weights model --json")
        .args(["a good film", "a bad film"])
        .output()
        .unwrap();
    let lines = String::from_utf8(ours.stdout).unwrap();
    assert_eq!(lines.lines().count(), 2);
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let vector = first["embedding"].as_array().unwrap();
    let length: f64 = vector.iter().map(|x| x.as_f64().unwrap().powi(2)).sum();
    assert!(vector.len() == 16 && (length - 1.0).abs() < 1e-5);
    std::fs::write(folder.join("lines.txt"), "so so\na good film\nnot bad\n").unwrap();
    let text = succeed(
        folder,
        "embed --weights model --file lines.txt --query a_good_film",
    );
    assert_eq!(text.lines().count(), 3, "{text}");
    succeed(
        folder,
        "embed --weights model --file lines.txt --out vectors.safetensors",
    );
    let saved = safetensors::load(folder.join("vectors.safetensors")).unwrap();
    assert_eq!(saved["embeddings"].dims(), [3, 16]);
}

#[test]
fn what_cannot_be_is_one_line_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prepare(folder);
    std::fs::write(folder.join("one.tsv"), "alone\n").unwrap();
    std::fs::write(folder.join("other.tsv"), "x\tmaybe\n").unwrap();
    std::fs::create_dir(folder.join("empty")).unwrap();
    for (arguments, expected) in [
        (
            "finetune bert --weights empty --data texts.tsv",
            "config.json",
        ),
        (
            "finetune bert --weights model --data one.tsv",
            "line 1 has 1 column",
        ),
        (
            "finetune bert --weights model --data none.tsv",
            "cannot read none.tsv",
        ),
        (
            "finetune bert --weights model --data texts.tsv --test other.tsv",
            "\"maybe\" is not among those learnt: no, yes",
        ),
        (
            "finetune bert --weights model --data texts.tsv --freeze bort",
            "--freeze bort: no parameter's name begins so",
        ),
        (
            "finetune bert --weights model --data texts.tsv --dropout 1.5",
            "--dropout 1.5",
        ),
        ("finetune bert --resume --out none", "nothing to resume"),
        (
            "embed --weights model --file none.txt",
            "cannot read none.txt",
        ),
    ] {
        let error = fail(folder, arguments);
        assert!(
            error.contains(expected) && error.lines().count() == 1,
            "{arguments}: {error}"
        );
    }
    // A vocabulary of another model.
    let words: Vec<String> = (0..40).map(|i| format!("word{i}")).collect();
    std::fs::write(
        folder.join("model/vocab.txt"),
        format!("{}\n{}", WORDS.join("\n"), words.join("\n")),
    )
    .unwrap();
    let error = fail(folder, "finetune bert --weights model --data texts.tsv");
    assert!(
        error.contains("the tokenizer has 52 tokens and the model 12"),
        "{error}"
    );
}
