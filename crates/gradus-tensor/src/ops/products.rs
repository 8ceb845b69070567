//! Products that are not sums over an inner dimension alone: Kronecker's, the vector product, products along a dimension,
//! sums of batches and of outer products.

use super::algebra::Algebra;
use super::linalg;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::shape::{Shape, resolve_dim};
use crate::tensor::Tensor;

/// As [`Tensor::kron`], of anything with an [`Algebra`].
///
/// # Errors
/// The result does not fit in memory, or dtypes do not promote.
pub fn kron<T: Algebra>(a: &T, b: &T) -> Result<T> {
    let rank = a.value().rank().max(b.value().rank());
    let full = |x: &T| [vec![1; rank - x.value().rank()], x.value().dims().to_vec()].concat();
    let (sa, sb) = (full(a), full(b));
    let sizes: Option<Vec<usize>> = sa.iter().zip(&sb).map(|(a, b)| a.checked_mul(*b)).collect();
    let shape = Shape::from(sizes.ok_or_else(|| {
        let (a, b) = (a.value().shape(), b.value().shape());
        Error::shape("kron", format!("{a} and {b}: the result is too large"))
    })?);
    shape.numel().map_err(|e| e.in_op("kron"))?;
    // Size i of a beside size i of b, for each i.
    let spread = |x: &[usize], a: bool| -> Vec<isize> {
        let pair = |&n: &usize| if a { [n as isize, 1] } else { [1, n as isize] };
        x.iter().flat_map(pair).collect()
    };
    let shape: Vec<isize> = shape.iter().map(|&n| n as isize).collect();
    a.reshape(&spread(&sa, true))?
        .mul(&b.reshape(&spread(&sb, false))?)
        .map_err(|e| e.in_op("kron"))?
        .reshape(&shape)
}

/// As [`Tensor::linalg_vecdot`], of anything with an [`Algebra`].
///
/// # Errors
/// The shapes do not broadcast, or there is no such dimension.
pub fn vecdot<T: Algebra>(a: &T, b: &T, dim: isize) -> Result<T> {
    let op = "linalg_vecdot";
    a.mul(b)
        .map_err(|e| e.in_op(op))?
        .sum(&[dim], false)
        .map_err(|e| e.in_op(op))
}

/// The dimension of size 3 that a vector product of two goes along.
fn cross_dim(op: &'static str, a: &Tensor, b: &Tensor, dim: Option<isize>) -> Result<isize> {
    let wrong = |why: String| Error::shape(op, format!("{} x {}: {why}", a.shape(), b.shape()));
    if a.rank() != b.rank() {
        return Err(wrong("both must have as many dimensions".into()));
    }
    let shape = a
        .shape()
        .broadcast(b.shape())
        .map_err(|_| wrong("the shapes do not broadcast".into()))?;
    let dim = match dim {
        Some(dim) => resolve_dim(op, dim, &shape)?,
        None => shape
            .iter()
            .position(|&n| n == 3)
            .ok_or_else(|| wrong("no dimension has size 3".into()))?,
    };
    if a.rank() == 0 || a.dims()[dim] != 3 || b.dims()[dim] != 3 {
        return Err(wrong(format!("dimension {dim} must have size 3 in both")));
    }
    Ok(dim as isize)
}

impl Tensor {
    /// Every element of this times all of `other`, in blocks: `[a0, a1, ..] ⊗ [b0, b1, ..] -> [a0·b0, a1·b1, ..]`; the one of
    /// lower rank gets dimensions of size 1 in front.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (a, b) = (Tensor::from_slice(&[1f32, 2.], 2)?, Tensor::from_slice(&[3f32, 4., 5.], 3)?);
    /// assert_eq!(a.kron(&b)?.to_vec::<f32>()?, [3.0, 4.0, 5.0, 6.0, 8.0, 10.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The result does not fit in memory.
    pub fn kron(&self, other: &Tensor) -> Result<Tensor> {
        kron(self, other)
    }

    /// Sums of products along `dim`, the operands broadcast: `torch.linalg.vecdot`, whose default is −1.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[1f32, 2., 3., 4.], [2, 2])?;
    /// assert_eq!(a.linalg_vecdot(&a, -1)?.to_vec::<f32>()?, [5.0, 25.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not broadcast, or there is no such dimension.
    pub fn linalg_vecdot(&self, other: &Tensor, dim: isize) -> Result<Tensor> {
        vecdot(self, other, dim)
    }

