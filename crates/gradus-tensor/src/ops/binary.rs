//! Arithmetic of two operands, with broadcasting and type promotion; results and rules are PyTorch's.
//!
//! Each op comes as `add(&self, &Tensor)`, `add_scalar(&self, number)`, and both with a trailing underscore, which
//! consume the tensor and reuse its memory when nobody else holds it (the result is the same in every case).

use gradus_cpu::elementwise::{BinaryOp, UnaryOp, binary, binary_in_place, binary_in_place_right};

use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::ops::operand::{Operand, broadcast_all, rewrite, stretched};
use crate::ops::promote::result_type_of;
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tensor::{Tensor, view};

/// The dtype an op computes in, from its operands' common one.
type Rule = fn(DType) -> DType;

/// `op(a, b)` in the dtype that `rule` makes of the operands' common one.
fn apply(op: BinaryOp, rule: Rule, a: Operand<'_>, b: Operand<'_>) -> Result<Tensor> {
    let name = op.name();
    let shape = match (&a, &b) {
        (Operand::Ref(a), Operand::Ref(b)) if a.shape() == b.shape() => a.shape().clone(),
        _ => broadcast_all(name, &[a.shape(), b.shape()])?,
    };
    let dtype = rule(result_type_of(&[&a, &b]));
    // f16 and bf16 with a plain number: the number is not rounded to 16 bits first (as PyTorch's opmath).
    if let (DType::F16 | DType::BF16, Operand::Num(s)) = (dtype, &b) {
        let affine = |scale: f64, shift: f64| UnaryOp::Affine { scale, shift };
        let unary = match op {
            BinaryOp::Add => Some(affine(1.0, s.to_f64())),
            BinaryOp::Sub => Some(affine(1.0, -s.to_f64())),
            BinaryOp::Mul => Some(affine(s.to_f64(), -0.0)),
            BinaryOp::Pow => Some(UnaryOp::PowScalar(s.to_f64())),
            _ => None,
        };
        if let Some(unary) = unary {
            return super::unary::apply_operand(unary, a.in_dtype(name, dtype)?);
        }
    }
    let (a, b) = (a.in_dtype(name, dtype)?, b.in_dtype(name, dtype)?);
    on_cuda!([a, b] => cuda::elementwise::binary(op, &shape, &a.tensor(), &b.tensor()));
    dispatch!(dtype, T => run::<T>(op, &shape, a, b))
}

fn run<T: Element>(op: BinaryOp, shape: &Shape, a: Operand<'_>, b: Operand<'_>) -> Result<Tensor> {
    let a = match a.reusable(shape) {
        Ok(a) => {
            let b = b
                .reusable(shape)
                .map_or_else(|b| b, std::borrow::Cow::Owned);
            let layout = stretched(&b, shape)?;
            let b = view::<T>(&b, layout.as_ref())?;
            return rewrite::<T>(a, |a| Ok(binary_in_place(op, a, b)?));
        }
        Err(a) => a,
    };
    let a_layout = stretched(&a, shape)?;
    let a = view::<T>(&a, a_layout.as_ref())?;
    match b.reusable(shape) {
        Ok(b) => rewrite::<T>(b, |b| Ok(binary_in_place_right(op, a, b)?)),
        Err(b) => {
            let b_layout = stretched(&b, shape)?;
            let b = view::<T>(&b, b_layout.as_ref())?;
            Tensor::try_build::<T>(op.name(), shape, |y| Ok(binary(op, a, b, y)?))
        }
    }
}

const SAME: Rule = |d| d;
const FLOAT: Rule = DType::to_float;

