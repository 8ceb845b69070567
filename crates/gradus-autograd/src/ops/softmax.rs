//! Softmax and its logarithm, with fused kernels both ways.

use gradus_tensor::Result;

use crate::autocast::{is_low, raise};
use crate::op::Op;
use crate::var::Var;

impl Var {
    /// `eˣ / Σ eˣ` along `dim`.
    ///
    /// Gradient: `y (dy − Σ dy y)` along the dimension. Shapes, dtypes and errors are those of
    /// [`Tensor::softmax`](gradus_tensor::Tensor::softmax).
    #[doc = slope!("x.softmax(0)?.mul(&x)?" => "0.0, 0.7310586"; "x", "[2]", "0.0, 1.0" => "0.07232949, 0.9276705")]
    pub fn softmax(&self, dim: isize) -> Result<Var> {
        if is_low(self) {
            return raise(self)?.softmax(dim);
        }
        let y = self.value().softmax(dim)?;
        Op::new("softmax")
            .inputs(&[self])
            .saves_output()
            .record(y, move |ctx, dy| {
                // dx = y (dy − Σ y dy)
                let y = ctx.output()?;
                if !ctx.create_graph() {
                    return dy.value().softmax_backward(y.value(), dim).map(Var::from);
                }
                dy.sub(&y.mul(&dy)?.sum(dim, true)?)?.mul(&y)
            })
    }

    /// The logarithm of [`Var::softmax`], without overflow.
    ///
    /// Gradient: `dy − e^y Σ dy` along the dimension. Shapes, dtypes and errors are those of
    /// [`Tensor::log_softmax`](gradus_tensor::Tensor::log_softmax).
    #[doc = slope!("x.log_softmax(0)?" => "-1.313262, -0.3132617"; "x", "[2]", "0.0, 1.0" => "0.4621172, -0.4621172")]
    pub fn log_softmax(&self, dim: isize) -> Result<Var> {
        if is_low(self) {
            return raise(self)?.log_softmax(dim);
        }
        let y = self.value().log_softmax(dim)?;
        Op::new("log_softmax")
            .inputs(&[self])
            .saves_output()
            .record(y, move |ctx, dy| {
                // dx = dy − eʸ Σ dy
                let y = ctx.output()?;
                if !ctx.create_graph() {
                    return dy
                        .value()
                        .log_softmax_backward(y.value(), dim)
                        .map(Var::from);
                }
                dy.sub(&y.exp()?.mul(&dy.sum(dim, true)?)?)
            })
    }
}
