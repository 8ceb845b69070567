//! QR decomposition. (Walter and Lehmann, "Algorithmic differentiation of linear algebra functions"; Roberts and Roberts,
//! "QR and LQ decomposition matrix backpropagation algorithms".)

use gradus_tensor::{Error, Result, Tensor};

use super::{stacked, wide};
use crate::op::{Ctx, Op};
use crate::var::Var;

impl Var {
    /// Q with orthonormal columns and upper-triangular R, Q R = A (…, M, N). `mode`: "reduced", "complete" or "r". The gradient
    /// is an error for "r", which has no Q to compute it with, and for "complete" with M > N, where Q is arbitrary; it needs
    /// the first min(M, N) columns to be independent.
    ///
    /// Gradient: `(dQ + Q sym(triu(dR Rᵀ − Qᵀ dQ))) R⁻ᵀ` for M ≥ N. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_qr`](gradus_tensor::Tensor::linalg_qr).
    #[doc = slope!("x.linalg_qr(\"reduced\")?.1.abs()?" => "5.0, 2.2, 0.0, 0.4"; "x", "[2, 2]", "3.0, 1.0, 4.0, 2.0" => "0.888, -0.2, 0.584, 1.4")]
    pub fn linalg_qr(&self, mode: &str) -> Result<(Var, Var)> {
        let op = "linalg_qr";
        let a = wide(op, self)?;
        let (q, r) = a.value().linalg_qr(mode)?;
        let rounded = |x: Var| x.to_dtype(self.dtype());
        let (m, n) = (a.dim(-2)?, a.dim(-1)?);
        let reason = match mode {
            "r" => Some("mode \"r\" has no gradient: it needs Q; use \"reduced\""),
            "complete" if m > n => Some(
                "mode \"complete\" has no gradient for more rows than columns; use \"reduced\"",
            ),
            _ => None,
        };
        if let Some(reason) = reason {
            let refused = |x: Tensor| {
                let refuse = move |_: &Ctx, _: Var| Err::<Var, _>(Error::unsupported(op, reason));
                rounded(Op::new(op).inputs(&[&a]).record(x, refuse)?)
            };
            return Ok((refused(q)?, refused(r)?));
        }
        let [q, rt] = stacked(op, &a, [q, r.mt()?], |_, [q, rt], [dq, drt]| {
            let (r, dr) = (rt.mt()?, drt.mt()?);
            if q.dim(-2)? >= r.dim(-1)? {
                tall(&q, &r, &dq, &dr)
            } else {
                wider(&q, &r, &dq, &dr)
            }
        })?;
        Ok((rounded(q)?, rounded(rt.mt()?)?))
    }
}

/// M ≥ N: dA = (dQ + Q sym(triu(dR Rᵀ − Qᵀ dQ))) R⁻ᵀ, sym(X) = X + Xᵀ with the diagonal once.
fn tall(q: &Var, r: &Var, dq: &Var, dr: &Var) -> Result<Var> {
    let x = dr.matmul(&r.mt()?)?.sub(&q.mt()?.matmul(dq)?)?;
    let x = x.triu(0)?.add(&x.triu(1)?.mt()?)?;
    let y = dq.add(&q.matmul(&x)?)?;
    r.mt()?.linalg_solve_triangular(&y, false, false, false)
}

/// M < N, R = (R₁ R₂) with R₁ square: dA = Q (dR + (skew(Qᵀ dQ − dR Rᵀ) R₁⁻ᵀ, 0)), skew(X) = tril(X − Xᵀ).
fn wider(q: &Var, r: &Var, dq: &Var, dr: &Var) -> Result<Var> {
    let m = q.dim(-1)?;
    let x = q.mt()?.matmul(dq)?.sub(&dr.matmul(&r.mt()?)?)?;
    let x = x.sub(&x.mt()?)?.tril(0)?;
    let first = r.narrow(-1, 0, m)?.mt()?;
    let x = first.linalg_solve_triangular(&x, false, false, false)?; // (…, M, M)
    let spare = (r.dim(-1)? - m) as isize;
    let x = x.pad(&[0, spare], gradus_tensor::PadMode::Constant(0.into()))?;
    q.matmul(&dr.add(&x)?)
}
