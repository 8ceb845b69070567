//! Joining, splitting, repeating, and moving whole blocks.

use gradus_tensor::ops::ReshapeTo;
use gradus_tensor::{Dims, Error, Result, Tensor};

use crate::op::Op;
use crate::ops::moved::moved;
use crate::var::Var;

impl Var {
    /// Values joined along the existing dimension `dim`.
    ///
    /// Gradient: each gets its part of `dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::cat`](gradus_tensor::Tensor::cat).
    #[doc = slope!("Var::cat(&[&a, &b], 0)?" => "1.0, 2.0, 3.0"; "a", "[2]", "1.0, 2.0" => "1.0, 1.0"; "b", "[1]", "3.0" => "1.0")]
    pub fn cat(vars: &[&Var], dim: isize) -> Result<Var> {
        let values: Vec<&Tensor> = vars.iter().map(|v| v.value()).collect();
        let y = Tensor::cat(&values, dim)?;
        // PyTorch skips empty vectors among others of any rank.
        let lens: Vec<usize> = vars
            .iter()
            .map(|v| {
                if v.rank() == y.rank() {
                    v.dim(dim).unwrap_or(0)
                } else {
                    0
                }
            })
            .collect();
        Op::new("cat").inputs(vars).record(y, move |ctx, dy| {
            let mut start = 0;
            let mut grads = Vec::with_capacity(lens.len());
            for (i, &len) in lens.iter().enumerate() {
                grads.push(ctx.grad(i, || {
                    let piece = dy.narrow(dim, start, len)?;
                    if piece.shape() == ctx.shape(i) {
                        Ok(piece)
                    } else {
                        piece.reshape(super::reduce::sizes(ctx.shape(i)))
                    }
                })?);
                start += len as i64;
            }
            Ok(grads)
        })
    }

    /// Values of one shape joined along a new dimension `dim`.
    ///
    /// Gradient: each gets its slice of `dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::stack`](gradus_tensor::Tensor::stack).
    #[doc = slope!("Var::stack(&[&a, &b], 0)?" => "1.0, 2.0, 3.0, 4.0"; "a", "[2]", "1.0, 2.0" => "1.0, 1.0"; "b", "[2]", "3.0, 4.0" => "1.0, 1.0")]
    pub fn stack(vars: &[&Var], dim: isize) -> Result<Var> {
        let values: Vec<&Tensor> = vars.iter().map(|v| v.value()).collect();
        let y = Tensor::stack(&values, dim)?;
        let count = vars.len();
        Op::new("stack").inputs(vars).record(y, move |ctx, dy| {
            (0..count)
                .map(|i| ctx.grad(i, || dy.select(dim, i as i64)))
                .collect::<Result<Vec<_>>>()
        })
    }

    /// Joined side by side: along dim 1, or dim 0 for rank 1.
    ///
    /// Gradient: each gets its part of `dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::hstack`](gradus_tensor::Tensor::hstack).
    #[doc = slope!("Var::hstack(&[&a, &b])?" => "1.0, 2.0, 3.0"; "a", "[2]", "1.0, 2.0" => "1.0, 1.0"; "b", "[1]", "3.0" => "1.0")]
    pub fn hstack(vars: &[&Var]) -> Result<Var> {
        let parts = vars
            .iter()
            .map(|v| {
                if v.rank() == 0 {
                    v.reshape([1])
                } else {
                    Ok((*v).clone())
                }
            })
            .collect::<Result<Vec<_>>>()?;
        let dim = isize::from(parts.first().is_some_and(|v| v.rank() > 1));
        Var::cat(&parts.iter().collect::<Vec<_>>(), dim)
    }

    /// Joined one below the other: along dim 0, vectors as rows.
    ///
    /// Gradient: each gets its part of `dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::vstack`](gradus_tensor::Tensor::vstack).
    #[doc = slope!("Var::vstack(&[&a, &b])?" => "1.0, 2.0, 3.0, 4.0"; "a", "[2]", "1.0, 2.0" => "1.0, 1.0"; "b", "[2]", "3.0, 4.0" => "1.0, 1.0")]
    pub fn vstack(vars: &[&Var]) -> Result<Var> {
        let row = |v: &&Var| match v.rank() {
            0 => v.reshape([1, 1]),
            1 => v.unsqueeze(0),
            _ => Ok((*v).clone()),
        };
        let parts = vars.iter().map(row).collect::<Result<Vec<_>>>()?;
        Var::cat(&parts.iter().collect::<Vec<_>>(), 0)
    }

