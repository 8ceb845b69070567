//! Replacing a part (`slice_scatter`, …), triangles, diagonals and padding.

use crate::error::{Error, Result};
use crate::ops::copy::{replaced, write_view};
use crate::scalar::Scalar;
use crate::shape::resolve_dim;
use crate::storage::dispatch_size;
use crate::tensor::Tensor;

/// What stands outside the edge, for [`Tensor::pad`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode {
    /// A number.
    Constant(Scalar),
    /// The elements mirrored, the edge itself not repeated.
    Reflect,
    /// The edge, repeated.
    Replicate,
    /// The elements from the other end.
    Circular,
}

impl Tensor {
    /// This tensor with every `step`-th element of `start..end` along `dim` replaced by `src`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], 4)?;
    /// assert_eq!(x.slice_scatter(&Tensor::from_slice(&[8.0, 9.0], 2)?, 0, 1, 3, 1)?.to_vec::<f64>()?, [1.0, 8.0, 9.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `src` has not the shape of that slice.
    pub fn slice_scatter(
        &self,
        src: &Tensor,
        dim: isize,
        start: impl Into<Option<i64>>,
        end: impl Into<Option<i64>>,
        step: i64,
    ) -> Result<Tensor> {
        let (start, end) = (start.into(), end.into());
        replaced("slice_scatter", self.clone(), src, |l| {
            l.slice(dim, start, end, step)
        })
    }

    /// The same with the memory of this tensor when nobody else holds it: only the slice is written.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let rows = Tensor::zeros([3, 2], DType::F32)?;
    /// let rows = rows.slice_scatter_(&Tensor::ones([1, 2], DType::F32)?, 0, 1, 2, 1)?;
    /// assert_eq!(rows.to_vec::<f32>()?, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `src` has not the shape of that slice.
    pub fn slice_scatter_(
        self,
        src: &Tensor,
        dim: isize,
        start: impl Into<Option<i64>>,
        end: impl Into<Option<i64>>,
        step: i64,
    ) -> Result<Tensor> {
        let (start, end) = (start.into(), end.into());
        replaced("slice_scatter", self, src, |l| {
            l.slice(dim, start, end, step)
        })
    }

    /// This tensor with one index along `dim` replaced by `src`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.select_scatter(&Tensor::from_slice(&[8.0, 9.0], 2)?, 1, 0)?.to_vec::<f64>()?, [8.0, 2.0, 9.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `src` has not the shape of that slice, or the index is out of range.
    pub fn select_scatter(&self, src: &Tensor, dim: isize, index: i64) -> Result<Tensor> {
        replaced("select_scatter", self.clone(), src, |l| {
            l.select(dim, index)
        })
    }

    /// This tensor with a diagonal replaced by `src`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.diagonal_scatter(&Tensor::from_slice(&[8.0, 9.0], 2)?, 0, 0, 1)?.to_vec::<f64>()?, [8.0, 2.0, 3.0, 9.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `src` has not the shape of the diagonal.
    pub fn diagonal_scatter(
        &self,
        src: &Tensor,
        offset: i64,
        dim1: isize,
        dim2: isize,
    ) -> Result<Tensor> {
        let copy = self.copy()?;
        let layout = copy.diagonal(offset, dim1, dim2)?.layout;
        replaced("diagonal_scatter", copy, src, |_| Ok(layout))
    }

    /// The elements on and below the diagonal (`diagonal` above 0 moves it up), the rest 0. Leading dims are a batch.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.tril(0)?.to_vec::<f64>()?, [1.0, 0.0, 3.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There are fewer than 2 dimensions.
    pub fn tril(&self, diagonal: i64) -> Result<Tensor> {
        self.triangle("tril", |row, col| col as i64 - row as i64 <= diagonal)
    }

    /// The elements on and above the diagonal, the rest 0.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.triu(0)?.to_vec::<f64>()?, [1.0, 2.0, 0.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There are fewer than 2 dimensions.
    pub fn triu(&self, diagonal: i64) -> Result<Tensor> {
        self.triangle("triu", |row, col| col as i64 - row as i64 >= diagonal)
    }

