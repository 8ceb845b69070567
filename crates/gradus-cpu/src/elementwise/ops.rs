//! The lists of elementwise operations. Names and meanings are PyTorch's; the scalar definition of each is in
//! `scalar.rs` (floats) and `integer.rs`.

/// One operand in, one out, of the same type. Where the operation is defined for integers or `bool` it says so;
/// elsewhere it gives [`Error::Unsupported`](crate::Error::Unsupported).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UnaryOp {
    /// −x; integers wrap.
    Neg,
    /// |x|; integers wrap.
    Abs,
    /// −1, 0 or 1 (0 for NaN); integers and `bool` too.
    Sign,
    /// x²; integers wrap.
    Square,
    /// 1/x.
    Reciprocal,
    /// √x.
    Sqrt,
    /// 1/√x.
    Rsqrt,
    /// eˣ.
    Exp,
    /// 2ˣ.
    Exp2,
    /// eˣ − 1, accurate near 0.
    Expm1,
    /// The natural logarithm.
    Log,
    /// ln(1 + x), accurate near 0.
    Log1p,
    /// The logarithm to base 2.
    Log2,
    /// The logarithm to base 10.
    Log10,
    /// The sine (radians).
    Sin,
    /// The cosine (radians).
    Cos,
    /// The tangent (radians).
    Tan,
    /// The inverse sine.
    Asin,
    /// The inverse cosine.
    Acos,
    /// The inverse tangent.
    Atan,
    /// The hyperbolic sine.
    Sinh,
    /// The hyperbolic cosine.
    Cosh,
    /// The hyperbolic tangent.
    Tanh,
    /// The inverse hyperbolic sine.
    Asinh,
    /// The inverse hyperbolic cosine.
    Acosh,
    /// The inverse hyperbolic tangent.
    Atanh,
    /// The error function.
    Erf,
    /// 1 − erf(x), accurate where it is tiny.
    Erfc,
    /// The inverse of the error function.
    Erfinv,
    /// ln |Γ(x)|.
    Lgamma,
    /// The derivative of ln Γ.
    Digamma,
    /// sin(πx)/(πx), 1 at 0.
    Sinc,
    /// 1/(1 + e⁻ˣ).
    Sigmoid,
    /// ln(x/(1 − x)).
    Logit,
    /// ln(sigmoid(x)).
    LogSigmoid,
    /// Towards −∞; integers unchanged.
    Floor,
    /// Towards +∞; integers unchanged.
    Ceil,
    /// To the nearest integer, halves to even; integers unchanged.
    Round,
    /// Towards 0; integers unchanged.
    Trunc,
    /// x − trunc(x).
    Frac,
    /// max(x, 0); integers too.
    Relu,
    /// min(max(x, 0), 6); integers too.
    Relu6,
    /// x if x > 0, else slope·x.
    LeakyRelu(f64),
    /// x if x > 0, else alpha·(eˣ − 1).
    Elu(f64),
    /// scale·elu(x) with the self-normalising constants.
    Selu,
    /// x if x > 0, else alpha·(e^(x/alpha) − 1).
    Celu(f64),
    /// x·Φ(x), with the error function.
    Gelu,
    /// x·Φ(x), Φ approximated with tanh.
    GeluTanh,
    /// x·sigmoid(x).
    Silu,
    /// x·tanh(softplus(x)).
    Mish,
    /// ln(1 + e^(beta·x))/beta, x itself where beta·x is above the threshold.
    Softplus {
        /// The steepness, 1 in PyTorch.
        beta: f64,
        /// Where it becomes linear, 20 in PyTorch.
        threshold: f64,
    },
    /// x/(1 + |x|).
    Softsign,
    /// x·relu6(x + 3)/6.
    Hardswish,
    /// relu6(x + 3)/6.
    Hardsigmoid,
    /// x if |x| > lambda, else 0.
    Hardshrink(f64),
    /// x moved towards 0 by lambda, 0 where |x| ≤ lambda.
    Softshrink(f64),
    /// x − tanh(x).
    Tanhshrink,
    /// x if x > threshold, else value; integers too.
    Threshold {
        /// The bound.
        threshold: f64,
        /// What stands at and below it.
        value: f64,
    },
    /// min(max(x, min), max): `max` wins if they are crossed; NaN stays; integers too (bounds truncated).
    Clamp {
        /// The lower bound; −∞ for none.
        min: f64,
        /// The upper bound; +∞ for none.
        max: f64,
    },
    /// NaN and the infinities replaced; integers unchanged.
    NanToNum {
        /// For NaN.
        nan: f64,
        /// For +∞.
        posinf: f64,
        /// For −∞.
        neginf: f64,
    },
    /// x to the power of a constant.
    PowScalar(f64),
    /// x·scale + shift; integers too (constants truncated, wrapping).
    Affine {
        /// The factor.
        scale: f64,
        /// What is added.
        shift: f64,
    },
    /// All bits flipped: integers and `bool` only.
    BitwiseNot,
}

