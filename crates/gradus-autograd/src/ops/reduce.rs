//! Reductions: sum, mean, variance, extremes, products, norms, logsumexp.

use gradus_tensor::{Dims, Error, Result, Shape, Tensor};

use crate::op::Op;
use crate::var::Var;

/// The dimensions a reduction of `shape` goes over, ascending, and the shape that keeps them at size 1.
pub(crate) fn reduced(op: &'static str, shape: &Shape, dims: &Dims) -> Result<(Vec<usize>, Shape)> {
    let rank = shape.len();
    let mut axes: Vec<usize> = match dims {
        Dims::List(list) if !list.is_empty() => {
            let real = rank.max(1) as isize;
            let axis = |&d: &isize| {
                let wrong =
                    || Error::index(op, format!("dim {d} is out of range for shape {shape}"));
                (-real..real)
                    .contains(&d)
                    .then_some(d.rem_euclid(real) as usize)
                    .ok_or_else(wrong)
            };
            list.iter().map(axis).collect::<Result<_>>()?
        }
        _ => (0..rank).collect(),
    };
    axes.retain(|&a| a < rank);
    axes.sort_unstable();
    let kept: Vec<usize> = (0..rank)
        .map(|i| if axes.contains(&i) { 1 } else { shape[i] })
        .collect();
    Ok((axes, Shape::from(kept)))
}

/// As dimensions for an op of `Tensor`.
pub(crate) fn signed(axes: &[usize]) -> Vec<isize> {
    axes.iter().map(|&a| a as isize).collect()
}

/// A shape as the argument of `reshape`.
pub(crate) fn sizes(shape: &[usize]) -> Vec<isize> {
    signed(shape)
}

