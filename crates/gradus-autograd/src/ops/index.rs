//! Reading and writing by index: the families of index, gather, scatter, take and put, and masks.
//!
//! Indices and masks are `Tensor`s: they have no gradient. Where PyTorch changes a tensor, these give a changed copy.

use gradus_tensor::{IntoIndex, Result, Scalar, ScatterReduce, Tensor};

use crate::op::Op;
use crate::ops::moved::moved;
use crate::ops::shape::part;
use crate::var::Var;

impl Var {
    /// The part that an index names: positions, ranges, new axes, index tensors, masks (see `gradus_tensor::s!`).
    ///
    /// Gradient: `dy` added at the places that were read. Shapes, dtypes and errors are those of
    /// [`Tensor::index`](gradus_tensor::Tensor::index).
    #[doc = slope!("x.index((1..,))?" => "2.0, 3.0"; "x", "[3]", "1.0, 2.0, 3.0" => "0.0, 1.0, 1.0")]
    pub fn index(&self, index: impl IntoIndex) -> Result<Var> {
        let items = index.into_index();
        let y = self.value().index(items.clone())?;
        if y.shares_storage(self.value()) {
            return part(
                "index",
                self,
                std::sync::Arc::new(move |x| x.index(items.clone())),
            );
        }
        moved("index", self, move |x| x.index(items.clone()))
    }

    /// A copy with `values` (broadcast) where the index points; with `accumulate` they are added.
    ///
    /// Gradient: 0 where something was written (unless accumulated); the values get what `dy` holds there. Shapes,
    /// dtypes and errors are those of [`Tensor::index_put`](gradus_tensor::Tensor::index_put).
    #[doc = slope!("a.index_put((1..2,), &b, false)?" => "1.0, 9.0, 3.0"; "a", "[3]", "1.0, 2.0, 3.0" => "1.0, 0.0, 1.0"; "b", "[1]", "9.0" => "1.0")]
    pub fn index_put(&self, index: impl IntoIndex, values: &Var, accumulate: bool) -> Result<Var> {
        let items = index.into_index();
        let y = self
            .value()
            .index_put(items.clone(), values.value(), accumulate)?;
        Op::new("index_put")
            .inputs(&[self, values])
            .record(y, move |ctx, dy| {
                let dx = ctx.grad(0, || {
                    if accumulate {
                        return Ok(dy.clone());
                    }
                    dy.index_put(items.clone(), &Var::from(Tensor::zeros((), &dy)?), false)
                })?;
                Ok([
                    dx,
                    ctx.grad(1, || dy.index(items.clone())?.sum_to(ctx.shape(1)))?,
                ])
            })
    }

    /// The slices along `dim` that the vector `index` names.
    ///
    /// Gradient: `dy` added to the slices that were read. Shapes, dtypes and errors are those of
    /// [`Tensor::index_select`](gradus_tensor::Tensor::index_select).
    #[doc = slope!("x.index_select(0, &Tensor::from_slice(&[2i64, 0, 2], 3)?)?" => "3.0, 1.0, 3.0"; "x", "[3]", "1.0, 2.0, 3.0" => "1.0, 0.0, 2.0")]
    pub fn index_select(&self, dim: isize, index: &Tensor) -> Result<Var> {
        let y = self.value().index_select(dim, index)?;
        let index = index.clone();
        Op::new("index_select")
            .inputs(&[self])
            .record(y, move |ctx, dy| {
                Var::from(Tensor::zeros(ctx.shape(0), &dy)?).index_add(dim, &index, &dy, 1.0)
            })
    }

    /// A copy with `alpha · source` added to the slices that the vector `index` names along `dim`.
    ///
    /// Gradient: `dy`, and `alpha` times its chosen slices for the source. Shapes, dtypes and errors are those of
    /// [`Tensor::index_add`](gradus_tensor::Tensor::index_add).
    #[doc = slope!("a.index_add(0, &Tensor::from_slice(&[1i64, 1], 2)?, &b, 1.0)?" => "1.0, 9.0"; "a", "[2]", "1.0, 2.0" => "1.0, 1.0"; "b", "[2]", "3.0, 4.0" => "1.0, 1.0")]
    pub fn index_add(&self, dim: isize, index: &Tensor, source: &Var, alpha: f64) -> Result<Var> {
        let y = self.value().index_add(dim, index, source.value(), alpha)?;
        let index = index.clone();
        Op::new("index_add")
            .inputs(&[self, source])
            .record(y, move |ctx, dy| {
                let ds = ctx.grad(1, || {
                    dy.index_select(dim, &index)?
                        .mul_scalar_(alpha)?
                        .reshape(sizes_of(ctx, 1))
                })?;
                Ok([ctx.grad(0, || Ok(dy))?, ds])
            })
    }

