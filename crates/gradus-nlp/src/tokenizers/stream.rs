//! Decoding while a model is still writing.
//!
//! A token may end in the middle of a character; its bytes are held back until the rest has come. The pieces that come out, put
//! together, are what [`Tokenizer::decode`] makes of all ids at once.

use gradus_tensor::Result;

use super::decoder::Decoder;
use super::tokenizer::Tokenizer;

/// Text from ids, piece by piece.
///
/// ```
/// use gradus_nlp::tokenizers::{BpeTrainer, Decoder, Model, Tokenizer};
/// let bytes = Tokenizer::new(Model::Bpe(BpeTrainer::plain(256).train([""])?)).with_decoders(vec![Decoder::ByteLevel]);
/// let mut stream = bytes.decode_stream(true);
/// assert_eq!(stream.push(0xC3)?, ""); // half of é
/// assert_eq!(stream.push(0xA9)?, "é");
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DecodeStream<'t> {
    tokenizer: &'t Tokenizer,
    skip_special: bool,
    bytes: Vec<u8>,   // of a character that is not whole; byte level
    window: Vec<u32>, // the last ids; other decoders, which look at neighbours
    shown: usize,     // how much of the window's text is out already
    held: usize,      // how many of its ids are not
}

/// So many ids in a row may end in what is no character before it is given out as it is.
const PATIENCE: usize = 8;

impl<'t> DecodeStream<'t> {
    pub(super) fn new(tokenizer: &'t Tokenizer, skip_special: bool) -> Self {
        Self {
            tokenizer,
            skip_special,
            bytes: Vec::new(),
            window: Vec::new(),
            shown: 0,
            held: 0,
        }
    }

    /// Takes the next id and gives the text that is certain by now, perhaps none.
    ///
    /// Errors when the id is not in the vocabulary.
    pub fn push(&mut self, id: u32) -> Result<String> {
        let Some(token) = self.tokenizer.token_bytes(id, self.skip_special)? else {
            return Ok(String::new());
        };
        if self.tokenizer.decoders == [Decoder::ByteLevel] {
            self.bytes.extend_from_slice(token);
            return Ok(self.characters());
        }
        self.window.push(id);
        self.held += 1;
        let text = self.tokenizer.decode(&self.window, self.skip_special)?;
        if text.ends_with('\u{fffd}') && self.held < PATIENCE {
            return Ok(String::new());
        }
        let new = text.get(self.shown..).unwrap_or_default().to_owned();
        // What is kept is enough for the decoder to see that this is not the beginning.
        let keep = self.held.max(2).min(self.window.len());
        self.window.drain(..self.window.len() - keep);
        self.shown = self
            .tokenizer
            .decode(&self.window, self.skip_special)?
            .len();
        self.held = 0;
        Ok(new)
    }

    /// What was held back to the last, with U+FFFD for what is no character.
    pub fn finish(self) -> Result<String> {
        if !self.bytes.is_empty() {
            return Ok(String::from_utf8_lossy(&self.bytes).into_owned());
        }
        let text = self.tokenizer.decode(&self.window, self.skip_special)?;
        Ok(text.get(self.shown..).unwrap_or_default().to_owned())
    }

    /// Takes the whole characters out of the bytes; what can never become one is U+FFFD.
    fn characters(&mut self) -> String {
        let mut out = String::new();
        loop {
            let (valid, broken) = match std::str::from_utf8(&self.bytes) {
                Ok(text) => (text.len(), None),
                Err(error) => (error.valid_up_to(), error.error_len()),
            };
            out.push_str(&String::from_utf8_lossy(&self.bytes[..valid]));
            self.bytes.drain(..valid);
            let Some(len) = broken else { return out };
            out.push('\u{fffd}');
            self.bytes.drain(..len);
        }
    }
}
