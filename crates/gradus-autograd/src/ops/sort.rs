//! Order: sorting, the k-th, medians and quantiles. Gradients go to the elements that were picked.

use gradus_tensor::{DType, Error, Result, Tensor};

use crate::ops::reduce::{extreme, picked};
use crate::var::Var;

impl Var {
    /// Sorted along `dim` (stable), and where each element was.
    ///
    /// Gradient: `dy` back in the old order; the indices have none. Shapes, dtypes and errors are those of
    /// [`Tensor::sort`](gradus_tensor::Tensor::sort).
    pub fn sort(&self, dim: isize, descending: bool) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().sort(dim, descending)?;
        Ok((picked(self, "sort", y, &at, dim, true)?, at))
    }

    /// Sorted along the first dimension.
    ///
    /// Gradient: `dy` back in the old order. Shapes, dtypes and errors are those of
    /// [`Tensor::msort`](gradus_tensor::Tensor::msort).
    pub fn msort(&self) -> Result<Var> {
        Ok(self.sort(0, false)?.0)
    }

    /// The `k` largest (or smallest) along `dim`, in order, and where they are.
    ///
    /// Gradient: `dy` at the indices, 0 elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::topk`](gradus_tensor::Tensor::topk).
    pub fn topk(&self, k: usize, dim: isize, largest: bool) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().topk(k, dim, largest)?;
        Ok((picked(self, "topk", y, &at, dim, true)?, at))
    }

    /// The `k`-th smallest (from 1) along `dim`, and where it is.
    ///
    /// Gradient: `dy` at the index, 0 elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::kthvalue`](gradus_tensor::Tensor::kthvalue).
    pub fn kthvalue(&self, k: usize, dim: isize, keepdim: bool) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().kthvalue(k, dim, keepdim)?;
        Ok((picked(self, "kthvalue", y, &at, dim, keepdim)?, at))
    }

    /// The median of all elements, the lower one of two. Elements that equal it share the gradient evenly.
    ///
    /// Gradient: `dy` shared evenly by the elements equal to it. Shapes, dtypes and errors are those of
    /// [`Tensor::median`](gradus_tensor::Tensor::median).
    pub fn median(&self) -> Result<Var> {
        extreme(self, "median", self.value().median()?, (..).into())
    }

    /// The median along `dim`, the lower one of two, and where it is.
    ///
    /// Gradient: `dy` at the index, 0 elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::median_dim`](gradus_tensor::Tensor::median_dim).
    pub fn median_dim(&self, dim: isize, keepdim: bool) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().median_dim(dim, keepdim)?;
        Ok((picked(self, "median", y, &at, dim, keepdim)?, at))
    }

    /// The quantiles `q` (one number or a vector, in `0..=1`) along `dim` (`None`: of all elements); a vector gives a
    /// first dimension. `interpolation` is one of linear, lower, higher, midpoint, nearest.
    ///
    /// Gradient: `dy` shared by the two neighbours as they were weighted. Shapes, dtypes and errors are those of
    /// [`Tensor::quantile`](gradus_tensor::Tensor::quantile).
    pub fn quantile(
        &self,
        q: &Tensor,
        dim: impl Into<Option<isize>>,
        keepdim: bool,
        interpolation: &str,
    ) -> Result<Var> {
        let dim = dim.into();
        let y = self.value().quantile(q, dim, keepdim, interpolation)?; // checks everything
        let x = match dim {
            Some(dim) if self.rank() > 0 => self.movedim(dim, -1)?,
            _ => self.reshape([-1])?,
        };
        let n = x.dim(-1)?;
        if n == 0 || y.numel() == 0 {
            return Err(Error::shape("quantile", "there are no elements"));
        }
        let (sorted, _) = x.sort(-1, false)?;
        let mut parts = Vec::with_capacity(q.numel());
        for q in q.to_dtype(DType::F64)?.to_vec::<f64>()? {
            let rank = q * (n - 1) as f64;
            let at = |i: f64| sorted.select(-1, i as i64);
            let (low, high) = (rank.floor(), rank.ceil());
            parts.push(match interpolation {
                "lower" => at(low)?,
                "higher" => at(high)?,
                "nearest" => at(rank.round_ties_even())?,
                "midpoint" => at(low)?.lerp_scalar(&at(high)?, 0.5)?,
                _ => at(low)?.lerp_scalar(&at(high)?, rank - low)?,
            });
        }
        let refs: Vec<&Var> = parts.iter().collect();
        let all = Var::stack(&refs, 0)?; // (Q, …)
        // A NaN among the elements makes the quantile NaN; the gradient's way is the same.
        let all = all.reshape(super::sizes(y.dims()))?;
        all.masked_fill(&y.isnan()?, f64::NAN)
    }
}