    /// A copy with the slices that `index` names along `dim` replaced by those of `source`.
    ///
    /// Gradient: `dy` without the replaced slices; these go to the source. Shapes, dtypes and errors are those of
    /// [`Tensor::index_copy`](gradus_tensor::Tensor::index_copy).
    #[doc = slope!("a.index_copy(0, &Tensor::from_slice(&[1i64], 1)?, &b)?" => "1.0, 3.0"; "a", "[2]", "1.0, 2.0" => "1.0, 0.0"; "b", "[1]", "3.0" => "1.0")]
    pub fn index_copy(&self, dim: isize, index: &Tensor, source: &Var) -> Result<Var> {
        let y = self.value().index_copy(dim, index, source.value())?;
        let index = index.clone();
        Op::new("index_copy")
            .inputs(&[self, source])
            .record(y, move |ctx, dy| {
                Ok([
                    ctx.grad(0, || dy.index_fill(dim, &index, 0))?,
                    ctx.grad(1, || {
                        dy.index_select(dim, &index)?.reshape(sizes_of(ctx, 1))
                    })?,
                ])
            })
    }

    /// A copy with the slices that `index` names along `dim` filled with a number.
    ///
    /// Gradient: `dy`, 0 in the filled slices. Shapes, dtypes and errors are those of
    /// [`Tensor::index_fill`](gradus_tensor::Tensor::index_fill).
    #[doc = slope!("x.index_fill(0, &Tensor::from_slice(&[1i64], 1)?, 9)?" => "1.0, 9.0"; "x", "[2]", "1.0, 2.0" => "1.0, 0.0")]
    pub fn index_fill(&self, dim: isize, index: &Tensor, value: impl Into<Scalar>) -> Result<Var> {
        let y = self.value().index_fill(dim, index, value)?;
        let index = index.clone();
        Op::new("index_fill")
            .inputs(&[self])
            .record(y, move |_, dy| dy.index_fill(dim, &index, 0))
    }

    /// `out[i][j] = x[index[i][j]][j]` for dim 0, and so on for others.
    ///
    /// Gradient: `dy` added at the places that were read. Shapes, dtypes and errors are those of
    /// [`Tensor::gather`](gradus_tensor::Tensor::gather).
    #[doc = slope!("x.gather(1, &Tensor::from_slice(&[0i64, 0], [2, 1])?)?" => "1.0, 3.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 0.0, 1.0, 0.0")]
    pub fn gather(&self, dim: isize, index: &Tensor) -> Result<Var> {
        let y = self.value().gather(dim, index)?;
        let index = index.clone();
        Op::new("gather").inputs(&[self]).record(y, move |ctx, dy| {
            Var::from(Tensor::zeros(ctx.shape(0), &dy)?).scatter_add(dim, &index, &dy)
        })
    }

    /// [`Var::gather`] with other dimensions broadcast; with no `dim`, from the flattened values.
    ///
    /// Gradient: `dy` added at the places that were read. Shapes, dtypes and errors are those of
    /// [`Tensor::take_along_dim`](gradus_tensor::Tensor::take_along_dim).
    #[doc = slope!("x.take_along_dim(&Tensor::from_slice(&[1i64, 0], [2, 1])?, 1)?" => "2.0, 3.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "0.0, 1.0, 1.0, 0.0")]
    pub fn take_along_dim(&self, index: &Tensor, dim: impl Into<Option<isize>>) -> Result<Var> {
        let (index, dim) = (index.clone(), dim.into());
        moved("take_along_dim", self, move |x| {
            x.take_along_dim(&index, dim)
        })
    }

