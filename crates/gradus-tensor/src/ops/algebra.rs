//! What operations that are made of others need of their operands: written once over [`Algebra`], they run on a `Tensor`
//! and, recorded step by step, on whatever is differentiable.
//!
//! Not a way to write generic models: it has what `einsum`, `tensordot`, `kron`, `matrix_power`, `matrix_norm` and their
//! like use, and no more.

use crate::error::Result;
use crate::tensor::Tensor;

/// A value that can be rearranged, multiplied and reduced; every method is the one of the same name on [`Tensor`].
#[allow(missing_docs)] // as the line above says
pub trait Algebra: Clone {
    fn constant(value: Tensor) -> Self;
    fn value(&self) -> &Tensor;
    fn permute(&self, dims: &[isize]) -> Result<Self>;
    fn reshape(&self, shape: &[isize]) -> Result<Self>;
    fn diagonal(&self, offset: i64, dim1: isize, dim2: isize) -> Result<Self>;
    fn sum(&self, dims: &[isize], keepdim: bool) -> Result<Self>;
    fn amax(&self, dims: &[isize], keepdim: bool) -> Result<Self>;
    fn amin(&self, dims: &[isize], keepdim: bool) -> Result<Self>;
    fn norm(&self, p: f64, dims: &[isize], keepdim: bool) -> Result<Self>;
    fn abs(&self) -> Result<Self>;
    fn cumprod(&self, dim: isize) -> Result<Self>;
    fn mul(&self, other: &Self) -> Result<Self>;
    fn div(&self, other: &Self) -> Result<Self>;
    fn matmul(&self, other: &Self) -> Result<Self>;
    fn cat(parts: &[&Self], dim: isize) -> Result<Self>;
    fn linalg_inv(&self) -> Result<Self>;
    fn linalg_svdvals(&self) -> Result<Self>;
}

impl Algebra for Tensor {
    fn constant(value: Tensor) -> Tensor {
        value
    }
    fn value(&self) -> &Tensor {
        self
    }
    fn permute(&self, dims: &[isize]) -> Result<Tensor> {
        Tensor::permute(self, dims)
    }
    fn reshape(&self, shape: &[isize]) -> Result<Tensor> {
        Tensor::reshape(self, shape)
    }
    fn diagonal(&self, offset: i64, dim1: isize, dim2: isize) -> Result<Tensor> {
        Tensor::diagonal(self, offset, dim1, dim2)
    }
    fn sum(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        Tensor::sum(self, dims, keepdim)
    }
    fn amax(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        Tensor::amax(self, dims, keepdim)
    }
    fn amin(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        Tensor::amin(self, dims, keepdim)
    }
    fn norm(&self, p: f64, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        Tensor::norm(self, p, dims, keepdim)
    }
    fn abs(&self) -> Result<Tensor> {
        Tensor::abs(self)
    }
    fn cumprod(&self, dim: isize) -> Result<Tensor> {
        Tensor::cumprod(self, dim)
    }
    fn mul(&self, other: &Tensor) -> Result<Tensor> {
        Tensor::mul(self, other)
    }
    fn div(&self, other: &Tensor) -> Result<Tensor> {
        Tensor::div(self, other)
    }
    fn matmul(&self, other: &Tensor) -> Result<Tensor> {
        Tensor::matmul(self, other)
    }
    fn cat(parts: &[&Tensor], dim: isize) -> Result<Tensor> {
        Tensor::cat(parts, dim)
    }
    fn linalg_inv(&self) -> Result<Tensor> {
        Tensor::linalg_inv(self)
    }
    fn linalg_svdvals(&self) -> Result<Tensor> {
        Tensor::linalg_svdvals(self)
    }
}
