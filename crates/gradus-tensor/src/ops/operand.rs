//! Operands of elementwise ops: a tensor lent, a tensor given away (its memory may become the result's), or a number.

use std::borrow::Cow;

use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// One operand. `Own` says: nobody needs this value afterwards.
pub(crate) enum Operand<'a> {
    Ref(&'a Tensor),
    Own(Tensor),
    Num(Scalar),
}

impl<'a> Operand<'a> {
    pub(crate) fn shape(&self) -> Shape {
        match self {
            Operand::Ref(x) => x.shape().clone(),
            Operand::Own(x) => x.shape().clone(),
            Operand::Num(_) => Shape::new(&[]),
        }
    }

    /// In the dtype the op computes in; numbers become rank-0 tensors.
    pub(crate) fn in_dtype(self, op: &'static str, dtype: DType) -> Result<Operand<'a>> {
        Ok(match self {
            Operand::Ref(x) if x.dtype() != dtype => Operand::Own(x.to_dtype(dtype)?),
            Operand::Own(x) if x.dtype() != dtype => Operand::Own(x.to_dtype(dtype)?),
            Operand::Num(s) => Operand::Own(number(op, s, dtype)?),
            x => x,
        })
    }

    /// Is it on a GPU? Numbers are where they are needed.
    #[cfg(feature = "cuda")]
    pub(crate) fn is_cuda(&self) -> bool {
        match self {
            Operand::Ref(x) => x.is_cuda(),
            Operand::Own(x) => x.is_cuda(),
            Operand::Num(_) => false,
        }
    }

    /// The tensor.
    pub(crate) fn tensor(&self) -> Tensor {
        match self {
            Operand::Ref(x) => (*x).clone(),
            Operand::Own(x) => x.clone(),
            Operand::Num(_) => unreachable!("numbers became tensors in in_dtype"),
        }
    }

    #[allow(clippy::result_large_err)] // both are tensors, on the way to one place
    /// The tensor, with its memory to reuse when it has exactly this shape and nobody else holds it.
    #[inline]
    pub(crate) fn reusable(self, shape: &Shape) -> std::result::Result<Tensor, Cow<'a, Tensor>> {
        match self {
            Operand::Own(x) if x.shape() == shape && x.is_exclusive() => Ok(x),
            Operand::Own(x) => Err(Cow::Owned(x)),
            Operand::Ref(x) => Err(Cow::Borrowed(x)),
            Operand::Num(_) => unreachable!("numbers became tensors in in_dtype"),
        }
    }
}

/// A rank-0 tensor of a number, refusing whole numbers that the dtype cannot hold (PyTorch refuses them too).
fn number(op: &'static str, s: Scalar, dtype: DType) -> Result<Tensor> {
    let fits = match (s, dtype) {
        (Scalar::Int(i), DType::U8) => (-255..=255).contains(&i),
        (Scalar::Int(i), DType::I32) => i32::try_from(i).is_ok(),
        _ => true,
    };
    if !fits {
        return Err(Error::value(
            op,
            format!(
                "{} does not fit in {dtype}; convert the tensor with to_dtype(DType::I64) first",
                s.to_i64()
            ),
        ));
    }
    Tensor::scalar_of(s, dtype)
}

/// The shape all operands broadcast to; the error names every shape.
pub(crate) fn broadcast_all(op: &'static str, shapes: &[Shape]) -> Result<Shape> {
    let mut shape = shapes[0].clone();
    for other in &shapes[1..] {
        shape = shape.broadcast(other).map_err(|e| {
            let all: Vec<String> = shapes.iter().map(ToString::to_string).collect();
            let why = e.message().split_once(": ").map_or("", |(_, why)| why);
            Error::shape(op, format!("{} do not broadcast: {why}", all.join(" and ")))
        })?;
    }
    Ok(shape)
}

/// The operand's layout stretched to the result's shape.
#[inline]
pub(crate) fn stretched<'a>(x: &'a Tensor, shape: &Shape) -> Result<Cow<'a, Layout>> {
    if x.shape() == shape {
        return Ok(Cow::Borrowed(&x.layout));
    }
    x.layout.broadcast_to(shape).map(Cow::Owned)
}

/// `x` with its elements rewritten in place by `f`. `x` is exclusive ([`Tensor::is_exclusive`]).
pub(crate) fn rewrite<T: Element>(
    mut x: Tensor,
    f: impl FnOnce(&mut [T]) -> Result<()>,
) -> Result<Tensor> {
    x.with_mut_slice::<T, _>(f)??;
    Ok(x)
}