/// One operand in, a `bool` out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PredicateOp {
    /// Is NaN.
    IsNan,
    /// Is +∞ or −∞.
    IsInf,
    /// Is neither NaN nor infinite.
    IsFinite,
    /// Is +∞.
    IsPosInf,
    /// Is −∞.
    IsNegInf,
    /// Has its sign bit set (integers: is negative).
    Signbit,
    /// Equals 0 (logical not).
    IsZero,
    /// Does not equal 0; NaN does not.
    IsNonzero,
}

/// Two operands in, one out, all of the same type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// a + b; integers wrap, `bool` is "or".
    Add,
    /// a − b; integers wrap.
    Sub,
    /// a·b; integers wrap, `bool` is "and".
    Mul,
    /// a/b: floats only (promote integers first).
    Div,
    /// a/b rounded towards −∞ (`//` of Python).
    FloorDiv,
    /// a/b rounded towards 0.
    TruncDiv,
    /// a − b·floor(a/b): the sign of b (`%` of Python, `torch.remainder`).
    Remainder,
    /// a − b·trunc(a/b): the sign of a (C's `fmod`).
    Fmod,
    /// aᵇ; integers wrap, and a negative exponent gives 0 except for the bases 1 and −1.
    Pow,
    /// The angle of the point (b, a).
    Atan2,
    /// The larger; NaN if either is NaN.
    Maximum,
    /// The smaller; NaN if either is NaN.
    Minimum,
    /// The larger; the other one if one is NaN.
    Fmax,
    /// The smaller; the other one if one is NaN.
    Fmin,
    /// √(a² + b²) without overflow on the way.
    Hypot,
    /// a·ln b, 0 where a is 0 (unless b is NaN).
    Xlogy,
    /// a·ln(1 + b), 0 where a is 0 (unless b is NaN).
    Xlog1py,
    /// ln(eᵃ + eᵇ).
    LogAddExp,
    /// log2(2ᵃ + 2ᵇ).
    LogAddExp2,
    /// |a| with the sign of b.
    Copysign,
    /// 0 where a < 0, b where a is 0, 1 where a > 0, NaN where a is NaN.
    Heaviside,
    /// Integers and `bool` only.
    BitwiseAnd,
    /// Integers and `bool` only.
    BitwiseOr,
    /// Integers and `bool` only.
    BitwiseXor,
    /// a·2ᵇ for integers; 0 where b is negative or at least the width.
    ShiftLeft,
    /// a/2ᵇ rounded down, for integers; b negative or at least the width gives the sign (0 or −1).
    ShiftRight,
    /// The gradient of [`UnaryOp::Tanh`]: a·(1 − b²), a the gradient of the output and b the output.
    TanhBackward,
    /// The gradient of [`UnaryOp::Sigmoid`]: a·b·(1 − b), b the output.
    SigmoidBackward,
    /// The gradient of [`UnaryOp::Relu`]: a where b > 0, else 0; b the input or the output.
    ReluBackward,
    /// The gradient of [`UnaryOp::Relu6`]: a where 0 < b < 6, else 0; b the input or the output.
    Relu6Backward,
    /// The gradient of [`UnaryOp::Gelu`], b the input.
    GeluBackward,
    /// The gradient of [`UnaryOp::GeluTanh`], b the input.
    GeluTanhBackward,
    /// The gradient of [`UnaryOp::Silu`], b the input.
    SiluBackward,
}

/// Two operands of one type in, a `bool` out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// a = b.
    Eq,
    /// a ≠ b.
    Ne,
    /// a < b.
    Lt,
    /// a ≤ b.
    Le,
    /// a > b.
    Gt,
    /// a ≥ b.
    Ge,
    /// a ≠ 0 and b ≠ 0.
    LogicalAnd,
    /// a ≠ 0 or b ≠ 0.
    LogicalOr,
    /// One of a ≠ 0 and b ≠ 0.
    LogicalXor,
}

/// Three operands in, one out, floats only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TernaryOp {
    /// a + c·(b − a).
    Lerp,
    /// a + value·b·c.
    Addcmul(f64),
    /// a + value·b/c.
    Addcdiv(f64),
    /// min(max(a, b), c); NaN propagates.
    Clamp,
}

