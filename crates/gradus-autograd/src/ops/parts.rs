//! Triangles, diagonals, padding, and replacing a part.

use gradus_tensor::{Error, PadMode, Result, Scalar, Tensor};

use crate::op::Op;
use crate::ops::moved::moved;
use crate::var::Var;

impl Var {
    /// The elements on and below the diagonal, the rest 0.
    ///
    /// Gradient: the same triangle of `dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::tril`](gradus_tensor::Tensor::tril).
    #[doc = slope!("x.tril(0)?" => "1.0, 0.0, 3.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 0.0, 1.0, 1.0")]
    pub fn tril(&self, diagonal: i64) -> Result<Var> {
        let y = self.value().tril(diagonal)?;
        Op::new("tril")
            .inputs(&[self])
            .record(y, move |_, dy| dy.tril(diagonal))
    }

    /// The elements on and above the diagonal, the rest 0.
    ///
    /// Gradient: the same triangle of `dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::triu`](gradus_tensor::Tensor::triu).
    #[doc = slope!("x.triu(0)?" => "1.0, 2.0, 0.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 0.0, 1.0")]
    pub fn triu(&self, diagonal: i64) -> Result<Var> {
        let y = self.value().triu(diagonal)?;
        Op::new("triu")
            .inputs(&[self])
            .record(y, move |_, dy| dy.triu(diagonal))
    }

    /// A vector's square matrix with it on a diagonal, or a matrix's diagonal.
    ///
    /// Gradient: the diagonal of `dy`, or `dy` on a diagonal. Shapes, dtypes and errors are those of
    /// [`Tensor::diag`](gradus_tensor::Tensor::diag).
    #[doc = slope!("x.diag(0)?" => "1.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 0.0, 0.0, 1.0")]
    pub fn diag(&self, diagonal: i64) -> Result<Var> {
        match self.rank() {
            1 => self.diag_embed(diagonal, 0, 1),
            2 => self.diagonal(diagonal, 0, 1),
            _ => Err(Error::shape(
                "diag",
                format!("shape {} is neither a vector nor a matrix", self.shape()),
            )),
        }
    }

    /// Square matrices in dims `dim1`, `dim2` with the last dimension on a diagonal, 0 elsewhere.
    ///
    /// Gradient: the diagonal of `dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::diag_embed`](gradus_tensor::Tensor::diag_embed).
    #[doc = slope!("x.diag_embed(0, -2, -1)?" => "1.0, 0.0, 0.0, 2.0"; "x", "[2]", "1.0, 2.0" => "1.0, 1.0")]
    pub fn diag_embed(&self, offset: i64, dim1: isize, dim2: isize) -> Result<Var> {
        let y = self.value().diag_embed(offset, dim1, dim2)?;
        Op::new("diag_embed")
            .inputs(&[self])
            .record(y, move |_, dy| dy.diagonal(offset, dim1, dim2))
    }

    /// The sum of the diagonal of a matrix.
    ///
    /// Gradient: `dy` on the diagonal. Shapes, dtypes and errors are those of
    /// [`Tensor::trace`](gradus_tensor::Tensor::trace).
    #[doc = slope!("x.trace()?" => "5.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 0.0, 0.0, 1.0")]
    pub fn trace(&self) -> Result<Var> {
        if self.rank() != 2 {
            return Err(Error::shape(
                "trace",
                format!("shape {} is not a matrix", self.shape()),
            ));
        }
        self.diagonal(0, 0, 1)?.sum(.., false)
    }

    /// Padded: `pad` holds the amounts before and after the last dimension, then the one before it, and so on; negative
    /// amounts cut off.
    ///
    /// Gradient: `dy` without the padding; mirrored and repeated elements get the sum of their copies. Shapes, dtypes
    /// and errors are those of [`Tensor::pad`](gradus_tensor::Tensor::pad).
    #[doc = slope!("x.pad(&[1, 0], gradus_tensor::PadMode::Constant(9.into()))?" => "9.0, 1.0, 2.0"; "x", "[2]", "1.0, 2.0" => "1.0, 1.0")]
    pub fn pad(&self, pad: &[isize], mode: PadMode) -> Result<Var> {
        let pad = pad.to_vec();
        if !matches!(mode, PadMode::Constant(_)) {
            return moved("pad", self, move |x| x.pad(&pad, mode));
        }
        let y = self.value().pad(&pad, mode)?;
        Op::new("pad").inputs(&[self]).record(y, move |_, dy| {
            let back: Vec<isize> = pad.iter().map(|p| -p).collect();
            dy.pad(&back, PadMode::Constant(Scalar::Int(0)))
        })
    }

