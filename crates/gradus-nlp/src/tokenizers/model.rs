//! The model of a tokenizer: what cuts words into tokens of the vocabulary.

use std::borrow::Cow;

use gradus_tensor::Result;

use super::bpe::Bpe;
use super::byte_chars;
use super::merge::Scratch;
use super::unigram::Unigram;
use super::vocab::Vocab;
use super::wordpiece::WordPiece;

/// A token found in a piece of text, with its place there in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// Where it begins.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
}

/// One of the three models.
#[allow(clippy::large_enum_variant)] // a tokenizer has one
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Model {
    /// Longest match first, as in BERT.
    WordPiece(WordPiece),
    /// Merged pairs, as in GPT-2 and Llama.
    Bpe(Bpe),
    /// Likeliest cut, as in T5.
    Unigram(Unigram),
}

impl Model {
    /// Cuts a piece and appends its tokens.
    #[inline]
    pub(super) fn tokenize(
        &self,
        piece: &str,
        scratch: &mut Scratch,
        out: &mut Vec<Token>,
    ) -> Result<()> {
        match self {
            Model::WordPiece(model) => model.tokenize(piece, out),
            Model::Bpe(model) => model.tokenize(piece.as_bytes(), scratch, out),
            Model::Unigram(model) => model.tokenize(piece, out),
        }
    }

    /// The vocabulary.
    pub fn vocab(&self) -> &Vocab {
        match self {
            Model::WordPiece(model) => model.vocab(),
            Model::Bpe(model) => model.vocab(),
            Model::Unigram(model) => model.vocab(),
        }
    }

    /// Whether tokens are bytes rather than text.
    pub fn is_byte_level(&self) -> bool {
        matches!(self, Model::Bpe(model) if model.is_byte_level())
    }

    /// A token's bytes as they are written in vocabulary files: at the byte level with a letter for each byte.
    pub(super) fn written<'t>(&self, token: &'t [u8]) -> Cow<'t, str> {
        match self.is_byte_level() {
            true => Cow::Owned(byte_chars::to_chars(token)),
            false => String::from_utf8_lossy(token),
        }
    }

    /// The bytes of a token as vocabulary files write it.
    pub(super) fn unwritten<'t>(&self, token: &'t str) -> Cow<'t, [u8]> {
        match self.is_byte_level() {
            true => byte_chars::to_bytes(token),
            false => Cow::Borrowed(token.as_bytes()),
        }
    }
}
