//! Powers: `pow` and `rsqrt`.
//!
//! |x|^y = e^(y ln |x|), so ln |x| must be right to as many more bits as y ln |x| has before the point: 7 (f32) or
//! 10 (f64). The logarithm of `log.rs` carries its largest correction, 2/3 s³, as a pair too (SLEEF's `logk`).
//! The special cases are C99's and IEEE-754's `pow`, which PyTorch follows.

use super::double::{Exact, Pair, polynomial};
use super::exp::{exp_of_pair, scale};
use super::log::split_any;
use crate::float::Float;
use crate::isa::{FloatVec, Isa};

/// Coefficients from `tools/minimax.py`.
pub trait Power: Sized + 'static {
    /// 2/3 in two parts.
    const TWO_THIRDS: [Self; 2];
    /// P of 2 atanh(s) = 2 s + 2/3 s³ + s⁵ P(s²) on |s| <= (√2 - 1) / (√2 + 1).
    const LOG_FAR: &'static [Self];
}

impl Power for f32 {
    const TWO_THIRDS: [f32; 2] = [0.6666667, -1.9868216e-08];
    const LOG_FAR: &'static [f32] = &[0.4, 0.2857153, 0.22204763, 0.19120455];
}

impl Power for f64 {
    const TWO_THIRDS: [f64; 2] = [0.6666666666666666, 3.700743415417188e-17];
    const LOG_FAR: &'static [f64] = &[
        0.4,
        0.28571428571428564,
        0.2222222222222843,
        0.18181818179656925,
        0.15384615761170173,
        0.13333296534432942,
        0.11766813121034213,
        0.10456327269484514,
        0.107624244195648,
    ];
}

/// ln x of a positive finite x as a normalised pair, to 12 bits more than twice `hi`'s precision less a half.
#[inline(always)]
fn log_precise<S: Isa, T: Float>(isa: S, x: T::V<S>) -> Pair<T::V<S>> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let two = c(T::from_f64(2.0));
    let (k, m) = split_any::<S, T>(isa, x);
    let f = m - c(T::ONE);
    let s = Pair {
        hi: f,
        lo: c(T::ZERO),
    }
    .over(isa, two.fast_two_sum(f))
    .normalised();
    let z = s.times(s).normalised();
    let third = z.times(Pair {
        hi: c(T::TWO_THIRDS[0]),
        lo: c(T::TWO_THIRDS[1]),
    });
    let third = Pair {
        hi: third.hi,
        lo: (z.hi * z.hi).mul_add(polynomial::<S, T>(isa, z.hi, T::LOG_FAR), third.lo),
    };
    let factor = two.fast_two_sum(third.hi);
    let log = s.times(Pair {
        hi: factor.hi,
        lo: factor.lo + third.lo,
    });
    let sum = (k * c(T::LN2_SHORT)).fast_two_sum(log.hi);
    Pair {
        hi: sum.hi,
        lo: sum.lo + k.mul_add(c(T::LN2_SHORT_LOW), log.lo),
    }
    .normalised()
}

/// x^y. At most 0.8 ULP; a power that is a floating-point number is exact.
#[inline(always)]
pub fn pow<S: Isa, T: Float>(isa: S, x: T::V<S>, y: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let (zero, one, infinity) = (c(T::ZERO), c(T::ONE), c(T::INFINITY));
    let a = x.abs();
    let log = log_precise::<S, T>(isa, a);
    let log_hi = T::V::<S>::select(
        a.eq(zero),
        -infinity,
        T::V::<S>::select(a.eq(infinity), infinity, log.hi),
    );
    let product = log_hi.two_product(y);
    let hi = product.hi.clamp(c(T::EXP_LOWEST), c(T::EXP_HIGHEST));
    let lo = T::V::<S>::select(hi.eq(product.hi), log.lo.mul_add(y, product.lo), zero);
    let e = exp_of_pair::<S, T>(isa, Pair { hi, lo });
    let magnitude = scale::<S, T>(isa, e.value.hi + e.value.lo, e.n);
    // (±1)^±∞ is 1, where ln 1 · ∞ is not a number.
    let magnitude = T::V::<S>::select(a.eq(one) & !y.is_nan(), one, magnitude);
    // The sign of x counts for odd y; a negative x wants an integral y.
    let half = y * c(T::from_f64(0.5));
    let integral = y.eq(y.trunc());
    let odd = integral & half.ne(half.trunc());
    let signed = T::V::<S>::select(odd, magnitude.copysign(x), magnitude);
    let z = T::V::<S>::select(x.lt(zero) & !integral & a.ne(infinity), c(T::NAN), signed);
    let z = T::V::<S>::select(x.is_nan() | y.is_nan(), x + y, z);
    // x^0 and 1^y are 1, of NaN too.
    T::V::<S>::select(y.eq(zero) | x.eq(one), one, z)
}

/// 1 / √x: NaN below 0, ∞ at 0 (-∞ at -0). At most 0.6 ULP.
#[inline(always)]
pub fn rsqrt<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let y = c(T::ONE) / x.sqrt();
    // One Newton step on the exact residual 1 - x y²; not where it is not finite (x = 0 or ∞).
    let root = x.two_product(y);
    let residual = root.hi.neg_mul_add(y, c(T::ONE)) - root.lo * y;
    let refined = (y * residual).mul_add(c(T::from_f64(0.5)), y);
    T::V::<S>::select(residual.abs().lt(c(T::ONE)), refined, y)
}
