//! Neural networks for Gradus: modules with named parameters, layers, losses, initialisers, optimisers and schedules, all
//! with PyTorch's names, layouts and defaults, so that its checkpoints load with no mapping.
//!
//! ```
//! use gradus_autograd::Var;
//! use gradus_nn::loss::CrossEntropyLoss;
//! use gradus_nn::optim::{Adam, Optimizer};
//! use gradus_nn::{Layer, Linear, Module, ReLU, Sequential};
//! use gradus_tensor::Tensor;
//!
//! # fn main() -> gradus_tensor::Result<()> {
//! // xor
//! let x = Var::from(Tensor::from_slice(&[0.0_f32, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [4, 2])?);
//! let y = Tensor::from_slice(&[0_i64, 1, 1, 0], [4])?;
//! let mut model = Sequential::new().then(Linear::new(2, 16)?).then(ReLU).then(Linear::new(16, 2)?);
//! let criterion = CrossEntropyLoss::default();
//! let mut optimizer = Adam::new(0.05);
//! for _ in 0..100 {
//!     let loss = criterion.forward(&model.forward(&x)?, &y)?;
//!     let gradients = loss.backward_once()?;
//!     optimizer.step(&mut model, &gradients)?;
//! }
//! model.eval();
//! let answers = model.forward(&x)?.value().argmax(Some(1), false)?;
//! assert_eq!(answers.to_vec::<i64>()?, [0, 1, 1, 0]);
//! # Ok(())
//! # }
//! ```
//!
//! Where to read: [`Module`] and its derive (`module/`), [`Layer`] and the layers (`layers/`), [`loss`], [`init`], [`optim`]
//! with [`schedule`], [`clip_grad_norm`], [`GradScaler`] and [`Ema`]. The arithmetic and its gradients are `gradus-autograd`'s; nothing here
//! knows a kernel, a file or a training loop.
#![forbid(unsafe_code)]

// The derive writes `::gradus_nn::…`, here too.
extern crate self as gradus_nn;

mod clip;
mod ema;
mod grad_scaler;
pub mod init;
mod layer;
pub mod layers;

pub mod loss;
mod module;
pub mod optim;
mod record;
pub mod schedule;

pub use clip::{clip_grad_norm, clip_grad_norm_, clip_grad_value, grad_norm};
pub use ema::Ema;
pub use grad_scaler::{GradScaler, GradScalerOptions};
pub use gradus_autograd::{autocast, autocast_dtype};
pub use layer::Layer;
pub use layers::*;
pub use module::{
    Buffer, LoadReport, Mode, Module, Param, Part, PartMut, Path, PathGuard, StateDict, Summary,
    Tied, Visit, is_under,
};
pub use record::{named, record};
