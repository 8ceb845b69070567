//! The pseudo-inverse, and least squares by it. (Golub and Pereyra, "The differentiation of pseudo-inverses".)

use gradus_tensor::{RankTolerance, Result, Tensor};

use super::in_f64;
use crate::op::Op;
use crate::var::Var;

impl Var {
    /// The Moore-Penrose inverse: (…, M, N) to (…, N, M). Differentiable where the rank is constant.
    ///
    /// Gradient: Golub and Pereyra's. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_pinv`](gradus_tensor::Tensor::linalg_pinv).
    #[doc = slope!("x.linalg_pinv(None, false)?" => "0.12, 0.16"; "x", "[2, 1]", "3.0, 4.0" => "-0.0272, -0.0496")]
    pub fn linalg_pinv(&self, tolerance: impl Into<RankTolerance>, hermitian: bool) -> Result<Var> {
        let op = "linalg_pinv";
        let tolerance = tolerance.into();
        in_f64(op, self, |a| {
            // What counts as 0 is for the precision of this, not of f64.
            let (m, n) = match self.dims() {
                [.., m, n] => (*m, *n),
                _ => (0, 0), // an error below
            };
            let tolerance = tolerance.resolved(self.dtype(), m, n)?;
            let p = a.value().linalg_pinv(&tolerance, hermitian)?;
            Op::new(op)
                .inputs(&[a])
                .saves(0)
                .saves_output()
                .record(p, |ctx, dp| {
                    pinv_gradient(ctx.input(0)?, &ctx.output()?, &dp.mt()?)
                })
        })
    }

    /// The X of least norm among those of least ‖A X − B‖, and the squared ‖A X − B‖ of each column (empty unless M > N and every
    /// matrix has rank N); then the rank and the singular values, which are constants.
    ///
    /// Gradient: that of `pinv(A) B`. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_lstsq`](gradus_tensor::Tensor::linalg_lstsq).
    #[doc = slope!("a.linalg_lstsq(&b, None)?.0" => "3.0"; "a", "[2, 1]", "1.0, 1.0" => "-2.0, -1.0"; "b", "[2, 1]", "2.0, 4.0" => "0.5, 0.5")]
    pub fn linalg_lstsq(&self, b: &Var, rcond: Option<f64>) -> Result<(Var, Var, Tensor, Tensor)> {
        let found = self.value().linalg_lstsq(b.value(), rcond)?;
        if !self.is_tracked() && !b.is_tracked() {
            let (x, off) = (Var::from(found.solution), Var::from(found.residuals));
            return Ok((x, off, found.rank, found.singular_values));
        }
        let x = self.linalg_pinv(rcond, false)?.matmul(b)?;
        let off = if found.residuals.rank() + 1 == x.rank() {
            self.matmul(&x)?.sub(b)?.square()?.sum(-2, false)?
        } else {
            Var::from(found.residuals)
        };
        Ok((x, off, found.rank, found.singular_values))
    }
}

/// The gradient of A from P, its pseudo-inverse, and g = dPᵀ: PyTorch's `pinv_backward`, which multiplies the smaller sides.
fn pinv_gradient(a: &Var, p: &Var, g: &Var) -> Result<Var> {
    let pt = p.mt()?; // (…, M, N)
    let (m, n) = (a.dim(-2)?, a.dim(-1)?);
    if m <= n {
        let k = g.matmul(p)?; // (…, M, M)
        let kpt = k.matmul(&pt)?; // (…, M, N)
        let inside = p.matmul(&k)?.mt()?; // (P G P)ᵀ
        kpt.sub(&inside)?
            .sub(&a.matmul(p)?.matmul(&kpt)?)?
            .add(&pt.matmul(p)?.matmul(&g.sub(&k.matmul(a)?)?)?)
    } else {
        let k = p.matmul(g)?; // (…, N, N)
        let ptk = pt.matmul(&k)?; // (…, M, N)
        let inside = k.matmul(p)?.mt()?;
        ptk.sub(&inside)?
            .sub(&ptk.matmul(p)?.matmul(a)?)?
            .add(&g.sub(&a.matmul(&k)?)?.matmul(p)?.matmul(&pt)?)
    }
}
