//! Choosing between values: maximum, clamp, where, masks.

use gradus_tensor::{Result, Scalar, Tensor};

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// The larger of two, NaN if either is. At a tie each has half the gradient.
    #[cfg(any())]
    pub fn maximum(&self, other: &Var) -> Result<Var> {
        let y = self.value().maximum(other.value())?;
        Op::new("maximum").inputs(&[self, other]).saves(0).saves(1).record(y, |ctx, dy| {
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
    #[cfg(any())]
    pub fn minimum(&self, other: &Var) -> Result<Var> {
        let y = self.value().minimum(other.value())?;
        Op::new("minimum").inputs(&[self, other]).saves(0).saves(1).record(y, |ctx, dy| {
            let (a, b) = (ctx.input(0)?.value(), ctx.input(1)?.value());
            let tie = a.eq(b)?;
            let half = halve_at(&dy, &tie)?;
            Ok([
                ctx.grad(0, || half.masked_fill(&a.gt(b)?, 0)?.sum_to(ctx.shape(0)))?,
                ctx.grad(1, || half.masked_fill(&a.lt(b)?, 0)?.sum_to(ctx.shape(1)))?,
            ])
        })
    }

    /// Limited to `min..=max`; either may be absent. At a bound the gradient passes.
    #[cfg(any())]
    pub fn clamp(&self, min: Option<f64>, max: Option<f64>) -> Result<Var> {
        let y = self.value().clamp(min, max)?;
        Op::new("clamp").inputs(&[self]).saves(0).record(y, move |ctx, dy| {
            let x = ctx.input(0)?.value();
            let mut dx = dy;
            if let Some(min) = min {
                dx = dx.masked_fill(&x.lt_scalar(min)?, 0)?;
            }
            if let Some(max) = max {
                dx = dx.masked_fill(&x.gt_scalar(max)?, 0)?;
            }
            Ok(dx)
        })
    }

    /// At least `min`; at the bound the gradient passes.
    #[cfg(any())]
    pub fn clamp_min(&self, min: f64) -> Result<Var> {
        self.clamp(Some(min), None)
    }

    /// At most `max`; at the bound the gradient passes.
    #[cfg(any())]
    pub fn clamp_max(&self, max: f64) -> Result<Var> {
        self.clamp(None, Some(max))
    }

    /// `a` where `condition` holds, `b` elsewhere; all three broadcast.
    #[cfg(any())]
    pub fn where_(condition: &Tensor, a: &Var, b: &Var) -> Result<Var> {
        let y = Tensor::where_(condition, a.value(), b.value())?;
        let condition = condition.clone();
        Op::new("where").inputs(&[a, b]).record(y, move |ctx, dy| {
            let zero = dy.zeros_like()?;
            Ok([
                ctx.grad(0, || Var::where_(&condition, &dy, &zero)?.sum_to(ctx.shape(0)))?,
                ctx.grad(1, || Var::where_(&condition, &zero, &dy)?.sum_to(ctx.shape(1)))?,
            ])
        })
    }

    /// `value` where `mask` (broadcast to this shape) holds; no gradient there.
    #[cfg(any())]
    pub fn masked_fill(&self, mask: &Tensor, value: impl Into<Scalar>) -> Result<Var> {
        let y = self.value().masked_fill(mask, value)?;
        let mask = mask.clone();
        Op::new("masked_fill").inputs(&[self]).record(y, move |ctx, dy| dy.masked_fill(&mask, 0)?.sum_to(ctx.shape(0)))
    }
}

/// `dy`, halved where `tie` holds.
    #[cfg(any())]
fn halve_at(dy: &Var, tie: &Tensor) -> Result<Var> {
    if tie.any(.., false)?.item::<bool>()? { Var::where_(tie, &dy.mul_scalar(0.5)?, dy) } else { Ok(dy.clone()) }
}
