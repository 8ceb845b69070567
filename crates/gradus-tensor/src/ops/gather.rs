//! Choosing elements by tensors of indices: `gather`, `index_select`, `take`, … Indices are whole numbers of any dtype and are
//! checked before anything is read. Writing through indices is `scatter.rs`.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::scatter::Place;
use crate::shape::resolve_dim;
use crate::storage::dispatch_size;
use crate::tensor::Tensor;

impl Tensor {
    /// `Err` unless these are whole numbers, as indices must be.
    pub(crate) fn expect_whole(&self, op: &'static str) -> Result<()> {
        if self.dtype().is_int() {
            return Ok(());
        }
        Err(Error::dtype(
            op,
            format!(
                "indices are {}, but must be whole numbers; convert with to_dtype(DType::I64)",
                self.dtype()
            ),
        ))
    }

    /// The elements as i64, of a tensor of whole numbers.
    pub(crate) fn whole_numbers(&self, op: &'static str) -> Result<Vec<i64>> {
        self.expect_whole(op)?;
        self.only_on_cpu(op)?;
        self.to_dtype(DType::I64)?.to_vec::<i64>()
    }

    /// The elements as indices of a dimension of `size`; negative ones count from the back where `wrap`.
    pub(crate) fn indices(&self, op: &'static str, size: usize, wrap: bool) -> Result<Vec<usize>> {
        let resolve = |i: i64| {
            let j = if wrap && i < 0 {
                i.wrapping_add(size as i64)
            } else {
                i
            };
            usize::try_from(j)
                .ok()
                .filter(|&j| j < size)
                .ok_or_else(|| Error::index(op, crate::shape::outside(i, size, wrap)))
        };
        self.whole_numbers(op)?.into_iter().map(resolve).collect()
    }

    /// The slices `index` of dimension `d`, in that order.
    pub(crate) fn select_rows(
        &self,
        op: &'static str,
        d: usize,
        index: &[usize],
    ) -> Result<Tensor> {
        on_cuda!([self] => cuda::index::select_rows(op, self, d, index));
        let x = self.contiguous()?;
        let (n, inner) = (x.dims()[d], x.dims()[d + 1..].iter().product::<usize>());
        let mut shape = x.shape().clone();
        shape.0[d] = index.len();
        dispatch_size!(x.dtype(), W => Tensor::build_words::<W>(op, shape, x.dtype(), |y| {
            let x = x.word_slice::<W>(op)?;
            if y.is_empty() {
                return Ok(());
            }
            let block = index.len() * inner;
            for (o, y) in y.chunks_exact_mut(block).enumerate() {
                let x = &x[o * n * inner..];
                for (y, &i) in y.chunks_exact_mut(inner).zip(index) {
                    y.copy_from_slice(&x[i * inner..][..inner]);
                }
            }
            Ok(())
        }))
    }

