//! The operations: checked arguments, a choice of kernel, a launch. Inputs are [`View`]s or whole buffers, outputs are
//! whole buffers in row-major order; nothing is copied to the host, and nothing waits.
//!
//! Names, arguments and meanings follow gradus-cpu's modules of the same names.

pub mod attention;
pub mod conv;
pub mod copy;
pub mod elementwise;
pub mod embedding;
pub mod gemm;
pub mod loss;
pub mod norm;
pub mod optim;
pub mod pool;
pub mod random;
pub mod reduce;
pub mod resample;
pub mod scan;
pub mod scatter;
pub mod softmax;
pub mod sort;

use crate::{Buffer, DType, Element, Error, Result, View};

/// `n` as the `i32` a kernel takes.
fn int(op: &'static str, n: usize) -> Result<i32> {
    i32::try_from(n).map_err(|_| Error::shape(op, format!("{n} is more than the kernel counts to")))
}

/// A view's elements in row-major order without gaps: where they lie, or copied.
enum Dense<'a, T> {
    Borrowed(&'a View<'a, T>),
    Owned(Buffer<T>),
}

impl<'a, T: Element> Dense<'a, T> {
    fn new(x: &'a View<'a, T>) -> Result<Self> {
        if x.is_contiguous() {
            return Ok(Self::Borrowed(x));
        }
        let mut y = x.buffer().device().uninit(x.len())?;
        copy::copy(x, &mut y)?;
        Ok(Self::Owned(y))
    }

    /// The elements in the shape they had.
    fn view(&self, shape: &[usize]) -> Result<View<'_, T>> {
        match self {
            Self::Borrowed(x) => Ok((*x).clone()),
            Self::Owned(y) => y.view(shape),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Borrowed(x) => x.len(),
            Self::Owned(y) => y.len(),
        }
    }

    /// The elements as a matrix.
    fn flat(&self, shape: [usize; 2]) -> Result<View<'_, T>> {
        match self {
            Self::Borrowed(x) => x.flattened(&shape),
            Self::Owned(y) => y.view(&shape),
        }
    }

    fn ptr(&self) -> crate::manifest::Ptr {
        match self {
            Self::Borrowed(x) => x.ptr(),
            Self::Owned(y) => y.into(),
        }
    }
}

/// The type that names the kernel for elements of so many bytes.
fn by_size(dtype: DType) -> DType {
    match dtype.size() {
        8 => DType::I64,
        4 => DType::F32,
        2 => DType::BF16,
        _ => DType::U8,
    }
}

/// Checks an axis, and splits a shape around it: (outer, axis, inner).
fn around(op: &'static str, shape: &[usize], axis: usize) -> Result<(usize, usize, usize)> {
    match shape.get(axis) {
        Some(&n) => Ok((
            shape[..axis].iter().product(),
            n,
            shape[axis + 1..].iter().product(),
        )),
        None => Err(Error::shape(op, format!("axis {axis} of shape {shape:?}"))),
    }
}
