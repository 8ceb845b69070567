//! `torch.nn.functional`: layers as functions, by PyTorch's names, arguments and defaults.
//!
//! Values that may have a gradient are `&Var`; indices, labels and masks are `&Tensor`. Functions with many optional
//! arguments take a struct of options with a `Default`.

mod activation;
mod attention;
mod conv;
mod ctc;
mod distance;
mod dropout;
mod embedding;
mod linear;
mod loss;
mod loss_class;
mod loss_margin;
mod loss_multilabel;
mod multi_head;
mod norm;
mod pool;
mod recurrent;
mod sample;

pub use activation::*;
pub use attention::*;
pub use conv::*;
pub use ctc::*;
pub use distance::*;
pub use dropout::*;
pub use embedding::*;
pub use linear::*;
pub use loss::*;
pub use loss_class::*;
pub use loss_margin::*;
pub use loss_multilabel::*;
pub use multi_head::*;
pub use norm::*;
pub use pool::*;
pub use recurrent::*;
pub use sample::*;
