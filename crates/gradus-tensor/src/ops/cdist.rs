//! Distances of every row of one matrix to every row of another, by their differences: equal rows are at distance 0
//! exactly. (PyTorch's default takes a short cut through a product for many rows, which rounds small distances away.)

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// ‖x − y‖ₚ, differences in the elements' own precision, their sum in f64.
fn distance<T: Copy + std::ops::Sub<Output = T> + Into<f64>>(x: &[T], y: &[T], p: f64) -> f64 {
    let gaps = x.iter().zip(y).map(|(&x, &y)| (x - y).into().abs());
    if p == 2.0 {
        gaps.map(|d| d * d).sum::<f64>().sqrt()
    } else if p == 1.0 {
        gaps.sum()
    } else if p == 0.0 {
        gaps.map(|d| f64::from(u8::from(d != 0.0))).sum()
    } else if p == f64::INFINITY {
        // A NaN stays, as in PyTorch.
        gaps.fold(0.0, |m: f64, d| if m >= d { m } else { d })
    } else {
        gaps.map(|d| d.powf(p)).sum::<f64>().powf(1.0 / p)
    }
}

impl Tensor {
    /// p-norms of the differences of rows: `(.., P, M)` and `(.., R, M) -> (.., P, R)`, leading dimensions broadcast. p is 0
    /// (how many elements differ) to ∞ (the largest difference); PyTorch's default is 2.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[0f32, 0., 3., 4.], [2, 2])?;
    /// assert_eq!(x.cdist(&x, 2.0)?.to_vec::<f32>()?, [0.0, 5.0, 5.0, 0.0]);
    /// assert_eq!(x.cdist(&x, 1.0)?.to_vec::<f32>()?, [0.0, 7.0, 7.0, 0.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A rank is below 2, sizes do not fit, dtypes differ or are not floats, or p is negative.
    pub fn cdist(&self, other: &Tensor, p: f64) -> Result<Tensor> {
        let op = "cdist";
        let wrong = |why: String| {
            Error::shape(op, format!("{} and {}: {why}", self.shape(), other.shape()))
        };
        let ([lead_a @ .., rows, m], [lead_b @ .., cols, m2]) = (self.dims(), other.dims()) else {
            return Err(wrong("both take at least 2 dimensions".into()));
        };
        if m != m2 {
            return Err(wrong(format!("the rows have {m} and {m2} elements")));
        }
        if p.is_nan() || p < 0.0 {
            return Err(Error::value(op, format!("p is {p}; it is 0 or more")));
        }
        if self.dtype() != other.dtype() || !self.dtype().is_float() {
            let message = format!(
                "dtypes {} and {}: it takes two of one float type; convert with to_dtype",
                self.dtype(),
                other.dtype()
            );
            return Err(Error::dtype(op, message));
        }
        let lead = Shape::new(lead_a)
            .broadcast(&Shape::new(lead_b))
            .map_err(|_| wrong("leading dimensions do not broadcast".into()))?;
        let full = |tail: [usize; 2]| lead.iter().copied().chain(tail).collect::<Vec<_>>();
        let wide = match self.dtype() {
            DType::F64 => DType::F64,
            _ => DType::F32,
        };
        let whole = |x: &Tensor, rows: usize| {
            x.to_dtype(wide)?
                .broadcast_to(full([rows, *m]))?
                .contiguous()
        };
        on_cuda!([self, other] => {
            let (a, b) = (self.to_dtype(wide)?.unsqueeze(-2)?, other.to_dtype(wide)?.unsqueeze(-3)?);
            let y = a.sub(&b).and_then(|d| d.norm(p, -1, false)); // (.., rows, cols, m)
            y.map_err(|e| e.in_op(op))?.to_dtype(self.dtype())
        });
        let (a, b, shape) = (
            whole(self, *rows)?,
            whole(other, *cols)?,
            full([*rows, *cols]),
        );
        let sizes = (*rows, *cols, *m);
        let y = if wide == DType::F64 {
            Tensor::try_build::<f64>(op, shape, |y| {
                each(a.data(op)?, b.data(op)?, sizes, y, |x, z| distance(x, z, p));
                Ok(())
            })?
        } else {
            Tensor::try_build::<f32>(op, shape, |y| {
                each(a.data(op)?, b.data(op)?, sizes, y, |x, z| {
                    distance(x, z, p) as f32
                });
                Ok(())
            })?
        };
        y.to_dtype(self.dtype())
    }
}

/// y (batch, rows, cols) from f of every row of a (batch, rows, m) and b (batch, cols, m).
fn each<T>(
    a: &[T],
    b: &[T],
    (rows, cols, m): (usize, usize, usize),
    y: &mut [T],
    f: impl Fn(&[T], &[T]) -> T,
) {
    for (r, y) in y.chunks_exact_mut(cols.max(1)).enumerate() {
        let batch = r / rows.max(1);
        for (c, y) in y.iter_mut().enumerate() {
            *y = f(&a[r * m..][..m], &b[(batch * cols + c) * m..][..m]);
        }
    }
}
