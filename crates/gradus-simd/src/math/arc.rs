//! The inverse trigonometric functions: `asin`, `acos`, `atan`, `atan2`.
//!
//! atan folds its ratio into |q| <= tan(π/8) before the one division, taken as a pair; asin and acos fold at ½ by
//! asin x = π/2 - 2 asin √((1 - x)/2) (fdlibm's `e_asin.c`), with the root as a pair. About 0.6 ULP.

use super::double::{Exact, Pair, polynomial};
use crate::float::Float;
use crate::isa::{FloatVec, Isa};

/// Coefficients from `tools/minimax.py`.
pub trait Arc: Sized + 'static {
    /// P of atan q = q + q³ P(q²) on |q| <= tan(π/8).
    const ATAN: &'static [Self];
    /// P of asin x = x + x³ P(x²) on |x| <= ½.
    const ASIN: &'static [Self];
    /// A power of 2 that brings both ends of the range near 1.
    const ATAN_SCALE: Self;
}

impl Arc for f32 {
    const ATAN: &'static [f32] = &[
        -0.3333333,
        0.19999537,
        -0.14263839,
        0.10742467,
        -0.064477414,
    ];
    const ASIN: &'static [f32] = &[
        0.16666666,
        0.07500095,
        0.04459932,
        0.031101728,
        0.017143717,
        0.033700727,
    ];
    const ATAN_SCALE: f32 = 1.152_921_5e18; // 2^60
}

impl Arc for f64 {
    const ATAN: &'static [f64] = &[
        -0.3333333333333333,
        0.199999999999998,
        -0.14285714285658824,
        0.1111111110505757,
        -0.09090908748635232,
        0.07692296234491514,
        -0.06666422364033206,
        0.05878900032342983,
        -0.052302411507894,
        0.045506220391755364,
        -0.034545610104858494,
        0.016258132064979208,
    ];
    const ASIN: &'static [f64] = &[
        0.16666666666666666,
        0.07500000000000119,
        0.04464285714255019,
        0.030381944475693704,
        0.022372157435623815,
        0.017352816768546473,
        0.013963775787848137,
        0.011566511821890942,
        0.00962140274734483,
        0.009322101501082774,
        0.0030350071727267623,
        0.019579201619744684,
        -0.019277545928584557,
        0.02963502626354855,
    ];
    const ATAN_SCALE: f64 = 3.273_390_607_896_142e150; // 2^500
}

/// The angle of the point (x, y), x, y >= 0, in the first quadrant, plus a quarter turn where `left`: with the
/// reflection 0..π of a negative x done on pairs.
#[inline(always)]
fn angle<S: Isa, T: Float>(
    isa: S,
    y: T::V<S>,
    x: T::V<S>,
    left: <T::V<S> as FloatVec<S, T>>::Mask,
) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let (zero, half_pi) = (
        c(T::ZERO),
        Pair {
            hi: c(T::HALF_PI[0]),
            lo: c(T::HALF_PI[1]),
        },
    );
    // above <= under: the ratio is at most 1
    let steep = y.gt(x);
    let (above, under) = (
        T::V::<S>::select(steep, x, y),
        T::V::<S>::select(steep, y, x),
    );
    // past tan(π/8): atan(a/u) = π/4 + atan((a - u) / (a + u))
    let fold = above.gt(under * c(T::from_f64(std::f64::consts::SQRT_2 - 1.0)));
    let (minus, plus) = (under.fast_two_sum(-above), under.fast_two_sum(above));
    let numerator = Pair::select(
        fold,
        Pair {
            hi: -minus.hi,
            lo: -minus.lo,
        },
        Pair {
            hi: above,
            lo: zero,
        },
    );
    let q = numerator.over(
        isa,
        Pair::select(
            fold,
            plus,
            Pair {
                hi: under,
                lo: zero,
            },
        ),
    );
    let z = q.hi * q.hi;
    let rest = (q.hi * z).mul_add(polynomial::<S, T>(isa, z, T::ATAN), q.lo);
    // The angle is base ± (q.hi + rest), base 0, π/4, π/2, 3π/4 or π.
    let half = c(T::from_f64(0.5));
    let flip = steep ^ left; // each reflection turns the sign
    let quarters = T::V::<S>::select(fold, half, zero);
    let quarters = T::V::<S>::select(steep, c(T::ONE) - quarters, quarters);
    let quarters = T::V::<S>::select(left, c(T::from_f64(2.0)) - quarters, quarters);
    // Multiples by ½, 1 and 2 are exact; 3/2 is not, so its low part is corrected.
    let base = quarters.two_product(half_pi.hi);
    let base = Pair {
        hi: base.hi,
        lo: quarters.mul_add(half_pi.lo, base.lo),
    };
    let (q, rest) = (
        T::V::<S>::select(flip, -q.hi, q.hi),
        T::V::<S>::select(flip, -rest, rest),
    );
    let sum = base.hi.fast_two_sum(q);
    sum.hi + (sum.lo + (base.lo + rest))
}

/// The inverse tangent. At most 1 ULP.
#[inline(always)]
pub fn atan<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let a = x.abs();
    // Past this the angle rounds to π/2, and 1/a would need scaling.
    let far = c(T::from_f64(
        4.0 / (T::EPSILON.to_f64() * T::EPSILON.to_f64()),
    ));
    let one = c(T::ONE);
    let y = angle::<S, T>(isa, a.clamp(c(T::ZERO), far), one, one.lt(c(T::ZERO)));
    T::V::<S>::select(a.lt(c(super::tiny::<T>())), a, y).copysign(x)
}

