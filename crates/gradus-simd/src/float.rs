//! `Float`: the two element types kernels are generic over, `f32` and `f64`.
//!
//! What it is: the bridge from an element to its vector (`T::V<S>`) and the few constants generic kernels need.
//! What it is not: a numeric tower; f16 and bf16 are converted to `f32` before they reach a kernel.

use std::fmt::{Debug, Display, LowerExp};
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use crate::isa::{FloatVec, Isa};
use crate::math;

/// `f32` or `f64`.
pub trait Float:
    Copy
    + Debug
    + Display
    + LowerExp
    + Default
    + PartialEq
    + PartialOrd
    + Send
    + Sync
    + 'static
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + math::exp::Exp
    + math::log::Log
    + math::hyperbolic::Hyperbolic
    + math::activation::Gates
    + math::slopes::Slopes
    + math::erf::ErrorFunction
    + math::trig::Trig
    + math::arc::Arc
    + math::power::Power
{
    /// The signed integer of the same width.
    type Int: Copy + Debug + PartialEq + Into<i64>;
    /// The vector of this element on `S`.
    type V<S: Isa>: FloatVec<S, Self>;

    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// +∞.
    const INFINITY: Self;
    /// A quiet NaN.
    const NAN: Self;
    /// The largest finite value.
    const MAX: Self;
    /// The smallest positive normal value.
    const MIN_POSITIVE: Self;
    /// The distance from 1 to the next value.
    const EPSILON: Self;
    /// Explicit mantissa bits: 23 or 52.
    const MANTISSA_BITS: u32;
    /// The exponent's bias: 127 or 1023.
    const EXPONENT_BIAS: i32;

    /// Rounds to the element type.
    fn from_f64(x: f64) -> Self;
    /// Widens without loss.
    fn to_f64(self) -> f64;
    /// Wraps to the integer of the same width.
    fn int(i: i64) -> Self::Int;
    /// `self * b + c`, rounded once.
    fn mul_add(self, b: Self, c: Self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// True for NaN.
    fn is_nan(self) -> bool;
    /// The larger, by the rule of [`FloatVec::max`].
    #[inline(always)]
    fn maximum(self, o: Self) -> Self {
        if self.is_nan() || self > o { self } else { o }
    }
    /// The smaller, by the rule of [`FloatVec::min`].
    #[inline(always)]
    fn minimum(self, o: Self) -> Self {
        if self.is_nan() || self < o { self } else { o }
    }
}

macro_rules! float {
    ($t:ident, $int:ident, $v:ident, $mantissa:literal, $bias:literal) => {
        impl Float for $t {
            type Int = $int;
            type V<S: Isa> = S::$v;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const INFINITY: Self = $t::INFINITY;
            const NAN: Self = $t::NAN;
            const MAX: Self = $t::MAX;
            const MIN_POSITIVE: Self = $t::MIN_POSITIVE;
            const EPSILON: Self = $t::EPSILON;
            const MANTISSA_BITS: u32 = $mantissa;
            const EXPONENT_BIAS: i32 = $bias;
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn int(i: i64) -> $int {
                i as $int
            }
            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                $t::mul_add(self, b, c)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $t::sqrt(self)
            }
            #[inline(always)]
            fn abs(self) -> Self {
                $t::abs(self)
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                $t::is_nan(self)
            }
        }
    };
}

float!(f32, i32, F32, 23, 127);
float!(f64, i64, F64, 52, 1023);
