//! Softmax and its logarithm.

use gradus_tensor::{Result, Tensor};

use crate::op::Op;
use crate::var::Var;

impl Var {
    /// `eˣ / Σ eˣ` along `dim`.
    pub fn softmax(&self, dim: isize) -> Result<Var> {
        let y = shifted(self.value(), dim)?.exp_()?;
        let sum = y.sum(dim, true)?;
        Op::new("softmax")
            .inputs(&[self])
            .saves_output()
            .record(y.div_(&sum)?, move |ctx, dy| {
                // dx = y (dy − Σ y dy)
                let y = ctx.output()?;
                let inner = y.mul(&dy)?.sum(dim, true)?;
                dy.sub(&inner)?.mul_(&y)
            })
    }

    /// The logarithm of [`Var::softmax`], without overflow.
    pub fn log_softmax(&self, dim: isize) -> Result<Var> {
        let x = shifted(self.value(), dim)?;
        let lse = x.exp()?.sum(dim, true)?.log_()?;
        Op::new("log_softmax")
            .inputs(&[self])
            .saves_output()
            .record(x.sub_(&lse)?, move |ctx, dy| {
                // dx = dy − eʸ Σ dy
                let sum = dy.sum(dim, true)?;
                dy.sub(&ctx.output()?.exp()?.mul_(&sum)?)
            })
    }
}

/// `x` less its largest along `dim`, so that exp does not overflow.
fn shifted(x: &Tensor, dim: isize) -> Result<Tensor> {
    if x.numel() == 0 {
        Ok(x.clone())
    } else {
        x.sub(&x.amax(dim, true)?)
    }
}
