//! Reading and writing `.safetensors`: named tensors in one file, as Hugging Face and PyTorch exchange them.
//!
//! What it is: [`load`], [`save`], and [`SafeTensors`], an open file that reads its header at once and its tensors on request.
//! Files are mapped into memory; a tensor is a view of the map (no copy) when its data lie on a multiple of the element's
//! size, which every writer in use arranges. What it is not: a reader of pickles (`.pt`, `.bin`).
//!
//! **The map is read-only.** Ops that work in place copy first, so nothing here ever writes into a file. If *another* program
//! changes or truncates the file while tensors view it, their values change with it (or the system stops the process, on truncation): that is outside what
//! Rust or we can guard. [`save`] replaces files by renaming, which leaves existing views as they were.
//!
//! The header is parsed by the `safetensors` crate, the reference implementation; it checks that names, shapes and offsets are consistent
//! before anything is read. <https://github.com/huggingface/safetensors>

#[path = "safetensors_save.rs"]
mod save;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use ::safetensors::{Dtype, SafeTensors as Header};

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::file::{Bytes, read};
use crate::tensor::Tensor;

pub use save::{save, to_bytes};

/// Strings that a file carries beside its tensors.
pub type Metadata = BTreeMap<String, String>;

/// Every tensor of a file, by name.
///
/// # Errors
/// The file cannot be read, is not a consistent safetensors file, or holds a dtype that Gradus does not have. The error names the file.
pub fn load(path: impl AsRef<Path>) -> Result<BTreeMap<String, Tensor>> {
    SafeTensors::open(path)?.tensors()
}

/// Every tensor of a file and its metadata.
///
/// # Errors
/// As [`load`].
pub fn load_with_metadata(path: impl AsRef<Path>) -> Result<(BTreeMap<String, Tensor>, Metadata)> {
    let file = SafeTensors::open(path)?;
    Ok((file.tensors()?, file.metadata))
}

/// What the header says of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// The format's name of the element type: `F32`, `BF16`, `F8_E4M3`, …
    pub dtype: String,
    /// Sizes of the dimensions.
    pub shape: Vec<usize>,
    /// Bytes of its data.
    pub bytes: usize,
    start: usize, // from the start of the file
    known: Option<DType>,
}

/// An open safetensors file: the header parsed, the tensors read on request.
///
/// ```
/// use gradus_tensor::{Tensor, safetensors::{SafeTensors, to_bytes}};
/// let x = Tensor::from_vec(vec![1f32, 2.0], [2])?;
/// let file = SafeTensors::from_bytes(to_bytes([("x", &x)], &Default::default())?)?;
/// assert_eq!(file.info("x").unwrap().shape, [2]);
/// assert_eq!(file.tensor("x")?.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
pub struct SafeTensors {
    name: String, // of the file, for errors
    bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
    infos: BTreeMap<String, TensorInfo>,
    metadata: Metadata,
}

impl SafeTensors {
    /// Maps a file (reads it, without the `mmap` feature) and parses its header.
    ///
    /// # Errors
    /// The file cannot be read, or its header is not consistent.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let bytes = read(path).map_err(|e| Error::io(OP, format!("cannot read {name}"), e))?;
        Self::parse(name, bytes)
    }

    /// The same for a file that is already in memory.
    ///
    /// # Errors
    /// The header is not consistent.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::parse("bytes in memory".into(), Bytes::Owned(bytes))
    }

    fn parse(name: String, bytes: Bytes) -> Result<Self> {
        if cfg!(target_endian = "big") {
            return Err(Error::unsupported(
                OP,
                "the format is little-endian and this machine is not",
            ));
        }
        let data = bytes.as_ref();
        let (header, parsed) = Header::read_metadata(data).map_err(|e| {
            Error::format(OP, format!("{name} is not a valid safetensors file: {e}"))
        })?;
        let mut infos = BTreeMap::new();
        for (tensor, info) in parsed.tensors() {
            let (start, end) = info.data_offsets;
            let info = TensorInfo {
                dtype: info.dtype.to_string(),
                shape: info.shape.clone(),
                bytes: end - start,
                start: size_of::<u64>() + header + start,
                known: known(info.dtype),
            };
            infos.insert(tensor, info);
        }
        let metadata = parsed
            .metadata()
            .iter()
            .flatten()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        Ok(Self {
            name,
            bytes: Arc::new(bytes),
            infos,
            metadata,
        })
    }

    /// The strings of `__metadata__`.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Every name with what the header says of it, sorted by name.
    pub fn infos(&self) -> impl ExactSizeIterator<Item = (&str, &TensorInfo)> {
        self.infos.iter().map(|(name, info)| (name.as_str(), info))
    }

    /// What the header says of one tensor.
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.infos.get(name)
    }

    /// One tensor: a view of the file where alignment allows, else a copy.
    ///
    /// # Errors
    /// There is no such name, or Gradus does not have its dtype.
    pub fn tensor(&self, name: &str) -> Result<Tensor> {
        let info = self.info(name).ok_or_else(|| {
            Error::value(
                OP,
                format!(
                    "{} has no tensor named {name:?} (it has {} others)",
                    self.name,
                    self.infos.len()
                ),
            )
        })?;
        let dtype = info.known.ok_or_else(|| {
            let dtypes = DType::ALL.map(DType::name).join(" ");
            Error::dtype(
                OP,
                format!(
                    "{}: tensor {name:?} is {}, which Gradus does not have (it has {dtypes})",
                    self.name, info.dtype
                ),
            )
        })?;
        Tensor::from_shared_bytes(&self.bytes, info.start, &info.shape, dtype)
            .map_err(|e| Error::format(OP, format!("{}: tensor {name:?}: {e}", self.name)))
    }

    /// Every tensor, by name.
    ///
    /// # Errors
    /// Gradus does not have one of the dtypes.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        self.infos
            .keys()
            .map(|name| Ok((name.clone(), self.tensor(name)?)))
            .collect()
    }
}

impl std::fmt::Debug for SafeTensors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "SafeTensors({}, {} tensors)",
            self.name,
            self.infos.len()
        )
    }
}

/// The name under which errors appear.
const OP: &str = "safetensors";

/// The format's element types that Gradus has.
fn known(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::BOOL => DType::Bool,
        Dtype::U8 => DType::U8,
        Dtype::I32 => DType::I32,
        Dtype::I64 => DType::I64,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::F32 => DType::F32,
        Dtype::F64 => DType::F64,
        _ => return None,
    })
}
