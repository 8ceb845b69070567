//! Weights in whatever files they come: one door to safetensors, sharded safetensors and PyTorch's own format.
//!
//! Source: the file names of Hugging Face's `transformers` and `huggingface_hub`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::safetensors::Metadata;
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
    match kind(path)? {
        Kind::Index => load_sharded(path),
        Kind::PyTorch => pytorch(path),
        Kind::SafeTensors => crate::safetensors::load(path),
    }
}

/// [`load`], with the strings that a safetensors file carries beside its tensors; other files carry none.
///
/// # Errors
/// As [`load`].
pub fn load_with_metadata(path: impl AsRef<Path>) -> Result<(BTreeMap<String, Tensor>, Metadata)> {
    let path = path.as_ref();
    if path.is_file() && matches!(kind(path)?, Kind::SafeTensors) {
        return crate::safetensors::load_with_metadata(path);
    }
    Ok((load(path)?, Metadata::new()))
}

/// What a file is, by its first bytes.
enum Kind {
    Index,
    PyTorch,
    SafeTensors,
}

fn kind(path: &Path) -> Result<Kind> {
    let mut first = [0; 9];
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut first));
    read.map_err(|e| Error::io(OP, format!("cannot read {}", path.display()), e))?;
    Ok(match first {
        // The length of a header, below 2^32 and perhaps the same bytes as below, and the header's first byte.
        [_, _, _, _, 0, 0, 0, 0, b'{'] => Kind::SafeTensors,
        [b'{', ..] => Kind::Index,
        [b'P', b'K', ..] | [0x80, 2, 0x8a, ..] => Kind::PyTorch,
        _ => Kind::SafeTensors,
    })
}

/// `weights` with `prefix` taken off their names, if all have it: `module.` is what `DataParallel` puts before them.
#[must_use]
pub fn without_prefix(weights: BTreeMap<String, Tensor>, prefix: &str) -> BTreeMap<String, Tensor> {
    if !weights.keys().all(|name| name.starts_with(prefix)) {
        return weights;
    }
    let cut = |(name, tensor): (String, Tensor)| (name[prefix.len()..].to_owned(), tensor);
    weights.into_iter().map(cut).collect()
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
        .map_err(|e| Error::io(OP, format!("cannot read {}", index.display()), e))?;
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
        if matches!(kind(&part)?, Kind::Index) {
            return Err(wrong(format!("{file} is an index itself")));
        }
        let mut held = load(&part)?;
        // Each tensor from the file the index names, whatever else the others hold.
        for (name, _) in map.iter().filter(|(_, at)| at.as_str() == Some(file)) {
            let tensor = held.remove(name);
            let missing = || wrong(format!("{file} does not have the tensor {name:?}"));
            tensors.insert(name.clone(), tensor.ok_or_else(missing)?);
        }
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
            (r#"{"z": "a.safetensors"}"#, "does not have"),
            (r#"{"x": "b.safetensors"}"#, "does not have"),
            (r#"{"x": "model.safetensors.index.json"}"#, "index itself"),
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

    /// A header of 19,280 bytes begins with the bytes `PK`, one of 123 with `{`: they are safetensors all the same.
    #[test]
    fn a_headers_length_is_not_mistaken_for_another_format() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        for (length, first) in [(19_280usize, b'P'), (123, b'{')] {
            let header = r#"{"x":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#;
            let mut bytes = (length as u64).to_le_bytes().to_vec();
            bytes.extend(format!("{header:length$}").bytes());
            bytes.extend(2f32.to_le_bytes());
            assert_eq!(bytes[0], first);
            std::fs::write(&file, bytes).unwrap();
            assert_eq!(load(&file).unwrap()["x"].item::<f32>().unwrap(), 2.0);
        }
    }
}