impl UnaryOp {
    /// PyTorch's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Neg => "neg",
            Self::Abs => "abs",
            Self::Sign => "sign",
            Self::Square => "square",
            Self::Reciprocal => "reciprocal",
            Self::Sqrt => "sqrt",
            Self::Rsqrt => "rsqrt",
            Self::Exp => "exp",
            Self::Exp2 => "exp2",
            Self::Expm1 => "expm1",
            Self::Log => "log",
            Self::Log1p => "log1p",
            Self::Log2 => "log2",
            Self::Log10 => "log10",
            Self::Sin => "sin",
            Self::Cos => "cos",
            Self::Tan => "tan",
            Self::Asin => "asin",
            Self::Acos => "acos",
            Self::Atan => "atan",
            Self::Sinh => "sinh",
            Self::Cosh => "cosh",
            Self::Tanh => "tanh",
            Self::Asinh => "asinh",
            Self::Acosh => "acosh",
            Self::Atanh => "atanh",
            Self::Erf => "erf",
            Self::Erfc => "erfc",
            Self::Erfinv => "erfinv",
            Self::Lgamma => "lgamma",
            Self::Digamma => "digamma",
            Self::Sinc => "sinc",
            Self::Sigmoid => "sigmoid",
            Self::Logit => "logit",
            Self::LogSigmoid => "logsigmoid",
            Self::Floor => "floor",
            Self::Ceil => "ceil",
            Self::Round => "round",
            Self::Trunc => "trunc",
            Self::Frac => "frac",
            Self::Relu => "relu",
            Self::Relu6 => "relu6",
            Self::LeakyRelu(_) => "leaky_relu",
            Self::Elu(_) => "elu",
            Self::Selu => "selu",
            Self::Celu(_) => "celu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_tanh",
            Self::Silu => "silu",
            Self::Mish => "mish",
            Self::Softplus { .. } => "softplus",
            Self::Softsign => "softsign",
            Self::Hardswish => "hardswish",
            Self::Hardsigmoid => "hardsigmoid",
            Self::Hardshrink(_) => "hardshrink",
            Self::Softshrink(_) => "softshrink",
            Self::Tanhshrink => "tanhshrink",
            Self::Threshold { .. } => "threshold",
            Self::Clamp { .. } => "clamp",
            Self::NanToNum { .. } => "nan_to_num",
            Self::PowScalar(_) => "pow",
            Self::Affine { .. } => "affine",
            Self::BitwiseNot => "bitwise_not",
        }
    }
}

impl PredicateOp {
    /// PyTorch's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IsNan => "isnan",
            Self::IsInf => "isinf",
            Self::IsFinite => "isfinite",
            Self::IsPosInf => "isposinf",
            Self::IsNegInf => "isneginf",
            Self::Signbit => "signbit",
            Self::IsZero => "logical_not",
            Self::IsNonzero => "nonzero",
        }
    }
}

impl BinaryOp {
    /// PyTorch's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::FloorDiv => "floor_divide",
            Self::TruncDiv => "div (trunc)",
            Self::Remainder => "remainder",
            Self::Fmod => "fmod",
            Self::Pow => "pow",
            Self::Atan2 => "atan2",
            Self::Maximum => "maximum",
            Self::Minimum => "minimum",
            Self::Fmax => "fmax",
            Self::Fmin => "fmin",
            Self::Hypot => "hypot",
            Self::Xlogy => "xlogy",
            Self::Xlog1py => "xlog1py",
            Self::LogAddExp => "logaddexp",
            Self::LogAddExp2 => "logaddexp2",
            Self::Copysign => "copysign",
            Self::Heaviside => "heaviside",
            Self::BitwiseAnd => "bitwise_and",
            Self::BitwiseOr => "bitwise_or",
            Self::BitwiseXor => "bitwise_xor",
            Self::ShiftLeft => "bitwise_left_shift",
            Self::ShiftRight => "bitwise_right_shift",
            Self::TanhBackward => "tanh_backward",
            Self::SigmoidBackward => "sigmoid_backward",
            Self::ReluBackward => "relu_backward",
            Self::Relu6Backward => "relu6_backward",
            Self::GeluBackward => "gelu_backward",
            Self::GeluTanhBackward => "gelu_tanh_backward",
            Self::SiluBackward => "silu_backward",
        }
    }
}

impl CompareOp {
    /// PyTorch's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Gt => "gt",
            Self::Ge => "ge",
            Self::LogicalAnd => "logical_and",
            Self::LogicalOr => "logical_or",
            Self::LogicalXor => "logical_xor",
        }
    }
}

impl TernaryOp {
    /// PyTorch's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lerp => "lerp",
            Self::Addcmul(_) => "addcmul",
            Self::Addcdiv(_) => "addcdiv",
            Self::Clamp => "clamp",
        }
    }
}
