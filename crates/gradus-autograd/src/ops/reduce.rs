//! Reductions: sum, mean, variance, extremes, products, norms, logsumexp.

use gradus_tensor::{Dims, Error, Result, Shape, Tensor};

use crate::op::Op;
use crate::ops::scan::{has_zero, left_out};
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
    ///
    /// Gradient: `dy` stretched over what was summed. Shapes, dtypes and errors are those of
    /// [`Tensor::sum`](gradus_tensor::Tensor::sum).
    #[doc = slope!("x.sum(0, false)?" => "4.0, 6.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "1.0, 1.0, 1.0, 1.0")]
    pub fn sum(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Var> {
        let dims = dims.into();
        let y = self.value().sum(dims.clone(), keepdim)?;
        Op::new("sum").inputs(&[self]).record(y, move |ctx, dy| {
            let (_, kept) = reduced("sum", ctx.shape(0), &dims)?;
            dy.reshape(sizes(&kept))?.broadcast_to(ctx.shape(0))
        })
    }

    /// The mean over `dims`; NaN of nothing.
    ///
    /// Gradient: `dy/n` stretched over what was averaged. Shapes, dtypes and errors are those of
    /// [`Tensor::mean`](gradus_tensor::Tensor::mean).
    #[doc = slope!("x.mean(0, false)?" => "2.0, 3.0"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "0.5, 0.5, 0.5, 0.5")]
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
    ///
    /// Gradient: `2 (x − mean) dy / (n − correction)`. Shapes, dtypes and errors are those of
    /// [`Tensor::var`](gradus_tensor::Tensor::var).
    #[doc = slope!("x.var(.., 1.0, false)?" => "2.0"; "x", "[2]", "1.0, 3.0" => "-2.0, 2.0")]
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
    ///
    /// Gradient: `(x − mean) dy / (y (n − correction))`, 0 where `y` is 0. Shapes, dtypes and errors are those of
    /// [`Tensor::std`](gradus_tensor::Tensor::std).
    #[doc = slope!("x.std(.., 1.0, false)?" => "1.414214"; "x", "[2]", "1.0, 3.0" => "-0.7071068, 0.7071068")]
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
    ///
    /// Gradient: `dy` shared evenly by the elements equal to the largest. Shapes, dtypes and errors are those of
    /// [`Tensor::amax`](gradus_tensor::Tensor::amax).
    #[doc = slope!("x.amax(.., false)?" => "3.0"; "x", "[3]", "1.0, 3.0, 3.0" => "0.0, 0.5, 0.5")]
    pub fn amax(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Var> {
        let dims = dims.into();
        let y = self.value().amax(dims.clone(), keepdim)?;
        extreme(self, "amax", y, dims)
    }

    /// The smallest over `dims`. Elements that tie share the gradient evenly.
    ///
    /// Gradient: `dy` shared evenly by the elements equal to the smallest. Shapes, dtypes and errors are those of
    /// [`Tensor::amin`](gradus_tensor::Tensor::amin).
    #[doc = slope!("x.amin(.., false)?" => "1.0"; "x", "[3]", "1.0, 3.0, 1.0" => "0.5, 0.0, 0.5")]
    pub fn amin(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Var> {
        let dims = dims.into();
        let y = self.value().amin(dims.clone(), keepdim)?;
        extreme(self, "amin", y, dims)
    }

    /// The largest along `dim` and where it is (the first of those that tie, which has the whole gradient).
    ///
    /// Gradient: `dy` to the element found; its index has none. Shapes, dtypes and errors are those of
    /// [`Tensor::max`](gradus_tensor::Tensor::max).
    #[doc = slope!("x.max(1, false)?.0" => "2.0, 4.0"; "x", "[2, 2]", "1.0, 2.0, 4.0, 3.0" => "0.0, 1.0, 1.0, 0.0")]
    pub fn max(&self, dim: isize, keepdim: bool) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().max(dim, keepdim)?;
        Ok((picked(self, "max", y, &at, dim, keepdim)?, at))
    }

    /// The smallest along `dim` and where it is (the first of those that tie, which has the whole gradient).
    ///
    /// Gradient: `dy` to the element found; its index has none. Shapes, dtypes and errors are those of
    /// [`Tensor::min`](gradus_tensor::Tensor::min).
    #[doc = slope!("x.min(1, false)?.0" => "1.0, 3.0"; "x", "[2, 2]", "1.0, 2.0, 4.0, 3.0" => "1.0, 0.0, 0.0, 1.0")]
    pub fn min(&self, dim: isize, keepdim: bool) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().min(dim, keepdim)?;
        Ok((picked(self, "min", y, &at, dim, keepdim)?, at))
    }

    /// The smallest and the largest along `dim` (`None`: of all). Elements that tie share the gradient evenly.
    ///
    /// Gradient: each shared evenly by the elements equal to it. Shapes, dtypes and errors are those of
    /// [`Tensor::aminmax`](gradus_tensor::Tensor::aminmax).
    #[doc = slope!("x.aminmax(None, false)?.1" => "3.0"; "x", "[3]", "2.0, 1.0, 3.0" => "0.0, 0.0, 1.0")]
    pub fn aminmax(&self, dim: impl Into<Option<isize>>, keepdim: bool) -> Result<(Var, Var)> {
        let dim = dim.into();
        Ok((self.amin(dim, keepdim)?, self.amax(dim, keepdim)?))
    }

    /// Variance and mean over `dims`.
    ///
    /// Gradient: the sum of both's. Shapes, dtypes and errors are those of
    /// [`Tensor::var_mean`](gradus_tensor::Tensor::var_mean).
    #[doc = slope!("x.var_mean(.., 1.0, false)?.1" => "2.0"; "x", "[2]", "1.0, 3.0" => "0.5, 0.5")]
    pub fn var_mean(
        &self,
        dims: impl Into<Dims>,
        correction: f64,
        keepdim: bool,
    ) -> Result<(Var, Var)> {
        let dims = dims.into();
        Ok((
            self.var(dims.clone(), correction, keepdim)?,
            self.mean(dims, keepdim)?,
        ))
    }

    /// Standard deviation and mean over `dims`.
    ///
    /// Gradient: the sum of both's. Shapes, dtypes and errors are those of
    /// [`Tensor::std_mean`](gradus_tensor::Tensor::std_mean).
    #[doc = slope!("x.std_mean(.., 1.0, false)?.1" => "2.0"; "x", "[2]", "1.0, 3.0" => "0.5, 0.5")]
    pub fn std_mean(
        &self,
        dims: impl Into<Dims>,
        correction: f64,
        keepdim: bool,
    ) -> Result<(Var, Var)> {
        let dims = dims.into();
        Ok((
            self.std(dims.clone(), correction, keepdim)?,
            self.mean(dims, keepdim)?,
        ))
    }

    /// The product over `dims`; zeros are no trouble for the gradient.
    ///
    /// Gradient: `dy` times the product of the others, also where some are 0. Shapes, dtypes and errors are those of
    /// [`Tensor::prod`](gradus_tensor::Tensor::prod).
    #[doc = slope!("x.prod(.., false)?" => "24.0"; "x", "[3]", "2.0, 3.0, 4.0" => "12.0, 8.0, 6.0")]
    pub fn prod(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Var> {
        let dims = dims.into();
        let y = self.value().prod(dims.clone(), keepdim)?;
        Op::new("prod")
            .inputs(&[self])
            .saves(0)
            .saves_output()
            .record(y, move |ctx, dy| {
                let x = ctx.input(0)?;
                let (axes, kept) = reduced("prod", x.shape(), &dims)?;
                let dy = dy.reshape(sizes(&kept))?;
                if !has_zero(x.value())? {
                    return dy.mul_(&ctx.output()?.reshape(sizes(&kept))?)?.div(x);
                }
                // The product of the others, for each element: (…, n) with element k left out of row k.
                let order: Vec<usize> = (0..x.rank())
                    .filter(|d| !axes.contains(d))
                    .chain(axes.iter().copied())
                    .collect();
                let moved = x.permute(&signed(&order))?;
                let n: usize = axes.iter().map(|&a| x.dims()[a]).product();
                let rows = if axes.is_empty() {
                    moved.unsqueeze(-1)?
                } else {
                    let lead = &moved.dims()[..x.rank() - axes.len()];
                    moved.reshape(
                        lead.iter()
                            .chain([&n])
                            .map(|&n| n as isize)
                            .collect::<Vec<_>>(),
                    )?
                };
                let others = left_out(&rows)?
                    .prod(-1, false)?
                    .reshape(sizes(moved.dims()))?;
                let mut back = vec![0; order.len()];
                order
                    .iter()
                    .enumerate()
                    .for_each(|(i, &d)| back[d] = i as isize);
                dy.mul(&others.permute(&back)?)
            })
    }

    /// The p-norm over `dims`: `(Σ|x|ᵖ)^(1/p)`; ±∞ is the largest and smallest magnitude, 0 the number of elements that are
    /// not 0. Gradient 0 where the norm is.
    ///
    /// Gradient: `dy x |x|^(p − 2) / y^(p − 1)`, 0 where the norm is 0. Shapes, dtypes and errors are those of
    /// [`Tensor::norm`](gradus_tensor::Tensor::norm).
    #[doc = slope!("x.norm(2.0, .., false)?" => "5.0"; "x", "[2]", "3.0, 4.0" => "0.6, 0.8")]
    pub fn norm(&self, p: f64, dims: impl Into<Dims>, keepdim: bool) -> Result<Var> {
        let dims = dims.into();
        let y = self.value().norm(p, dims.clone(), keepdim)?;
        Op::new("norm")
            .inputs(&[self])
            .saves(0)
            .saves_output()
            .record(y, move |ctx, dy| {
                let x = ctx.input(0)?;
                let (axes, kept) = reduced("norm", x.shape(), &dims)?;
                let (dy, y) = (
                    dy.reshape(sizes(&kept))?,
                    ctx.output()?.reshape(sizes(&kept))?,
                );
                if p == 0.0 {
                    return x.zeros_like();
                }
                if p == 1.0 {
                    return dy.mul(&x.sign()?);
                }
                let zero = y.value().eq_scalar(0)?;
                if p == 2.0 {
                    return dy.mul(&x.div(&y)?.masked_fill_(&zero, 0)?);
                }
                if p.is_infinite() {
                    // Where the norm is NaN, it was chosen from what is NaN.
                    let lost = x.value().isnan()?.logical_and(&y.value().isnan()?)?;
                    let hit = x.value().abs()?.eq(y.value())?.logical_or(&lost)?;
                    let hit = hit.to_dtype(x.dtype())?;
                    let share = if axes.is_empty() {
                        hit
                    } else {
                        hit.div(&hit.sum(signed(&axes), true)?)?
                    };
                    return dy.mul(&x.sign()?)?.mul_(&Var::from(share));
                }
                // sign(x) (|x|/y)^(p − 1)
                let ratio = x.abs()?.div(&y.masked_fill(&zero, 1)?)?;
                let ratio = if p < 1.0 {
                    let flat = x.value().eq_scalar(0)?;
                    ratio
                        .masked_fill(&flat, 1)?
                        .pow_scalar(p - 1.0)?
                        .masked_fill(&flat, 0)?
                } else {
                    ratio.pow_scalar(p - 1.0)?
                };
                dy.mul(&ratio.mul(&x.sign()?)?.masked_fill_(&zero, 0)?)
            })
    }

    /// The p-norm of the difference.
    ///
    /// Gradient: that of the norm of the difference. Shapes, dtypes and errors are those of
    /// [`Tensor::dist`](gradus_tensor::Tensor::dist).
    #[doc = slope!("a.dist(&b, 2.0)?" => "5.0"; "a", "[2]", "3.0, 4.0" => "0.6, 0.8"; "b", "[2]", "0.0, 0.0" => "-0.6, -0.8")]
    pub fn dist(&self, other: &Var, p: f64) -> Result<Var> {
        self.sub(other)?.norm(p, .., false)
    }

    /// The sum over `dims`, NaN counting as 0.
    ///
    /// Gradient: `dy` stretched, 0 at NaN. Shapes, dtypes and errors are those of
    /// [`Tensor::nansum`](gradus_tensor::Tensor::nansum).
    #[doc = slope!("x.div_scalar(2)?.nansum(.., false)?" => "3.5"; "x", "[2]", "3.0, 4.0" => "0.5, 0.5")]
    pub fn nansum(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Var> {
        self.masked_fill(&self.value().isnan()?, 0)?
            .sum(dims, keepdim)
    }

    /// The mean over `dims` of what is not NaN.
    ///
    /// Gradient: `dy/n` stretched over those that are numbers, 0 at NaN. Shapes, dtypes and errors are those of
    /// [`Tensor::nanmean`](gradus_tensor::Tensor::nanmean).
    #[doc = slope!("x.nanmean(.., false)?" => "3.5"; "x", "[2]", "3.0, 4.0" => "0.5, 0.5")]
    pub fn nanmean(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Var> {
        let dims = dims.into();
        let count = self
            .value()
            .isnan()?
            .logical_not()?
            .to_dtype(self.dtype())?
            .sum(dims.clone(), keepdim)?;
        self.nansum(dims, keepdim)?.div(&Var::from(count))
    }

    /// `ln Σ eˣ` over `dims`, without overflow.
    ///
    /// Gradient: `dy e^(x − y)`. Shapes, dtypes and errors are those of
    /// [`Tensor::logsumexp`](gradus_tensor::Tensor::logsumexp).
    #[doc = slope!("x.logsumexp(.., false)?" => "1.313262"; "x", "[2]", "0.0, 1.0" => "0.2689414, 0.7310586")]
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
                // Where everything is −∞, so is y, and the weights are NaN: there is no direction to go, PyTorch says so too.
                dy.reshape(sizes(&kept))?.mul(&x.sub(&y)?.exp()?)
            })
    }
}

/// The rule of amax and amin: the gradient is shared by the elements that equal the extreme.
pub(crate) fn extreme(x: &Var, op: &'static str, y: Tensor, dims: Dims) -> Result<Var> {
    Op::new(op)
        .inputs(&[x])
        .saves(0)
        .saves_output()
        .record(y, move |ctx, dy| {
            let x = ctx.input(0)?;
            let (axes, kept) = reduced(op, x.shape(), &dims)?;
            let y = ctx.output()?.value().reshape(sizes(&kept))?;
            let hit = x.value().eq(&y)?.to_dtype(x.dtype())?;
            // NaN equals nothing: 0/0, and the gradient of a row with NaN is NaN.
            let share = if axes.is_empty() {
                hit.div(&hit)?
            } else {
                hit.div(&hit.sum(signed(&axes), true)?)?
            };
            dy.reshape(sizes(&kept))?.mul(&Var::from(share))
        })
}

/// The rule of an operation that picks one element along `dim`, at `at`.
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
        Var::from(Tensor::zeros(ctx.shape(0), &dy)?).scatter_add(dim, &at, &dy)
    })
}
