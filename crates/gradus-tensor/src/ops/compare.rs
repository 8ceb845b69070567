//! Comparison and logic of two operands, with broadcasting; the result is bool.

use gradus_cpu::elementwise::{CompareOp, PredicateOp, compare, predicate};

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::operand::{Operand, broadcast_all, stretched};
use crate::ops::promote::result_type_of;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, view};

fn apply(op: CompareOp, a: Operand<'_>, b: Operand<'_>, dtype: DType) -> Result<Tensor> {
    let name = op.name();
    let shape = broadcast_all(name, &[a.shape(), b.shape()])?;
    let (a, b) = (a.in_dtype(name, dtype)?, b.in_dtype(name, dtype)?);
    let (a, b) = (a.tensor(), b.tensor());
    on_cuda!([a, b] => cuda::elementwise::compare(op, &shape, &a, &b));
    let (la, lb) = (stretched(&a, &shape)?, stretched(&b, &shape)?);
    dispatch!(dtype, T => {
        let (a, b) = (view::<T>(&a, &la)?, view::<T>(&b, &lb)?);
        Tensor::try_build::<bool>(name, &shape, |y| Ok(compare(op, a, b, y)?))
    })
}

/// Comparisons happen in the common dtype, or in i64 when a plain whole number does not fit in it.
fn common(a: &Tensor, b: &Operand<'_>) -> DType {
    let dtype = result_type_of(&[&Operand::Ref(a), b]);
    match (b, dtype) {
        (Operand::Num(Scalar::Int(_)), DType::U8 | DType::I32) => DType::I64,
        _ => dtype,
    }
}

/// A doctest: numbers, the op, and what it says of each.
macro_rules! example {
    ($name:ident, $a:tt $(, $b:tt)? => $y:tt) => {
        concat!(
            "\n```\n# use gradus_tensor::Tensor;\nlet a = Tensor::from_slice(&",
            stringify!($a),
            ", 3)?;\n",
            $("let b = Tensor::from_slice(&", stringify!($b), ", 3)?;\n",)?
            "assert_eq!(a.",
            stringify!($name),
            "(",
            $(example!(@operand $b),)?
            ")?.to_vec::<bool>()?, ",
            stringify!($y),
            ");\n# Ok::<(), gradus_tensor::Error>(())\n```"
        )
    };
    (@operand $b:tt) => {
        "&b"
    };
}

