//! `Var` as an [`Algebra`]: operations that gradus-tensor writes over it are differentiable here, recorded step by step.

use gradus_tensor::ops::algebra::Algebra;
use gradus_tensor::{Result, Tensor};

use crate::var::Var;

impl Algebra for Var {
    fn constant(value: Tensor) -> Var {
        Var::from(value)
    }
    fn value(&self) -> &Tensor {
        Var::value(self)
    }
    fn permute(&self, dims: &[isize]) -> Result<Var> {
        Var::permute(self, dims)
    }
    fn reshape(&self, shape: &[isize]) -> Result<Var> {
        Var::reshape(self, shape)
    }
    fn diagonal(&self, offset: i64, dim1: isize, dim2: isize) -> Result<Var> {
        Var::diagonal(self, offset, dim1, dim2)
    }
    fn sum(&self, dims: &[isize], keepdim: bool) -> Result<Var> {
        Var::sum(self, dims, keepdim)
    }
    fn amax(&self, dims: &[isize], keepdim: bool) -> Result<Var> {
        Var::amax(self, dims, keepdim)
    }
    fn amin(&self, dims: &[isize], keepdim: bool) -> Result<Var> {
        Var::amin(self, dims, keepdim)
    }
    fn norm(&self, p: f64, dims: &[isize], keepdim: bool) -> Result<Var> {
        Var::norm(self, p, dims, keepdim)
    }
    fn abs(&self) -> Result<Var> {
        Var::abs(self)
    }
    fn cumprod(&self, dim: isize) -> Result<Var> {
        Var::cumprod(self, dim)
    }
    fn mul(&self, other: &Var) -> Result<Var> {
        Var::mul(self, other)
    }
    fn div(&self, other: &Var) -> Result<Var> {
        Var::div(self, other)
    }
    fn matmul(&self, other: &Var) -> Result<Var> {
        Var::matmul(self, other)
    }
    fn cat(parts: &[&Var], dim: isize) -> Result<Var> {
        Var::cat(parts, dim)
    }
    fn linalg_inv(&self) -> Result<Var> {
        Var::linalg_inv(self)
    }
    fn linalg_svdvals(&self) -> Result<Var> {
        Var::linalg_svdvals(self)
    }
}
