//! The elementwise operations and reductions: their numbers, which the kernels switch on, and their names. Meanings are those of
//! gradus-cpu's operations of the same names (which are PyTorch's); the formulas are in `kernels/math.cuh`.

use std::fmt::Write as _;

macro_rules! operations {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum $name { $(#[doc = $text] $(#[$vdoc])* $variant),* }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// PyTorch's name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// `GR_UNARY_exp` and so on, and the list `GR_UNARY_ALL(X)`.
            fn declare(out: &mut String) {
                let names: Vec<String> = Self::ALL.iter().map(|op| op.name().to_string()).collect();
                for (i, name) in names.iter().enumerate() {
                    let _ = writeln!(out, concat!("#define GR_", $prefix, "_{} {}"), name, i);
                }
                let list: Vec<String> = names.iter().map(|n| format!("X({n})")).collect();
                let _ = writeln!(out, concat!("#define GR_", $prefix, "_ALL(X) {}"), list.join(" "));
            }
        }
    };
}

operations!(
    /// One operand in, one out. `p` and `q` are the constants of those that have some.
    UnaryOp, "UNARY",
    Neg = "neg", Abs = "abs", Sign = "sign", Square = "square", Reciprocal = "reciprocal", Sqrt = "sqrt", Rsqrt = "rsqrt",
    Exp = "exp", Exp2 = "exp2", Expm1 = "expm1", Log = "log", Log1p = "log1p", Log2 = "log2", Log10 = "log10",
    Sin = "sin", Cos = "cos", Tan = "tan", Asin = "asin", Acos = "acos", Atan = "atan",
    Sinh = "sinh", Cosh = "cosh", Tanh = "tanh", Asinh = "asinh", Acosh = "acosh", Atanh = "atanh",
    Erf = "erf", Erfc = "erfc", Erfinv = "erfinv", Lgamma = "lgamma", Digamma = "digamma", Sinc = "sinc", Sigmoid = "sigmoid", LogSigmoid = "logsigmoid",
    Floor = "floor", Ceil = "ceil", Round = "round", Trunc = "trunc", Frac = "frac",
    Relu = "relu", Relu6 = "relu6",
    /// `p` is the slope below 0.
    LeakyRelu = "leaky_relu",
    /// `p` is alpha.
    Elu = "elu",
    Selu = "selu", Gelu = "gelu", GeluTanh = "gelu_tanh", Silu = "silu", Mish = "mish",
    /// `p` is beta, `q` the threshold.
    Softplus = "softplus",
    Softsign = "softsign", Hardswish = "hardswish", Hardsigmoid = "hardsigmoid",
    /// `p` is the lower bound, `q` the upper.
    Clamp = "clamp",
    /// `p` is the exponent.
    PowScalar = "pow_scalar",
    /// x·p + q.
    Affine = "affine",
);
operations!(
    /// Two operands in, one out, of one type.
    BinaryOp, "BINARY",
    Add = "add", Sub = "sub", Mul = "mul", Maximum = "maximum", Minimum = "minimum",
    Div = "div", FloorDiv = "floor_divide", Remainder = "remainder", Fmod = "fmod", Pow = "pow", Atan2 = "atan2",
    Hypot = "hypot", Xlogy = "xlogy", LogAddExp = "logaddexp", Copysign = "copysign",
    /// 0 below 0, 1 above, b at 0.
    Heaviside = "heaviside",
    /// a·(1 − b²), b the output.
    TanhBackward = "tanh_backward",
    /// a·b·(1 − b), b the output.
    SigmoidBackward = "sigmoid_backward",
    /// a where b > 0.
    ReluBackward = "relu_backward",
    /// a where 0 < b < 6.
    Relu6Backward = "relu6_backward",
    /// b is the input.
    GeluBackward = "gelu_backward",
    /// b is the input.
    GeluTanhBackward = "gelu_tanh_backward",
    /// b is the input.
    SiluBackward = "silu_backward",
);
operations!(
    /// Two operands of one type in, a `bool` out.
    CompareOp, "COMPARE",
    Eq = "eq", Ne = "ne", Lt = "lt", Le = "le", Gt = "gt", Ge = "ge",
    LogicalAnd = "logical_and", LogicalOr = "logical_or", LogicalXor = "logical_xor",
);
operations!(
    /// Three operands in, one out.
    TernaryOp, "TERNARY",
    /// a + c·(b − a).
    Lerp = "lerp",
    /// a + p·b·c.
    Addcmul = "addcmul",
    /// a + p·b/c.
    Addcdiv = "addcdiv",
    /// min(max(a, b), c).
    Clamp = "clamp",
);
operations!(
    /// Many elements in, one out.
    ReduceOp, "REDUCE",
    Sum = "sum", Mean = "mean", Prod = "prod", Max = "amax", Min = "amin",
    /// Σ x².
    SumOfSquares = "sum_of_squares",
);

operations!(
    /// Many elements in, as many running results out.
    ScanOp, "SCAN",
    Sum = "cumsum", Prod = "cumprod",
    /// ln of the sum of e^x.
    LogSumExp = "logcumsumexp",
);

impl BinaryOp {
    /// Whether the kernels have it for integers.
    pub const fn has_integers(self) -> bool {
        matches!(
            self,
            Self::Add | Self::Sub | Self::Mul | Self::Maximum | Self::Minimum
        )
    }
}

pub(super) fn declare(out: &mut String) {
    UnaryOp::declare(out);
    BinaryOp::declare(out);
    CompareOp::declare(out);
    TernaryOp::declare(out);
    ReduceOp::declare(out);
    ScanOp::declare(out);
}
