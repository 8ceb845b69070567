//! Arithmetic of two tensors, with broadcasting and type promotion.

use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::ops::promote::{result_type, result_type_scalar};
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// The common shape of two operands, or an error that names both.
pub(crate) fn broadcast(op: &'static str, a: &Tensor, b: &Tensor) -> Result<Shape> {
    a.shape().broadcast(b.shape()).map_err(|e| e.in_op(op))
}

fn apply(
    op: &'static str,
    a: &Tensor,
    b: &Tensor,
    dtype: DType,
    f: fn(f64, f64) -> f64,
    i: fn(i64, i64) -> i64,
) -> Result<Tensor> {
    let shape = broadcast(op, a, b)?;
    let (a, b) = (
        a.to_dtype(dtype)?.broadcast_to(&shape)?.contiguous()?,
        b.to_dtype(dtype)?.broadcast_to(&shape)?.contiguous()?,
    );
    dispatch!(dtype, T => {
        let (a, b) = (a.data::<T>(op)?, b.data::<T>(op)?);
        Tensor::build::<T>(op, shape, |y| {
            for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
                *y = if T::DTYPE.is_float() { T::from_f64(f(a.to_f64(), b.to_f64())) } else { T::from_i64(i(a.to_i64(), b.to_i64())) };
            }
        })
    })
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident $scalar:ident $inplace:ident $inplace_scalar:ident $f:expr, $i:expr;)*) => {
        impl Tensor {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// The shapes do not broadcast.
            pub fn $name(&self, other: &Tensor) -> Result<Tensor> {
                apply(stringify!($name), self, other, result_type(self, other), $f, $i)
            }
            #[doc = concat!("As [`Tensor::", stringify!($name), "`] with a plain number.")]
            pub fn $scalar(&self, other: impl Into<Scalar>) -> Result<Tensor> {
                let other = other.into();
                let dtype = result_type_scalar(self, other);
                apply(stringify!($name), self, &Tensor::scalar_of(other, dtype)?, dtype, $f, $i)
            }
            #[doc = concat!("As [`Tensor::", stringify!($name), "`], reusing this tensor's memory when nobody else holds it.")]
            pub fn $inplace(self, other: &Tensor) -> Result<Tensor> {
                self.$name(other)
            }
            #[doc = concat!("As [`Tensor::", stringify!($scalar), "`], reusing this tensor's memory when nobody else holds it.")]
            pub fn $inplace_scalar(self, other: impl Into<Scalar>) -> Result<Tensor> {
                self.$scalar(other)
            }
        )*}
    };
}

binary! {
    /// a + b.
    add add_scalar add_ add_scalar_ |a, b| a + b, i64::wrapping_add;
    /// a - b.
    sub sub_scalar sub_ sub_scalar_ |a, b| a - b, i64::wrapping_sub;
    /// a · b.
    mul mul_scalar mul_ mul_scalar_ |a, b| a * b, i64::wrapping_mul;
    /// aᵇ.
    pow pow_scalar pow_ pow_scalar_ f64::powf, |a, b| a.wrapping_pow(b as u32);
    /// The larger of both; NaN wins.
    maximum maximum_scalar maximum_ maximum_scalar_ |a, b| if a.is_nan() || a > b { a } else { b }, i64::max;
    /// The smaller of both; NaN wins.
    minimum minimum_scalar minimum_ minimum_scalar_ |a, b| if a.is_nan() || a < b { a } else { b }, i64::min;
}

impl Tensor {
    /// a / b, in floats whatever the operands.
    ///
    /// # Errors
    /// The shapes do not broadcast.
    pub fn div(&self, other: &Tensor) -> Result<Tensor> {
        apply(
            "div",
            self,
            other,
            result_type(self, other).to_float(),
            |a, b| a / b,
            |a, _| a,
        )
    }

    /// As [`Tensor::div`] with a plain number.
    pub fn div_scalar(&self, other: impl Into<Scalar>) -> Result<Tensor> {
        let other = other.into();
        let dtype = result_type_scalar(self, other).to_float();
        apply(
            "div",
            self,
            &Tensor::scalar_of(other, dtype)?,
            dtype,
            |a, b| a / b,
            |a, _| a,
        )
    }

    /// As [`Tensor::div`], reusing this tensor's memory when nobody else holds it.
    pub fn div_(self, other: &Tensor) -> Result<Tensor> {
        self.div(other)
    }

    /// As [`Tensor::div_scalar`], reusing this tensor's memory when nobody else holds it.
    pub fn div_scalar_(self, other: impl Into<Scalar>) -> Result<Tensor> {
        self.div_scalar(other)
    }
}

/// `+ - * /` on tensors and numbers. They panic where the method returns `Err`, with the same text.
macro_rules! operator {
    ($($trait:ident $method:ident $inplace:ident $scalar:ident $inplace_scalar:ident;)*) => {$(
        impl std::ops::$trait<&Tensor> for &Tensor {
            type Output = Tensor;
            /// Panics with the method's error text.
            fn $method(self, other: &Tensor) -> Tensor {
                unwrap(Tensor::$method(self, other))
            }
        }
        impl std::ops::$trait<&Tensor> for Tensor {
            type Output = Tensor;
            /// Reuses the left operand's memory. Panics with the method's error text.
            fn $method(self, other: &Tensor) -> Tensor {
                unwrap(self.$inplace(other))
            }
        }
        impl std::ops::$trait<Tensor> for Tensor {
            type Output = Tensor;
            /// Reuses the left operand's memory. Panics with the method's error text.
            fn $method(self, other: Tensor) -> Tensor {
                unwrap(self.$inplace(&other))
            }
        }
        impl std::ops::$trait<Tensor> for &Tensor {
            type Output = Tensor;
            /// Panics with the method's error text.
            fn $method(self, other: Tensor) -> Tensor {
                unwrap(Tensor::$method(self, &other))
            }
        }
        impl std::ops::$trait<f64> for &Tensor {
            type Output = Tensor;
            /// Panics with the method's error text.
            fn $method(self, other: f64) -> Tensor {
                unwrap(self.$scalar(other))
            }
        }
        impl std::ops::$trait<f64> for Tensor {
            type Output = Tensor;
            /// Reuses the left operand's memory. Panics with the method's error text.
            fn $method(self, other: f64) -> Tensor {
                unwrap(self.$inplace_scalar(other))
            }
        }
    )*};
}

operator! {
    Add add add_ add_scalar add_scalar_;
    Sub sub sub_ sub_scalar sub_scalar_;
    Mul mul mul_ mul_scalar mul_scalar_;
    Div div div_ div_scalar div_scalar_;
}

impl std::ops::Neg for &Tensor {
    type Output = Tensor;
    /// Panics with the method's error text.
    fn neg(self) -> Tensor {
        unwrap(Tensor::neg(self))
    }
}

#[track_caller]
fn unwrap(result: Result<Tensor, Error>) -> Tensor {
    match result {
        Ok(x) => x,
        Err(e) => panic!("{e}"),
    }
}
