//! gradus-train
#![forbid(unsafe_code)]
pub mod atomic;
pub mod chart;
pub mod dataset;
mod draw;
mod error;
pub mod history;
mod loader;
pub mod metrics;
pub mod progress;
mod sampler;
mod stop;
pub mod tensorboard;
pub use dataset::{Dataset, Dice, Subset};
pub use draw::Draw;
pub use error::{Error, Result};
pub use history::History;
pub use loader::{Batches, DataLoader};
pub use sampler::Sampler;
pub use stop::StopFlag;
