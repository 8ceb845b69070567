//! The logistic family: `sigmoid`, `silu`, `softplus`, `gelu_tanh`, `mish`.
//!
//! `sigmoid`, `silu` and `gelu_tanh` of f32 are gates (`gate.rs`) above a negative edge, and below as those of f64.
//! All others are quotients over 1 + e^-|x|, taken in pairs; where the result is tiny, e^-|x| stays `2^n · value` until the last
//! multiplication, so tails keep full precision down into the subnormals.
//! At -∞, `silu`, `gelu_tanh` and `mish` are NaN, as PyTorch's are: they are products with x.

use super::double::{Exact, Pair, polynomial};
use super::exp::{Scaled, exp_pair, power_of_two, scale};
use super::gate::{self, Gate};
use super::log::log_pair;
use crate::float::Float;
use crate::isa::{FloatVec, Isa};

/// What the gates of a type are made of.
pub trait Gates: Sized + 'static {
    /// `sigmoid`, `silu` and `gelu_tanh` by pieces, if they are short enough.
    const PIECES: Option<[&'static Gate<Self>; 3]>;
    /// 2 √(2/π), short (14 of 24 bits, 40 of 53), and the rest; the same times 0.044715, nearest, and the rest.
    const TANH_GELU: [Self; 4];
}

impl Gates for f32 {
    const PIECES: Option<[&'static Gate<f32>; 3]> =
        Some([&gate::SIGMOID, &gate::SILU, &gate::GELU_TANH]);
    const TANH_GELU: [f32; 4] = [1.5958252, -5.6073706e-5, 0.071354814, 2.3988325e-9];
}

impl Gates for f64 {
    const PIECES: Option<[&'static Gate<f64>; 3]> = None;
    const TANH_GELU: [f64; 4] = [
        1.5957691216062813,
        -5.505482686972437e-13,
        0.07135481627260025,
        -6.175149918155315e-19,
    ];
}

/// e^-|x| as a pair, for a result within the normal numbers: nothing is lost of 1 + e^-|x| where it is less.
#[inline(always)]
fn unscaled<S: Isa, T: Float>(isa: S, e: &Scaled<S, T>) -> Pair<T::V<S>> {
    let lowest = T::V::<S>::splat(isa, T::from_f64(f64::from(1 - T::EXPONENT_BIAS)));
    let power = power_of_two::<S, T>(isa, e.n.clamp(lowest, T::V::<S>::splat(isa, T::ONE)));
    Pair {
        hi: e.value.hi * power,
        lo: e.value.lo * power,
    }
}

/// 1 + a of a pair 0 <= a <= 1.
#[inline(always)]
fn one_plus<S: Isa, T: Float>(isa: S, a: Pair<T::V<S>>) -> Pair<T::V<S>> {
    let sum = T::V::<S>::splat(isa, T::ONE).fast_two_sum(a.hi);
    Pair {
        hi: sum.hi,
        lo: sum.lo + a.lo,
    }
}

/// 1 / (1 + e^-x) as 2^n (hi + lo), given e^-|x|.
#[inline(always)]
fn logistic<S: Isa, T: Float>(isa: S, x: T::V<S>, e: &Scaled<S, T>) -> Scaled<S, T> {
    let (zero, one) = (T::V::<S>::zero(isa), T::V::<S>::splat(isa, T::ONE));
    let below = x.lt(zero);
    let above = Pair::select(below, e.value, Pair { hi: one, lo: zero });
    let value = above.over(isa, one_plus::<S, T>(isa, unscaled(isa, e)));
    Scaled {
        n: T::V::<S>::select(below, e.n, zero),
        value,
    }
}

/// x · 2^n (hi + lo), rounded once.
#[inline(always)]
pub(crate) fn times_scaled<S: Isa, T: Float>(isa: S, x: T::V<S>, p: &Scaled<S, T>) -> T::V<S> {
    scale::<S, T>(isa, x.mul_add(p.value.hi, x * p.value.lo), p.n)
}

/// What a function x · p(x) with p from 0 to 1 gives outside of `limit`: x above, NaN at -∞ (-∞ times 0).
#[inline(always)]
pub(crate) fn gate_ends<S: Isa, T: Float>(isa: S, x: T::V<S>, limit: T, y: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let y = T::V::<S>::select(x.gt(c(limit)), x, y);
    T::V::<S>::select(x.eq(c(-T::INFINITY)), c(T::NAN), y)
}

/// The logistic function 1 / (1 + e^-x). At most 0.8 ULP of f64, 1.2 of f32 (1.12 over all), tails included.
#[inline(always)]
pub fn sigmoid<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    match T::PIECES {
        Some(gates) => gates[0].alone(
            isa,
            x,
            #[inline(always)]
            || sigmoid_by_pairs::<S, T>(isa, x),
        ),
        None => sigmoid_by_pairs::<S, T>(isa, x),
    }
}

#[inline(always)]
fn sigmoid_by_pairs<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let x = x.clamp(c(T::EXP_LOWEST), c(-T::EXP_LOWEST));
    let p = logistic::<S, T>(isa, x, &exp_pair(isa, -x.abs()));
    scale::<S, T>(isa, p.value.hi + p.value.lo, p.n)
}

