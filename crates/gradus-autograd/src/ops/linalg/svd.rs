//! Singular values and vectors. (Townsend, "Differentiating the singular value decomposition".)

use gradus_tensor::Result;

use super::{safe_div, stacked, wide};
use crate::var::Var;

impl Var {
    /// U, S, Vᵀ with A = U diag(S) Vᵀ, S descending. As in PyTorch the gradient through U and Vᵀ is finite only if singular values
    /// are distinct (and not 0 if M ≠ N), means something only if their signs do not matter, and leaves out the columns that
    /// `full_matrices` adds.
    ///
    /// Gradient: `U (…/E + diag(dS)) Vᵀ` with `Eᵢⱼ = Sⱼ² − Sᵢ²`. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_svd`](gradus_tensor::Tensor::linalg_svd).
    ///
    /// ```
    /// # use gradus_autograd::Var;
    /// # use gradus_tensor::Tensor;
    /// let a = Var::leaf(Tensor::from_vec(vec![3f64, 0., 0., 2.], [2, 2])?)?;
    /// let (_, s, _) = a.linalg_svd(true)?; // 3, 2
    /// let da = s.sum(.., false)?.backward()?;
    /// assert_eq!(da.get(&a).unwrap().to_vec::<f64>()?, [1.0, 0.0, 0.0, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn linalg_svd(&self, full_matrices: bool) -> Result<(Var, Var, Var)> {
        let op = "linalg_svd";
        let a = wide(op, self)?;
        let (u, s, vt) = a.value().linalg_svd(full_matrices)?;
        let (m, n, k) = (u.dim(-2)?, vt.dim(-1)?, s.dim(-1)?);
        let thin = [
            u.narrow(-1, 0, k)?,
            s.unsqueeze(-2)?,
            vt.narrow(-2, 0, k)?.mt()?,
        ];
        let [mut uk, sk, vk] = stacked(op, &a, thin, |_, parts, grads| gradient(&parts, &grads))?;
        let mut vkt = vk.mt()?;
        if full_matrices && m > k {
            let rest = Var::from(u.narrow(-1, k as i64, m - k)?);
            uk = Var::cat(&[&uk, &rest], -1)?;
        }
        if full_matrices && n > k {
            let rest = Var::from(vt.narrow(-2, k as i64, n - k)?);
            vkt = Var::cat(&[&vkt, &rest], -2)?;
        }
        let rounded = |x: Var| x.to_dtype(self.dtype());
        Ok((rounded(uk)?, rounded(sk.squeeze(-2)?)?, rounded(vkt)?))
    }

    /// The singular values of [`Var::linalg_svd`], descending.
    ///
    /// Gradient: `U diag(dS) Vᵀ`. Shapes, dtypes and errors are
    /// those of [`Tensor::linalg_svdvals`](gradus_tensor::Tensor::linalg_svdvals).
    #[doc = slope!("x.linalg_svdvals()?" => "3.0, 2.0"; "x", "[2, 2]", "2.0, 0.0, 0.0, 3.0" => "1.0, 0.0, 0.0, 1.0")]
    pub fn linalg_svdvals(&self) -> Result<Var> {
        if self.is_tracked() {
            return Ok(self
                .linalg_svd(false)
                .map_err(|e| e.in_op("linalg_svdvals"))?
                .1);
        }
        Ok(Var::from(self.value().linalg_svdvals()?))
    }
}

/// U (skew(Uᵀ dU)/E S + S skew(Vᵀ dV)/E + diag(dS)) Vᵀ with skew(X) = X − Xᵀ, Eᵢⱼ = Sⱼ² − Sᵢ²; and what dU and dV have outside of
/// the space of U and V: (1 − U Uᵀ) dU S⁻¹ Vᵀ and its like.
fn gradient([u, s, v]: &[Var; 3], [du, ds, dv]: &[Var; 3]) -> Result<Var> {
    let st = s.mt()?; // s (…, 1, K), st (…, K, 1)
    let gaps = s.sub(&st)?.mul(&s.add(&st)?)?;
    let skew = |x: &Var, dx: &Var| -> Result<Var> {
        let x = x.mt()?.matmul(dx)?;
        x.sub(&x.mt()?)
    };
    let turned = skew(u, du)?.mul(s)?.add(&st.mul(&skew(v, dv)?)?)?;
    let inner = safe_div(&turned, &gaps)?.add(&ds.squeeze(-2)?.diag_embed(0, -2, -1)?)?;
    let mut da = u.matmul(&inner)?.matmul(&v.mt()?)?;
    let outside = |x: &Var, dx: &Var| -> Result<Var> {
        let dx = dx.sub(&x.matmul(&x.mt()?.matmul(dx)?)?)?;
        safe_div(&dx, s)
    };
    if u.dim(-2)? > u.dim(-1)? {
        da = da.add(&outside(u, du)?.matmul(&v.mt()?)?)?;
    }
    if v.dim(-2)? > v.dim(-1)? {
        da = da.add(&u.matmul(&outside(v, dv)?.mt()?)?)?;
    }
    Ok(da)
}
