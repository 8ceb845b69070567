//! Activations that look along a dimension: softmax and its kin, and the gated linear unit. Names and arguments of `torch.nn`.

use gradus_autograd::Var;
use gradus_tensor::{Error, Result};

use super::activation::with_arguments;
use crate::layer::Layer;
use crate::module::Module;

with_arguments! {
    /// One half of the dimension times the sigmoid of the other: it comes out half as long.
    GLU {
        /// -1.
        dim: isize = -1
    } => |s, x| match x.chunk(2, s.dim)?.as_slice() {
        [a, b] if a.dims() == b.dims() => a.mul(&b.sigmoid()?),
        _ => Err(Error::shape("GLU", format!("dimension {} of {} is not even", s.dim, x.shape()))),
    };
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
    } => |s, x| x.neg()?.softmax(s.dim);
}