/// x · sigmoid(x), also called swish. At most 0.8 ULP of f64, 2 of f32 (1.72 over all), tails included.
#[inline(always)]
pub fn silu<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    match T::PIECES {
        Some(gates) => gates[1].times_x(
            isa,
            x,
            #[inline(always)]
            || silu_by_pairs::<S, T>(isa, x),
        ),
        None => silu_by_pairs::<S, T>(isa, x),
    }
}

#[inline(always)]
fn silu_by_pairs<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let near = x.clamp(c(T::EXP_LOWEST), c(-T::EXP_LOWEST));
    let p = logistic::<S, T>(isa, near, &exp_pair(isa, -near.abs()));
    gate_ends::<S, T>(isa, x, -T::EXP_LOWEST, times_scaled(isa, near, &p))
}

/// ln(1 + e^x), exact for large x too (PyTorch's `softplus` with beta 1 and no threshold). At most 1 ULP.
#[inline(always)]
pub fn softplus<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let a = -(x.abs().clamp(c(T::ZERO), c(-T::EXP_LOWEST)));
    let e = exp_pair::<S, T>(isa, a);
    // max(x, 0) + ln(1 + e^-|x|)
    let log = log_pair::<S, T>(isa, one_plus::<S, T>(isa, unscaled(isa, &e)));
    let linear = T::V::<S>::select(x.gt(c(T::ZERO)), x, c(T::ZERO));
    let total = linear.two_sum(log.hi);
    let y = total.hi + (total.lo + log.lo);
    // ln(1 + e^x) is e^x to the last bit for very negative x, and x for very large.
    let tail = scale::<S, T>(isa, e.value.hi + e.value.lo, e.n);
    let y = T::V::<S>::select(x.lt(c(T::EXP_NEGLIGIBLE)), tail, y);
    let y = T::V::<S>::select(x.gt(c(-T::EXP_LOWEST)), x, y);
    T::V::<S>::select(x.is_nan(), x, y)
}

/// GELU by its tanh approximation, ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))) (Hendrycks and Gimpel, 2016), which is
/// x · sigmoid of twice the argument. At most 2 ULP of that formula, tails included (1.67 over all `f32`).
#[inline(always)]
pub fn gelu_tanh<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    match T::PIECES {
        Some(gates) => gates[2].times_x(
            isa,
            x,
            #[inline(always)]
            || gelu_tanh_by_pairs::<S, T>(isa, x),
        ),
        None => gelu_tanh_by_pairs::<S, T>(isa, x),
    }
}