    /// Pieces of `size` along `dim`; the last may be smaller.
    ///
    /// Gradient: each part's is put back in its place. Shapes, dtypes and errors are those of
    /// [`Tensor::split`](gradus_tensor::Tensor::split).
    #[doc = slope!("x.split(2, 0)?[1].clone()" => "3.0"; "x", "[3]", "1.0, 2.0, 3.0" => "0.0, 0.0, 1.0")]
    pub fn split(&self, size: usize, dim: isize) -> Result<Vec<Var>> {
        self.pieces(&self.value().split(size, dim)?, dim)
    }

    /// Pieces of these sizes along `dim`.
    ///
    /// Gradient: each part's is put back in its place. Shapes, dtypes and errors are those of
    /// [`Tensor::split_sizes`](gradus_tensor::Tensor::split_sizes).
    #[doc = slope!("x.split_sizes(&[1, 2], 0)?[1].clone()" => "2.0, 3.0"; "x", "[3]", "1.0, 2.0, 3.0" => "0.0, 1.0, 1.0")]
    pub fn split_sizes(&self, sizes: &[usize], dim: isize) -> Result<Vec<Var>> {
        self.pieces(&self.value().split_sizes(sizes, dim)?, dim)
    }

    /// At most `chunks` pieces of one size along `dim`; the last may be smaller.
    ///
    /// Gradient: each part's is put back in its place. Shapes, dtypes and errors are those of
    /// [`Tensor::chunk`](gradus_tensor::Tensor::chunk).
    #[doc = slope!("x.chunk(2, 0)?[0].clone()" => "1.0, 2.0"; "x", "[3]", "1.0, 2.0, 3.0" => "1.0, 1.0, 0.0")]
    pub fn chunk(&self, chunks: usize, dim: isize) -> Result<Vec<Var>> {
        self.pieces(&self.value().chunk(chunks, dim)?, dim)
    }

    /// Exactly `sections` pieces along `dim`, the first ones larger by one where it does not divide.
    ///
    /// Gradient: each part's is put back in its place. Shapes, dtypes and errors are those of
    /// [`Tensor::tensor_split`](gradus_tensor::Tensor::tensor_split).
    #[doc = slope!("x.tensor_split(2, 0)?[0].clone()" => "1.0, 2.0"; "x", "[3]", "1.0, 2.0, 3.0" => "1.0, 1.0, 0.0")]
    pub fn tensor_split(&self, sections: usize, dim: isize) -> Result<Vec<Var>> {
        self.pieces(&self.value().tensor_split(sections, dim)?, dim)
    }

    /// Pieces between these indices along `dim` (clamped, negative ones from the back).
    ///
    /// Gradient: each part's is put back in its place. Shapes, dtypes and errors are those of
    /// [`Tensor::tensor_split_at`](gradus_tensor::Tensor::tensor_split_at).
    #[doc = slope!("x.tensor_split_at(&[1], 0)?[1].clone()" => "2.0, 3.0"; "x", "[3]", "1.0, 2.0, 3.0" => "0.0, 1.0, 1.0")]
    pub fn tensor_split_at(&self, indices: &[i64], dim: isize) -> Result<Vec<Var>> {
        let mut ends: Vec<Option<i64>> = indices.iter().map(|&i| Some(i)).collect();
        ends.push(None);
        self.value().tensor_split_at(indices, dim)?;
        let starts = std::iter::once(None).chain(indices.iter().map(|&i| Some(i)));
        starts
            .zip(ends)
            .map(|(start, end)| self.slice(dim, start, end, 1))
            .collect()
    }

    /// The slices along `dim`, without it.
    ///
    /// Gradient: each slice's is put back in its place. Shapes, dtypes and errors are those of
    /// [`Tensor::unbind`](gradus_tensor::Tensor::unbind).
    #[doc = slope!("x.unbind(0)?[1].clone()" => "3.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "0.0, 0.0, 1.0, 1.0")]
    pub fn unbind(&self, dim: isize) -> Result<Vec<Var>> {
        (0..self.dim(dim)?)
            .map(|i| self.select(dim, i as i64))
            .collect()
    }

