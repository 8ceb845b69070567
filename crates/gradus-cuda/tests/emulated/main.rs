//! Every kernel executes, on a machine with no GPU: gradus-cuda's real calls of the driver run on a stand-in whose kernels are the
//! `.cu` files compiled for the CPU (`emulation/`), and results are compared with gradus-cpu's.
//!
//! Needs g++; without it the tests say so and pass. `GRADUS_EMULATION_BUILD=asan` is what the sanitised run sets for itself.

mod attention;
mod conv;
mod elementwise;
mod embedding;
mod gemm;
mod graphs;
mod lacks;
mod loss;
mod norm;
mod optim;
mod order;
mod planted;
mod pool;
mod probe;
mod random;
mod reduce;
mod resample;
mod sanitized;
mod scan;
mod scatter;
mod standin;
mod streams;
mod support;
mod training;
mod wide;
