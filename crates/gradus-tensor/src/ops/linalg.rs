//! Dense linear algebra on (batches of) matrices: `torch.linalg`'s decompositions and what is made of them.
//!
//! Textbook algorithms in f64 whatever the dtype (LU with partial pivoting, Householder QR, Cholesky, Jacobi rotations), one
//! matrix at a time: right before fast. After Golub and Van Loan, "Matrix Computations". Not for large matrices.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// A batch of matrices in f64, row-major.
struct Batch {
    data: Vec<f64>,
    lead: Vec<usize>,
    rows: usize,
    cols: usize,
    dtype: DType,
}

impl Batch {
    fn new(op: &'static str, x: &Tensor) -> Result<Batch> {
        if !x.dtype().is_float() {
            return Err(Error::dtype(
                op,
                format!(
                    "{} is not a float; convert with to_dtype(DType::F32) first",
                    x.dtype()
                ),
            ));
        }
        let (Ok(rows), Ok(cols), true) = (x.dim(-2), x.dim(-1), x.rank() >= 2) else {
            return Err(Error::shape(
                op,
                format!(
                    "shape {} has fewer than 2 dimensions; it takes matrices",
                    x.shape()
                ),
            ));
        };
        let lead = x.dims()[..x.rank() - 2].to_vec();
        Ok(Batch {
            data: x.to_dtype(DType::F64)?.to_vec::<f64>()?,
            lead,
            rows,
            cols,
            dtype: x.dtype(),
        })
    }

    fn square(op: &'static str, x: &Tensor) -> Result<Batch> {
        let b = Batch::new(op, x)?;
        if b.rows != b.cols {
            return Err(Error::shape(
                op,
                format!(
                    "shape {}: the matrices are {} x {}, not square",
                    x.shape(),
                    b.rows,
                    b.cols
                ),
            ));
        }
        Ok(b)
    }

    fn count(&self) -> usize {
        self.lead.iter().product()
    }

    fn get(&self, i: usize) -> &[f64] {
        let size = self.rows * self.cols;
        &self.data[i * size..][..size]
    }

    /// `tail` sizes after the batch's leading ones, in its dtype.
    fn result(&self, data: Vec<f64>, tail: &[usize]) -> Result<Tensor> {
        let shape: Vec<usize> = self.lead.iter().chain(tail).copied().collect();
        Tensor::from_vec(data, shape)?.to_dtype(self.dtype)
    }
}

/// LU decomposition in place with row exchanges: the permutation and its sign. A zero pivot is left as it is.
fn lu(a: &mut [f64], n: usize) -> (Vec<usize>, f64) {
    let (mut order, mut sign): (Vec<usize>, f64) = ((0..n).collect(), 1.0);
    for k in 0..n {
        let p = (k..n)
            .max_by(|&i, &j| a[i * n + k].abs().total_cmp(&a[j * n + k].abs()))
            .unwrap_or(k);
        if p != k {
            (0..n).for_each(|j| a.swap(k * n + j, p * n + j));
            order.swap(k, p);
            sign = -sign;
        }
        let pivot = a[k * n + k];
        if pivot == 0.0 {
            continue;
        }
        for i in k + 1..n {
            let f = a[i * n + k] / pivot;
            a[i * n + k] = f;
            for j in k + 1..n {
                a[i * n + j] -= f * a[k * n + j];
            }
        }
    }
    (order, sign)
}

/// Solves a triangular system in place for each of `m` columns of `b`.
fn triangular(a: &[f64], n: usize, b: &mut [f64], m: usize, upper: bool, unit: bool) {
    for step in 0..n {
        let i = if upper { n - 1 - step } else { step };
        let known = if upper { i + 1..n } else { 0..i };
        for j in known {
            let f = a[i * n + j];
            for c in 0..m {
                b[i * m + c] -= f * b[j * m + c];
            }
        }
        if !unit {
            (0..m).for_each(|c| b[i * m + c] /= a[i * n + i]);
        }
    }
}

