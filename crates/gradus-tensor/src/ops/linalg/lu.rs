//! LU decomposition with partial pivoting, and what it gives: determinants, solutions, inverses.

use super::batch::{Batch, add_scaled, two_rows};
use super::triangular::triangular;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// L (below the diagonal, whose own is 1) and U in one matrix, row i of the product being row `order[i]` of the original.
struct Lu {
    factors: Vec<f64>,
    n: usize,
    order: Vec<usize>,
    /// Of the permutation.
    sign: f64,
}

impl Lu {
    /// Gauss's elimination. A zero pivot is left as it is.
    fn new(a: &[f64], n: usize) -> Lu {
        let (mut a, mut order, mut sign) = (a.to_vec(), (0..n).collect::<Vec<_>>(), 1.0);
        for k in 0..n {
            // The first of the largest, as LAPACK; NaN counts as larger than all.
            let size = |i: &usize| a[i * n + k].abs();
            let p = (k..n).rev().max_by(|i, j| size(i).total_cmp(&size(j)));
            if let Some(p) = p.filter(|&p| p != k) {
                let (x, y) = two_rows(&mut a, n, k, p);
                x.swap_with_slice(y);
                order.swap(k, p);
                sign = -sign;
            }
            let pivot = a[k * n + k];
            if pivot == 0.0 {
                continue;
            }
            for i in k + 1..n {
                let (above, row) = two_rows(&mut a, n, k, i);
                let f = row[k] / pivot;
                row[k] = f;
                add_scaled(&mut row[k + 1..], -f, &above[k + 1..]);
            }
        }
        Lu {
            factors: a,
            n,
            order,
            sign,
        }
    }

    fn pivots(&self) -> impl Iterator<Item = f64> {
        (0..self.n).map(|k| self.factors[k * self.n + k])
    }

    /// X with A·X = B for m columns, or which pivot is 0.
    fn solve(&self, b: &[f64], m: usize) -> Result<Vec<f64>, usize> {
        if let Some(k) = self.pivots().position(|p| p == 0.0) {
            return Err(k);
        }
        let rows = self.order.iter().flat_map(|&r| &b[r * m..][..m]);
        let mut x: Vec<f64> = rows.copied().collect();
        triangular(&self.factors, self.n, &mut x, m, false, true);
        triangular(&self.factors, self.n, &mut x, m, true, false);
        Ok(x)
    }
}

fn singular(batch: &Batch, i: usize, pivot: usize) -> Error {
    batch.error(
        i,
        format!(
            "is singular: pivot {} of its elimination is 0; linalg_pinv or linalg_lstsq take it",
            pivot + 1
        ),
    )
}

impl Tensor {
    /// X with A·X = B (X·A = B where not `left`): A `(.., N, N)`, B `(.., N, M)` or a vector `(.., N)`; leading dimensions
    /// broadcast. `torch.linalg.solve`, whose default is `left`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[2f64, 1., 1., 3.], [2, 2])?;
    /// let x = a.linalg_solve(&Tensor::from_slice(&[3f64, 5.], 2)?, true)?;
    /// assert!(x.allclose(&Tensor::from_slice(&[0.8f64, 1.4], 2)?, 1e-12, 0.0, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, or a matrix is singular.
    pub fn linalg_solve(&self, b: &Tensor, left: bool) -> Result<Tensor> {
        let op = "linalg_solve";
        // PyTorch's rule for what is a (batch of) vectors.
        let vector = b.rank() == 1
            || (b.rank() + 1 == self.rank() && *b.dims() == self.dims()[..self.rank() - 1]);
        if !left {
            if vector {
                let message = format!(
                    "{} and {}: a vector is solved for with left only; unsqueeze it for a matrix",
                    self.shape(),
                    b.shape()
                );
                return Err(Error::shape(op, message));
            }
            let transposed = |x: &Tensor| if x.rank() < 2 { Ok(x.clone()) } else { x.mt() };
            return transposed(self)?.linalg_solve(&transposed(b)?, true)?.mt();
        }
        let (a, right) = if vector {
            Batch::system(op, self, &b.unsqueeze(-1)?)?
        } else {
            Batch::system(op, self, b)?
        };
        let (n, m) = (right.rows, right.cols);
        let mut out = right.room(n * m)?;
        for (i, matrix) in a.matrices().enumerate() {
            let x = Lu::new(matrix, n).solve(right.get(i), m);
            out.extend(x.map_err(|k| singular(&a, i, k))?);
        }
        let x = right.result(out, &[n, m])?;
        if vector { x.squeeze(-1) } else { Ok(x) }
    }

    /// The inverse of square matrices `(.., N, N)`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[2f64, 1., 0., 4.], [2, 2])?;
    /// assert_eq!(a.linalg_inv()?.to_vec::<f64>()?, [0.5, -0.125, 0.0, 0.25]);
    /// let singular = Tensor::from_slice(&[1f64, 2., 2., 4.], [2, 2])?;
    /// assert!(singular.linalg_inv().unwrap_err().to_string().contains("is singular"));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// They are not square floats, or one is singular.
    pub fn linalg_inv(&self) -> Result<Tensor> {
        let a = Batch::square("linalg_inv", self)?;
        let n = a.rows;
        let mut one = a.zeros(n, n)?;
        (0..n).for_each(|i| one[i * n + i] = 1.0);
        let mut out = a.room(n * n)?;
        for (i, matrix) in a.matrices().enumerate() {
            let inverse = Lu::new(matrix, n).solve(&one, n);
            out.extend(inverse.map_err(|k| singular(&a, i, k))?);
        }
        a.result(out, &[n, n])
    }

    /// The determinant of square matrices: `(.., N, N) -> (..)`; 1 for the empty matrix.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[1f64, 2., 3., 4.], [2, 2])?;
    /// assert!((a.linalg_det()?.item::<f64>()? + 2.0).abs() < 1e-12);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// They are not square floats.
    pub fn linalg_det(&self) -> Result<Tensor> {
        let a = Batch::square("linalg_det", self)?;
        if a.rows == 0 {
            return Tensor::ones(a.shape(&[]), a.dtype());
        }
        let det = |matrix: &[f64]| {
            let lu = Lu::new(matrix, a.rows);
            lu.pivots().fold(lu.sign, |d, p| d * p)
        };
        a.result(a.matrices().map(det).collect(), &[])
    }

    /// Sign and logarithm of the magnitude of the determinant, `(..)` each; 0 and −∞ where it is 0.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[0f64, 2., 2., 0.], [2, 2])?;
    /// let (sign, log) = a.linalg_slogdet()?;
    /// assert_eq!((sign.item::<f64>()?, log.item::<f64>()?), (-1.0, 4f64.ln()));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// They are not square floats.
    pub fn linalg_slogdet(&self) -> Result<(Tensor, Tensor)> {
        let a = Batch::square("linalg_slogdet", self)?;
        if a.rows == 0 {
            let shape = a.shape(&[]);
            return Ok((
                Tensor::ones(&shape, a.dtype())?,
                Tensor::zeros(&shape, a.dtype())?,
            ));
        }
        let (mut signs, mut logs) = (a.room(1)?, a.room(1)?);
        for matrix in a.matrices() {
            let lu = Lu::new(matrix, a.rows);
            let sign = |s: f64, p: f64| if p == 0.0 { 0.0 } else { s * p.signum() };
            signs.push(lu.pivots().fold(lu.sign, sign));
            logs.push(lu.pivots().map(|p| p.abs().ln()).sum());
        }
        Ok((a.result(signs, &[])?, a.result(logs, &[])?))
    }
}