    /// The vector product along `dim`, which has size 3 in both; the other sizes broadcast. `torch.cross`: without a
    /// dimension it is the first of size 3.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (x, y) = (Tensor::from_slice(&[1f32, 0., 0.], 3)?, Tensor::from_slice(&[0f32, 1., 0.], 3)?);
    /// assert_eq!(x.cross(&y, None)?.to_vec::<f32>()?, [0.0, 0.0, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Ranks differ, the shapes do not broadcast, or the dimension has not size 3.
    pub fn cross(&self, other: &Tensor, dim: impl Into<Option<isize>>) -> Result<Tensor> {
        self.cross_of("cross", other, dim.into())
    }

    /// [`Tensor::cross`] with a dimension: `torch.linalg.cross`, whose default is −1.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[1f32, 2., 3., 4., 5., 6.], [2, 3])?;
    /// let y = a.linalg_cross(&a.flip(0)?, -1)?;
    /// assert_eq!(y.to_vec::<f32>()?, [-3.0, 6.0, -3.0, 3.0, -6.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::cross`].
    pub fn linalg_cross(&self, other: &Tensor, dim: isize) -> Result<Tensor> {
        self.cross_of("linalg_cross", other, Some(dim))
    }

    fn cross_of(&self, op: &'static str, other: &Tensor, dim: Option<isize>) -> Result<Tensor> {
        let dim = cross_dim(op, self, other, dim)?;
        // Components (y, z, x) and (z, x, y).
        let (next, last) = (
            |x: &Tensor| x.roll(&[-1], dim),
            |x: &Tensor| x.roll(&[-2], dim),
        );
        next(self)?
            .mul(&last(other)?)?
            .sub(&last(self)?.mul(&next(other)?)?)
            .map_err(|e| e.in_op(op))
    }

    /// `beta·self + alpha·Σ aᵢ·bᵢ` over batches of matrices `(B, M, K)` and `(B, K, N)`; `self` broadcasts to `(M, N)`.
    /// PyTorch's defaults are 1.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let (a, b) = (Tensor::ones([2, 3, 4], DType::F32)?, Tensor::ones([2, 4, 5], DType::F32)?);
    /// let y = Tensor::scalar(1f32).addbmm(&a, &b, 1, 1)?;
    /// assert_eq!((y.dims(), y.to_vec::<f32>()?[0]), (&[3, 5][..], 9.0));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The sizes or dtypes do not fit.
    pub fn addbmm(
        &self,
        a: &Tensor,
        b: &Tensor,
        beta: impl Into<Scalar>,
        alpha: impl Into<Scalar>,
    ) -> Result<Tensor> {
        let op = "addbmm";
        if a.rank() != 3 || b.rank() != 3 || a.dims()[0] != b.dims()[0] {
            let message = format!(
                "{} x {}: it takes batches [B, M, K] and [B, K, N] of one size",
                a.shape(),
                b.shape()
            );
            return Err(Error::shape(op, message));
        }
        let product = a.tensordot(b, ([0, 2], [0, 1])).map_err(|e| e.in_op(op))?;
        self.scaled_sum(op, product, beta.into(), alpha.into())
    }

    /// `beta·self + alpha·(u ⊗ v)` of vectors `(M)` and `(N)`; `self` broadcasts to `(M, N)`. PyTorch's defaults are 1.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (u, v) = (Tensor::from_slice(&[1f32, 2.], 2)?, Tensor::from_slice(&[3f32, 4.], 2)?);
    /// let y = Tensor::scalar(1f32).addr(&u, &v, 10, 1)?;
    /// assert_eq!(y.to_vec::<f32>()?, [13.0, 14.0, 16.0, 18.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The sizes or dtypes do not fit.
    pub fn addr(
        &self,
        u: &Tensor,
        v: &Tensor,
        beta: impl Into<Scalar>,
        alpha: impl Into<Scalar>,
    ) -> Result<Tensor> {
        let product = u.outer(v).map_err(|e| e.in_op("addr"))?;
        self.scaled_sum("addr", product, beta.into(), alpha.into())
    }

    /// The product of two or more matrices in the order of fewest multiplications; the first may be a row vector and the
    /// last a column vector, of rank 1. `torch.linalg.multi_dot`.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let (a, b, v) = (Tensor::ones([9, 2], DType::F32)?, Tensor::ones([2, 9], DType::F32)?, Tensor::ones(9, DType::F32)?);
    /// assert_eq!(Tensor::linalg_multi_dot(&[&a, &b, &v])?.to_vec::<f32>()?, [18.0; 9]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There are fewer than two, or ranks, sizes or dtypes do not fit.
    pub fn linalg_multi_dot(tensors: &[&Tensor]) -> Result<Tensor> {
        linalg::multi_dot(tensors)
    }
}
