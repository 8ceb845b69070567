//! Every family of kernels on every instruction set of this machine: every length 0 to 257, operands on a 64-byte boundary
//! and off it, held to what the scalar path gives.
//!
//! **Bit for bit** (NaN payloads aside) wherever each element is computed lane by lane or summed in an order that does not
//! depend on the vectors: all elementwise operations, conversions and copies, reductions and scans, softmax, losses,
//! normalisation, optimisers, embedding, pooling, matrix products through the blocked loops or by rows, convolutions and
//! their gradients by the input.
//!
//! **Within k·ε·Σ|aᵢ·bᵢ|**, the bound of two orders of one sum of k products, where a dot product lies along the vectors:
//! products of at most four rows (or one column) with contiguous columns, and the gradients of a convolution by weight and
//! bias.
mod common;
mod copies;
mod elementwise;
mod ops;
mod products;
mod reduce;
mod rows;
mod windows;
