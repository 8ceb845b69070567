//! Arithmetic of two operands, broadcast, and of one operand with a number.

use gradus_tensor::{Result, Scalar};

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// `self + other`.
    pub fn add(&self, other: &Var) -> Result<Var> {
        let y = self.value().add(other.value())?;
        Op::new("add").inputs(&[self, other]).record(y, |ctx, dy| {
            Ok([
                ctx.grad(0, || dy.sum_to(ctx.shape(0)))?,
                ctx.grad(1, || dy.sum_to(ctx.shape(1)))?,
            ])
        })
    }

    /// `self − other`.
    pub fn sub(&self, other: &Var) -> Result<Var> {
        let y = self.value().sub(other.value())?;
        Op::new("sub").inputs(&[self, other]).record(y, |ctx, dy| {
            Ok([
                ctx.grad(0, || dy.sum_to(ctx.shape(0)))?,
                ctx.grad(1, || dy.sum_to(ctx.shape(1))?.neg())?,
            ])
        })
    }

    /// `self · other`.
    pub fn mul(&self, other: &Var) -> Result<Var> {
        let y = self.value().mul(other.value())?;
        Op::new("mul")
            .inputs(&[self, other])
            .saves_for(0, 1)
            .saves_for(1, 0)
            .record(y, |ctx, dy| {
                Ok([
                    ctx.grad(0, || dy.mul(ctx.input(1)?)?.sum_to(ctx.shape(0)))?,
                    ctx.grad(1, || dy.mul(ctx.input(0)?)?.sum_to(ctx.shape(1)))?,
                ])
            })
    }

    /// `self / other`.
    pub fn div(&self, other: &Var) -> Result<Var> {
        let y = self.value().div(other.value())?;
        Op::new("div")
            .inputs(&[self, other])
            .saves(1)
            .saves_for(0, 1)
            .record(y, |ctx, dy| {
                let b = ctx.input(1)?;
                let da = dy.div(b)?;
                Ok([
                    ctx.grad(0, || da.sum_to(ctx.shape(0)))?,
                    ctx.grad(1, || {
                        da.mul(&ctx.input(0)?.div(b)?)?.neg()?.sum_to(ctx.shape(1))
                    })?,
                ])
            })
    }

    /// `−self`.
    pub fn neg(&self) -> Result<Var> {
        let y = self.value().neg()?;
        Op::new("neg").inputs(&[self]).record(y, |_, dy| dy.neg())
    }

    /// `self + c`.
    pub fn add_scalar(&self, c: impl Into<Scalar>) -> Result<Var> {
        let y = self.value().add_scalar(c)?;
        Op::new("add_scalar")
            .inputs(&[self])
            .record(y, |_, dy| Ok(dy))
    }

    /// `self − c`.
    pub fn sub_scalar(&self, c: impl Into<Scalar>) -> Result<Var> {
        let y = self.value().sub_scalar(c)?;
        Op::new("sub_scalar")
            .inputs(&[self])
            .record(y, |_, dy| Ok(dy))
    }

    /// `c − self` (PyTorch's `rsub`).
    pub fn rsub_scalar(&self, c: impl Into<Scalar>) -> Result<Var> {
        self.neg()?.add_scalar(c)
    }

    /// `self · c`.
    pub fn mul_scalar(&self, c: impl Into<Scalar>) -> Result<Var> {
        let c = c.into();
        let y = self.value().mul_scalar(c)?;
        Op::new("mul_scalar")
            .inputs(&[self])
            .record(y, move |_, dy| dy.mul_scalar(c))
    }

    /// `self / c`.
    pub fn div_scalar(&self, c: impl Into<Scalar>) -> Result<Var> {
        let c = c.into();
        let y = self.value().div_scalar(c)?;
        Op::new("div_scalar")
            .inputs(&[self])
            .record(y, move |_, dy| dy.div_scalar(c))
    }

    /// `self^exponent`, element by element.
    ///
    /// At `exponent = 0` the base has gradient 0; at `self = 0, exponent ≥ 0` the exponent has gradient 0.
    #[cfg(any())]
    pub fn pow(&self, exponent: &Var) -> Result<Var> {
        let y = self.value().pow(exponent.value())?;
        Op::new("pow")
            .inputs(&[self, exponent])
            .saves(0)
            .saves(1)
            .saves_output()
            .record(y, |ctx, dy| {
                let (x, p) = (ctx.input(0)?, ctx.input(1)?);
                let dx = ctx.grad(0, || {
                    let dx = p.mul(&x.pow(&p.sub_scalar(1)?)?)?;
                    dx.masked_fill(&p.value().eq_scalar(0)?, 0)?
                        .mul(&dy)?
                        .sum_to(ctx.shape(0))
                })?;
                let dp = ctx.grad(1, || {
                    let flat = x
                        .value()
                        .eq_scalar(0)?
                        .logical_and(&p.value().ge_scalar(0)?)?;
                    ctx.output()?
                        .mul(&x.log()?)?
                        .masked_fill(&flat, 0)?
                        .mul(&dy)?
                        .sum_to(ctx.shape(1))
                })?;
                Ok([dx, dp])
            })
    }

    /// `self^exponent` for one exponent.
    pub fn pow_scalar(&self, exponent: impl Into<Scalar>) -> Result<Var> {
        let p = exponent.into();
        let y = self.value().pow_scalar(p)?;
        Op::new("pow_scalar")
            .inputs(&[self])
            .saves(0)
            .record(y, move |ctx, dy| {
                let p = p.to_f64();
                if p == 0.0 {
                    return dy.zeros_like();
                }
                ctx.input(0)?.pow_scalar(p - 1.0)?.mul_scalar(p)?.mul(&dy)
            })
    }

    /// Zeros of this shape and dtype, constant.
    pub fn zeros_like(&self) -> Result<Var> {
        self.value().zeros_like().map(Var::from)
    }

    /// Ones of this shape and dtype, constant.
    pub fn ones_like(&self) -> Result<Var> {
        self.value().ones_like().map(Var::from)
    }
}
