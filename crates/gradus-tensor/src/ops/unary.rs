//! Functions of one element, by PyTorch's names, and each with a trailing underscore reusing the tensor's memory.
//! Whole numbers and bools become f32 where the result is a real.

use gradus_cpu::elementwise::{UnaryOp, unary, unary_in_place};

use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::ops::operand::{Operand, rewrite};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// `op(x)` in the dtype of `x`.
pub(crate) fn apply_operand(op: UnaryOp, x: Operand<'_>) -> Result<Tensor> {
    on_cuda!([x] => cuda::elementwise::unary(op, &x.tensor()));
    let shape = x.shape();
    match x.reusable(&shape) {
        Ok(x) => dispatch!(x.dtype(), T => rewrite::<T>(x, |x| Ok(unary_in_place(op, x)?))),
        Err(x) => dispatch!(x.dtype(), T => run::<T>(op, &x)),
    }
}

fn run<T: Element>(op: UnaryOp, x: &Tensor) -> Result<Tensor> {
    let v = x.kernel_view::<T>()?;
    Tensor::try_build::<T>(op.name(), x.shape(), |y| Ok(unary(op, v, y)?))
}

fn apply(op: UnaryOp, rule: fn(DType) -> DType, x: Operand<'_>) -> Result<Tensor> {
    let dtype = match &x {
        Operand::Ref(x) => x.dtype(),
        Operand::Own(x) => x.dtype(),
        Operand::Num(s) => s.dtype(),
    };
    apply_operand(op, x.in_dtype(op.name(), rule(dtype))?)
}

const SAME: fn(DType) -> DType = |d| d;
const FLOAT: fn(DType) -> DType = DType::to_float;

