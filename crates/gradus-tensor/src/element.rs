//! The Rust types that may be a tensor's elements. Sealed: the list is [`DType`]'s.

use half::{bf16, f16};

use crate::dtype::DType;
use crate::scalar::Scalar;

mod sealed {
    pub trait Sealed {}
}

/// A Rust type with a [`DType`]: bool, u8, i32, i64, f16, bf16, f32, f64.
/// Conversions between them (`to_f64`, `from_i64`, `cast`, …) come from the kernels' trait it extends.
pub trait Element: gradus_cpu::Element + sealed::Sealed {
    /// The dtype of tensors of this element.
    const DTYPE: DType;

    /// Converts a [`Scalar`], whole numbers exactly where they fit.
    #[must_use]
    fn from_scalar(s: Scalar) -> Self {
        match s {
            Scalar::Bool(b) => Self::from_i64(i64::from(b)),
            Scalar::Int(i) => Self::from_i64(i),
            Scalar::Float(x) => Self::from_f64(x),
        }
    }

    /// The value as a [`Scalar`].
    #[must_use]
    fn to_scalar(self) -> Scalar {
        match Self::DTYPE.category() {
            0 => Scalar::Bool(self.to_i64() != 0),
            1 => Scalar::Int(self.to_i64()),
            _ => Scalar::Float(self.to_f64()),
        }
    }
}

macro_rules! element {
    ($($t:ty, $d:ident;)*) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const DTYPE: DType = DType::$d;
        }
    )*};
}

element! {
    bool, Bool;
    u8, U8;
    i32, I32;
    i64, I64;
    f16, F16;
    bf16, BF16;
    f32, F32;
    f64, F64;
}

/// Runs `$body` with `$T` naming the Rust type of `$dtype`: the one `match` of an op.
/// The second form leaves out bool, the third leaves out everything but floats; the rest goes to `$else`.
#[rustfmt::skip]
macro_rules! dispatch {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::Bool => {
                type $T = bool;
                $body
            }
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            $crate::DType::I32 => {
                type $T = i32;
                $body
            }
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::F16 => {
                type $T = half::f16;
                $body
            }
            $crate::DType::BF16 => {
                type $T = half::bf16;
                $body
            }
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
        }
    };
    (number $dtype:expr, $T:ident => $body:expr, else $else:expr) => {
        match $dtype {
            $crate::DType::Bool => $else,
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            $crate::DType::I32 => {
                type $T = i32;
                $body
            }
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::F16 => {
                type $T = half::f16;
                $body
            }
            $crate::DType::BF16 => {
                type $T = half::bf16;
                $body
            }
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
        }
    };
    (float $dtype:expr, $T:ident => $body:expr, else $else:expr) => {
        match $dtype {
            $crate::DType::F16 => {
                type $T = half::f16;
                $body
            }
            $crate::DType::BF16 => {
                type $T = half::bf16;
                $body
            }
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            _ => $else,
        }
    };
}
