//! Determinants. The gradient of det A is its matrix of cofactors, det(A) A⁻ᵀ, which exists for a singular A too: there it
//! is put together from singular values, as are the second derivatives.
//! (Higham, "What is the adjugate of a matrix?", and Magnus and Neudecker, "Matrix Differential Calculus", 8.)

use gradus_tensor::{DType, Error, Result, Tensor};

use super::{in_f64, wide};
use crate::op::Op;
use crate::var::Var;

impl Var {
    /// The determinant of square matrices: (…, N, N) to (…). Its first two derivatives are right for singular matrices too.
    ///
    /// Gradient: `dy` times the cofactors. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_det`](gradus_tensor::Tensor::linalg_det).
    ///
    /// ```
    /// # use gradus_autograd::Var;
    /// # use gradus_tensor::Tensor;
    /// let a = Var::leaf(Tensor::from_vec(vec![1f64, 2., 2., 4.], [2, 2])?)?; // singular
    /// let da = a.linalg_det()?.backward()?;
    /// let cofactors = Tensor::from_vec(vec![4f64, -2., -2., 1.], [2, 2])?;
    /// assert!(da.get(&a).unwrap().allclose(&cofactors, 1e-12, 1e-12, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn linalg_det(&self) -> Result<Var> {
        in_f64("linalg_det", self, |a| {
            let y = a.value().linalg_det()?;
            Op::new("linalg_det")
                .inputs(&[a])
                .saves(0)
                .saves_output()
                .record(y, |ctx, dy| {
                    let cofactors = cofactors(ctx.input(0)?, &ctx.output()?)?;
                    dy.unsqueeze(-1)?.unsqueeze(-1)?.mul(&cofactors)
                })
        })
    }

    /// Sign and logarithm of the magnitude of the determinant: (…) each. The sign is a constant; the gradient of the
    /// logarithm is an error for a singular matrix, where it would be infinite.
    ///
    /// Gradient: `dy A⁻ᵀ`. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_slogdet`](gradus_tensor::Tensor::linalg_slogdet).
    #[doc = slope!("x.linalg_slogdet()?.1" => "0.6931472"; "x", "[2, 2]", "1.0, 2.0, 3.0, 4.0" => "-2.0, 1.5, 1.0, -0.5")]
    pub fn linalg_slogdet(&self) -> Result<(Var, Var)> {
        let op = "linalg_slogdet";
        let a = wide(op, self)?;
        let (sign, log) = a.value().linalg_slogdet()?;
        let log = Op::new(op)
            .inputs(&[&a])
            .saves(0)
            .record(log, move |ctx, dy| {
                let inverse = ctx.input(0)?.linalg_inv().map_err(|e| e.in_op(op))?;
                dy.unsqueeze(-1)?.unsqueeze(-1)?.mul(&inverse.mt()?)
            })?;
        Ok((
            Var::from(sign.to_dtype(self.dtype())?),
            log.to_dtype(self.dtype())?,
        ))
    }
}

/// The cofactors of matrices with these determinants.
fn cofactors(a: &Var, det: &Var) -> Result<Var> {
    if det.value().eq_scalar(0)?.any(.., false)?.item::<bool>()? {
        return singular_cofactors(a);
    }
    let det = det.unsqueeze(-1)?.unsqueeze(-1)?;
    det.mul(&a.linalg_inv()?.mt()?)
}

/// A = U Σ Vᵀ: the cofactors are det(U V) U C Vᵀ, where C, those of Σ, is diagonal: products of all singular values but one.
fn singular_cofactors(a: &Var) -> Result<Var> {
    let (u, s, vt) = a.value().linalg_svd(false)?;
    let sign = u.linalg_det()?.mul(&vt.linalg_det()?)?.round()?; // (…)
    let sign = sign.unsqueeze(-1)?.unsqueeze(-1)?;
    let without_one = others(&s)?.prod(-1, false)?; // (…, N)
    let y = u
        .mul(&without_one.unsqueeze(-2)?)?
        .matmul(&vt)?
        .mul(&sign)?;
    Op::new("cofactors")
        .inputs(&[a])
        .saves(0)
        .record(y, move |ctx, dy| {
            let parts = [&u, &s, &vt, &sign].map(Clone::clone);
            hessian(ctx.input(0)?, &dy, parts)
        })
}

/// The second derivatives of det at A, contracted with D. In the basis of the singular vectors the det of a diagonal matrix
/// has Pᵢⱼ, the product of all singular values but i and j, by elements ii and jj, and −Pᵢⱼ by elements ij and ji.
fn hessian(a: &Var, d: &Var, parts: [Tensor; 4]) -> Result<Var> {
    let [u, s, vt, sign] = &parts;
    let inside = u.mt()?.matmul(d.value())?.matmul(&vt.mt()?)?; // D in that basis
    let n = s.dim(-1)?;
    let diagonal = Tensor::eye(n, DType::U8)?.to_dtype(DType::Bool)?;
    let p = others(&others(s)?)?
        .prod(-1, false)?
        .masked_fill(&diagonal, 0)?; // (…, N, N), 0 for i = j
    let straight = p
        .matmul(&inside.diagonal(0, -2, -1)?.unsqueeze(-1)?)?
        .squeeze(-1)?;
    let y = straight
        .diag_embed(0, -2, -1)?
        .sub(&p.mul(&inside.mt()?)?)?;
    let y = u.matmul(&y)?.matmul(vt)?.mul(sign)?;
    let (a, given) = (a.clone(), parts.clone());
    Op::new("cofactors_grad")
        .inputs(&[d, &a.clone()])
        .record(y, move |ctx, dy| {
            // Symmetric in what it is contracted with.
            let dd = ctx.grad(0, || hessian(&a, &dy, given.clone()))?;
            let da = ctx.grad(1, || {
                let message = "a third derivative at a singular matrix is not available";
                Err(Error::unsupported("linalg_det", message))
            })?;
            Ok([dd, da])
        })
}

/// (…, N) to (…, N, N): row i has a 1 in place i.
fn others(s: &Tensor) -> Result<Tensor> {
    let n = s.dim(-1)?;
    let mut shape = s.dims().to_vec();
    shape.push(n);
    let diagonal = Tensor::eye(n, DType::U8)?.to_dtype(DType::Bool)?;
    s.unsqueeze(-2)?
        .broadcast_to(shape)?
        .masked_fill(&diagonal, 1)
}
