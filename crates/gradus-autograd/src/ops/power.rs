//! Powers: of two operands, broadcast, and of one operand and a number.

use gradus_tensor::{DType, Result, Scalar, Tensor};

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// `self^exponent`, element by element.
    ///
    /// At `exponent = 0` the base has gradient 0; at `self = 0, exponent ≥ 0` the exponent has gradient 0.
    ///
    /// Gradient: `dy b a^(b − 1)` and `dy y ln a` (0 where `a` is 0 and `b` is not negative). Shapes, dtypes and
    /// errors are those of [`Tensor::pow`](gradus_tensor::Tensor::pow).
    #[doc = slope!("a.pow(&b)?" => "8.0, 9.0"; "a", "[2]", "2.0, 3.0" => "12.0, 6.0"; "b", "[2]", "3.0, 2.0" => "5.545177, 9.887511")]
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
                    // p xᵖ/x loses less than p x^(p − 1), whose exponent is rounded; but not where xᵖ is 0, or it or p not finite.
                    let y = ctx.output()?;
                    let finite = y.value().isfinite()?.logical_and(&p.value().isfinite()?)?;
                    let edge = finite.logical_not()?.logical_or(&y.value().eq_scalar(0)?)?;
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
    #[doc = slope!("x.pow_scalar(3)?" => "8.0, 27.0"; "x", "[2]", "2.0, 3.0" => "12.0, 27.0")]
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
    #[doc = slope!("x.rpow_scalar(2.0)?" => "4.0, 8.0"; "x", "[2]", "2.0, 3.0" => "2.772589, 5.545177")]
    pub fn rpow_scalar(&self, base: f64) -> Result<Var> {
        Var::from(Tensor::scalar_of(base, self.dtype())?).pow(self)
    }

    /// `self^exponent` in f64.
    ///
    /// Gradient: that of [`Var::pow`], in f64. Shapes, dtypes and errors are those of
    /// [`Tensor::float_power`](gradus_tensor::Tensor::float_power).
    #[doc = slope!("a.float_power(&b)?" => "8.0"; "a", "[1]", "2.0" => "12.0"; "b", "[1]", "3.0" => "5.545177")]
    pub fn float_power(&self, exponent: &Var) -> Result<Var> {
        self.to_dtype(DType::F64)?
            .pow(&exponent.to_dtype(DType::F64)?)
    }
}
