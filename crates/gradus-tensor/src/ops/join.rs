//! Joining and parting: `cat`, `stack`, `split`, `chunk` and their family.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::copy::write_view;
use crate::shape::{Shape, resolve_dim};
use crate::tensor::Tensor;

/// The most tensors one call splits into.
const MOST_PIECES: usize = 1 << 22;

impl Tensor {
    /// Tensors one after the other along `dim`; dtypes promote. An empty rank-1 tensor is skipped, as in PyTorch.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[1i64, 2], [1, 2])?;
    /// let b = Tensor::from_slice(&[3i64, 4, 5, 6], [2, 2])?;
    /// assert_eq!(Tensor::cat(&[&a, &b], 0)?.to_vec::<i64>()?, [1, 2, 3, 4, 5, 6]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The list is empty, or ranks or other sizes differ.
    pub fn cat<T: AsRef<Tensor>>(tensors: &[T], dim: isize) -> Result<Tensor> {
        let all: Vec<&Tensor> = tensors.iter().map(AsRef::as_ref).collect();
        let Some(&first) = all.first() else {
            return Err(Error::value(
                "cat",
                "the list of tensors is empty; it takes at least one",
            ));
        };
        let dtype = all.iter().fold(first.dtype(), |d, t| d.promote(t.dtype()));
        let pieces: Vec<&Tensor> = all.iter().copied().filter(|t| t.dims() != [0]).collect();
        let Some(&model) = pieces.first() else {
            resolve_dim("cat", dim, first.shape())?;
            return first.to_dtype(dtype);
        };
        if model.rank() == 0 {
            return Err(Error::shape(
                "cat",
                "rank-0 tensors cannot be joined along a dimension; use stack",
            ));
        }
        let d = resolve_dim("cat", dim, model.shape())?;
        let mut shape = model.shape().clone();
        let mut total = 0usize;
        for t in &pieces {
            let same = t.rank() == model.rank()
                && (0..model.rank()).all(|i| i == d || t.dims()[i] == model.dims()[i]);
            if !same {
                let message = format!(
                    "{} does not join {} along dim {dim}: every other size must agree",
                    t.shape(),
                    model.shape()
                );
                return Err(Error::shape("cat", message));
            }
            total = total
                .checked_add(t.dims()[d])
                .ok_or_else(|| Error::shape("cat", "the joined size overflows"))?;
        }
        shape.0[d] = total;
        let mut out = if first.is_cuda() {
            Tensor::zeros(&shape, (dtype, first.device()))?
        } else {
            uninit("cat", &shape, dtype)?
        };
        let mut at = 0;
        for t in pieces {
            let part = out.layout.narrow(d as isize, at, t.dims()[d])?;
            write_view("cat", &mut out, &part, t)?;
            at += t.dims()[d] as i64;
        }
        Ok(out)
    }

    /// Tensors of one shape joined along a new dimension `dim`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let y = Tensor::stack(&[Tensor::from_slice(&[1.0, 2.0], 2)?, Tensor::from_slice(&[3.0, 4.0], 2)?], 1)?;
    /// assert_eq!(y.to_vec::<f64>()?, [1.0, 3.0, 2.0, 4.0]);
    /// assert_eq!(y.dims(), [2, 2]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The list is empty or the shapes differ.
    pub fn stack<T: AsRef<Tensor>>(tensors: &[T], dim: isize) -> Result<Tensor> {
        let Some(first) = tensors.first() else {
            return Err(Error::value(
                "stack",
                "the list of tensors is empty; it takes at least one",
            ));
        };
        let shape = first.as_ref().shape();
        if let Some(other) = tensors.iter().find(|t| t.as_ref().shape() != shape) {
            return Err(Error::shape(
                "stack",
                format!(
                    "shapes {shape} and {} differ; cat joins along a dimension that is there",
                    other.as_ref().shape()
                ),
            ));
        }
        let parts = tensors
            .iter()
            .map(|t| t.as_ref().unsqueeze(dim))
            .collect::<Result<Vec<_>>>()
            .map_err(|e| e.in_op("stack"))?;
        Tensor::cat(&parts, dim)
    }

