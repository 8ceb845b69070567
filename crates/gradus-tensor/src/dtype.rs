//! The eight element types and how they mix. Rules are PyTorch's (`torch.promote_types`), from NumPy's.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The type of a tensor's elements, known at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// `bool`, one byte, 0 or 1.
    Bool,
    /// Unsigned byte.
    U8,
    /// 32-bit integer.
    I32,
    /// 64-bit integer: indices, labels and the default for whole numbers.
    I64,
    /// IEEE half precision; computed in f32.
    F16,
    /// bfloat16: f32 with 8 bits of precision; computed in f32.
    BF16,
    /// Single precision: the default for reals.
    F32,
    /// Double precision.
    F64,
}

impl DType {
    /// Every dtype.
    pub const ALL: [DType; 8] = [
        DType::Bool,
        DType::U8,
        DType::I32,
        DType::I64,
        DType::F16,
        DType::BF16,
        DType::F32,
        DType::F64,
    ];

    /// Bytes of one element.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            DType::Bool | DType::U8 => 1,
            DType::F16 | DType::BF16 => 2,
            DType::I32 | DType::F32 => 4,
            DType::I64 | DType::F64 => 8,
        }
    }

    /// True for f16, bf16, f32, f64.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::BF16 | DType::F32 | DType::F64)
    }

    /// True for u8, i32, i64 (not for bool).
    #[must_use]
    pub const fn is_int(self) -> bool {
        matches!(self, DType::U8 | DType::I32 | DType::I64)
    }

    /// Short name: `"f32"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::U8 => "u8",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::F32 => "f32",
            DType::F64 => "f64",
        }
    }

    /// 0 bool, 1 integer, 2 float: a higher category wins whatever the shapes (see [`crate::ops::result_type`]).
    #[must_use]
    pub(crate) const fn category(self) -> u8 {
        match self {
            DType::Bool => 0,
            DType::U8 | DType::I32 | DType::I64 => 1,
            _ => 2,
        }
    }

    /// The smallest dtype that both convert to: `torch.promote_types`.
    ///
    /// ```
    /// use gradus_tensor::DType;
    /// assert_eq!(DType::I64.promote(DType::F16), DType::F16);
    /// assert_eq!(DType::BF16.promote(DType::F16), DType::F32);
    /// ```
    #[must_use]
    pub fn promote(self, other: DType) -> DType {
        match (self, other) {
            (DType::F16, DType::BF16) | (DType::BF16, DType::F16) => DType::F32,
            (a, b) if a.category() == b.category() => a.max(b),
            (a, b) if a.category() > b.category() => a,
            (_, b) => b,
        }
    }

    /// The dtype a float function gives for this input: itself when float, else f32.
    #[must_use]
    pub const fn to_float(self) -> DType {
        if self.is_float() { self } else { DType::F32 }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DType {
    type Err = Error;
    /// Accepts our names and PyTorch's (`float32`, `int64`, `torch.bfloat16`, …).
    fn from_str(s: &str) -> Result<Self> {
        Ok(match s.trim_start_matches("torch.") {
            "bool" => DType::Bool,
            "u8" | "uint8" => DType::U8,
            "i32" | "int32" | "int" => DType::I32,
            "i64" | "int64" | "long" => DType::I64,
            "f16" | "float16" | "half" => DType::F16,
            "bf16" | "bfloat16" => DType::BF16,
            "f32" | "float32" | "float" => DType::F32,
            "f64" | "float64" | "double" => DType::F64,
            _ => {
                return Err(Error::dtype(
                    "dtype",
                    format!("unknown dtype {s:?}; known: bool u8 i32 i64 f16 bf16 f32 f64"),
                ));
            }
        })
    }
}
