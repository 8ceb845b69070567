//! Vector maths: elementary and special functions on lanes of `f32` and `f64`.
//!
//! Every function is generic over the ISA and the element, `exp::<S, T>(isa, x)`, gives the same bits on every ISA, is
//! right for NaN, ±∞, −0 and subnormal arguments and results, and states its largest error in ULP (units in the last
//! place of the exact result). The trick throughout is to carry the rounding errors that matter as the low half of a
//! pair (`double.rs`) and to evaluate a polynomial only for what is small beside it.
//! Polynomials are fitted by `tools/minimax.py`.
//! What it is not: correctly rounded (0.5 ULP); that costs several times more.

pub(crate) mod activation;
pub(crate) mod arc;
mod double;
pub(crate) mod erf;
pub(crate) mod exp;
mod gamma;
pub(crate) mod gate;
pub(crate) mod hyperbolic;
pub(crate) mod log;
mod payne_hanek;
pub(crate) mod pieces;
pub(crate) mod power;
pub(crate) mod slopes;
pub(crate) mod trig;

pub use activation::{gelu_tanh, mish, sigmoid, silu, softplus};
pub use arc::{acos, asin, atan, atan2};
pub use erf::{erf, erfc, gelu};
pub use exp::{exp, exp2, expm1};
pub use gamma::{digamma, erfinv, lgamma};
pub use hyperbolic::{acosh, asinh, atanh, cosh, sinh, tanh};
pub use log::{ln, log1p, log2, log10};
pub use power::{pow, rsqrt};
pub use slopes::{gelu_slope, gelu_tanh_slope, silu_slope};
pub use trig::{cos, sin, tan};

use crate::float::Float;

/// So small that f(x) = x to a thirtieth of an ULP or better for f with f(x) = x + O(x²).
#[inline(always)]
fn tiny<T: Float>() -> T {
    T::from_f64(T::EPSILON.to_f64() / 64.0)
}
