//! Reductions over dimensions.

use crate::DType;
use crate::error::{Error, Result};
use crate::shape::{Dims, Shape};
use crate::tensor::Tensor;
use gradus_cpu::Element as _;

/// The reduced axes moved to the back and joined: `[kept, reduced]`, and the shape of the result.
fn arrange(
    op: &'static str,
    x: &Tensor,
    dims: &Dims,
    keepdim: bool,
) -> Result<(Tensor, usize, Shape)> {
    let axes = dims.resolve(op, x.shape())?;
    let kept: Vec<usize> = (0..x.rank()).filter(|d| !axes.contains(d)).collect();
    let order: Vec<isize> = kept.iter().chain(&axes).map(|&d| d as isize).collect();
    let reduced = axes.iter().map(|&d| x.dims()[d]).product();
    let shape = if keepdim {
        (0..x.rank())
            .map(|d| if axes.contains(&d) { 1 } else { x.dims()[d] })
            .collect::<Vec<_>>()
    } else {
        kept.iter().map(|&d| x.dims()[d]).collect()
    };
    Ok((
        x.permute(&order)?.contiguous()?,
        reduced,
        Shape::from(shape),
    ))
}

fn apply(
    op: &'static str,
    x: &Tensor,
    dims: &Dims,
    keepdim: bool,
    dtype: DType,
    f: fn(&[f64]) -> f64,
) -> Result<Tensor> {
    let (x, n, shape) = arrange(op, &x.to_dtype(dtype)?, dims, keepdim)?;
    dispatch!(dtype, T => {
        let xs = x.data::<T>(op)?;
        let mut row = vec![0.0; n];
        Tensor::build::<T>(op, shape, |y| {
            for (i, y) in y.iter_mut().enumerate() {
                row.iter_mut().zip(&xs[i * n..]).for_each(|(r, x)| *r = x.to_f64());
                *y = T::from_f64(f(&row));
            }
        })
    })
}

impl Tensor {
    /// The sum over `dims` (`..` for all); bool and whole numbers give i64.
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn sum(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Tensor> {
        let dtype = if self.dtype().is_float() {
            self.dtype()
        } else {
            DType::I64
        };
        apply("sum", self, &dims.into(), keepdim, dtype, |x| {
            x.iter().sum()
        })
    }

    /// The mean over `dims` (`..` for all); floats only.
    ///
    /// # Errors
    /// There is no such dimension, or the elements are not floats.
    pub fn mean(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Tensor> {
        if !self.dtype().is_float() {
            return Err(Error::dtype(
                "mean",
                format!(
                    "{} has no mean; convert with to_dtype(DType::F32) first",
                    self.dtype()
                ),
            ));
        }
        apply("mean", self, &dims.into(), keepdim, self.dtype(), |x| {
            x.iter().sum::<f64>() / x.len() as f64
        })
    }

    /// The largest over `dims`.
    ///
    /// # Errors
    /// There is no such dimension, or it is empty.
    pub fn amax(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Tensor> {
        apply("amax", self, &dims.into(), keepdim, self.dtype(), |x| {
            x.iter().copied().fold(f64::NEG_INFINITY, f64::max)
        })
    }
}
