//! Gradus: a deep-learning framework written from scratch in Rust, layer upon layer.
//!
//! This crate is the roof: it re-exports the floors under their short names and holds the `gradus` command. Each floor is a
//! crate of its own and useful alone.
//!
//! ```
//! use gradus::prelude::*;
//!
//! # fn main() -> gradus::Result<()> {
//! let x = Var::leaf(Tensor::from_slice(&[1.0f32, 2.0, 3.0], [3])?)?;
//! let loss = x.square()?.sum(.., false)?;
//! let gradients = loss.backward()?;
//! assert_eq!(gradients.get(&x).unwrap().to_vec::<f32>()?, [2.0, 4.0, 6.0]);
//! # Ok(())
//! # }
//! ```
//!
//! | floor | what is there |
//! |---|---|
//! | [`simd`] | instruction sets as tokens, run-time dispatch, vector mathematics |
//! | [`cpu`] | kernels over slices and strides |
//! | [`tensor`] | `Tensor`: data of any dtype and shape; random numbers; safetensors |
//! | [`autograd`] | `Var`: differentiation of any order |
//! | [`nn`] | modules, layers, losses, optimisers, schedules |
//! | [`train`] | data loaders, the training loop, checkpoints, reports |
//! | [`vision`], [`nlp`] | data sets and models |
#![forbid(unsafe_code)]

pub use gradus_autograd as autograd;
pub use gradus_cpu as cpu;
pub use gradus_nlp as nlp;
pub use gradus_nn as nn;
pub use gradus_simd as simd;
pub use gradus_tensor as tensor;
pub use gradus_train as train;
pub use gradus_vision as vision;

pub use gradus_tensor::{Error, Result};

#[cfg(feature = "hub")]
pub mod hub;

/// The programs of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// What most programs need.
pub mod prelude {
    pub use gradus_autograd::{Gradients, Var, no_grad};
    pub use gradus_nn::optim::Optimizer;
    pub use gradus_nn::{Layer, Module};
    pub use gradus_tensor::{DType, Device, Error, Result, ResultExt, Shape, Tensor};
    pub use gradus_train::{DataLoader, Dataset, Trainer};
}
