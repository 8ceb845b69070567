//! Cholesky's decomposition of symmetric positive-definite matrices.

use super::batch::{Batch, dot};
use crate::error::Result;
use crate::tensor::Tensor;

/// L with L·Lᵀ = A, or the first leading minor that is not positive.
fn cholesky(a: &[f64], n: usize, l: &mut [f64]) -> Result<(), usize> {
    for r in 0..n {
        for c in 0..=r {
            let s = a[r * n + c] - dot(&l[r * n..][..c], &l[c * n..][..c]);
            if r != c {
                l[r * n + c] = s / l[c * n + c];
            } else if s > 0.0 {
                l[r * n + r] = s.sqrt();
            } else {
                return Err(r + 1);
            }
        }
    }
    Ok(())
}

impl Tensor {
    /// L with L·Lᵀ = A, lower triangular, of symmetric positive-definite matrices `(.., N, N)`, of which only the lower
    /// triangle is read; with `upper` its transpose, from the upper triangle (PyTorch's default is lower).
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[4f64, 2., 2., 10.], [2, 2])?;
    /// assert_eq!(a.linalg_cholesky(false)?.to_vec::<f64>()?, [2.0, 0.0, 1.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// They are not square floats, or one is not positive definite.
    pub fn linalg_cholesky(&self, upper: bool) -> Result<Tensor> {
        let op = "linalg_cholesky";
        if upper && self.rank() >= 2 {
            return self.mt()?.linalg_cholesky(false)?.mt();
        }
        let a = Batch::square(op, self)?;
        let n = a.rows;
        let mut out = a.room(n * n)?;
        out.resize(a.data.len(), 0.0);
        for (i, l) in out.chunks_exact_mut((n * n).max(1)).enumerate() {
            cholesky(a.get(i), n, l).map_err(|k| {
                a.error(
                    i,
                    format!(
                        "is not positive definite: its leading minor of order {k} is not positive"
                    ),
                )
            })?;
        }
        a.result(out, &[n, n])
    }
}