/// A doctest: three pairs of numbers, the op, and what it gives to six digits.
macro_rules! example {
    ($name:ident, $a:tt, $b:tt, $y:tt) => {
        concat!(
            "\n```\n# use gradus_tensor::Tensor;\nlet a = Tensor::from_slice(&",
            stringify!($a),
            ", 3)?;\nlet b = Tensor::from_slice(&",
            stringify!($b),
            ", 3)?;\nlet y = Tensor::from_slice(&",
            stringify!($y),
            ", 3)?;\nassert!(a.",
            stringify!($name),
            "(&b)?.allclose(&y, 1e-5, 1e-6, false)?);\n# Ok::<(), gradus_tensor::Error>(())\n```"
        )
    };
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident $scalar:ident $inplace:ident $inplace_scalar:ident $op:ident $rule:ident $(, $a:tt $b:tt => $y:tt)?;)*) => {
        impl Tensor {$(
            $(#[$doc])*
            $(#[doc = example!($name, $a, $b, $y)])?
            ///
            /// # Errors
            /// The shapes do not broadcast, or the op is not defined for the common dtype.
            pub fn $name(&self, other: &Tensor) -> Result<Tensor> {
                apply(BinaryOp::$op, $rule, Operand::Ref(self), Operand::Ref(other))
            }
            #[doc = concat!("As [`Tensor::", stringify!($name), "`] with a plain number.")]
            ///
            /// # Errors
            /// The op is not defined for the common dtype, or a whole number does not fit in it.
            pub fn $scalar(&self, other: impl Into<Scalar>) -> Result<Tensor> {
                apply(BinaryOp::$op, $rule, Operand::Ref(self), Operand::Num(other.into()))
            }
            #[doc = concat!("As [`Tensor::", stringify!($name), "`], reusing this tensor's memory when nobody else holds it.")]
            ///
            /// # Errors
            /// The shapes do not broadcast, or the op is not defined for the common dtype.
            pub fn $inplace(self, other: &Tensor) -> Result<Tensor> {
                apply(BinaryOp::$op, $rule, Operand::Own(self), Operand::Ref(other))
            }
            #[doc = concat!("As [`Tensor::", stringify!($scalar), "`], reusing this tensor's memory when nobody else holds it.")]
            ///
            /// # Errors
            /// The op is not defined for the common dtype, or a whole number does not fit in it.
            pub fn $inplace_scalar(self, other: impl Into<Scalar>) -> Result<Tensor> {
                apply(BinaryOp::$op, $rule, Operand::Own(self), Operand::Num(other.into()))
            }
        )*}
    };
}

binary! {
    /// a + b; bool is "or".
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1f32, 2., 3., 4.], [2, 2])?;
    /// let row = Tensor::from_slice(&[10f32, 20.], 2)?;
    /// assert_eq!(x.add(&row)?.to_vec::<f32>()?, [11., 22., 13., 24.]);
    /// assert_eq!(x.add_scalar(1)?.to_vec::<f32>()?, [2., 3., 4., 5.]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    add add_scalar add_ add_scalar_ Add SAME;
    /// a − b; not for bool.
    sub sub_scalar sub_ sub_scalar_ Sub SAME,
        [7.0, -7.0, 1.0] [2.0, 2.0, 3.0] => [5.0, -9.0, -2.0];
    /// a · b; bool is "and".
    mul mul_scalar mul_ mul_scalar_ Mul SAME,
        [7.0, -7.0, 1.0] [2.0, 2.0, 3.0] => [14.0, -14.0, 3.0];
    /// a / b in floats: whole numbers become f32.
    div div_scalar div_ div_scalar_ Div FLOAT,
        [7.0, -7.0, 1.0] [2.0, 2.0, 4.0] => [3.5, -3.5, 0.25];
    /// a / b rounded towards −∞ (`div` with `rounding_mode="floor"`).
    floor_divide floor_divide_scalar floor_divide_ floor_divide_scalar_ FloorDiv SAME,
        [7.0, -7.0, 1.0] [2.0, 2.0, 3.0] => [3.0, -4.0, 0.0];
    /// a / b rounded towards 0 (`div` with `rounding_mode="trunc"`).
    trunc_divide trunc_divide_scalar trunc_divide_ trunc_divide_scalar_ TruncDiv SAME,
        [7.0, -7.0, 1.0] [2.0, 2.0, 3.0] => [3.0, -3.0, 0.0];
    /// a − b·⌊a/b⌋: the sign of b, as `%` of Python.
    remainder remainder_scalar remainder_ remainder_scalar_ Remainder SAME,
        [7.0, -7.0, 1.0] [2.0, 2.0, 3.0] => [1.0, 1.0, 1.0];
    /// a − b·trunc(a/b): the sign of a, as C's `fmod`.
    fmod fmod_scalar fmod_ fmod_scalar_ Fmod SAME,
        [7.0, -7.0, 1.0] [2.0, 2.0, 3.0] => [1.0, -1.0, 1.0];
    /// The larger of both; NaN if either is NaN.
    maximum maximum_scalar maximum_ maximum_scalar_ Maximum SAME,
        [7.0, -7.0, 1.0] [2.0, 2.0, 3.0] => [7.0, 2.0, 3.0];
    /// The smaller of both; NaN if either is NaN.
    minimum minimum_scalar minimum_ minimum_scalar_ Minimum SAME,
        [7.0, -7.0, 1.0] [2.0, 2.0, 3.0] => [2.0, -7.0, 1.0];
    /// The larger of both; the other one if one is NaN.
    fmax fmax_scalar fmax_ fmax_scalar_ Fmax SAME,
        [7.0, -7.0, 1.0] [2.0, 2.0, 3.0] => [7.0, 2.0, 3.0];
    /// The smaller of both; the other one if one is NaN.
    fmin fmin_scalar fmin_ fmin_scalar_ Fmin SAME,
        [7.0, -7.0, 1.0] [2.0, 2.0, 3.0] => [2.0, -7.0, 1.0];
    /// The angle of the point (b, a).
    atan2 atan2_scalar atan2_ atan2_scalar_ Atan2 FLOAT,
        [1.0, 0.0, -1.0] [1.0, -1.0, 0.0] => [0.785398, 3.141593, -1.570796];
    /// √(a² + b²), without overflow on the way.
    hypot hypot_scalar hypot_ hypot_scalar_ Hypot FLOAT,
        [3.0, 5.0, 1.0] [4.0, 12.0, 1.0] => [5.0, 13.0, 1.414214];
    /// a·ln b; 0 where a is 0.
    xlogy xlogy_scalar xlogy_ xlogy_scalar_ Xlogy FLOAT,
        [0.0, 1.0, 2.0] [0.0, 2.0, 4.0] => [0.0, 0.693147, 2.772589];
    /// a·ln(1 + b); 0 where a is 0.
    xlog1py xlog1py_scalar xlog1py_ xlog1py_scalar_ Xlog1py FLOAT,
        [0.0, 1.0, 2.0] [-1.0, 1.0, 3.0] => [0.0, 0.693147, 2.772589];
    /// ln(eᵃ + eᵇ).
    logaddexp logaddexp_scalar logaddexp_ logaddexp_scalar_ LogAddExp FLOAT,
        [0.0, 1.0, 1000.0] [0.0, 2.0, 1000.0] => [0.693147, 2.313262, 1000.693147];
    /// log2(2ᵃ + 2ᵇ).
    logaddexp2 logaddexp2_scalar logaddexp2_ logaddexp2_scalar_ LogAddExp2 FLOAT,
        [0.0, 1.0, 1000.0] [0.0, 2.0, 1000.0] => [1.0, 2.584963, 1001.0];
    /// |a| with the sign of b.
    copysign copysign_scalar copysign_ copysign_scalar_ Copysign FLOAT,
        [1.0, -2.0, 3.0] [-1.0, 1.0, -5.0] => [-1.0, 2.0, -3.0];
    /// 0 where a < 0, b where a is 0, 1 where a > 0.
    heaviside heaviside_scalar heaviside_ heaviside_scalar_ Heaviside SAME,
        [-1.0, 0.0, 3.0] [0.5, 0.5, 0.5] => [0.0, 0.5, 1.0];
    /// Bitwise "and" of whole numbers or bools.
    bitwise_and bitwise_and_scalar bitwise_and_ bitwise_and_scalar_ BitwiseAnd SAME,
        [12, 5, -7] [10, 3, 4] => [8, 1, 0];
    /// Bitwise "or" of whole numbers or bools.
    bitwise_or bitwise_or_scalar bitwise_or_ bitwise_or_scalar_ BitwiseOr SAME,
        [12, 5, -7] [10, 3, 4] => [14, 7, -3];
    /// Bitwise "exclusive or" of whole numbers or bools.
    bitwise_xor bitwise_xor_scalar bitwise_xor_ bitwise_xor_scalar_ BitwiseXor SAME,
        [12, 5, -7] [10, 3, 4] => [6, 6, -3];
    /// a·2ᵇ of whole numbers.
    bitwise_left_shift bitwise_left_shift_scalar bitwise_left_shift_ bitwise_left_shift_scalar_ ShiftLeft SAME,
        [1, 5, -7] [2, 1, 3] => [4, 10, -56];
    /// a/2ᵇ rounded down, of whole numbers.
    bitwise_right_shift bitwise_right_shift_scalar bitwise_right_shift_ bitwise_right_shift_scalar_ ShiftRight SAME,
        [12, 5, -7] [2, 1, 3] => [3, 2, -1];
    /// The gradient of `tanh`: a·(1 − b²), a the gradient of its output b.
    tanh_backward tanh_backward_scalar tanh_backward_ tanh_backward_scalar_ TanhBackward FLOAT,
        [1.0, 2.0, 1.0] [0.5, 0.5, -0.5] => [0.75, 1.5, 0.75];
    /// The gradient of `sigmoid`: a·b·(1 − b), a the gradient of its output b.
    sigmoid_backward sigmoid_backward_scalar sigmoid_backward_ sigmoid_backward_scalar_ SigmoidBackward FLOAT,
        [1.0, 2.0, 1.0] [0.5, 0.5, -0.5] => [0.25, 0.5, -0.75];
    /// The gradient of `relu`: a where b > 0, else 0; b its input or output.
    relu_backward relu_backward_scalar relu_backward_ relu_backward_scalar_ ReluBackward SAME,
        [1.0, 2.0, 1.0] [0.5, 0.5, -0.5] => [1.0, 2.0, 0.0];
    /// The gradient of `relu6`: a where 0 < b < 6, else 0; b its input or output.
    relu6_backward relu6_backward_scalar relu6_backward_ relu6_backward_scalar_ Relu6Backward SAME,
        [1.0, 2.0, 1.0] [0.5, 6.0, -0.5] => [1.0, 0.0, 0.0];
    /// The gradient of `gelu`, b its input.
    gelu_backward gelu_backward_scalar gelu_backward_ gelu_backward_scalar_ GeluBackward FLOAT,
        [1.0, 2.0, 1.0] [0.5, 0.5, -0.5] => [0.867495, 1.73499, 0.132505];
    /// The gradient of `gelu_tanh`, b its input.
    gelu_tanh_backward gelu_tanh_backward_scalar gelu_tanh_backward_ gelu_tanh_backward_scalar_ GeluTanhBackward FLOAT,
        [1.0, 2.0, 1.0] [0.5, 0.5, -0.5] => [0.86737, 1.73474, 0.13263];
    /// The gradient of `silu`, b its input.
    silu_backward silu_backward_scalar silu_backward_ silu_backward_scalar_ SiluBackward FLOAT,
        [1.0, 2.0, 1.0] [0.5, 0.5, -0.5] => [0.739961, 1.479922, 0.260039];
}

