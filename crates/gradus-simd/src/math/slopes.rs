//! The slopes of `gelu`, `gelu_tanh` and `silu`, which their backward passes multiply by.
//!
//! Of f32 they are gates (`gate.rs`) above a negative edge; of f64, and below it, the formulas. All cross 0 between -1.3 and -0.7: an
//! error is small beside the slope or beside 1, as that of a formula is.
//! At ±∞ they are NaN, as PyTorch's are: their formulas hold products of x with 0.

use super::activation::sigmoid;
use super::erf::erfc;
use super::exp::exp;
use super::gate::{self, Gate};
use crate::float::Float;
use crate::isa::{FloatVec, Isa};

/// What the slopes of a type are made of.
pub trait Slopes: Sized + 'static {
    /// Those of `gelu`, `gelu_tanh` and `silu` by pieces, if they are short enough.
    const SLOPES: Option<[&'static Gate<Self>; 3]>;
}

impl Slopes for f32 {
    const SLOPES: Option<[&'static Gate<f32>; 3]> =
        Some([&gate::GELU_SLOPE, &gate::GELU_TANH_SLOPE, &gate::SILU_SLOPE]);
}

impl Slopes for f64 {
    const SLOPES: Option<[&'static Gate<f64>; 3]> = None;
}

/// Slope `which`, whose formula is given.
#[inline(always)]
fn slope<S: Isa, T: Float>(
    isa: S,
    x: T::V<S>,
    which: usize,
    formula: impl Fn() -> T::V<S>,
) -> T::V<S> {
    let y = match T::SLOPES {
        Some(gates) => gates[which].alone(isa, x, formula),
        None => formula(),
    };
    x.mul_add(T::V::<S>::zero(isa), y)
}

/// d/dx of x Φ(x): Φ(x) + x φ(x).
#[inline(always)]
pub fn gelu_slope<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: f64| T::V::<S>::splat(isa, T::from_f64(v));
    slope::<S, T>(
        isa,
        x,
        0,
        #[inline(always)]
        || {
            let half = c(0.5);
            let below = half * erfc::<S, T>(isa, x * c(-std::f64::consts::FRAC_1_SQRT_2));
            let density = c(0.398_942_280_401_432_7) * exp::<S, T>(isa, -(half * x * x)); // 1/√(2π)
            x.mul_add(density, below)
        },
    )
}

/// d/dx of [`gelu_tanh`](super::gelu_tanh): σ + x σ (1 - σ) w' of σ(w), w = 2 √(2/π) (x + 0.044715 x³).
#[inline(always)]
pub fn gelu_tanh_slope<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    let c = |v: f64| T::V::<S>::splat(isa, T::from_f64(v));
    slope::<S, T>(
        isa,
        x,
        1,
        #[inline(always)]
        || {
            let (one, linear) = (c(1.0), c(1.595_769_121_605_730_7)); // 2 √(2/π)
            let x = x.clamp(c(-100.0), c(100.0)); // far past where it is 0 and 1; the cube fits
            let t = c(0.044_715) * x * x;
            let s = sigmoid::<S, T>(isa, linear * x * (one + t));
            let slope = linear * c(3.0).mul_add(t, one);
            (x * s * (one - s)).mul_add(slope, s)
        },
    )
}

/// d/dx of x σ(x): σ (1 + x (1 - σ)).
#[inline(always)]
pub fn silu_slope<S: Isa, T: Float>(isa: S, x: T::V<S>) -> T::V<S> {
    slope::<S, T>(
        isa,
        x,
        2,
        #[inline(always)]
        || {
            let one = T::V::<S>::splat(isa, T::ONE);
            let s = sigmoid::<S, T>(isa, x);
            s * x.mul_add(one - s, one)
        },
    )
}
