//! SIMD written once: instruction-set tokens, run-time dispatch and vector maths.
//!
//! What it is: the ground floor; nothing above knows an intrinsic. What it is not: kernels; those are gradus-cpu's.
//! The `unsafe` of this crate is that of the intrinsics, and each token or value is the proof that they exist.
#![doc = include_str!("../README.md")]

#[cfg(target_arch = "x86_64")]
pub mod amx;
mod backend;
mod cache;
mod dispatch;
mod float;
mod isa;
pub mod math;
mod rate;
pub mod slices;

#[cfg(target_arch = "x86_64")]
pub use backend::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use backend::avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub use backend::neon::Neon;
pub use backend::scalar::Scalar;
pub use cache::last_level_cache;
pub use dispatch::{
    IsaError, IsaName, Kernel, UnavailableIsa, available, current, dispatch, dispatch_on,
    dispatch_pairs, init, with_isa,
};
pub use float::Float;
pub use isa::{FloatVec, IntVec, Isa, MaskVec, Table};
pub use rate::{multiplies_bf16, multiply_adds};
pub use slices::{map, map_in_place, zip_map, zip_map_in_place};