/// Whole numbers to a negative plain power have no whole result; PyTorch refuses them as well.
fn check_power(x: &Tensor, exponent: Scalar) -> Result<()> {
    if let (Scalar::Int(i), false) = (exponent, x.dtype().is_float())
        && i < 0
    {
        let message = format!(
            "{} to the power {i} is not whole; convert with to_dtype(DType::F32) first",
            x.dtype()
        );
        return Err(Error::value("pow", message));
    }
    Ok(())
}

/// A bool base or exponent counts as a whole number.
const POWER: Rule = |d| {
    if matches!(d, DType::Bool) {
        DType::I64
    } else {
        d
    }
};

impl Tensor {
    /// aᵇ; whole numbers stay whole and wrap.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?;
    /// let expected = Tensor::from_slice(&[1.0, 8.0, 1.7320508], 3)?;
    /// assert!(x.pow(&Tensor::from_slice(&[2.0, 3.0, 0.5], 3)?)?.reshape(3)?.allclose(&expected, 1e-5, 1e-6, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not broadcast.
    pub fn pow(&self, exponent: &Tensor) -> Result<Tensor> {
        apply(
            BinaryOp::Pow,
            POWER,
            Operand::Ref(self),
            Operand::Ref(exponent),
        )
    }

    /// As [`Tensor::pow`] with a plain exponent.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1i64, 2, 3], 3)?;
    /// assert_eq!(x.pow_scalar(2)?.to_vec::<i64>()?, [1, 4, 9]);
    /// assert_eq!(x.pow_scalar(-1.0)?.to_vec::<f32>()?, [1., 0.5, 1. / 3.]);
    /// assert!(x.pow_scalar(-1).is_err());
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Whole numbers to a negative whole power.
    pub fn pow_scalar(&self, exponent: impl Into<Scalar>) -> Result<Tensor> {
        let exponent = exponent.into();
        check_power(self, exponent)?;
        power(Operand::Ref(self), exponent)
    }