/// A·X = B for one matrix; `None` where A is singular.
fn solve_one(a: &[f64], n: usize, b: &[f64], m: usize) -> Option<Vec<f64>> {
    let mut f = a.to_vec();
    let (order, _) = lu(&mut f, n);
    if (0..n).any(|i| f[i * n + i] == 0.0) {
        return None;
    }
    let mut x: Vec<f64> = order
        .iter()
        .flat_map(|&r| b[r * m..][..m].iter().copied())
        .collect();
    triangular(&f, n, &mut x, m, false, true);
    triangular(&f, n, &mut x, m, true, false);
    Some(x)
}

fn singular(op: &'static str, x: &Tensor) -> Error {
    Error::value(
        op,
        format!(
            "a matrix of shape {} is singular; use linalg_pinv for a least-squares inverse",
            x.shape()
        ),
    )
}

impl Tensor {
    /// X with A·X = B: A `(.., N, N)`, B `(.., N, M)` or a vector `(.., N)`; leading dimensions broadcast.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[2f64, 1., 1., 3.], [2, 2])?;
    /// let x = a.linalg_solve(&Tensor::from_slice(&[3f64, 5.], 2)?)?;
    /// assert!(x.allclose(&Tensor::from_slice(&[0.8f64, 1.4], 2)?, 1e-12, 0.0, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, or a matrix is singular.
    pub fn linalg_solve(&self, b: &Tensor) -> Result<Tensor> {
        let op = "linalg_solve";
        if self.dtype() != b.dtype() {
            return Err(Error::dtype(
                op,
                format!(
                    "dtypes {} and {} differ; convert one with to_dtype",
                    self.dtype(),
                    b.dtype()
                ),
            ));
        }
        let n = Batch::square(op, self)?.rows;
        let vector = b.rank() == 1
            || (b.rank() + 1 == self.rank() && *b.dims() == self.dims()[..self.rank() - 1]);
        let right = if vector { b.unsqueeze(-1)? } else { b.clone() };
        if right.rank() < 2 || right.dim(-2)? != n {
            return Err(Error::shape(
                op,
                format!(
                    "{} and {}: the right side takes {n} rows",
                    self.shape(),
                    b.shape()
                ),
            ));
        }
        let m = right.dim(-1)?;
        let lead = |t: &Tensor| Shape::new(&t.dims()[..t.rank() - 2]);
        let common = lead(self)
            .broadcast(&lead(&right))
            .map_err(|e| e.in_op(op))?;
        let stretch = |t: &Tensor, r: usize, c: usize| {
            t.broadcast_to(common.iter().copied().chain([r, c]).collect::<Vec<_>>())
        };
        let (a, right) = (
            Batch::new(op, &stretch(self, n, n)?)?,
            Batch::new(op, &stretch(&right, n, m)?)?,
        );
        let mut out = Vec::new();
        for i in 0..a.count() {
            out.extend(solve_one(a.get(i), n, right.get(i), m).ok_or_else(|| singular(op, self))?);
        }
        let x = a.result(out, &[n, m])?;
        if vector { x.squeeze(-1) } else { Ok(x) }
    }

    /// The inverse of square matrices `(.., N, N)`.
    ///
    /// # Errors
    /// They are not square floats, or one is singular.
    pub fn linalg_inv(&self) -> Result<Tensor> {
        let op = "linalg_inv";
        let a = Batch::square(op, self)?;
        let n = a.rows;
        let identity: Vec<f64> = (0..n * n)
            .map(|i| f64::from(u8::from(i / n == i % n)))
            .collect();
        let mut out = Vec::new();
        for i in 0..a.count() {
            out.extend(solve_one(a.get(i), n, &identity, n).ok_or_else(|| singular(op, self))?);
        }
        a.result(out, &[n, n])
    }

    /// The determinant of square matrices: `(.., N, N) -> (..)`.
    ///
    /// # Errors
    /// They are not square floats.
    pub fn linalg_det(&self) -> Result<Tensor> {
        let a = Batch::square("linalg_det", self)?;
        let det = |i: usize| {
            let mut f = a.get(i).to_vec();
            let (_, sign) = lu(&mut f, a.rows);
            (0..a.rows).fold(sign, |d, k| d * f[k * a.rows + k])
        };
        a.result((0..a.count()).map(det).collect(), &[])
    }

