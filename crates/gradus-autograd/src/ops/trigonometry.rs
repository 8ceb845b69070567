//! Circular and hyperbolic functions and their inverses.

use gradus_tensor::Result;

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// The sine (radians).
    ///
    /// Gradient: `dy cos x`. Shapes, dtypes and errors are those of [`Tensor::sin`](gradus_tensor::Tensor::sin).
    #[doc = slope!("x.sin()?" => "0.0, 0.841471"; "x", "[2]", "0.0, 1.0" => "1.0, 0.5403023")]
    pub fn sin(&self) -> Result<Var> {
        let y = self.value().sin()?;
        Op::new("sin")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.mul_(&ctx.input(0)?.cos()?))
    }

    /// The cosine (radians).
    ///
    /// Gradient: `−dy sin x`. Shapes, dtypes and errors are those of [`Tensor::cos`](gradus_tensor::Tensor::cos).
    #[doc = slope!("x.cos()?" => "1.0, 0.5403023"; "x", "[2]", "0.0, 1.0" => "0.0, -0.841471")]
    pub fn cos(&self) -> Result<Var> {
        let y = self.value().cos()?;
        Op::new("cos")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.mul_(&ctx.input(0)?.sin()?)?.neg())
    }

    /// The tangent (radians).
    ///
    /// Gradient: `dy (1 + y²)`. Shapes, dtypes and errors are those of [`Tensor::tan`](gradus_tensor::Tensor::tan).
    #[doc = slope!("x.tan()?" => "0.0, 1.557408"; "x", "[2]", "0.0, 1.0" => "1.0, 3.425519")]
    pub fn tan(&self) -> Result<Var> {
        let y = self.value().tan()?;
        Op::new("tan")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| {
                dy.mul_(&ctx.output()?.square()?.add_scalar(1)?)
            })
    }

    /// The inverse sine.
    ///
    /// Gradient: `dy/√(1 − x²)`. Shapes, dtypes and errors are those of
    /// [`Tensor::asin`](gradus_tensor::Tensor::asin).
    #[doc = slope!("x.asin()?" => "0.0, 0.5235988"; "x", "[2]", "0.0, 0.5" => "1.0, 1.154701")]
    pub fn asin(&self) -> Result<Var> {
        let y = self.value().asin()?;
        Op::new("asin")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                dy.mul_(&one_minus_square(ctx.input(0)?)?.rsqrt()?)
            })
    }

    /// The inverse cosine.
    ///
    /// Gradient: `−dy/√(1 − x²)`. Shapes, dtypes and errors are those of
    /// [`Tensor::acos`](gradus_tensor::Tensor::acos).
    #[doc = slope!("x.acos()?" => "1.570796, 1.047198"; "x", "[2]", "0.0, 0.5" => "-1.0, -1.154701")]
    pub fn acos(&self) -> Result<Var> {
        let y = self.value().acos()?;
        Op::new("acos")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                dy.mul_(&one_minus_square(ctx.input(0)?)?.rsqrt()?)?.neg()
            })
    }

    /// The inverse tangent.
    ///
    /// Gradient: `dy/(1 + x²)`. Shapes, dtypes and errors are those of [`Tensor::atan`](gradus_tensor::Tensor::atan).
    #[doc = slope!("x.atan()?" => "0.0, 0.7853982"; "x", "[2]", "0.0, 1.0" => "1.0, 0.5")]
    pub fn atan(&self) -> Result<Var> {
        let y = self.value().atan()?;
        Op::new("atan")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                dy.div_(&ctx.input(0)?.square()?.add_scalar(1)?)
            })
    }

    /// The angle of the point (x = `other`, y = `self`), in (−π, π].
    ///
    /// Gradient: `dy b/(a² + b²)` and `−dy a/(a² + b²)`. Shapes, dtypes and errors are those of
    /// [`Tensor::atan2`](gradus_tensor::Tensor::atan2).
    #[doc = slope!("a.atan2(&b)?" => "0.7853982, 3.141593"; "a", "[2]", "1.0, 0.0" => "0.5, -0.5"; "b", "[2]", "1.0, -2.0" => "-0.5, 0.0")]
    pub fn atan2(&self, other: &Var) -> Result<Var> {
        let y = self.value().atan2(other.value())?;
        Op::new("atan2")
            .inputs(&[self, other])
            .saves(0)
            .saves(1)
            .record(y, |ctx, dy| {
                let (a, b) = (ctx.input(0)?, ctx.input(1)?);
                let r2 = a.square()?.add(&b.square()?)?;
                // At the origin the gradient is 0, as PyTorch's.
                let d = dy.div(&r2)?.masked_fill(&r2.value().eq_scalar(0)?, 0)?;
                Ok([
                    ctx.grad(0, || d.mul(b)?.sum_to(ctx.shape(0)))?,
                    ctx.grad(1, || d.mul(a)?.neg()?.sum_to(ctx.shape(1)))?,
                ])
            })
    }

    /// The hyperbolic sine.
    ///
    /// Gradient: `dy cosh x`. Shapes, dtypes and errors are those of [`Tensor::sinh`](gradus_tensor::Tensor::sinh).
    #[doc = slope!("x.sinh()?" => "0.0, 1.175201"; "x", "[2]", "0.0, 1.0" => "1.0, 1.543081")]
    pub fn sinh(&self) -> Result<Var> {
        let y = self.value().sinh()?;
        Op::new("sinh")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.mul_(&ctx.input(0)?.cosh()?))
    }

    /// The hyperbolic cosine.
    ///
    /// Gradient: `dy sinh x`. Shapes, dtypes and errors are those of [`Tensor::cosh`](gradus_tensor::Tensor::cosh).
    #[doc = slope!("x.cosh()?" => "1.0, 1.543081"; "x", "[2]", "0.0, 1.0" => "0.0, 1.175201")]
    pub fn cosh(&self) -> Result<Var> {
        let y = self.value().cosh()?;
        Op::new("cosh")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.mul_(&ctx.input(0)?.sinh()?))
    }

    /// The hyperbolic tangent.
    ///
    /// Gradient: `dy (1 − y²)`. Shapes, dtypes and errors are those of [`Tensor::tanh`](gradus_tensor::Tensor::tanh).
    #[doc = slope!("x.tanh()?" => "0.0, 0.7615942"; "x", "[2]", "0.0, 1.0" => "1.0, 0.4199743")]
    pub fn tanh(&self) -> Result<Var> {
        let y = self.value().tanh()?;
        Op::new("tanh")
            .inputs(&[self])
            .saves_output()
            .record(y, |ctx, dy| {
                let y = ctx.output()?;
                if !ctx.create_graph() {
                    return dy.into_value().tanh_backward_(y.value()).map(Var::from);
                }
                dy.mul(&y.square()?.rsub_scalar(1)?)
            })
    }

    /// The inverse hyperbolic sine.
    ///
    /// Gradient: `dy/√(x² + 1)`. Shapes, dtypes and errors are those of
    /// [`Tensor::asinh`](gradus_tensor::Tensor::asinh).
    #[doc = slope!("x.asinh()?" => "0.0, 0.8813736"; "x", "[2]", "0.0, 1.0" => "1.0, 0.7071068")]
    pub fn asinh(&self) -> Result<Var> {
        let y = self.value().asinh()?;
        Op::new("asinh")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                dy.mul_(&ctx.input(0)?.square()?.add_scalar(1)?.rsqrt()?)
            })
    }

    /// The inverse hyperbolic cosine.
    ///
    /// Gradient: `dy/√(x² − 1)`. Shapes, dtypes and errors are those of
    /// [`Tensor::acosh`](gradus_tensor::Tensor::acosh).
    #[doc = slope!("x.acosh()?" => "1.316958, 1.762747"; "x", "[2]", "2.0, 3.0" => "0.5773503, 0.3535534")]
    pub fn acosh(&self) -> Result<Var> {
        let y = self.value().acosh()?;
        Op::new("acosh")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| {
                let x = ctx.input(0)?.abs()?; // by |x|, the 0 under the root is +0 on both sides
                dy.mul_(&x.sub_scalar(1)?.mul_(&x.add_scalar(1)?)?.rsqrt()?)
            })
    }

    /// The inverse hyperbolic tangent.
    ///
    /// Gradient: `dy/(1 − x²)`. Shapes, dtypes and errors are those of
    /// [`Tensor::atanh`](gradus_tensor::Tensor::atanh).
    #[doc = slope!("x.atanh()?" => "0.0, 0.5493061"; "x", "[2]", "0.0, 0.5" => "1.0, 1.333333")]
    pub fn atanh(&self) -> Result<Var> {
        let y = self.value().atanh()?;
        Op::new("atanh")
            .inputs(&[self])
            .saves(0)
            .record(y, |ctx, dy| dy.div_(&one_minus_square(ctx.input(0)?)?))
    }
}

/// `1 − x²` as `(1 − x)(1 + x)`, which is accurate near ±1.
fn one_minus_square(x: &Var) -> Result<Var> {
    x.rsub_scalar(1)?.mul_(&x.add_scalar(1)?)
}
