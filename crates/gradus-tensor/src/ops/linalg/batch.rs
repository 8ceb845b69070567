//! A batch of matrices as decompositions see it: f64, row-major, one after another. Also what their kernels share.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::storage::try_vec;
use crate::tensor::Tensor;

/// Matrices `(.., rows, cols)`, and the op they are for.
pub(super) struct Batch {
    op: &'static str,
    pub data: Vec<f64>,
    lead: Shape,
    pub rows: usize,
    pub cols: usize,
    dtype: DType,
}

impl Batch {
    pub(super) fn new(op: &'static str, x: &Tensor) -> Result<Batch> {
        if !x.dtype().is_float() {
            return Err(Error::dtype(
                op,
                format!(
                    "{} is not a float; convert with to_dtype(DType::F32) first",
                    x.dtype()
                ),
            ));
        }
        let [lead @ .., rows, cols] = x.dims() else {
            return Err(Error::shape(
                op,
                format!(
                    "shape {} has fewer than 2 dimensions; it takes matrices",
                    x.shape()
                ),
            ));
        };
        x.only_on_cpu(op)?;
        Ok(Batch {
            op,
            data: x
                .to_dtype(DType::F64)
                .and_then(|x| x.to_vec::<f64>())
                .map_err(|e| e.in_op(op))?,
            lead: Shape::new(lead),
            rows: *rows,
            cols: *cols,
            dtype: x.dtype(),
        })
    }

    /// Square ones.
    pub(super) fn square(op: &'static str, x: &Tensor) -> Result<Batch> {
        let b = Batch::new(op, x)?;
        if b.rows == b.cols {
            return Ok(b);
        }
        Err(Error::shape(
            op,
            format!(
                "shape {}: the matrices are {} x {}, not square",
                x.shape(),
                b.rows,
                b.cols
            ),
        ))
    }

    /// Square matrices `a` (.., N, N) and right sides `b` (.., N, M) of as many, leading dimensions broadcast.
    pub(super) fn system(op: &'static str, a: &Tensor, b: &Tensor) -> Result<(Batch, Batch)> {
        let wrong =
            |why: String| Error::shape(op, format!("{} and {}: {why}", a.shape(), b.shape()));
        if a.dtype() != b.dtype() {
            return Err(Error::dtype(
                op,
                format!(
                    "dtypes {} and {} differ; convert one with to_dtype",
                    a.dtype(),
                    b.dtype()
                ),
            ));
        }
        let ([lead_a @ .., n, n2], [lead_b @ .., rows, m]) = (a.dims(), b.dims()) else {
            return Err(wrong("both take at least 2 dimensions".into()));
        };
        if n != n2 {
            return Err(wrong(format!("the matrices are {n} x {n2}, not square")));
        }
        if rows != n {
            return Err(wrong(format!(
                "the right side takes {n} rows, and has {rows}"
            )));
        }
        let lead = Shape::new(lead_a)
            .broadcast(&Shape::new(lead_b))
            .map_err(|_| wrong("leading dimensions do not broadcast".into()))?;
        let full = |x: &Tensor, r: usize, c: usize| {
            let shape: Vec<usize> = lead.iter().copied().chain([r, c]).collect();
            Batch::new(op, &x.broadcast_to(shape)?)
        };
        Ok((full(a, *n, *n)?, full(b, *n, *m)?))
    }

    /// How many there are; 0 if they have no elements.
    pub(super) fn count(&self) -> usize {
        self.data.len() / (self.rows * self.cols).max(1)
    }

    pub(super) fn get(&self, i: usize) -> &[f64] {
        let size = self.rows * self.cols;
        &self.data[i * size..][..size]
    }

    /// All of them; none if they have no elements.
    pub(super) fn matrices(&self) -> impl Iterator<Item = &[f64]> {
        self.data.chunks_exact((self.rows * self.cols).max(1))
    }