    /// Sign and logarithm of the magnitude of the determinant, `(..)` each; 0 and −∞ where it is 0.
    ///
    /// # Errors
    /// They are not square floats.
    pub fn linalg_slogdet(&self) -> Result<(Tensor, Tensor)> {
        let a = Batch::square("linalg_slogdet", self)?;
        let (mut signs, mut logs) = (vec![], vec![]);
        for i in 0..a.count() {
            let mut f = a.get(i).to_vec();
            let (_, sign) = lu(&mut f, a.rows);
            let pivots = || (0..a.rows).map(|k| f[k * a.rows + k]);
            signs.push(pivots().fold(sign, |s, p| if p == 0.0 { 0.0 } else { s * p.signum() }));
            logs.push(pivots().map(|p| p.abs().ln()).sum());
        }
        Ok((a.result(signs, &[])?, a.result(logs, &[])?))
    }

    /// L with L·Lᵀ = A, lower triangular, of symmetric positive-definite matrices (only the lower triangle is read); with
    /// `upper`, its transpose.
    ///
    /// # Errors
    /// They are not square floats, or one is not positive definite.
    pub fn linalg_cholesky(&self, upper: bool) -> Result<Tensor> {
        let op = "linalg_cholesky";
        let a = Batch::square(op, self)?;
        let n = a.rows;
        let mut out = vec![0.0; a.data.len()];
        for (i, l) in out.chunks_exact_mut((n * n).max(1)).enumerate() {
            let a = a.get(i);
            for r in 0..n {
                for c in 0..=r {
                    let s = a[r * n + c] - (0..c).map(|k| l[r * n + k] * l[c * n + k]).sum::<f64>();
                    if r == c {
                        if s <= 0.0 || s.is_nan() {
                            let message = format!(
                                "a matrix of shape {} is not positive definite (leading minor {})",
                                self.shape(),
                                r + 1
                            );
                            return Err(Error::value(op, message));
                        }
                        l[r * n + r] = s.sqrt();
                    } else {
                        l[r * n + c] = s / l[c * n + c];
                    }
                }
            }
        }
        let l = a.result(out, &[n, n])?;
        if upper { l.transpose(-2, -1) } else { Ok(l) }
    }

    /// X with A·X = B (or X·A = B where not `left`), A triangular `(.., N, N)`; its other triangle is not read, nor its
    /// diagonal with `unitriangular`.
    ///
    /// # Errors
    /// Shapes or dtypes do not fit.
    pub fn linalg_solve_triangular(
        &self,
        b: &Tensor,
        upper: bool,
        left: bool,
        unitriangular: bool,
    ) -> Result<Tensor> {
        let op = "linalg_solve_triangular";
        if !left {
            return self
                .mt()?
                .linalg_solve_triangular(&b.mt()?, !upper, true, unitriangular)?
                .mt();
        }
        if self.dtype() != b.dtype() {
            return Err(Error::dtype(
                op,
                format!(
                    "dtypes {} and {} differ; convert one with to_dtype",
                    self.dtype(),
                    b.dtype()
                ),
            ));
        }
        let n = Batch::square(op, self)?.rows;
        if b.rank() < 2 || b.dim(-2)? != n {
            return Err(Error::shape(
                op,
                format!(
                    "{} and {}: the right side takes {n} rows",
                    self.shape(),
                    b.shape()
                ),
            ));
        }
        let m = b.dim(-1)?;
        let lead = |t: &Tensor| Shape::new(&t.dims()[..t.rank() - 2]);
        let common = lead(self).broadcast(&lead(b)).map_err(|e| e.in_op(op))?;
        let stretch = |t: &Tensor, r: usize, c: usize| {
            t.broadcast_to(common.iter().copied().chain([r, c]).collect::<Vec<_>>())
        };
        let (a, mut x) = (
            Batch::new(op, &stretch(self, n, n)?)?,
            Batch::new(op, &stretch(b, n, m)?)?,
        );
        for i in 0..a.count() {
            triangular(
                a.get(i),
                n,
                &mut x.data[i * n * m..][..n * m],
                m,
                upper,
                unitriangular,
            );
        }
        a.result(x.data, &[n, m])
    }

