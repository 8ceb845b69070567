//! Eigenvalues and eigenvectors of symmetric matrices.

use gradus_tensor::Result;

use super::{safe_div, stacked, wide};
use crate::var::Var;

impl Var {
    /// Eigenvalues (…, N), ascending, and eigenvectors (…, N, N) as columns, of symmetric matrices, of which one triangle is read
    /// (`uplo` "L" or "U"). As in PyTorch the gradient is one for symmetric changes of the matrix; through eigenvectors it is
    /// finite only if eigenvalues are distinct, and means something only if their signs do not matter.
    ///
    /// Gradient: `V (Vᵀ dV / E + diag(dw)) Vᵀ` with `Eᵢⱼ = wⱼ − wᵢ`. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_eigh`](gradus_tensor::Tensor::linalg_eigh).
    #[doc = slope!("x.linalg_eigh(\"L\")?.0" => "2.0, 3.0"; "x", "[2, 2]", "2.0, 0.0, 0.0, 3.0" => "1.0, 0.0, 0.0, 1.0")]
    pub fn linalg_eigh(&self, uplo: &str) -> Result<(Var, Var)> {
        let op = "linalg_eigh";
        let a = wide(op, self)?;
        let (w, v) = a.value().linalg_eigh(uplo)?;
        let [v, w] = stacked(op, &a, [v, w.unsqueeze(-2)?], |_, [v, w], [dv, dw]| {
            // V (Vᵀ dV / E + diag(dw)) Vᵀ, Eᵢⱼ = wⱼ − wᵢ, nothing of the first on the diagonal
            let gaps = w.sub(&w.mt()?)?;
            let turned = v.mt()?.matmul(&dv)?;
            let turned = turned.sub(&diagonal_part(&turned)?)?;
            let inner = safe_div(&turned, &gaps)?.add(&dw.squeeze(-2)?.diag_embed(0, -2, -1)?)?;
            v.matmul(&inner)?.matmul(&v.mt()?)
        })?;
        let rounded = |x: Var| x.to_dtype(self.dtype());
        Ok((rounded(w.squeeze(-2)?)?, rounded(v)?))
    }

    /// The eigenvalues of [`Var::linalg_eigh`].
    ///
    /// Gradient: `V diag(dw) Vᵀ`. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_eigvalsh`](gradus_tensor::Tensor::linalg_eigvalsh).
    #[doc = slope!("x.linalg_eigvalsh(\"L\")?" => "2.0, 3.0"; "x", "[2, 2]", "2.0, 0.0, 0.0, 3.0" => "1.0, 0.0, 0.0, 1.0")]
    pub fn linalg_eigvalsh(&self, uplo: &str) -> Result<Var> {
        if self.is_tracked() {
            return Ok(self
                .linalg_eigh(uplo)
                .map_err(|e| e.in_op("linalg_eigvalsh"))?
                .0);
        }
        Ok(Var::from(self.value().linalg_eigvalsh(uplo)?))
    }
}

/// The diagonal, 0 elsewhere.
fn diagonal_part(x: &Var) -> Result<Var> {
    x.diagonal(0, -2, -1)?.diag_embed(0, -2, -1)
}
