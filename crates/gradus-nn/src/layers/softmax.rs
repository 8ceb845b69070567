//! Activations that look along a dimension: softmax and its kin, and the gated linear unit. Names and arguments of `torch.nn`.

use gradus_autograd::{Var, functional as F};
use gradus_tensor::{Error, Result};

use super::activation::with_arguments;
use crate::layer::Layer;
use crate::module::Module;

with_arguments! {
    /// One half of the dimension times the sigmoid of the other: it comes out half as long.
    GLU {
        /// -1.
        dim: isize = -1
    } => |s, x| F::glu(x, s.dim);
    /// `exp(x)` divided by its sum along the dimension.
    Softmax {
        /// -1.
        dim: isize = -1
    } => |s, x| x.softmax(s.dim);
    /// The logarithm of the softmax.
    LogSoftmax {
        /// -1.
        dim: isize = -1
    } => |s, x| x.log_softmax(s.dim);
    /// The softmax of `-x`.
    Softmin {
        /// -1.
        dim: isize = -1
    } => |s, x| F::softmin(x, s.dim);
}

/// The softmax over the channels of (B, C, H, W) or (C, H, W).
#[derive(Clone, Copy, Debug, Default, Module)]
pub struct Softmax2d;

impl Layer for Softmax2d {
    fn forward(&self, x: &Var) -> Result<Var> {
        if !(3..=4).contains(&x.rank()) {
            let message = format!("{} is not (B, C, H, W) or (C, H, W)", x.shape());
            return Err(Error::shape("Softmax2d", message));
        }
        x.softmax(-3)
    }
}
