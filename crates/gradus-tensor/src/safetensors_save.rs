//! Writing `.safetensors`: the header, then each tensor's bytes, through [`atomic_write`].
//!
//! Tensors are laid out by falling element size, then by name (so every one is aligned, and equal contents give equal files),
//! and written one after the other: nothing but a strided tensor is copied in memory.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use super::{Metadata, OP};
use crate::atomic_file::atomic_write;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Saves named tensors, atomically: whatever happens (a full disk, `kill -9`, a power cut), `path` holds either its previous contents or
/// all of the new ones.
///
/// ```no_run
/// # use gradus_tensor::{Tensor, DType, safetensors};
/// let w = Tensor::ones([3, 2], DType::F32)?;
/// safetensors::save("model.safetensors", [("w", &w)], &[("epoch".into(), "3".into())].into())?;
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// A name occurs twice or is `__metadata__`, or the file cannot be written; the error names it, and nothing is left behind.
pub fn save<'a, S: AsRef<str>>(
    path: impl AsRef<Path>,
    tensors: impl IntoIterator<Item = (S, &'a Tensor)>,
    metadata: &Metadata,
) -> Result<()> {
    let path = path.as_ref();
    let plan = plan(tensors, metadata)?;
    atomic_write(path, |file| plan.write(file))
}

/// The same, in memory.
///
/// # Errors
/// A name occurs twice or is `__metadata__`.
pub fn to_bytes<'a, S: AsRef<str>>(
    tensors: impl IntoIterator<Item = (S, &'a Tensor)>,
    metadata: &Metadata,
) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    plan(tensors, metadata)?
        .write(&mut bytes)
        .map_err(|e| Error::io(OP, "cannot write to memory", e))?;
    Ok(bytes)
}

/// A header and the tensors in the order in which their data follow it.
struct Plan<'a> {
    header: String,
    tensors: Vec<&'a Tensor>,
}

fn plan<'a, S: AsRef<str>>(
    tensors: impl IntoIterator<Item = (S, &'a Tensor)>,
    metadata: &Metadata,
) -> Result<Plan<'a>> {
    let mut tensors: Vec<(S, &Tensor)> = tensors.into_iter().collect();
    tensors.sort_by(|(a, x), (b, y)| {
        let by_size = y.dtype().size().cmp(&x.dtype().size());
        by_size.then_with(|| a.as_ref().cmp(b.as_ref()))
    });
    let mut names: Vec<&str> = tensors.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    if let Some(i) = (1..names.len()).find(|&i| names[i] == names[i - 1]) {
        return Err(Error::value(
            OP,
            format!("the name {:?} occurs twice", names[i]),
        ));
    }
    if names.contains(&"__metadata__") {
        return Err(Error::value(
            OP,
            "a tensor cannot be named \"__metadata__\"",
        ));
    }

    let json = |s: &str| serde_json::Value::from(s).to_string();
    let mut header = String::from("{");
    if !metadata.is_empty() {
        let entries: Vec<String> = metadata
            .iter()
            .map(|(k, v)| format!("{}:{}", json(k), json(v)))
            .collect();
        let _ = write!(header, "\"__metadata__\":{{{}}},", entries.join(","));
    }
    let mut at = 0;
    for (name, tensor) in &tensors {
        let (dtype, shape, end) = (
            format_name(tensor.dtype()),
            tensor.dims(),
            at + tensor.numel() * tensor.dtype().size(),
        );
        let name = json(name.as_ref());
        let _ = write!(
            header,
            "{name}:{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{at},{end}]}},"
        );
        at = end;
    }
    if header.ends_with(',') {
        header.pop();
    }
    header.push('}');
    while header.len() % 8 != 0 {
        header.push(' ');
    }
    Ok(Plan {
        header,
        tensors: tensors.into_iter().map(|(_, tensor)| tensor).collect(),
    })
}

impl Plan<'_> {
    fn write(&self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        out.write_all(&(self.header.len() as u64).to_le_bytes())?;
        out.write_all(self.header.as_bytes())?;
        for tensor in &self.tensors {
            let tensor = tensor.contiguous().and_then(|t| t.on_host());
            let tensor = tensor.map_err(io::Error::other)?;
            let start = tensor.layout().offset() * tensor.dtype().size();
            let bytes = tensor.numel() * tensor.dtype().size();
            let memory = tensor.buffer("save").map_err(io::Error::other)?;
            out.write_all(&memory.bytes()[start..start + bytes])?;
        }
        Ok(())
    }
}

fn format_name(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "BOOL",
        DType::U8 => "U8",
        DType::I32 => "I32",
        DType::I64 => "I64",
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::F32 => "F32",
        DType::F64 => "F64",
    }
}
