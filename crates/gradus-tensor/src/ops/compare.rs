//! Comparison of two tensors, with broadcasting; the result is bool.

use crate::DType;
use crate::error::Result;
use crate::ops::binary::broadcast;
use crate::ops::promote::{result_type, result_type_scalar};
use crate::scalar::Scalar;
use crate::tensor::Tensor;
use std::cmp::Ordering;

fn apply(
    op: &'static str,
    a: &Tensor,
    b: &Tensor,
    dtype: DType,
    f: fn(Option<Ordering>) -> bool,
) -> Result<Tensor> {
    let shape = broadcast(op, a, b)?;
    let (a, b) = (
        a.to_dtype(dtype)?.broadcast_to(&shape)?.contiguous()?,
        b.to_dtype(dtype)?.broadcast_to(&shape)?.contiguous()?,
    );
    dispatch!(dtype, T => {
        let (a, b) = (a.data::<T>(op)?, b.data::<T>(op)?);
        Tensor::build::<bool>(op, shape, |y| {
            for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
                *y = f(a.partial_cmp(b));
            }
        })
    })
}

macro_rules! compare {
    ($($(#[$doc:meta])* $name:ident $scalar:ident $f:expr;)*) => {
        impl Tensor {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// The shapes do not broadcast.
            pub fn $name(&self, other: &Tensor) -> Result<Tensor> {
                apply(stringify!($name), self, other, result_type(self, other), $f)
            }
            #[doc = concat!("As [`Tensor::", stringify!($name), "`] with a plain number.")]
            pub fn $scalar(&self, other: impl Into<Scalar>) -> Result<Tensor> {
                let other = other.into();
                let dtype = result_type_scalar(self, other);
                apply(stringify!($name), self, &Tensor::scalar_of(other, dtype)?, dtype, $f)
            }
        )*}
    };
}

compare! {
    /// a = b, as bool.
    eq eq_scalar |o| o == Some(Ordering::Equal);
    /// a ≠ b, as bool.
    ne ne_scalar |o| o != Some(Ordering::Equal);
    /// a < b, as bool.
    lt lt_scalar |o| o == Some(Ordering::Less);
    /// a ≤ b, as bool.
    le le_scalar |o| matches!(o, Some(Ordering::Less | Ordering::Equal));
    /// a > b, as bool.
    gt gt_scalar |o| o == Some(Ordering::Greater);
    /// a ≥ b, as bool.
    ge ge_scalar |o| matches!(o, Some(Ordering::Greater | Ordering::Equal));
}
