//! Language for Gradus.
//!
//! [`tokenizers`] turn text into ids and back, as the references do; [`models`] are Hugging Face's, by its names. Beside them stands the smallest language model there is: a
//! bigram of characters, learnt from names by counting ([`CountBigram`]) and by gradient descent ([`NeuralBigram`]).
#![forbid(unsafe_code)]

mod bigram;
mod labelled;
pub mod models;
mod names;
pub mod tokenizers;

pub use bigram::{CountBigram, NeuralBigram};
pub use labelled::{EncodedTexts, LabelledTexts, TextBatch, part_in};
pub use names::{BOUNDARY, Names};