    /// `out[index[i][j]][j] = src[i][j]` for dim 0, on a copy. Where indices repeat one of them wins, and the gradient of
    /// `src` is right only where they do not.
    ///
    /// Gradient: `dy`, 0 where something was written; the source gets `dy` from there. Shapes, dtypes and errors are
    /// those of [`Tensor::scatter`](gradus_tensor::Tensor::scatter).
    #[doc = slope!("a.scatter(0, &Tensor::from_slice(&[1i64], 1)?, &b)?" => "1.0, 9.0"; "a", "[2]", "1.0, 2.0" => "1.0, 0.0"; "b", "[1]", "9.0" => "1.0")]
    pub fn scatter(&self, dim: isize, index: &Tensor, src: &Var) -> Result<Var> {
        let src = &src.cut_to(index.dims())?;
        let y = self.value().scatter(dim, index, src.value())?;
        let index = index.clone();
        Op::new("scatter")
            .inputs(&[self, src])
            .record(y, move |ctx, dy| {
                Ok([
                    ctx.grad(0, || dy.scatter_value(dim, &index, 0))?,
                    ctx.grad(1, || dy.gather(dim, &index))?,
                ])
            })
    }

    /// [`Var::scatter`] of one number.
    ///
    /// Gradient: `dy`, 0 where the number was written. Shapes, dtypes and errors are those of
    /// [`Tensor::scatter_value`](gradus_tensor::Tensor::scatter_value).
    #[doc = slope!("x.scatter_value(0, &Tensor::from_slice(&[1i64], 1)?, 9)?" => "1.0, 9.0"; "x", "[2]", "1.0, 2.0" => "1.0, 0.0")]
    pub fn scatter_value(
        &self,
        dim: isize,
        index: &Tensor,
        value: impl Into<Scalar>,
    ) -> Result<Var> {
        let y = self.value().scatter_value(dim, index, value)?;
        let index = index.clone();
        Op::new("scatter_value")
            .inputs(&[self])
            .record(y, move |_, dy| dy.scatter_value(dim, &index, 0))
    }

    /// [`Var::scatter`], adding: `out[index[i][j]][j] += src[i][j]`.
    ///
    /// Gradient: `dy`; the source gets `dy` gathered from its places. Shapes, dtypes and errors are those of
    /// [`Tensor::scatter_add`](gradus_tensor::Tensor::scatter_add).
    #[doc = slope!("a.scatter_add(0, &Tensor::from_slice(&[1i64, 1], 2)?, &b)?" => "1.0, 9.0"; "a", "[2]", "1.0, 2.0" => "1.0, 1.0"; "b", "[2]", "3.0, 4.0" => "1.0, 1.0")]
    pub fn scatter_add(&self, dim: isize, index: &Tensor, src: &Var) -> Result<Var> {
        let src = &src.cut_to(index.dims())?;
        let y = self.value().scatter_add(dim, index, src.value())?;
        let index = index.clone();
        Op::new("scatter_add")
            .inputs(&[self, src])
            .record(y, move |ctx, dy| {
                let ds = ctx.grad(1, || dy.gather(dim, &index))?;
                Ok([ctx.grad(0, || Ok(dy))?, ds])
            })
    }

    /// The first elements along each dimension: this shape cut to `dims` (larger sizes and other ranks are left for the
    /// caller's operation to refuse).
    fn cut_to(&self, dims: &[usize]) -> Result<Var> {
        let mut x = self.clone();
        if self.rank() == dims.len() {
            for (d, &n) in dims.iter().enumerate() {
                if n < x.dims()[d] {
                    x = x.narrow(d as isize, 0, n)?;
                }
            }
        }
        Ok(x)
    }