/// A doctest: three numbers, the op, and what it gives to six digits.
macro_rules! example {
    ($name:ident, $x:tt, $with:tt, $y:tt) => {
        concat!(
            "\n```\n# use gradus_tensor::Tensor;\nlet x = Tensor::from_slice(&",
            stringify!($x),
            ", 3)?;\nlet y = Tensor::from_slice(&",
            stringify!($y),
            ", 3)?;\nassert!(x.",
            stringify!($name),
            stringify!($with),
            "?.allclose(&y, 1e-5, 1e-6, false)?);\n# Ok::<(), gradus_tensor::Error>(())\n```"
        )
    };
}

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident $inplace:ident ($($arg:ident),*) $rule:ident $op:expr $(, $x:tt $with:tt => $y:tt)?;)*) => {
        impl Tensor {$(
            $(#[$doc])*
            $(#[doc = example!($name, $x, $with, $y)])?
            ///
            /// # Errors
            /// The op is not defined for the dtype.
            pub fn $name(&self, $($arg: f64),*) -> Result<Tensor> {
                apply($op, $rule, Operand::Ref(self))
            }
            #[doc = concat!("As [`Tensor::", stringify!($name), "`], reusing this tensor's memory when nobody else holds it.")]
            ///
            /// # Errors
            /// The op is not defined for the dtype.
            pub fn $inplace(self, $($arg: f64),*) -> Result<Tensor> {
                apply($op, $rule, Operand::Own(self))
            }
        )*}
    };
}

unary! {
    /// −x; not for bool.
    neg neg_ () SAME UnaryOp::Neg,
        [-2.0, 0.0, 1.5] () => [2.0, 0.0, -1.5];
    /// |x|.
    abs abs_ () SAME UnaryOp::Abs,
        [-2.0, 0.0, 1.5] () => [2.0, 0.0, 1.5];
    /// −1, 0 or 1.
    sign sign_ () SAME UnaryOp::Sign,
        [-2.0, 0.0, 1.5] () => [-1.0, 0.0, 1.0];
    /// x².
    square square_ () SAME UnaryOp::Square,
        [-2.0, 0.0, 1.5] () => [4.0, 0.0, 2.25];
    /// 1/x.
    reciprocal reciprocal_ () FLOAT UnaryOp::Reciprocal,
        [-0.5, 1.0, 4.0] () => [-2.0, 1.0, 0.25];
    /// √x.
    sqrt sqrt_ () FLOAT UnaryOp::Sqrt,
        [0.25, 1.0, 4.0] () => [0.5, 1.0, 2.0];
    /// 1/√x.
    rsqrt rsqrt_ () FLOAT UnaryOp::Rsqrt,
        [0.25, 1.0, 4.0] () => [2.0, 1.0, 0.5];
    /// eˣ.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0f32, 1.0], 2)?;
    /// assert_eq!(x.exp()?.to_vec::<f32>()?, [1.0, std::f32::consts::E]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    exp exp_ () FLOAT UnaryOp::Exp;
    /// 2ˣ.
    exp2 exp2_ () FLOAT UnaryOp::Exp2,
        [-1.0, 0.0, 3.0] () => [0.5, 1.0, 8.0];
    /// eˣ − 1, accurate near 0.
    expm1 expm1_ () FLOAT UnaryOp::Expm1,
        [-2.0, 0.0, 1.5] () => [-0.864665, 0.0, 3.481689];
    /// The natural logarithm.
    log log_ () FLOAT UnaryOp::Log,
        [0.5, 1.0, 10.0] () => [-0.693147, 0.0, 2.302585];
    /// ln(1 + x), accurate near 0.
    log1p log1p_ () FLOAT UnaryOp::Log1p,
        [-0.5, 0.0, 1.0] () => [-0.693147, 0.0, 0.693147];
    /// The logarithm to base 2.
    log2 log2_ () FLOAT UnaryOp::Log2,
        [0.5, 1.0, 8.0] () => [-1.0, 0.0, 3.0];
    /// The logarithm to base 10.
    log10 log10_ () FLOAT UnaryOp::Log10,
        [0.1, 1.0, 1000.0] () => [-1.0, 0.0, 3.0];
    /// The sine (radians).
    sin sin_ () FLOAT UnaryOp::Sin,
        [-2.0, 0.0, 1.5] () => [-0.909297, 0.0, 0.997495];
    /// The cosine (radians).
    cos cos_ () FLOAT UnaryOp::Cos,
        [-2.0, 0.0, 1.5] () => [-0.416147, 1.0, 0.070737];
    /// The tangent (radians).
    tan tan_ () FLOAT UnaryOp::Tan,
        [-2.0, 0.0, 1.5] () => [2.18504, 0.0, 14.10142];
    /// The inverse sine.
    asin asin_ () FLOAT UnaryOp::Asin,
        [-1.0, 0.0, 0.5] () => [-1.570796, 0.0, 0.523599];
    /// The inverse cosine.
    acos acos_ () FLOAT UnaryOp::Acos,
        [-1.0, 0.0, 0.5] () => [3.141593, 1.570796, 1.047198];
    /// The inverse tangent.
    atan atan_ () FLOAT UnaryOp::Atan,
        [-2.0, 0.0, 1.5] () => [-1.107149, 0.0, 0.982794];
    /// The hyperbolic sine.
    sinh sinh_ () FLOAT UnaryOp::Sinh,
        [-2.0, 0.0, 1.5] () => [-3.62686, 0.0, 2.129279];
    /// The hyperbolic cosine.
    cosh cosh_ () FLOAT UnaryOp::Cosh,
        [-2.0, 0.0, 1.5] () => [3.762196, 1.0, 2.35241];
    /// The hyperbolic tangent.
    tanh tanh_ () FLOAT UnaryOp::Tanh,
        [-2.0, 0.0, 1.5] () => [-0.964028, 0.0, 0.905148];
    /// The inverse hyperbolic sine.
    asinh asinh_ () FLOAT UnaryOp::Asinh,
        [-2.0, 0.0, 1.5] () => [-1.443635, 0.0, 1.194763];
    /// The inverse hyperbolic cosine.
    acosh acosh_ () FLOAT UnaryOp::Acosh,
        [1.0, 2.0, 3.0] () => [0.0, 1.316958, 1.762747];
    /// The inverse hyperbolic tangent.
    atanh atanh_ () FLOAT UnaryOp::Atanh,
        [-0.5, 0.0, 0.5] () => [-0.549306, 0.0, 0.549306];
    /// The error function.
    erf erf_ () FLOAT UnaryOp::Erf,
        [-2.0, 0.0, 1.5] () => [-0.995322, 0.0, 0.966105];
    /// 1 − erf(x), accurate where it is tiny.
    erfc erfc_ () FLOAT UnaryOp::Erfc,
        [-2.0, 0.0, 1.5] () => [1.995322, 1.0, 0.033895];
    /// The inverse of the error function.
    erfinv erfinv_ () FLOAT UnaryOp::Erfinv,
        [-0.5, 0.0, 0.5] () => [-0.476936, 0.0, 0.476936];
    /// ln |Γ(x)|.
    lgamma lgamma_ () FLOAT UnaryOp::Lgamma,
        [0.5, 1.0, 4.0] () => [0.572365, 0.0, 1.791759];
    /// The derivative of ln Γ.
    digamma digamma_ () FLOAT UnaryOp::Digamma,
        [0.5, 1.0, 4.0] () => [-1.96351, -0.577216, 1.256118];
    /// sin(πx)/(πx).
    sinc sinc_ () FLOAT UnaryOp::Sinc,
        [-2.0, 0.0, 1.5] () => [0.0, 1.0, -0.212207];
    /// 1/(1 + e⁻ˣ).
    sigmoid sigmoid_ () FLOAT UnaryOp::Sigmoid,
        [-2.0, 0.0, 1.5] () => [0.119203, 0.5, 0.817574];
    /// ln(sigmoid(x)).
    logsigmoid logsigmoid_ () FLOAT UnaryOp::LogSigmoid,
        [-2.0, 0.0, 1.5] () => [-2.126928, -0.693147, -0.201413];
    /// Towards −∞.
    floor floor_ () SAME UnaryOp::Floor,
        [-1.5, 0.5, 2.5] () => [-2.0, 0.0, 2.0];
    /// Towards +∞.
    ceil ceil_ () SAME UnaryOp::Ceil,
        [-1.5, 0.5, 2.5] () => [-1.0, 1.0, 3.0];
    /// To the nearest whole number, halves to even.
    round round_ () SAME UnaryOp::Round,
        [-1.5, 0.5, 2.5] () => [-2.0, 0.0, 2.0];
    /// Towards 0.
    trunc trunc_ () SAME UnaryOp::Trunc,
        [-1.5, 0.5, 2.5] () => [-1.0, 0.0, 2.0];
    /// x − trunc(x).
    frac frac_ () SAME UnaryOp::Frac,
        [-1.5, 0.5, 2.25] () => [-0.5, 0.5, 0.25];
    /// All bits flipped, of whole numbers or bools.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from_slice(&[0i64, 5], 2)?.bitwise_not()?.to_vec::<i64>()?, [-1, -6]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    bitwise_not bitwise_not_ () SAME UnaryOp::BitwiseNot;
    /// max(x, 0).
    relu relu_ () SAME UnaryOp::Relu,
        [-2.0, 0.0, 1.5] () => [0.0, 0.0, 1.5];
    /// min(max(x, 0), 6).
    relu6 relu6_ () SAME UnaryOp::Relu6,
        [-1.0, 2.0, 7.0] () => [0.0, 2.0, 6.0];
    /// x if x > 0, else slope·x (0.01 in PyTorch).
    leaky_relu leaky_relu_ (negative_slope) FLOAT UnaryOp::LeakyRelu(negative_slope),
        [-2.0, 0.0, 1.5] (0.1) => [-0.2, 0.0, 1.5];
    /// x if x > 0, else alpha·(eˣ − 1) (1.0 in PyTorch).
    elu elu_ (alpha) FLOAT UnaryOp::Elu(alpha),
        [-2.0, 0.0, 1.5] (1.0) => [-0.864665, 0.0, 1.5];
    /// ELU with the self-normalising constants.
    selu selu_ () FLOAT UnaryOp::Selu,
        [-2.0, 0.0, 1.5] () => [-1.520166, 0.0, 1.576051];
    /// x if x > 0, else alpha·(e^(x/alpha) − 1) (1.0 in PyTorch).
    celu celu_ (alpha) FLOAT UnaryOp::Celu(alpha),
        [-2.0, 0.0, 1.5] (2.0) => [-1.264241, 0.0, 1.5];
    /// x·Φ(x), by the error function.
    gelu gelu_ () FLOAT UnaryOp::Gelu,
        [-2.0, 0.0, 1.5] () => [-0.0455, 0.0, 1.399789];
    /// x·Φ(x), Φ approximated with tanh.
    gelu_tanh gelu_tanh_ () FLOAT UnaryOp::GeluTanh,
        [-2.0, 0.0, 1.5] () => [-0.045402, 0.0, 1.399572];
    /// x·sigmoid(x).
    silu silu_ () FLOAT UnaryOp::Silu,
        [-2.0, 0.0, 1.5] () => [-0.238406, 0.0, 1.226362];
    /// x·tanh(softplus(x)).
    mish mish_ () FLOAT UnaryOp::Mish,
        [-2.0, 0.0, 1.5] () => [-0.252501, 0.0, 1.403378];
    /// ln(1 + e^(beta·x))/beta; x itself where beta·x is above the threshold (1 and 20 in PyTorch).
    softplus softplus_ (beta, threshold) FLOAT UnaryOp::Softplus { beta, threshold },
        [-2.0, 0.0, 1.5] (1.0, 20.0) => [0.126928, 0.693147, 1.701413];
    /// x/(1 + |x|).
    softsign softsign_ () FLOAT UnaryOp::Softsign,
        [-2.0, 0.0, 1.5] () => [-0.666667, 0.0, 0.6];
    /// x·relu6(x + 3)/6.
    hardswish hardswish_ () FLOAT UnaryOp::Hardswish,
        [-4.0, 1.0, 4.0] () => [0.0, 0.666667, 4.0];
    /// relu6(x + 3)/6.
    hardsigmoid hardsigmoid_ () FLOAT UnaryOp::Hardsigmoid,
        [-4.0, 0.0, 4.0] () => [0.0, 0.5, 1.0];
    /// x if |x| > lambda, else 0 (0.5 in PyTorch).
    hardshrink hardshrink_ (lambda) FLOAT UnaryOp::Hardshrink(lambda),
        [-2.0, 0.5, 1.5] (1.0) => [-2.0, 0.0, 1.5];
    /// x − tanh(x).
    tanhshrink tanhshrink_ () FLOAT UnaryOp::Tanhshrink,
        [-2.0, 0.0, 1.5] () => [-1.035972, 0.0, 0.594852];
    /// x if x > threshold, else value.
    threshold threshold_ (threshold, value) SAME UnaryOp::Threshold { threshold, value },
        [-2.0, 0.0, 1.5] (0.5, 9.0) => [9.0, 9.0, 1.5];
    /// Degrees to radians.
    deg2rad deg2rad_ () FLOAT UnaryOp::Affine { scale: std::f64::consts::PI / 180.0, shift: -0.0 },
        [0.0, 90.0, 180.0] () => [0.0, 1.570796, 3.141593];
    /// Radians to degrees.
    rad2deg rad2deg_ () FLOAT UnaryOp::Affine { scale: 180.0 / std::f64::consts::PI, shift: -0.0 },
        [0.0, 1.0, 2.0] () => [0.0, 57.29578, 114.591559];
}

/// Ops whose arguments can be wrong.
impl Tensor {
    /// x limited to `min..=max`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[-3.0, 0.5, 3.0], 3)?;
    /// assert_eq!(x.hardtanh(-1.0, 1.0)?.to_vec::<f64>()?, [-1.0, 0.5, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `min` is above `max`, or the op is not defined for the dtype.
    pub fn hardtanh(&self, min: f64, max: f64) -> Result<Tensor> {
        apply(hardtanh(min, max)?, SAME, Operand::Ref(self))
    }

    /// As [`Tensor::hardtanh`], reusing this tensor's memory when nobody else holds it.
    ///
    /// # Errors
    /// As [`Tensor::hardtanh`].
    pub fn hardtanh_(self, min: f64, max: f64) -> Result<Tensor> {
        apply(hardtanh(min, max)?, SAME, Operand::Own(self))
    }

    /// x moved by `lambda` towards 0, and 0 where |x| ≤ `lambda`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[-3.0, 0.5, 3.0], 3)?;
    /// assert_eq!(x.softshrink(1.0)?.to_vec::<f64>()?, [-2.0, 0.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `lambda` is negative, or the op is not defined for the dtype.
    pub fn softshrink(&self, lambda: f64) -> Result<Tensor> {
        apply(softshrink(lambda)?, FLOAT, Operand::Ref(self))
    }

    /// As [`Tensor::softshrink`], reusing this tensor's memory when nobody else holds it.
    ///
    /// # Errors
    /// As [`Tensor::softshrink`].
    pub fn softshrink_(self, lambda: f64) -> Result<Tensor> {
        apply(softshrink(lambda)?, FLOAT, Operand::Own(self))
    }
}

fn hardtanh(min: f64, max: f64) -> Result<UnaryOp> {
    if min <= max {
        return Ok(UnaryOp::Clamp { min, max });
    }
    let message = format!("min {min} must not be above max {max}");
    Err(Error::value("hardtanh", message))
}

fn softshrink(lambda: f64) -> Result<UnaryOp> {
    if lambda >= 0.0 {
        return Ok(UnaryOp::Softshrink(lambda));
    }
    let message = format!("lambda is {lambda}; it must not be negative");
    Err(Error::value("softshrink", message))
}

impl Tensor {
    /// ln(x/(1 − x)); with `eps`, x is clamped to `eps..=1 − eps` first.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0.5], 1)?;
    /// assert_eq!(x.logit(None)?.to_vec::<f64>()?, [0.0]);
    /// let x = Tensor::from_slice(&[0.9], 1)?;
    /// let expected = Tensor::from_slice(&[2.197225], 1)?;
    /// assert!(x.logit(None)?.reshape(1)?.allclose(&expected, 1e-5, 1e-6, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn logit(&self, eps: Option<f64>) -> Result<Tensor> {
        match eps {
            Some(eps) => {
                let x = self.to_dtype(self.dtype().to_float())?;
                let low = x.lt_scalar(eps)?; // the lower bound wins where they cross (eps above a half), as PyTorch has it
                let x = x.clamp(None, 1.0 - eps)?.masked_fill_(&low, eps)?;
                apply(UnaryOp::Logit, FLOAT, Operand::Own(x))
            }
            None => apply(UnaryOp::Logit, FLOAT, Operand::Ref(self)),
        }
    }

    /// x clamped to `min..=max`, either of which may be `None`. `max` wins where they cross; NaN stays.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[-2f32, 0.5, 7.0], 3)?;
    /// assert_eq!(x.clamp(0.0, 1.0)?.to_vec::<f32>()?, [0.0, 0.5, 1.0]);
    /// assert_eq!(x.clamp(None, 1.0)?.to_vec::<f32>()?, [-2.0, 0.5, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Both bounds are `None`, or the tensor is bool.
    pub fn clamp(
        &self,
        min: impl Into<Option<f64>>,
        max: impl Into<Option<f64>>,
    ) -> Result<Tensor> {
        self.clamp_scalars(min.into().map(Scalar::Float), max.into().map(Scalar::Float))
    }

    /// As [`Tensor::clamp`] with bounds of any kind: whole bounds keep a tensor of whole numbers whole.
    ///
    /// # Errors
    /// As [`Tensor::clamp`].
    pub fn clamp_scalars(&self, min: Option<Scalar>, max: Option<Scalar>) -> Result<Tensor> {
        let bounds: Vec<Operand<'_>> = [min, max].into_iter().flatten().map(Operand::Num).collect();
        if bounds.is_empty() {
            return Err(Error::value(
                "clamp",
                "at least one of min and max must be given",
            ));
        }
        let me = Operand::Ref(self);
        let dtype = super::promote::result_type_of(
            &std::iter::once(&me).chain(&bounds).collect::<Vec<_>>(),
        );
        if dtype.is_float() {
            let op = UnaryOp::Clamp {
                min: min.map_or(f64::NEG_INFINITY, Scalar::to_f64),
                max: max.map_or(f64::INFINITY, Scalar::to_f64),
            };
            return apply_operand(op, me.in_dtype("clamp", dtype)?);
        }
        let mut out = self.to_dtype(dtype)?;
        if let Some(min) = min {
            out = out.maximum_scalar_(min).map_err(|e| e.in_op("clamp"))?;
        }
        if let Some(max) = max {
            out = out.minimum_scalar_(max).map_err(|e| e.in_op("clamp"))?;
        }
        Ok(out)
    }

    /// NaN and the infinities replaced; `None` means 0 for NaN, the largest and smallest finite values for ±∞.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[f64::NAN, f64::INFINITY, 1.0], 3)?;
    /// assert_eq!(x.nan_to_num(0.0, 9.0, None)?.to_vec::<f64>()?, [0.0, 9.0, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn nan_to_num(
        &self,
        nan: impl Into<Option<f64>>,
        posinf: impl Into<Option<f64>>,
        neginf: impl Into<Option<f64>>,
    ) -> Result<Tensor> {
        if !self.dtype().is_float() {
            return Ok(self.clone());
        }
        let largest = match self.dtype() {
            DType::F16 => 65504.0,
            DType::BF16 => half::bf16::MAX.to_f64(),
            DType::F32 => f64::from(f32::MAX),
            _ => f64::MAX,
        };
        let op = UnaryOp::NanToNum {
            nan: nan.into().unwrap_or(0.0),
            posinf: posinf.into().unwrap_or(largest),
            neginf: neginf.into().unwrap_or(-largest),
        };
        apply_operand(op, Operand::Ref(self))
    }

    /// x·scale + shift in one pass.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.affine(10.0, 1.0)?.to_vec::<f64>()?, [11.0, 21.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn affine(&self, scale: f64, shift: f64) -> Result<Tensor> {
        apply(UnaryOp::Affine { scale, shift }, FLOAT, Operand::Ref(self))
    }

    /// Rounded to so many decimals (negative: to tens, hundreds, …), halves to even.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[3.14159], 1)?;
    /// assert_eq!(x.round_decimals(2)?.to_vec::<f64>()?, [3.14]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn round_decimals(&self, decimals: i32) -> Result<Tensor> {
        if !self.dtype().is_float() {
            return Ok(self.clone());
        }
        let ten = 10f64.powi(decimals.saturating_abs().min(308));
        if decimals >= 0 {
            self.mul_scalar(ten)?.round_()?.div_scalar_(ten)
        } else {
            self.div_scalar(ten)?.round_()?.mul_scalar_(ten)
        }
    }
}
