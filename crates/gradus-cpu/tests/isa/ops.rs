//! The lists of elementwise operations, and arguments for them, that two test binaries share.
use gradus_cpu::elementwise::{BinaryOp, TernaryOp, UnaryOp};

/// Every operation of floats with one operand, with constants where it takes some.
pub const UNARY: &[UnaryOp] = &[
    UnaryOp::Neg,
    UnaryOp::Abs,
    UnaryOp::Sign,
    UnaryOp::Square,
    UnaryOp::Reciprocal,
    UnaryOp::Sqrt,
    UnaryOp::Rsqrt,
    UnaryOp::Exp,
    UnaryOp::Exp2,
    UnaryOp::Expm1,
    UnaryOp::Log,
    UnaryOp::Log1p,
    UnaryOp::Log2,
    UnaryOp::Log10,
    UnaryOp::Sin,
    UnaryOp::Cos,
    UnaryOp::Tan,
    UnaryOp::Asin,
    UnaryOp::Acos,
    UnaryOp::Atan,
    UnaryOp::Sinh,
    UnaryOp::Cosh,
    UnaryOp::Tanh,
    UnaryOp::Asinh,
    UnaryOp::Acosh,
    UnaryOp::Atanh,
    UnaryOp::Erf,
    UnaryOp::Erfc,
    UnaryOp::Erfinv,
    UnaryOp::Lgamma,
    UnaryOp::Digamma,
    UnaryOp::Sinc,
    UnaryOp::Sigmoid,
    UnaryOp::Logit,
    UnaryOp::LogSigmoid,
    UnaryOp::Floor,
    UnaryOp::Ceil,
    UnaryOp::Round,
    UnaryOp::Trunc,
    UnaryOp::Frac,
    UnaryOp::Relu,
    UnaryOp::Relu6,
    UnaryOp::LeakyRelu(0.1),
    UnaryOp::Elu(1.5),
    UnaryOp::Selu,
    UnaryOp::Celu(0.7),
    UnaryOp::Gelu,
    UnaryOp::GeluTanh,
    UnaryOp::Silu,
    UnaryOp::Mish,
    UnaryOp::Softplus {
        beta: 1.5,
        threshold: 6.0,
    },
    UnaryOp::Softsign,
    UnaryOp::Hardswish,
    UnaryOp::Hardsigmoid,
    UnaryOp::Hardshrink(0.5),
    UnaryOp::Softshrink(0.5),
    UnaryOp::Tanhshrink,
    UnaryOp::Threshold {
        threshold: 0.3,
        value: -2.0,
    },
    UnaryOp::Clamp {
        min: -0.5,
        max: 1.5,
    },
    UnaryOp::NanToNum {
        nan: 1.0,
        posinf: 2.0,
        neginf: -3.0,
    },
    UnaryOp::PowScalar(2.0),
    UnaryOp::PowScalar(3.0),
    UnaryOp::PowScalar(-1.0),
    UnaryOp::PowScalar(2.7),
    UnaryOp::Affine {
        scale: 1.75,
        shift: -0.25,
    },
];

/// Every operation of floats with two operands.
pub const BINARY: &[BinaryOp] = &[
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::Mul,
    BinaryOp::Div,
    BinaryOp::FloorDiv,
    BinaryOp::TruncDiv,
    BinaryOp::Remainder,
    BinaryOp::Fmod,
    BinaryOp::Pow,
    BinaryOp::Atan2,
    BinaryOp::Maximum,
    BinaryOp::Minimum,
    BinaryOp::Fmax,
    BinaryOp::Fmin,
    BinaryOp::Hypot,
    BinaryOp::Xlogy,
    BinaryOp::Xlog1py,
    BinaryOp::LogAddExp,
    BinaryOp::LogAddExp2,
    BinaryOp::Copysign,
    BinaryOp::Heaviside,
    BinaryOp::TanhBackward,
    BinaryOp::SigmoidBackward,
    BinaryOp::ReluBackward,
    BinaryOp::Relu6Backward,
    BinaryOp::GeluBackward,
    BinaryOp::GeluTanhBackward,
    BinaryOp::SiluBackward,
];

/// Every operation with three operands.
pub const TERNARY: &[TernaryOp] = &[
    TernaryOp::Lerp,
    TernaryOp::Addcmul(0.7),
    TernaryOp::Addcdiv(-1.3),
    TernaryOp::Clamp,
];

/// Ordinary values, and every 13th a special one.
pub fn value(i: usize) -> f64 {
    const SPECIAL: [f64; 10] = [
        0.0,
        -0.0,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        1.0,
        -1.0,
        0.5,
        1e-30,
        -80.0,
    ];
    if i % 13 == 5 {
        SPECIAL[i / 13 % SPECIAL.len()]
    } else {
        f64::from(((i * 7919 + 13) % 2003) as f32 / 300.0 - 3.3)
    }
}