    /// [`Var::scatter`], joining what lands in one place; with `include_self`, also what stood there. Elements that tie for
    /// largest or smallest share the gradient.
    ///
    /// Gradient: of sums and means their shares; of products the product of the others; of extremes `dy` shared
    /// evenly by equals. Shapes, dtypes and errors are those of
    /// [`Tensor::scatter_reduce`](gradus_tensor::Tensor::scatter_reduce).
    #[doc = slope!("a.scatter_reduce(0, &Tensor::from_slice(&[1i64, 1], 2)?, &b, gradus_tensor::ScatterReduce::Mean, true)?" => "1.0, 6.333333"; "a", "[2]", "1.0, 2.0" => "1.0, 0.3333333"; "b", "[2]", "8.0, 9.0" => "0.3333333, 0.3333333")]
    pub fn scatter_reduce(
        &self,
        dim: isize,
        index: &Tensor,
        src: &Var,
        reduce: ScatterReduce,
        include_self: bool,
    ) -> Result<Var> {
        let src = &src.cut_to(index.dims())?;
        let y = self
            .value()
            .scatter_reduce(dim, index, src.value(), reduce, include_self)?;
        let index = index.clone();
        Op::new("scatter_reduce")
            .inputs(&[self, src])
            .saves(0)
            .saves(1)
            .saves_output()
            .record(y, move |ctx, dy| {
                let (x, src, y) = (ctx.input(0)?, ctx.input(1)?, ctx.output()?);
                let (dx, ds) = match reduce {
                    ScatterReduce::Sum => (dy.clone(), dy.gather(dim, &index)?),
                    ScatterReduce::Mean => {
                        let start = if include_self {
                            x.ones_like()?
                        } else {
                            x.zeros_like()?
                        };
                        let count =
                            start
                                .value()
                                .scatter_add(dim, &index, &src.value().ones_like()?)?;
                        let share = dy.div(&Var::from(count.clamp_min(1)?))?;
                        (share.clone(), share.gather(dim, &index)?)
                    }
                    ScatterReduce::Amax | ScatterReduce::Amin => {
                        let mine = x.value().eq(y.value())?.to_dtype(dy.dtype())?;
                        let theirs = src
                            .value()
                            .eq(&y.value().gather(dim, &index)?)?
                            .to_dtype(dy.dtype())?;
                        let start = if include_self {
                            mine.clone()
                        } else {
                            mine.scatter_value(dim, &index, 0)?
                        };
                        // Where the result is NaN nothing equals it: 0/0, and the gradient is NaN.
                        let share = dy.div(&Var::from(start.scatter_add(dim, &index, &theirs)?))?;
                        (
                            share.mul(&Var::from(mine))?,
                            share.gather(dim, &index)?.mul_(&Var::from(theirs))?,
                        )
                    }
                    ScatterReduce::Prod => prod_grads(&dy, x, src, &y, dim, &index, include_self)?,
                };
                // Without it, what nothing landed on keeps its value and its gradient; the rest is replaced.
                let dx = if include_self {
                    dx
                } else {
                    dy.scatter_value(dim, &index, 0)?
                };
                Ok([ctx.needs(0).then_some(dx), ctx.needs(1).then_some(ds)])
            })
    }

    /// The elements at positions of the flattened values; the result has the shape of `index`.
    ///
    /// Gradient: `dy` added at the places that were read. Shapes, dtypes and errors are those of
    /// [`Tensor::take`](gradus_tensor::Tensor::take).
    #[doc = slope!("x.take(&Tensor::from_slice(&[3i64, 3], 2)?)?" => "4.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "0.0, 0.0, 0.0, 2.0")]
    pub fn take(&self, index: &Tensor) -> Result<Var> {
        let y = self.value().take(index)?;
        let index = index.clone();
        Op::new("take").inputs(&[self]).record(y, move |ctx, dy| {
            Var::from(Tensor::zeros(ctx.shape(0), &dy)?).put(&index, &dy, true)
        })
    }

    /// A copy with the elements at positions of the flattened values replaced, or added to with `accumulate`.
    ///
    /// Gradient: `dy`, 0 where something was written (unless accumulated); the source gets `dy` from there. Shapes,
    /// dtypes and errors are those of [`Tensor::put`](gradus_tensor::Tensor::put).
    #[doc = slope!("a.put(&Tensor::from_slice(&[0i64], 1)?, &b, true)?" => "10.0, 2.0"; "a", "[2]", "1.0, 2.0" => "1.0, 1.0"; "b", "[1]", "9.0" => "1.0")]
    pub fn put(&self, index: &Tensor, source: &Var, accumulate: bool) -> Result<Var> {
        let y = self.value().put(index, source.value(), accumulate)?;
        let index = index.clone();
        Op::new("put")
            .inputs(&[self, source])
            .record(y, move |ctx, dy| {
                let ds = ctx.grad(1, || dy.take(&index)?.reshape(sizes_of(ctx, 1)))?;
                let dx = ctx.grad(0, || {
                    if accumulate {
                        return Ok(dy);
                    }
                    let nothing = Var::from(Tensor::zeros(index.shape(), &dy)?);
                    dy.put(&index, &nothing, false)
                })?;
                Ok([dx, ds])
            })
    }

