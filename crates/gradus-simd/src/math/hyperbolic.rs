//! Hyperbolic functions and their inverses, on the pairs of `exp.rs` and `log.rs`.
//!
//! tanh of f64 is E / (E + 2) with E = e^2x - 1 (fdlibm's `s_tanh.c`), that of f32, which networks are full of, a polynomial whose
//! coefficients are looked up ([`TanhPieces`]); sinh is a polynomial where e^x - e^-x cancels; the inverses are logarithms of pairs.

use super::double::{Exact, Pair, polynomial};
use super::exp::{exp_pair, half_expm1_pair, power_of_two, scale};
use super::log::{log_pair, log_sum, split};
use crate::float::Float;
use crate::isa::{FloatVec, IntVec as _, Isa};

/// Coefficients from `tools/minimax.py`.
pub trait Hyperbolic: Sized + 'static {
    /// P of sinh x = x + x³ P(x²) on |x| <= 1.
    const SINH: &'static [Self];
    /// tanh by pieces, if it is short enough.
    const TANH: Option<&'static TanhPieces<Self>>;
}

/// tanh of |x| < 9.02 in 16 pieces, two an octave from 1/16 on and one below, in the order of the lowest bit of the exponent's
/// four and the highest of the mantissa: of each a point `a` in its middle, tanh a, and P of tanh(a + t) = tanh a + t P(t). At the
/// points tanh is a number of the type for many bits more than it has (Gal's accurate tables), so that one rounding is left: that
/// of the last sum. In the lowest piece a is 0 and tanh t = t + t P(t).
pub struct TanhPieces<T> {
    point: [T; 16],
    value: [T; 16],
    /// P, lowest coefficient first.
    slope: [[T; 16]; 7],
    /// Where the lowest piece ends, and a number in the half octave below it.
    near: [T; 2],
    /// From here on tanh is 1.
    far: T,
}

#[rustfmt::skip]
const TANH: TanhPieces<f32> = TanhPieces {
    point: [2.4440918, 3.589508, 4.859131, 7.0164185, 8.664307, 0.0, 0.07937908, 0.112192154, 0.15594101, 0.22551537, 0.30165863, 0.4464798, 0.62705994, 0.8958435, 1.2951202, 1.7174072],
    value: [0.9850425, 0.9984763, 0.99987966, 0.9999984, 0.99999994, 0.0, 0.07921278, 0.11172379, 0.15468915, 0.22176854, 0.29282975, 0.4190011, 0.55602443, 0.71426797, 0.86046165, 0.93755007],
    slope: [
        [0.029691245, 0.0030450246, 0.0002406776, 3.2186438e-06, 1.1921712e-07, 0.0, 0.99372536, 0.9875178, 0.97607124, 0.9508187, 0.91425073, 0.8244381, 0.69083685, 0.48982126, 0.25960574, 0.12099987],
        [-0.02924708, -0.0030403903, -0.0002406816, -3.2198855e-06, -1.1921661e-07, -2.2139614e-12, -0.07871574, -0.110329226, -0.15098764, -0.21086168, -0.2677198, -0.34544048, -0.38412216, -0.34986365, -0.22338079, -0.11344342],
        [0.018912954, 0.0020208473, 0.00016018697, 2.1465212e-06, 7.948414e-08, -0.33333334, -0.32500648, -0.3168462, -0.30200094, -0.2701771, -0.22635391, -0.13007276, -0.016697638, 0.086622745, 0.10567567, 0.06602587],
        [-0.008882925, -0.0010040292, -7.975728e-05, -1.0631773e-06, -3.975477e-08, -5.8684364e-08, 0.05198325, 0.07217567, 0.09704546, 0.130204, 0.15552293, 0.16964734, 0.137326, 0.054750424, -0.01646883, -0.024089908],
        [0.0030994408, 0.00039524288, 3.2685464e-05, 4.253957e-07, 1.5789583e-08, 0.13333602, 0.12630057, 0.11949661, 0.10734549, 0.08231458, 0.050216984, -0.009399561, -0.055437773, -0.05712048, -0.015304213, 0.0032497467],
        [-0.0007254515, -0.00013109502, -1.1673747e-05, -1.6202854e-07, -5.253496e-09, -6.0125927e-05, -0.029075745, -0.03985568, -0.05226536, -0.066319115, -0.07237197, -0.060209453, -0.023613762, 0.014580688, 0.013658947, 0.0025278968],
        [6.267825e-05, 4.0812934e-05, 2.610254e-06, 4.6341466e-08, 2.0354696e-09, -0.05340736, -0.049243953, -0.04489549, -0.03639234, -0.022154596, -0.00034979, 0.022713864, 0.029545147, 0.010873848, -0.00452863, -0.001987843],
    ],
    near: [0.0625, 0.05],
    far: 9.02,
};

impl Hyperbolic for f32 {
    const TANH: Option<&'static TanhPieces<f32>> = Some(&TANH);
    const SINH: &'static [f32] = &[0.16666667, 0.008333339, 0.00019838095, 2.8063312e-06];
}

impl Hyperbolic for f64 {
    const TANH: Option<&'static TanhPieces<f64>> = None;
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
fn tanh_by_pieces<S: Isa, T: Float>(isa: S, pieces: &TanhPieces<T>, a: T::V<S>) -> T::V<S> {
    let c = |v: T| T::V::<S>::splat(isa, v);
    let a = a.clamp(c(T::ZERO), c(pieces.far));
    // The exponent and a bit of the mantissa; all of the lowest piece as its upper end.
    let piece = a
        .clamp(c(pieces.near[1]), c(pieces.far))
        .to_bits()
        .shr_logical(T::MANTISSA_BITS - 1);
    let of = |table| T::V::<S>::lookup(isa, table, piece);
    let t = a - of(&pieces.point); // exact: the point is between half of a and twice a, or 0
    let value = T::V::<S>::select(a.lt(c(pieces.near[0])), a, of(&pieces.value));
    let [first @ .., last] = &pieces.slope;
    let slope = first
        .iter()
        .rev()
        .fold(of(last), |p, table| p.mul_add(t, of(table)));
    slope.mul_add(t, value)
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
