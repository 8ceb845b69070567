//! Dense linear algebra on (batches of) matrices: `torch.linalg`'s decompositions and what is made of them, one idea a file.
//!
//! Textbook algorithms, one matrix at a time and in f64 whatever the dtype: f16, bf16 and f32 are widened once and rounded
//! once. After Golub and Van Loan, "Matrix Computations". Right before fast: products run on the GEMM, decompositions do not.

mod batch;
mod cholesky;
mod eigh;
mod least_squares;
mod lu;
mod matrix_exp;
mod norm;
mod power;
mod qr;
mod svd;
mod triangular;

pub use least_squares::{Lstsq, RankTolerance};
pub use norm::{NormOrd, cond, matrix_norm};
pub use power::{matrix_power, multi_dot, vander};
