//! Eigenvalues and eigenvectors of symmetric matrices: Householder's reduction to a tridiagonal matrix, then implicit QL
//! steps with Wilkinson's shift. After EISPACK's `tred2` and `tql2` (Numerical Recipes' `tqli`).

use super::batch::{Batch, add_scaled, dot, rotate, scaled, transposed, two_rows};
use super::qr::reflect;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Steps allowed for one eigenvalue; two or three are usual.
const STEPS: usize = 100;

/// Eigenvalues ascending and eigenvectors as rows, of a symmetric matrix of which the lower triangle is read; `None` if the
/// steps do not converge.
fn eigh(lower: &[f64], n: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let full: Vec<f64> = (0..n * n)
        .map(|i| lower[(i / n).max(i % n) * n + (i / n).min(i % n)])
        .collect();
    let (mut a, unit) = scaled(&full);
    let mut vt: Vec<f64> = (0..n * n)
        .map(|i| f64::from(u8::from(i / n == i % n)))
        .collect();
    tridiagonal(&mut a, &mut vt, n);
    let mut d: Vec<f64> = (0..n).map(|i| a[i * n + i]).collect();
    let mut e: Vec<f64> = (0..n)
        .map(|i| if i + 1 < n { a[(i + 1) * n + i] } else { 0.0 })
        .collect();
    ql(&mut d, &mut e, &mut vt)?;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&x, &y| d[x].total_cmp(&d[y]));
    Some((
        order.iter().map(|&i| d[i] * unit).collect(),
        order
            .iter()
            .flat_map(|&i| &vt[i * n..][..n])
            .copied()
            .collect(),
    ))
}

/// A := H·A·H and Vᵀ := H·Vᵀ for reflections H until A is tridiagonal.
fn tridiagonal(a: &mut [f64], vt: &mut [f64], n: usize) {
    let mut room = vec![0.0; n];
    for k in 0..n.saturating_sub(2) {
        // The column below the diagonal is reflected onto its first element.
        let mut v: Vec<f64> = (k + 1..n).map(|i| a[i * n + k]).collect();
        let below: f64 = v[1..].iter().map(|x| x * x).sum();
        if below == 0.0 {
            continue;
        }
        let alpha = -(v[0] * v[0] + below).sqrt().copysign(v[0]);
        v[0] -= alpha;
        let tau = 2.0 / (v[0] * v[0] + below);
        a[(k + 1) * n + k] = alpha;
        (k + 2..n).for_each(|i| a[i * n + k] = 0.0);
        // The rest: A −= v·wᵀ + w·vᵀ with p = τ·A·v, w = p − (τ/2)(pᵀv)·v.
        let mut w: Vec<f64> = (k + 1..n)
            .map(|i| tau * dot(&a[i * n + k + 1..(i + 1) * n], &v))
            .collect();
        let f = -0.5 * tau * dot(&w, &v);
        add_scaled(&mut w, f, &v);
        for (i, row) in a[(k + 1) * n..].chunks_exact_mut(n).enumerate() {
            add_scaled(&mut row[k + 1..], -v[i], &w);
            add_scaled(&mut row[k + 1..], -w[i], &v);
        }
        reflect(&v, tau, &mut vt[(k + 1) * n..], n, &mut room);
    }
}

/// Diagonalises the tridiagonal matrix with diagonal `d` and `e[i]` between i and i + 1, turning the rows of `vt` along.
fn ql(d: &mut [f64], e: &mut [f64], vt: &mut [f64]) -> Option<()> {
    let n = d.len();
    for l in 0..n {
        let mut steps = 0;
        loop {
            // The block from l on ends where an element beside the diagonal is negligible.
            let negligible = |m: &usize| {
                m + 1 == n
                    || e[*m].abs()
                        <= f64::EPSILON * (d[*m].abs() + d[m + 1].abs()) + f64::MIN_POSITIVE
            };
            let m = (l..n).find(negligible)?;
            if m == l {
                break;
            }
            steps += 1;
            if steps > STEPS {
                return None;
            }
            let g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let mut g = d[m] - d[l] + e[l] / (g + g.hypot(1.0).copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut split = false;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                let r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    split = true;
                    break;
                }
                (s, c) = (f / r, g / r);
                g = d[i + 1] - p;
                let t = (d[i] - g) * s + 2.0 * c * b;
                p = s * t;
                d[i + 1] = g + p;
                g = c * t - b;
                let (x, y) = two_rows(vt, n, i, i + 1);
                rotate(x, y, c, s);
            }
            if !split {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
        }
    }
    Some(())
}

/// Which triangle `uplo` names: is it the upper?
fn is_upper(op: &'static str, uplo: &str) -> Result<bool> {
    match uplo {
        "L" | "l" => Ok(false),
        "U" | "u" => Ok(true),
        _ => Err(Error::value(op, format!("UPLO is {uplo:?}; it is L or U"))),
    }
}

impl Tensor {
    /// Eigenvalues `(.., N)`, ascending, and eigenvectors `(.., N, N)` as columns, of symmetric matrices `(.., N, N)`, of
    /// which only the lower (`uplo` "L", PyTorch's default) or upper ("U") triangle is read. An eigenvector's sign, and the
    /// choice among those of a repeated eigenvalue, are arbitrary.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[2f64, 1., 1., 2.], [2, 2])?;
    /// let (w, v) = a.linalg_eigh("L")?;
    /// assert!(w.allclose(&Tensor::from_slice(&[1f64, 3.], 2)?, 1e-12, 0.0, false)?);
    /// assert!(v.mul(&w)?.matmul(&v.mt()?)?.allclose(&a, 1e-12, 0.0, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// They are not square floats, hold NaN or infinities, or the steps do not converge.
    pub fn linalg_eigh(&self, uplo: &str) -> Result<(Tensor, Tensor)> {
        let (a, values, vectors) = decompose("linalg_eigh", self, uplo)?;
        let n = a.rows;
        Ok((a.result(values, &[n])?, a.result(vectors, &[n, n])?))
    }

    /// The eigenvalues of [`Tensor::linalg_eigh`].
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[0f64, 1., 1., 0.], [2, 2])?;
    /// let w = a.linalg_eigvalsh("L")?;
    /// assert!(w.allclose(&Tensor::from_slice(&[-1f64, 1.], 2)?, 1e-12, 0.0, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::linalg_eigh`].
    pub fn linalg_eigvalsh(&self, uplo: &str) -> Result<Tensor> {
        let (a, values, _) = decompose("linalg_eigvalsh", self, uplo)?;
        a.result(values, &[a.rows])
    }
}

fn decompose(op: &'static str, x: &Tensor, uplo: &str) -> Result<(Batch, Vec<f64>, Vec<f64>)> {
    let upper = is_upper(op, uplo)? && x.rank() >= 2;
    let a = Batch::square(op, &if upper { x.mt()? } else { x.clone() })?;
    a.expect_finite()?;
    let n = a.rows;
    let (mut values, mut vectors) = (a.room(n)?, a.room(n * n)?);
    for (i, matrix) in a.matrices().enumerate() {
        let (w, vt) = eigh(matrix, n).ok_or_else(|| {
            a.error(
                i,
                format!("has eigenvalues that {STEPS} steps did not find"),
            )
        })?;
        values.extend(w);
        vectors.extend(transposed(&vt, n, n));
    }
    Ok((a, values, vectors))
}
