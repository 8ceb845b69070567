//! QR decomposition by Householder's reflections. Signs are LAPACK's.

use super::batch::{Batch, add_scaled, scaled};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// A (m x n) = Q·R with Q = H₀·H₁⋯, Hᵢ = I − τᵢ·vᵢ·vᵢᵀ.
pub(super) struct Qr {
    m: usize,
    /// vᵢ in row i: m long, 0 before i.
    v: Vec<f64>,
    tau: Vec<f64>,
    /// m x n.
    pub r: Vec<f64>,
}

impl Qr {
    pub(super) fn new(a: &[f64], m: usize, n: usize) -> Qr {
        let (mut r, unit) = scaled(a);
        let k = n.min(m);
        let (mut vs, mut tau) = (vec![0.0; k * m], vec![0.0; k]);
        let mut t = vec![0.0; n];
        // The last row has nothing below it to reflect away.
        for i in 0..n.min(m.saturating_sub(1)) {
            let v = &mut vs[i * m..][..m];
            (i..m).for_each(|row| v[row] = r[row * n + i]);
            let below: f64 = v[i + 1..].iter().map(|x| x * x).sum();
            if below == 0.0 {
                (i + 1..m).for_each(|row| r[row * n + i] = 0.0);
                continue;
            }
            let beta = -(v[i] * v[i] + below).sqrt().copysign(v[i]);
            v[i] -= beta;
            tau[i] = 2.0 / (v[i] * v[i] + below);
            reflect(&v[i..], tau[i], &mut r[i * n..], n, &mut t);
            r[i * n + i] = beta;
            (i + 1..m).for_each(|row| r[row * n + i] = 0.0);
        }
        for x in &mut r {
            *x *= unit;
        }
        Qr { m, v: vs, tau, r }
    }

    /// Q·X in place, X m x `cols`.
    pub(super) fn apply(&self, x: &mut [f64], cols: usize) {
        let mut t = vec![0.0; cols];
        for (i, &tau) in self.tau.iter().enumerate().rev() {
            let v = &self.v[i * self.m..][i..self.m];
            reflect(v, tau, &mut x[i * cols..], cols, &mut t);
        }
    }
}

/// X −= τ·v·(vᵀ·X), with room for one row.
pub(super) fn reflect(v: &[f64], tau: f64, x: &mut [f64], cols: usize, row: &mut [f64]) {
    if tau == 0.0 || cols == 0 {
        return;
    }
    row.fill(0.0);
    for (&v, x) in v.iter().zip(x.chunks_exact(cols)) {
        add_scaled(row, v, x);
    }
    for (&v, x) in v.iter().zip(x.chunks_exact_mut(cols)) {
        add_scaled(x, -tau * v, row);
    }
}

impl Tensor {
    /// Q with orthonormal columns and upper-triangular R, Q·R = A `(.., M, N)`. `mode`: "reduced" (PyTorch's default:
    /// Q `(.., M, K)`, R `(.., K, N)`, K the smaller), "complete" (Q `(.., M, M)`, R `(.., M, N)`) or "r" (reduced, Q empty).
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let a = Tensor::from_slice(&[3f64, 1., 4., 2.], [2, 2])?;
    /// let (q, r) = a.linalg_qr("reduced")?;
    /// assert!(q.matmul(&r)?.allclose(&a, 1e-12, 0.0, false)?);
    /// assert!(q.mt()?.matmul(&q)?.allclose(&Tensor::eye(2, DType::F64)?, 0.0, 1e-12, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// They are not matrices of floats, or the mode is unknown.
    pub fn linalg_qr(&self, mode: &str) -> Result<(Tensor, Tensor)> {
        let op = "linalg_qr";
        let a = Batch::new(op, self)?;
        let (m, n) = (a.rows, a.cols);
        let k = match mode {
            "reduced" | "r" => m.min(n),
            "complete" => m,
            _ => {
                return Err(Error::value(
                    op,
                    format!("unknown mode {mode:?}; known: reduced complete r"),
                ));
            }
        };
        let mut rs = a.room(k * n)?;
        if mode == "r" {
            for matrix in a.matrices() {
                rs.extend_from_slice(&Qr::new(matrix, m, n).r[..k * n]);
            }
            return Ok((Tensor::zeros(0, a.dtype())?, a.result(rs, &[k, n])?));
        }
        if n == 0 {
            // No columns: any orthonormal ones are Q's.
            return Ok((a.eye(m)?.narrow(-1, 0, k)?, a.result(rs, &[k, n])?));
        }
        let (mut qs, mut q) = (a.room(m.saturating_mul(k))?, a.zeros(m, k)?);
        for matrix in a.matrices() {
            let qr = Qr::new(matrix, m, n);
            rs.extend_from_slice(&qr.r[..k * n]);
            q.fill(0.0);
            (0..k).for_each(|i| q[i * k + i] = 1.0);
            qr.apply(&mut q, k);
            qs.extend_from_slice(&q);
        }
        Ok((a.result(qs, &[m, k])?, a.result(rs, &[k, n])?))
    }
}
