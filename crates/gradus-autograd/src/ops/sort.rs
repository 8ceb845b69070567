//! Order: sorting, the k-th, medians. Gradients go to the elements that were picked.

use gradus_tensor::{Result, Tensor};

use crate::ops::reduce::{extreme, picked};
use crate::var::Var;

impl Var {
    /// Sorted along `dim` (stable), and where each element was.
    ///
    /// Gradient: `dy` back in the old order; the indices have none. Shapes, dtypes and errors are those of
    /// [`Tensor::sort`](gradus_tensor::Tensor::sort).
    #[doc = slope!("x.sort(0, false)?.0.cumsum(0)?" => "1.0, 3.0, 6.0"; "x", "[3]", "2.0, 1.0, 3.0" => "2.0, 3.0, 1.0")]
    pub fn sort(&self, dim: isize, descending: bool) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().sort(dim, descending)?;
        Ok((picked(self, "sort", y, &at, dim, true)?, at))
    }

    /// Sorted along the first dimension.
    ///
    /// Gradient: `dy` back in the old order. Shapes, dtypes and errors are those of
    /// [`Tensor::msort`](gradus_tensor::Tensor::msort).
    #[doc = slope!("x.msort()?.cumsum(0)?" => "1.0, 3.0, 6.0"; "x", "[3]", "2.0, 1.0, 3.0" => "2.0, 3.0, 1.0")]
    pub fn msort(&self) -> Result<Var> {
        Ok(self.sort(0, false)?.0)
    }

    /// The `k` largest (or smallest) along `dim`, in order, and where they are.
    ///
    /// Gradient: `dy` at the indices, 0 elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::topk`](gradus_tensor::Tensor::topk).
    #[doc = slope!("x.topk(2, 0, true)?.0" => "3.0, 2.0"; "x", "[3]", "2.0, 1.0, 3.0" => "1.0, 0.0, 1.0")]
    pub fn topk(&self, k: usize, dim: isize, largest: bool) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().topk(k, dim, largest)?;
        Ok((picked(self, "topk", y, &at, dim, true)?, at))
    }

    /// The `k`-th smallest (from 1) along `dim`, and where it is.
    ///
    /// Gradient: `dy` at the index, 0 elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::kthvalue`](gradus_tensor::Tensor::kthvalue).
    #[doc = slope!("x.kthvalue(2, 0, false)?.0" => "2.0"; "x", "[3]", "2.0, 1.0, 3.0" => "1.0, 0.0, 0.0")]
    pub fn kthvalue(&self, k: usize, dim: isize, keepdim: bool) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().kthvalue(k, dim, keepdim)?;
        Ok((picked(self, "kthvalue", y, &at, dim, keepdim)?, at))
    }

    /// The median of all elements, the lower one of two. Elements that equal it share the gradient evenly.
    ///
    /// Gradient: `dy` shared evenly by the elements equal to it. Shapes, dtypes and errors are those of
    /// [`Tensor::median`](gradus_tensor::Tensor::median).
    #[doc = slope!("x.median()?" => "2.0"; "x", "[3]", "2.0, 1.0, 3.0" => "1.0, 0.0, 0.0")]
    pub fn median(&self) -> Result<Var> {
        extreme(self, "median", self.value().median()?, (..).into())
    }

    /// The median along `dim`, the lower one of two, and where it is.
    ///
    /// Gradient: `dy` at the index, 0 elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::median_dim`](gradus_tensor::Tensor::median_dim).
    #[doc = slope!("x.median_dim(0, false)?.0" => "2.0"; "x", "[3]", "2.0, 1.0, 3.0" => "1.0, 0.0, 0.0")]
    pub fn median_dim(&self, dim: isize, keepdim: bool) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().median_dim(dim, keepdim)?;
        Ok((picked(self, "median", y, &at, dim, keepdim)?, at))
    }
}
