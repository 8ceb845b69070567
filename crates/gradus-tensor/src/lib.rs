//! Tensors for Gradus: data of any dtype, shape and device, as strided views over shared storage.
//!
//! - A [`Tensor`] is storage shared by `Arc`, seen through a [`Layout`]; views copy nothing, clones are cheap.
//! - [`DType`], rank and [`Device`] are known at run time; names, argument order, defaults and promotion are PyTorch's.
//! - Methods return [`Result`]; only the operators `+ - * / !` panic, with the same text.
//! - A method with a trailing underscore consumes its tensor and reuses the memory when nobody else holds it.
//!
//! It is not differentiable (that is `gradus-autograd`) and holds no kernels (those are in `gradus-cpu` and, behind the feature `cuda`,
//! in `gradus-cuda`).

#[macro_use]
mod element;
#[macro_use]
mod device;
mod atomic_file;
mod creation;
#[cfg(feature = "cuda")]
mod cuda;
mod display;
mod dtype;
mod error;
mod file;
mod graph;
mod layout;
#[cfg(feature = "nccl")]
pub mod nccl;
#[cfg(feature = "ndarray")]
mod ndarray;
pub mod ops;
#[cfg(feature = "pytorch")]
pub mod pytorch;
pub mod random;
pub mod safetensors;
mod scalar;
mod shape;
mod storage;
mod tensor;
pub mod weights;

pub use atomic_file::atomic_write;
pub use device::{Device, Options, To};
pub use dtype::DType;
pub use element::Element;
pub use error::{Error, ErrorKind, Result, ResultExt};
pub use gradus_cpu::conv::{Conv1dParams, Conv2dParams, Conv3dParams, ConvParams};
pub use gradus_cpu::conv::{set_winograd, winograd_enabled};
pub use gradus_cpu::fold::FoldParams;
pub use gradus_cpu::grid_sample::{GridMode, GridPadding, GridSampleParams};
pub use gradus_cpu::pool::{AvgPool2dParams, AvgPoolParams, MaxPool2dParams, MaxPoolParams};
pub use gradus_cpu::roi::{RoiMode, RoiParams};
#[cfg(feature = "standin")]
#[doc(hidden)]
pub use gradus_cuda::standin;
#[cfg(feature = "cuda")]
pub use gradus_cuda::{Tf32, allow_tf32, set_allow_tf32};
pub use graph::CudaGraph;
pub use half::{bf16, f16};
pub use layout::Layout;
pub use ops::einsum::TensordotDims;
pub use ops::linalg::{Lstsq, NormOrd, RankTolerance};
pub use ops::nn::interpolate::{Interpolate, InterpolateMode};
pub use ops::nn::loss::{CrossEntropyOptions, CrossEntropyOutput, Reduction};
pub use ops::nn::norm::{NormGradients, Normalized};
pub use ops::nn::optim;
pub use ops::nn::{AttentionOptions, AttentionOutput, GruOutput, LstmOutput};
pub use ops::{Ellipsis, Expr, Index, IntoIndex, NewAxis, PadMode, ReshapeTo, ScatterReduce};
pub use scalar::Scalar;
pub use shape::{Dims, Shape};
pub use storage::{
    CpuBuffer, PoolStats, Storage, clear_pool, kept_bytes, pool_stats, set_allocation_limit,
    set_kept_limit, set_pool_limit,
};
pub use tensor::Tensor;
