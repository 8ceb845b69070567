//! Products of matrices.

use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::Tensor;
use gradus_cpu::Element as _;

impl Tensor {
    /// The matrix product, by PyTorch's rules: vectors count as one row (left) or one column (right), leading
    /// dimensions broadcast. `[.., M, K] x [.., K, N] -> [.., M, N]`.
    ///
    /// # Errors
    /// Inner sizes or dtypes differ, a side has rank 0, or leading dimensions do not broadcast.
    pub fn matmul(&self, other: &Tensor) -> Result<Tensor> {
        let fail = |why: String| {
            Error::shape(
                "matmul",
                format!("{} x {}: {why}", self.shape(), other.shape()),
            )
        };
        if self.rank() == 0 || other.rank() == 0 {
            return Err(fail(
                "both sides need at least 1 dimension; use mul for a number".into(),
            ));
        }
        if self.dtype() != other.dtype() {
            let message = format!(
                "{} x {}: dtypes {} and {} differ; convert one with to_dtype",
                self.shape(),
                other.shape(),
                self.dtype(),
                other.dtype()
            );
            return Err(Error::dtype("matmul", message));
        }
        let a = if self.rank() == 1 {
            self.unsqueeze(0)?
        } else {
            self.clone()
        };
        let b = if other.rank() == 1 {
            other.unsqueeze(1)?
        } else {
            other.clone()
        };
        let (m, k, n) = (a.dim(-2)?, a.dim(-1)?, b.dim(-1)?);
        if b.dim(-2)? != k {
            return Err(fail(format!("inner {k} != {}", b.dim(-2)?)));
        }
        let lead = |t: &Tensor| Shape::new(&t.dims()[..t.rank() - 2]);
        let batch = lead(&a)
            .broadcast(&lead(&b))
            .map_err(|e| e.in_op("matmul"))?;
        let full = |x: usize, y: usize| {
            let mut s = batch.to_vec();
            s.extend([x, y]);
            Shape::from(s)
        };
        let (a, b) = (
            a.broadcast_to(full(m, k))?.contiguous()?,
            b.broadcast_to(full(k, n))?.contiguous()?,
        );
        let out = dispatch!(self.dtype(), T => {
            let (a, b) = (a.data::<T>("matmul")?, b.data::<T>("matmul")?);
            Tensor::build::<T>("matmul", full(m, n), |y| {
                let mut row = vec![0f64; n];
                for (r, y) in y.chunks_exact_mut(n.max(1)).enumerate() {
                    let b = &b[r / m.max(1) * k * n..];
                    row.fill(0.0);
                    for (i, a) in a[r * k..][..k].iter().enumerate() {
                        row.iter_mut().zip(&b[i * n..][..n]).for_each(|(y, b)| *y += a.to_f64() * b.to_f64());
                    }
                    y.iter_mut().zip(&row).for_each(|(y, &x)| *y = T::from_f64(x));
                }
            })
        })?;
        let mut shape = batch.to_vec();
        shape.extend((self.rank() > 1).then_some(m));
        shape.extend((other.rank() > 1).then_some(n));
        out.reshape(shape)
    }
}