    fn triangle(&self, op: &'static str, keep: impl Fn(usize, usize) -> bool) -> Result<Tensor> {
        if self.rank() < 2 {
            return Err(Error::shape(
                op,
                format!("shape {} has fewer than 2 dimensions", self.shape()),
            ));
        }
        let (rows, cols) = (self.dim(-2)?, self.dim(-1)?);
        on_cuda!([self] => {
            let kept = (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col)));
            let kept = kept.map(|(row, col)| keep(row, col)).collect();
            let kept = Tensor::from_vec::<bool>(kept, [rows, cols])?.to_device(&self.device())?;
            Tensor::where_(&kept, self, &Tensor::zeros((), (self.dtype(), self.device()))?)
        });
        let x = self.contiguous()?;
        dispatch_size!(self.dtype(), W => Tensor::build_words::<W>(op, self.shape(), self.dtype(), |y| {
            let x = x.word_slice::<W>(op)?;
            for (i, (y, x)) in y.chunks_exact_mut(cols.max(1)).zip(x.chunks_exact(cols.max(1))).enumerate() {
                let row = i % rows;
                for (col, (y, x)) in y.iter_mut().zip(x).enumerate() {
                    *y = if keep(row, col) { *x } else { W::default() };
                }
            }
            Ok(())
        }))
    }

    /// A vector's square matrix with it on a diagonal, or a matrix's diagonal.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.diag(0)?.to_vec::<f64>()?, [1.0, 0.0, 0.0, 2.0]);
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.diag(1)?.to_vec::<f64>()?, [2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The rank is neither 1 nor 2.
    pub fn diag(&self, diagonal: i64) -> Result<Tensor> {
        match self.rank() {
            1 => self.diag_embed(diagonal, -2, -1),
            2 => self.diagonal(diagonal, 0, 1),
            _ => Err(Error::shape(
                "diag",
                format!("shape {}: it takes 1 or 2 dimensions", self.shape()),
            )),
        }
    }

    /// Square matrices in dims `dim1`, `dim2` with the last dimension on a diagonal, 0 elsewhere.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.diag_embed(0, -2, -1)?.to_vec::<f64>()?, [1.0, 0.0, 0.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The dims are the same or do not exist.
    pub fn diag_embed(&self, offset: i64, dim1: isize, dim2: isize) -> Result<Tensor> {
        let op = "diag_embed";
        let n = self.dim(-1).map_err(|e| e.in_op(op))?;
        let size = usize::try_from(offset.unsigned_abs())
            .ok()
            .and_then(|o| n.checked_add(o))
            .ok_or_else(|| Error::shape(op, "the size overflows"))?;
        let mut shape = self.shape().clone();
        shape.0.insert(self.rank(), size);
        let (a, b) = (
            resolve_dim(op, dim1, &shape)?,
            resolve_dim(op, dim2, &shape)?,
        );
        if a == b {
            return Err(Error::value(
                op,
                format!("dims {dim1} and {dim2} are the same dimension"),
            ));
        }
        let rest: Vec<usize> = self.dims()[..self.rank() - 1].to_vec();
        let mut dims = rest;
        dims.insert(a.min(b), size);
        dims.insert(a.max(b), size);
        let out = Tensor::zeros(dims, (self.dtype(), self.device()))?;
        let layout = out.diagonal(offset, a as isize, b as isize)?.layout;
        let mut out = out;
        write_view(op, &mut out, &layout, self)?;
        Ok(out)
    }

    /// Padded: `pad` holds the amounts before and after the last dimension, then the one before it, and so on; negative
    /// amounts cut off.
    ///
    /// ```
    /// # use gradus_tensor::{PadMode, Tensor};
    /// let x = Tensor::from_slice(&[1i64, 2, 3], 3)?;
    /// assert_eq!(x.pad(&[1, 2], PadMode::Constant(0.into()))?.to_vec::<i64>()?, [0, 1, 2, 3, 0, 0]);
    /// assert_eq!(x.pad(&[2, 1], PadMode::Reflect)?.to_vec::<i64>()?, [3, 2, 1, 2, 3, 2]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is an odd number of amounts or more than two for each dimension, too much is cut off, or the mode
    /// reaches further than the dimension has elements.
    pub fn pad(&self, pad: &[isize], mode: PadMode) -> Result<Tensor> {
        let fail = |why: &str| {
            Error::shape(
                "pad",
                format!("{} by {pad:?} ({mode:?}): {why}", self.shape()),
            )
        };
        if !pad.len().is_multiple_of(2) || pad.len() / 2 > self.rank() {
            return Err(fail(
                "it takes two amounts for each padded dimension, from the last one on",
            ));
        }
        let mut shape = self.shape().clone();
        for (i, p) in pad.chunks_exact(2).enumerate() {
            let d = self.rank() - 1 - i;
            let cut = p[0]
                .min(0)
                .unsigned_abs()
                .checked_add(p[1].min(0).unsigned_abs());
            if cut.is_none_or(|cut| cut > shape[d]) {
                return Err(fail("more is cut off than there is"));
            }
            let size = (shape[d] as isize)
                .checked_add(p[0])
                .and_then(|n| n.checked_add(p[1]));
            shape.0[d] = size
                .and_then(|n| usize::try_from(n).ok())
                .ok_or_else(|| fail("a size becomes negative or overflows"))?;
        }
        shape.numel().map_err(|e| e.in_op("pad"))?;
        if let PadMode::Constant(value) = mode {
            let mut out = Tensor::full(&shape, value, (self.dtype(), self.device()))?;
            let (mut from, mut to) = (self.layout.clone(), out.layout.clone());
            for (i, p) in pad.chunks_exact(2).enumerate() {
                let d = self.rank() - 1 - i;
                let cut = |p: isize| p.min(0).unsigned_abs();
                let keep = self.dims()[d] - cut(p[0]) - cut(p[1]);
                from = from.narrow(d as isize, cut(p[0]) as i64, keep)?;
                to = to.narrow(d as isize, p[0].max(0) as i64, keep)?;
            }
            write_view("pad", &mut out, &to, &self.with_layout(from))?;
            return Ok(out);
        }
        let mut out = self.clone();
        for (i, p) in pad.chunks_exact(2).enumerate() {
            let d = self.rank() - 1 - i;
            if (p[0], p[1]) != (0, 0) {
                let index =
                    pad_index(self.dims()[d], p[0], p[1], mode).map_err(|why| fail(&why))?;
                out = out.select_rows("pad", d, &index)?;
            }
        }
        Ok(out)
    }
}

