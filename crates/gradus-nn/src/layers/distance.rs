//! Distance and similarity of two inputs as layers. Names and defaults are `torch.nn`'s.

use gradus_autograd::{Var, functional as F};
use gradus_tensor::Result;

use crate::module::Module;

/// The cosine of the angle between two inputs along a dimension.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::CosineSimilarity;
/// use gradus_tensor::Tensor;
/// # fn main() -> gradus_tensor::Result<()> {
/// let a = Var::from(Tensor::from_slice(&[1f32, 0.0], [1, 2])?);
/// let b = Var::from(Tensor::from_slice(&[3f32, 4.0], [1, 2])?);
/// assert!((CosineSimilarity::default().forward(&a, &b)?.item::<f32>()? - 0.6).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct CosineSimilarity {
    /// 1.
    pub dim: isize,
    /// The least norm (1e-8).
    pub eps: f64,
}

impl Default for CosineSimilarity {
    fn default() -> Self {
        Self { dim: 1, eps: 1e-8 }
    }
}

impl CosineSimilarity {
    /// The dimension disappears: (B, C) and (B, C) to (B).
    ///
    /// # Errors
    /// When the shapes do not broadcast or there is no such dimension.
    pub fn forward(&self, x1: &Var, x2: &Var) -> Result<Var> {
        F::cosine_similarity(x1, x2, self.dim, self.eps)
    }
}

/// The p-norm of the difference over the last dimension.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::PairwiseDistance;
/// use gradus_tensor::{DType, Tensor};
/// # fn main() -> gradus_tensor::Result<()> {
/// let a = Var::from(Tensor::from_slice(&[3f32, 4.0], [1, 2])?);
/// let b = Var::from(Tensor::zeros([1, 2], DType::F32)?);
/// assert!((PairwiseDistance::default().forward(&a, &b)?.item::<f32>()? - 5.0).abs() < 1e-5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct PairwiseDistance {
    /// 2.
    pub p: f64,
    /// Added to the difference (1e-6).
    pub eps: f64,
    /// Keep the last dimension, of size 1 (no).
    pub keepdim: bool,
}

impl Default for PairwiseDistance {
    fn default() -> Self {
        Self {
            p: 2.0,
            eps: 1e-6,
            keepdim: false,
        }
    }
}

impl PairwiseDistance {
    /// (B, C) and (B, C) to (B).
    ///
    /// # Errors
    /// When the shapes do not broadcast.
    pub fn forward(&self, x1: &Var, x2: &Var) -> Result<Var> {
        F::pairwise_distance(x1, x2, self.p, self.eps, self.keepdim)
    }
}
