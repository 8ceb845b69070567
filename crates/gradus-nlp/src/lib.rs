//! Language for Gradus. Its first room holds the smallest language model there is: a bigram of characters, learnt from names
//! by counting ([`CountBigram`]) and by gradient descent ([`NeuralBigram`]).
#![forbid(unsafe_code)]

mod bigram;
mod names;

pub use bigram::{CountBigram, NeuralBigram};
pub use names::{BOUNDARY, Names};
