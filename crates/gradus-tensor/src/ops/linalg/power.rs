//! Products of many matrices: powers, chains in the best order, and the powers in a Vandermonde matrix.

use crate::error::{Error, Result};
use crate::ops::algebra::Algebra;
use crate::tensor::Tensor;

/// As [`Tensor::linalg_matrix_power`], of anything with an [`Algebra`].
///
/// # Errors
/// As the method's.
pub fn matrix_power<T: Algebra>(x: &T, n: i64) -> Result<T> {
    let op = "linalg_matrix_power";
    super::batch::Batch::square(op, x.value())?;
    if n == 0 {
        let one = Tensor::eye(x.value().dim(-1)?, x.value().dtype())?;
        return Ok(T::constant(
            one.broadcast_to(x.value().shape())?.contiguous()?,
        ));
    }
    let mut base = if n < 0 {
        x.linalg_inv().map_err(|e| e.in_op(op))?
    } else {
        x.clone()
    };
    let (mut left, mut out) = (n.unsigned_abs(), None);
    loop {
        if left & 1 == 1 {
            out = Some(match out {
                None => base.clone(),
                Some(y) => T::matmul(&y, &base)?,
            });
        }
        left >>= 1;
        match out {
            Some(y) if left == 0 => return Ok(y),
            _ => base = base.matmul(&base)?,
        }
    }
}

/// Longer chains are multiplied from the left: looking for the best order is cubic in their length.
const CHAIN: usize = 128;

/// As [`Tensor::linalg_multi_dot`], of anything with an [`Algebra`].
///
/// # Errors
/// As the method's.
pub fn multi_dot<T: Algebra>(factors: &[&T]) -> Result<T> {
    let op = "linalg_multi_dot";
    let n = factors.len();
    if n < 2 {
        return Err(Error::value(
            op,
            format!("it takes at least 2 matrices, and there are {n}"),
        ));
    }
    let shape = |i: usize| factors[i].value().shape();
    for (i, x) in factors.iter().enumerate() {
        let rank = x.value().rank();
        let end = i == 0 || i == n - 1;
        if rank != 2 && !(end && rank == 1) {
            let message = format!(
                "matrix {i} has shape {}; it takes matrices, and vectors at the ends",
                shape(i)
            );
            return Err(Error::shape(op, message));
        }
    }
    // Factor i is sizes[i] x sizes[i + 1].
    let first = if shape(0).rank() == 1 { 1 } else { shape(0)[0] };
    let mut sizes = vec![first];
    for i in 0..n {
        let rows = shape(i)[0];
        let column = i == n - 1 && shape(i).rank() == 1;
        let inner = if i == 0 { first } else { rows };
        if i > 0 && inner != sizes[i] {
            let message = format!(
                "matrix {} has shape {}, and matrix {i} {}",
                i - 1,
                shape(i - 1),
                shape(i)
            );
            return Err(Error::shape(op, message));
        }
        sizes.push(if column {
            1
        } else {
            shape(i)[shape(i).rank() - 1]
        });
    }
    if n > CHAIN {
        let first = factors[0].clone();
        let product = factors[1..].iter().try_fold(first, |y, x| T::matmul(&y, x));
        return product.map_err(|e| e.in_op(op));
    }
    let split = best_splits(&sizes);
    chain(factors, &split, 0, n - 1).map_err(|e| e.in_op(op))
}

/// Where to cut the product of factors i..=j for the fewest multiplications: `split[i][j]` is the last of the left part.
/// (Cormen et al., "Introduction to Algorithms", 15.2.)
fn best_splits(sizes: &[usize]) -> Vec<Vec<usize>> {
    let n = sizes.len() - 1;
    let (mut cost, mut split) = (vec![vec![0.0; n]; n], vec![vec![0; n]; n]);
    for length in 1..n {
        for i in 0..n - length {
            let j = i + length;
            cost[i][j] = f64::INFINITY;
            split[i][j] = i;
            for k in i..j {
                let this = sizes[i] as f64 * sizes[k + 1] as f64 * sizes[j + 1] as f64;
                let all = cost[i][k] + cost[k + 1][j] + this;
                if all < cost[i][j] {
                    (cost[i][j], split[i][j]) = (all, k);
                }
            }
        }
    }
    split
}

fn chain<T: Algebra>(factors: &[&T], split: &[Vec<usize>], i: usize, j: usize) -> Result<T> {
    if i == j {
        return Ok(factors[i].clone());
    }
    let k = split[i][j];
    chain(factors, split, i, k)?.matmul(&chain(factors, split, k + 1, j)?)
}

/// As [`Tensor::linalg_vander`], of anything with an [`Algebra`].
///
/// # Errors
/// As the method's.
pub fn vander<T: Algebra>(x: &T, n: Option<usize>) -> Result<T> {
    let op = "linalg_vander";
    let Some(&own) = x.value().dims().last() else {
        return Err(Error::shape(op, "a number (rank 0) is no vector"));
    };
    let n = n.unwrap_or(own);
    crate::storage::check_fits(op, n.saturating_mul(size_of::<&T>()))?; // the list of columns
    let column: Vec<isize> = x
        .value()
        .dims()
        .iter()
        .map(|&n| n as isize)
        .chain([1])
        .collect();
    let column = x.reshape(&column)?; // (.., K, 1)
    let one = T::constant(column.value().ones_like()?);
    let mut parts = vec![&one];
    parts.extend(std::iter::repeat_n(&column, n.saturating_sub(1)));
    if n == 0 {
        return T::constant(column.value().narrow(-1, 0, 0)?.contiguous()?).cumprod(-1);
    }
    T::cat(&parts, -1)?.cumprod(-1).map_err(|e| e.in_op(op))
}

impl Tensor {
    /// Aⁿ of square matrices `(.., N, N)`; a negative n inverts first.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let fibonacci = Tensor::from_slice(&[1f64, 1., 1., 0.], [2, 2])?;
    /// assert_eq!(fibonacci.linalg_matrix_power(10)?.to_vec::<f64>()?, [89.0, 55.0, 55.0, 34.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// They are not square floats, or singular for a negative n.
    pub fn linalg_matrix_power(&self, n: i64) -> Result<Tensor> {
        matrix_power(self, n)
    }

    /// Rows of powers of each element of the last dimension, `(.., K) -> (.., K, n)`: x⁰, x¹, … xⁿ⁻¹ (`None`: n = K).
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[2f64, 3.], 2)?;
    /// assert_eq!(x.linalg_vander(3)?.to_vec::<f64>()?, [1.0, 2.0, 4.0, 1.0, 3.0, 9.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// This is a number (rank 0).
    pub fn linalg_vander(&self, n: impl Into<Option<usize>>) -> Result<Tensor> {
        vander(self, n.into())
    }
}