    /// Q with orthonormal columns and upper-triangular R, Q·R = A `(.., M, N)`. `mode`: "reduced" (Q `(.., M, K)`, R
    /// `(.., K, N)`, K the smaller), "complete" (Q `(.., M, M)`, R `(.., M, N)`) or "r" (Q empty).
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
        let (mut qs, mut rs) = (vec![], vec![]);
        for i in 0..a.count() {
            let (q, r) = householder(a.get(i), m, n);
            qs.extend((0..m).flat_map(|row| q[row * m..][..k].to_vec()));
            rs.extend_from_slice(&r[..k * n]);
        }
        let r = a.result(rs, &[k, n])?;
        let q = if mode == "r" {
            Tensor::zeros(0, self.dtype())?
        } else {
            a.result(qs, &[m, k])?
        };
        Ok((q, r))
    }

    /// Eigenvalues `(.., N)`, ascending, and eigenvectors `(.., N, N)` as columns, of symmetric matrices (only the lower
    /// triangle is read). By Jacobi's rotations.
    ///
    /// # Errors
    /// They are not square floats, or hold NaN or infinities.
    pub fn linalg_eigh(&self) -> Result<(Tensor, Tensor)> {
        let op = "linalg_eigh";
        let a = Batch::square(op, self)?;
        let n = a.rows;
        if a.data.iter().any(|x| !x.is_finite()) {
            return Err(Error::value(op, "the matrices hold NaN or infinities"));
        }
        let (mut values, mut vectors) = (vec![], vec![]);
        for i in 0..a.count() {
            let (w, v) = jacobi(a.get(i), n);
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|&x, &y| w[x].total_cmp(&w[y]));
            values.extend(order.iter().map(|&j| w[j]));
            vectors.extend(
                (0..n).flat_map(|r| order.iter().map(|&j| v[r * n + j]).collect::<Vec<_>>()),
            );
        }
        Ok((a.result(values, &[n])?, a.result(vectors, &[n, n])?))
    }

    /// U, S, Vᵀ with A = U·diag(S)·Vᵀ, S descending: `(.., M, K)`, `(.., K)`, `(.., K, N)`, K the smaller size. By one-sided
    /// Jacobi rotations.
    ///
    /// # Errors
    /// They are not matrices of floats, or hold NaN or infinities.
    pub fn linalg_svd(&self) -> Result<(Tensor, Tensor, Tensor)> {
        let op = "linalg_svd";
        let a = Batch::new(op, self)?;
        if a.rows < a.cols {
            let (u, s, vt) = self.mt()?.linalg_svd()?;
            return Ok((vt.mt()?, s, u.mt()?));
        }
        if a.data.iter().any(|x| !x.is_finite()) {
            return Err(Error::value(op, "the matrices hold NaN or infinities"));
        }
        let (m, n) = (a.rows, a.cols);
        let (mut us, mut ss, mut vts) = (vec![], vec![], vec![]);
        for i in 0..a.count() {
            let (u, s, v) = one_sided(a.get(i), m, n);
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by(|&x, &y| s[y].total_cmp(&s[x]));
            us.extend((0..m).flat_map(|r| order.iter().map(|&j| u[r * n + j]).collect::<Vec<_>>()));
            ss.extend(order.iter().map(|&j| s[j]));
            vts.extend(
                order
                    .iter()
                    .flat_map(|&j| (0..n).map(|r| v[r * n + j]).collect::<Vec<_>>()),
            );
        }
        Ok((
            a.result(us, &[m, n])?,
            a.result(ss, &[n])?,
            a.result(vts, &[n, n])?,
        ))
    }

    /// The Moore-Penrose inverse `(.., N, M)` of `(.., M, N)`: singular values up to `rtol` (`None`: ε·max(M, N)) times the
    /// largest count as 0.
    ///
    /// # Errors
    /// As [`Tensor::linalg_svd`].
    pub fn linalg_pinv(&self, rtol: impl Into<Option<f64>>) -> Result<Tensor> {
        let (u, s, vt) = self
            .to_dtype(DType::F64)?
            .linalg_svd()
            .map_err(|e| e.in_op("linalg_pinv"))?;
        if s.numel() == 0 {
            return Tensor::zeros(self.mt()?.shape(), self.dtype());
        }
        let eps = if self.dtype() == DType::F64 {
            f64::EPSILON
        } else {
            f64::from(f32::EPSILON)
        };
        let rtol = rtol
            .into()
            .unwrap_or(eps * self.dim(-1)?.max(self.dim(-2)?) as f64);
        let small = s.le(&s.amax(-1, true)?.mul_scalar(rtol)?)?;
        let inverse = s.reciprocal()?.masked_fill(&small, 0.0)?; // (.., K)
        vt.mt()?
            .mul(&inverse.unsqueeze(-2)?)?
            .matmul(&u.mt()?)?
            .to_dtype(self.dtype())
    }

    /// Aⁿ of square matrices; a negative n inverts first.
    ///
    /// # Errors
    /// They are not square floats, or singular for a negative n.
    pub fn linalg_matrix_power(&self, n: i64) -> Result<Tensor> {
        let op = "linalg_matrix_power";
        let size = Batch::square(op, self)?.rows;
        let mut base = if n < 0 {
            self.linalg_inv().map_err(|e| e.in_op(op))?
        } else {
            self.clone()
        };
        let mut out = Tensor::eye(size, self.dtype())?.broadcast_to(self.shape())?;
        let mut left = n.unsigned_abs();
        while left > 0 {
            if left & 1 == 1 {
                out = out.matmul(&base)?;
            }
            left >>= 1;
            if left > 0 {
                base = base.matmul(&base)?;
            }
        }
        Ok(out)
    }

    /// e^A of square matrices: a Taylor polynomial of A/2ˢ, squared s times, in f64.
    ///
    /// # Errors
    /// They are not square floats.
    pub fn matrix_exp(&self) -> Result<Tensor> {
        let op = "matrix_exp";
        let n = Batch::square(op, self)?.rows;
        let a = self.to_dtype(DType::F64)?;
        if a.numel() == 0 {
            return Ok(self.clone());
        }
        let norm = a.abs()?.sum(-1, false)?.amax(.., false)?.to_f64()?;
        let halvings = if norm.is_finite() && norm > 0.5 {
            ((norm / 0.5).log2().ceil() as i32).min(1100)
        } else {
            0
        };
        let a = a.mul_scalar((-f64::from(halvings)).exp2())?;
        // Horner's rule; the 18th term is below 1e-21 for a norm of 1/2.
        let one = Tensor::eye(n, DType::F64)?;
        let mut y = one.broadcast_to(a.shape())?;
        for k in (1..=18).rev() {
            y = a.matmul(&y)?.div_scalar_(f64::from(k))?.add_(&one)?;
        }
        for _ in 0..halvings {
            y = y.matmul(&y)?;
        }
        y.to_dtype(self.dtype())
    }
}

