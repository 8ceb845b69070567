//! # gradus-cpu: the kernels of Gradus on the CPU
//!
//! What it is: plain functions over slices and strided [`View`]s. Inputs are views (any strides, zero and negative
//! ones included), outputs are contiguous slices in row-major order of the output's shape. Eight element types
//! ([`Element`]): `bool`, `u8`, `i32`, `i64`, [`struct@f16`], [`bf16`], `f32`, `f64`.
//!
//! What it is not: a tensor library. It owns no memory, knows no broadcasting rules (a broadcast operand is a view
//! with stride 0), no type promotion and no gradients' graph; `gradus-tensor` and `gradus-autograd` are the floors
//! above.
//!
//! Four rules hold everywhere:
//! * **Nothing panics on bad sizes, indices or dtypes**: every public function checks and returns [`Error`].
//! * **Results do not depend on the number of threads**, bit for bit: work is split by sizes alone ([`parallel`]).
//! * **Results do not depend on strides**, bit for bit: strided operands are staged through a small buffer in L1
//!   and take the same kernel.
//! * **Results do not depend on the instruction set**, bit for bit (NaN payloads aside), but for two families whose sums
//!   run along the vectors: matrix products of at most four rows, or one column, whose right side has contiguous columns,
//!   and the gradients of a convolution by weight and bias. Of those, a sum of k products differs by k·ε·Σ|aᵢ·bᵢ| at
//!   most. `tests/isa` holds every kernel to this, for every tail length, on a boundary and off it. With AMX ([`IsaName::Amx`],
//!   the default where there is any) a third family joins them: `f32` products large enough for tiles; see [`gemm`].
//!
//! [`IsaName::Amx`]: gradus_simd::IsaName::Amx
//!
//! ```
//! use gradus_cpu::{View, elementwise::{BinaryOp, binary}};
//!
//! let x = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]; // (2, 3)
//! let bias = [10.0f32, 20.0, 30.0]; // (3), seen as (2, 3) by stride 0
//! let mut y = [0.0f32; 6];
//! let x = View::contiguous(&x, &[2, 3])?;
//! let bias = View::new(&bias, 0, &[2, 3], &[0, 1])?;
//! binary(BinaryOp::Add, x, bias, &mut y)?;
//! assert_eq!(y, [11.0, 22.0, 33.0, 14.0, 25.0, 36.0]);
//! # Ok::<(), gradus_cpu::Error>(())
//! ```

pub mod attention;
pub mod cast;
pub mod conv;
pub mod copy;
pub mod deform;
mod element;
pub mod elementwise;
pub mod embedding;
mod error;
pub mod fold;
pub mod gemm;
pub mod grid_sample;
mod instances;
mod lanes;
pub mod loss;
pub mod norm;
pub mod optim;
pub mod parallel;
pub mod pool;
pub mod random;
pub mod recurrent;
pub mod reduce;
pub mod resample;
pub mod roi;
mod rows;
mod scratch;
pub mod softmax;
mod source;
mod unroll;
mod view;
mod walk;

pub use element::{Element, FloatElement, Kind};
pub use error::{Error, Result};
pub use half::{bf16, f16};
#[doc(hidden)]
pub use instances::instances;
pub use view::{MAX_RANK, View, ViewMut, numel};

/// The README's program, as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
