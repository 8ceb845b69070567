//! Special functions computed one lane at a time in `f64`: `lgamma`, `digamma`, `erfinv`.
//!
//! What it is: right and plain; these serve losses and distributions, not inner loops. What it is not: vectorised.
//! Sources: Stirling's series with a shift (Abramowitz and Stegun 6.1.41, 6.3.18); erfinv starts from S. Winitzki's closed
//! form (2008) and takes Halley steps on our own erf and erfc.

use std::f64::consts::PI;

use super::erf::{erf, erfc};
use crate::backend::scalar::Scalar;
use crate::float::Float;
use crate::isa::{FloatVec, Isa};

/// `f` in `f64`, lane by lane.
#[inline(always)]
fn per_lane<S: Isa, T: Float>(isa: S, x: T::V<S>, f: fn(f64) -> f64) -> T::V<S> {
    let mut lanes = x.to_array();
    for x in lanes.as_mut() {
        *x = T::from_f64(f(x.to_f64()));
    }
    T::V::<S>::load(isa, lanes.as_ref())
}

/// ln |Γ(x)|; +∞ at 0, at the negative integers and at ±∞. At most 2 ULP for x > 0 (0.6 for `f32`); next to its zeros
/// at negative x the relative error grows.
#[inline(always)]
pub fn lgamma<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    per_lane::<S, T>(isa, x, lgamma_f64)
}

/// The derivative of ln Γ(x), as `torch.digamma`: ∓∞ at ±0, NaN at the negative integers.
#[inline(always)]
pub fn digamma<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    per_lane::<S, T>(isa, x, digamma_f64)
}

/// The inverse of erf: ±∞ at ±1, NaN beyond. At most 2 ULP.
#[inline(always)]
pub fn erfinv<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    per_lane::<S, T>(isa, x, erfinv_f64)
}

/// sin(π x), exact at the integers.
fn sin_pi(x: f64) -> f64 {
    let r = x - 2.0 * (x / 2.0).round(); // in [-1, 1], exact
    if r.abs() > 0.5 {
        (PI * (r.signum() - r)).sin()
    } else {
        (PI * r).sin()
    }
}

/// Q of lgamma(1 + t) = t Q(t) on -0.3 <= t <= 0.4, from `tools/minimax.py`.
const NEAR_ONE: [f64; 24] = [
    -0.5772156649015329,
    0.8224670334241132,
    -0.40068563438653126,
    0.27058080842778504,
    -0.20738555102873207,
    0.16955717699735262,
    -0.14404989676026486,
    0.12550966952272186,
    -0.11133426651858873,
    0.10009945820491675,
    -0.09095398872051834,
    0.08335379103578858,
    -0.0769332788805332,
    0.07143475220216533,
    -0.0666560679854081,
    0.06246226707367242,
    -0.058946917499474706,
    0.05605826190927661,
    -0.052074477402350834,
    0.046173345882537235,
    -0.04697243873980588,
    0.06030095550373425,
    -0.06000282294066615,
    0.02674979508679904,
];

/// Q of lgamma(2 + t) = t Q(t) on -0.6 <= t <= 0.5, from `tools/minimax.py`.
const NEAR_TWO: [f64; 22] = [
    0.42278433509846713,
    0.3224670334241132,
    -0.0673523010531981,
    0.020580808427784373,
    -0.007385551028673222,
    0.0028905103307548196,
    -0.0011927539117404014,
    0.0005096695242731682,
    -0.000223154757564435,
    9.945752200395848e-05,
    -4.49262484831889e-05,
    2.050710275411364e-05,
    -9.439399558055823e-06,
    4.3756994866361035e-06,
    -2.039579874968858e-06,
    9.511061612338991e-07,
    -4.486736106832872e-07,
    2.2428177825354087e-07,
    -9.934860933642004e-08,
    2.6353320194371526e-08,
    -2.805634287846942e-08,
    2.8350918241398167e-08,
];

