//! Tokenizers: text to ids and back, equal to the references and fast.
//!
//! [`Tokenizer`] is the whole way. Its stations, each a file of this folder:
//!
//! ```text
//! text ─ added tokens ─ normalizers ─ pre-tokenizers ─ model ─ truncation ─ post-processor ─ padding ─ Encoding
//!        [CLS]          lower case    words            WordPiece            [CLS] … [SEP]
//!                       accents       patterns         Bpe, Unigram
//! ids ── decoders ── text
//! ```
//!
//! Offsets are bytes of the original text. Nothing here learns but [`BpeTrainer`].

mod added;
mod bpe;
mod byte_chars;
mod characters;
mod decoder;
mod encoding;
mod file;
mod hf;
mod json;
mod llama2c;
mod merge;
mod model;
mod normalized;
mod normalizer;
mod pattern;
mod post_processor;
mod pre_tokenizer;
mod split;
mod stream;
mod tokenizer;
mod train;
mod trie;
mod unicode;
mod unigram;
mod vocab;
mod wordpiece;

pub use added::AddedToken;
pub use bpe::{Atoms, Bpe, CharAtoms};
pub use decoder::Decoder;
pub use encoding::{Encoding, Padding, Side, Strategy, Truncation, stack};
pub use model::Model;
pub use normalizer::{BertNormalizer, Form, Normalizer};
pub use pattern::Pattern;
pub use post_processor::{PostProcessor, Slot};
pub use pre_tokenizer::{Metaspace, PreTokenizer, Prepend};
pub use split::Behavior;
pub use stream::DecodeStream;
pub use tokenizer::{EncodeOptions, Tokenizer};
pub use train::BpeTrainer;
pub use unigram::Unigram;
pub use vocab::Vocab;
pub use wordpiece::{WordPiece, WordPieceOptions};
