//! What rank-deficient and non-square matrices have instead of an inverse: the pseudo-inverse, least squares, the rank.
//! All by singular values, of which those up to a tolerance count as 0.

use super::batch::Batch;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Which singular values count as 0: those up to the larger of `atol` and `rtol` times the largest.
///
/// Each is a number or one for each matrix of the batch. Without `rtol` it is ε·max(M, N), and 0 where `atol` is above 0.
#[derive(Clone, Debug, Default)]
pub struct RankTolerance {
    /// An absolute limit.
    pub atol: Option<Tensor>,
    /// A limit relative to the largest singular value.
    pub rtol: Option<Tensor>,
}

impl RankTolerance {
    /// Only an absolute limit.
    ///
    /// ```
    /// # use gradus_tensor::{DType, RankTolerance, Tensor};
    /// let one = Tensor::eye(2, DType::F32)?;
    /// assert_eq!(one.linalg_matrix_rank(RankTolerance::atol(1.5), false)?.item::<i64>()?, 0);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    #[must_use]
    pub fn atol(limit: f64) -> Self {
        RankTolerance {
            atol: Some(Tensor::scalar(limit)),
            rtol: None,
        }
    }

    /// Only a relative limit.
    ///
    /// ```
    /// # use gradus_tensor::{RankTolerance, Tensor};
    /// let a = Tensor::from_slice(&[9f32, 0., 0., 1.], [2, 2])?;
    /// assert_eq!(a.linalg_matrix_rank(RankTolerance::rtol(0.5), false)?.item::<i64>()?, 1);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    #[must_use]
    pub fn rtol(limit: f64) -> Self {
        RankTolerance {
            atol: None,
            rtol: Some(Tensor::scalar(limit)),
        }
    }

    /// The same with `rtol` set to what it is for matrices of this type and size when it is not given.
    ///
    /// ```
    /// # use gradus_tensor::{DType, RankTolerance};
    /// let rtol = RankTolerance::default().resolved(DType::F64, 3, 2)?.rtol.unwrap();
    /// assert_eq!(rtol.item::<f64>()?, 3.0 * f64::EPSILON);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `atol` is not of numbers.
    pub fn resolved(&self, dtype: DType, rows: usize, cols: usize) -> Result<Self> {
        let eps = match dtype {
            DType::F64 => f64::EPSILON,
            _ => f64::from(f32::EPSILON),
        };
        let usual = Tensor::scalar(eps * rows.max(cols) as f64);
        let rtol = match (&self.rtol, &self.atol) {
            (Some(rtol), _) => rtol.clone(),
            (None, Some(atol)) => {
                Tensor::where_(&atol.gt_scalar(0)?, &Tensor::scalar(0.0), &usual)?
            }
            (None, None) => usual,
        };
        Ok(RankTolerance {
            atol: self.atol.clone(),
            rtol: Some(rtol),
        })
    }

    /// The limit for singular values `s` (.., K) of matrices of `x`'s type and size: (.., 1).
    fn limit(&self, op: &'static str, x: &Tensor, s: &Tensor) -> Result<Tensor> {
        let full = self.resolved(x.dtype(), x.dim(-2)?, x.dim(-1)?)?;
        let column = |t: &Tensor| t.to_dtype(DType::F64)?.unsqueeze(-1);
        let largest = s.amax(-1, true)?; // (.., 1)
        let unfit = |e: Error| e.in_op(op);
        let mut limit = match &full.rtol {
            Some(rtol) => largest.mul(&column(rtol)?).map_err(unfit)?,
            None => largest.zeros_like()?,
        };
        if let Some(atol) = &full.atol {
            limit = limit.maximum(&column(atol)?).map_err(unfit)?;
        }
        Ok(limit)
    }
}

