//! The eight element types, and the conversions between any two of them.

use half::{bf16, f16};

/// Which of the eight element types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    Bool,
    U8,
    I32,
    I64,
    F16,
    BF16,
    F32,
    F64,
}

impl Kind {
    /// Whether it is one of the four floating-point types.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F16 | Self::BF16 | Self::F32 | Self::F64)
    }
}

/// An element of a tensor: `bool` (one byte), `u8`, `i32`, `i64`, `f16`, `bf16`, `f32` or `f64`. Sealed.
pub trait Element:
    Copy
    + Send
    + Sync
    + Default
    + PartialEq
    + PartialOrd
    + std::fmt::Debug
    + crate::elementwise::Kernels
    + 'static
{
    /// What reductions are computed in: `f32` for `f16`, `bf16` and `f32`, `f64`, and `i64` for the others.
    type Acc: crate::reduce::Accumulator;
    /// What a sum or product of this type is stored in: itself for floats, `i64` for the others (as PyTorch).
    type Sum: Element;
    /// Which one it is.
    const KIND: Kind;
    /// Its name: `"f32"`.
    const NAME: &'static str;
    /// 0 (`false`).
    const ZERO: Self;
    /// 1 (`true`).
    const ONE: Self;

    /// As `f64` (an `i64` beyond 2^53 is rounded).
    fn to_f64(self) -> f64;
    /// As `f32`, rounded to nearest even.
    fn to_f32(self) -> f32;
    /// As `i64`: floats are truncated and saturate, NaN becomes 0.
    fn to_i64(self) -> i64;
    /// From `f64`: to integers truncated and saturating (NaN is 0), to `bool` "is not 0" (NaN is true).
    fn from_f64(x: f64) -> Self;
    /// From `f32`: like [`from_f64`](Self::from_f64).
    fn from_f32(x: f32) -> Self;
    /// From `i64`: integers wrap, floats are rounded, `bool` is "is not 0".
    fn from_i64(x: i64) -> Self;

    /// The value in another element type, converted as PyTorch's `to(dtype)` does: integers wrap, floats are rounded
    /// once, a float becomes an integer by truncation (out of range it saturates and NaN is 0, where PyTorch's result
    /// is undefined), and `bool` means "is not 0".
    #[inline(always)]
    fn cast<B: Element>(self) -> B {
        match (Self::KIND, B::KIND) {
            (Kind::F64, _) => B::from_f64(self.to_f64()),
            (Kind::F16 | Kind::BF16 | Kind::F32, _) => B::from_f32(self.to_f32()),
            _ => B::from_i64(self.to_i64()),
        }
    }
}

/// One of the four floating-point types. `f16` and `bf16` are computed in `f32` and rounded once, at the store.
pub trait FloatElement: Element<Acc = <Self as FloatElement>::Compute, Sum = Self> {
    /// The type arithmetic is done in: `f32` for `f16`, `bf16` and `f32`; `f64` for `f64`.
    type Compute: FloatElement<Compute = Self::Compute> + crate::elementwise::Real;
    /// Whether [`Compute`](Self::Compute) is `Self`.
    const NATIVE: bool;

    /// `out[i] = x[i]` in the compute type. The slices are equally long.
    fn load(x: &[Self], out: &mut [Self::Compute]);
    /// `out[i] = x[i]`, rounded to nearest even. The slices are equally long.
    fn store(x: &[Self::Compute], out: &mut [Self]);
    /// One element in the compute type.
    fn widen(self) -> Self::Compute;
    /// One element rounded from the compute type.
    fn narrow(x: Self::Compute) -> Self;
}

macro_rules! number {
    ($t:ident, $kind:ident, Acc = $acc:ty, Sum = $sum:ty, $zero:literal, $one:literal) => {
        impl Element for $t {
            type Acc = $acc;
            type Sum = $sum;
            const KIND: Kind = Kind::$kind;
            const NAME: &'static str = stringify!($t);
            const ZERO: Self = $zero;
            const ONE: Self = $one;
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                self as i64
            }
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as Self
            }
            #[inline(always)]
            fn from_f32(x: f32) -> Self {
                x as Self
            }
            #[inline(always)]
            fn from_i64(x: i64) -> Self {
                x as Self
            }
        }
    };
}
number!(u8, U8, Acc = i64, Sum = i64, 0, 1);
number!(i32, I32, Acc = i64, Sum = i64, 0, 1);
number!(i64, I64, Acc = i64, Sum = i64, 0, 1);
number!(f32, F32, Acc = f32, Sum = f32, 0.0, 1.0);
number!(f64, F64, Acc = f64, Sum = f64, 0.0, 1.0);

impl Element for bool {
    type Acc = i64;
    type Sum = i64;
    const KIND: Kind = Kind::Bool;
    const NAME: &'static str = "bool";
    const ZERO: Self = false;
    const ONE: Self = true;
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
    #[inline(always)]
    fn to_f32(self) -> f32 {
        f32::from(u8::from(self))
    }
    #[inline(always)]
    fn to_i64(self) -> i64 {
        i64::from(self)
    }
    #[inline(always)]
    fn from_f64(x: f64) -> Self {
        x != 0.0
    }
    #[inline(always)]
    fn from_f32(x: f32) -> Self {
        x != 0.0
    }
    #[inline(always)]
    fn from_i64(x: i64) -> Self {
        x != 0
    }
}

macro_rules! native_float {
    ($t:ident) => {
        impl FloatElement for $t {
            type Compute = Self;
            const NATIVE: bool = true;
            #[inline]
            fn load(x: &[Self], out: &mut [Self]) {
                out.copy_from_slice(x);
            }
            #[inline]
            fn store(x: &[Self], out: &mut [Self]) {
                out.copy_from_slice(x);
            }
            #[inline(always)]
            fn widen(self) -> Self {
                self
            }
            #[inline(always)]
            fn narrow(x: Self) -> Self {
                x
            }
        }
    };
}
native_float!(f32);
native_float!(f64);

macro_rules! half_float {
    ($t:ident, $kind:ident) => {
        impl Element for $t {
            type Acc = f32;
            type Sum = Self;
            const KIND: Kind = Kind::$kind;
            const NAME: &'static str = stringify!($t);
            const ZERO: Self = $t::ZERO;
            const ONE: Self = $t::ONE;
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self.to_f64()
            }
            #[inline(always)]
            fn to_f32(self) -> f32 {
                self.to_f32()
            }
            #[inline(always)]
            fn to_i64(self) -> i64 {
                self.to_f32() as i64
            }
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                $t::from_f64(x)
            }
            #[inline(always)]
            fn from_f32(x: f32) -> Self {
                $t::from_f32(x)
            }
            #[inline(always)]
            fn from_i64(x: i64) -> Self {
                $t::from_f32(x as f32)
            }
        }

        impl FloatElement for $t {
            type Compute = f32;
            const NATIVE: bool = false;
            #[inline]
            fn load(x: &[Self], out: &mut [f32]) {
                half::slice::HalfFloatSliceExt::convert_to_f32_slice(x, out);
            }
            #[inline]
            fn store(x: &[f32], out: &mut [Self]) {
                half::slice::HalfFloatSliceExt::convert_from_f32_slice(out, x);
            }
            #[inline(always)]
            fn widen(self) -> f32 {
                self.to_f32()
            }
            #[inline(always)]
            fn narrow(x: f32) -> Self {
                $t::from_f32(x)
            }
        }
    };
}
half_float!(f16, F16);
half_float!(bf16, BF16);