/// Only the exponent is a pair, since an error in it is one in the result: w = |x| s with s = linear + cubic x². The short constant is
/// what makes `linear - s.hi` exact. e^-w = 2^n (1 + u), and x (1 + u) is rounded once.
#[inline(always)]
fn gelu_tanh_by_pairs<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let (zero, one) = (c(T::ZERO), c(T::ONE));
    let [linear, linear_low, cubic, cubic_low] = T::TANH_GELU;
    // w passes EXP_LOWEST before |x| passes 10.7 (f32) or 21.7 (f64).
    let limit = T::from_f64(if T::MANTISSA_BITS == 23 { 11.2 } else { 21.9 });
    let near = x.clamp(c(-limit), c(limit));
    let minus = -near.abs();
    let square = near.two_product(near);
    let slope = c(cubic).mul_add(square.hi, c(linear));
    let slope_low = c(cubic).mul_add(square.hi, c(linear) - slope)
        + c(cubic).mul_add(square.lo, c(cubic_low).mul_add(square.hi, c(linear_low)));
    let w = minus.two_product(slope); // -w
    let w_low = minus.mul_add(slope_low, w.lo);
    let n = (w.hi * c(T::LOG2_E)).round_ties_even();
    let r = n.neg_mul_add(c(T::LN2), w.hi) + n.neg_mul_add(c(T::LN2_LOW), w_low);
    let u = r * polynomial::<S, T>(isa, r, T::EXP).mul_add(r, one);
    let below = x.lt(zero);
    let under = one.fast_two_sum(scale::<S, T>(isa, one + u, n));
    let over = Pair {
        hi: T::V::<S>::select(below, near.mul_add(u, near), near),
        lo: zero,
    };
    let y = over.over(isa, under);
    let y = scale::<S, T>(isa, y.hi + y.lo, T::V::<S>::select(below, n, zero));
    gate_ends::<S, T>(isa, x, limit, y.copysign(x))
}

/// x · tanh(softplus(x)) (Misra, 2019). At most 1 ULP, tails included.
#[inline(always)]
pub fn mish<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let (zero, one) = (c(T::ZERO), c(T::ONE));
    let near = x.clamp(c(T::EXP_LOWEST), c(-T::EXP_LOWEST));
    let e = exp_pair::<S, T>(isa, -near.abs());
    let small = unscaled(isa, &e); // e = e^-|x|
    let below = near.lt(zero);
    // tanh(ln(1 + e^x)) = e (e + 2) / (e (e + 2) + 2) for x < 0, and (1 + 2 e) / (1 + 2 e + 2 e²) for x >= 0.
    let two = c(T::from_f64(2.0));
    let plus = two.fast_two_sum(small.hi);
    let plus = Pair {
        hi: plus.hi,
        lo: plus.lo + small.lo,
    };
    let twice = one.two_sum(small.hi + small.hi);
    let twice = Pair {
        hi: twice.hi,
        lo: twice.lo + (small.lo + small.lo),
    };
    let square = small.times(small);
    let product = small.times(plus);
    let under_below = two.fast_two_sum(product.hi);
    let under_below = Pair {
        hi: under_below.hi,
        lo: under_below.lo + product.lo,
    };
    let under_above = twice.hi.two_sum(square.hi + square.hi);
    let under_above = Pair {
        hi: under_above.hi,
        lo: under_above.lo + (twice.lo + (square.lo + square.lo)),
    };
    // e itself stays 2^n value, for the tail.
    let above = Pair::select(below, e.value.times(plus), twice);
    let value = above.over(isa, Pair::select(below, under_below, under_above));
    let p = Scaled::<S, T> {
        n: T::V::<S>::select(below, e.n, zero),
        value,
    };
    gate_ends::<S, T>(
        isa,
        x,
        -T::EXP_LOWEST,
        times_scaled(isa, near, &p).copysign(x),
    )
}
