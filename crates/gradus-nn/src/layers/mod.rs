//! The layers, by PyTorch's names. Each file is one family.

mod container;
mod linear;
mod shape;

pub use container::{ModuleList, Sequential};
pub use linear::{Linear, LinearBuilder};
pub use shape::{Flatten, Identity, Unflatten};
