//! The logarithms: `ln`, `log2`, `log10`, `log1p`, and the pair they share with the functions built on them.
//!
//! x = 2^k m with m in [√½, √2); ln m = 2 atanh(s), s = (m - 1) / (m + 1), = 2 s + s³ P(s²) (fdlibm's `e_log.c` and
//! SLEEF use the same s). The quotient s is carried with its remainder and the sum is ordered by size: about 0.52 ULP.

use super::double::{Exact, Pair, polynomial};
use crate::float::Float;
use crate::isa::{FloatVec, IntVec, Isa, MaskVec};

/// Coefficients from `tools/minimax.py`.
pub trait Log: Sized + 'static {
    /// ln 2 in few enough bits that a product with an exponent is exact.
    const LN2_SHORT: Self;
    /// ln 2 less the above.
    const LN2_SHORT_LOW: Self;
    /// log10 2 in few enough bits that a product with an exponent is exact.
    const LOG10_2_SHORT: Self;
    /// log10 2 less the above.
    const LOG10_2_SHORT_LOW: Self;
    /// log2 e less its nearest, `LOG2_E`.
    const LOG2_E_LOW: Self;
    /// log10 e.
    const LOG10_E: Self;
    /// log10 e less the above.
    const LOG10_E_LOW: Self;
    /// P of 2 atanh(s) = 2 s + s³ P(s²) on |s| <= (√2 - 1) / (√2 + 1).
    const LOG: &'static [Self];
    /// The bits of √½.
    const ROOT_HALF_BITS: i64;
}

impl Log for f32 {
    const LN2_SHORT: f32 = 0.69314575;
    const LN2_SHORT_LOW: f32 = 1.4286068e-06;
    const LOG10_2_SHORT: f32 = 0.3010254;
    const LOG10_2_SHORT_LOW: f32 = 4.605039e-06;
    const LOG2_E_LOW: f32 = 1.925963e-08;
    const LOG10_E: f32 = std::f32::consts::LOG10_E;
    const LOG10_E_LOW: f32 = -1.010305e-08;
    const LOG: &'static [f32] = &[0.66666687, 0.39988777, 0.29580054];
    const ROOT_HALF_BITS: i64 = 0x3f35_04f3;
}

impl Log for f64 {
    const LN2_SHORT: f64 = 0.6931471805601177;
    const LN2_SHORT_LOW: f64 = -1.7239444525614835e-13;
    const LOG10_2_SHORT: f64 = 0.3010299956640665;
    const LOG10_2_SHORT_LOW: f64 = -8.532344317057107e-14;
    const LOG2_E_LOW: f64 = 2.0355273740931033e-17;
    const LOG10_E: f64 = std::f64::consts::LOG10_E;
    const LOG10_E_LOW: f64 = 1.098319650216765e-17;
    const LOG: &'static [f64] = &[
        0.666666666666667,
        0.39999999999899444,
        0.2857142862600327,
        0.22222211130259878,
        0.18182889455674947,
        0.15331710618210773,
        0.14616585424888623,
    ];
    const ROOT_HALF_BITS: i64 = 0x3fe6_a09e_667f_3bcd;
}

/// x = 2^k m, m in [√½, √2), for positive normal x; k as a float.
#[inline(always)]
pub(crate) fn split<S: Isa, T: Float>(isa: S, x: T::V<S>) -> (T::V<S>, T::V<S>) {
    let int = |i: i64| <T::V<S> as FloatVec<S, T>>::Int::splat(isa, T::int(i));
    let bits = x.to_bits() - int(T::ROOT_HALF_BITS);
    let mantissa = bits & int((1i64 << T::MANTISSA_BITS) - 1);
    let k = T::V::<S>::from_int(bits.shr(T::MANTISSA_BITS));
    (k, T::V::<S>::from_bits(mantissa + int(T::ROOT_HALF_BITS)))
}

/// As [`split`], for subnormal x too.
#[inline(always)]
pub(crate) fn split_any<S: Isa, T: Float>(isa: S, x: T::V<S>) -> (T::V<S>, T::V<S>) {
    let c = |v: f64| T::V::<S>::splat(isa, T::from_f64(v));
    let small = x.lt(T::V::<S>::splat(isa, T::MIN_POSITIVE));
    let steps = f64::from(T::MANTISSA_BITS + 1);
    let (k, m) = split::<S, T>(
        isa,
        T::V::<S>::select(small, x * c(2f64.powi(T::MANTISSA_BITS as i32 + 1)), x),
    );
    (T::V::<S>::select(small, k - c(steps), k), m)
}