    /// A result: `tail` sizes after the leading ones, in the batch's dtype.
    pub(super) fn result(&self, data: Vec<f64>, tail: &[usize]) -> Result<Tensor> {
        Tensor::from_vec(data, self.shape(tail))?.to_dtype(self.dtype)
    }

    /// Leading sizes, then `tail`.
    pub(super) fn shape(&self, tail: &[usize]) -> Shape {
        Shape::from(self.lead.iter().chain(tail).copied().collect::<Vec<_>>())
    }

    /// Identity matrices for each, without a copy for each.
    pub(super) fn eye(&self, n: usize) -> Result<Tensor> {
        Tensor::eye(n, self.dtype)?.broadcast_to(self.shape(&[n, n]))
    }

    pub(super) fn dtype(&self) -> DType {
        self.dtype
    }

    /// Room for `n` numbers for each matrix.
    pub(super) fn room(&self, n: usize) -> Result<Vec<f64>> {
        let all = n.saturating_mul(self.count());
        let mut room = try_vec(self.op, 0.0, all)?;
        room.clear();
        Ok(room)
    }

    /// Room for one matrix of zeros.
    pub(super) fn zeros(&self, rows: usize, cols: usize) -> Result<Vec<f64>> {
        try_vec(self.op, 0.0, rows.saturating_mul(cols))
    }

    /// What is wrong with matrix `i`.
    pub(super) fn error(&self, i: usize, why: impl std::fmt::Display) -> Error {
        let (rows, cols) = (self.rows, self.cols);
        let which = if self.lead.is_empty() {
            format!("the {rows} x {cols} matrix")
        } else {
            let mut index = vec![0; self.lead.len()];
            let mut left = i;
            for (at, &size) in index.iter_mut().zip(self.lead.iter()).rev() {
                *at = left % size.max(1);
                left /= size.max(1);
            }
            format!("{rows} x {cols} matrix {index:?} of the batch")
        };
        Error::value(self.op, format!("{which} {why}"))
    }

    /// An error if a matrix holds NaN or an infinity: iterations would not end well.
    pub(super) fn expect_finite(&self) -> Result<()> {
        let bad = self
            .matrices()
            .position(|a| a.iter().any(|x| !x.is_finite()));
        bad.map_or(Ok(()), |i| {
            Err(self.error(
                i,
                "holds NaN or an infinity, so the algorithm cannot converge",
            ))
        })
    }
}

/// A copy times a power of two that brings the largest element near 1, and the factor that undoes it: squares of it
/// neither overflow nor vanish.
pub(super) fn scaled(a: &[f64]) -> (Vec<f64>, f64) {
    let largest = a.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let exponent = if largest > 0.0 && largest.is_finite() {
        largest.log2().floor().clamp(-1000.0, 1000.0)
    } else {
        0.0
    };
    let down = (-exponent).exp2();
    (a.iter().map(|x| x * down).collect(), exponent.exp2())
}

/// The transposed matrix.
pub(super) fn transposed(a: &[f64], rows: usize, cols: usize) -> Vec<f64> {
    (0..cols)
        .flat_map(|c| (0..rows).map(move |r| a[r * cols + c]))
        .collect()
}

/// y += f·x.
pub(super) fn add_scaled(y: &mut [f64], f: f64, x: &[f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += f * x);
}

/// Σ x·y.
pub(super) fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// Rows `p` < `q` of length `n`, both to be written.
pub(super) fn two_rows(a: &mut [f64], n: usize, p: usize, q: usize) -> (&mut [f64], &mut [f64]) {
    let (head, tail) = a.split_at_mut(q * n);
    (&mut head[p * n..][..n], &mut tail[..n])
}

/// The plane rotation (x, y) → (c·x − s·y, s·x + c·y) of two rows.
pub(super) fn rotate(x: &mut [f64], y: &mut [f64], c: f64, s: f64) {
    for (x, y) in x.iter_mut().zip(y) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}
