//! A number without a dtype: the right-hand side of `x.add_scalar(2)`.
//! It lends only its category (bool, whole, real) to type promotion, as in PyTorch.

use half::{bf16, f16};

use crate::dtype::DType;

/// A bool, a whole number or a real.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A real.
    Float(f64),
}

impl Scalar {
    /// As f64 (whole numbers beyond 2⁵³ round).
    #[must_use]
    pub fn to_f64(self) -> f64 {
        match self {
            Scalar::Bool(b) => f64::from(u8::from(b)),
            Scalar::Int(i) => i as f64,
            Scalar::Float(x) => x,
        }
    }

    /// As i64 (reals truncate and saturate, NaN gives 0).
    #[must_use]
    pub fn to_i64(self) -> i64 {
        match self {
            Scalar::Bool(b) => i64::from(b),
            Scalar::Int(i) => i,
            Scalar::Float(x) => x as i64,
        }
    }

    /// As bool: anything but zero is true.
    #[must_use]
    pub fn to_bool(self) -> bool {
        match self {
            Scalar::Bool(b) => b,
            Scalar::Int(i) => i != 0,
            Scalar::Float(x) => x != 0.0,
        }
    }

    /// The dtype a tensor made from it would have: bool, i64 or f32.
    #[must_use]
    pub const fn dtype(self) -> DType {
        match self {
            Scalar::Bool(_) => DType::Bool,
            Scalar::Int(_) => DType::I64,
            Scalar::Float(_) => DType::F32,
        }
    }
}

macro_rules! from {
    ($($t:ty => |$x:ident| $e:expr;)*) => {$(
        impl From<$t> for Scalar {
            fn from($x: $t) -> Self {
                $e
            }
        }
    )*};
}

from! {
    bool => |x| Scalar::Bool(x);
    u8 => |x| Scalar::Int(i64::from(x));
    u32 => |x| Scalar::Int(i64::from(x));
    i32 => |x| Scalar::Int(i64::from(x));
    i64 => |x| Scalar::Int(x);
    isize => |x| Scalar::Int(x as i64);
    usize => |x| i64::try_from(x).map_or(Scalar::Float(x as f64), Scalar::Int);
    f16 => |x| Scalar::Float(x.to_f64());
    bf16 => |x| Scalar::Float(x.to_f64());
    f32 => |x| Scalar::Float(f64::from(x));
    f64 => |x| Scalar::Float(x);
}
