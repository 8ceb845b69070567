//! Systems with triangular matrices: forward and back substitution.

use super::batch::{Batch, add_scaled, two_rows};
use crate::error::Result;
use crate::tensor::Tensor;

/// Solves A·X = B in place for each of `m` columns of `b`; the other triangle is not read, nor the diagonal when `unit`.
pub(super) fn triangular(a: &[f64], n: usize, b: &mut [f64], m: usize, upper: bool, unit: bool) {
    for step in 0..n {
        let i = if upper { n - 1 - step } else { step };
        for j in if upper { i + 1..n } else { 0..i } {
            let f = -a[i * n + j];
            if upper {
                let (row, known) = two_rows(b, m, i, j);
                add_scaled(row, f, known);
            } else {
                let (known, row) = two_rows(b, m, j, i);
                add_scaled(row, f, known);
            }
        }
        if !unit {
            let pivot = a[i * n + i];
            b[i * m..][..m].iter_mut().for_each(|x| *x /= pivot);
        }
    }
}

impl Tensor {
    /// X with A·X = B (X·A = B where not `left`), A triangular `(.., N, N)`, B `(.., N, M)`; A's other triangle is not read,
    /// nor its diagonal with `unitriangular`. Leading dimensions broadcast. PyTorch's defaults are `left`, not
    /// `unitriangular`; where it divides by a 0 on the diagonal, this is an error.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[2f64, 0., 1., 4.], [2, 2])?;
    /// let b = Tensor::from_slice(&[2f64, 9.], [2, 1])?;
    /// let x = a.linalg_solve_triangular(&b, false, true, false)?;
    /// assert_eq!(x.to_vec::<f64>()?, [1.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, or there is a 0 on a diagonal that counts.
    pub fn linalg_solve_triangular(
        &self,
        b: &Tensor,
        upper: bool,
        left: bool,
        unitriangular: bool,
    ) -> Result<Tensor> {
        let op = "linalg_solve_triangular";
        if !left && self.rank() >= 2 && b.rank() >= 2 {
            return self
                .mt()?
                .linalg_solve_triangular(&b.mt()?, !upper, true, unitriangular)?
                .mt();
        }
        let (a, mut x) = Batch::system(op, self, b)?;
        let (n, m) = (x.rows, x.cols);
        for (i, matrix) in a.matrices().enumerate() {
            let zero = (0..n).find(|k| !unitriangular && matrix[k * n + k] == 0.0);
            if let Some(k) = zero {
                return Err(a.error(i, format!("is singular: element {k} of its diagonal is 0")));
            }
            let b = &mut x.data[i * n * m..][..n * m];
            triangular(matrix, n, b, m, upper, unitriangular);
        }
        let data = std::mem::take(&mut x.data);
        x.result(data, &[n, m])
    }
}