impl From<()> for RankTolerance {
    /// PyTorch's defaults.
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<f64> for RankTolerance {
    /// An `rtol`.
    fn from(rtol: f64) -> Self {
        Self::rtol(rtol)
    }
}

impl From<Option<f64>> for RankTolerance {
    /// An `rtol`.
    fn from(rtol: Option<f64>) -> Self {
        rtol.map_or_else(Self::default, Self::rtol)
    }
}

impl From<&RankTolerance> for RankTolerance {
    fn from(t: &RankTolerance) -> Self {
        t.clone()
    }
}

/// What [`Tensor::linalg_lstsq`] finds.
#[derive(Clone, Debug)]
pub struct Lstsq {
    /// The X of least norm among those of least ‖A·X − B‖: `(.., N, K)`.
    pub solution: Tensor,
    /// The squared ‖A·X − B‖ of each column, `(.., K)`; empty unless M > N and every matrix has rank N.
    pub residuals: Tensor,
    /// `(..)`, i64.
    pub rank: Tensor,
    /// `(.., min(M, N))`.
    pub singular_values: Tensor,
}

/// U, S and Vᵀ in f64 of matrices or, by eigenvalues, of symmetric ones (S then has signs); and where S counts.
fn parts(
    op: &'static str,
    x: &Tensor,
    tolerance: &RankTolerance,
    hermitian: bool,
) -> Result<(Tensor, Tensor, Tensor, Tensor)> {
    let named = |e: Error| e.in_op(op);
    if hermitian {
        Batch::square(op, x)?;
    } else {
        Batch::new(op, x)?;
    }
    let wide = x.to_dtype(DType::F64)?;
    let (u, s, vt) = if hermitian {
        let (s, v) = wide.linalg_eigh("L").map_err(named)?;
        (v.clone(), s, v.mt()?)
    } else {
        wide.linalg_svd(false).map_err(named)?
    };
    let size = s.abs()?;
    let counts = if s.dim(-1)? == 0 {
        size.gt_scalar(0)?
    } else {
        size.gt(&tolerance.limit(op, x, &size)?).map_err(named)?
    };
    Ok((u, s, vt, counts))
}

/// 1/s where it counts, else 0.
fn inverted(s: &Tensor, counts: &Tensor) -> Result<Tensor> {
    s.reciprocal()?.masked_fill(&counts.logical_not()?, 0.0)
}

impl Tensor {
    /// The Moore-Penrose inverse `(.., N, M)` of `(.., M, N)`. `tolerance` (`()` for PyTorch's default, a number for an
    /// `rtol`, or a [`RankTolerance`]) says which singular values count as 0; with `hermitian` the matrices are symmetric, and
    /// only their lower triangles are read.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let a = Tensor::from_slice(&[1f64, 2., 2., 4.], [2, 2])?; // singular
    /// let p = a.linalg_pinv((), false)?;
    /// assert!(p.allclose(&a.mul_scalar(0.04)?, 1e-12, 1e-12, false)?);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::linalg_svd`]; or the tolerance does not broadcast with the batch.
    pub fn linalg_pinv(
        &self,
        tolerance: impl Into<RankTolerance>,
        hermitian: bool,
    ) -> Result<Tensor> {
        let (u, s, vt, counts) = parts("linalg_pinv", self, &tolerance.into(), hermitian)?;
        vt.mt()?
            .mul(&inverted(&s, &counts)?.unsqueeze(-2)?)? // (.., N, K)
            .matmul(&u.mt()?)?
            .to_dtype(self.dtype())
    }

    /// How many singular values do not count as 0: `(.., M, N) -> (..)`, i64. The arguments are [`Tensor::linalg_pinv`]'s.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// assert_eq!(Tensor::ones([3, 3], DType::F32)?.linalg_matrix_rank((), false)?.item::<i64>()?, 1);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::linalg_pinv`].
    pub fn linalg_matrix_rank(
        &self,
        tolerance: impl Into<RankTolerance>,
        hermitian: bool,
    ) -> Result<Tensor> {
        let (_, _, _, counts) = parts("linalg_matrix_rank", self, &tolerance.into(), hermitian)?;
        counts.sum(-1, false)
    }

    /// X with the least ‖A·X − B‖, of those the one of least norm: A `(.., M, N)`, B `(.., M, K)`; leading dimensions
    /// broadcast. Singular values up to `rcond` times the largest count as 0 (`None`: ε·max(M, N)). Always by singular
    /// values, like PyTorch's driver "gelsd".
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// // A line through (0, 1), (1, 3), (2, 5): 1 + 2 t.
    /// let a = Tensor::from_slice(&[1f64, 0., 1., 1., 1., 2.], [3, 2])?;
    /// let b = Tensor::from_slice(&[1f64, 3., 5.], [3, 1])?;
    /// let fit = a.linalg_lstsq(&b, None)?;
    /// assert!(fit.solution.allclose(&Tensor::from_slice(&[1f64, 2.], [2, 1])?, 1e-12, 0.0, false)?);
    /// assert_eq!((fit.rank.item::<i64>()?, fit.residuals.dims()), (2, &[1][..]));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, or as [`Tensor::linalg_svd`].
    pub fn linalg_lstsq(&self, b: &Tensor, rcond: Option<f64>) -> Result<Lstsq> {
        let op = "linalg_lstsq";
        if self.rank() < 2 || b.rank() < 2 || self.dim(-2)? != b.dim(-2)? {
            let message = format!(
                "{} and {}: it takes matrices [.., M, N] and [.., M, K] (unsqueeze a vector)",
                self.shape(),
                b.shape()
            );
            return Err(Error::shape(op, message));
        }
        if self.dtype() != b.dtype() {
            let message = format!(
                "dtypes {} and {} differ; convert one with to_dtype",
                self.dtype(),
                b.dtype()
            );
            return Err(Error::dtype(op, message));
        }
        let (u, s, vt, counts) = parts(op, self, &rcond.into(), false)?;
        let right = b.to_dtype(DType::F64)?;
        let solution = u
            .mt()?
            .matmul(&right)
            .and_then(|y| y.mul(&inverted(&s, &counts)?.unsqueeze(-1)?)) // (.., K, right)
            .and_then(|y| vt.mt()?.matmul(&y))
            .map_err(|e| e.in_op(op))?;
        let rank = counts.sum(-1, false)?;
        let (m, n) = (self.dim(-2)?, self.dim(-1)?);
        let full = rank.eq_scalar(n as i64)?.all(.., false)?.item::<bool>()?;
        let residuals = if m > n && full {
            let off = self.to_dtype(DType::F64)?.matmul(&solution)?.sub(&right)?;
            off.square()?.sum(-2, false)?.to_dtype(self.dtype())?
        } else {
            Tensor::zeros(0, self.dtype())?
        };
        Ok(Lstsq {
            solution: solution.to_dtype(self.dtype())?,
            residuals,
            rank,
            singular_values: s.to_dtype(self.dtype())?,
        })
    }
}
