//! The scalar backend: one lane, plain Rust.
//!
//! What it is: the readable reference the other backends are tested against, and the path of wasm32 and old machines.
//! What it is not: fast. `mul_add` is truly fused, in software where the processor has no instruction for it.

use std::ops::{Add, BitAnd, BitOr, BitXor, Div, Mul, Neg, Not, Sub};

use crate::isa::{FloatVec, IntVec, Isa, MaskVec};

/// The token of the scalar backend; always available.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scalar;

impl Isa for Scalar {
    const NAME: &'static str = "scalar";
    const REGISTERS: usize = 16;
    type F32 = Lane<f32>;
    type F64 = Lane<f64>;
    #[inline(always)]
    fn widen(self, x: Lane<f32>) -> (Lane<f64>, Lane<f64>) {
        (Lane(x.0.into()), Lane(x.0.into()))
    }
    #[inline(always)]
    fn narrow(self, low: Lane<f64>, _high: Lane<f64>) -> Lane<f32> {
        Lane(low.0 as f32)
    }
}

/// A "vector" of one lane.
#[derive(Clone, Copy, Debug)]
pub struct Lane<T>(T);

impl MaskVec<Scalar> for Lane<bool> {
    #[inline(always)]
    fn to_bits(self) -> u32 {
        self.0.into()
    }
    #[inline(always)]
    fn all(self) -> bool {
        self.0
    }
}

macro_rules! lane_operators {
    ($($op:ident::$method:ident for $($t:ty),*;)*) => {$($(
        impl $op for Lane<$t> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, o: Self) -> Self {
                Self($op::$method(self.0, o.0))
            }
        }
    )*)*};
}
lane_operators! {
    Add::add for f32, f64;
    Sub::sub for f32, f64;
    Mul::mul for f32, f64;
    Div::div for f32, f64;
    BitAnd::bitand for bool, i32, i64;
    BitOr::bitor for bool, i32, i64;
    BitXor::bitxor for bool, i32, i64;
}

impl<T: Not<Output = T>> Not for Lane<T> {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        Self(!self.0)
    }
}

