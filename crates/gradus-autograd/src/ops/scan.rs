//! Running sums, products and extremes, and differences of neighbours.

use gradus_tensor::{DType, Error, Result, Tensor};

use crate::op::Op;
use crate::ops::reduce::picked;
use crate::var::Var;

impl Var {
    /// The sum of the elements so far along `dim`.
    ///
    /// Gradient: `dy` summed from the back. Shapes, dtypes and errors are those of
    /// [`Tensor::cumsum`](gradus_tensor::Tensor::cumsum).
    #[doc = slope!("x.cumsum(0)?" => "1.0, 3.0, 6.0"; "x", "[3]", "1.0, 2.0, 3.0" => "3.0, 2.0, 1.0")]
    pub fn cumsum(&self, dim: isize) -> Result<Var> {
        let y = self.value().cumsum(dim)?;
        Op::new("cumsum")
            .inputs(&[self])
            .record(y, move |_, dy| dy.reverse_cumsum(dim))
    }

    fn reverse_cumsum(&self, dim: isize) -> Result<Var> {
        self.flip(dim)?.cumsum(dim)?.flip(dim)
    }

    /// The product of the elements so far along `dim`.
    ///
    /// Gradient: sums of products of the others, also where some are 0. Shapes, dtypes and errors are those of
    /// [`Tensor::cumprod`](gradus_tensor::Tensor::cumprod).
    #[doc = slope!("x.cumprod(0)?" => "1.0, 2.0, 6.0"; "x", "[3]", "1.0, 2.0, 3.0" => "9.0, 4.0, 2.0")]
    pub fn cumprod(&self, dim: isize) -> Result<Var> {
        let y = self.value().cumprod(dim)?;
        Op::new("cumprod")
            .inputs(&[self])
            .saves(0)
            .saves_output()
            .record(y, move |ctx, dy| {
                let x = ctx.input(0)?;
                if x.rank() == 0 {
                    return Ok(dy);
                }
                if !has_zero(x.value())? {
                    return dy.mul_(&ctx.output()?)?.reverse_cumsum(dim)?.div_(x);
                }
                // dxₖ = Σ_{i ≥ k} dyᵢ Π_{j ≤ i, j ≠ k} xⱼ: row k of a matrix has xₖ left out.
                let products = left_out(&x.movedim(dim, -1)?)?.cumprod(-1)?; // (…, k, i)
                let terms = dy
                    .movedim(dim, -1)?
                    .unsqueeze(-2)?
                    .mul(&products)?
                    .triu(0)?;
                terms.sum(-1, false)?.movedim(-1, dim)
            })
    }

