//! Powers, roots, exponentials, logarithms, special functions and rounding: functions of one number.

#[allow(unused_imports)]
use std::f64::consts::{LN_2, LN_10, PI};

use gradus_tensor::{DType, Result};

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// The same numbers in another dtype; the gradient comes back in this one.
    pub fn to_dtype(&self, dtype: DType) -> Result<Var> {
        if self.dtype() == dtype {
            return Ok(self.clone());
        }
        let y = self.value().to_dtype(dtype)?;
        Op::new("to_dtype")
            .inputs(&[self])
            .record(y, |ctx, dy| dy.to_dtype(ctx.dtype(0)))
    }

    /// `|x|`; gradient 0 at 0.
    #[cfg(any())]
    pub fn abs(&self) -> Result<Var> {
        let y = self.value().abs()?;
        Op::new("abs")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.mul(&ctx.input(0)?.sign()?))
    }

    /// `x²`.
    pub fn square(&self) -> Result<Var> {
        let y = self.value().square()?;
        Op::new("square")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.mul(ctx.input(0)?)?.mul_scalar(2))
    }

    /// `√x`.
    pub fn sqrt(&self) -> Result<Var> {
        let y = self.value().sqrt()?;
        Op::new("sqrt")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| dy.div(&ctx.output()?.mul_scalar(2)?))
    }

    /// `1/√x`.
    pub fn rsqrt(&self) -> Result<Var> {
        let y = self.value().rsqrt()?;
        Op::new("rsqrt")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| {
                dy.mul(&ctx.output()?.pow_scalar(3)?)?.mul_scalar(-0.5)
            })
    }

    /// `1/x`.
    pub fn reciprocal(&self) -> Result<Var> {
        let y = self.value().reciprocal()?;
        Op::new("reciprocal")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| dy.mul(&ctx.output()?.square()?)?.neg())
    }

    /// `eˣ`.
    pub fn exp(&self) -> Result<Var> {
        let y = self.value().exp()?;
        Op::new("exp")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| dy.mul(&ctx.output()?))
    }

    /// `2ˣ`.
    #[cfg(any())]
    pub fn exp2(&self) -> Result<Var> {
        let y = self.value().exp2()?;
        Op::new("exp2")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| dy.mul(&ctx.output()?)?.mul_scalar(LN_2))
    }

    /// `eˣ − 1`, accurate near 0.
    #[cfg(any())]
    pub fn expm1(&self) -> Result<Var> {
        let y = self.value().expm1()?;
        Op::new("expm1")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| dy.mul(&ctx.output()?.add_scalar(1)?))
    }

    /// The natural logarithm.
    pub fn log(&self) -> Result<Var> {
        let y = self.value().log()?;
        Op::new("log")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.div(ctx.input(0)?))
    }

    /// `ln(1 + x)`, accurate near 0.
    #[cfg(any())]
    pub fn log1p(&self) -> Result<Var> {
        let y = self.value().log1p()?;
        Op::new("log1p")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.div(&ctx.input(0)?.add_scalar(1)?))
    }

    /// The logarithm to base 2.
    #[cfg(any())]
    pub fn log2(&self) -> Result<Var> {
        let y = self.value().log2()?;
        Op::new("log2")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.div(&ctx.input(0)?.mul_scalar(LN_2)?))
    }

    /// The logarithm to base 10.
    #[cfg(any())]
    pub fn log10(&self) -> Result<Var> {
        let y = self.value().log10()?;
        Op::new("log10")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.div(&ctx.input(0)?.mul_scalar(LN_10)?))
    }

    /// The error function `2/√π ∫₀ˣ e^(−t²) dt`.
    #[cfg(any())]
    pub fn erf(&self) -> Result<Var> {
        let y = self.value().erf()?;
        Op::new("erf")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                ctx.input(0)?
                    .square()?
                    .neg()?
                    .exp()?
                    .mul_scalar(2.0 / PI.sqrt())?
                    .mul(&dy)
            })
    }

    /// `1 − erf(x)`, accurate where it is tiny.
    #[cfg(any())]
    pub fn erfc(&self) -> Result<Var> {
        let y = self.value().erfc()?;
        Op::new("erfc")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                ctx.input(0)?
                    .square()?
                    .neg()?
                    .exp()?
                    .mul_scalar(-2.0 / PI.sqrt())?
                    .mul(&dy)
            })
    }

    /// The inverse of [`Var::erf`].
    #[cfg(any())]
    pub fn erfinv(&self) -> Result<Var> {
        let y = self.value().erfinv()?;
        Op::new("erfinv")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| {
                ctx.output()?
                    .square()?
                    .exp()?
                    .mul_scalar(0.5 * PI.sqrt())?
                    .mul(&dy)
            })
    }

    /// `ln |Γ(x)|`.
    #[cfg(any())]
    pub fn lgamma(&self) -> Result<Var> {
        let y = self.value().lgamma()?;
        Op::new("lgamma")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.mul(&ctx.input(0)?.digamma()?))
    }

    /// `ln(x/(1 − x))`, the inverse of [`Var::sigmoid`].
    #[cfg(any())]
    pub fn logit(&self) -> Result<Var> {
        let y = self.value().logit()?;
        Op::new("logit")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                let x = ctx.input(0)?;
                dy.div(&x.rsub_scalar(1)?.mul(x)?)
            })
    }

    /// `sin(πx)/(πx)`, 1 at 0.
    #[cfg(any())]
    pub fn sinc(&self) -> Result<Var> {
        let y = self.value().sinc()?;
        Op::new("sinc")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                let x = ctx.input(0)?;
                let px = x.mul_scalar(PI)?;
                let slope = px.mul(&px.cos()?)?.sub(&px.sin()?)?.div(&px.mul(x)?)?;
                slope.masked_fill(&x.value().eq_scalar(0)?, 0)?.mul(&dy)
            })
    }

    /// −1, 0 or 1. Gradient 0.
    #[cfg(any())]
    pub fn sign(&self) -> Result<Var> {
        let y = self.value().sign()?;
        Op::new("sign")
            .inputs(&[self])
            .record(y, |_, dy| dy.zeros_like())
    }

    /// Towards −∞. Gradient 0.
    #[cfg(any())]
    pub fn floor(&self) -> Result<Var> {
        let y = self.value().floor()?;
        Op::new("floor")
            .inputs(&[self])
            .record(y, |_, dy| dy.zeros_like())
    }

    /// Towards +∞. Gradient 0.
    #[cfg(any())]
    pub fn ceil(&self) -> Result<Var> {
        let y = self.value().ceil()?;
        Op::new("ceil")
            .inputs(&[self])
            .record(y, |_, dy| dy.zeros_like())
    }

    /// To the nearest whole number, halves to even. Gradient 0.
    #[cfg(any())]
    pub fn round(&self) -> Result<Var> {
        let y = self.value().round()?;
        Op::new("round")
            .inputs(&[self])
            .record(y, |_, dy| dy.zeros_like())
    }

    /// Towards 0. Gradient 0.
    #[cfg(any())]
    pub fn trunc(&self) -> Result<Var> {
        let y = self.value().trunc()?;
        Op::new("trunc")
            .inputs(&[self])
            .record(y, |_, dy| dy.zeros_like())
    }

    /// `x − trunc(x)`.
    #[cfg(any())]
    pub fn frac(&self) -> Result<Var> {
        let y = self.value().frac()?;
        Op::new("frac").inputs(&[self]).record(y, |_, dy| Ok(dy))
    }
}
