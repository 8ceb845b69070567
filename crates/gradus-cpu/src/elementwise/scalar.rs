//! The definition of every floating-point elementwise operation, for one element in `f64`.
//!
//! This is the readable reference the vector kernels are tested against, and what runs for the operations that have
//! no vector version. `f32` is computed here in `f64` and rounded once.
//! NaN rules, edge cases and formulas are PyTorch's (ATen/native/cpu/{Unary,Binary,Activation}OpsKernel.cpp).

use super::ops::{BinaryOp, PredicateOp, TernaryOp, UnaryOp};
use super::special::{digamma, erf, erfc, erfinv, lgamma};
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LN_2, PI};

/// scale and scale·alpha of selu.
pub(crate) const SELU: (f64, f64) = (1.050_700_987_355_480_5, 1.758_099_340_847_376_6);

/// √(2/π) and the cubic coefficient of the tanh approximation of gelu.
pub(crate) const GELU_TANH: (f64, f64) = (0.797_884_560_802_865_4, 0.044715);

fn sigmoid(x: f64) -> f64 {
    // e^x instead of 1/(1 + e^-x) where x < 0, so that the tail does not overflow to 0 early.
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

fn softplus(x: f64) -> f64 {
    if x.is_nan() {
        x
    } else {
        x.max(0.0) + (-x.abs()).exp().ln_1p()
    }
}

pub(crate) fn maximum(a: f64, b: f64) -> f64 {
    if a.is_nan() || a > b { a } else { b }
}

pub(crate) fn minimum(a: f64, b: f64) -> f64 {
    if a.is_nan() || a < b { a } else { b }
}

/// The density of the standard normal distribution.
fn normal_density(x: f64) -> f64 {
    (-0.5 * x * x).exp() * (0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2)
}

/// The value of a unary operation at `x`. (`BitwiseNot` has none: NaN.)
pub fn unary(op: UnaryOp, x: f64) -> f64 {
    match op {
        UnaryOp::Neg => -x,
        UnaryOp::Abs => x.abs(),
        UnaryOp::Sign => {
            if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                0.0
            }
        }
        UnaryOp::Square => x * x,
        UnaryOp::Reciprocal => 1.0 / x,
        UnaryOp::Sqrt => x.sqrt(),
        UnaryOp::Rsqrt => 1.0 / x.sqrt(),
        UnaryOp::Exp => x.exp(),
        UnaryOp::Exp2 => x.exp2(),
        UnaryOp::Expm1 => x.exp_m1(),
        UnaryOp::Log => x.ln(),
        UnaryOp::Log1p => x.ln_1p(),
        UnaryOp::Log2 => x.log2(),
        UnaryOp::Log10 => x.log10(),
        UnaryOp::Sin => x.sin(),
        UnaryOp::Cos => x.cos(),
        UnaryOp::Tan => x.tan(),
        UnaryOp::Asin => x.asin(),
        UnaryOp::Acos => x.acos(),
        UnaryOp::Atan => x.atan(),
        UnaryOp::Sinh => x.sinh(),
        UnaryOp::Cosh => x.cosh(),
        UnaryOp::Tanh => x.tanh(),
        UnaryOp::Asinh => asinh(x),
        UnaryOp::Acosh => acosh(x),
        UnaryOp::Atanh => 0.5 * (2.0 * x / (1.0 - x)).ln_1p(),
        UnaryOp::Erf => erf(x),
        UnaryOp::Erfc => erfc(x),
        UnaryOp::Erfinv => erfinv(x),
        UnaryOp::Lgamma => lgamma(x),
        UnaryOp::Digamma => digamma(x),
        UnaryOp::Sinc => {
            if x == 0.0 {
                1.0
            } else {
                (PI * x).sin() / (PI * x)
            }
        }
        UnaryOp::Sigmoid => sigmoid(x),
        UnaryOp::Logit => (x / (1.0 - x)).ln(),
        UnaryOp::LogSigmoid => -softplus(-x),
        UnaryOp::Floor => x.floor(),
        UnaryOp::Ceil => x.ceil(),
        UnaryOp::Round => x.round_ties_even(),
        UnaryOp::Trunc => x.trunc(),
        UnaryOp::Frac => x - x.trunc(),
        UnaryOp::Relu => maximum(x, 0.0),
        UnaryOp::Relu6 => minimum(maximum(x, 0.0), 6.0),
        UnaryOp::LeakyRelu(slope) => {
            if x > 0.0 {
                x
            } else {
                slope * x
            }
        }
        UnaryOp::Elu(alpha) => {
            if x > 0.0 {
                x
            } else {
                alpha * x.exp_m1()
            }
        }
        UnaryOp::Selu => {
            if x > 0.0 {
                SELU.0 * x
            } else {
                SELU.1 * x.exp_m1()
            }
        }
        UnaryOp::Celu(alpha) => {
            if x > 0.0 {
                x
            } else {
                alpha * (x / alpha).exp_m1()
            }
        }
        UnaryOp::Gelu => 0.5 * x * erfc(-x * FRAC_1_SQRT_2),
        UnaryOp::GeluTanh => x * sigmoid(2.0 * GELU_TANH.0 * x * (1.0 + GELU_TANH.1 * x * x)),
        UnaryOp::Silu => x * sigmoid(x),
        UnaryOp::Mish => x * softplus(x).tanh(),
        UnaryOp::Softplus { beta, threshold } => {
            if x * beta > threshold {
                x
            } else {
                softplus(x * beta) / beta
            }
        }
        UnaryOp::Softsign => x / (1.0 + x.abs()),
        UnaryOp::Hardswish => x * minimum(maximum(x + 3.0, 0.0), 6.0) / 6.0,
        UnaryOp::Hardsigmoid => minimum(maximum(x + 3.0, 0.0), 6.0) / 6.0,
        UnaryOp::Hardshrink(lambda) => {
            if -lambda <= x && x <= lambda {
                0.0
            } else {
                x
            }
        }
        UnaryOp::Softshrink(lambda) => {
            if x > lambda {
                x - lambda
            } else if x < -lambda {
                x + lambda
            } else {
                x * 0.0
            }
        }
        UnaryOp::Tanhshrink => x - x.tanh(),
        UnaryOp::Threshold { threshold, value } => {
            if x <= threshold {
                value
            } else {
                x
            }
        }
        UnaryOp::Clamp { min, max } => minimum(maximum(x, min), max),
        UnaryOp::NanToNum {
            nan,
            posinf,
            neginf,
        } => {
            if x.is_nan() {
                nan
            } else if x == f64::INFINITY {
                posinf
            } else if x == f64::NEG_INFINITY {
                neginf
            } else {
                x
            }
        }
        UnaryOp::PowScalar(exponent) => x.powf(exponent),
        UnaryOp::Affine { scale, shift } => x.mul_add(scale, shift),
        UnaryOp::BitwiseNot => f64::NAN,
    }
}