    /// The slices along `dim` that the vector `index` names. `[.., index.len(), ..]`
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1f32, 2., 3., 4., 5., 6.], [3, 2])?;
    /// let y = x.index_select(0, &Tensor::from_slice(&[2i64, 0], 2)?)?;
    /// assert_eq!(y.to_vec::<f32>()?, [5., 6., 1., 2.]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `index` is not a vector of whole numbers, or one is out of range.
    pub fn index_select(&self, dim: isize, index: &Tensor) -> Result<Tensor> {
        let op = "index_select";
        let x = self.at_least_1d()?;
        let d = resolve_dim(op, dim, x.shape())?;
        vector(op, index)?;
        on_cuda!([x, index] => cuda::index::index_select(op, &x, d, index)?.like_rank(self, index.numel()));
        let index = index.indices(op, x.dims()[d], false)?;
        x.select_rows(op, d, &index)?.like_rank(self, index.len())
    }

    pub(super) fn at_least_1d(&self) -> Result<Tensor> {
        if self.rank() == 0 {
            self.unsqueeze(0)
        } else {
            Ok(self.clone())
        }
    }

    /// Back to rank 0 when `of` was, and one element is left.
    fn like_rank(self, of: &Tensor, n: usize) -> Result<Tensor> {
        if of.rank() == 0 && n == 1 {
            self.reshape(())
        } else {
            Ok(self)
        }
    }

    /// `out[i][j] = x[index[i][j]][j]` for dim 0, and so on for others; the result has the shape of `index`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.gather(1, &Tensor::from_slice(&[1i64, 0], [2, 1])?)?.to_vec::<f64>()?, [2.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Ranks differ, `index` is larger than this tensor in another dimension, or an index is out of range.
    pub fn gather(&self, dim: isize, index: &Tensor) -> Result<Tensor> {
        let op = "gather";
        on_cuda!([self, index] => cuda::index::gather(self, resolve_dim(op, dim, self.shape())?, index));
        let place = Place::new(op, self, dim, index)?;
        dispatch_size!(self.dtype(), W => Tensor::build_words::<W>(op, index.shape(), self.dtype(), |y| {
            let x = self.words::<W>(op)?;
            place.each(|k, at| y[k] = x[at]);
            Ok(())
        }))
    }

    /// The elements at positions of the flattened tensor; the result has the shape of `index`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.take(&Tensor::from_slice(&[3i64, 0], 2)?)?.to_vec::<f64>()?, [4.0, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// An index is out of range.
    pub fn take(&self, index: &Tensor) -> Result<Tensor> {
        on_cuda!([self, index] => cuda::index::take(self, index));
        let at = index.indices("take", self.numel(), true)?;
        self.flatten(0, -1)?
            .select_rows("take", 0, &at)?
            .reshape_to(index.shape())
    }

    /// [`Tensor::gather`] with other dimensions broadcast; with no `dim`, from the flattened tensor.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[3.0, 1.0, 2.0], 3)?;
    /// assert_eq!(x.take_along_dim(&x.argsort(0, false)?, 0)?.to_vec::<f64>()?, [1.0, 2.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Ranks differ, shapes do not broadcast, or an index is out of range.
    pub fn take_along_dim(&self, index: &Tensor, dim: impl Into<Option<isize>>) -> Result<Tensor> {
        let op = "take_along_dim";
        let dim = dim.into();
        // Negative positions count from the back here (in `gather` they are errors), as in PyTorch.
        let size = match dim {
            None => self.numel(),
            Some(dim) => self
                .dims()
                .get(resolve_dim(op, dim, self.shape())?)
                .map_or(1, |&n| n),
        };
        let wrapped = index.add_scalar(size as i64)?;
        let index = &Tensor::where_(&index.lt_scalar(0)?, &wrapped, index)?;
        let Some(dim) = dim else {
            return self
                .flatten(0, -1)?
                .gather(0, &index.flatten(0, -1)?)
                .map_err(|e| e.in_op(op));
        };
        if self.rank() != index.rank() {
            return Err(Error::shape(
                op,
                format!(
                    "{} and the index {} differ in rank",
                    self.shape(),
                    index.shape()
                ),
            ));
        }
        let d = resolve_dim(op, dim, self.shape())?;
        let (mut a, mut b) = (self.shape().clone(), index.shape().clone());
        if self.rank() > 0 {
            (a.0[d], b.0[d]) = (1, 1);
        }
        let common = a.broadcast(&b).map_err(|e| e.in_op(op))?;
        let stretch = |x: &Tensor| {
            let mut shape = common.clone();
            if x.rank() > 0 {
                shape.0[d] = x.dims()[d];
            }
            x.broadcast_to(shape)
        };
        stretch(self)?
            .gather(dim, &stretch(index)?)
            .map_err(|e| e.in_op(op))
    }
}

/// Refuses an index with more than one dimension.
pub(super) fn vector(op: &'static str, index: &Tensor) -> Result<()> {
    if index.rank() <= 1 {
        return Ok(());
    }
    Err(Error::shape(
        op,
        format!("the index has shape {}; it takes a vector", index.shape()),
    ))
}
