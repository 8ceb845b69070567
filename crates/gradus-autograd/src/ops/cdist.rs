//! Distances of every row to every row.

use gradus_tensor::{DType, Result};

use crate::op::{Ctx, Op};
use crate::var::Var;

impl Var {
    /// p-norms of the differences of rows: (…, P, M) and (…, R, M) to (…, P, R). Gradient 0 where a distance is.
    ///
    /// The gradient for p = 2 is two matrix products; for another p it holds all the differences, (…, P, R, M).
    ///
    /// Gradient: `dy sign(g) (|g|/d)^(p − 1)` for each difference g of a distance d. Shapes, dtypes and errors are
    /// those of [`Tensor::cdist`](gradus_tensor::Tensor::cdist).
    #[doc = slope!("a.cdist(&b, 2.0)?" => "5.0, 10.0"; "a", "[1, 2]", "0.0, 0.0" => "-1.2, -1.6"; "b", "[2, 2]", "3.0, 4.0, 6.0, 8.0" => "0.6, 0.8, 0.6, 0.8")]
    pub fn cdist(&self, other: &Var, p: f64) -> Result<Var> {
        let y = self.value().cdist(other.value(), p)?;
        Op::new("cdist")
            .inputs(&[self, other])
            .saves(0)
            .saves(1)
            .saves_output()
            .record(y, move |ctx, dy| {
                if p == 2.0 {
                    return euclidean(ctx, &dy);
                }
                let (x, z) = (ctx.input(0)?, ctx.input(1)?);
                let gaps = x.unsqueeze(-2)?.sub(&z.unsqueeze(-3)?)?; // (…, P, R, M)
                let d = ctx.output()?.unsqueeze(-1)?; // (…, P, R, 1)
                let slopes = dy.unsqueeze(-1)?.mul(&slope(&gaps, &d, p)?)?;
                Ok([
                    ctx.grad(0, || slopes.sum(-2, false)?.sum_to(ctx.shape(0)))?,
                    ctx.grad(1, || slopes.sum(-3, false)?.neg()?.sum_to(ctx.shape(1)))?,
                ])
            })
    }
}

/// Σ_r w·(x − z) with w = dy / d, in f64: what cancels for close rows does so beyond f32's digits.
fn euclidean(ctx: &Ctx, dy: &Var) -> Result<[Option<Var>; 2]> {
    let wide = |x: &Var| x.to_dtype(DType::F64);
    let (x, z, d) = (
        wide(ctx.input(0)?)?,
        wide(ctx.input(1)?)?,
        wide(&ctx.output()?)?,
    );
    let zero = d.value().eq_scalar(0)?;
    let w = wide(dy)?
        .div(&d.masked_fill(&zero, 1)?)?
        .masked_fill(&zero, 0)?; // (…, P, R)
    let pull = |w: &Var, x: &Var, z: &Var| x.mul(&w.sum(-1, true)?)?.sub(&w.matmul(z)?);
    Ok([
        ctx.grad(0, || {
            pull(&w, &x, &z)?.sum_to(ctx.shape(0))?.to_dtype(dy.dtype())
        })?,
        ctx.grad(1, || {
            pull(&w.mt()?, &z, &x)?
                .sum_to(ctx.shape(1))?
                .to_dtype(dy.dtype())
        })?,
    ])
}

/// How the distance grows with each difference: sign(g)·(|g|/d)^(p − 1); all of the largest count for p = ∞.
fn slope(gaps: &Var, d: &Var, p: f64) -> Result<Var> {
    if p == 0.0 {
        return gaps.zeros_like();
    }
    let sign = gaps.sign()?;
    if p == 1.0 {
        return Ok(sign);
    }
    let size = gaps.abs()?;
    if p == f64::INFINITY {
        let other = size.value().ne(d.value())?;
        return sign.masked_fill(&other, 0);
    }
    let none = d.value().eq_scalar(0)?;
    // A power of 0 that is negative, or that has an infinite derivative, counts for nothing.
    let flat = size.value().eq_scalar(0)?.logical_or(&none)?;
    let ratio = size.div(&d.masked_fill(&none, 1)?)?;
    let power = ratio.masked_fill(&flat, 1)?.pow_scalar(p - 1.0)?;
    sign.mul(&power.masked_fill(&flat, 0)?)
}
