//! Weights in whatever files they come: one door to safetensors, sharded safetensors and PyTorch's own format.
//!
//! Source: the file names of Hugging Face's `transformers` and `huggingface_hub`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::tensor::Tensor;

const OP: &str = "weights";
/// What a model's folder holds its weights in; the first that is there counts.
const NAMES: [&str; 4] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// Every tensor of a checkpoint, by name.
///
/// `path` is a `.safetensors` file, a file of `torch.save` (see [`crate::pytorch`]), the `.index.json` of a checkpoint in several files, or
/// a folder that holds one of these under Hugging Face's names. The content decides, not the file's ending.
///
/// ```
/// use gradus_tensor::{Tensor, safetensors, weights};
/// let folder = tempfile::tempdir().unwrap();
/// safetensors::save(folder.path().join("model.safetensors"), [("x", &Tensor::scalar(2f32))], &Default::default())?;
/// assert_eq!(weights::load(folder.path())?["x"].item::<f32>()?, 2.0);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// There is no such file, or it is damaged. The error names the file.
pub fn load(path: impl AsRef<Path>) -> Result<BTreeMap<String, Tensor>> {
    let path = path.as_ref();
    if path.is_dir() {
        let found = NAMES
            .map(|name| path.join(name))
            .into_iter()
            .find(|p| p.is_file());
        return load(found.ok_or_else(|| {
            let text = format!("{} has none of {}", path.display(), NAMES.join(", "));
            Error::value(OP, text)
        })?);
    }
    let mut first = [0; 9];
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut first));
    read.map_err(|e| Error::io(OP, format!("cannot read {}: {e}", path.display()), e))?;
    match first {
        [b'{', ..] => load_sharded(path),
        [b'P', b'K', ..] | [0x80, 2, 0x8a, ..] => pytorch(path),
        _ => crate::safetensors::load(path),
    }
}

#[cfg(feature = "pytorch")]
fn pytorch(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    crate::pytorch::load(path)
}

#[cfg(not(feature = "pytorch"))]
fn pytorch(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let text = format!(
        "{} is PyTorch's; build gradus-tensor with the feature `pytorch` to read it",
        path.display()
    );
    Err(Error::unsupported(OP, text))
}

/// A checkpoint in several files: `{"weight_map": {name: file}}` beside them.
fn load_sharded(index: &Path) -> Result<BTreeMap<String, Tensor>> {
    let wrong = |why: String| Error::format(OP, format!("{}: {why}", index.display()));
    let text = std::fs::read(index)
        .map_err(|e| Error::io(OP, format!("cannot read {}: {e}", index.display()), e))?;
    let json: serde_json::Value =
        serde_json::from_slice(&text).map_err(|e| wrong(format!("not JSON: {e}")))?;
    let Some(map) = json.get("weight_map").and_then(|map| map.as_object()) else {
        return Err(wrong("it has no weight_map".into()));
    };
    let mut files = BTreeSet::new();
    for (name, file) in map {
        let file = file.as_str().unwrap_or_default();
        // A name in this folder: nothing that leads out of it.
        if file.is_empty() || Path::new(file).file_name() != Some(file.as_ref()) {
            return Err(wrong(format!(
                "{name:?} is in {file:?}, which is no file name"
            )));
        }
        files.insert(file);
    }
    let folder = index.parent().unwrap_or(Path::new(""));
    let mut tensors = BTreeMap::new();
    for file in files {
        let part = folder.join(file);
        if !part.is_file() {
            return Err(wrong(format!("{file} is missing beside it")));
        }
        tensors.extend(load(&part)?);
    }
    if let Some(name) = map.keys().find(|&name| !tensors.contains_key(name)) {
        return Err(wrong(format!("no file has the tensor {name:?}")));
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_one_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let save = |file: &str, name: &str, x: f32| {
            crate::safetensors::save(at(file), [(name, &Tensor::scalar(x))], &BTreeMap::new())
                .unwrap();
        };
        save("a.safetensors", "x", 1.0);
        save("b.safetensors", "y", 2.0);
        let index = at("model.safetensors.index.json");
        let write =
            |map: &str| std::fs::write(&index, format!("{{\"weight_map\": {map}}}")).unwrap();
        write(r#"{"x": "a.safetensors", "y": "b.safetensors"}"#);
        let all = load(folder.path()).unwrap();
        assert_eq!(all["y"].item::<f32>().unwrap(), 2.0);
        for (map, why) in [
            (r#"{"x": "../a.safetensors"}"#, "no file name"),
            (r#"{"x": "c.safetensors"}"#, "missing"),
            (r#"{"z": "a.safetensors"}"#, "no file has"),
            ("3", "no weight_map"),
        ] {
            write(map);
            let error = load(&index).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let empty = tempfile::tempdir().unwrap();
        assert!(
            load(empty.path())
                .unwrap_err()
                .to_string()
                .contains("has none of")
        );
        assert!(
            load(empty.path().join("absent"))
                .unwrap_err()
                .to_string()
                .contains("cannot read")
        );
    }
}