    /// Consecutive pieces along `dim` of these lengths.
    fn pieces(&self, parts: &[Tensor], dim: isize) -> Result<Vec<Var>> {
        let mut start = 0;
        let mut all = Vec::with_capacity(parts.len());
        for part in parts {
            let len = part.dim(dim)?;
            all.push(self.narrow(dim, start, len)?);
            start += len as i64;
        }
        Ok(all)
    }

    /// The whole `repeats` times along each dimension; more repeats than dimensions add leading ones.
    ///
    /// Gradient: the sum of `dy` over the copies. Shapes, dtypes and errors are those of
    /// [`Tensor::repeat`](gradus_tensor::Tensor::repeat).
    #[doc = slope!("x.repeat([2])?" => "1.0, 2.0, 1.0, 2.0"; "x", "[2]", "1.0, 2.0" => "2.0, 2.0")]
    pub fn repeat(&self, repeats: impl ReshapeTo) -> Result<Var> {
        let y = self.value().repeat(repeats)?;
        Op::new("repeat").inputs(&[self]).record(y, |ctx, dy| {
            // (r₀ s₀, r₁ s₁, …) as (r₀, s₀, r₁, s₁, …), summed over every r.
            let shape = ctx.shape(0);
            let lead = dy.rank() - shape.len();
            let mut split = Vec::with_capacity(2 * dy.rank());
            for (d, &n) in dy.dims().iter().enumerate() {
                let size = if d < lead { 1 } else { shape[d - lead] };
                split.extend([n.checked_div(size).unwrap_or(1) as isize, size as isize]);
            }
            let over: Vec<isize> = (0..dy.rank() as isize).map(|d| 2 * d).collect();
            if dy.numel() == 0 || over.is_empty() {
                return if dy.numel() == 0 {
                    Ok(Var::from(Tensor::zeros(shape, &dy)?))
                } else {
                    Ok(dy)
                };
            }
            dy.reshape(split)?
                .sum(over, false)?
                .reshape(super::reduce::sizes(shape))
        })
    }

    /// As [`Var::repeat`]; missing leading repeats are 1.
    ///
    /// Gradient: the sum of `dy` over the copies. Shapes, dtypes and errors are those of
    /// [`Tensor::tile`](gradus_tensor::Tensor::tile).
    #[doc = slope!("x.tile(&[2])?" => "1.0, 2.0, 1.0, 2.0"; "x", "[2]", "1.0, 2.0" => "2.0, 2.0")]
    pub fn tile(&self, repeats: &[isize]) -> Result<Var> {
        let mut all = vec![1; self.rank().saturating_sub(repeats.len())];
        all.extend(repeats);
        self.repeat(all)
    }

    /// Each element `repeats` times along `dim` (`None`: of the flattened values).
    ///
    /// Gradient: the sum of `dy` over the copies of each element. Shapes, dtypes and errors are those of
    /// [`Tensor::repeat_interleave`](gradus_tensor::Tensor::repeat_interleave).
    #[doc = slope!("x.repeat_interleave(2, 0)?" => "1.0, 1.0, 2.0, 2.0"; "x", "[2]", "1.0, 2.0" => "2.0, 2.0")]
    pub fn repeat_interleave(&self, repeats: usize, dim: impl Into<Option<isize>>) -> Result<Var> {
        let dim = dim.into();
        moved("repeat_interleave", self, move |x| {
            x.repeat_interleave(repeats, dim)
        })
    }

    /// Element i along `dim` repeated `repeats[i]` times.
    ///
    /// Gradient: the sum of `dy` over the copies of each element. Shapes, dtypes and errors are those of
    /// [`Tensor::repeat_interleave_tensor`](gradus_tensor::Tensor::repeat_interleave_tensor).
    #[doc = slope!("x.repeat_interleave_tensor(&Tensor::from_slice(&[1i64, 2], 2)?, 0)?" => "1.0, 2.0, 2.0"; "x", "[2]", "1.0, 2.0" => "1.0, 2.0")]
    pub fn repeat_interleave_tensor(
        &self,
        repeats: &Tensor,
        dim: impl Into<Option<isize>>,
    ) -> Result<Var> {
        let (repeats, dim) = (repeats.clone(), dim.into());
        moved("repeat_interleave_tensor", self, move |x| {
            x.repeat_interleave_tensor(&repeats, dim)
        })
    }

