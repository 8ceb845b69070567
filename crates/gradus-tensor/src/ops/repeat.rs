//! The same elements again or elsewhere: `repeat`, `tile`, `repeat_interleave`, `roll`, `rot90`, `meshgrid`.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::reshape_to::ReshapeTo;
use crate::shape::{Dims, Shape, resolve_dim};
use crate::tensor::Tensor;

impl Tensor {
    /// The whole tensor `repeats` times along each dimension; more repeats than dimensions add leading ones.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.repeat([2, 2])?.to_vec::<f64>()?, [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
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
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], [2, 1])?;
    /// assert_eq!(x.tile([2])?.to_vec::<f64>()?, [1.0, 1.0, 2.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
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
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.repeat_interleave(2, 0)?.to_vec::<f64>()?, [1.0, 1.0, 2.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
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
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert_eq!(x.repeat_interleave_tensor(&Tensor::from_slice(&[3i64, 1], 2)?, 0)?.to_vec::<f64>()?, [1.0, 1.0, 1.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
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
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0], 3)?;
    /// assert_eq!(x.roll(&[1], 0)?.to_vec::<f64>()?, [3.0, 1.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
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
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.rot90(1, &[0, 1])?.to_vec::<f64>()?, [2.0, 4.0, 1.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
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
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let grid = Tensor::meshgrid(&[Tensor::from_slice(&[1.0, 2.0], 2)?, Tensor::from_slice(&[5.0, 6.0, 7.0], 3)?], "ij")?;
    /// assert_eq!(grid[0].dims(), [2, 3]);
    /// assert_eq!(grid[0].to_vec::<f64>()?, [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
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
}
