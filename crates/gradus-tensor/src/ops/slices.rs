//! Adding or writing back whole slices that a vector of indices names: `index_add`, `index_copy`, `index_fill`, which are scatters
//! (`scatter.rs`) with that vector stretched.

use crate::error::{Error, Result};
use crate::ops::gather::vector;
use crate::scalar::Scalar;
use crate::shape::resolve_dim;
use crate::tensor::Tensor;

impl Tensor {
    /// A copy with `alpha · source` added to the slices that the vector `index` names along `dim`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0.0, 0.0, 0.0], 3)?;
    /// assert_eq!(x.index_add(0, &Tensor::from_slice(&[1i64, 1], 2)?, &Tensor::from_slice(&[2.0, 3.0], 2)?, 10)?.to_vec::<f64>()?, [0.0, 50.0, 0.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `source` has not this shape with `index.len()` along `dim`, dtypes differ, or an index is out of range.
    pub fn index_add(
        &self,
        dim: isize,
        index: &Tensor,
        source: &Tensor,
        alpha: impl Into<Scalar>,
    ) -> Result<Tensor> {
        let op = "index_add";
        let alpha = alpha.into();
        let scaled = if alpha.to_f64() == 1.0 {
            source.clone()
        } else {
            source.mul_scalar(alpha)?.to_dtype(source.dtype())?
        };
        let (out, source, index) = self.rows(op, dim, index, &scaled)?;
        let out = Tensor::scatter_add(&out, dim, &index, &source).map_err(|e| e.in_op(op))?;
        out.reshape_to(self.shape())
    }

    /// A copy with the slices that `index` names along `dim` replaced by those of `source`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0.0, 0.0, 0.0], 3)?;
    /// assert_eq!(x.index_copy(0, &Tensor::from_slice(&[2i64], 1)?, &Tensor::from_slice(&[5.0], 1)?)?.to_vec::<f64>()?, [0.0, 0.0, 5.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::index_add`].
    pub fn index_copy(&self, dim: isize, index: &Tensor, source: &Tensor) -> Result<Tensor> {
        let op = "index_copy";
        let (out, source, index) = self.rows(op, dim, index, source)?;
        let out = Tensor::scatter(&out, dim, &index, &source).map_err(|e| e.in_op(op))?;
        out.reshape_to(self.shape())
    }

    /// [`Tensor::index_copy`] of a tensor that is given away: on a GPU in its memory, if nobody else holds it; there of slices that are named
    /// twice any one stays.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0.0, 0.0, 0.0], 3)?;
    /// let x = x.index_copy_(0, &Tensor::from_slice(&[2i64], 1)?, &Tensor::from_slice(&[5.0], 1)?)?;
    /// assert_eq!(x.to_vec::<f64>()?, [0.0, 0.0, 5.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::index_add`].
    pub fn index_copy_(self, dim: isize, index: &Tensor, source: &Tensor) -> Result<Tensor> {
        on_cuda!([self, index, source] => {
            let op = "index_copy";
            if self.rank() == 0 || self.dtype() != source.dtype() {
                return self.index_copy(dim, index, source);
            }
            self.rows(op, dim, index, source)?; // checks
            let d = resolve_dim(op, dim, self.shape())?;
            cuda::index::index_copy(self, d, index, source)
        });
        self.index_copy(dim, index, source)
    }

    /// A copy with the slices that `index` names along `dim` filled with a number.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?;
    /// assert_eq!(x.index_fill(0, &Tensor::from_slice(&[0i64, 2], 2)?, 7)?.to_vec::<f64>()?, [7.0, 2.0, 7.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `index` is not a vector, or an index is out of range.
    pub fn index_fill(
        &self,
        dim: isize,
        index: &Tensor,
        value: impl Into<Scalar>,
    ) -> Result<Tensor> {
        let op = "index_fill";
        let value = value.into();
        if value.dtype().category() > self.dtype().category() {
            return Err(Error::dtype(
                op,
                format!(
                    "{value:?} cannot be written into a tensor of {}",
                    self.dtype()
                ),
            ));
        }
        let x = self.at_least_1d()?;
        let d = resolve_dim(op, dim, x.shape())?;
        vector(op, index)?;
        let mut shape = x.shape().clone();
        shape.0[d] = index.numel();
        let value = Tensor::scalar_of(value, self.dtype())?.to_device(&self.device())?;
        let source = value.broadcast_to(&shape)?;
        x.index_copy(dim, index, &source)
            .map_err(|e| e.in_op(op))?
            .reshape_to(self.shape())
    }

    /// For `index_add` and `index_copy`: everything with at least one dimension, the vector of indices stretched to the
    /// shape of `source`.
    fn rows(
        &self,
        op: &'static str,
        dim: isize,
        index: &Tensor,
        source: &Tensor,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let (x, source) = (self.at_least_1d()?, source.at_least_1d()?);
        let d = resolve_dim(op, dim, x.shape())?;
        vector(op, index)?;
        let mut expected = x.shape().clone();
        expected.0[d] = index.numel();
        if *source.shape() != expected {
            let message = format!(
                "the source has shape {} but {} with {} indices along dim {dim} takes {expected}",
                source.shape(),
                self.shape(),
                index.numel()
            );
            return Err(Error::shape(op, message));
        }
        let mut line = vec![1; x.rank()];
        line[d] = index.numel();
        let index = index.reshape(line)?.broadcast_to(&expected)?;
        Ok((x, source, index))
    }
}
