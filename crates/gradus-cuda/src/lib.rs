//! # gradus-cuda: the kernels of Gradus on NVIDIA GPUs
pub mod cache;
pub mod compiler;
mod device;
mod dtype;
mod error;
mod event;
pub mod library;
pub mod manifest;
mod memory;
pub mod ops;
mod view;
pub use device::Device;
pub use dtype::{DType, Element, FloatElement};
pub use error::{Error, Result};
pub use event::Event;
pub use half::{bf16, f16};
pub use memory::{Buffer, MemoryStats};
pub use view::{View, numel};
