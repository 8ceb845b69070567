//! Powers, roots, exponentials, logarithms, special functions and rounding: functions of one number.

use std::f64::consts::{LN_2, LN_10, PI};

use gradus_tensor::{DType, Device, Result, To};

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// The same numbers in another dtype; the gradient comes back in this one.
    ///
    /// Gradient: `dy` in the old dtype; whole numbers and bools have none. Shapes, dtypes and errors are those of
    /// [`Tensor::to_dtype`](gradus_tensor::Tensor::to_dtype).
    #[doc = slope!("x.to_dtype(gradus_tensor::DType::F32)?.to_dtype(x.dtype())?" => "1.0, 2.0"; "x", "[2]", "1.0, 2.0" => "1.0, 1.0")]
    pub fn to_dtype(&self, dtype: DType) -> Result<Var> {
        if self.dtype() == dtype {
            return Ok(self.clone());
        }
        let y = self.value().to_dtype(dtype)?;
        Op::new("to_dtype")
            .inputs(&[self])
            .record(y, |ctx, dy| dy.to_dtype(ctx.dtype(0)))
    }

    /// The same numbers on another device; the gradient comes back to this one.
    ///
    /// Gradient: `dy`, on the device `x` is on.
    ///
    /// # Errors
    /// Those of [`Tensor::to_device`](gradus_tensor::Tensor::to_device).
    #[doc = slope!("x.to_device(&gradus_tensor::Device::Cpu)?" => "1.0, 2.0"; "x", "[2]", "1.0, 2.0" => "1.0, 1.0")]
    pub fn to_device(&self, device: &Device) -> Result<Var> {
        let here = self.value().device();
        if here == *device {
            return Ok(self.clone());
        }
        let y = self.value().to_device(device)?;
        Op::new("to_device")
            .inputs(&[self])
            .record(y, move |_, dy| dy.to_device(&here))
    }

    /// [`to_device`](Self::to_device) or [`to_dtype`](Self::to_dtype), by what it is given, as `tensor.to` in PyTorch.
    ///
    /// Gradient: theirs.
    ///
    /// # Errors
    /// As theirs.
    #[doc = slope!("x.to(&gradus_tensor::Device::Cpu)?.to(x.dtype())?" => "1.0, 2.0"; "x", "[2]", "1.0, 2.0" => "1.0, 1.0")]
    pub fn to(&self, target: impl Into<To>) -> Result<Var> {
        match target.into() {
            To::Device(device) => self.to_device(&device),
            To::DType(dtype) => self.to_dtype(dtype),
        }
    }

    /// `|x|`; gradient 0 at 0.
    ///
    /// Gradient: `dy sign(x)`, 0 at 0. Shapes, dtypes and errors are those of
    /// [`Tensor::abs`](gradus_tensor::Tensor::abs).
    #[doc = slope!("x.abs()?" => "1.0, 2.0"; "x", "[2]", "-1.0, 2.0" => "-1.0, 1.0")]
    pub fn abs(&self) -> Result<Var> {
        let y = self.value().abs()?;
        Op::new("abs")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.mul_(&ctx.input(0)?.sign()?))
    }

    /// `x²`.
    ///
    /// Gradient: `2 x dy`. Shapes, dtypes and errors are those of [`Tensor::square`](gradus_tensor::Tensor::square).
    #[doc = slope!("x.square()?" => "1.0, 9.0"; "x", "[2]", "-1.0, 3.0" => "-2.0, 6.0")]
    pub fn square(&self) -> Result<Var> {
        let y = self.value().square()?;
        Op::new("square")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.mul_(ctx.input(0)?)?.mul_scalar(2))
    }

    /// `√x`.
    ///
    /// Gradient: `dy/(2 y)`. Shapes, dtypes and errors are those of [`Tensor::sqrt`](gradus_tensor::Tensor::sqrt).
    #[doc = slope!("x.sqrt()?" => "1.0, 2.0"; "x", "[2]", "1.0, 4.0" => "0.5, 0.25")]
    pub fn sqrt(&self) -> Result<Var> {
        let y = self.value().sqrt()?;
        Op::new("sqrt")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| dy.div_(&ctx.output()?.mul_scalar(2)?))
    }

    /// `1/√x`.
    ///
    /// Gradient: `−dy y³/2`. Shapes, dtypes and errors are those of [`Tensor::rsqrt`](gradus_tensor::Tensor::rsqrt).
    #[doc = slope!("x.rsqrt()?" => "1.0, 0.5"; "x", "[2]", "1.0, 4.0" => "-0.5, -0.0625")]
    pub fn rsqrt(&self) -> Result<Var> {
        let y = self.value().rsqrt()?;
        Op::new("rsqrt")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| {
                dy.mul_(&ctx.output()?.pow_scalar(3)?)?.mul_scalar(-0.5)
            })
    }

    /// `1/x`.
    ///
    /// Gradient: `−dy y²`. Shapes, dtypes and errors are those of
    /// [`Tensor::reciprocal`](gradus_tensor::Tensor::reciprocal).
    #[doc = slope!("x.reciprocal()?" => "1.0, 0.25"; "x", "[2]", "1.0, 4.0" => "-1.0, -0.0625")]
    pub fn reciprocal(&self) -> Result<Var> {
        let y = self.value().reciprocal()?;
        Op::new("reciprocal")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| dy.mul_(&ctx.output()?.square()?)?.neg())
    }

    /// `eˣ`.
    ///
    /// Gradient: `dy y`. Shapes, dtypes and errors are those of [`Tensor::exp`](gradus_tensor::Tensor::exp).
    #[doc = slope!("x.exp()?" => "1.0, 2.718282"; "x", "[2]", "0.0, 1.0" => "1.0, 2.718282")]
    pub fn exp(&self) -> Result<Var> {
        let y = self.value().exp()?;
        Op::new("exp")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| dy.mul_(&ctx.output()?))
    }

    /// `2ˣ`.
    ///
    /// Gradient: `dy y ln 2`. Shapes, dtypes and errors are those of [`Tensor::exp2`](gradus_tensor::Tensor::exp2).
    #[doc = slope!("x.exp2()?" => "1.0, 8.0"; "x", "[2]", "0.0, 3.0" => "0.6931472, 5.545177")]
    pub fn exp2(&self) -> Result<Var> {
        let y = self.value().exp2()?;
        Op::new("exp2")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| dy.mul_(&ctx.output()?)?.mul_scalar(LN_2))
    }

    /// `eˣ − 1`, accurate near 0.
    ///
    /// Gradient: `dy (y + 1)`. Shapes, dtypes and errors are those of
    /// [`Tensor::expm1`](gradus_tensor::Tensor::expm1).
    #[doc = slope!("x.expm1()?" => "0.0, 1.718282"; "x", "[2]", "0.0, 1.0" => "1.0, 2.718282")]
    pub fn expm1(&self) -> Result<Var> {
        let y = self.value().expm1()?;
        Op::new("expm1")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| dy.mul_(&ctx.output()?.add_scalar(1)?))
    }

    /// The natural logarithm.
    ///
    /// Gradient: `dy/x`. Shapes, dtypes and errors are those of [`Tensor::log`](gradus_tensor::Tensor::log).
    #[doc = slope!("x.log()?" => "0.0, 0.6931472"; "x", "[2]", "1.0, 2.0" => "1.0, 0.5")]
    pub fn log(&self) -> Result<Var> {
        let y = self.value().log()?;
        Op::new("log")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.div_(ctx.input(0)?))
    }

    /// `ln(1 + x)`, accurate near 0.
    ///
    /// Gradient: `dy/(1 + x)`. Shapes, dtypes and errors are those of
    /// [`Tensor::log1p`](gradus_tensor::Tensor::log1p).
    #[doc = slope!("x.log1p()?" => "0.0, 0.6931472"; "x", "[2]", "0.0, 1.0" => "1.0, 0.5")]
    pub fn log1p(&self) -> Result<Var> {
        let y = self.value().log1p()?;
        Op::new("log1p")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.div_(&ctx.input(0)?.add_scalar(1)?))
    }

    /// The logarithm to base 2.
    ///
    /// Gradient: `dy/(x ln 2)`. Shapes, dtypes and errors are those of [`Tensor::log2`](gradus_tensor::Tensor::log2).
    #[doc = slope!("x.log2()?" => "0.0, 3.0"; "x", "[2]", "1.0, 8.0" => "1.442695, 0.1803369")]
    pub fn log2(&self) -> Result<Var> {
        let y = self.value().log2()?;
        Op::new("log2")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.div_(&ctx.input(0)?.mul_scalar(LN_2)?))
    }

    /// The logarithm to base 10.
    ///
    /// Gradient: `dy/(x ln 10)`. Shapes, dtypes and errors are those of
    /// [`Tensor::log10`](gradus_tensor::Tensor::log10).
    #[doc = slope!("x.log10()?" => "0.0, 2.0"; "x", "[2]", "1.0, 100.0" => "0.4342945, 0.004342945")]
    pub fn log10(&self) -> Result<Var> {
        let y = self.value().log10()?;
        Op::new("log10")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.div_(&ctx.input(0)?.mul_scalar(LN_10)?))
    }

    /// The error function `2/√π ∫₀ˣ e^(−t²) dt`.
    ///
    /// Gradient: `dy 2/√π e^(−x²)`. Shapes, dtypes and errors are those of
    /// [`Tensor::erf`](gradus_tensor::Tensor::erf).
    #[doc = slope!("x.erf()?" => "0.0, 0.8427008"; "x", "[2]", "0.0, 1.0" => "1.128379, 0.4151075")]
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
    ///
    /// Gradient: `−dy 2/√π e^(−x²)`. Shapes, dtypes and errors are those of
    /// [`Tensor::erfc`](gradus_tensor::Tensor::erfc).
    #[doc = slope!("x.erfc()?" => "1.0, 0.1572992"; "x", "[2]", "0.0, 1.0" => "-1.128379, -0.4151075")]
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
    ///
    /// Gradient: `dy √π/2 e^(y²)`. Shapes, dtypes and errors are those of
    /// [`Tensor::erfinv`](gradus_tensor::Tensor::erfinv).
    #[doc = slope!("x.erfinv()?" => "0.0, 0.4769363"; "x", "[2]", "0.0, 0.5" => "0.8862269, 1.112585")]
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
    ///
    /// Gradient: `dy digamma(x)`. Shapes, dtypes and errors are those of
    /// [`Tensor::lgamma`](gradus_tensor::Tensor::lgamma).
    #[doc = slope!("x.lgamma()?" => "0.0, 3.178054"; "x", "[2]", "2.0, 5.0" => "0.4227843, 1.506118")]
    pub fn lgamma(&self) -> Result<Var> {
        let y = self.value().lgamma()?;
        Op::new("lgamma")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.mul_(&ctx.input(0)?.digamma()?))
    }

    /// The derivative of `ln Γ`.
    ///
    /// Gradient: `dy` times the trigamma function. Shapes, dtypes and errors are those of
    /// [`Tensor::digamma`](gradus_tensor::Tensor::digamma).
    #[doc = slope!("x.digamma()?" => "-0.5772157, 0.4227843"; "x", "[2]", "1.0, 2.0" => "1.644934, 0.6449341")]
    pub fn digamma(&self) -> Result<Var> {
        let y = self.value().digamma()?;
        Op::new("digamma")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                // The reflection cancels: too much for f32.
                let slope = ctx.input(0)?.to_dtype(DType::F64)?.trigamma()?;
                dy.mul_(&slope.to_dtype(ctx.dtype(0))?)
            })
    }

    /// The second derivative of `ln Γ`, by its series at `z + 8` (Abramowitz and Stegun 6.4.12), `z = x` or, below ½,
    /// `1 − x` by reflection. A composition: it has all derivatives.
    fn trigamma(&self) -> Result<Var> {
        // Bernoulli numbers B₂ to B₁₄.
        const B: [f64; 7] = [
            1.0 / 6.0,
            -1.0 / 30.0,
            1.0 / 42.0,
            -1.0 / 30.0,
            5.0 / 66.0,
            -691.0 / 2730.0,
            7.0 / 6.0,
        ];
        let low = self.value().lt_scalar(0.5)?;
        let z = Var::where_(&low, &self.rsub_scalar(1)?, self)?;
        let r = z.add_scalar(8)?.reciprocal()?;
        let r2 = r.square()?;
        let mut tail = r2.mul_scalar(B[6])?;
        for b in B[..6].iter().rev() {
            tail = tail.add_scalar(*b)?.mul(&r2)?;
        }
        let mut sum = r.add(&r2.mul_scalar(0.5)?)?.add(&tail.mul(&r)?)?;
        for k in 0..8 {
            sum = sum.add(&z.add_scalar(k)?.square()?.reciprocal()?)?;
        }
        let inner = self.masked_fill(&low.logical_not()?, 0.25)?; // kept off the poles where it is not used
        let mirror = inner
            .mul_scalar(PI)?
            .sin()?
            .reciprocal()?
            .square()?
            .mul_scalar(PI * PI)?;
        Var::where_(&low, &mirror.sub(&sum)?, &sum)
    }

    /// `ln(x/(1 − x))`, the inverse of [`Var::sigmoid`]; with `eps`, of `x` clamped to `eps..=1 − eps`, whose gradient is
    /// 0 beyond.
    ///
    /// Gradient: `dy/(x (1 − x))`, 0 where `eps` held `x`. Shapes, dtypes and errors are those of
    /// [`Tensor::logit`](gradus_tensor::Tensor::logit).
    #[doc = slope!("x.logit(None)?" => "0.0, 1.098612"; "x", "[2]", "0.5, 0.75" => "4.0, 5.333333")]
    pub fn logit(&self, eps: Option<f64>) -> Result<Var> {
        let y = self.value().logit(eps)?;
        Op::new("logit")
            .inputs(&[self])
            .saves(0)
            .record(y, move |ctx, dy| {
                let x = ctx.input(0)?;
                let dx = dy.div(&x.rsub_scalar(1)?.mul(x)?)?;
                // Without eps the value beyond 0..=1 is NaN, and so is the gradient; with it both NaN and what it cuts off have none.
                let (low, fill) = eps.map_or((0.0, f64::NAN), |eps| (eps, 0.0));
                let inside = x
                    .value()
                    .ge_scalar(low)?
                    .logical_and(&x.value().le_scalar(1.0 - low)?)?;
                dx.masked_fill(&inside.logical_not()?, fill)
            })
    }

    /// `sin(πx)/(πx)`, 1 at 0.
    ///
    /// Gradient: `dy (cos(πx) − y)/x`, 0 at 0. Shapes, dtypes and errors are those of
    /// [`Tensor::sinc`](gradus_tensor::Tensor::sinc).
    #[doc = slope!("x.sinc()?" => "1.0, 0.6366198"; "x", "[2]", "0.0, 0.5" => "0.0, -1.27324")]
    pub fn sinc(&self) -> Result<Var> {
        let y = self.value().sinc()?;
        Op::new("sinc")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                let x = ctx.input(0)?;
                let t = x.mul_scalar(PI)?;
                // (t cos t − sin t)/t² cancels near 0; there it is Σ (−1)ᵏ 2k t²ᵏ⁻¹/(2k + 1)!.
                let near = t.value().abs()?.lt_scalar(1)?;
                let far = t.masked_fill(&near, 1)?;
                let far = far
                    .mul(&far.cos()?)?
                    .sub(&far.sin()?)?
                    .div(&far.square()?)?;
                let small = t.masked_fill(&near.logical_not()?, 0)?;
                let square = small.square()?;
                let mut series = square.zeros_like()?;
                for k in (1..=8).rev() {
                    let factorial: f64 = (1..=2 * k + 1).map(f64::from).product();
                    let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
                    series = series
                        .mul(&square)?
                        .add_scalar(sign * f64::from(2 * k) / factorial)?;
                }
                let slope = Var::where_(&near, &series.mul(&small)?, &far)?;
                slope.mul_scalar(PI)?.mul(&dy)
            })
    }

    /// −1, 0 or 1. Gradient 0.
    ///
    /// Gradient: 0, as almost everywhere. Shapes, dtypes and errors are those of
    /// [`Tensor::sign`](gradus_tensor::Tensor::sign).
    #[doc = slope!("x.sign()?" => "-1.0, 1.0"; "x", "[2]", "-3.0, 2.0" => "0.0, 0.0")]
    pub fn sign(&self) -> Result<Var> {
        let y = self.value().sign()?;
        Op::new("sign")
            .inputs(&[self])
            .record(y, |_, dy| dy.zeros_like())
    }

    /// Towards −∞. Gradient 0.
    ///
    /// Gradient: 0, as almost everywhere. Shapes, dtypes and errors are those of
    /// [`Tensor::floor`](gradus_tensor::Tensor::floor).
    #[doc = slope!("x.floor()?" => "-2.0, 2.0"; "x", "[2]", "-1.5, 2.5" => "0.0, 0.0")]
    pub fn floor(&self) -> Result<Var> {
        let y = self.value().floor()?;
        Op::new("floor")
            .inputs(&[self])
            .record(y, |_, dy| dy.zeros_like())
    }

    /// Towards +∞. Gradient 0.
    ///
    /// Gradient: 0, as almost everywhere. Shapes, dtypes and errors are those of
    /// [`Tensor::ceil`](gradus_tensor::Tensor::ceil).
    #[doc = slope!("x.ceil()?" => "-1.0, 3.0"; "x", "[2]", "-1.5, 2.5" => "0.0, 0.0")]
    pub fn ceil(&self) -> Result<Var> {
        let y = self.value().ceil()?;
        Op::new("ceil")
            .inputs(&[self])
            .record(y, |_, dy| dy.zeros_like())
    }

    /// To the nearest whole number, halves to even. Gradient 0.
    ///
    /// Gradient: 0, as almost everywhere. Shapes, dtypes and errors are those of
    /// [`Tensor::round`](gradus_tensor::Tensor::round).
    #[doc = slope!("x.round()?" => "-2.0, 2.0"; "x", "[2]", "-1.5, 2.5" => "0.0, 0.0")]
    pub fn round(&self) -> Result<Var> {
        let y = self.value().round()?;
        Op::new("round")
            .inputs(&[self])
            .record(y, |_, dy| dy.zeros_like())
    }

    /// Towards 0. Gradient 0.
    ///
    /// Gradient: 0, as almost everywhere. Shapes, dtypes and errors are those of
    /// [`Tensor::trunc`](gradus_tensor::Tensor::trunc).
    #[doc = slope!("x.trunc()?" => "-1.0, 2.0"; "x", "[2]", "-1.5, 2.5" => "0.0, 0.0")]
    pub fn trunc(&self) -> Result<Var> {
        let y = self.value().trunc()?;
        Op::new("trunc")
            .inputs(&[self])
            .record(y, |_, dy| dy.zeros_like())
    }

    /// `x − trunc(x)`.
    ///
    /// Gradient: `dy`. Shapes, dtypes and errors are those of [`Tensor::frac`](gradus_tensor::Tensor::frac).
    #[doc = slope!("x.frac()?" => "-0.5, 0.25"; "x", "[2]", "-1.5, 2.25" => "1.0, 1.0")]
    pub fn frac(&self) -> Result<Var> {
        let y = self.value().frac()?;
        Op::new("frac").inputs(&[self]).record(y, |_, dy| Ok(dy))
    }

    /// Degrees as radians.
    ///
    /// Gradient: `dy π/180`. Shapes, dtypes and errors are those of
    /// [`Tensor::deg2rad`](gradus_tensor::Tensor::deg2rad).
    #[doc = slope!("x.deg2rad()?" => "1.570796, 3.141593"; "x", "[2]", "90.0, 180.0" => "0.01745329, 0.01745329")]
    pub fn deg2rad(&self) -> Result<Var> {
        self.mul_scalar(PI / 180.0)
    }

    /// Radians as degrees.
    ///
    /// Gradient: `dy 180/π`. Shapes, dtypes and errors are those of
    /// [`Tensor::rad2deg`](gradus_tensor::Tensor::rad2deg).
    #[doc = slope!("x.rad2deg()?" => "57.29578, 114.5916"; "x", "[2]", "1.0, 2.0" => "57.29578, 57.29578")]
    pub fn rad2deg(&self) -> Result<Var> {
        self.mul_scalar(180.0 / PI)
    }

    /// NaN and the infinities replaced by numbers (`None`: 0 and the dtype's extremes). Gradient 0 there.
    ///
    /// Gradient: `dy` where the number was finite, 0 elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::nan_to_num`](gradus_tensor::Tensor::nan_to_num).
    #[doc = slope!("x.div(&x.zeros_like()?)?.nan_to_num(None, Some(9.0), None)?.add(&x)?" => "10.0, 11.0"; "x", "[2]", "1.0, 2.0" => "f64::NAN, f64::NAN")]
    pub fn nan_to_num(
        &self,
        nan: Option<f64>,
        posinf: Option<f64>,
        neginf: Option<f64>,
    ) -> Result<Var> {
        let y = self.value().nan_to_num(nan, posinf, neginf)?;
        Op::new("nan_to_num")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                dy.masked_fill_(&ctx.input(0)?.value().isfinite()?.logical_not()?, 0)
            })
    }
}
