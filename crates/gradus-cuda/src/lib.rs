//! # gradus-cuda: the kernels of Gradus on NVIDIA GPUs
//!
//! What it is: gradus-cpu's list of kernels over device memory, written by hand in CUDA C++ (`kernels/`), compiled by NVRTC when first
//! needed and kept on disk. Inputs are strided [`View`]s, outputs whole [`Buffer`]s; [`ops`] checks the arguments, chooses a kernel
//! and puts it on the device's stream.
//!
//! What it is not: a tensor library (that is gradus-tensor), or a binding of cuBLAS and cuDNN: nothing of NVIDIA's is linked, and what is
//! loaded is the driver and the compiler. The crate builds on every machine; where something is missing, [`Error`] says what.
//!
//! Three things hold it together:
//! * [`manifest`]: each kernel's parameters and limits, once. Launchers, compile checks and the emulation come from it.
//! * `kernels/gr.cuh`: the primitives. All PTX is there and in `hopper.cuh`; kernels are C++.
//! * `emulation/`: those primitives on a CPU. Every kernel runs in the tests of a machine with no GPU, in several orders of its threads
//!   and under AddressSanitizer, and is compared with gradus-cpu.
//!
//! Status: compiled for sm_80 and sm_90a, and emulated; not yet run on hardware. [`probe`] is to run there first.
//!
//! ```
//! use gradus_cuda::{Device, Error, manifest::BinaryOp, ops::elementwise::binary};
//!
//! fn sum() -> Result<Vec<f32>, Error> {
//!     let device = Device::new(0)?;
//!     let x = device.upload(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0])?; // (2, 3)
//!     let bias = device.upload(&[10.0f32, 20.0, 30.0])?; // (3), seen as (2, 3) by stride 0
//!     let mut y = device.uninit(6)?;
//!     let bias = gradus_cuda::View::new(&bias, 0, &[2, 3], &[0, 1])?;
//!     binary(BinaryOp::Add, &x.view(&[2, 3])?, &bias, &mut y)?;
//!     y.download()
//! }
//! match sum() {
//!     Ok(y) => assert_eq!(y, [11.0, 22.0, 33.0, 14.0, 25.0, 36.0]),
//!     Err(error) => println!("{error}"), // no driver, no device, …
//! }
//! ```

mod cache;
pub mod compiler;
mod device;
mod dtype;
mod error;
mod event;
mod graph;
pub mod library;
pub mod manifest;
mod memory;
#[cfg(feature = "nccl")]
pub mod nccl;
pub mod ops;
mod pool;
pub mod probe;
mod staging;
#[cfg(feature = "standin")]
pub mod standin;
mod tf32;
mod view;

pub use device::Device;
pub use dtype::{DType, Element, FloatElement};
pub use error::{Error, Result};
pub use event::Event;
pub use graph::Graph;
pub use half::{bf16, f16};
pub use memory::Buffer;
pub use pool::MemoryStats;
pub use tf32::{Tf32, allow_tf32, set_allow_tf32};
pub use view::{MemoryFormat, View, numel};

/// The README's program, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
