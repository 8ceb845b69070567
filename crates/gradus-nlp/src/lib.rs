//! Language for Gradus.
//!
//! [`tokenizers`] turn text into ids and back, as the references do. [`models`] are Hugging Face's, by its names; [`characters`] are the
//! small ones of the lectures, from the bigram up. With any that guess the next token [`generate`] writes text.
#![forbid(unsafe_code)]

pub mod characters;
pub mod generate;
mod labelled;
pub mod models;
pub mod tokenizers;
mod windows;

pub use characters::{BOUNDARY, CountBigram, Names, NeuralBigram};
pub use labelled::{EncodedTexts, LabelledTexts, TextBatch, part_in};
pub use windows::{TextWindows, next_token_loss};