/// Accurate near 0 and without overflow: sign(x)·ln(1 + (|x| + x²/(1 + √(x² + 1)))).
fn asinh(x: f64) -> f64 {
    let a = x.abs();
    let y = if a > 1e150 {
        a.ln() + LN_2
    } else {
        (a + a * a / (1.0 + (a * a + 1.0).sqrt())).ln_1p()
    };
    y.copysign(x)
}

fn acosh(x: f64) -> f64 {
    let t = x - 1.0;
    if x < 1.0 {
        f64::NAN
    } else if x > 1e150 {
        x.ln() + LN_2
    } else {
        (t + (2.0 * t + t * t).sqrt()).ln_1p()
    }
}

/// The value of a predicate at `x`.
pub fn predicate(op: PredicateOp, x: f64) -> bool {
    match op {
        PredicateOp::IsNan => x.is_nan(),
        PredicateOp::IsInf => x.is_infinite(),
        PredicateOp::IsFinite => x.is_finite(),
        PredicateOp::IsPosInf => x == f64::INFINITY,
        PredicateOp::IsNegInf => x == f64::NEG_INFINITY,
        PredicateOp::Signbit => x.is_sign_negative(),
        PredicateOp::IsZero => x == 0.0,
        PredicateOp::IsNonzero => x != 0.0,
    }
}

/// a % b with the sign of b.
fn remainder(a: f64, b: f64) -> f64 {
    let m = a % b;
    if m != 0.0 && (b < 0.0) != (m < 0.0) {
        m + b
    } else {
        m
    }
}

/// a // b, exact where a/b is (PyTorch's div_floor_floating, which is CPython's).
fn floor_divide(a: f64, b: f64) -> f64 {
    if b == 0.0 {
        return a / b;
    }
    let m = a % b;
    let mut q = (a - m) / b;
    if m != 0.0 && (b < 0.0) != (m < 0.0) {
        q -= 1.0;
    }
    if q == 0.0 {
        0f64.copysign(a / b)
    } else {
        let floor = q.floor();
        if q - floor > 0.5 { floor + 1.0 } else { floor }
    }
}

