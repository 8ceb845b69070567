//! The Rust types that may be a tensor's elements. Sealed: the list is [`DType`]'s.

use half::{bf16, f16};

use crate::dtype::DType;
use crate::scalar::Scalar;

mod sealed {
    pub trait Sealed {}
}

/// A Rust type with a [`DType`]: bool, u8, i32, i64, f16, bf16, f32, f64.
pub trait Element:
    Copy + Default + PartialEq + PartialOrd + Send + Sync + std::fmt::Debug + sealed::Sealed + 'static
{
    /// The dtype of tensors of this element.
    const DTYPE: DType;
    /// Rounds a real to this type once. For whole numbers: truncates and saturates, NaN gives 0; bool: not zero.
    fn from_f64(x: f64) -> Self;
    /// Converts a whole number: wraps in smaller integers, rounds in floats.
    fn from_i64(x: i64) -> Self;
    /// The value as f64 (i64 beyond 2⁵³ rounds).
    fn to_f64(self) -> f64;
    /// The value as i64: truncates and saturates, NaN gives 0.
    fn to_i64(self) -> i64;

    /// Converts a [`Scalar`] keeping whole numbers exact.
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
    ($($t:ty, $d:ident, $from_f64:expr, $from_i64:expr, $to_f64:expr, $to_i64:expr;)*) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const DTYPE: DType = DType::$d;
            #[inline]
            fn from_f64(x: f64) -> Self {
                let f: fn(f64) -> $t = $from_f64;
                f(x)
            }
            #[inline]
            fn from_i64(x: i64) -> Self {
                let f: fn(i64) -> $t = $from_i64;
                f(x)
            }
            #[inline]
            fn to_f64(self) -> f64 {
                let f: fn($t) -> f64 = $to_f64;
                f(self)
            }
            #[inline]
            fn to_i64(self) -> i64 {
                let f: fn($t) -> i64 = $to_i64;
                f(self)
            }
        }
    )*};
}

element! {
    bool, Bool, |x| x != 0.0, |x| x != 0, |x| f64::from(u8::from(x)), i64::from;
    u8, U8, |x| x as i64 as u8, |x| x as u8, f64::from, i64::from;
    i32, I32, |x| x as i32, |x| x as i32, f64::from, i64::from;
    i64, I64, |x| x as i64, |x| x, |x| x as f64, |x| x;
    f16, F16, f16::from_f64, |x| f16::from_f64(x as f64), f16::to_f64, |x| x.to_f64() as i64;
    bf16, BF16, bf16::from_f64, |x| bf16::from_f64(x as f64), bf16::to_f64, |x| x.to_f64() as i64;
    f32, F32, |x| x as f32, |x| x as f32, f64::from, |x| x as i64;
    f64, F64, |x| x, |x| x as f64, |x| x, |x| x as i64;
}

/// Runs `$body` with `$T` naming the Rust type of `$dtype`: the one `match` of an op.
/// The second form leaves out bool, the third leaves out everything but floats; the rest goes to `$else`.
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
