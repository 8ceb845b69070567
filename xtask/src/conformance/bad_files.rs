//! 600 hostile or odd safetensors files: our verdict on each must be the reference implementation's, without a panic.

use std::io::Write;

use gradus_tensor::safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::{Value, json};

use super::cases::quietly;
use super::manifest::Vectors;
use super::report::{FileReport, Verdict};

#[derive(Debug, Deserialize)]
struct File {
    name: String,
    at: usize,
    len: usize,
    ok: bool,
    /// `[name, dtype, shape, bytes]` of each tensor, or how many there are.
    tensors: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    files: Vec<File>,
}

/// Runs `bad_safetensors.json`.
pub fn run(vectors: &Vectors) -> Result<FileReport, String> {
    let manifest: Manifest = vectors.json("bad_safetensors")?;
    let path = vectors.0.join("bad_safetensors.bin");
    let all = std::fs::read(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let scratch = std::env::temp_dir().join(format!(
        "gradus-conformance-{}.safetensors",
        std::process::id()
    ));
    let mut report = FileReport::new("bad_safetensors");
    for file in &manifest.files {
        let bytes = all
            .get(file.at..file.at + file.len)
            .ok_or("bad_safetensors.bin is too short")?;
        let written = std::fs::File::create(&scratch).and_then(|mut f| f.write_all(bytes));
        written.map_err(|e| format!("cannot write {}: {e}", scratch.display()))?;
        let verdict = match quietly(|| judge(file, SafeTensors::open(&scratch))) {
            Err(panic) => Verdict::Failed(format!("panicked: {panic}")),
            Ok(verdict) => verdict,
        };
        report.add("safetensors", &file.name, verdict);
    }
    let _ = std::fs::remove_file(&scratch);
    Ok(report)
}

fn judge(file: &File, opened: gradus_tensor::Result<SafeTensors>) -> Verdict {
    let opened = match (opened, file.ok) {
        (Ok(_), false) => return Verdict::Failed("accepted, but the reference refuses it".into()),
        (Err(e), true) => return Verdict::Failed(format!("the reference accepts it: {e}")),
        (Err(_), false) => return Verdict::Passed,
        (Ok(opened), true) => opened,
    };
    let mut got: Vec<String> = opened
        .infos()
        .map(|(name, i)| json!([name, i.dtype, i.shape, i.bytes]).to_string())
        .collect();
    got.sort();
    match &file.tensors {
        Some(Value::Array(expected)) => {
            let mut expected: Vec<String> = expected.iter().map(Value::to_string).collect();
            expected.sort();
            if got != expected {
                return Verdict::Failed(format!("it has {got:?}, expected {expected:?}"));
            }
        }
        Some(count) if count.as_u64() != Some(got.len() as u64) => {
            return Verdict::Failed(format!("it has {} tensors, expected {count}", got.len()));
        }
        _ => {}
    }
    // Reading the tensors may be an error (a dtype we do not have), never a panic or a wrong size.
    for (name, info) in opened.infos() {
        if let Ok(x) = opened.tensor(name)
            && (x.dims() != info.shape || x.numel() * x.dtype().size() != info.bytes)
        {
            return Verdict::Failed(format!("tensor {name:?} has shape {}", x.shape()));
        }
    }
    Verdict::Passed
}