    /// A copy with every `step`-th element of `start..end` along `dim` replaced by `src`.
    ///
    /// Gradient: `dy` without the slice, which goes to `src`. Shapes, dtypes and errors are those of
    /// [`Tensor::slice_scatter`](gradus_tensor::Tensor::slice_scatter).
    #[doc = slope!("a.slice_scatter(&b, 0, 1, 2, 1)?" => "1.0, 9.0, 3.0"; "a", "[3]", "1.0, 2.0, 3.0" => "1.0, 0.0, 1.0"; "b", "[1]", "9.0" => "1.0")]
    pub fn slice_scatter(
        &self,
        src: &Var,
        dim: isize,
        start: impl Into<Option<i64>>,
        end: impl Into<Option<i64>>,
        step: i64,
    ) -> Result<Var> {
        let (start, end) = (start.into(), end.into());
        let y = self
            .value()
            .slice_scatter(src.value(), dim, start, end, step)?;
        Op::new("slice_scatter")
            .inputs(&[self, src])
            .record(y, move |ctx, dy| {
                let ds = dy.slice(dim, start, end, step)?;
                Ok([
                    ctx.grad(0, || dy.slice_scatter(&zeros(&ds)?, dim, start, end, step))?,
                    ctx.grad(1, || ds.sum_to(ctx.shape(1)))?,
                ])
            })
    }

    /// A copy with one index along `dim` replaced by `src`.
    ///
    /// Gradient: `dy` without the slice, which goes to `src`. Shapes, dtypes and errors are those of
    /// [`Tensor::select_scatter`](gradus_tensor::Tensor::select_scatter).
    #[doc = slope!("a.select_scatter(&b, 0, 1)?" => "1.0, 2.0, 8.0, 9.0"; "a", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 0.0, 0.0"; "b", "[2]", "8.0, 9.0" => "1.0, 1.0")]
    pub fn select_scatter(&self, src: &Var, dim: isize, index: i64) -> Result<Var> {
        let y = self.value().select_scatter(src.value(), dim, index)?;
        Op::new("select_scatter")
            .inputs(&[self, src])
            .record(y, move |ctx, dy| {
                let ds = dy.select(dim, index)?;
                Ok([
                    ctx.grad(0, || dy.select_scatter(&zeros(&ds)?, dim, index))?,
                    ctx.grad(1, || ds.sum_to(ctx.shape(1)))?,
                ])
            })
    }

    /// A copy with a diagonal replaced by `src`.
    ///
    /// Gradient: `dy` without the diagonal, which goes to `src`. Shapes, dtypes and errors are those of
    /// [`Tensor::diagonal_scatter`](gradus_tensor::Tensor::diagonal_scatter).
    #[doc = slope!("a.diagonal_scatter(&b, 0, 0, 1)?" => "8.0, 2.0, 3.0, 9.0"; "a", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "0.0, 1.0, 1.0, 0.0"; "b", "[2]", "8.0, 9.0" => "1.0, 1.0")]
    pub fn diagonal_scatter(
        &self,
        src: &Var,
        offset: i64,
        dim1: isize,
        dim2: isize,
    ) -> Result<Var> {
        let y = self
            .value()
            .diagonal_scatter(src.value(), offset, dim1, dim2)?;
        Op::new("diagonal_scatter")
            .inputs(&[self, src])
            .record(y, move |ctx, dy| {
                let ds = dy.diagonal(offset, dim1, dim2)?;
                Ok([
                    ctx.grad(0, || dy.diagonal_scatter(&zeros(&ds)?, offset, dim1, dim2))?,
                    ctx.grad(1, || ds.sum_to(ctx.shape(1)))?,
                ])
            })
    }
}

fn zeros(like: &Var) -> Result<Var> {
    Ok(Var::from(Tensor::zeros(like.shape(), like)?))
}