    /// Joined side by side: along dim 1, or dim 0 for rank 1.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::hstack(&[Tensor::from_slice(&[1.0, 2.0], 2)?, Tensor::from_slice(&[3.0], 1)?])?.to_vec::<f64>()?, [1.0, 2.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::cat`].
    pub fn hstack<T: AsRef<Tensor>>(tensors: &[T]) -> Result<Tensor> {
        let parts = tensors
            .iter()
            .map(|t| at_least(t.as_ref(), 1))
            .collect::<Result<Vec<_>>>()?;
        let dim = isize::from(parts.first().is_some_and(|t| t.rank() > 1));
        Tensor::cat(&parts, dim).map_err(|e| e.in_op("hstack"))
    }

    /// Joined one below the other: along dim 0, vectors as rows.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::vstack(&[Tensor::from_slice(&[1.0, 2.0], 2)?, Tensor::from_slice(&[3.0, 4.0], 2)?])?.dims(), [2, 2]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::cat`].
    pub fn vstack<T: AsRef<Tensor>>(tensors: &[T]) -> Result<Tensor> {
        let parts = tensors
            .iter()
            .map(|t| at_least(t.as_ref(), 2))
            .collect::<Result<Vec<_>>>()?;
        Tensor::cat(&parts, 0).map_err(|e| e.in_op("vstack"))
    }

    /// Refuses to make more tensors than anyone can want (a broadcast dimension may be as long as it likes).
    fn expect_pieces(op: &'static str, count: usize) -> Result<()> {
        // The list itself is memory too.
        crate::storage::check_fits(op, count.saturating_mul(size_of::<Tensor>()))?;
        if count <= MOST_PIECES {
            return Ok(());
        }
        Err(Error::value(
            op,
            format!("{count} pieces are more than {MOST_PIECES}"),
        ))
    }

    /// Views of `size` along `dim`, the last possibly smaller.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let parts = Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?.split(2, 0)?;
    /// assert_eq!(parts[0].to_vec::<f64>()?, [1.0, 2.0]);
    /// assert_eq!(parts[1].to_vec::<f64>()?, [3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `size` is 0 (unless the dimension is empty), or there is no such dimension.
    pub fn split(&self, size: usize, dim: isize) -> Result<Vec<Tensor>> {
        let n = self.part_size("split", dim)?;
        if size == 0 && n > 0 {
            return Err(Error::value(
                "split",
                format!("size 0 cannot split dim {dim} of size {n}"),
            ));
        }
        let count = if size == 0 {
            1
        } else {
            n.div_ceil(size).max(1)
        };
        Tensor::expect_pieces("split", count)?;
        (0..count)
            .map(|i| self.narrow(dim, (i * size) as i64, size.min(n - i * size)))
            .collect()
    }

    /// Views of these sizes along `dim`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let parts = Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?.split_sizes(&[1, 2], 0)?;
    /// assert_eq!(parts[1].to_vec::<f64>()?, [2.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The sizes do not add up to the dimension.
    pub fn split_sizes(&self, sizes: &[usize], dim: isize) -> Result<Vec<Tensor>> {
        let n = self.part_size("split_sizes", dim)?;
        if sizes.iter().try_fold(0usize, |a, &b| a.checked_add(b)) != Some(n) {
            return Err(Error::shape(
                "split_sizes",
                format!(
                    "sizes {sizes:?} do not add up to {n}, the size of dim {dim} in shape {}",
                    self.shape()
                ),
            ));
        }
        let mut at = 0;
        sizes
            .iter()
            .map(|&size| {
                at += size;
                self.narrow(dim, (at - size) as i64, size)
            })
            .collect()
    }

    /// At most `chunks` views of equal size along `dim`, the last possibly smaller.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let parts = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0], 5)?.chunk(2, 0)?;
    /// assert_eq!(parts[0].to_vec::<f64>()?, [1.0, 2.0, 3.0]);
    /// assert_eq!(parts[1].to_vec::<f64>()?, [4.0, 5.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `chunks` is 0.
    pub fn chunk(&self, chunks: usize, dim: isize) -> Result<Vec<Tensor>> {
        if chunks == 0 {
            return Err(Error::value(
                "chunk",
                "the number of chunks is 0; it must be above",
            ));
        }
        let n = self.part_size("chunk", dim)?;
        if n == 0 {
            Tensor::expect_pieces("chunk", chunks)?;
            return Ok(vec![self.clone(); chunks]);
        }
        self.split(n.div_ceil(chunks), dim)
    }

