//! Singular values: one-sided Jacobi rotations on the R of a QR decomposition. Small singular values come out to as many
//! digits as large ones. After Drmač and Veselić, "New fast and accurate Jacobi SVD algorithm" (without its pivoting).

use super::batch::{Batch, add_scaled, dot, rotate, scaled, transposed, two_rows};
use super::qr::Qr;
use crate::error::Result;
use crate::tensor::Tensor;

/// Passes over all pairs of rows; six to ten are usual.
const SWEEPS: usize = 60;
/// Rows whose squared length is below this count as 0, the largest being near 1: each sweep divides a row of pure rounding
/// errors by 10¹⁶, and among subnormal numbers it would never be orthogonal.
const NONE: f64 = 1e-280;

/// A (m x n) = U·diag(s)·Vᵀ, s descending.
struct Svd {
    u: Vec<f64>,
    s: Vec<f64>,
    vt: Vec<f64>,
}

/// U is m x k and Vᵀ k x n, k the smaller, or with `full` m x m and n x n; `None` if the rotations do not converge.
fn svd(a: &[f64], m: usize, n: usize, full: bool) -> Option<Svd> {
    if m < n {
        let t = svd(&transposed(a, m, n), n, m, full)?;
        let k = if full { n } else { m };
        return Some(Svd {
            u: transposed(&t.vt, m, m),
            s: t.s,
            vt: transposed(&t.u, n, k),
        });
    }
    let (a, unit) = scaled(a);
    let qr = Qr::new(&a, m, n);
    // R = J·W with orthogonal rows in W, whose lengths are the singular values; rows of `jt` are columns of J.
    let mut w = qr.r[..n * n].to_vec();
    let mut jt: Vec<f64> = (0..n * n)
        .map(|i| f64::from(u8::from(i / n == i % n)))
        .collect();
    orthogonalise(&mut w, &mut jt, n)?;
    let length = |r: &[f64]| {
        Some(dot(r, r))
            .filter(|&rr| rr >= NONE)
            .map_or(0.0, f64::sqrt)
    };
    let lengths: Vec<f64> = w.chunks_exact(n.max(1)).map(length).collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&x, &y| lengths[y].total_cmp(&lengths[x]));
    let s: Vec<f64> = order.iter().map(|&i| lengths[i]).collect();
    let mut vt: Vec<f64> = order
        .iter()
        .flat_map(|&i| w[i * n..][..n].iter().map(move |x| (i, x)))
        .map(|(i, x)| {
            if lengths[i] > 0.0 {
                x / lengths[i]
            } else {
                0.0
            }
        })
        .collect();
    complete(&mut vt, n, s.iter().take_while(|&&s| s > 0.0).count());
    // U = Q·J, and what Q has beyond it.
    let cols = if full { m } else { n };
    let mut u = vec![0.0; m * cols];
    for (c, &i) in order.iter().enumerate() {
        (0..n).for_each(|r| u[r * cols + c] = jt[i * n + r]);
    }
    (n..cols).for_each(|i| u[i * cols + i] = 1.0);
    qr.apply(&mut u, cols);
    Some(Svd {
        u,
        s: s.iter().map(|s| s * unit).collect(),
        vt,
    })
}

/// Rotates pairs of rows of `w` (n x n), and of `jt` along, until all are orthogonal to each other.
fn orthogonalise(w: &mut [f64], jt: &mut [f64], n: usize) -> Option<()> {
    let tolerance = f64::EPSILON * (n as f64).sqrt().max(4.0);
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                let (x, y) = two_rows(w, n, p, q);
                let (xx, yy, xy) = (dot(x, x), dot(y, y), dot(x, y));
                if xx.min(yy) < NONE || xy.abs() <= tolerance * xx.sqrt() * yy.sqrt() {
                    continue;
                }
                rotated = true;
                let zeta = (yy - xx) / (2.0 * xy);
                let t = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                rotate(x, y, c, c * t);
                let (x, y) = two_rows(jt, n, p, q);
                rotate(x, y, c, c * t);
            }
        }
        if !rotated {
            return Some(());
        }
    }
    None
}