/// Householder's QR of one matrix (m x n): the full Q (m x m) and R (m x n). Signs as LAPACK has them.
fn householder(a: &[f64], m: usize, n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut r = a.to_vec();
    let mut q: Vec<f64> = (0..m * m)
        .map(|i| f64::from(u8::from(i / m == i % m)))
        .collect();
    for k in 0..n.min(m.saturating_sub(1)) {
        let tail = (k + 1..m).map(|i| r[i * n + k].powi(2)).sum::<f64>();
        if tail == 0.0 {
            continue;
        }
        let x = r[k * n + k];
        let beta = -(x * x + tail).sqrt().copysign(x);
        let mut v: Vec<f64> = (k..m).map(|i| r[i * n + k]).collect();
        v[0] -= beta;
        let scale = 2.0 / v.iter().map(|v| v * v).sum::<f64>();
        for j in k..n {
            let s = scale * (k..m).map(|i| v[i - k] * r[i * n + j]).sum::<f64>();
            (k..m).for_each(|i| r[i * n + j] -= s * v[i - k]);
        }
        for row in q.chunks_exact_mut(m) {
            let s = scale * (k..m).map(|i| v[i - k] * row[i]).sum::<f64>();
            (k..m).for_each(|i| row[i] -= s * v[i - k]);
        }
        (k + 1..m).for_each(|i| r[i * n + k] = 0.0);
    }
    (q, r)
}