/// Which element of a dimension of size `n` stands at each place of the padded one.
fn pad_index(
    n: usize,
    before: isize,
    after: isize,
    mode: PadMode,
) -> std::result::Result<Vec<usize>, String> {
    let (size, reach) = (n as isize, before.max(after));
    let (allowed, why) = match mode {
        PadMode::Reflect => (reach < size, "reflect takes less than"),
        PadMode::Circular => (reach <= size, "circular takes at most"),
        _ => (size > 0, "replicate takes more than 0, having"),
    };
    if !allowed {
        return Err(format!("{why} the size {n} of the dimension"));
    }
    let kept = size + before.min(0) + after.min(0); // what a circular pad repeats
    let at = |x: isize| {
        let j = x - before; // the place in the unpadded dimension
        let i = match mode {
            PadMode::Reflect if j < 0 => -j,
            PadMode::Reflect if j >= size => 2 * (size - 1) - j,
            PadMode::Circular if kept > 0 => (x - before.max(0)).rem_euclid(kept) - before.min(0),
            _ => j,
        };
        i.clamp(0, size - 1) as usize
    };
    let mut index = crate::storage::try_vec("pad", 0usize, (size + before + after) as usize)
        .map_err(|e| e.message().to_owned())?;
    index
        .iter_mut()
        .enumerate()
        .for_each(|(x, i)| *i = at(x as isize));
    Ok(index)
}