impl Var {
    /// The sum over `dims`.
    pub fn sum(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Var> {
        let dims = dims.into();
        let y = self.value().sum(dims.clone(), keepdim)?;
        Op::new("sum").inputs(&[self]).record(y, move |ctx, dy| {
            let (_, kept) = reduced("sum", ctx.shape(0), &dims)?;
            dy.reshape(sizes(&kept))?.broadcast_to(ctx.shape(0))
        })
    }

    /// The mean over `dims`; NaN of nothing.
    pub fn mean(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Var> {
        let dims = dims.into();
        let y = self.value().mean(dims.clone(), keepdim)?;
        Op::new("mean").inputs(&[self]).record(y, move |ctx, dy| {
            let (axes, kept) = reduced("mean", ctx.shape(0), &dims)?;
            let n: usize = axes.iter().map(|&a| ctx.shape(0)[a]).product();
            dy.div_scalar(n as f64)?
                .reshape(sizes(&kept))?
                .broadcast_to(ctx.shape(0))
        })
    }

    /// The variance over `dims`, divided by `n − correction` (PyTorch's default correction is 1).
    #[cfg(any())]
    pub fn var(&self, dims: impl Into<Dims>, correction: f64, keepdim: bool) -> Result<Var> {
        let dims = dims.into();
        let y = self.value().var(dims.clone(), correction, keepdim)?;
        Op::new("var")
            .inputs(&[self])
            .saves(0)
            .record(y, move |ctx, dy| {
                let x = ctx.input(0)?;
                let (axes, kept) = reduced("var", x.shape(), &dims)?;
                let n: usize = axes.iter().map(|&a| x.dims()[a]).product();
                let scale = 2.0 / (n as f64 - correction);
                let centred = x.sub(&x.mean(dims.clone(), true)?)?;
                dy.mul_scalar(scale)?.reshape(sizes(&kept))?.mul(&centred)
            })
    }

    /// The standard deviation over `dims`: the root of [`Var::var`]. Where it is 0 so is the gradient.
    #[cfg(any())]
    pub fn std(&self, dims: impl Into<Dims>, correction: f64, keepdim: bool) -> Result<Var> {
        let dims = dims.into();
        let y = self.value().std(dims.clone(), correction, keepdim)?;
        Op::new("std")
            .inputs(&[self])
            .saves(0)
            .saves_output()
            .record(y, move |ctx, dy| {
                let (x, s) = (ctx.input(0)?, ctx.output()?);
                let (axes, kept) = reduced("std", x.shape(), &dims)?;
                let n: usize = axes.iter().map(|&a| x.dims()[a]).product();
                let d = dy
                    .div(&s.mul_scalar(n as f64 - correction)?)?
                    .masked_fill(&s.value().eq_scalar(0)?, 0)?;
                let centred = x.sub(&x.mean(dims.clone(), true)?)?;
                d.reshape(sizes(&kept))?.mul(&centred)
            })
    }

    /// The largest over `dims`. Elements that tie share the gradient evenly.
    pub fn amax(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Var> {
        let dims = dims.into();
        let y = self.value().amax(dims.clone(), keepdim)?;
        extreme(self, "amax", y, dims)
    }

    /// The smallest over `dims`. Elements that tie share the gradient evenly.
    #[cfg(any())]
    pub fn amin(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Var> {
        let dims = dims.into();
        let y = self.value().amin(dims.clone(), keepdim)?;
        extreme(self, "amin", y, dims)
    }

    /// The largest along `dim` and where it is (the first of those that tie, which has the whole gradient).
    #[cfg(any())]
    pub fn max(&self, dim: isize, keepdim: bool) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().max(dim, keepdim)?;
        Ok((picked(self, "max", y, &at, dim, keepdim)?, at))
    }

    /// The smallest along `dim` and where it is (the first of those that tie, which has the whole gradient).
    #[cfg(any())]
    pub fn min(&self, dim: isize, keepdim: bool) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().min(dim, keepdim)?;
        Ok((picked(self, "min", y, &at, dim, keepdim)?, at))
    }

    /// `ln Σ eˣ` over `dims`, without overflow.
    #[cfg(any())]
    pub fn logsumexp(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Var> {
        let dims = dims.into();
        let y = self.value().logsumexp(dims.clone(), keepdim)?;
        Op::new("logsumexp")
            .inputs(&[self])
            .saves(0)
            .saves_output()
            .record(y, move |ctx, dy| {
                let x = ctx.input(0)?;
                let (_, kept) = reduced("logsumexp", x.shape(), &dims)?;
                let y = ctx.output()?.reshape(sizes(&kept))?;
                // Where everything is −∞, so is y, and the weights would be NaN.
                let weight = x
                    .sub(&y.masked_fill(&y.value().eq_scalar(f64::NEG_INFINITY)?, 0)?)?
                    .exp()?;
                dy.reshape(sizes(&kept))?.mul(&weight)
            })
    }
}

/// The rule of amax and amin: the gradient is shared by the elements that equal the extreme.
fn extreme(x: &Var, op: &'static str, y: Tensor, dims: Dims) -> Result<Var> {
    Op::new(op)
        .inputs(&[x])
        .saves(0)
        .saves_output()
        .record(y, move |ctx, dy| {
            let x = ctx.input(0)?;
            let (axes, kept) = reduced(op, x.shape(), &dims)?;
            let y = ctx.output()?.value().reshape(sizes(&kept))?;
            let hit = x.value().eq(&y)?.to_dtype(x.dtype())?;
            let share = if axes.is_empty() {
                hit
            } else {
                hit.div(&hit.sum(signed(&axes), true)?)?
            };
            dy.reshape(sizes(&kept))?.mul(&Var::from(share))
        })
}

/// The rule of an operation that picks one element along `dim`, at `at`.
#[cfg(any())]
pub(crate) fn picked(
    x: &Var,
    op: &'static str,
    y: Tensor,
    at: &Tensor,
    dim: isize,
    keepdim: bool,
) -> Result<Var> {
    let at = if keepdim || x.rank() == 0 {
        at.clone()
    } else {
        at.unsqueeze(dim)?
    };
    Op::new(op).inputs(&[x]).record(y, move |ctx, dy| {
        let dy = if keepdim || ctx.shape(0).is_empty() {
            dy
        } else {
            dy.unsqueeze(dim)?
        };
        Var::from(Tensor::zeros(ctx.shape(0), dy.dtype())?).scatter_add(dim, &at, &dy)
    })
}
