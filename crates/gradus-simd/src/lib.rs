//! SIMD written once: instruction-set tokens, run-time dispatch and vector maths.
//!
//! A kernel is generic over an [`Isa`] (scalar, AVX2 + FMA, AVX-512, NEON) and a [`Float`] (`f32`, `f64`);
//! [`dispatch`] runs it on the best instruction set of the machine, detected once, or on the one that
//! `GRADUS_ISA=scalar|avx2|avx512|neon` names.
//!
//! ```
//! use gradus_simd::{Float, FloatVec, Isa, Kernel, dispatch, slices};
//!
//! /// y = a·x + y
//! struct Axpy<'a, T>(T, &'a [T], &'a mut [T]);
//!
//! impl<T: Float> Kernel for Axpy<'_, T> {
//!     type Output = ();
//!     #[inline(always)]
//!     fn run<S: Isa>(self, isa: S) {
//!         let a = T::V::<S>::splat(isa, self.0);
//!         slices::zip_map_in_place::<S, T>(isa, self.2, self.1, #[inline(always)] |y, x| a.mul_add(x, y));
//!     }
//! }
//!
//! let mut y = [1.0f32, 2.0, 3.0];
//! dispatch(Axpy(2.0, &[1.0, 1.0, 10.0], &mut y));
//! assert_eq!(y, [3.0, 4.0, 23.0]);
//! ```

mod backend;
mod dispatch;
mod float;
mod isa;
pub mod math;
pub mod slices;

#[cfg(target_arch = "x86_64")]
pub use backend::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use backend::avx512::Avx512;
#[cfg(target_arch = "aarch64")]
pub use backend::neon::Neon;
pub use backend::scalar::Scalar;
pub use dispatch::{
    IsaError, IsaName, Kernel, UnavailableIsa, available, current, dispatch, dispatch_on, init,
};
pub use float::Float;
pub use isa::{FloatVec, IntVec, Isa, MaskVec};
pub use slices::{map, map_in_place, zip_map, zip_map_in_place};
