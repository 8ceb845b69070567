//! The names a pickle may say. Whatever is not here is refused: nothing of it can run, since each stands for plain data.
//!
//! Source: the list of `torch/_weights_only_unpickler.py`.

use crate::error::Result;

use super::{DType, refuse};

/// The names a pickle may call, and what is made of the call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Class {
    /// An empty dictionary, or one of the pairs given.
    OrderedDict,
    /// Any list of values.
    Sequence,
    /// The value itself: wrappers.
    First,
    RebuildTensor,
    /// As above; its seventh argument is the dtype.
    RebuildTensorV3,
    Storage(Option<DType>),
    DType(DType),
    /// An object whose fields are plain data.
    Plain,
}

impl Class {
    pub fn find(module: &str, name: &str) -> Result<Self> {
        let dtype = |name: &str| {
            Some(match name {
                "float32" | "float" | "FloatStorage" => DType::F32,
                "float64" | "double" | "DoubleStorage" => DType::F64,
                "float16" | "half" | "HalfStorage" => DType::F16,
                "bfloat16" | "BFloat16Storage" => DType::BF16,
                "int64" | "long" | "LongStorage" => DType::I64,
                "int32" | "int" | "IntStorage" => DType::I32,
                "uint8" | "ByteStorage" => DType::U8,
                "bool" | "BoolStorage" => DType::Bool,
                _ => return None,
            })
        };
        Ok(match (module, name) {
            ("collections", "OrderedDict") | ("builtins" | "__builtin__", "dict") => {
                Self::OrderedDict
            }
            ("builtins" | "__builtin__", "set" | "frozenset" | "list" | "tuple")
            | ("torch", "Size" | "device") => Self::Sequence,
            ("torch._utils", "_rebuild_parameter") => Self::First,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_tensor_v3") => Self::RebuildTensorV3,
            ("argparse", "Namespace") => Self::Plain,
            ("torch.storage", "UntypedStorage" | "_UntypedStorage")
            | ("torch", "UntypedStorage") => Self::Storage(None),
            ("torch" | "torch.cuda", name) if name.ends_with("Storage") => match dtype(name) {
                Some(dtype) => Self::Storage(Some(dtype)),
                None => return Err(no_dtype(name)),
            },
            ("torch", name) => match dtype(name) {
                Some(dtype) => Self::DType(dtype),
                None => return Err(forbidden(module, name)),
            },
            _ => return Err(forbidden(module, name)),
        })
    }
}

fn no_dtype(name: &str) -> crate::Error {
    let dtypes = DType::ALL.map(DType::name).join(" ");
    crate::Error::dtype(
        super::OP,
        format!("the file holds a {name}, a dtype that Gradus does not have (it has {dtypes})"),
    )
}

fn forbidden(module: &str, name: &str) -> crate::Error {
    refuse(format!(
        "the file asks to call {module}.{name}; only tensors and plain containers are read, and nothing is executed. \
         Save the weights alone (torch.save(model.state_dict(), file)), or as safetensors"
    ))
}
