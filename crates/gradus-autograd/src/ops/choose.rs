//! Choosing between values: maximum, clamp, where, masks.

use gradus_tensor::{Error, Result, Scalar, Tensor};

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// The larger of two, NaN if either is. At a tie each has half the gradient.
    ///
    /// Gradient: `dy` to the larger, half of it to each where both are equal. Shapes, dtypes and errors are those of
    /// [`Tensor::maximum`](gradus_tensor::Tensor::maximum).
    pub fn maximum(&self, other: &Var) -> Result<Var> {
        let y = self.value().maximum(other.value())?;
        Op::new("maximum")
            .inputs(&[self, other])
            .saves(0)
            .saves(1)
            .record(y, |ctx, dy| {
                let (a, b) = (ctx.input(0)?.value(), ctx.input(1)?.value());
                let tie = a.eq(b)?;
                let half = halve_at(&dy, &tie)?;
                Ok([
                    ctx.grad(0, || half.masked_fill(&a.lt(b)?, 0)?.sum_to(ctx.shape(0)))?,
                    ctx.grad(1, || half.masked_fill(&a.gt(b)?, 0)?.sum_to(ctx.shape(1)))?,
                ])
            })
    }

    /// The smaller of two, NaN if either is. At a tie each has half the gradient.
    ///
    /// Gradient: `dy` to the smaller, half of it to each where both are equal. Shapes, dtypes and errors are those of
    /// [`Tensor::minimum`](gradus_tensor::Tensor::minimum).
    pub fn minimum(&self, other: &Var) -> Result<Var> {
        let y = self.value().minimum(other.value())?;
        Op::new("minimum")
            .inputs(&[self, other])
            .saves(0)
            .saves(1)
            .record(y, |ctx, dy| {
                let (a, b) = (ctx.input(0)?.value(), ctx.input(1)?.value());
                let tie = a.eq(b)?;
                let half = halve_at(&dy, &tie)?;
                Ok([
                    ctx.grad(0, || half.masked_fill(&a.gt(b)?, 0)?.sum_to(ctx.shape(0)))?,
                    ctx.grad(1, || half.masked_fill(&a.lt(b)?, 0)?.sum_to(ctx.shape(1)))?,
                ])
            })
    }

    /// The larger of two, the other one if one is NaN. At a tie each has half the gradient.
    ///
    /// Gradient: `dy` to the one that was chosen. Shapes, dtypes and errors are those of
    /// [`Tensor::fmax`](gradus_tensor::Tensor::fmax).
    pub fn fmax(&self, other: &Var) -> Result<Var> {
        let y = self.value().fmax(other.value())?;
        let mine = self
            .value()
            .ge(other.value())?
            .logical_or(&other.value().isnan()?)?;
        chosen("fmax", self, other, y, mine)
    }

    /// The smaller of two, the other one if one is NaN. At a tie each has half the gradient.
    ///
    /// Gradient: `dy` to the one that was chosen. Shapes, dtypes and errors are those of
    /// [`Tensor::fmin`](gradus_tensor::Tensor::fmin).
    pub fn fmin(&self, other: &Var) -> Result<Var> {
        let y = self.value().fmin(other.value())?;
        let mine = self
            .value()
            .le(other.value())?
            .logical_or(&other.value().isnan()?)?;
        chosen("fmin", self, other, y, mine)
    }

    /// Limited to `min..=max` element by element; either may be absent. At a bound each has half the gradient; where both bounds
    /// are the same number the gradient passes to `self`.
    ///
    /// Gradient: `dy` to whichever of value and bounds was chosen. Shapes, dtypes and errors are those of
    /// [`Tensor::clamp_tensor`](gradus_tensor::Tensor::clamp_tensor).
    pub fn clamp_tensor(&self, min: Option<&Var>, max: Option<&Var>) -> Result<Var> {
        let y = self
            .value()
            .clamp_tensor(min.map(Var::value), max.map(Var::value))?;
        let mut inputs = vec![self];
        inputs.extend(min);
        inputs.extend(max);
        let (has_min, has_max) = (min.is_some(), max.is_some());
        let op = Op::new("clamp_tensor")
            .inputs(&inputs)
            .saves(0)
            .saves(1)
            .saves(2);
        op.record(y, move |ctx, dy| {
            let x = ctx.input(0)?.value();
            let min = has_min.then(|| ctx.input(1)).transpose()?.map(Var::value);
            let max = has_max
                .then(|| ctx.input(1 + usize::from(has_min)))
                .transpose()?
                .map(Var::value);
            let below = min.map(|min| x.lt(min)).transpose()?;
            let above = max.map(|max| x.gt(max)).transpose()?;
            let crossed = min.zip(max).map(|(min, max)| min.gt(max)).transpose()?;
            // On exactly one of the bounds, it and x have half the gradient each.
            let on = |bound: Option<&Tensor>| bound.map(|b| x.eq(b)).transpose();
            let (on_min, on_max) = (on(min)?, on(max)?);
            let tie = match (&on_min, &on_max) {
                (Some(low), Some(high)) => low.logical_xor(high)?,
                (Some(one), None) | (None, Some(one)) => one.clone(),
                (None, None) => return Ok(vec![Some(dy)]),
            };
            let dy = halve_at(&dy, &tie)?;
            let tied = |on: &Option<Tensor>, mask: Tensor| match on {
                Some(on) => mask.logical_or(&on.logical_and(&tie)?),
                None => Ok(mask),
            };
            let both = |a: &Tensor, b: Option<&Tensor>| {
                b.map_or_else(|| Ok(a.clone()), |b| a.logical_or(b))
            };
            let only = |mask: &Tensor, i: usize| {
                dy.masked_fill(&mask.logical_not()?, 0)?
                    .sum_to(ctx.shape(i))
            };
            let mut grads = Vec::with_capacity(3);
            grads.push(ctx.grad(0, || {
                let mut dx = dy.clone();
                for mask in [&below, &above].into_iter().flatten() {
                    dx = dx.masked_fill(mask, 0)?;
                }
                dx.sum_to(ctx.shape(0))
            })?);
            if let Some(below) = &below {
                grads.push(ctx.grad(1, || {
                    let free = crossed
                        .as_ref()
                        .map_or_else(|| below.ones_like(), Tensor::logical_not)?;
                    only(&tied(&on_min, below.logical_and(&free)?)?, 1)
                })?);
            }
            if let Some(above) = &above {
                let i = 1 + usize::from(has_min);
                grads.push(ctx.grad(i, || {
                    only(&tied(&on_max, both(above, crossed.as_ref())?)?, i)
                })?);
            }
            Ok(grads)
        })
    }

    /// Limited to `min..=max`; either may be absent. At a bound the gradient passes; NaN has none.
    ///
    /// Gradient: `dy` between the bounds, 0 beyond them. Shapes, dtypes and errors are those of
    /// [`Tensor::clamp`](gradus_tensor::Tensor::clamp).
    pub fn clamp(&self, min: Option<f64>, max: Option<f64>) -> Result<Var> {
        let y = self.value().clamp(min, max)?;
        Op::new("clamp")
            .inputs(&[self])
            .saves(0)
            .record(y, move |ctx, dy| {
                let x = ctx.input(0)?.value();
                let mut dx = dy;
                if let Some(min) = min {
                    dx = dx.masked_fill_(&x.ge_scalar(min)?.logical_not()?, 0)?;
                }
                if let Some(max) = max {
                    dx = dx.masked_fill_(&x.le_scalar(max)?.logical_not()?, 0)?;
                }
                Ok(dx)
            })
    }

    /// At least `min`; at the bound the gradient passes.
    ///
    /// Gradient: `dy` where `x` is not below the bound. Shapes, dtypes and errors are those of
    /// [`Tensor::clamp_min`](gradus_tensor::Tensor::clamp_min).
    pub fn clamp_min(&self, min: f64) -> Result<Var> {
        self.clamp(Some(min), None)
    }

    /// At most `max`; at the bound the gradient passes.
    ///
    /// Gradient: `dy` where `x` is not above the bound. Shapes, dtypes and errors are those of
    /// [`Tensor::clamp_max`](gradus_tensor::Tensor::clamp_max).
    pub fn clamp_max(&self, max: f64) -> Result<Var> {
        self.clamp(None, Some(max))
    }

    /// `a` where `condition` holds, `b` elsewhere; all three broadcast.
    ///
    /// Gradient: `dy` to each operand where it was chosen. Shapes, dtypes and errors are those of
    /// [`Tensor::where_`](gradus_tensor::Tensor::where_).
    pub fn where_(condition: &Tensor, a: &Var, b: &Var) -> Result<Var> {
        let y = Tensor::where_(condition, a.value(), b.value())?;
        let condition = condition.clone();
        Op::new("where").inputs(&[a, b]).record(y, move |ctx, dy| {
            let zero = dy.zeros_like()?;
            Ok([
                ctx.grad(0, || {
                    Var::where_(&condition, &dy, &zero)?.sum_to(ctx.shape(0))
                })?,
                ctx.grad(1, || {
                    Var::where_(&condition, &zero, &dy)?.sum_to(ctx.shape(1))
                })?,
            ])
        })
    }

    /// [`Var::masked_fill`] with a value of rank 0 that may have a gradient.
    ///
    /// Gradient: `dy` where the mask is false; its sum over the mask to the value.
    ///
    /// # Errors
    /// If the mask is not bool or does not broadcast to this shape, or the value has another rank or dtype.
    pub fn masked_fill_var(&self, mask: &Tensor, value: &Var) -> Result<Var> {
        if value.rank() != 0 {
            return Err(Error::shape(
                "masked_fill",
                format!(
                    "the value has shape {}; it takes one number (rank 0)",
                    value.shape()
                ),
            ));
        }
        Var::where_(mask, &value.to_dtype(self.dtype())?, self)
    }

    /// `value` where `mask` (broadcast to this shape) holds; no gradient there.
    ///
    /// Gradient: `dy` where the mask is false, 0 elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::masked_fill`](gradus_tensor::Tensor::masked_fill).
    pub fn masked_fill(&self, mask: &Tensor, value: impl Into<Scalar>) -> Result<Var> {
        let y = self.value().masked_fill(mask, value)?;
        let mask = mask.clone();
        Op::new("masked_fill")
            .inputs(&[self])
            .record(y, move |ctx, dy| {
                dy.masked_fill(&mask, 0)?.sum_to(ctx.shape(0))
            })
    }
}

/// `dy`, halved where `tie` holds.
fn halve_at(dy: &Var, tie: &Tensor) -> Result<Var> {
    Var::where_(tie, &dy.mul_scalar(0.5)?, dy)
}

/// The rule of an operation that takes `a` where `mine` holds and `b` elsewhere; where they are equal each has half.
fn chosen(op: &'static str, a: &Var, b: &Var, y: Tensor, mine: Tensor) -> Result<Var> {
    let tie = a.value().eq(b.value())?;
    Op::new(op).inputs(&[a, b]).record(y, move |ctx, dy| {
        let dy = halve_at(&dy, &tie)?;
        Ok([
            ctx.grad(0, || {
                dy.masked_fill(&mine.logical_not()?, 0)?
                    .sum_to(ctx.shape(0))
            })?,
            ctx.grad(1, || {
                let theirs = mine.logical_not()?.logical_or(&tie)?;
                dy.masked_fill(&theirs.logical_not()?, 0)?
                    .sum_to(ctx.shape(1))
            })?,
        ])
    })
}
