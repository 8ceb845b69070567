//! The simplest tokenizer: each character a token, as in char-rnn and nanoGPT.

use gradus_tensor::{Error, Result};

use super::bpe::{Atoms, Bpe, CharAtoms};
use super::decoder::Decoder;
use super::model::Model;
use super::tokenizer::Tokenizer;
use super::vocab::Vocab;

impl Tokenizer {
    /// A token for each character of `text`, numbered from 0 in their order. A character that is not among them is an error when it
    /// is encoded.
    ///
    /// ```
    /// use gradus_nlp::tokenizers::Tokenizer;
    /// let abc = Tokenizer::characters("cabbage\n")?;
    /// assert_eq!(abc.vocab_size(), 6); // \n a b c e g
    /// assert_eq!(abc.encode("bag")?.ids, [2, 1, 5]);
    /// assert_eq!(abc.decode(&[2, 1, 5], false)?, "bag");
    /// assert!(abc.encode("bad").is_err());
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is no character.
    pub fn characters(text: &str) -> Result<Self> {
        let mut characters: Vec<char> = text.chars().collect();
        characters.sort_unstable();
        characters.dedup();
        if characters.is_empty() {
            return Err(Error::value("characters", "the text has no characters"));
        }
        let vocab = Vocab::new(characters.iter().map(char::to_string).zip(0..))?;
        let merges: [(&str, &str); 0] = [];
        let bpe = Bpe::new(vocab, merges, Atoms::Chars(CharAtoms::default()))?;
        Ok(Tokenizer::new(Model::Bpe(bpe)).with_decoders(vec![Decoder::Fuse]))
    }
}
