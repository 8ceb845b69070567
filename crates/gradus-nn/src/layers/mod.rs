//! The layers, by PyTorch's names. Each file is one family.

mod container;
mod dropout;
mod linear;
mod shape;

pub use container::{ModuleList, Sequential};
pub use dropout::{Dropout, Dropout2d};
pub use linear::{Linear, LinearBuilder};
pub use shape::{Flatten, Identity, Unflatten};