    /// The elements where `mask` holds, as a vector; both broadcast.
    ///
    /// Gradient: `dy` put back where the mask is true. Shapes, dtypes and errors are those of
    /// [`Tensor::masked_select`](gradus_tensor::Tensor::masked_select).
    #[doc = slope!("x.masked_select(&x.value().gt_scalar(0)?)?" => "1.0, 3.0"; "x", "[3]", "1.0, -2.0, 3.0" => "1.0, 0.0, 1.0")]
    pub fn masked_select(&self, mask: &Tensor) -> Result<Var> {
        let mask = mask.clone();
        moved("masked_select", self, move |x| x.masked_select(&mask))
    }

    /// A copy where the elements under `mask` are those of `source`, taken in order.
    ///
    /// Gradient: `dy` where the mask is false; the source gets the rest in order. Shapes, dtypes and errors are those
    /// of [`Tensor::masked_scatter`](gradus_tensor::Tensor::masked_scatter).
    #[doc = slope!("a.masked_scatter(&a.value().gt_scalar(0)?, &b)?" => "8.0, -2.0, 9.0"; "a", "[3]", "1.0, -2.0, 3.0" => "0.0, 1.0, 0.0"; "b", "[2]", "8.0, 9.0" => "1.0, 1.0")]
    pub fn masked_scatter(&self, mask: &Tensor, source: &Var) -> Result<Var> {
        let y = self.value().masked_scatter(mask, source.value())?;
        let mask = mask.broadcast_to(y.shape())?;
        Op::new("masked_scatter")
            .inputs(&[self, source])
            .record(y, move |ctx, dy| {
                let ds = ctx.grad(1, || {
                    let taken = dy.masked_select(&mask)?;
                    let rest = ctx.shape(1).numel()? - taken.numel();
                    taken
                        .pad(
                            &[0, rest as isize],
                            gradus_tensor::PadMode::Constant(Scalar::Int(0)),
                        )?
                        .reshape(sizes_of(ctx, 1))
                })?;
                Ok([
                    ctx.grad(0, || dy.masked_fill_(&mask, 0)?.sum_to(ctx.shape(0)))?,
                    ds,
                ])
            })
    }
}

/// The shape of input `i`, as the argument of `reshape`.
fn sizes_of(ctx: &crate::op::Ctx, i: usize) -> Vec<isize> {
    super::reduce::sizes(ctx.shape(i))
}

/// The gradients of a product: of all the other factors. A single 0 among what lands in one place is left out of the
/// division; with more, every product of the others is 0 and so is what comes out here.
fn prod_grads(
    dy: &Var,
    x: &Var,
    src: &Var,
    y: &Var,
    dim: isize,
    index: &Tensor,
    include_self: bool,
) -> Result<(Var, Var)> {
    let without_zero = x.masked_fill(&x.value().eq_scalar(0)?, 1)?;
    let product =
        without_zero.scatter_reduce(dim, index, src, ScatterReduce::Prod, include_self)?;
    let dx = dy.mul(&product)?.div(&without_zero)?;
    let zero = src.value().eq_scalar(0)?;
    let zeros = Tensor::zeros(x.shape(), x)?
        .scatter_add(dim, index, &zero.to_dtype(x.dtype())?)?
        .gather(dim, index)?;
    let only = zero.logical_and(&zeros.eq_scalar(1)?)?;
    let others = x.scatter_reduce(
        dim,
        index,
        &src.masked_fill(&only, 1)?,
        ScatterReduce::Prod,
        include_self,
    )?;
    let at_zero = dy.mul(&others)?.gather(dim, index)?;
    let elsewhere = dy
        .mul(y)?
        .gather(dim, index)?
        .div(&src.masked_fill(&zero, 1)?)?;
    Ok((dx, Var::where_(&only, &at_zero, &elsewhere)?))
}
