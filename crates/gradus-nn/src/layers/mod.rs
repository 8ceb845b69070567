//! The layers, by PyTorch's names. Each file is one family.

mod activation;
mod container;
mod conv;
mod dropout;
mod linear;
mod shape;

pub use activation::*;
pub use container::{ModuleList, Sequential};
pub use conv::{Conv1d, Conv2d, ConvBuilder, ConvTranspose1d, ConvTranspose2d, IntoSize};
pub use dropout::{Dropout, Dropout2d};
pub use linear::{Bilinear, Linear, LinearBuilder};
pub use shape::{Flatten, Identity, Unflatten};