/// Rows from `done` on become unit vectors orthogonal to each other and to those before.
fn complete(rows: &mut [f64], n: usize, done: usize) {
    let mut units = 0..n; // the unit vectors not tried so far
    for j in done..n {
        for e in units.by_ref() {
            let mut x = vec![0.0; n];
            x[e] = 1.0;
            for _ in 0..2 {
                for row in rows[..j * n].chunks_exact(n) {
                    let d = -dot(&x, row);
                    add_scaled(&mut x, d, row);
                }
            }
            let length = dot(&x, &x).sqrt();
            // Not all of those left can lie nearly in the space of the rows.
            if length > 0.5 / n as f64 {
                rows[j * n..][..n]
                    .iter_mut()
                    .zip(&x)
                    .for_each(|(r, x)| *r = x / length);
                break;
            }
        }
    }
}

impl Tensor {
    /// U, S, Vᵀ with A = U·diag(S)·Vᵀ of matrices `(.., M, N)`, S descending: `(.., M, K)`, `(.., K)`, `(.., K, N)`, K the
    /// smaller size; with `full_matrices` (PyTorch's default) U is `(.., M, M)` and Vᵀ `(.., N, N)`. Signs, and the choice
    /// among vectors of a repeated singular value, are arbitrary.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[3f64, 0., 4., 5., 1., 2.], [3, 2])?;
    /// let (u, s, vh) = a.linalg_svd(false)?;
    /// assert_eq!((u.dims(), s.dims(), vh.dims()), (&[3, 2][..], &[2][..], &[2, 2][..]));
    /// assert!(u.mul(&s)?.matmul(&vh)?.allclose(&a, 1e-12, 1e-12, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// They are not matrices of floats, hold NaN or infinities, or the rotations do not converge.
    pub fn linalg_svd(&self, full_matrices: bool) -> Result<(Tensor, Tensor, Tensor)> {
        let a = Batch::new("linalg_svd", self)?;
        let (m, n) = (a.rows, a.cols);
        let k = m.min(n);
        let (uc, vr) = if full_matrices { (m, n) } else { (k, k) };
        if k == 0 {
            let s = a.result(vec![], &[0])?;
            return Ok((
                a.eye(m)?.narrow(-1, 0, uc)?,
                s,
                a.eye(n)?.narrow(-2, 0, vr)?,
            ));
        }
        a.expect_finite()?;
        a.zeros(m, uc)?; // is there room for one?
        a.zeros(vr, n)?;
        let (mut us, mut ss, mut vts) = (a.room(m * uc)?, a.room(k)?, a.room(vr * n)?);
        for (i, matrix) in a.matrices().enumerate() {
            let one = svd(matrix, m, n, full_matrices).ok_or_else(|| no_convergence(&a, i))?;
            us.extend(one.u);
            ss.extend(one.s);
            vts.extend(one.vt);
        }
        Ok((
            a.result(us, &[m, uc])?,
            a.result(ss, &[k])?,
            a.result(vts, &[vr, n])?,
        ))
    }

    /// The singular values `(.., K)` of [`Tensor::linalg_svd`], descending.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[0f64, 3., 0., 0., 0., -4.], [2, 3])?;
    /// assert_eq!(a.linalg_svdvals()?.to_vec::<f64>()?, [4.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::linalg_svd`].
    pub fn linalg_svdvals(&self) -> Result<Tensor> {
        let a = Batch::new("linalg_svdvals", self)?;
        a.expect_finite()?;
        let k = a.rows.min(a.cols);
        let mut values = a.room(k)?;
        for (i, matrix) in a.matrices().enumerate() {
            let one = svd(matrix, a.rows, a.cols, false).ok_or_else(|| no_convergence(&a, i))?;
            values.extend(one.s);
        }
        a.result(values, &[k])
    }
}

fn no_convergence(a: &Batch, i: usize) -> crate::error::Error {
    a.error(
        i,
        format!("has singular values that {SWEEPS} sweeps of rotations did not find"),
    )
}