/// t Q(t).
fn near(t: f64, q: &[f64]) -> f64 {
    t * q.iter().rev().fold(0.0f64, |y, &c| y.mul_add(t, c))
}

fn lgamma_f64(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.is_infinite() || x <= 0.0 && x == x.floor() {
        return f64::INFINITY;
    }
    if x < 0.0 {
        // Γ(x) Γ(-x) = -π / (x sin(π x))
        return (PI / (x * sin_pi(x)).abs()).ln() - lgamma_f64(-x);
    }
    if x >= 8.0 {
        // Stirling's series
        let z = 1.0 / (x * x);
        let series = 1.0 / 12.0
            - z * (1.0 / 360.0
                - z * (1.0 / 1260.0
                    - z * (1.0 / 1680.0
                        - z * (1.0 / 1188.0
                            - z * (691.0 / 360360.0
                                - z * (1.0 / 156.0 - z * 3617.0 / 122400.0))))));
        let constant = 0.4189385332046727; // (ln 2π - 1) / 2
        return if x < 1e17 {
            (x - 0.5) * (x.ln() - 1.0) + (constant + series / x)
        } else {
            x * (x.ln() - 1.0)
        };
    }
    if x < 0.5 {
        near(x, &NEAR_TWO) - (x * (1.0 + x)).ln()
    } else if x < 0.7 {
        near(x - 1.0, &NEAR_TWO) - x.ln()
    } else if x < 1.4 {
        near(x - 1.0, &NEAR_ONE) + 0.0 // 0, not -0, at 1
    } else {
        // Γ(x) = (x - 1) (x - 2) … Γ(x - n)
        let (mut x, mut product) = (x, 1.0);
        while x >= 2.5 {
            x -= 1.0;
            product *= x;
        }
        near(x - 2.0, &NEAR_TWO) + f64::ln(product)
    }
}

fn digamma_f64(x: f64) -> f64 {
    if x == 0.0 {
        return -f64::INFINITY.copysign(x);
    }
    if x < 0.0 {
        if x == x.floor() {
            return f64::NAN;
        }
        // ψ(x) = ψ(1 - x) - π / tan(π x)
        let r = x - x.round();
        return digamma_f64(1.0 - x) - PI / (PI * r).tan();
    }
    let (mut x, mut shift) = (x, 0.0);
    while x < 10.0 {
        shift += 1.0 / x;
        x += 1.0;
    }
    let z = 1.0 / (x * x);
    let series = z
        * (1.0 / 12.0
            - z * (1.0 / 120.0
                - z * (1.0 / 252.0
                    - z * (1.0 / 240.0 - z * (1.0 / 132.0 - z * (691.0 / 32760.0 - z / 12.0))))));
    x.ln() - 0.5 / x - if x < 1e17 { series } else { 0.0 } - shift
}

fn erfinv_f64(y: f64) -> f64 {
    let a = y.abs();
    if a >= 1.0 || y.is_nan() {
        return if a == 1.0 {
            f64::INFINITY.copysign(y)
        } else {
            f64::NAN
        };
    }
    if a < 1e-10 {
        return y * (PI.sqrt() / 2.0);
    }
    let scalar = |v: f64| <<Scalar as Isa>::F64 as FloatVec<Scalar, f64>>::splat(Scalar, v);
    // Winitzki's closed form, right to 2e-3, starts the iteration.
    let (log, k) = ((-a * a).ln_1p(), 0.147);
    let half = 2.0 / (PI * k) + log / 2.0;
    let mut x = ((half * half - log / k).sqrt() - half).sqrt();
    for _ in 0..4 {
        // Past ½ the residual is taken of the complements, where erf has no bits left.
        let residual = if a < 0.5 {
            erf::<Scalar, f64>(Scalar, scalar(x)).to_array()[0] - a
        } else {
            (1.0 - a) - erfc::<Scalar, f64>(Scalar, scalar(x)).to_array()[0]
        };
        let newton = residual / (2.0 / PI.sqrt() * (-x * x).exp());
        x -= newton / (1.0 + x * newton); // Halley
    }
    x.copysign(y)
}