    /// As [`Tensor::pow`], reusing this tensor's memory when nobody else holds it.
    ///
    /// # Errors
    /// The shapes do not broadcast.
    pub fn pow_(self, exponent: &Tensor) -> Result<Tensor> {
        apply(
            BinaryOp::Pow,
            POWER,
            Operand::Own(self),
            Operand::Ref(exponent),
        )
    }

    /// As [`Tensor::pow_scalar`], reusing this tensor's memory when nobody else holds it.
    ///
    /// # Errors
    /// Whole numbers to a negative whole power.
    pub fn pow_scalar_(self, exponent: impl Into<Scalar>) -> Result<Tensor> {
        let exponent = exponent.into();
        check_power(&self, exponent)?;
        power(Operand::Own(self), exponent)
    }

    /// `base` to the power of each element: `torch.pow(number, tensor)`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0.0, 1.0, 3.0], 3)?;
    /// assert_eq!(x.rpow_scalar(2)?.to_vec::<f64>()?, [1.0, 2.0, 8.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn rpow_scalar(&self, base: impl Into<Scalar>) -> Result<Tensor> {
        apply(
            BinaryOp::Pow,
            POWER,
            Operand::Num(base.into()),
            Operand::Ref(self),
        )
    }

    /// aᵇ computed and returned in f64.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[2i64, 3], 2)?;
    /// assert_eq!(x.float_power(&Tensor::from_slice(&[3i64, 2], 2)?)?.to_vec::<f64>()?, [8.0, 9.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not broadcast.
    pub fn float_power(&self, exponent: &Tensor) -> Result<Tensor> {
        self.to_dtype(DType::F64)?
            .pow_(&exponent.to_dtype(DType::F64)?)
            .map_err(|e| e.in_op("float_power"))
    }

    /// As [`Tensor::float_power`] with a plain exponent.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[2i64, 3], 2)?;
    /// assert_eq!(x.float_power_scalar(-1)?.to_vec::<f64>()?, [0.5, 1.0 / 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn float_power_scalar(&self, exponent: impl Into<Scalar>) -> Result<Tensor> {
        self.to_dtype(DType::F64)?
            .pow_scalar_(exponent.into().to_f64())
    }

    /// b − a (`torch.rsub`).
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.rsub(&Tensor::from_slice(&[10.0, 10.0], 2)?)?.to_vec::<f64>()?, [9.0, 8.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not broadcast.
    pub fn rsub(&self, other: &Tensor) -> Result<Tensor> {
        other.sub(self).map_err(|e| e.in_op("rsub"))
    }

    /// b − a for a plain b.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0.25, 1.0], 2)?;
    /// assert_eq!(x.rsub_scalar(1)?.to_vec::<f64>()?, [0.75, 0.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The tensor is bool.
    pub fn rsub_scalar(&self, other: impl Into<Scalar>) -> Result<Tensor> {
        apply(
            BinaryOp::Sub,
            SAME,
            Operand::Num(other.into()),
            Operand::Ref(self),
        )
    }

    /// b / a for a plain b.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[2.0, 4.0], 2)?;
    /// assert_eq!(x.rdiv_scalar(1)?.to_vec::<f64>()?, [0.5, 0.25]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn rdiv_scalar(&self, other: impl Into<Scalar>) -> Result<Tensor> {
        apply(
            BinaryOp::Div,
            FLOAT,
            Operand::Num(other.into()),
            Operand::Ref(self),
        )
    }

    /// a + alpha·b.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.add_scaled(&Tensor::from_slice(&[10.0, 20.0], 2)?, 0.5)?.to_vec::<f64>()?, [6.0, 12.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not broadcast, or a whole result would need a real `alpha`.
    pub fn add_scaled(&self, other: &Tensor, alpha: impl Into<Scalar>) -> Result<Tensor> {
        let alpha = alpha.into();
        let dtype = crate::ops::result_type(self, other);
        if matches!(alpha, Scalar::Float(_)) && !dtype.is_float() {
            return Err(Error::value(
                "add",
                format!(
                    "alpha {} is a real but the operands are {dtype}",
                    alpha.to_f64()
                ),
            ));
        }
        let scaled = other.mul_scalar(alpha)?;
        apply(
            BinaryOp::Add,
            SAME,
            Operand::Ref(self),
            Operand::Own(scaled),
        )
    }

    /// a − alpha·b.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.sub_scaled(&Tensor::from_slice(&[10.0, 20.0], 2)?, 0.5)?.to_vec::<f64>()?, [-4.0, -8.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::add_scaled`].
    pub fn sub_scaled(&self, other: &Tensor, alpha: impl Into<Scalar>) -> Result<Tensor> {
        match alpha.into() {
            Scalar::Float(x) => self.add_scaled(other, -x),
            s => self.add_scaled(other, s.to_i64().wrapping_neg()),
        }
    }
}

fn power(x: Operand<'_>, exponent: Scalar) -> Result<Tensor> {
    let dtype = POWER(result_type_of(&[&x, &Operand::Num(exponent)]));
    if dtype.is_float() {
        return super::unary::apply_operand(
            UnaryOp::PowScalar(exponent.to_f64()),
            x.in_dtype("pow", dtype)?,
        );
    }
    apply(BinaryOp::Pow, POWER, x, Operand::Num(exponent))
}

/// For the operators: `a op b` where either side may be given away.
pub(crate) fn operator(op: BinaryOp, a: Operand<'_>, b: Operand<'_>) -> Result<Tensor> {
    apply(op, if op == BinaryOp::Div { FLOAT } else { SAME }, a, b)
}
