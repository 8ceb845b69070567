//! Norms of matrices and the condition number, by singular values where they are about those.

use gradus_tensor::ops::linalg;
use gradus_tensor::{NormOrd, Result};

use crate::var::Var;

impl Var {
    /// The norm of matrices in dimensions `dims`. Rows, columns or singular values that tie for the largest share the gradient.
    ///
    /// Gradient: that of sums, of the extreme, or of singular values. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_matrix_norm`](gradus_tensor::Tensor::linalg_matrix_norm).
    #[doc = slope!("x.linalg_matrix_norm(1.0, [-2, -1], false)?" => "6.0"; "x", "[2, 2]", "1.0, -2.0, 3.0, 4.0" => "0.0, -1.0, 0.0, 1.0")]
    pub fn linalg_matrix_norm(
        &self,
        ord: impl Into<NormOrd>,
        dims: [isize; 2],
        keepdim: bool,
    ) -> Result<Var> {
        linalg::matrix_norm(self, ord.into(), dims, keepdim)
    }

    /// The condition number in a norm (`None`: 2).
    ///
    /// Gradient: that of the norms or singular values it divides. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_cond`](gradus_tensor::Tensor::linalg_cond).
    #[doc = slope!("x.linalg_cond(None)?" => "1.5"; "x", "[2, 2]", "2.0, 0.0, 0.0, 3.0" => "-0.75, 0.0, 0.0, 0.5")]
    pub fn linalg_cond(&self, ord: Option<NormOrd>) -> Result<Var> {
        linalg::cond(self, ord)
    }
}
