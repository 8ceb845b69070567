//! Tokenizers against Hugging Face's and tiktoken's ids: BERT's WordPiece with offsets, cl100k, and the merges of a training.
//!
//! The vocabularies are not among the vectors. BERT's is that of all-MiniLM-L6-v2 (`get.sh minilm`), cl100k's ranks ship inside
//! the crate `tiktoken-rs`, which the benches compare with; files of these names in `GRADUS_DATA` come first.

use std::path::{Path, PathBuf};
use std::process::Command;

use gradus_nlp::tokenizers::{BpeTrainer, EncodeOptions, Model, Pattern, Tokenizer};
use serde::Deserialize;
use serde_json::Value;

use super::cases::quietly;
use super::manifest::Vectors;
use super::report::{FileReport, Verdict};

#[derive(Deserialize)]
struct Texts {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    s: String,
    wordpiece: Vec<u32>,
    offsets: Vec<(usize, usize)>, // in characters
    cl100k: Vec<u32>,
}

#[derive(Deserialize)]
struct Training {
    vocab_size: usize,
    corpus: Vec<String>,
    merges: Vec<(String, String)>,
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    s: String,
    ids: Vec<u32>,
}

/// Runs `tokenizers.json`: every text by both schemes.
pub fn run(vectors: &Vectors) -> Result<FileReport, String> {
    let texts: Texts = vectors.json("tokenizers")?;
    let mut report = FileReport::new("tokenizers");
    let bert = minilm().and_then(|path| open(&path)).map(|mut bert| {
        bert.set_truncation(None);
        bert.set_padding(None);
        bert
    });
    let cl100k = cl100k().and_then(|path| open(&path));
    for (i, case) in texts.cases.iter().enumerate() {
        let wordpiece = bert.as_ref().map(|bert| {
            quietly(|| {
                let encoding = bert.encode(&case.s).map_err(|e| e.to_string())?;
                same("ids", &encoding.ids, &case.wordpiece)?;
                same("offsets", &encoding.char_offsets(&case.s), &case.offsets)
            })
        });
        report.add(
            "wordpiece",
            &format!("wordpiece {i}"),
            verdict(&case.s, wordpiece),
        );
        let ranks = cl100k.as_ref().map(|cl100k| {
            quietly(|| {
                let ids = cl100k.encode_ids(&case.s, EncodeOptions::ordinary());
                let ids = ids.map_err(|e| e.to_string())?;
                same("ids", &ids, &case.cl100k)?;
                let text = cl100k.decode(&ids, false).map_err(|e| e.to_string())?;
                same("decoded", &[text], std::slice::from_ref(&case.s))
            })
        });
        report.add("cl100k", &format!("cl100k {i}"), verdict(&case.s, ranks));
    }
    Ok(report)
}

/// Runs `bpe_train.json`: every merge learnt, and samples encoded with them.
pub fn run_training(vectors: &Vectors) -> Result<FileReport, String> {
    let training: Training = vectors.json("bpe_train")?;
    let mut report = FileReport::new("bpe_train");
    let trained = quietly(|| {
        let trainer = BpeTrainer::new(training.vocab_size);
        let bpe = trainer.train(&training.corpus)?;
        Tokenizer::byte_level(bpe, Some(Pattern::Gpt2), &[])
    });
    let tokenizer = match trained {
        Ok(Ok(tokenizer)) => tokenizer,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(panic) => return Err(format!("training panicked: {panic}")),
    };
    let Model::Bpe(bpe) = tokenizer.model() else {
        return Err("training made no byte-pair model".into());
    };
    let token = |id| tokenizer.token(id).unwrap_or_default();
    let merges = bpe.merges().into_iter();
    let merges: Vec<_> = merges
        .map(|(left, right)| (token(left), token(right)))
        .collect();
    for (i, expected) in training.merges.iter().enumerate() {
        let outcome = match merges.get(i) {
            Some(merge) if merge == expected => Verdict::Passed,
            other => Verdict::Failed(format!("{other:?} instead of {expected:?}")),
        };
        report.add("merges", &format!("merge {i}"), outcome);
    }
    if merges.len() > training.merges.len() {
        let more = merges.len() - training.merges.len();
        report.add(
            "merges",
            "the end",
            Verdict::Failed(format!("{more} merges too many")),
        );
    }
    for (i, sample) in training.samples.iter().enumerate() {
        let outcome = quietly(|| {
            let encoding = tokenizer.encode(&sample.s).map_err(|e| e.to_string())?;
            same("ids", &encoding.ids, &sample.ids)
        });
        report.add(
            "samples",
            &format!("sample {i}"),
            verdict(&sample.s, Ok(outcome)),
        );
    }
    Ok(report)
}

