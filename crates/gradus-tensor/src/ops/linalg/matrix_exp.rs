//! The exponential of a matrix: a Taylor polynomial of A/2ˢ, squared s times. After Higham, "Functions of Matrices", 10.3.

use std::collections::BTreeMap;

use super::batch::Batch;
use crate::dtype::DType;
use crate::error::Result;
use crate::tensor::Tensor;

/// How often to halve a matrix of this norm to bring it to 1/2 or below.
fn halvings(norm: f64) -> i32 {
    if norm.is_finite() && norm > 0.5 {
        (norm.log2().ceil() as i32) + 1
    } else {
        0
    }
}

impl Tensor {
    /// e^A of square matrices `(.., N, N)`, computed in f64.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[0f64, 1., 0., 0.], [2, 2])?;
    /// assert_eq!(a.matrix_exp()?.to_vec::<f64>()?, [1.0, 1.0, 0.0, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// They are not square floats.
    pub fn matrix_exp(&self) -> Result<Tensor> {
        let batch = Batch::square("matrix_exp", self)?;
        let (n, count) = (batch.rows, batch.count());
        if count == 0 {
            return Ok(self.clone());
        }
        // Matrices that are halved equally often go together.
        let mut groups: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
        for (i, a) in batch.matrices().enumerate() {
            let rows = a.chunks_exact(n).map(|r| r.iter().map(|x| x.abs()).sum());
            let norm = rows.fold(
                0.0,
                |m: f64, x: f64| if x > m || x.is_nan() { x } else { m },
            );
            groups.entry(halvings(norm)).or_default().push(i as i64);
        }
        let all = Tensor::from_vec(batch.data, [count, n, n])?;
        let one = Tensor::eye(n, DType::F64)?;
        let mut y = Tensor::zeros([count, n, n], DType::F64)?;
        for (s, members) in groups {
            let members = Tensor::from_slice(&members, members.len())?;
            let a = all
                .index_select(0, &members)?
                .mul_scalar_((-f64::from(s)).exp2())?;
            y = y.index_copy(0, &members, &taylor(&a, &one, s)?)?;
        }
        y.reshape_to(self.shape())?.to_dtype(self.dtype())
    }
}

/// e^(2ˢ·A) for norms up to 1/2. By Horner's rule; the 18th term is below 1e-21.
fn taylor(a: &Tensor, one: &Tensor, s: i32) -> Result<Tensor> {
    let mut y = one.broadcast_to(a.shape())?;
    for k in (1..=18).rev() {
        y = a.matmul(&y)?.div_scalar_(f64::from(k))?.add_(one)?;
    }
    for _ in 0..s {
        y = y.matmul(&y)?;
    }
    Ok(y)
}