/// Jacobi's eigenvalue algorithm on one symmetric matrix: eigenvalues, and eigenvectors as columns.
fn jacobi(lower: &[f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut a: Vec<f64> = (0..n * n)
        .map(|i| lower[(i / n).max(i % n) * n + (i / n).min(i % n)])
        .collect();
    let mut v: Vec<f64> = (0..n * n)
        .map(|i| f64::from(u8::from(i / n == i % n)))
        .collect();
    for _ in 0..100 {
        let off: f64 = (0..n * n)
            .filter(|i| i / n != i % n)
            .map(|i| a[i] * a[i])
            .sum();
        let all: f64 = a.iter().map(|x| x * x).sum();
        if off <= all * 1e-32 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                if a[p * n + q] == 0.0 {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * a[p * n + q]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let (c, s) = (1.0 / t.hypot(1.0), t / t.hypot(1.0));
                for k in 0..n {
                    let (x, y) = (a[k * n + p], a[k * n + q]);
                    (a[k * n + p], a[k * n + q]) = (c * x - s * y, s * x + c * y);
                }
                for k in 0..n {
                    let (x, y) = (a[p * n + k], a[q * n + k]);
                    (a[p * n + k], a[q * n + k]) = (c * x - s * y, s * x + c * y);
                    let (x, y) = (v[k * n + p], v[k * n + q]);
                    (v[k * n + p], v[k * n + q]) = (c * x - s * y, s * x + c * y);
                }
            }
        }
    }
    ((0..n).map(|i| a[i * n + i]).collect(), v)
}

/// One-sided Jacobi on one matrix with m >= n: columns are rotated until orthogonal. U (m x n), S (n), V (n x n).
fn one_sided(a: &[f64], m: usize, n: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let mut u = a.to_vec();
    let mut v: Vec<f64> = (0..n * n)
        .map(|i| f64::from(u8::from(i / n == i % n)))
        .collect();
    for _ in 0..100 {
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                let dot =
                    |x: usize, y: usize| (0..m).map(|k| u[k * n + x] * u[k * n + y]).sum::<f64>();
                let (pp, qq, pq) = (dot(p, p), dot(q, q), dot(p, q));
                if pq.abs() <= 1e-15 * (pp * qq).sqrt() || pq == 0.0 {
                    continue;
                }
                rotated = true;
                let theta = (qq - pp) / (2.0 * pq);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let (c, s) = (1.0 / t.hypot(1.0), t / t.hypot(1.0));
                for (w, rows) in [(&mut u, m), (&mut v, n)] {
                    for k in 0..rows {
                        let (x, y) = (w[k * n + p], w[k * n + q]);
                        (w[k * n + p], w[k * n + q]) = (c * x - s * y, s * x + c * y);
                    }
                }
            }
        }
        if !rotated {
            break;
        }
    }
    let s: Vec<f64> = (0..n)
        .map(|j| (0..m).map(|k| u[k * n + j].powi(2)).sum::<f64>().sqrt())
        .collect();
    let largest = s.iter().copied().fold(0.0, f64::max);
    for j in 0..n {
        if s[j] > largest * 1e-300 && s[j] > 0.0 {
            (0..m).for_each(|k| u[k * n + j] /= s[j]);
            continue;
        }
        // A null direction: any unit vector orthogonal to the columns that are there.
        for e in 0..m {
            let mut w: Vec<f64> = (0..m).map(|k| f64::from(u8::from(k == e))).collect();
            for _ in 0..2 {
                for i in (0..n).filter(|&i| i < j || s[i] > 0.0) {
                    let d: f64 = (0..m).map(|k| w[k] * u[k * n + i]).sum();
                    (0..m).for_each(|k| {
                        w[k] -= d * u[k * n + i] / if i > j { s[i] * s[i] } else { 1.0 }
                    });
                }
            }
            let norm = w.iter().map(|w| w * w).sum::<f64>().sqrt();
            if norm > 0.1 / (m as f64).sqrt() {
                (0..m).for_each(|k| u[k * n + j] = w[k] / norm);
                break;
            }
        }
    }
    (u, s, v)
}
