//! The operations, one family per file. A file says what its ops accept and hands slices to `gradus-cpu`.

mod binary;
mod cast;
mod compare;
pub(crate) mod copy;
mod extreme;
mod gather;
mod index;
mod join;
mod linalg;
mod mask;
mod matmul;
pub mod nn;
pub(crate) mod operand;
mod operators;
mod parts;
mod promote;
mod reduce;
mod repeat;
mod reshape_to;
mod scan;
mod scatter;
mod softmax;
mod sort;
mod ternary;
mod unary;
mod view_add;
mod views;
mod windows;

pub use index::{Ellipsis, Index, IntoIndex, NewAxis, RangeItem};
pub use parts::PadMode;
pub use promote::{result_type, result_type_scalar};
pub use reshape_to::ReshapeTo;
pub use scatter::ScatterReduce;