macro_rules! compare {
    ($($(#[$doc:meta])* $name:ident $scalar:ident $op:ident $(, $a:tt $b:tt => $y:tt)?;)*) => {
        impl Tensor {$(
            $(#[$doc])*
            $(#[doc = example!($name, $a, $b => $y)])?
            ///
            /// # Errors
            /// The shapes do not broadcast.
            pub fn $name(&self, other: &Tensor) -> Result<Tensor> {
                let other = Operand::Ref(other);
                let dtype = common(self, &other);
                apply(CompareOp::$op, Operand::Ref(self), other, dtype)
            }
            #[doc = concat!("As [`Tensor::", stringify!($name), "`] with a plain number.")]
            ///
            /// # Errors
            /// The memory cannot be had.
            pub fn $scalar(&self, other: impl Into<Scalar>) -> Result<Tensor> {
                let other = Operand::Num(other.into());
                let dtype = common(self, &other);
                apply(CompareOp::$op, Operand::Ref(self), other, dtype)
            }
        )*}
    };
}

compare! {
    /// a = b, as bool.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1i64, 2, 3], 3)?;
    /// assert_eq!(x.ge_scalar(1.5)?.to_vec::<bool>()?, [false, true, true]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    eq eq_scalar Eq;
    /// a ≠ b, as bool.
    ne ne_scalar Ne, [1.0, 2.0, 3.0] [2.0, 2.0, 2.0] => [true, false, true];
    /// a < b, as bool.
    lt lt_scalar Lt, [1.0, 2.0, 3.0] [2.0, 2.0, 2.0] => [true, false, false];
    /// a ≤ b, as bool.
    le le_scalar Le, [1.0, 2.0, 3.0] [2.0, 2.0, 2.0] => [true, true, false];
    /// a > b, as bool.
    gt gt_scalar Gt, [1.0, 2.0, 3.0] [2.0, 2.0, 2.0] => [false, false, true];
    /// a ≥ b, as bool.
    ge ge_scalar Ge, [1.0, 2.0, 3.0] [2.0, 2.0, 2.0] => [false, true, true];
}

macro_rules! logic {
    ($($(#[$doc:meta])* $name:ident $op:ident, $a:tt $b:tt => $y:tt;)*) => {
        impl Tensor {$(
            $(#[$doc])*
            #[doc = example!($name, $a, $b => $y)]
            ///
            /// # Errors
            /// The shapes do not broadcast.
            pub fn $name(&self, other: &Tensor) -> Result<Tensor> {
                let dtype = self.dtype().promote(other.dtype());
                apply(CompareOp::$op, Operand::Ref(self), Operand::Ref(other), dtype)
            }
        )*}
    };
}

logic! {
    /// a ≠ 0 and b ≠ 0, as bool.
    logical_and LogicalAnd, [1.0, 2.0, 0.0] [3.0, 0.0, 0.0] => [true, false, false];
    /// a ≠ 0 or b ≠ 0, as bool.
    logical_or LogicalOr, [1.0, 2.0, 0.0] [3.0, 0.0, 0.0] => [true, true, false];
    /// Exactly one of a ≠ 0 and b ≠ 0, as bool.
    logical_xor LogicalXor, [1.0, 2.0, 0.0] [3.0, 0.0, 0.0] => [false, true, false];
}

macro_rules! predicates {
    ($($(#[$doc:meta])* $name:ident $op:ident, $a:tt => $y:tt;)*) => {
        impl Tensor {$(
            $(#[$doc])*
            #[doc = example!($name, $a => $y)]
            ///
            /// # Errors
            /// The memory cannot be had.
            pub fn $name(&self) -> Result<Tensor> {
                on_cuda!([self] => cuda::elementwise::predicate(PredicateOp::$op, stringify!($name), self));
                dispatch!(self.dtype(), T => {
                    let x = self.kernel_view::<T>()?;
                    Tensor::try_build::<bool>(stringify!($name), self.shape(), |y| Ok(predicate(PredicateOp::$op, x, y)?))
                })
            }
        )*}
    };
}

predicates! {
    /// Is NaN, as bool.
    isnan IsNan, [f64::NAN, f64::NEG_INFINITY, 1.0] => [true, false, false];
    /// Is infinite, as bool.
    isinf IsInf, [f64::NAN, f64::NEG_INFINITY, 1.0] => [false, true, false];
    /// Is neither infinite nor NaN, as bool.
    isfinite IsFinite, [f64::NAN, f64::NEG_INFINITY, 1.0] => [false, false, true];
    /// Is +∞, as bool.
    isposinf IsPosInf, [f64::NAN, f64::NEG_INFINITY, 1.0] => [false, false, false];
    /// Is −∞, as bool.
    isneginf IsNegInf, [f64::NAN, f64::NEG_INFINITY, 1.0] => [false, true, false];
    /// Has its sign bit set, as bool.
    signbit Signbit, [-1.0, -0.0, 0.0] => [true, true, false];
    /// Is 0, as bool.
    logical_not IsZero, [-1.0, -0.0, 0.0] => [false, true, true];
}

impl Tensor {
    /// |a − b| ≤ atol + rtol·|b|, element by element, as bool; PyTorch's defaults are 1e-5 and 1e-8.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.isclose(&Tensor::from_slice(&[1.000001, 2.1], 2)?, 1e-5, 1e-8, false)?.to_vec::<bool>()?, [true, false]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A tolerance is negative or NaN, dtypes differ, or the shapes do not broadcast.
    pub fn isclose(&self, other: &Tensor, rtol: f64, atol: f64, equal_nan: bool) -> Result<Tensor> {
        if rtol.is_nan() || atol.is_nan() || rtol < 0.0 || atol < 0.0 {
            return Err(Error::value(
                "isclose",
                format!("rtol {rtol} and atol {atol} must not be negative"),
            ));
        }
        if self.dtype() != other.dtype() {
            let message = format!(
                "dtypes {} and {} differ; convert one with to_dtype",
                self.dtype(),
                other.dtype()
            );
            return Err(Error::dtype("isclose", message));
        }
        let mut close = self.eq(other).map_err(|e| e.in_op("isclose"))?;
        if equal_nan {
            close = close.logical_or(&self.isnan()?.logical_and(&other.isnan()?)?)?;
        }
        if rtol == 0.0 && atol == 0.0 {
            return Ok(close);
        }
        let wide = |x: &Tensor| {
            if x.dtype().is_float() {
                Ok(x.clone())
            } else {
                x.to_dtype(DType::F64)
            }
        };
        let (a, b) = (wide(self)?, wide(other)?);
        let allowed = b.abs()?.mul_scalar_(rtol)?.add_scalar_(atol)?;
        let error = a.sub(&b)?.abs_()?;
        let near = error.le(&allowed)?.logical_and(&error.isfinite()?)?;
        close.logical_or(&near)
    }

    /// Are all elements close ([`Tensor::isclose`])? False for different shapes.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// assert!(Tensor::from_slice(&[1.0, 2.0], 2)?.allclose(&Tensor::from_slice(&[1.000001, 2.0], 2)?, 1e-5, 1e-8, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::isclose`].
    pub fn allclose(&self, other: &Tensor, rtol: f64, atol: f64, equal_nan: bool) -> Result<bool> {
        if self.shape().broadcast(other.shape()).is_err() {
            return Ok(false);
        }
        Ok(self
            .isclose(other, rtol, atol, equal_nan)?
            .to_vec::<bool>()?
            .iter()
            .all(|&x| x))
    }

    /// Same shape, dtype and elements (NaN differs from itself).
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// assert!(Tensor::from_slice(&[1.0, 2.0], 2)?.equal(&Tensor::from_slice(&[1.0, 2.0], 2)?)? && !Tensor::from_slice(&[1.0, 2.0], 2)?.equal(&Tensor::from_slice(&[1.0, 3.0], 2)?)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The memory cannot be had.
    pub fn equal(&self, other: &Tensor) -> Result<bool> {
        if self.shape() != other.shape() || self.dtype() != other.dtype() {
            return Ok(false);
        }
        Ok(self.eq(other)?.to_vec::<bool>()?.iter().all(|&x| x))
    }
}
