//! The exponentials: `exp`, `exp2`, `expm1`, and the pair they share with the functions built on them.
//!
//! e^x = 2^n e^r with n = round(x / ln 2) and |r| <= ln 2 / 2, where ln 2 is taken off in two parts (Cody and Waite,
//! *Software Manual for the Elementary Functions*, 1980) and e^r = 1 + r + r² P(r). The rounding errors of r and of
//! 1 + r are carried along, which leaves little more than the last rounding: about 0.55 ULP. `exp` itself does without.
//! What it is not: a table method (`pieces.rs`); the few extra terms cost less.

use super::double::{Exact, Pair, polynomial};
use crate::float::Float;
use crate::isa::{FloatVec, IntVec, Isa};

/// Coefficients from `tools/minimax.py`.
pub trait Exp: Sized + 'static {
    /// ln 2, nearest.
    const LN2: Self;
    /// ln 2 less the above.
    const LN2_LOW: Self;
    /// 1 / ln 2.
    const LOG2_E: Self;
    /// P of e^r = 1 + r + r² P(r) on |r| <= ln 2 / 2.
    const EXP: &'static [Self];
    /// Above this e^x overflows; n still fits.
    const EXP_HIGHEST: Self;
    /// Below this e^x is 0 even after a multiplication by x; n still fits.
    const EXP_LOWEST: Self;
    /// Below this e^x - 1 rounds to -1, and 1 + e^x to 1.
    const EXP_NEGLIGIBLE: Self;
}

impl Exp for f32 {
    const LN2: f32 = std::f32::consts::LN_2;
    const LN2_LOW: f32 = -1.9046542e-9;
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    const EXP: &'static [f32] = &[
        0.5,
        0.16666667,
        0.041666467,
        0.0083333105,
        0.001393365,
        0.00019890991,
    ];
    const EXP_HIGHEST: f32 = 89.0;
    const EXP_LOWEST: f32 = -120.0;
    const EXP_NEGLIGIBLE: f32 = -20.0;
}

impl Exp for f64 {
    const LN2: f64 = std::f64::consts::LN_2;
    const LN2_LOW: f64 = 2.3190468138462996e-17;
    const LOG2_E: f64 = std::f64::consts::LOG2_E;
    const EXP: &'static [f64] = &[
        0.5,
        0.1666666666666667,
        0.04166666666666667,
        0.008333333333326136,
        0.0013888888888883748,
        0.00019841269874820627,
        2.4801587325547743e-05,
        2.7557255400206422e-06,
        2.75572736431103e-07,
        2.5105217004720745e-08,
        2.0914686968086876e-09,
    ];
    const EXP_HIGHEST: f64 = 710.0;
    const EXP_LOWEST: f64 = -800.0;
    const EXP_NEGLIGIBLE: f64 = -40.0;
}

/// 2^n (hi + lo), n integral: an exponential before its last rounding, free of overflow and underflow.
pub(crate) struct Scaled<S: Isa, T: Float> {
    pub n: T::V<S>,
    pub value: Pair<T::V<S>>,
}

/// x = n ln 2 + r, |r| <= ln 2 / 2, r as a pair.
#[inline(always)]
fn reduce<S: Isa, T: Float>(isa: S, x: T::V<S>) -> (T::V<S>, Pair<T::V<S>>) {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let n = (x * c(T::LOG2_E)).round_ties_even();
    let r = n.neg_mul_add(c(T::LN2), x); // exact: r is a multiple of the last bit of LN2 or of x
    let hi = n.neg_mul_add(c(T::LN2_LOW), r);
    let lo = n.neg_mul_add(c(T::LN2_LOW), r - hi);
    (n, Pair { hi, lo })
}

/// e^r - 1 - r.hi for the pair r.
#[inline(always)]
fn exp_rest<S: Isa, T: Float>(isa: S, r: Pair<T::V<S>>) -> T::V<S> {
    let square = r.hi * r.hi;
    square.mul_add(
        polynomial::<S, T>(isa, r.hi, T::EXP),
        r.hi.mul_add(r.lo, r.lo),
    )
}

/// e^x as a pair, x within `EXP_LOWEST..EXP_HIGHEST`.
#[inline(always)]
pub(crate) fn exp_pair<S: Isa, T: Float>(isa: S, x: T::V<S>) -> Scaled<S, T> {
    let (n, r) = reduce::<S, T>(isa, x);
    exp_of_remainder(isa, n, r)
}

