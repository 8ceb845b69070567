//! The operations, one family per file. A file says what its ops accept and hands slices to `gradus-cpu`.

mod binary;
mod cast;
mod compare;
pub(crate) mod copy;
mod matmul;
pub(crate) mod operand;
mod operators;
mod promote;
mod reduce;
mod ternary;
mod unary;
mod view_add;
mod views;

pub use promote::{result_type, result_type_scalar};
pub use views::ReshapeTo;
