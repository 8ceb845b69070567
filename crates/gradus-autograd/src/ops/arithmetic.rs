//! Arithmetic of two operands, broadcast, and of one operand with a number.

use gradus_tensor::{Result, Scalar, Tensor};

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// `self + other`.
    ///
    /// Gradient: `dy` to both, summed over what was broadcast. Shapes, dtypes and errors are those of
    /// [`Tensor::add`](gradus_tensor::Tensor::add).
    #[doc = slope!("a.add(&b)?" => "11.0, 12.0"; "a", "[2]", "1.0, 2.0" => "1.0, 1.0"; "b", "[1]", "10.0" => "2.0")]
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
    #[doc = slope!("a.sub(&b)?" => "-9.0, -8.0"; "a", "[2]", "1.0, 2.0" => "1.0, 1.0"; "b", "[1]", "10.0" => "-2.0")]
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
    #[doc = slope!("a.mul(&b)?" => "3.0, 8.0"; "a", "[2]", "1.0, 2.0" => "3.0, 4.0"; "b", "[2]", "3.0, 4.0" => "1.0, 2.0")]
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
    #[doc = slope!("a.div(&b)?" => "0.25, 0.25"; "a", "[2]", "1.0, 2.0" => "0.25, 0.125"; "b", "[2]", "4.0, 8.0" => "-0.0625, -0.03125")]
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
    #[doc = slope!("x.neg()?" => "-1.0, 2.0"; "x", "[2]", "1.0, -2.0" => "-1.0, -1.0")]
    pub fn neg(&self) -> Result<Var> {
        let y = self.value().neg()?;
        Op::new("neg").inputs(&[self]).record(y, |_, dy| dy.neg_())
    }

    /// `self + c`.
    ///
    /// Gradient: `dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::add_scalar`](gradus_tensor::Tensor::add_scalar).
    #[doc = slope!("x.add_scalar(0.5)?" => "1.5, 2.5"; "x", "[2]", "1.0, 2.0" => "1.0, 1.0")]
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
    #[doc = slope!("x.sub_scalar(0.5)?" => "0.5, 1.5"; "x", "[2]", "1.0, 2.0" => "1.0, 1.0")]
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
    #[doc = slope!("x.rsub_scalar(1)?" => "0.0, -1.0"; "x", "[2]", "1.0, 2.0" => "-1.0, -1.0")]
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
    #[doc = slope!("x.rdiv_scalar(4)?" => "4.0, 2.0"; "x", "[2]", "1.0, 2.0" => "-4.0, -1.0")]
    pub fn rdiv_scalar(&self, c: impl Into<Scalar>) -> Result<Var> {
        self.reciprocal()?.mul_scalar(c)
    }

    /// `other − self`.
    ///
    /// Gradient: `−dy` and `dy`, summed over what was broadcast. Shapes, dtypes and errors are those of
    /// [`Tensor::rsub`](gradus_tensor::Tensor::rsub).
    #[doc = slope!("a.rsub(&b)?" => "2.0, 3.0"; "a", "[2]", "1.0, 2.0" => "-1.0, -1.0"; "b", "[2]", "3.0, 5.0" => "1.0, 1.0")]
    pub fn rsub(&self, other: &Var) -> Result<Var> {
        other.sub(self)
    }

    /// `self + alpha · other`: PyTorch's `add(other, alpha=…)`.
    ///
    /// Gradient: `dy` and `alpha dy`, summed over what was broadcast. Shapes, dtypes and errors are those of
    /// [`Tensor::add_scaled`](gradus_tensor::Tensor::add_scaled).
    #[doc = slope!("a.add_scaled(&b, 2)?" => "7.0, 12.0"; "a", "[2]", "1.0, 2.0" => "1.0, 1.0"; "b", "[2]", "3.0, 5.0" => "2.0, 2.0")]
    pub fn add_scaled(&self, other: &Var, alpha: impl Into<Scalar>) -> Result<Var> {
        self.add(&other.mul_scalar(alpha)?)
    }

    /// `self − alpha · other`: PyTorch's `sub(other, alpha=…)`.
    ///
    /// Gradient: `dy` and `−alpha dy`, summed over what was broadcast. Shapes, dtypes and errors are those of
    /// [`Tensor::sub_scaled`](gradus_tensor::Tensor::sub_scaled).
    #[doc = slope!("a.sub_scaled(&b, 2)?" => "-5.0, -8.0"; "a", "[2]", "1.0, 2.0" => "1.0, 1.0"; "b", "[2]", "3.0, 5.0" => "-2.0, -2.0")]
    pub fn sub_scaled(&self, other: &Var, alpha: impl Into<Scalar>) -> Result<Var> {
        self.sub(&other.mul_scalar(alpha)?)
    }

    /// `self + value · b · c`.
    ///
    /// Gradient: `dy`, `value c dy` and `value b dy`, summed over what was broadcast. Shapes, dtypes and errors are
    /// those of [`Tensor::addcmul`](gradus_tensor::Tensor::addcmul).
    #[doc = slope!("a.addcmul(&b, &c, 0.5)?" => "4.0"; "a", "[1]", "1.0" => "1.0"; "b", "[1]", "2.0" => "1.5"; "c", "[1]", "3.0" => "1.0")]
    pub fn addcmul(&self, b: &Var, c: &Var, value: impl Into<Scalar>) -> Result<Var> {
        self.add(&b.mul(c)?.mul_scalar(value)?)
    }

    /// `self + value · b / c`.
    ///
    /// Gradient: `dy`, `value dy/c` and `−value b dy/c²`, summed over what was broadcast. Shapes, dtypes and errors
    /// are those of [`Tensor::addcdiv`](gradus_tensor::Tensor::addcdiv).
    #[doc = slope!("a.addcdiv(&b, &c, 2)?" => "2.0"; "a", "[1]", "1.0" => "1.0"; "b", "[1]", "2.0" => "0.5"; "c", "[1]", "4.0" => "-0.25")]
    pub fn addcdiv(&self, b: &Var, c: &Var, value: impl Into<Scalar>) -> Result<Var> {
        self.add(&b.div(c)?.mul_scalar(value)?)
    }

    /// `self + weight · (end − self)`.
    ///
    /// Gradient: `(1 − w) dy`, `w dy` and `(end − start) dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::lerp`](gradus_tensor::Tensor::lerp).
    #[doc = slope!("a.lerp(&b, &c)?" => "2.0"; "a", "[1]", "1.0" => "0.75"; "b", "[1]", "5.0" => "0.25"; "c", "[1]", "0.25" => "4.0")]
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
    #[doc = slope!("a.lerp_scalar(&b, 0.25)?" => "2.0"; "a", "[1]", "1.0" => "0.75"; "b", "[1]", "5.0" => "0.25")]
    pub fn lerp_scalar(&self, end: &Var, weight: f64) -> Result<Var> {
        self.lerp(end, &Var::from(Tensor::scalar_of(weight, self.dtype())?))
    }

    /// `self · c`.
    ///
    /// Gradient: `c dy`. Shapes, dtypes and errors are those of
    /// [`Tensor::mul_scalar`](gradus_tensor::Tensor::mul_scalar).
    #[doc = slope!("x.mul_scalar(3)?" => "3.0, 6.0"; "x", "[2]", "1.0, 2.0" => "3.0, 3.0")]
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
    #[doc = slope!("x.div_scalar(4)?" => "0.25, 0.5"; "x", "[2]", "1.0, 2.0" => "0.25, 0.25")]
    pub fn div_scalar(&self, c: impl Into<Scalar>) -> Result<Var> {
        let c = c.into();
        let y = self.value().div_scalar(c)?;
        Op::new("div_scalar")
            .inputs(&[self])
            .record(y, move |_, dy| dy.div_scalar_(c))
    }

    /// `self / other` rounded towards −∞. Gradient 0.
    ///
    /// Gradient: 0, as almost everywhere. Shapes, dtypes and errors are those of
    /// [`Tensor::floor_divide`](gradus_tensor::Tensor::floor_divide).
    #[doc = slope!("a.floor_divide(&b)?" => "3.0, -4.0"; "a", "[2]", "7.0, -7.0" => "0.0, 0.0"; "b", "[1]", "2.0" => "0.0")]
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
    #[doc = slope!("a.trunc_divide(&b)?" => "3.0, -3.0"; "a", "[2]", "7.0, -7.0" => "0.0, 0.0"; "b", "[1]", "2.0" => "0.0")]
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
    #[doc = slope!("a.remainder(&b)?" => "1.0, 2.0"; "a", "[2]", "7.0, -7.0" => "1.0, 1.0"; "b", "[1]", "3.0" => "1.0")]
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
    #[doc = slope!("a.fmod(&b)?" => "1.0, -1.0"; "a", "[2]", "7.0, -7.0" => "1.0, 1.0"; "b", "[1]", "3.0" => "0.0")]
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
    #[doc = slope!("a.hypot(&b)?" => "5.0"; "a", "[1]", "3.0" => "0.6"; "b", "[1]", "4.0" => "0.8")]
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
    #[doc = slope!("a.xlogy(&b)?" => "0.0, 2.772589"; "a", "[2]", "0.0, 2.0" => "0.0, 1.386294"; "b", "[2]", "0.0, 4.0" => "f64::NAN, 0.5")]
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
    /// Gradient: `dy σ(a − b)` and `dy σ(b − a)`; NaN where both are the same infinity. Shapes, dtypes and errors are those of
    /// [`Tensor::logaddexp`](gradus_tensor::Tensor::logaddexp).
    #[doc = slope!("a.logaddexp(&b)?" => "0.6931472, 2.313262"; "a", "[2]", "0.0, 1.0" => "0.5, 0.2689414"; "b", "[2]", "0.0, 2.0" => "0.5, 0.7310586")]
    pub fn logaddexp(&self, other: &Var) -> Result<Var> {
        let y = self.value().logaddexp(other.value())?;
        Op::new("logaddexp")
            .inputs(&[self, other])
            .saves(0)
            .saves(1)
            .record(y, |ctx, dy| {
                let difference = ctx.input(0)?.sub(ctx.input(1)?)?;
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
    #[doc = slope!("a.copysign(&b)?" => "-1.0, -2.0"; "a", "[2]", "1.0, -2.0" => "-1.0, 1.0"; "b", "[2]", "-1.0, -1.0" => "0.0, 0.0")]
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
                        Ok(Var::from(Tensor::zeros(
                            ctx.shape(1),
                            (ctx.dtype(1), dy.device()),
                        )?))
                    })?,
                ])
            })
    }

    /// Zeros of this shape and dtype, constant.
    ///
    /// Gradient: none, it is a constant. Shapes, dtypes and errors are those of
    /// [`Tensor::zeros_like`](gradus_tensor::Tensor::zeros_like).
    #[doc = slope!("x.zeros_like()?.add(&x)?" => "1.0, 2.0"; "x", "[2]", "1.0, 2.0" => "1.0, 1.0")]
    pub fn zeros_like(&self) -> Result<Var> {
        self.value().zeros_like().map(Var::from)
    }

    /// Ones of this shape and dtype, constant.
    ///
    /// Gradient: none, it is a constant. Shapes, dtypes and errors are those of
    /// [`Tensor::ones_like`](gradus_tensor::Tensor::ones_like).
    #[doc = slope!("x.ones_like()?.add(&x)?" => "2.0, 3.0"; "x", "[2]", "1.0, 2.0" => "1.0, 1.0")]
    pub fn ones_like(&self) -> Result<Var> {
        self.value().ones_like().map(Var::from)
    }
}

/// An operation of two operands that is constant between its jumps.
fn flat(op: &'static str, a: &Var, b: &Var, y: Tensor) -> Result<Var> {
    Op::new(op).inputs(&[a, b]).record(y, |ctx, dy| {
        let zeros = |i| {
            ctx.grad(i, || {
                Ok(Var::from(Tensor::zeros(
                    ctx.shape(i),
                    (ctx.dtype(i), dy.device()),
                )?))
            })
        };
        Ok([zeros(0)?, zeros(1)?])
    })
}
