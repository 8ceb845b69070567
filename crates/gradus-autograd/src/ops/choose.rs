//! Choosing between values: maximum, clamp, where, masks.

use gradus_tensor::{Error, Result, Scalar, Tensor};

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// The larger of two, NaN if either is. At a tie each has half the gradient.
    ///
    /// Gradient: `dy` to the larger, half of it to each where both are equal. Shapes, dtypes and errors are those of
    /// [`Tensor::maximum`](gradus_tensor::Tensor::maximum).
    #[doc = slope!("a.maximum(&b)?" => "2.0, 2.0, 3.0"; "a", "[3]", "1.0, 2.0, 3.0" => "0.0, 0.5, 1.0"; "b", "[1]", "2.0" => "1.5")]
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
    #[doc = slope!("a.minimum(&b)?" => "1.0, 2.0, 2.0"; "a", "[3]", "1.0, 2.0, 3.0" => "1.0, 0.5, 0.0"; "b", "[1]", "2.0" => "1.5")]
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
    #[doc = slope!("a.fmax(&b)?" => "2.0, 3.0"; "a", "[2]", "1.0, 3.0" => "0.0, 1.0"; "b", "[1]", "2.0" => "1.0")]
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
    #[doc = slope!("a.fmin(&b)?" => "1.0, 2.0"; "a", "[2]", "1.0, 3.0" => "1.0, 0.0"; "b", "[1]", "2.0" => "1.0")]
    pub fn fmin(&self, other: &Var) -> Result<Var> {
        let y = self.value().fmin(other.value())?;
        let mine = self
            .value()
            .le(other.value())?
            .logical_or(&other.value().isnan()?)?;
        chosen("fmin", self, other, y, mine)
    }

    /// Limited to `min..=max` element by element; either may be absent. At a bound each has half the gradient; where both bounds
    /// are the same number the gradient passes to `self`; beside a bound that is NaN the other one has none.
    ///
    /// Gradient: `dy` to whichever of value and bounds was chosen; with one bound, that of [`Var::maximum`] or [`Var::minimum`].
    /// Shapes, dtypes and errors are those of [`Tensor::clamp_tensor`](gradus_tensor::Tensor::clamp_tensor).
    #[doc = slope!("x.clamp_tensor(Some(&a), Some(&b))?" => "1.0, 2.0, 4.0"; "x", "[3]", "0.0, 2.0, 5.0" => "0.0, 1.0, 0.0"; "a", "[1]", "1.0" => "1.0"; "b", "[1]", "4.0" => "1.0")]
    pub fn clamp_tensor(&self, min: Option<&Var>, max: Option<&Var>) -> Result<Var> {
        let (min, max) = match (min, max) {
            (Some(min), Some(max)) => (min, max),
            (Some(min), None) => return self.maximum(min).map_err(|e| e.in_op("clamp")),
            (None, Some(max)) => return self.minimum(max).map_err(|e| e.in_op("clamp")),
            (None, None) => return self.value().clamp_tensor(None, None).map(Var::from),
        };
        let y = self
            .value()
            .clamp_tensor(Some(min.value()), Some(max.value()))?;
        Op::new("clamp_tensor")
            .inputs(&[self, min, max])
            .saves(0)
            .saves(1)
            .saves(2)
            .record(y, |ctx, dy| {
                let [x, min, max] = [ctx.input(0)?, ctx.input(1)?, ctx.input(2)?].map(Var::value);
                let (below, above) = (x.lt(min)?, x.gt(max)?);
                // Comparisons with NaN are false: beside a bound that is NaN the other one is never chosen.
                let (ordered, apart) = (min.le(max)?, min.lt(max)?);
                let on_min = x.eq(min)?.logical_and(&apart)?;
                let on_max = x.eq(max)?.logical_and(&apart)?;
                let dy = halve_at(&dy, &on_min.logical_or(&on_max)?)?;
                let only = |chosen: &Tensor, i: usize| {
                    dy.masked_fill(&chosen.logical_not()?, 0)?
                        .sum_to(ctx.shape(i))
                };
                Ok([
                    ctx.grad(0, || only(&below.logical_or(&above)?.logical_not()?, 0))?,
                    ctx.grad(1, || {
                        only(&below.logical_and(&ordered)?.logical_or(&on_min)?, 1)
                    })?,
                    ctx.grad(2, || {
                        let above = above.logical_and(&ordered)?.logical_or(&on_max)?;
                        only(&above.logical_or(&min.gt(max)?)?, 2)
                    })?,
                ])
            })
    }

    /// Limited to `min..=max`; either may be absent. At a bound and at NaN the gradient is 0, as from PyTorch 2.15 on.
    ///
    /// Gradient: `dy` between the bounds, 0 on and beyond them. Shapes, dtypes and errors are those of
    /// [`Tensor::clamp`](gradus_tensor::Tensor::clamp).
    #[doc = slope!("x.clamp(Some(0.0), Some(1.0))?" => "0.0, 0.5, 1.0"; "x", "[3]", "-1.0, 0.5, 2.0" => "0.0, 1.0, 0.0")]
    pub fn clamp(&self, min: Option<f64>, max: Option<f64>) -> Result<Var> {
        let y = self.value().clamp(min, max)?;
        Op::new("clamp")
            .inputs(&[self])
            .saves(0)
            .record(y, move |ctx, dy| {
                let x = ctx.input(0)?.value();
                let mut dx = dy;
                if let Some(min) = min {
                    dx = dx.masked_fill_(&x.gt_scalar(min)?.logical_not()?, 0)?;
                }
                if let Some(max) = max {
                    dx = dx.masked_fill_(&x.lt_scalar(max)?.logical_not()?, 0)?;
                }
                Ok(dx)
            })
    }

    /// At least `min`; at the bound the gradient is 0.
    ///
    /// Gradient: `dy` where `x` is above the bound. Shapes, dtypes and errors are those of
    /// [`Tensor::clamp_min`](gradus_tensor::Tensor::clamp_min).
    #[doc = slope!("x.clamp_min(0.0)?" => "0.0, 2.0"; "x", "[2]", "-1.0, 2.0" => "0.0, 1.0")]
    pub fn clamp_min(&self, min: f64) -> Result<Var> {
        self.clamp(Some(min), None)
    }

    /// At most `max`; at the bound the gradient is 0.
    ///
    /// Gradient: `dy` where `x` is below the bound. Shapes, dtypes and errors are those of
    /// [`Tensor::clamp_max`](gradus_tensor::Tensor::clamp_max).
    #[doc = slope!("x.clamp_max(0.0)?" => "-1.0, 0.0"; "x", "[2]", "-1.0, 2.0" => "1.0, 0.0")]
    pub fn clamp_max(&self, max: f64) -> Result<Var> {
        self.clamp(None, Some(max))
    }

    /// `a` where `condition` holds, `b` elsewhere; all three broadcast.
    ///
    /// Gradient: `dy` to each operand where it was chosen. Shapes, dtypes and errors are those of
    /// [`Tensor::where_`](gradus_tensor::Tensor::where_).
    #[doc = slope!("Var::where_(&a.value().gt_scalar(1)?, &a, &b)?" => "9.0, 2.0"; "a", "[2]", "1.0, 2.0" => "0.0, 1.0"; "b", "[1]", "9.0" => "1.0")]
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
    #[doc = slope!("x.masked_fill_var(&x.value().lt_scalar(0)?, &a)?" => "1.0, 9.0"; "x", "[2]", "1.0, -2.0" => "1.0, 0.0"; "a", "()", "9.0" => "1.0")]
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
    #[doc = slope!("x.masked_fill(&x.value().lt_scalar(0)?, 0)?" => "1.0, 0.0"; "x", "[2]", "1.0, -2.0" => "1.0, 0.0")]
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
