//! Cholesky's decomposition.

use gradus_tensor::Result;

use super::in_f64;
use crate::op::Op;
use crate::var::Var;

impl Var {
    /// L with L Lᵀ = A, lower triangular; with `upper` its transpose. The gradient is symmetric.
    ///
    /// Gradient: the symmetric part of `L⁻ᵀ Φ(Lᵀ dL) L⁻¹`, Φ the lower triangle with half the diagonal. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_cholesky`](gradus_tensor::Tensor::linalg_cholesky).
    #[doc = slope!("x.linalg_cholesky(false)?" => "2.0, 0.0, 1.0, 1.414214"; "x", "[2, 2]", "4.0, 2.0, 2.0, 3.0" => "0.2133883, 0.0732233, 0.0732233, 0.3535534")]
    pub fn linalg_cholesky(&self, upper: bool) -> Result<Var> {
        in_f64("linalg_cholesky", self, |a| {
            if upper && a.rank() >= 2 {
                return a.mt()?.linalg_cholesky(false)?.mt();
            }
            let l = a.value().linalg_cholesky(false)?;
            Op::new("linalg_cholesky")
                .inputs(&[a])
                .saves_output()
                .record(l, |ctx, dl| {
                    // S = L⁻ᵀ Φ(Lᵀ dL) L⁻¹, Φ the lower triangle with half the diagonal; dA = (S + Sᵀ)/2.
                    let l = ctx.output()?;
                    let full = l.mt()?.matmul(&dl)?;
                    let phi = full.tril(0)?.add(&full.tril(-1)?)?.mul_scalar(0.5)?;
                    let s = l
                        .mt()?
                        .linalg_solve_triangular(&phi, true, true, false)?
                        .mt()?;
                    let s = l.mt()?.linalg_solve_triangular(&s, true, true, false)?;
                    s.add(&s.mt()?)?.mul_scalar(0.5)
                })
        })
    }
}
