//! Activations, each with a kernel of its own; `functional` has them as functions with PyTorch's defaults.
//!
//! The usual ones also have a fused kernel for the rule, taken when the backward is not itself recorded.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use gradus_tensor::{Result, Tensor};

use crate::op::Op;
use crate::var::Var;

/// Constants of Klambauer et al., "Self-Normalizing Neural Networks" (2017).
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

/// `dy` where `mask` is false, 0 where it is true.
fn closed_where(dy: Var, mask: Tensor) -> Result<Var> {
    dy.masked_fill_(&mask, 0)
}

impl Var {
    /// `max(x, 0)`; gradient 0 at 0.
    ///
    /// Gradient: `dy` where `x > 0`, 0 elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::relu`](gradus_tensor::Tensor::relu).
    #[doc = slope!("x.relu()?" => "0.0, 2.0"; "x", "[2]", "-1.0, 2.0" => "0.0, 1.0")]
    pub fn relu(&self) -> Result<Var> {
        let y = self.value().relu()?;
        Op::new("relu")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| {
                let y = ctx.output()?;
                if !ctx.create_graph() {
                    return dy.into_value().relu_backward_(y.value()).map(Var::from);
                }
                closed_where(dy, y.value().le_scalar(0)?)
            })
    }

    /// `min(max(x, 0), 6)`; gradient 0 at 0 and at 6.
    ///
    /// Gradient: `dy` where `0 < x < 6`, 0 elsewhere and at NaN. Shapes, dtypes and errors are those of
    /// [`Tensor::relu6`](gradus_tensor::Tensor::relu6).
    #[doc = slope!("x.relu6()?" => "0.0, 2.0, 6.0"; "x", "[3]", "-1.0, 2.0, 7.0" => "0.0, 1.0, 0.0")]
    pub fn relu6(&self) -> Result<Var> {
        let y = self.value().relu6()?;
        Op::new("relu6")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| {
                let y = ctx.output()?;
                if !ctx.create_graph() {
                    return dy.into_value().relu6_backward_(y.value()).map(Var::from);
                }
                let open = y.value().gt_scalar(0)?;
                let open = open.logical_and(&y.value().lt_scalar(6)?)?;
                closed_where(dy, open.logical_not()?)
            })
    }

    /// `min(max(x, min), max)`; gradient 0 at both bounds, as [`Var::clamp`].
    ///
    /// Gradient: `dy` between the bounds, 0 elsewhere and at NaN. Shapes, dtypes and errors are those of
    /// [`Tensor::hardtanh`](gradus_tensor::Tensor::hardtanh).
    #[doc = slope!("x.hardtanh(-1.0, 1.0)?" => "-1.0, 0.5, 1.0"; "x", "[3]", "-2.0, 0.5, 2.0" => "0.0, 1.0, 0.0")]
    pub fn hardtanh(&self, min: f64, max: f64) -> Result<Var> {
        let y = self.value().hardtanh(min, max)?;
        Op::new("hardtanh")
            .inputs(&[self])
            .saves(0)
            .record(y, move |ctx, dy| {
                let x = ctx.input(0)?.value();
                let open = x.gt_scalar(min)?.logical_and(&x.lt_scalar(max)?)?;
                closed_where(dy, open.logical_not()?)
            })
    }

    /// `x` above 0, `negative_slope · x` below.
    ///
    /// Gradient: `dy` where `x > 0`, `negative_slope · dy` elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::leaky_relu`](gradus_tensor::Tensor::leaky_relu).
    #[doc = slope!("x.leaky_relu(0.1)?" => "-0.1, 2.0"; "x", "[2]", "-1.0, 2.0" => "0.1, 1.0")]
    pub fn leaky_relu(&self, negative_slope: f64) -> Result<Var> {
        let y = self.value().leaky_relu(negative_slope)?;
        Op::new("leaky_relu")
            .inputs(&[self])
            .saves(0)
            .record(y, move |ctx, dy| {
                let up = ctx.input(0)?.value().gt_scalar(0)?;
                Var::where_(&up, &dy, &dy.mul_scalar(negative_slope)?)
            })
    }

    /// `x` above 0, `alpha (eˣ − 1)` below.
    ///
    /// Gradient: `dy` where `x > 0`, `alpha eˣ dy` elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::elu`](gradus_tensor::Tensor::elu).
    #[doc = slope!("x.elu(1.0)?" => "-0.6321206, 2.0"; "x", "[2]", "-1.0, 2.0" => "0.3678794, 1.0")]
    pub fn elu(&self, alpha: f64) -> Result<Var> {
        exponential("elu", self, self.value().elu(alpha)?, 1.0, alpha, 1.0)
    }

    /// `scale · elu(x, alpha)` with the constants that keep mean and variance.
    ///
    /// Gradient: that of ELU, times the scale. Shapes, dtypes and errors are those of
    /// [`Tensor::selu`](gradus_tensor::Tensor::selu).
    #[doc = slope!("x.selu()?" => "-1.111331, 2.101402"; "x", "[2]", "-1.0, 2.0" => "0.6467686, 1.050701")]
    pub fn selu(&self) -> Result<Var> {
        exponential(
            "selu",
            self,
            self.value().selu()?,
            SELU_SCALE,
            SELU_ALPHA,
            1.0,
        )
    }

    /// `max(x, 0) + min(alpha (e^(x/alpha) − 1), 0)`.
    ///
    /// Gradient: `dy` where `x > 0`, `e^(x/alpha) dy` elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::celu`](gradus_tensor::Tensor::celu).
    #[doc = slope!("x.celu(0.5)?" => "-0.4323324, 2.0"; "x", "[2]", "-1.0, 2.0" => "0.1353353, 1.0")]
    pub fn celu(&self, alpha: f64) -> Result<Var> {
        exponential(
            "celu",
            self,
            self.value().celu(alpha)?,
            1.0,
            alpha,
            1.0 / alpha,
        )
    }

    /// `x Φ(x)`, with the error function.
    ///
    /// Gradient: `dy (Φ(x) + x φ(x))`. Shapes, dtypes and errors are those of
    /// [`Tensor::gelu`](gradus_tensor::Tensor::gelu).
    #[doc = slope!("x.gelu()?" => "-0.1586553, 1.9545"; "x", "[2]", "-1.0, 2.0" => "-0.08331547, 1.085232")]
    pub fn gelu(&self) -> Result<Var> {
        let y = self.value().gelu()?;
        Op::new("gelu")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                let x = ctx.input(0)?;
                if !ctx.create_graph() {
                    return dy.into_value().gelu_backward_(x.value()).map(Var::from);
                }
                // Φ(x) + x φ(x)
                let cdf = x
                    .mul_scalar(FRAC_1_SQRT_2)?
                    .erf()?
                    .add_scalar(1)?
                    .mul_scalar(0.5)?;
                let pdf = x
                    .square()?
                    .mul_scalar(-0.5)?
                    .exp()?
                    .mul_scalar(1.0 / (2.0 * PI).sqrt())?;
                dy.mul(&cdf.add(&x.mul(&pdf)?)?)
            })
    }

    /// `x Φ(x)`, with Φ approximated by tanh, as GPT-2 has it.
    ///
    /// Gradient: that of the approximation itself, not of the exact GELU. Shapes, dtypes and errors are those of
    /// [`Tensor::gelu_tanh`](gradus_tensor::Tensor::gelu_tanh).
    #[doc = slope!("x.gelu_tanh()?" => "-0.158808, 1.954598"; "x", "[2]", "-1.0, 2.0" => "-0.08296408, 1.086099")]
    pub fn gelu_tanh(&self) -> Result<Var> {
        const CUBE: f64 = 0.044_715;
        let y = self.value().gelu_tanh()?;
        Op::new("gelu_tanh")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                let x = ctx.input(0)?;
                if !ctx.create_graph() {
                    return dy
                        .into_value()
                        .gelu_tanh_backward_(x.value())
                        .map(Var::from);
                }
                // y = x/2 (1 + t), t = tanh(u), u = √(2/π) (x + c x³)
                let root = (2.0 / PI).sqrt();
                let x2 = x.square()?;
                let t = x
                    .mul(&x2.mul_scalar(CUBE)?.add_scalar(1)?)?
                    .mul_scalar(root)?
                    .tanh()?;
                let du = x2.mul_scalar(3.0 * CUBE)?.add_scalar(1)?.mul_scalar(root)?;
                let dt = t.square()?.rsub_scalar(1)?.mul(&du)?;
                dy.mul(&t.add_scalar(1)?.add(&x.mul(&dt)?)?.mul_scalar(0.5)?)
            })
    }

    /// `x · sigmoid(x)`.
    ///
    /// Gradient: `dy σ(x) (1 + x (1 − σ(x)))`. Shapes, dtypes and errors are those of
    /// [`Tensor::silu`](gradus_tensor::Tensor::silu).
    #[doc = slope!("x.silu()?" => "-0.2689414, 1.761594"; "x", "[2]", "-1.0, 2.0" => "0.07232949, 1.090784")]
    pub fn silu(&self) -> Result<Var> {
        let y = self.value().silu()?;
        Op::new("silu")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                let x = ctx.input(0)?;
                if !ctx.create_graph() {
                    return dy.into_value().silu_backward_(x.value()).map(Var::from);
                }
                // s (1 + x (1 − s))
                let s = x.sigmoid()?;
                dy.mul(&s.rsub_scalar(1)?.mul(x)?.add_scalar(1)?.mul(&s)?)
            })
    }

    /// `x · tanh(softplus(x))`.
    ///
    /// Gradient: that of `x · tanh(softplus(x))` by the product rule. Shapes, dtypes and errors are those of
    /// [`Tensor::mish`](gradus_tensor::Tensor::mish).
    #[doc = slope!("x.mish()?" => "-0.3034015, 1.943959"; "x", "[2]", "-1.0, 2.0" => "0.05921676, 1.069318")]
    pub fn mish(&self) -> Result<Var> {
        let y = self.value().mish()?;
        Op::new("mish")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                // t + x s (1 − t²), t = tanh(softplus(x)), s = sigmoid(x)
                let x = ctx.input(0)?;
                let t = x.softplus(1.0, 20.0)?.tanh()?;
                let slope = t.square()?.rsub_scalar(1)?.mul(&x.sigmoid()?)?.mul(x)?;
                dy.mul_(&slope.add_(&t)?)
            })
    }

    /// `ln(1 + e^(beta x))/beta`, and `x` itself where `beta x` is above `threshold`.
    ///
    /// Gradient: `dy σ(beta x)`, and `dy` above the threshold. Shapes, dtypes and errors are those of
    /// [`Tensor::softplus`](gradus_tensor::Tensor::softplus).
    #[doc = slope!("x.softplus(1.0, 20.0)?" => "0.3132617, 2.126928"; "x", "[2]", "-1.0, 2.0" => "0.2689414, 0.8807971")]
    pub fn softplus(&self, beta: f64, threshold: f64) -> Result<Var> {
        let y = self.value().softplus(beta, threshold)?;
        Op::new("softplus")
            .inputs(&[self])
            .saves(0)
            .record(y, move |ctx, dy| {
                let bx = ctx.input(0)?.mul_scalar(beta)?;
                dy.mul_(
                    &bx.sigmoid()?
                        .masked_fill_(&bx.value().gt_scalar(threshold)?, 1)?,
                )
            })
    }

    /// `x/(1 + |x|)`.
    ///
    /// Gradient: `dy / (1 + |x|)²`. Shapes, dtypes and errors are those of
    /// [`Tensor::softsign`](gradus_tensor::Tensor::softsign).
    #[doc = slope!("x.softsign()?" => "-0.5, 0.75"; "x", "[2]", "-1.0, 3.0" => "0.25, 0.0625")]
    pub fn softsign(&self) -> Result<Var> {
        let y = self.value().softsign()?;
        Op::new("softsign")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                let x = ctx.input(0)?;
                // At ±∞ the value is ∞/∞, and the gradient is no more of a number.
                let lost = x.value().isinf()?;
                dy.div_(&x.abs()?.add_scalar_(1)?.square_()?)?
                    .masked_fill_(&lost, f64::NAN)
            })
    }

    /// `x · relu6(x + 3)/6`.
    ///
    /// Gradient: `dy (2x + 3)/6` between −3 and 3, `dy` above, 0 below. Shapes, dtypes and errors are those of
    /// [`Tensor::hardswish`](gradus_tensor::Tensor::hardswish).
    #[doc = slope!("x.hardswish()?" => "0.0, 0.6666667, 4.0"; "x", "[3]", "-4.0, 1.0, 4.0" => "0.0, 0.8333333, 1.0")]
    pub fn hardswish(&self) -> Result<Var> {
        let y = self.value().hardswish()?;
        Op::new("hardswish")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                let x = ctx.input(0)?;
                let slope = x.div_scalar(3)?.add_scalar_(0.5)?;
                let slope = slope
                    .masked_fill_(&x.value().le_scalar(-3)?, 0)?
                    .masked_fill_(&x.value().ge_scalar(3)?, 1)?;
                dy.mul_(&slope)
            })
    }

    /// `relu6(x + 3)/6`.
    ///
    /// Gradient: `dy/6` between −3 and 3, 0 elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::hardsigmoid`](gradus_tensor::Tensor::hardsigmoid).
    #[doc = slope!("x.hardsigmoid()?" => "0.0, 0.75, 1.0"; "x", "[3]", "-4.0, 1.5, 4.0" => "0.0, 0.1666667, 0.0")]
    pub fn hardsigmoid(&self) -> Result<Var> {
        let y = self.value().hardsigmoid()?;
        Op::new("hardsigmoid")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                let x = ctx.input(0)?.value();
                let open = x.gt_scalar(-3)?.logical_and(&x.lt_scalar(3)?)?;
                closed_where(dy.div_scalar_(6)?, open.logical_not()?)
            })
    }

    /// `x` where `|x| > lambda`, else 0.
    ///
    /// Gradient: `dy` where the element was kept, 0 elsewhere and at NaN. Shapes, dtypes and errors are those of
    /// [`Tensor::hardshrink`](gradus_tensor::Tensor::hardshrink).
    #[doc = slope!("x.hardshrink(0.5)?" => "0.0, 2.0"; "x", "[2]", "0.25, 2.0" => "0.0, 1.0")]
    pub fn hardshrink(&self, lambda: f64) -> Result<Var> {
        let y = self.value().hardshrink(lambda)?;
        Op::new("hardshrink")
            .inputs(&[self])
            .saves(0)
            .record(y, move |ctx, dy| {
                let kept = ctx.input(0)?.value().abs()?.gt_scalar(lambda)?;
                closed_where(dy, kept.logical_not()?)
            })
    }

    /// `x` moved by `lambda` towards 0, and 0 where `|x| ≤ lambda`.
    ///
    /// Gradient: `dy` where the element was not made 0, and 0 at NaN. Shapes, dtypes and errors are those of
    /// [`Tensor::softshrink`](gradus_tensor::Tensor::softshrink).
    #[doc = slope!("x.softshrink(0.5)?" => "0.0, 1.5"; "x", "[2]", "0.25, 2.0" => "0.0, 1.0")]
    pub fn softshrink(&self, lambda: f64) -> Result<Var> {
        let y = self.value().softshrink(lambda)?;
        Op::new("softshrink")
            .inputs(&[self])
            .saves(0)
            .record(y, move |ctx, dy| {
                let kept = ctx.input(0)?.value().abs()?.gt_scalar(lambda)?;
                closed_where(dy, kept.logical_not()?)
            })
    }

    /// `x − tanh(x)`.
    ///
    /// Gradient: `dy tanh²(x)`. Shapes, dtypes and errors are those of
    /// [`Tensor::tanhshrink`](gradus_tensor::Tensor::tanhshrink).
    #[doc = slope!("x.tanhshrink()?" => "0.0, 0.2384058"; "x", "[2]", "0.0, 1.0" => "0.0, 0.5800257")]
    pub fn tanhshrink(&self) -> Result<Var> {
        let y = self.value().tanhshrink()?;
        Op::new("tanhshrink")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.mul_(&ctx.input(0)?.tanh()?.square_()?))
    }

    /// `x` above `threshold`, `value` elsewhere.
    ///
    /// Gradient: `dy` above the threshold, 0 elsewhere. Shapes, dtypes and errors are those of
    /// [`Tensor::threshold`](gradus_tensor::Tensor::threshold).
    #[doc = slope!("x.threshold(1.0, -3.0)?" => "-3.0, 2.0"; "x", "[2]", "0.5, 2.0" => "0.0, 1.0")]
    pub fn threshold(&self, threshold: f64, value: f64) -> Result<Var> {
        let y = self.value().threshold(threshold, value)?;
        Op::new("threshold")
            .inputs(&[self])
            .saves(0)
            .record(y, move |ctx, dy| {
                closed_where(dy, ctx.input(0)?.value().le_scalar(threshold)?)
            })
    }

    /// `1/(1 + e⁻ˣ)`.
    ///
    /// Gradient: `dy y (1 − y)`. Shapes, dtypes and errors are those of
    /// [`Tensor::sigmoid`](gradus_tensor::Tensor::sigmoid).
    #[doc = slope!("x.sigmoid()?" => "0.5, 0.8807971"; "x", "[2]", "0.0, 2.0" => "0.25, 0.1049936")]
    pub fn sigmoid(&self) -> Result<Var> {
        let y = self.value().sigmoid()?;
        Op::new("sigmoid")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| {
                let y = ctx.output()?;
                if !ctx.create_graph() {
                    return dy.into_value().sigmoid_backward_(y.value()).map(Var::from);
                }
                dy.mul(&y.rsub_scalar(1)?.mul(&y)?)
            })
    }

    /// `ln(sigmoid(x))`, accurate for large `−x`.
    ///
    /// Gradient: `dy σ(−x)`. Shapes, dtypes and errors are those of
    /// [`Tensor::logsigmoid`](gradus_tensor::Tensor::logsigmoid).
    #[doc = slope!("x.logsigmoid()?" => "-0.6931472, -0.126928"; "x", "[2]", "0.0, 2.0" => "0.5, 0.1192029")]
    pub fn logsigmoid(&self) -> Result<Var> {
        let y = self.value().logsigmoid()?;
        Op::new("logsigmoid")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.mul_(&ctx.input(0)?.neg()?.sigmoid()?))
    }
}

/// The rule of elu and its kin: slope `scale` above 0, `scale · alpha · inner · e^(inner x)` at and below.
fn exponential(
    op: &'static str,
    x: &Var,
    y: Tensor,
    scale: f64,
    alpha: f64,
    inner: f64,
) -> Result<Var> {
    Op::new(op).inputs(&[x]).saves(0).record(y, move |ctx, dy| {
        let x = ctx.input(0)?;
        let up = x.value().gt_scalar(0)?;
        // Masked before exp, which may overflow where it is not used.
        let below = x
            .masked_fill(&up, 0)?
            .mul_scalar_(inner)?
            .exp_()?
            .mul_scalar_(scale * alpha * inner)?;
        dy.mul_(&below.masked_fill_(&up, scale)?)
    })
}
