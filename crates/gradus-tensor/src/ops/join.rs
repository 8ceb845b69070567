//! Joining and parting: `cat`, `stack`, `split`, `chunk`, `repeat`, `roll` and their family.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::copy::write_view;
use crate::ops::views::ReshapeTo;
use crate::shape::{Dims, Shape, resolve_dim};
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
        let mut out = uninit("cat", &shape, dtype)?;
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
                format!("shapes {shape} and {} differ", other.as_ref().shape()),
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
    /// # Errors
    /// The sizes do not add up to the dimension.
    pub fn split_sizes(&self, sizes: &[usize], dim: isize) -> Result<Vec<Tensor>> {
        let n = self.part_size("split", dim)?;
        if sizes.iter().try_fold(0usize, |a, &b| a.checked_add(b)) != Some(n) {
            return Err(Error::shape(
                "split",
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
    /// # Errors
    /// There is no such dimension.
    pub fn unbind(&self, dim: isize) -> Result<Vec<Tensor>> {
        let n = self.part_size("unbind", dim)?;
        Tensor::expect_pieces("unbind", n)?;
        (0..n).map(|i| self.select(dim, i as i64)).collect()
    }

    fn part_size(&self, op: &'static str, dim: isize) -> Result<usize> {
        if self.rank() == 0 {
            return Err(Error::shape(
                op,
                "a rank-0 tensor has no dimension to split",
            ));
        }
        Ok(self.dims()[resolve_dim(op, dim, self.shape())?])
    }

    /// The whole tensor `repeats` times along each dimension; more repeats than dimensions add leading ones.
    ///
    /// # Errors
    /// There are fewer repeats than dimensions.
    pub fn repeat(&self, repeats: impl ReshapeTo) -> Result<Tensor> {
        let sizes = repeats.sizes();
        let fail =
            |why: &str| Error::shape("repeat", format!("{} by {sizes:?}: {why}", self.shape()));
        let repeats = sizes
            .iter()
            .map(|&n| usize::try_from(n).map_err(|_| fail("a repeat is negative")))
            .collect::<Result<Vec<_>>>()?;
        let lead = repeats
            .len()
            .checked_sub(self.rank())
            .ok_or_else(|| fail("it takes at least one repeat for each dimension"))?;
        // Every dimension d becomes [repeat, d]; the pair is then joined.
        let (mut tiled, mut pairs, mut joined) = (vec![], vec![], vec![]);
        for (i, &r) in repeats.iter().enumerate() {
            let d = if i < lead { 1 } else { self.dims()[i - lead] };
            tiled.extend([1, d]);
            pairs.extend([r, d]);
            joined.push(r.checked_mul(d).ok_or_else(|| fail("the size overflows"))?);
        }
        let joined = Shape::from(joined);
        joined.numel().map_err(|e| e.in_op("repeat"))?;
        self.reshape_to(&Shape::from(tiled))?
            .broadcast_to(pairs)?
            .reshape_to(&joined)?
            .copy_if_shared(self)
    }

    /// As [`Tensor::repeat`]; missing leading repeats are 1.
    ///
    /// # Errors
    /// A repeat is negative or the shape overflows.
    pub fn tile(&self, repeats: impl ReshapeTo) -> Result<Tensor> {
        let mut sizes = repeats.sizes();
        while sizes.len() < self.rank() {
            sizes.insert(0, 1);
        }
        self.repeat(sizes)
    }

    /// A copy when this is still a view of `of`.
    fn copy_if_shared(self, of: &Tensor) -> Result<Tensor> {
        if self.shares_storage(of) {
            self.copy()
        } else {
            Ok(self)
        }
    }

    /// Each element `repeats` times along `dim` (`None`: of the flattened tensor).
    ///
    /// # Errors
    /// There is no such dimension or the shape overflows.
    pub fn repeat_interleave(
        &self,
        repeats: usize,
        dim: impl Into<Option<isize>>,
    ) -> Result<Tensor> {
        let Some(dim) = dim.into() else {
            return self.flatten(0, -1)?.repeat_interleave(repeats, 0);
        };
        let x = if self.rank() == 0 {
            self.unsqueeze(0)?
        } else {
            self.clone()
        };
        let d = resolve_dim("repeat_interleave", dim, x.shape())?;
        let (mut pairs, mut joined) = (x.shape().clone(), x.shape().clone());
        pairs.0.insert(d + 1, repeats);
        joined.0[d] = joined[d]
            .checked_mul(repeats)
            .ok_or_else(|| Error::shape("repeat_interleave", "the size overflows"))?;
        x.unsqueeze(d as isize + 1)?
            .broadcast_to(pairs)?
            .reshape_to(&joined)?
            .copy_if_shared(self)
    }

    /// Element i along `dim` repeated `repeats[i]` times (one number in `repeats` serves all).
    ///
    /// # Errors
    /// A repeat is negative, or there is not one for each element.
    pub fn repeat_interleave_tensor(
        &self,
        repeats: &Tensor,
        dim: impl Into<Option<isize>>,
    ) -> Result<Tensor> {
        let op = "repeat_interleave";
        let dim = dim.into();
        let x = if dim.is_none() {
            self.flatten(0, -1)?
        } else {
            self.clone()
        };
        let dim = dim.unwrap_or(0);
        let n = x.part_size(op, dim)?;
        let counts = repeats.whole_numbers(op)?;
        if let (&[count], true) = (&counts[..], repeats.rank() <= 1) {
            let count = usize::try_from(count)
                .map_err(|_| Error::value(op, format!("repeat {count} is negative")))?;
            return x.repeat_interleave(count, dim);
        }
        if repeats.rank() > 1 || counts.len() != n {
            return Err(Error::shape(
                op,
                format!(
                    "repeats of shape {} do not fit a dimension of size {n}",
                    repeats.shape()
                ),
            ));
        }
        let count = |i: usize| {
            let c = counts[i];
            usize::try_from(c).map_err(|_| Error::value(op, format!("repeat {c} is negative")))
        };
        let mut total = 0usize;
        for i in 0..n {
            total = total
                .checked_add(count(i)?)
                .filter(|&t| t < isize::MAX as usize / 16)
                .ok_or_else(|| Error::shape(op, "the size overflows"))?;
        }
        let mut shape = x.shape().clone();
        shape.0[resolve_dim(op, dim, x.shape())?] = total;
        shape.numel().map_err(|e| e.in_op(op))?;
        let mut index = Tensor::zeros(total, DType::I64)?;
        index.with_mut_slice::<i64, _>(|y| {
            let mut at = 0;
            for i in 0..n {
                let c = count(i)?;
                y[at..at + c].fill(i as i64);
                at += c;
            }
            Ok::<(), Error>(())
        })??;
        x.index_select(dim, &index)
    }

    /// Elements shifted along dimensions, those pushed out re-entering at the other end. With no dims: of the flattened
    /// tensor, by the one shift.
    ///
    /// # Errors
    /// Shifts and dims differ in number, or there is no such dimension.
    pub fn roll(&self, shifts: &[i64], dims: impl Into<Dims>) -> Result<Tensor> {
        let dims = match dims.into() {
            Dims::List(list) => list,
            Dims::All => vec![],
        };
        if shifts.is_empty() {
            return Err(Error::value("roll", "at least one shift is required"));
        }
        if dims.is_empty() && shifts.len() == 1 {
            return self
                .flatten(0, -1)?
                .roll(shifts, 0)?
                .reshape_to(self.shape());
        }
        if dims.len() != shifts.len() {
            return Err(Error::value(
                "roll",
                format!(
                    "{} shifts but {} dims; give one shift for each dim",
                    shifts.len(),
                    dims.len()
                ),
            ));
        }
        let mut out = self.clone();
        for (&shift, &dim) in shifts.iter().zip(&dims) {
            let n = out.part_size("roll", dim)?;
            if n == 0 || shift.rem_euclid(n as i64) == 0 {
                continue;
            }
            let cut = n - shift.rem_euclid(n as i64) as usize;
            out = Tensor::cat(
                &[
                    out.narrow(dim, cut as i64, n - cut)?,
                    out.narrow(dim, 0, cut)?,
                ],
                dim,
            )?;
        }
        Ok(out)
    }

    /// Turned by `k` quarter turns from the first dim of `dims` towards the second.
    ///
    /// # Errors
    /// `dims` does not name two different dimensions.
    pub fn rot90(&self, k: i64, dims: &[isize]) -> Result<Tensor> {
        if dims.len() != 2 || self.rank() < 2 {
            return Err(Error::value(
                "rot90",
                format!(
                    "shape {} in dims {dims:?}: it takes two dims of a tensor with at least two",
                    self.shape()
                ),
            ));
        }
        let (a, b) = (
            resolve_dim("rot90", dims[0], self.shape())?,
            resolve_dim("rot90", dims[1], self.shape())?,
        );
        if a == b {
            return Err(Error::value(
                "rot90",
                format!("dims {dims:?} are the same dimension"),
            ));
        }
        let flip = |x: &Tensor, d: usize| x.with_layout(x.layout.flip(&[d]));
        match k.rem_euclid(4) {
            1 => flip(self, b).transpose(a as isize, b as isize),
            2 => Ok(flip(&flip(self, a), b)),
            3 => flip(self, a).transpose(a as isize, b as isize),
            _ => Ok(self.clone()),
        }
    }

    /// One grid per vector: grid i has the elements of vector i along dim i. With `xy`, the first two dims are exchanged.
    ///
    /// # Errors
    /// A tensor has more than one dimension.
    pub fn meshgrid<T: AsRef<Tensor>>(tensors: &[T], indexing: &str) -> Result<Vec<Tensor>> {
        if !matches!(indexing, "ij" | "xy") {
            return Err(Error::value(
                "meshgrid",
                format!("indexing {indexing:?} must be \"ij\" or \"xy\""),
            ));
        }
        if let Some(t) = tensors.iter().find(|t| t.as_ref().rank() > 1) {
            return Err(Error::shape(
                "meshgrid",
                format!("shape {} has more than one dimension", t.as_ref().shape()),
            ));
        }
        let n = tensors.len();
        let shape: Vec<usize> = tensors.iter().map(|t| t.as_ref().numel()).collect();
        let grid = |i: usize| {
            let mut line = vec![1; n];
            line[i] = shape[i];
            let grid = tensors[i].as_ref().reshape(line)?.broadcast_to(&shape)?;
            if indexing == "xy" && n > 1 {
                grid.transpose(0, 1)
            } else {
                Ok(grid)
            }
        };
        (0..n).map(grid).collect()
    }

    /// All tensors stretched to their common shape.
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
