//! Norms of matrices, and the condition number.

use std::str::FromStr;

use crate::error::{Error, Result};
use crate::ops::algebra::Algebra;
use crate::shape::resolve_dim;
use crate::tensor::Tensor;

/// Which norm of a matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NormOrd {
    /// Frobenius': the root of the sum of squares. PyTorch's default.
    Fro,
    /// Nuclear: the sum of the singular values.
    Nuc,
    /// ∞, −∞: the largest, smallest sum of magnitudes of a row; 1, −1: of a column; 2, −2: the largest, smallest singular
    /// value.
    P(f64),
}

impl From<f64> for NormOrd {
    fn from(p: f64) -> Self {
        NormOrd::P(p)
    }
}

impl From<i32> for NormOrd {
    fn from(p: i32) -> Self {
        NormOrd::P(f64::from(p))
    }
}

impl FromStr for NormOrd {
    type Err = Error;

    /// "fro", "nuc", or a number such as "2" or "-inf".
    fn from_str(name: &str) -> Result<Self> {
        match name {
            "fro" => Ok(NormOrd::Fro),
            "nuc" => Ok(NormOrd::Nuc),
            number => number.parse().map(NormOrd::P).map_err(|_| {
                let known = "known: fro nuc 1 -1 2 -2 inf -inf";
                Error::value(
                    "linalg_matrix_norm",
                    format!("unknown norm {name:?}; {known}"),
                )
            }),
        }
    }
}

/// As [`Tensor::linalg_matrix_norm`], of anything with an [`Algebra`].
///
/// # Errors
/// As the method's.
pub fn matrix_norm<T: Algebra>(x: &T, ord: NormOrd, dims: [isize; 2], keepdim: bool) -> Result<T> {
    let op = "linalg_matrix_norm";
    let (shape, rank) = (x.value().shape().clone(), x.value().rank());
    if rank < 2 {
        let message = format!("shape {shape} has fewer than 2 dimensions; norm takes vectors");
        return Err(Error::shape(op, message));
    }
    if !x.value().dtype().is_float() {
        let dtype = x.value().dtype();
        let message = format!("{dtype} is not a float; convert with to_dtype(DType::F32) first");
        return Err(Error::dtype(op, message));
    }
    let (r, c) = (
        resolve_dim(op, dims[0], &shape)?,
        resolve_dim(op, dims[1], &shape)?,
    );
    if r == c {
        return Err(Error::value(
            op,
            format!("dims {dims:?} are one dimension of shape {shape}"),
        ));
    }
    // Which dimension is summed and which searched, or neither, and for the largest?
    let (sums, largest) = match ord {
        NormOrd::Fro => return x.norm(2.0, &[r as isize, c as isize], keepdim),
        NormOrd::Nuc => (None, true),
        NormOrd::P(p) if p.abs() == f64::INFINITY => (Some((c, r)), p > 0.0),
        NormOrd::P(p) if p.abs() == 1.0 => (Some((r, c)), p > 0.0),
        NormOrd::P(p) if p.abs() == 2.0 => (None, p > 0.0),
        NormOrd::P(p) => {
            let message = format!("unknown norm {p}; known: fro nuc 1 -1 2 -2 inf -inf");
            return Err(Error::value(op, message));
        }
    };
    // The largest of nothing is 0, as in PyTorch.
    let extreme = |y: &T, dim: usize, size: usize| {
        let dim = [dim as isize];
        match (largest, size) {
            (true, 0) => y.sum(&dim, true),
            (true, _) => y.amax(&dim, true),
            (false, _) => y.amin(&dim, true).map_err(|e| e.in_op(op)),
        }
    };
    // The result with both dimensions at size 1, wherever they are now.
    let y = if let Some((summed, searched)) = sums {
        extreme(
            &x.abs()?.sum(&[summed as isize], true)?,
            searched,
            shape[searched],
        )?
    } else {
        let rest = (0..rank).filter(|&d| d != r && d != c);
        let order: Vec<isize> = rest.chain([r, c]).map(|d| d as isize).collect();
        let s = x
            .permute(&order)?
            .linalg_svdvals()
            .map_err(|e| e.in_op(op))?; // (.., K)
        if ord == NormOrd::Nuc {
            s.sum(&[-1], true)?
        } else {
            extreme(&s, rank - 2, shape[r].min(shape[c]))?
        }
    };
    let size = |d: usize| {
        if d == r || d == c {
            1
        } else {
            shape[d] as isize
        }
    };
    let out: Vec<isize> = (0..rank)
        .filter(|&d| keepdim || (d != r && d != c))
        .map(size)
        .collect();
    y.reshape(&out)
}

/// As [`Tensor::linalg_cond`], of anything with an [`Algebra`].
///
/// # Errors
/// As the method's.
pub fn cond<T: Algebra>(x: &T, ord: Option<NormOrd>) -> Result<T> {
    let op = "linalg_cond";
    let renamed = |e: Error| e.in_op(op);
    let two = |p: f64| p.abs() == 2.0;
    match ord {
        None => cond(x, Some(NormOrd::P(2.0))),
        Some(NormOrd::P(p)) if two(p) => {
            let s = x.linalg_svdvals().map_err(renamed)?;
            let (high, low) = (
                s.amax(&[-1], false).map_err(renamed)?,
                s.amin(&[-1], false).map_err(renamed)?,
            );
            if p > 0.0 {
                high.div(&low)
            } else {
                low.div(&high)
            }
        }
        Some(ord) => {
            let norm = |x: &T| matrix_norm(x, ord, [-2, -1], false).map_err(renamed);
            norm(x)?.mul(&norm(&x.linalg_inv().map_err(renamed)?)?)
        }
    }
}

impl Tensor {
    /// The norm of matrices in dimensions `dims` (PyTorch's default: the last two): `ord` is [`NormOrd`] or a number of ±1,
    /// ±2, ±∞.
    ///
    /// ```
    /// # use gradus_tensor::{NormOrd, Tensor};
    /// let a = Tensor::from_slice(&[1f64, -2., 3., 4.], [2, 2])?;
    /// assert_eq!(a.linalg_matrix_norm(1, [-2, -1], false)?.item::<f64>()?, 6.0);
    /// assert_eq!(a.linalg_matrix_norm(f64::INFINITY, [-2, -1], false)?.item::<f64>()?, 7.0);
    /// assert_eq!(a.linalg_matrix_norm(NormOrd::Fro, [-2, -1], true)?.dims(), [1, 1]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There are no such dimensions or no such norm, the elements are not floats, there is no smallest of nothing; or as
    /// [`Tensor::linalg_svd`].
    pub fn linalg_matrix_norm(
        &self,
        ord: impl Into<NormOrd>,
        dims: [isize; 2],
        keepdim: bool,
    ) -> Result<Tensor> {
        matrix_norm(self, ord.into(), dims, keepdim)
    }

    /// The condition number in the norm `ord` (`None`: 2) of matrices `(.., M, N) -> (..)`; square ones but for ±2, where it
    /// is ∞ for a singular matrix.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// assert_eq!(Tensor::eye(3, DType::F64)?.linalg_cond(None)?.item::<f64>()?, 1.0);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::linalg_matrix_norm`] and [`Tensor::linalg_inv`].
    pub fn linalg_cond(&self, ord: Option<NormOrd>) -> Result<Tensor> {
        cond(self, ord)
    }
}
