//! `Layer`: a module with one input and one output, the kind that can be put in a row. It is not what every module must be:
//! attention or a whole model takes what it needs in a `forward` of its own.

use gradus_autograd::Var;
use gradus_tensor::Result;

use crate::module::Module;

/// A module that maps one value to one value.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Layer, Module};
/// use gradus_tensor::Result;
///
/// /// Doubles its input.
/// #[derive(Module)]
/// struct Double;
///
/// impl Layer for Double {
///     fn forward(&self, x: &Var) -> Result<Var> {
///         x.mul_scalar(2.0)
///     }
/// }
/// ```
pub trait Layer: Module + Send + Sync {
    /// The output for `x`.
    ///
    /// # Errors
    /// When the shape or dtype of `x` does not fit the layer.
    fn forward(&self, x: &Var) -> Result<Var>;
}

impl<L: Layer + ?Sized> Layer for Box<L> {
    fn forward(&self, x: &Var) -> Result<Var> {
        (**self).forward(x)
    }
}

/// An absent layer passes its input on.
impl<L: Layer> Layer for Option<L> {
    fn forward(&self, x: &Var) -> Result<Var> {
        match self {
            Some(layer) => layer.forward(x),
            None => Ok(x.clone()),
        }
    }
}