/// ln(1 + f) for the pair 1 + f in [√½, √2]: a pair whose `lo` may be 1 % of `hi`.
#[inline(always)]
fn log_mantissa<S: Isa, T: Float>(isa: S, f: Pair<T::V<S>>) -> Pair<T::V<S>> {
    let sum = T::V::<S>::splat(isa, T::from_f64(2.0)).fast_two_sum(f.hi);
    let s = f.over(
        isa,
        Pair {
            hi: sum.hi,
            lo: sum.lo + f.lo,
        },
    );
    let z = s.hi * s.hi;
    let rest = (s.hi * z).mul_add(polynomial::<S, T>(isa, z, T::LOG), s.lo + s.lo);
    Pair {
        hi: s.hi + s.hi,
        lo: rest,
    }
}

/// k ln 2 + ln(1 + f).
#[inline(always)]
pub(crate) fn log_sum<S: Isa, T: Float>(isa: S, k: T::V<S>, f: Pair<T::V<S>>) -> Pair<T::V<S>> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let log = log_mantissa::<S, T>(isa, f);
    let sum = (k * c(T::LN2_SHORT)).fast_two_sum(log.hi);
    Pair {
        hi: sum.hi,
        lo: sum.lo + k.mul_add(c(T::LN2_SHORT_LOW), log.lo),
    }
}

/// ln of a positive pair with a normal `hi`. `hi + lo` is right to about twice the precision less 6 bits.
#[inline(always)]
pub(crate) fn log_pair<S: Isa, T: Float>(isa: S, x: Pair<T::V<S>>) -> Pair<T::V<S>> {
    let c = |v: f64| T::V::<S>::splat(isa, T::from_f64(v));
    let (k, m) = split::<S, T>(isa, x.hi);
    // Past this, `lo` is below the last bit that counts, and 2^-k might not be normal.
    let far = x.hi.gt(c(2f64.powi(100)));
    let lo = x.lo * super::exp::power_of_two::<S, T>(isa, c(0.0) - k);
    let f = (m - c(1.0)).fast_two_sum(T::V::<S>::select(far, c(0.0), lo));
    log_sum::<S, T>(isa, k, f)
}

/// Puts in what the logarithm gives at the ends of its domain: NaN below 0, -∞ at 0, +∞ at +∞, NaN at NaN.
#[inline(always)]
fn at_the_ends<S: Isa, T: Float>(isa: S, x: T::V<S>, y: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let inside = x.gt(c(T::ZERO)) & x.lt(c(T::INFINITY));
    if inside.all() {
        return y;
    }
    let y = T::V::<S>::select(inside, y, c(T::NAN));
    let y = T::V::<S>::select(x.eq(c(T::ZERO)), c(-T::INFINITY), y);
    T::V::<S>::select(x.eq(c(T::INFINITY)), x, y)
}

/// The natural logarithm. At most 0.65 ULP.
#[inline(always)]
pub fn ln<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let zero = T::V::<S>::zero(isa);
    let (k, m) = split_any::<S, T>(isa, x);
    let log = log_sum::<S, T>(
        isa,
        k,
        Pair {
            hi: m - T::V::<S>::splat(isa, T::ONE),
            lo: zero,
        },
    );
    at_the_ends::<S, T>(isa, x, log.hi + log.lo)
}

/// The logarithm to base 2. At most 0.65 ULP; exact at powers of 2.
#[inline(always)]
pub fn log2<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let (k, m) = split_any::<S, T>(isa, x);
    let log = log_mantissa::<S, T>(
        isa,
        Pair {
            hi: m - c(T::ONE),
            lo: c(T::ZERO),
        },
    )
    .normalised();
    let log = log.times(Pair {
        hi: c(T::LOG2_E),
        lo: c(T::LOG2_E_LOW),
    });
    let sum = k.fast_two_sum(log.hi);
    at_the_ends::<S, T>(isa, x, sum.hi + (sum.lo + log.lo))
}

/// The logarithm to base 10. At most 0.65 ULP.
#[inline(always)]
pub fn log10<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let (k, m) = split_any::<S, T>(isa, x);
    let log = log_mantissa::<S, T>(
        isa,
        Pair {
            hi: m - c(T::ONE),
            lo: c(T::ZERO),
        },
    )
    .normalised();
    let log = log.times(Pair {
        hi: c(T::LOG10_E),
        lo: c(T::LOG10_E_LOW),
    });
    let sum = (k * c(T::LOG10_2_SHORT)).fast_two_sum(log.hi);
    at_the_ends::<S, T>(
        isa,
        x,
        sum.hi + (sum.lo + k.mul_add(c(T::LOG10_2_SHORT_LOW), log.lo)),
    )
}

/// ln(1 + x). At most 0.65 ULP, also for small x.
#[inline(always)]
pub fn log1p<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let one = T::V::<S>::splat(isa, T::ONE);
    let u = one.two_sum(x);
    let log = log_pair::<S, T>(isa, u);
    let y = at_the_ends::<S, T>(isa, u.hi, log.hi + log.lo);
    T::V::<S>::select(x.abs().lt(T::V::<S>::splat(isa, super::tiny::<T>())), x, y)
}