    /// Exactly `sections` views along `dim`, the first ones larger by one where it does not divide.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let parts = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0], 5)?.tensor_split(3, 0)?;
    /// assert_eq!(parts[2].to_vec::<f64>()?, [5.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `sections` is 0.
    pub fn tensor_split(&self, sections: usize, dim: isize) -> Result<Vec<Tensor>> {
        let n = self.part_size("tensor_split", dim)?;
        Tensor::expect_pieces("tensor_split", sections)?;
        if sections == 0 {
            return Err(Error::value(
                "tensor_split",
                format!("{sections} sections of a dimension of size {n}"),
            ));
        }
        let sizes: Vec<usize> = (0..sections)
            .map(|i| n / sections + usize::from(i < n % sections))
            .collect();
        self.split_sizes(&sizes, dim)
    }

    /// Views between these indices along `dim` (clamped, negative from the back, as slices).
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let parts = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], 4)?.tensor_split_at(&[1, 3], 0)?;
    /// assert_eq!(parts[1].to_vec::<f64>()?, [2.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn tensor_split_at(&self, indices: &[i64], dim: isize) -> Result<Vec<Tensor>> {
        self.part_size("tensor_split", dim)?;
        let starts = std::iter::once(None).chain(indices.iter().copied().map(Some));
        let ends = indices
            .iter()
            .copied()
            .map(Some)
            .chain(std::iter::once(None));
        starts
            .zip(ends)
            .map(|(start, end)| self.slice(dim, start, end, 1))
            .collect()
    }

    /// Every slice along `dim`, without that dimension.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let rows = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?.unbind(0)?;
    /// assert_eq!(rows[1].to_vec::<f64>()?, [3.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension.
    pub fn unbind(&self, dim: isize) -> Result<Vec<Tensor>> {
        let n = self.part_size("unbind", dim)?;
        Tensor::expect_pieces("unbind", n)?;
        (0..n).map(|i| self.select(dim, i as i64)).collect()
    }

    pub(super) fn part_size(&self, op: &'static str, dim: isize) -> Result<usize> {
        if self.rank() == 0 {
            return Err(Error::shape(
                op,
                "a rank-0 tensor has no dimension to split",
            ));
        }
        Ok(self.dims()[resolve_dim(op, dim, self.shape())?])
    }

    /// All tensors stretched to their common shape.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let both = Tensor::broadcast_tensors(&[Tensor::from_slice(&[1.0, 2.0], 2)?, Tensor::from_slice(&[5.0, 6.0], [2, 1])?])?;
    /// assert_eq!(both[0].dims(), [2, 2]);
    /// assert_eq!(both[1].to_vec::<f64>()?, [5.0, 5.0, 6.0, 6.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The shapes do not broadcast.
    pub fn broadcast_tensors<T: AsRef<Tensor>>(tensors: &[T]) -> Result<Vec<Tensor>> {
        let shapes: Vec<Shape> = tensors.iter().map(|t| t.as_ref().shape().clone()).collect();
        if shapes.is_empty() {
            return Ok(vec![]);
        }
        let shape = crate::ops::operand::broadcast_all("broadcast_tensors", &shapes)?;
        tensors
            .iter()
            .map(|t| t.as_ref().broadcast_to(&shape))
            .collect()
    }
}

fn at_least(x: &Tensor, rank: usize) -> Result<Tensor> {
    let mut x = x.clone();
    while x.rank() < rank {
        x = x.unsqueeze(0)?;
    }
    Ok(x)
}

/// A tensor whose every element is about to be written.
pub(crate) fn uninit(op: &'static str, shape: &Shape, dtype: DType) -> Result<Tensor> {
    dispatch!(dtype, T => Tensor::build::<T>(op, shape, |_| {}))
}