fn log_add(a: f64, b: f64, exp: fn(f64) -> f64, ln_1p: fn(f64) -> f64) -> f64 {
    // Equal infinities would give NaN in the difference.
    if a == b && a.is_infinite() {
        a
    } else {
        maximum(a, b) + ln_1p(exp(-(a - b).abs()))
    }
}

/// The value of a binary operation at (`a`, `b`). (Operations on bits have none: NaN.)
pub fn binary(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::FloorDiv => floor_divide(a, b),
        BinaryOp::TruncDiv => (a / b).trunc(),
        BinaryOp::Remainder => remainder(a, b),
        BinaryOp::Fmod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        BinaryOp::Maximum => maximum(a, b),
        BinaryOp::Minimum => minimum(a, b),
        BinaryOp::Fmax => {
            if b.is_nan() {
                a
            } else if a.is_nan() {
                b
            } else {
                maximum(a, b)
            }
        }
        BinaryOp::Fmin => {
            if b.is_nan() {
                a
            } else if a.is_nan() {
                b
            } else {
                minimum(a, b)
            }
        }
        BinaryOp::Hypot => a.hypot(b),
        BinaryOp::Xlogy => {
            if b.is_nan() {
                b
            } else if a == 0.0 {
                0.0
            } else {
                a * b.ln()
            }
        }
        BinaryOp::Xlog1py => {
            if b.is_nan() {
                b
            } else if a == 0.0 {
                0.0
            } else {
                a * b.ln_1p()
            }
        }
        BinaryOp::LogAddExp => log_add(a, b, f64::exp, f64::ln_1p),
        BinaryOp::LogAddExp2 => log_add(a, b, f64::exp2, |x| x.ln_1p() / LN_2),
        BinaryOp::Copysign => a.copysign(b),
        BinaryOp::Heaviside => {
            // 0 of NaN, as PyTorch.
            if a == 0.0 {
                b
            } else {
                f64::from(u8::from(a > 0.0))
            }
        }
        BinaryOp::TanhBackward => a * (1.0 - b * b),
        BinaryOp::SigmoidBackward => a * b * (1.0 - b),
        BinaryOp::ReluBackward => {
            if b <= 0.0 {
                0.0
            } else {
                a
            }
        }
        BinaryOp::Relu6Backward => {
            if b > 0.0 && b < 6.0 {
                a
            } else {
                0.0
            }
        }
        BinaryOp::GeluBackward => a * (0.5 * erfc(-b * FRAC_1_SQRT_2) + b * normal_density(b)),
        BinaryOp::GeluTanhBackward => {
            let inner = 2.0 * GELU_TANH.0 * b * (1.0 + GELU_TANH.1 * b * b);
            let slope = 2.0 * GELU_TANH.0 * (1.0 + 3.0 * GELU_TANH.1 * b * b);
            let s = sigmoid(inner);
            a * (s + b * s * (1.0 - s) * slope)
        }
        BinaryOp::SiluBackward => {
            let s = sigmoid(b);
            a * s * (1.0 + b * (1.0 - s))
        }
        BinaryOp::BitwiseAnd
        | BinaryOp::BitwiseOr
        | BinaryOp::BitwiseXor
        | BinaryOp::ShiftLeft
        | BinaryOp::ShiftRight => f64::NAN,
    }
}

/// The value of a ternary operation at (`a`, `b`, `c`).
pub fn ternary(op: TernaryOp, a: f64, b: f64, c: f64) -> f64 {
    match op {
        // Exact at both ends (PyTorch's formula).
        TernaryOp::Lerp => {
            if c.abs() < 0.5 {
                a + c * (b - a)
            } else {
                b - (b - a) * (1.0 - c)
            }
        }
        TernaryOp::Addcmul(value) => a + value * b * c,
        TernaryOp::Addcdiv(value) => a + value * b / c,
        TernaryOp::Clamp => minimum(maximum(a, b), c),
    }
}

/// Whether the floats have this operation.
pub(crate) fn has_unary(op: UnaryOp) -> bool {
    op != UnaryOp::BitwiseNot
}

/// Whether the floats have this operation.
pub(crate) fn has_binary(op: BinaryOp) -> bool {
    #[allow(clippy::enum_glob_use)]
    use BinaryOp::*;
    !matches!(
        op,
        BitwiseAnd | BitwiseOr | BitwiseXor | ShiftLeft | ShiftRight
    )
}