/// e^x of a pair, |x.hi| within `EXP_LOWEST..EXP_HIGHEST`.
#[inline(always)]
pub(crate) fn exp_of_pair<S: Isa, T: Float>(isa: S, x: Pair<T::V<S>>) -> Scaled<S, T> {
    let (n, r) = reduce::<S, T>(isa, x.hi);
    let sum = r.hi.two_sum(x.lo); // x.lo is not small beside r
    exp_of_remainder(
        isa,
        n,
        Pair {
            hi: sum.hi,
            lo: sum.lo + r.lo,
        },
    )
}

/// 2^n e^r.
#[inline(always)]
fn exp_of_remainder<S: Isa, T: Float>(isa: S, n: T::V<S>, r: Pair<T::V<S>>) -> Scaled<S, T> {
    let one = T::V::<S>::splat(isa, T::ONE).fast_two_sum(r.hi);
    let value = Pair {
        hi: one.hi,
        lo: one.lo + exp_rest::<S, T>(isa, r),
    }
    .normalised();
    Scaled { n, value }
}

/// 2^n for integral n in the range of normal numbers.
#[inline(always)]
pub(crate) fn power_of_two<S: Isa, T: Float>(isa: S, n: T::V<S>) -> T::V<S> {
    let bias = <T::V<S> as FloatVec<S, T>>::Int::splat(isa, T::int(T::EXPONENT_BIAS.into()));
    T::V::<S>::from_bits((n.to_int_round() + bias).shl(T::MANTISSA_BITS))
}

/// x 2^n for integral n, rounded once; without an instruction for it in two steps, so that n may be twice what an exponent holds.
#[inline(always)]
pub(crate) fn scale<S: Isa, T: Float>(isa: S, x: T::V<S>, n: T::V<S>) -> T::V<S> {
    if let Some(y) = x.times_power_of_two(n) {
        return y;
    }
    let half = (n * T::V::<S>::splat(isa, T::from_f64(0.5))).floor();
    x * power_of_two::<S, T>(isa, half) * power_of_two::<S, T>(isa, n - half)
}

/// e^x. At most 1 ULP: rounding r and the sum are let be, at half the work of the pair.
#[inline(always)]
pub fn exp<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let x = x.clamp(c(T::EXP_LOWEST), c(T::EXP_HIGHEST));
    let n = (x * c(T::LOG2_E)).round_ties_even();
    let r = n.neg_mul_add(c(T::LN2_LOW), n.neg_mul_add(c(T::LN2), x));
    let rest = polynomial::<S, T>(isa, r, T::EXP).mul_add(r, c(T::ONE)); // (e^r - 1) / r
    scale::<S, T>(isa, rest.mul_add(r, c(T::ONE)), n)
}

/// 2^x. At most 0.6 ULP, 0.8 where the result is subnormal; exact for integral x.
#[inline(always)]
pub fn exp2<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let ln2 = Pair {
        hi: c(T::LN2),
        lo: c(T::LN2_LOW),
    };
    let limit = T::from_f64(1.2 * f64::from(T::EXPONENT_BIAS + 1));
    let x = x.clamp(c(-limit), c(limit));
    let n = x.round_ties_even();
    let r = ln2.times(Pair {
        hi: x - n,
        lo: c(T::ZERO),
    });
    let one = c(T::ONE).fast_two_sum(r.hi);
    scale::<S, T>(isa, one.hi + (one.lo + exp_rest::<S, T>(isa, r)), n)
}

/// (e^x - 1) / 2 as a pair, x from `EXP_NEGLIGIBLE` to `EXP_HIGHEST`, to nearly twice the precision; half, so that it
/// does not overflow where e^x - 1 does not.
#[inline(always)]
pub(crate) fn half_expm1_pair<S: Isa, T: Float>(isa: S, x: T::V<S>) -> Pair<T::V<S>> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let half = c(T::from_f64(0.5));
    let (n, r) = reduce::<S, T>(isa, x);
    let q = r.hi.fast_two_sum(exp_rest::<S, T>(isa, r)); // e^r - 1
    let power = power_of_two::<S, T>(isa, n - c(T::ONE));
    // (2^n - 1) / 2 + 2^n (e^r - 1) / 2, the largest first
    let constant = power - half;
    let constant_low = (power - constant) - half;
    let sum = constant.fast_two_sum(power * q.hi);
    Pair {
        hi: sum.hi,
        lo: sum.lo + power.mul_add(q.lo, constant_low),
    }
}

/// e^x - 1. At most 0.9 ULP, also for small x.
#[inline(always)]
pub fn expm1<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let clamped = x.clamp(c(T::EXP_NEGLIGIBLE), c(T::EXP_HIGHEST));
    let half = half_expm1_pair::<S, T>(isa, clamped);
    let y = half.hi + half.lo;
    T::V::<S>::select(x.abs().lt(c(super::tiny::<T>())), x, y + y)
}
