//! Hyperbolic functions and their inverses, on the pairs of `exp.rs` and `log.rs`.
//!
//! tanh of f64 is E / (E + 2) with E = e^2x - 1 (fdlibm's `s_tanh.c`), that of f32, which networks are full of, a polynomial whose
//! coefficients are looked up (`pieces.rs`); sinh is a polynomial where e^x - e^-x cancels; the inverses are logarithms of pairs.

use super::double::{Exact, Pair, polynomial};
use super::exp::{exp_pair, half_expm1_pair, power_of_two, scale};
use super::log::{log_pair, log_sum, split};
use super::pieces::{self, Pieces};
use crate::float::Float;
use crate::isa::{FloatVec, IntVec as _, Isa};

/// Coefficients from `tools/minimax.py`.
pub trait Hyperbolic: Sized + 'static {
    /// P of sinh x = x + x³ P(x²) on |x| <= 1.
    const SINH: &'static [Self];
    /// tanh by pieces, if it is short enough.
    const TANH: Option<&'static Pieces<Self, 7>>;
}

impl Hyperbolic for f32 {
    const TANH: Option<&'static Pieces<f32, 7>> = Some(&pieces::TANH);
    const SINH: &'static [f32] = &[0.16666667, 0.008333339, 0.00019838095, 2.8063312e-06];
}

impl Hyperbolic for f64 {
    const TANH: Option<&'static Pieces<f64, 7>> = None;
    const SINH: &'static [f64] = &[
        0.16666666666666666,
        0.008333333333333333,
        0.00019841269841269773,
        2.755731922404061e-06,
        2.5052108363972185e-08,
        1.6059048410081293e-10,
        7.646624280324513e-13,
        2.8445596736423237e-15,
    ];
}

/// The hyperbolic tangent. At most 0.74 ULP of f32 (all of them), 0.8 of f64.
#[inline(always)]
pub fn tanh<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let magnitude = x.abs();
    if let Some(pieces) = T::TANH {
        return tanh_by_pieces(isa, pieces, magnitude).copysign(x);
    }
    let a = magnitude.clamp(c(T::ZERO), c(-T::EXP_NEGLIGIBLE)); // far past where tanh rounds to 1
    let half = half_expm1_pair::<S, T>(isa, a + a);
    let sum = c(T::ONE).two_sum(half.hi);
    let y = half.over(
        isa,
        Pair {
            hi: sum.hi,
            lo: sum.lo + half.lo,
        },
    );
    T::V::<S>::select(magnitude.lt(c(super::tiny::<T>())), magnitude, y.hi + y.lo).copysign(x)
}

/// tanh of `a` >= 0.
#[inline(always)]
fn tanh_by_pieces<S: Isa, T: Float>(isa: S, pieces: &Pieces<T, 7>, a: T::V<S>) -> T::V<S> {
    let c = |v: f64| T::V::<S>::splat(isa, T::from_f64(v));
    let (near, far) = (c(0.0625), c(9.02));
    let a = a.clamp(c(0.0), far); // from there on tanh is 1
    // All of the lowest piece as its upper end.
    let index = a
        .clamp(c(0.05), far)
        .to_bits()
        .shr_logical(T::MANTISSA_BITS - 1);
    let at = pieces.at(isa, a, index);
    at.slope
        .mul_add(at.t, T::V::<S>::select(a.lt(near), a, at.value))
}

/// e^a = 2^n (hi + lo) for a >= 0 and e^-a as a pair over the same 2^n: what sinh and cosh are the halves of.
#[inline(always)]
fn both_exponentials<S: Isa, T: Float>(
    isa: S,
    a: T::V<S>,
) -> (T::V<S>, Pair<T::V<S>>, Pair<T::V<S>>) {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let up = exp_pair::<S, T>(isa, a);
    // 1 / (2^2n value): past the precision nothing is left of it, and n is kept where 2^-2n is normal.
    let n = up.n.clamp(
        c(T::ZERO),
        c(T::from_f64(f64::from(T::EXPONENT_BIAS / 2 - 1))),
    );
    let shrink = power_of_two::<S, T>(isa, -(n + n));
    let down = Pair {
        hi: c(T::ONE),
        lo: c(T::ZERO),
    }
    .over(isa, up.value);
    (
        up.n,
        up.value,
        Pair {
            hi: down.hi * shrink,
            lo: down.lo * shrink,
        },
    )
}

/// The hyperbolic sine. At most 0.8 ULP.
#[inline(always)]
pub fn sinh<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let square = x * x;
    let near = (x * square).mul_add(polynomial::<S, T>(isa, square, T::SINH), x);
    let a = x.abs().clamp(c(T::ZERO), c(T::EXP_HIGHEST + T::ONE));
    let (n, up, down) = both_exponentials::<S, T>(isa, a);
    let difference = up.hi.fast_two_sum(-down.hi);
    let far = difference.hi + (difference.lo + (up.lo - down.lo));
    let far = scale::<S, T>(isa, far, n - c(T::ONE)).copysign(x);
    T::V::<S>::select(x.abs().lt(c(T::ONE)), near, far)
}

/// The hyperbolic cosine. At most 0.6 ULP.
#[inline(always)]
pub fn cosh<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let a = x.abs().clamp(c(T::ZERO), c(T::EXP_HIGHEST + T::ONE));
    let (n, up, down) = both_exponentials::<S, T>(isa, a);
    let sum = up.hi.two_sum(down.hi);
    scale::<S, T>(isa, sum.hi + (sum.lo + (up.lo + down.lo)), n - c(T::ONE))
}