    /// Elements shifted along dimensions, those pushed out re-entering at the other end (no dims: of the flattened values).
    ///
    /// Gradient: `dy` rolled back. Shapes, dtypes and errors are those of
    /// [`Tensor::roll`](gradus_tensor::Tensor::roll).
    #[doc = slope!("x.roll(&[1], 0)?" => "3.0, 1.0, 2.0"; "x", "[3]", "1.0, 2.0, 3.0" => "1.0, 1.0, 1.0")]
    pub fn roll(&self, shifts: &[i64], dims: impl Into<Dims>) -> Result<Var> {
        let dims = dims.into();
        let y = self.value().roll(shifts, dims.clone())?;
        let back: Vec<i64> = shifts.iter().map(|s| s.wrapping_neg()).collect();
        Op::new("roll")
            .inputs(&[self])
            .record(y, move |_, dy| dy.roll(&back, dims.clone()))
    }

    /// Turned by `k` quarter turns from the first dim of `dims` towards the second.
    ///
    /// Gradient: `dy` turned back. Shapes, dtypes and errors are those of
    /// [`Tensor::rot90`](gradus_tensor::Tensor::rot90).
    #[doc = slope!("x.rot90(1, &[0, 1])?" => "2.0, 4.0, 1.0, 3.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 1.0, 1.0")]
    pub fn rot90(&self, k: i64, dims: &[isize]) -> Result<Var> {
        let y = self.value().rot90(k, dims)?;
        let dims = dims.to_vec();
        Op::new("rot90")
            .inputs(&[self])
            .record(y, move |_, dy| dy.rot90(k.wrapping_neg(), &dims))
    }

    /// One grid per vector: grid i has the elements of vector i along dim i. With `"xy"`, the first two dims are exchanged.
    ///
    /// Gradient: the sum of each grid's over the other dimensions. Shapes, dtypes and errors are those of
    /// [`Tensor::meshgrid`](gradus_tensor::Tensor::meshgrid).
    #[doc = slope!("{ let grids = Var::meshgrid(&[&a, &b], \"ij\")?; grids[0].mul(&grids[1])? }" => "3.0, 6.0"; "a", "[2]", "1.0, 2.0" => "3.0, 3.0"; "b", "[1]", "3.0" => "3.0")]
    pub fn meshgrid(vars: &[&Var], indexing: &str) -> Result<Vec<Var>> {
        let values: Vec<&Tensor> = vars.iter().map(|v| v.value()).collect();
        let grids = Tensor::meshgrid(&values, indexing)?;
        let swapped = indexing == "xy" && vars.len() > 1;
        let along = |i: usize| if swapped && i < 2 { 1 - i } else { i };
        vars.iter()
            .zip(&grids)
            .enumerate()
            .map(|(i, (v, grid))| {
                let mut shape = vec![1isize; grid.rank()];
                if let Some(size) = shape.get_mut(along(i)) {
                    *size = v.numel() as isize;
                }
                v.reshape(shape)?.broadcast_to(grid.shape())
            })
            .collect()
    }

    /// All stretched to their common shape.
    ///
    /// Gradient: each sum over what was stretched. Shapes, dtypes and errors are those of
    /// [`Tensor::broadcast_tensors`](gradus_tensor::Tensor::broadcast_tensors).
    #[doc = slope!("{ let both = Var::broadcast_tensors(&[&a, &b])?; both[0].mul(&both[1])? }" => "3.0, 6.0"; "a", "[2]", "1.0, 2.0" => "3.0, 3.0"; "b", "[1]", "3.0" => "3.0")]
    pub fn broadcast_tensors(vars: &[&Var]) -> Result<Vec<Var>> {
        let values: Vec<&Tensor> = vars.iter().map(|v| v.value()).collect();
        let all = Tensor::broadcast_tensors(&values)?;
        let shape = all
            .first()
            .ok_or_else(|| Error::value("broadcast_tensors", "the list is empty"))?
            .shape();
        vars.iter().map(|v| v.broadcast_to(shape)).collect()
    }
}
