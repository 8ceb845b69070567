//! Training: data sets and loaders, the training loop, metrics, checkpoints that resume bit for bit, and reports.
//!
//! ```no_run
//! # use gradus_tensor::{DType, Result, Tensor};
//! # use gradus_train::{Dataset, Dice};
//! # struct Digits;
//! # impl Dataset for Digits {
//! #     type Batch = (Tensor, Tensor);
//! #     fn len(&self) -> usize { 64 }
//! #     fn batch(&self, indices: &[usize], _: Dice) -> Result<Self::Batch> {
//! #         let b = indices.len();
//! #         Ok((Tensor::zeros([b, 1, 28, 28], DType::F32)?, Tensor::zeros([b], DType::I64)?))
//! #     }
//! # }
//! # fn main() -> Result<()> {
//! use gradus_nn::optim::Adam;
//! use gradus_nn::{Flatten, Linear, Sequential};
//! use gradus_train::{Classification, DataLoader, Saving, Trainer};
//!
//! let train = DataLoader::new(Digits, 32)?.shuffle(true).seed(42);
//! let mut model = Sequential::new().then(Flatten::default()).then(Linear::new(784, 10)?);
//! let mut optimizer = Adam::new(1e-3);
//! let report = Trainer::new(10)
//!     .save(Saving::new("runs/first"))
//!     .resume(std::path::Path::new("runs/first/last.safetensors").exists())
//!     .fit(&mut model, &mut optimizer, &Classification::default(), &train, None::<&DataLoader<Digits>>)?;
//! println!("{} epochs, {} steps", report.history.rows.len(), report.step);
//! # Ok(())
//! # }
//! ```
//!
//! Where to read: [`Trainer::fit`] is the loop; [`Task`] is what a batch means; [`Dataset`] and [`DataLoader`] are where
//! batches come from; [`Checkpoint`] is what a run needs to go on; [`Callback`] is everything else that happens on the way;
//! [`distributed`] is the same training on several ranks at once.
#![forbid(unsafe_code)]

mod batch;
pub mod callback;
pub mod chart;
pub mod checkpoint;
pub mod dataset;
pub mod distributed;
mod draw;
pub mod error;
mod files;
mod graphed;
pub mod history;
mod loader;
pub mod metrics;
pub mod progress;
mod sampler;
mod saving;
mod stop;
mod task;
pub mod tensorboard;
mod trainer;

pub use batch::Batch;
pub use callback::{Callback, Control};
pub use checkpoint::{Checkpoint, load_weights};
pub use dataset::{Dataset, Dice, Subset};
pub use draw::Draw;
pub use error::{Error, Result};
pub use graphed::GraphedStep;
pub use history::History;
pub use loader::{Batches, DataLoader};
pub use sampler::Sampler;
pub use saving::Saving;
pub use stop::StopFlag;
pub use task::{Classification, Count, Outcome, Score, Task, confusion, evaluate};
pub use trainer::{End, Report, Trainer};
