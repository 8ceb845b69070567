//! The exponential of a matrix. (Mathias, "A chain rule for matrix functions": its derivative is a block of the exponential
//! of a matrix twice as large.)

use gradus_tensor::Result;

use super::in_f64;
use crate::op::Op;
use crate::var::Var;

impl Var {
    /// e^A of square matrices.
    ///
    /// Gradient: the block above the diagonal of `exp((Aᵀ, dy; 0, Aᵀ))`. Shapes, dtypes and errors are
    /// those of [`Tensor::matrix_exp`](gradus_tensor::Tensor::matrix_exp).
    #[doc = slope!("x.matrix_exp()?" => "1.0, 1.0, 0.0, 1.0"; "x", "[2, 2]", "0.0, 1.0, 0.0, 0.0" => "1.5, 1.0, 2.166667, 1.5")]
    pub fn matrix_exp(&self) -> Result<Var> {
        in_f64("matrix_exp", self, |a| {
            let y = a.value().matrix_exp()?;
            Op::new("matrix_exp")
                .inputs(&[a])
                .saves(0)
                .record(y, |ctx, dy| {
                    // exp (Aᵀ dY; 0 Aᵀ) has dA above the diagonal
                    let at = ctx.input(0)?.mt()?;
                    let n = at.dim(-1)?;
                    let above = Var::cat(&[&at, &dy], -1)?;
                    let below = Var::cat(&[&at.zeros_like()?, &at], -1)?;
                    let full = Var::cat(&[&above, &below], -2)?.matrix_exp()?;
                    full.narrow(-2, 0, n)?.narrow(-1, n as i64, n)
                })
        })
    }
}