    /// The largest element so far along `dim`, and where it is.
    ///
    /// Gradient: `dy` added at the indices. Shapes, dtypes and errors are those of
    /// [`Tensor::cummax`](gradus_tensor::Tensor::cummax).
    #[doc = slope!("x.cummax(0)?.0" => "1.0, 3.0, 3.0"; "x", "[3]", "1.0, 3.0, 2.0" => "1.0, 2.0, 0.0")]
    pub fn cummax(&self, dim: isize) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().cummax(dim)?;
        Ok((picked(self, "cummax", y, &at, dim, true)?, at))
    }

    /// The smallest element so far along `dim`, and where it is.
    ///
    /// Gradient: `dy` added at the indices. Shapes, dtypes and errors are those of
    /// [`Tensor::cummin`](gradus_tensor::Tensor::cummin).
    #[doc = slope!("x.cummin(0)?.0" => "2.0, 2.0, 1.0"; "x", "[3]", "2.0, 3.0, 1.0" => "2.0, 0.0, 1.0")]
    pub fn cummin(&self, dim: isize) -> Result<(Var, Tensor)> {
        let (y, at) = self.value().cummin(dim)?;
        Ok((picked(self, "cummin", y, &at, dim, true)?, at))
    }

    /// `ln Σ eˣ` of the elements so far along `dim`, without overflow.
    ///
    /// Gradient: `eˣ Σ dy e^(−y)`, summed from the back without overflow. Shapes, dtypes and errors are those of
    /// [`Tensor::logcumsumexp`](gradus_tensor::Tensor::logcumsumexp).
    #[doc = slope!("x.logcumsumexp(0)?" => "0.0, 1.313262"; "x", "[2]", "0.0, 1.0" => "1.268941, 0.7310586")]
    pub fn logcumsumexp(&self, dim: isize) -> Result<Var> {
        let y = self.value().logcumsumexp(dim)?;
        Op::new("logcumsumexp")
            .inputs(&[self])
            .saves(0)
            .saves_output()
            .record(y, move |ctx, dy| {
                // dxₖ = Σ_{i ≥ k} dyᵢ e^(xₖ − yᵢ)
                let (x, y) = (ctx.input(0)?, ctx.output()?);
                if x.rank() == 0 {
                    return Ok(dy);
                }
                // From the back, Sₖ = dyₖ + e^(yₖ − yₖ₊₁) Sₖ₊₁ and dxₖ = e^(xₖ − yₖ) Sₖ: y never falls, so no exponent is above 0.
                let weight = |a: &Var, b: &Var| {
                    let nothing = a.value().eq_scalar(f64::NEG_INFINITY)?;
                    a.sub(b)?.masked_fill(&nothing, f64::NEG_INFINITY)?.exp()
                };
                let n = x.dim(dim)?;
                let mut sums: Vec<Var> = Vec::with_capacity(n);
                for k in (0..n as i64).rev() {
                    let mut sum = dy.narrow(dim, k, 1)?;
                    if let Some(later) = sums.last() {
                        let kept = weight(&y.narrow(dim, k, 1)?, &y.narrow(dim, k + 1, 1)?)?;
                        sum = sum.add(&kept.mul(later)?)?;
                    }
                    sums.push(sum);
                }
                if sums.is_empty() {
                    return Ok(dy);
                }
                sums.reverse();
                let sums: Vec<&Var> = sums.iter().collect();
                weight(x, &y)?.mul(&Var::cat(&sums, dim)?)
            })
    }

    /// The differences of neighbours along `dim`, `n` times over.
    ///
    /// Gradient: differences of `dy` in the other direction. Shapes, dtypes and errors are those of
    /// [`Tensor::diff`](gradus_tensor::Tensor::diff).
    #[doc = slope!("x.diff(1, 0, None, None)?" => "2.0, 4.0"; "x", "[3]", "1.0, 3.0, 7.0" => "-1.0, 0.0, 1.0")]
    pub fn diff(
        &self,
        n: i64,
        dim: isize,
        prepend: Option<&Var>,
        append: Option<&Var>,
    ) -> Result<Var> {
        if n < 0 {
            return Err(Error::value("diff", format!("n {n} must not be negative")));
        }
        if n == 0 {
            // PyTorch then joins nothing either.
            self.value().diff(0, dim, None, None)?;
            return Ok(self.clone());
        }
        let parts: Vec<&Var> = prepend.into_iter().chain([self]).chain(append).collect();
        let mut x = if parts.len() == 1 {
            self.clone()
        } else {
            Var::cat(&parts, dim)?
        };
        // The tensor's own check of dimensions and rank.
        self.value().diff(
            n.min(1),
            dim,
            prepend.map(Var::value),
            append.map(Var::value),
        )?;
        for _ in 0..n {
            let len = x.dim(dim)?;
            if len == 0 {
                break;
            }
            x = x
                .narrow(dim, 1, len - 1)?
                .sub(&x.narrow(dim, 0, len - 1)?)?;
        }
        Ok(x)
    }
}

pub(crate) fn has_zero(x: &Tensor) -> Result<bool> {
    x.eq_scalar(0)?.any(.., false)?.item::<bool>()
}

/// (…, n) as (…, n, n): row k is all of `x` with a 1 in place of element k.
pub(crate) fn left_out(x: &Var) -> Result<Var> {
    let n = x.dim(-1)?;
    let mut shape = x.dims().to_vec();
    shape.push(n);
    let diagonal = Tensor::eye(n, (DType::Bool, x.device()))?;
    x.unsqueeze(-2)?
        .broadcast_to(shape)?
        .masked_fill(&diagonal, 1)
}
