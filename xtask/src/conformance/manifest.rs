//! The frozen cases on disk: `NAME.json` lists them, `NAME.safetensors` holds their tensors (key `<case id>.<slot>`).

use std::collections::BTreeMap;
use std::path::Path;

use gradus_tensor::{Tensor, safetensors};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One call of one op.
#[derive(Debug, Deserialize)]
pub struct Case {
    pub id: String,
    pub op: String,
    pub args: Vec<Value>,
    #[serde(default)]
    pub kwargs: BTreeMap<String, Value>,
    #[serde(default)]
    pub outs: Vec<String>,
    /// Output number → cotangent slot.
    #[serde(default)]
    pub cot: BTreeMap<String, String>,
    /// Argument slot → gradient slot; `None` when no gradient flows.
    #[serde(default)]
    pub grads: BTreeMap<String, Option<String>>,
    /// Present when the call must be an error.
    pub error: Option<String>,
}

/// The cases of a file.
#[derive(Debug, Deserialize)]
pub struct Manifest {
    pub cases: Vec<Case>,
}

/// A vectors directory.
pub struct Vectors<'a>(pub &'a Path);

impl Vectors<'_> {
    /// Reads `NAME.json`.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        let path = self.0.join(format!("{name}.json"));
        let text =
            std::fs::read(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))
    }

    /// Reads `NAME.safetensors`.
    pub fn tensors(&self, name: &str) -> Result<BTreeMap<String, Tensor>, String> {
        safetensors::load(self.0.join(format!("{name}.safetensors"))).map_err(|e| e.to_string())
    }
}

/// A tensor that must be there.
pub fn tensor<'a>(tensors: &'a BTreeMap<String, Tensor>, key: &str) -> Result<&'a Tensor, String> {
    tensors
        .get(key)
        .ok_or_else(|| format!("the vectors lack the tensor {key:?}"))
}