/// √ of a pair, as a pair.
#[inline(always)]
fn sqrt_pair<S: Isa, T: Float>(isa: S, x: Pair<T::V<S>>) -> Pair<T::V<S>> {
    let root = x.hi.sqrt();
    let rest = root.neg_mul_add(root, x.hi) + x.lo;
    let lo = rest / (root + root);
    let zero = T::V::<S>::zero(isa);
    Pair {
        hi: root,
        lo: T::V::<S>::select(root.gt(zero), lo, zero),
    }
}

/// ln(2 x) for x so large that asinh and acosh are no more than that.
#[inline(always)]
fn log_twice<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let (k, m) = split::<S, T>(isa, x);
    let log = log_sum::<S, T>(
        isa,
        k + c(T::ONE),
        Pair {
            hi: m - c(T::ONE),
            lo: c(T::ZERO),
        },
    );
    log.hi + log.lo
}

/// ln(1 + u) of a pair u >= 0.
#[inline(always)]
fn log1p_pair<S: Isa, T: Float>(isa: S, u: Pair<T::V<S>>) -> T::V<S> {
    let sum = T::V::<S>::splat(isa, T::ONE).two_sum(u.hi);
    let log = log_pair::<S, T>(
        isa,
        Pair {
            hi: sum.hi,
            lo: sum.lo + u.lo,
        }
        .normalised(),
    );
    log.hi + log.lo
}

/// The inverse hyperbolic sine, ln(x + √(x² + 1)). At most 0.7 ULP.
#[inline(always)]
pub fn asinh<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let a = x.abs();
    let large = c(T::from_f64(2f64.powi(T::MANTISSA_BITS as i32 / 2 + 4)));
    let near = T::V::<S>::select(a.lt(large), a, c(T::ONE));
    // a + √(a² + 1) - 1 = a + a² / (1 + √(a² + 1))
    let square = near.two_product(near);
    let plus = c(T::ONE).two_sum(square.hi);
    let root = sqrt_pair::<S, T>(
        isa,
        Pair {
            hi: plus.hi,
            lo: plus.lo + square.lo,
        },
    );
    let under = c(T::ONE).two_sum(root.hi);
    let quotient = square.over(
        isa,
        Pair {
            hi: under.hi,
            lo: under.lo + root.lo,
        },
    );
    let sum = near.fast_two_sum(quotient.hi);
    let y = log1p_pair::<S, T>(
        isa,
        Pair {
            hi: sum.hi,
            lo: sum.lo + quotient.lo,
        },
    );
    let y = T::V::<S>::select(a.lt(large), y, log_twice::<S, T>(isa, a));
    let y = T::V::<S>::select(a.lt(c(T::INFINITY)), y, a); // ∞ and NaN
    // asinh x = x - x³/6 …
    T::V::<S>::select(a.lt(c(super::tiny::<T>())), a, y).copysign(x)
}

/// The inverse hyperbolic cosine, ln(x + √(x² - 1)); NaN below 1. At most 0.7 ULP.
#[inline(always)]
pub fn acosh<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let large = c(T::from_f64(2f64.powi(T::MANTISSA_BITS as i32 / 2 + 4)));
    let near = T::V::<S>::select(x.lt(large) & x.ge(c(T::ONE)), x, c(T::ONE));
    // With t = x - 1: ln(1 + t + √(t (t + 2)))
    let t = near - c(T::ONE); // exact: Sterbenz, or x has no lower bits
    let t = Pair {
        hi: t,
        lo: (near - t) - c(T::ONE),
    };
    let two = t.hi.two_sum(c(T::from_f64(2.0)));
    let root = sqrt_pair::<S, T>(
        isa,
        t.times(Pair {
            hi: two.hi,
            lo: two.lo + t.lo,
        }),
    );
    let sum = t.hi.two_sum(root.hi);
    let y = log1p_pair::<S, T>(
        isa,
        Pair {
            hi: sum.hi,
            lo: sum.lo + (root.lo + t.lo),
        },
    );
    let y = T::V::<S>::select(x.lt(large), y, log_twice::<S, T>(isa, x));
    let y = T::V::<S>::select(x.lt(c(T::INFINITY)), y, x); // ∞ and NaN
    T::V::<S>::select(x.lt(c(T::ONE)), c(T::NAN), y)
}

/// The inverse hyperbolic tangent, ½ ln((1 + x) / (1 - x)); NaN past ±1. At most 0.7 ULP.
#[inline(always)]
pub fn atanh<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let a = x.abs();
    let inside = a.lt(c(T::ONE));
    let near = T::V::<S>::select(inside, a, c(T::ZERO));
    // ½ ln(1 + 2 a / (1 - a))
    let u = Pair {
        hi: near + near,
        lo: c(T::ZERO),
    }
    .over(isa, c(T::ONE).fast_two_sum(-near));
    let y = log1p_pair::<S, T>(isa, u.normalised()) * c(T::from_f64(0.5));
    let y = T::V::<S>::select(a.lt(c(super::tiny::<T>())), a, y);
    let y = T::V::<S>::select(inside, y, c(T::NAN));
    T::V::<S>::select(a.eq(c(T::ONE)), c(T::INFINITY), y).copysign(x)
}
