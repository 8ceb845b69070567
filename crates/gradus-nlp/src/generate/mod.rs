//! Writing text with a model, token by token.
//!
//! A model that can write is a [`CausalLm`]: it opens a [`Session`], which remembers what it has read, by a [`KvCache`] or by a
//! recurrent state, so that each new token costs one step. On top stand
//!
//! - [`tokens`]: an iterator over new ids, greedy or drawn at random, as [`Generation`] says;
//! - [`text`]: the same as pieces of text, with texts that stop it;
//! - [`generate`]: all new ids at once, and [`beam_search`], which keeps several texts going and gives the best.
//!
//! Names, defaults and the order in which scores are changed are those of Hugging Face's `generate`; greedy and beam search give the
//! same ids. Batches of different prompts are not here: one text at a time.

mod beam;
mod cache;
mod graphed;
mod options;
mod scores;
mod session;
mod text;
mod tokens;

pub use beam::{Beam, beam_search};
pub use cache::KvCache;
pub(crate) use cache::Place;
pub use options::{EarlyStopping, Generation};
pub use session::{CausalLm, KvSession, Session};
pub use text::{Text, text};
pub use tokens::{Tokens, generate, tokens};