/// The angle of the point (x, y) from -π to π, with C's rules for zeros and infinities. At most 0.8 ULP.
#[inline(always)]
pub fn atan2<S: Isa, T: Float>(isa: S, y: T::V<S>, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let (zero, one) = (c(T::ZERO), c(T::ONE));
    let (ax, ay) = (x.abs(), y.abs());
    let left = one.copysign(x).lt(zero); // -0 is on the left
    // Bring the larger near 1, so that sums do not overflow and remainders do not underflow.
    let largest = T::V::<S>::select(ax.gt(ay), ax, ay);
    let (big, small) = (c(T::ATAN_SCALE), one / c(T::ATAN_SCALE));
    let factor = T::V::<S>::select(
        largest.gt(big),
        small,
        T::V::<S>::select(largest.lt(small), big, one),
    );
    let (u, v) = (ay * factor, ax * factor);
    // Two infinities stand for the point (1, 1), two zeros for (0, 1).
    let infinity = c(T::INFINITY);
    let diagonal = ax.eq(infinity) & ay.eq(infinity);
    let u = T::V::<S>::select(
        ay.eq(infinity),
        one,
        T::V::<S>::select(ax.eq(infinity), zero, u),
    );
    let v = T::V::<S>::select(
        ax.eq(infinity) | largest.eq(zero),
        one,
        T::V::<S>::select(ay.eq(infinity), zero, v),
    );
    let v = T::V::<S>::select(diagonal, one, v);
    let angle = angle::<S, T>(isa, u, v, left);
    // A tiny ratio may be subnormal, where a pair's remainder is lost; the quotient alone is right.
    let ratio = ay / ax;
    let direct = !left & ratio.lt(c(super::tiny::<T>())) & !ax.eq(infinity);
    let angle = T::V::<S>::select(direct, ratio, angle).copysign(y);
    T::V::<S>::select(x.is_nan() | y.is_nan(), x + y, angle)
}

/// √z and its remainder.
#[inline(always)]
fn root<S: Isa, T: Float>(isa: S, z: T::V<S>) -> Pair<T::V<S>> {
    let root = z.sqrt();
    let lo = root.neg_mul_add(root, z) / (root + root);
    let zero = T::V::<S>::zero(isa);
    Pair {
        hi: root,
        lo: T::V::<S>::select(root.gt(zero), lo, zero),
    }
}

/// asin |x| for |x| <= ½ of x itself; else ½ acos |x|, of √((1 - |x|)/2): a pair, and where it is the second.
#[inline(always)]
fn half_angle<S: Isa, T: Float>(
    isa: S,
    x: T::V<S>,
) -> (Pair<T::V<S>>, <T::V<S> as FloatVec<S, T>>::Mask) {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let half = c(T::from_f64(0.5));
    let a = x.abs();
    let outer = a.gt(half);
    let rest = a.neg_mul_add(half, half); // (1 - a) / 2, exact for a >= ½; negative past 1, where the root is NaN
    let s = Pair::select(
        outer,
        root::<S, T>(isa, rest),
        Pair {
            hi: a,
            lo: c(T::ZERO),
        },
    );
    let z = T::V::<S>::select(outer, rest, a * a);
    let lo = (s.hi * z).mul_add(polynomial::<S, T>(isa, z, T::ASIN), s.lo);
    (Pair { hi: s.hi, lo }, outer)
}

/// The inverse sine; NaN past ±1. At most 0.7 ULP.
#[inline(always)]
pub fn asin<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let (p, outer) = half_angle::<S, T>(isa, x);
    // π/2 - 2 p
    let sum = c(T::HALF_PI[0]).fast_two_sum(-(p.hi + p.hi));
    let far = sum.hi + (sum.lo + (c(T::HALF_PI[1]) - (p.lo + p.lo)));
    let y = T::V::<S>::select(outer, far, p.hi + p.lo);
    T::V::<S>::select(x.abs().lt(c(super::tiny::<T>())), x.abs(), y).copysign(x)
}

/// The inverse cosine; NaN past ±1. At most 0.7 ULP.
#[inline(always)]
pub fn acos<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let (p, outer) = half_angle::<S, T>(isa, x);
    let left = x.lt(c(T::ZERO));
    // π/2 - asin x inside, 2 p outside on the right, π - 2 p on the left
    let p = Pair {
        hi: T::V::<S>::select(outer, p.hi + p.hi, p.hi),
        lo: T::V::<S>::select(outer, p.lo + p.lo, p.lo),
    };
    let negative = !(outer ^ left);
    let quarters = T::V::<S>::select(
        outer,
        T::V::<S>::select(left, c(T::from_f64(2.0)), c(T::ZERO)),
        c(T::ONE),
    );
    let (hi, lo) = (
        T::V::<S>::select(negative, -p.hi, p.hi),
        T::V::<S>::select(negative, -p.lo, p.lo),
    );
    let sum = (quarters * c(T::HALF_PI[0])).fast_two_sum(hi);
    sum.hi + (sum.lo + quarters.mul_add(c(T::HALF_PI[1]), lo))
}
