//! Models of characters, from the smallest up, in the line of A. Karpathy's "makemore" and "char-rnn": each guesses the next character
//! from more of what stands before it.
//!
//! | model                               | sees                      | file           |
//! |-------------------------------------|---------------------------|----------------|
//! | [`CountBigram`], [`NeuralBigram`]   | the last character        | `bigram.rs`    |
//! | [`CharMlp`]                         | the last few              | `mlp.rs`       |
//! | [`CharWaveNet`]                     | more, joined two by two   | `wavenet.rs`   |
//! | [`CharRnn`]                         | all, through a state      | `recurrent.rs` |
//!
//! A transformer over characters is a small [`GPT2LMHeadModel`](crate::models::GPT2LMHeadModel). All but the bigrams are
//! [`CausalLm`](crate::generate::CausalLm)s, so [`crate::generate`] writes with them. First weights of the networks from the lectures
//! are drawn as the notebooks draw them, so their losses come out.

mod bigram;
mod mlp;
mod names;
mod norm;
mod recurrent;
mod wavenet;
mod window;

pub use bigram::{CountBigram, NeuralBigram};
pub use mlp::{CharMlp, CharMlpOptions};
pub use names::{BOUNDARY, Names};
pub use norm::CharNorm;
pub use recurrent::{Cell, CharRnn, CharRnnOptions};
pub use wavenet::{CharWaveNet, CharWaveNetOptions};
