//! Arithmetic of two operands, broadcast, and of one operand with a number.

use gradus_tensor::{DType, Result, Scalar, Tensor};

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// `self + other`.
    ///
    /// Gradient: `dy` to both, summed over what was broadcast. Shapes, dtypes and errors are those of
    /// [`Tensor::add`](gradus_tensor::Tensor::add).
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
    ///
    /// Gradient: `dy` and `−dy`, summed over what was broadcast. Shapes, dtypes and errors are those of
    /// [`Tensor::sub`](gradus_tensor::Tensor::sub).
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
    ///
    /// Gradient: `dy` times the other operand, summed over what was broadcast. Shapes, dtypes and errors are those of
    /// [`Tensor::mul`](gradus_tensor::Tensor::mul).
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
    ///
    /// Gradient: `dy/b` and `−dy a/b²`, summed over what was broadcast. Shapes, dtypes and errors are those of
    /// [`Tensor::div`](gradus_tensor::Tensor::div).
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
    ///
    /// Gradient: `−dy`. Shapes, dtypes and errors are those of [`Tensor::neg`](gradus_tensor::Tensor::neg).
    pub fn neg(&self) -> Result<Var> {
        let y = self.value().neg()?;
        Op::new("neg").inputs(&[self]).record(y, |_, dy| dy.neg_())
    }

    /// `self + c`.
    ///
    /// Gradient: `dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::add_scalar`](gradus_tensor::Tensor::add_scalar).
    pub fn add_scalar(&self, c: impl Into<Scalar>) -> Result<Var> {
        let y = self.value().add_scalar(c)?;
        Op::new("add_scalar")
            .inputs(&[self])
            .record(y, |_, dy| Ok(dy))
    }

    /// `self − c`.
    ///
    /// Gradient: `dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::sub_scalar`](gradus_tensor::Tensor::sub_scalar).
    pub fn sub_scalar(&self, c: impl Into<Scalar>) -> Result<Var> {
        let y = self.value().sub_scalar(c)?;
        Op::new("sub_scalar")
            .inputs(&[self])
            .record(y, |_, dy| Ok(dy))
    }

    /// `c − self`.
    ///
    /// Gradient: `−dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::rsub_scalar`](gradus_tensor::Tensor::rsub_scalar).
    pub fn rsub_scalar(&self, c: impl Into<Scalar>) -> Result<Var> {
        let y = self.value().rsub_scalar(c)?;
        Op::new("rsub_scalar")
            .inputs(&[self])
            .record(y, |_, dy| dy.neg_())
    }

    /// `c / self`.
    ///
    /// Gradient: `−dy c/x²`. Shapes, dtypes and errors are those of
    /// [`Tensor::rdiv_scalar`](gradus_tensor::Tensor::rdiv_scalar).
    pub fn rdiv_scalar(&self, c: impl Into<Scalar>) -> Result<Var> {
        self.reciprocal()?.mul_scalar(c)
    }

    /// `other − self`.
    ///
    /// Gradient: `−dy` and `dy`, summed over what was broadcast. Shapes, dtypes and errors are those of
    /// [`Tensor::rsub`](gradus_tensor::Tensor::rsub).
    pub fn rsub(&self, other: &Var) -> Result<Var> {
        other.sub(self)
    }

    /// `self + alpha · other`: PyTorch's `add(other, alpha=…)`.
    ///
    /// Gradient: `dy` and `alpha dy`, summed over what was broadcast. Shapes, dtypes and errors are those of
    /// [`Tensor::add_scaled`](gradus_tensor::Tensor::add_scaled).
    pub fn add_scaled(&self, other: &Var, alpha: impl Into<Scalar>) -> Result<Var> {
        self.add(&other.mul_scalar(alpha)?)
    }

    /// `self − alpha · other`: PyTorch's `sub(other, alpha=…)`.
    ///
    /// Gradient: `dy` and `−alpha dy`, summed over what was broadcast. Shapes, dtypes and errors are those of
    /// [`Tensor::sub_scaled`](gradus_tensor::Tensor::sub_scaled).
    pub fn sub_scaled(&self, other: &Var, alpha: impl Into<Scalar>) -> Result<Var> {
        self.sub(&other.mul_scalar(alpha)?)
    }

    /// `self + value · b · c`.
    ///
    /// Gradient: `dy`, `value c dy` and `value b dy`, summed over what was broadcast. Shapes, dtypes and errors are
    /// those of [`Tensor::addcmul`](gradus_tensor::Tensor::addcmul).
    pub fn addcmul(&self, b: &Var, c: &Var, value: impl Into<Scalar>) -> Result<Var> {
        self.add(&b.mul(c)?.mul_scalar(value)?)
    }

    /// `self + value · b / c`.
    ///
    /// Gradient: `dy`, `value dy/c` and `−value b dy/c²`, summed over what was broadcast. Shapes, dtypes and errors
    /// are those of [`Tensor::addcdiv`](gradus_tensor::Tensor::addcdiv).
    pub fn addcdiv(&self, b: &Var, c: &Var, value: impl Into<Scalar>) -> Result<Var> {
        self.add(&b.div(c)?.mul_scalar(value)?)
    }

    /// `self + weight · (end − self)`.
    ///
    /// Gradient: `(1 − w) dy`, `w dy` and `(end − start) dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::lerp`](gradus_tensor::Tensor::lerp).
    pub fn lerp(&self, end: &Var, weight: &Var) -> Result<Var> {
        let y = self.value().lerp(end.value(), weight.value())?;
        Op::new("lerp")
            .inputs(&[self, end, weight])
            .saves(0)
            .saves(1)
            .saves(2)
            .record(y, |ctx, dy| {
                let w = ctx.input(2)?;
                Ok([
                    ctx.grad(0, || dy.mul(&w.rsub_scalar(1)?)?.sum_to(ctx.shape(0)))?,
                    ctx.grad(1, || dy.mul(w)?.sum_to(ctx.shape(1)))?,
                    ctx.grad(2, || {
                        dy.mul(&ctx.input(1)?.sub(ctx.input(0)?)?)?
                            .sum_to(ctx.shape(2))
                    })?,
                ])
            })
    }

    /// [`Var::lerp`] with one weight.
    ///
    /// Gradient: `(1 − w) dy` and `w dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::lerp_scalar`](gradus_tensor::Tensor::lerp_scalar).
    pub fn lerp_scalar(&self, end: &Var, weight: f64) -> Result<Var> {
        self.lerp(end, &Var::from(Tensor::scalar_of(weight, self.dtype())?))
    }

    /// `self · c`.
    ///
    /// Gradient: `c dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::mul_scalar`](gradus_tensor::Tensor::mul_scalar).
    pub fn mul_scalar(&self, c: impl Into<Scalar>) -> Result<Var> {
        let c = c.into();
        let y = self.value().mul_scalar(c)?;
        Op::new("mul_scalar")
            .inputs(&[self])
            .record(y, move |_, dy| dy.mul_scalar_(c))
    }

    /// `self / c`.
    ///
    /// Gradient: `dy/c`. Shapes, dtypes and errors are those of
    /// [`Tensor::div_scalar`](gradus_tensor::Tensor::div_scalar).
    pub fn div_scalar(&self, c: impl Into<Scalar>) -> Result<Var> {
        let c = c.into();
        let y = self.value().div_scalar(c)?;
        Op::new("div_scalar")
            .inputs(&[self])
            .record(y, move |_, dy| dy.div_scalar_(c))
    }

    /// `self^exponent`, element by element.
    ///
    /// At `exponent = 0` the base has gradient 0; at `self = 0, exponent ≥ 0` the exponent has gradient 0.
    ///
    /// Gradient: `dy b a^(b − 1)` and `dy y ln a` (0 where `a` is 0 and `b` is not negative). Shapes, dtypes and
    /// errors are those of [`Tensor::pow`](gradus_tensor::Tensor::pow).
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
                    // p xᵖ/x loses less than p x^(p − 1), whose exponent is rounded; but not where xᵖ is 0 or not finite.
                    let y = ctx.output()?;
                    let edge = y.value().isfinite()?.logical_not()?;
                    let edge = edge.logical_or(&y.value().eq_scalar(0)?)?;
                    let inside = y.masked_fill(&edge, 0)?;
                    let dx = inside.mul(p)?.div(&x.masked_fill(&edge, 1)?)?;
                    let at_edge = x
                        .masked_fill(&edge.logical_not()?, 1)?
                        .pow(&p.sub_scalar(1)?)?
                        .mul(p)?;
                    let dx = Var::where_(&edge, &at_edge, &dx)?;
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
    ///
    /// Gradient: `dy c x^(c − 1)`; 0 for `c` 0. Shapes, dtypes and errors are those of
    /// [`Tensor::pow_scalar`](gradus_tensor::Tensor::pow_scalar).
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
                ctx.input(0)?.pow_scalar(p - 1.0)?.mul_scalar_(p)?.mul_(&dy)
            })
    }

    /// `base^self`.
    ///
    /// Gradient: `dy y ln c`. Shapes, dtypes and errors are those of
    /// [`Tensor::rpow_scalar`](gradus_tensor::Tensor::rpow_scalar).
    pub fn rpow_scalar(&self, base: f64) -> Result<Var> {
        Var::from(Tensor::scalar_of(base, self.dtype())?).pow(self)
    }

    /// `self^exponent` in f64.
    ///
    /// Gradient: that of [`Var::pow`], in f64. Shapes, dtypes and errors are those of
    /// [`Tensor::float_power`](gradus_tensor::Tensor::float_power).
    pub fn float_power(&self, exponent: &Var) -> Result<Var> {
        self.to_dtype(DType::F64)?
            .pow(&exponent.to_dtype(DType::F64)?)
    }

    /// `self / other` rounded towards −∞. Gradient 0.
    ///
    /// Gradient: 0, as almost everywhere. Shapes, dtypes and errors are those of
    /// [`Tensor::floor_divide`](gradus_tensor::Tensor::floor_divide).
    pub fn floor_divide(&self, other: &Var) -> Result<Var> {
        flat(
            "floor_divide",
            self,
            other,
            self.value().floor_divide(other.value())?,
        )
    }

    /// `self / other` rounded towards 0. Gradient 0.
    ///
    /// Gradient: 0, as almost everywhere. Shapes, dtypes and errors are those of
    /// [`Tensor::trunc_divide`](gradus_tensor::Tensor::trunc_divide).
    pub fn trunc_divide(&self, other: &Var) -> Result<Var> {
        flat(
            "trunc_divide",
            self,
            other,
            self.value().trunc_divide(other.value())?,
        )
    }

    /// What is left of `self` after taking `other` off a whole number of times; it has the sign of `other`.
    ///
    /// Gradient: `dy` and `−dy ⌊a/b⌋`. Shapes, dtypes and errors are those of
    /// [`Tensor::remainder`](gradus_tensor::Tensor::remainder).
    pub fn remainder(&self, other: &Var) -> Result<Var> {
        let y = self.value().remainder(other.value())?;
        Op::new("remainder")
            .inputs(&[self, other])
            .saves_for(0, 1)
            .saves_for(1, 1)
            .record(y, |ctx, dy| {
                let times = || ctx.input(0)?.floor_divide(ctx.input(1)?);
                Ok([
                    ctx.grad(0, || dy.sum_to(ctx.shape(0)))?,
                    ctx.grad(1, || dy.mul(&times()?)?.neg_()?.sum_to(ctx.shape(1)))?,
                ])
            })
    }

    /// What is left of `self` after taking `other` off a whole number of times; it has the sign of `self`.
    ///
    /// Gradient: `dy` and `−dy trunc(a/b)`. Shapes, dtypes and errors are those of
    /// [`Tensor::fmod`](gradus_tensor::Tensor::fmod).
    pub fn fmod(&self, other: &Var) -> Result<Var> {
        let y = self.value().fmod(other.value())?;
        Op::new("fmod")
            .inputs(&[self, other])
            .saves_for(0, 1)
            .saves_for(1, 1)
            .record(y, |ctx, dy| {
                let times = || ctx.input(0)?.trunc_divide(ctx.input(1)?);
                Ok([
                    ctx.grad(0, || dy.sum_to(ctx.shape(0)))?,
                    ctx.grad(1, || dy.mul(&times()?)?.neg_()?.sum_to(ctx.shape(1)))?,
                ])
            })
    }

    /// `√(self² + other²)`.
    ///
    /// Gradient: `dy a/y` and `dy b/y`. Shapes, dtypes and errors are those of
    /// [`Tensor::hypot`](gradus_tensor::Tensor::hypot).
    pub fn hypot(&self, other: &Var) -> Result<Var> {
        let y = self.value().hypot(other.value())?;
        Op::new("hypot")
            .inputs(&[self, other])
            .saves(0)
            .saves(1)
            .saves_output()
            .record(y, |ctx, dy| {
                let d = dy.div_(&ctx.output()?)?;
                Ok([
                    ctx.grad(0, || d.mul(ctx.input(0)?)?.sum_to(ctx.shape(0)))?,
                    ctx.grad(1, || d.mul(ctx.input(1)?)?.sum_to(ctx.shape(1)))?,
                ])
            })
    }

    /// `self · ln(other)`, 0 where `self` is.
    ///
    /// Gradient: `dy ln b` (0 where `a` is 0) and `dy a/b`. Shapes, dtypes and errors are those of
    /// [`Tensor::xlogy`](gradus_tensor::Tensor::xlogy).
    pub fn xlogy(&self, other: &Var) -> Result<Var> {
        let y = self.value().xlogy(other.value())?;
        Op::new("xlogy")
            .inputs(&[self, other])
            .saves(0)
            .saves(1)
            .record(y, |ctx, dy| {
                let (x, y) = (ctx.input(0)?, ctx.input(1)?);
                let dx = ctx.grad(0, || {
                    let undefined = x
                        .value()
                        .eq_scalar(0)?
                        .logical_and(&y.value().le_scalar(0)?)?;
                    dy.mul(&y.log()?.masked_fill_(&undefined, 0)?)?
                        .sum_to(ctx.shape(0))
                })?;
                Ok([
                    dx,
                    ctx.grad(1, || dy.mul(&x.div(y)?)?.sum_to(ctx.shape(1)))?,
                ])
            })
    }

    /// `ln(e^self + e^other)` without overflow.
    ///
    /// Gradient: `dy e^(a − y)` and `dy e^(b − y)`. Shapes, dtypes and errors are those of
    /// [`Tensor::logaddexp`](gradus_tensor::Tensor::logaddexp).
    pub fn logaddexp(&self, other: &Var) -> Result<Var> {
        let y = self.value().logaddexp(other.value())?;
        Op::new("logaddexp")
            .inputs(&[self, other])
            .saves(0)
            .saves(1)
            .record(y, |ctx, dy| {
                let difference = ctx.input(0)?.sub(ctx.input(1)?)?;
                // Equal infinities: each has half.
                let equal = ctx.input(0)?.value().eq(ctx.input(1)?.value())?;
                let difference = difference.masked_fill_(&equal, 0)?;
                Ok([
                    ctx.grad(0, || dy.mul(&difference.sigmoid()?)?.sum_to(ctx.shape(0)))?,
                    ctx.grad(1, || {
                        dy.mul(&difference.neg()?.sigmoid()?)?.sum_to(ctx.shape(1))
                    })?,
                ])
            })
    }

    /// `|self|` with the sign of `other`. Gradient 0 at `self = 0`, and for `other`.
    ///
    /// Gradient: `dy` with the sign that was given to `a` (0 where `a` is 0); 0 for `b`. Shapes, dtypes and errors are those of
    /// [`Tensor::copysign`](gradus_tensor::Tensor::copysign).
    pub fn copysign(&self, other: &Var) -> Result<Var> {
        let y = self.value().copysign(other.value())?;
        Op::new("copysign")
            .inputs(&[self, other])
            .saves(0)
            .saves_output()
            .record(y, |ctx, dy| {
                let x = ctx.input(0)?.value();
                let ratio = ctx
                    .output()?
                    .value()
                    .div(x)?
                    .masked_fill_(&x.eq_scalar(0)?, 0)?;
                Ok([
                    ctx.grad(0, || dy.mul(&Var::from(ratio))?.sum_to(ctx.shape(0)))?,
                    ctx.grad(1, || {
                        Ok(Var::from(Tensor::zeros(ctx.shape(1), ctx.dtype(1))?))
                    })?,
                ])
            })
    }

    /// Zeros of this shape and dtype, constant.
    ///
    /// Gradient: none, it is a constant. Shapes, dtypes and errors are those of
    /// [`Tensor::zeros_like`](gradus_tensor::Tensor::zeros_like).
    pub fn zeros_like(&self) -> Result<Var> {
        self.value().zeros_like().map(Var::from)
    }

    /// Ones of this shape and dtype, constant.
    ///
    /// Gradient: none, it is a constant. Shapes, dtypes and errors are those of
    /// [`Tensor::ones_like`](gradus_tensor::Tensor::ones_like).
    pub fn ones_like(&self) -> Result<Var> {
        self.value().ones_like().map(Var::from)
    }
}

/// An operation of two operands that is constant between its jumps.
fn flat(op: &'static str, a: &Var, b: &Var, y: Tensor) -> Result<Var> {
    Op::new(op).inputs(&[a, b]).record(y, |ctx, _| {
        let zeros = |i| {
            ctx.grad(i, || {
                Ok(Var::from(Tensor::zeros(ctx.shape(i), ctx.dtype(i))?))
            })
        };
        Ok([zeros(0)?, zeros(1)?])
    })
}