fn open(path: &Path) -> Result<Tokenizer, String> {
    Tokenizer::from_file(path).map_err(|e| e.to_string())
}

/// The verdict on a text: the tokenizer may be missing, panic, or give something else.
fn verdict(text: &str, outcome: Result<Result<Result<(), String>, String>, &String>) -> Verdict {
    match outcome {
        Err(missing) => Verdict::Unsupported(missing.clone()),
        Ok(Err(panic)) => Verdict::Failed(format!("{text:?}: panicked: {panic}")),
        Ok(Ok(Err(why))) => Verdict::Failed(format!("{text:?}: {why}")),
        Ok(Ok(Ok(()))) => Verdict::Passed,
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    got: &[T],
    expected: &[T],
) -> Result<(), String> {
    if got == expected {
        return Ok(());
    }
    let at = got.iter().zip(expected).take_while(|(a, b)| a == b).count();
    Err(format!(
        "{what} differ from token {at} on: {:?} instead of {:?}",
        got.get(at),
        expected.get(at)
    ))
}

/// The first of these files that is there, in the data folder or in the cache of larger data.
fn in_data(names: &[&str]) -> Option<PathBuf> {
    let cache = std::env::var_os("GRADUS_DATA_CACHE")
        .map(PathBuf::from)
        .or_else(|| {
            let home = std::env::var_os("HOME")?;
            Some(PathBuf::from(home).join(".cache/gradus-data"))
        });
    let data = std::env::var_os("GRADUS_DATA").map(PathBuf::from);
    let folders = data.into_iter().chain(cache);
    let mut files = folders.flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    files.find(|file| file.is_file())
}

/// The tokenizer of all-MiniLM-L6-v2, beside which its weights lie.
pub fn minilm() -> Result<PathBuf, String> {
    let names = ["minilm/tokenizer.json", "pretrained/minilm/tokenizer.json"];
    in_data(&names).ok_or_else(|| {
        "no minilm/tokenizer.json in GRADUS_DATA or its cache (get.sh minilm)".into()
    })
}

fn cl100k() -> Result<PathBuf, String> {
    const NAME: &str = "cl100k_base.tiktoken";
    let data = in_data(&[
        NAME,
        "tokenizers/cl100k_base.tiktoken",
        "tiktoken/cl100k_base.tiktoken",
    ]);
    if let Some(file) = data {
        return Ok(file);
    }
    let missing = || format!("no {NAME} in GRADUS_DATA or its cache, and no crate tiktoken-rs");
    // Not resolved again, and only what this machine builds; but fetched if nobody has built the benches yet.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--all-features",
            "--filter-platform",
            &platform,
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|e| format!("{}: {e}", missing()))?;
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|_| missing())?;
    let packages = metadata["packages"].as_array().ok_or_else(missing)?;
    let package = packages
        .iter()
        .find(|package| package["name"] == "tiktoken-rs");
    let manifest = package
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or_else(missing)?;
    let file = Path::new(manifest).with_file_name("assets").join(NAME);
    if file.is_file() {
        Ok(file)
    } else {
        Err(missing())
    }
}