macro_rules! lanes {
    ($float:ident, $int:ident, $uint:ident) => {
        impl Neg for Lane<$float> {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }

        impl FloatVec<Scalar, $float> for Lane<$float> {
            type Int = Lane<$int>;
            type Mask = Lane<bool>;
            type Array = [$float; 1];
            const LANES: usize = 1;
            #[inline(always)]
            fn splat(_: Scalar, x: $float) -> Self {
                Self(x)
            }
            #[inline(always)]
            unsafe fn load_ptr(_: Scalar, p: *const $float) -> Self {
                // SAFETY: the caller promises one readable element.
                Self(unsafe { p.read() })
            }
            #[inline(always)]
            unsafe fn store_ptr(self, p: *mut $float) {
                // SAFETY: the caller promises one writable element.
                unsafe { p.write(self.0) }
            }
            #[inline(always)]
            unsafe fn load_tail_ptr(_: Scalar, p: *const $float, n: usize, fill: $float) -> Self {
                // SAFETY: the caller promises n readable elements.
                Self(if n == 0 { fill } else { unsafe { p.read() } })
            }
            #[inline(always)]
            unsafe fn store_tail_ptr(self, p: *mut $float, n: usize) {
                if n > 0 {
                    // SAFETY: the caller promises n writable elements.
                    unsafe { p.write(self.0) }
                }
            }
            #[inline(always)]
            fn to_array(self) -> [$float; 1] {
                [self.0]
            }
            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                Self(self.0.mul_add(b.0, c.0))
            }
            #[inline(always)]
            fn neg_mul_add(self, b: Self, c: Self) -> Self {
                Self((-self.0).mul_add(b.0, c.0))
            }
            #[inline(always)]
            fn mul_sub(self, b: Self, c: Self) -> Self {
                Self(self.0.mul_add(b.0, -c.0))
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(self.0.sqrt())
            }
            #[inline(always)]
            fn abs(self) -> Self {
                Self(self.0.abs())
            }
            #[inline(always)]
            fn floor(self) -> Self {
                Self(self.0.floor())
            }
            #[inline(always)]
            fn ceil(self) -> Self {
                Self(self.0.ceil())
            }
            #[inline(always)]
            fn trunc(self) -> Self {
                Self(self.0.trunc())
            }
            #[inline(always)]
            fn round_ties_even(self) -> Self {
                Self(self.0.round_ties_even())
            }
            #[inline(always)]
            fn min(self, o: Self) -> Self {
                if self.0.is_nan() || self.0 < o.0 {
                    self
                } else {
                    o
                }
            }
            #[inline(always)]
            fn max(self, o: Self) -> Self {
                if self.0.is_nan() || self.0 > o.0 {
                    self
                } else {
                    o
                }
            }
            #[inline(always)]
            fn at_least(self, low: Self) -> Self {
                Self(if self.0 < low.0 { low.0 } else { self.0 })
            }
            #[inline(always)]
            fn at_most(self, high: Self) -> Self {
                Self(if high.0 < self.0 { high.0 } else { self.0 })
            }
            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                Self(self.0.copysign(sign.0))
            }
            #[inline(always)]
            fn eq(self, o: Self) -> Lane<bool> {
                Lane(self.0 == o.0)
            }
            #[inline(always)]
            fn ne(self, o: Self) -> Lane<bool> {
                Lane(self.0 != o.0)
            }
            #[inline(always)]
            fn lt(self, o: Self) -> Lane<bool> {
                Lane(self.0 < o.0)
            }
            #[inline(always)]
            fn le(self, o: Self) -> Lane<bool> {
                Lane(self.0 <= o.0)
            }
            #[inline(always)]
            fn select(mask: Lane<bool>, a: Self, b: Self) -> Self {
                if mask.0 { a } else { b }
            }
            #[inline(always)]
            fn to_bits(self) -> Lane<$int> {
                Lane(self.0.to_bits().cast_signed())
            }
            #[inline(always)]
            fn from_bits(bits: Lane<$int>) -> Self {
                Self($float::from_bits(bits.0.cast_unsigned()))
            }
            #[inline(always)]
            fn to_int_round(self) -> Lane<$int> {
                Lane(self.0.round_ties_even() as $int)
            }
            #[inline(always)]
            fn from_int(i: Lane<$int>) -> Self {
                Self(i.0 as $float)
            }
            #[inline(always)]
            fn lookup(_: Scalar, table: &[$float; 16], index: Lane<$int>) -> Self {
                Self(table[(index.0 & 15) as usize])
            }
            #[inline(always)]
            fn deinterleave(self, o: Self) -> (Self, Self) {
                (self, o)
            }
            #[inline(always)]
            fn interleave(self, o: Self) -> (Self, Self) {
                (self, o)
            }
        }

        impl Add for Lane<$int> {
            type Output = Self;
            #[inline(always)]
            fn add(self, o: Self) -> Self {
                Self(self.0.wrapping_add(o.0))
            }
        }
        impl Sub for Lane<$int> {
            type Output = Self;
            #[inline(always)]
            fn sub(self, o: Self) -> Self {
                Self(self.0.wrapping_sub(o.0))
            }
        }

        impl IntVec<Scalar, $int> for Lane<$int> {
            type Mask = Lane<bool>;
            const LANES: usize = 1;
            #[inline(always)]
            fn splat(_: Scalar, x: $int) -> Self {
                Self(x)
            }
            #[inline(always)]
            unsafe fn load_ptr(_: Scalar, p: *const $int) -> Self {
                // SAFETY: the caller promises one readable element.
                Self(unsafe { p.read() })
            }
            #[inline(always)]
            unsafe fn store_ptr(self, p: *mut $int) {
                // SAFETY: the caller promises one writable element.
                unsafe { p.write(self.0) }
            }
            #[inline(always)]
            fn shl(self, n: u32) -> Self {
                Self(self.0 << n)
            }
            #[inline(always)]
            fn shr(self, n: u32) -> Self {
                Self(self.0 >> n)
            }
            #[inline(always)]
            fn shr_logical(self, n: u32) -> Self {
                Self((self.0 as $uint >> n) as $int)
            }
            #[inline(always)]
            fn eq(self, o: Self) -> Lane<bool> {
                Lane(self.0 == o.0)
            }
            #[inline(always)]
            fn gt(self, o: Self) -> Lane<bool> {
                Lane(self.0 > o.0)
            }
            #[inline(always)]
            fn select(mask: Lane<bool>, a: Self, b: Self) -> Self {
                if mask.0 { a } else { b }
            }
        }
    };
}
lanes!(f32, i32, u32);
lanes!(f64, i64, u64);
