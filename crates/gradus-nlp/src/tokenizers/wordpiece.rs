//! WordPiece: the longest token a word begins with, then the longest the rest begins with, and so on.
//!
//! Tokens within a word are written `##ing`. They are kept a second time without the `##`, so no text is put together to look
//! one up. A word that cannot be cut is one `[UNK]`. Source: `WordpieceTokenizer` of BERT.

use gradus_tensor::{Error, Result};

use super::model::Token;
use super::vocab::Vocab;

/// BERT's model of words.
#[derive(Clone, Debug)]
pub struct WordPiece {
    vocab: Vocab,
    inner: Vocab, // the tokens within words, without their prefix
    unknown: Option<u32>,
    options: WordPieceOptions,
}

/// How tokens are written and words given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WordPieceOptions {
    /// What a token within a word begins with.
    pub continuing_subword_prefix: String,
    /// The token for words that cannot be cut.
    pub unk_token: String,
    /// Longer words are not tried.
    pub max_input_chars_per_word: u32,
}

impl Default for WordPieceOptions {
    /// `##`, `[UNK]`, 100.
    fn default() -> Self {
        Self {
            continuing_subword_prefix: "##".into(),
            unk_token: "[UNK]".into(),
            max_input_chars_per_word: 100,
        }
    }
}

impl WordPiece {
    /// The model of a vocabulary.
    ///
    /// Errors when a token has more than 1,024 bytes.
    pub fn new(vocab: Vocab, options: WordPieceOptions) -> Result<Self> {
        vocab.searchable()?;
        let prefix = options.continuing_subword_prefix.as_bytes();
        let inner = vocab
            .iter()
            .filter_map(|(token, id)| Some((token.strip_prefix(prefix)?, id)));
        Ok(Self {
            inner: Vocab::sparse(inner.filter(|(token, _)| !token.is_empty()))?,
            unknown: vocab.get(options.unk_token.as_bytes()),
            vocab,
            options,
        })
    }

    /// The vocabulary, prefixes included.
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// The settings.
    pub fn options(&self) -> &WordPieceOptions {
        &self.options
    }

    /// Cuts a word and appends its tokens.
    ///
    /// Errors when the word cannot be cut and the vocabulary has no token for that.
    pub(super) fn tokenize(&self, word: &str, out: &mut Vec<Token>) -> Result<()> {
        let before = out.len();
        let limit = self.options.max_input_chars_per_word as usize;
        if word.len() > limit && word.chars().nth(limit).is_some() {
            return self.give_up(word, out);
        }
        let mut start = 0;
        while start < word.len() {
            let vocab = if start == 0 { &self.vocab } else { &self.inner };
            let Some((id, len)) = longest(vocab, &word[start..]) else {
                out.truncate(before);
                return self.give_up(word, out);
            };
            out.push(Token {
                id,
                start: start as u32,
                end: (start + len) as u32,
            });
            start += len;
        }
        Ok(())
    }

    fn give_up(&self, word: &str, out: &mut Vec<Token>) -> Result<()> {
        let Some(id) = self.unknown else {
            return Err(Error::value(
                "tokenize",
                format!(
                    "a word is not in the vocabulary, and neither is {:?}, which would stand for it",
                    self.options.unk_token
                ),
            ));
        };
        out.push(Token {
            id,
            start: 0,
            end: word.len() as u32,
        });
        Ok(())
    }
}

/// The longest token a text begins with, and its length.
fn longest(vocab: &Vocab, text: &str) -> Option<(u32, usize)> {
    let mut end = text.len().min(vocab.longest());
    while end > 0 {
        if text.is_char_boundary(end)
            && let Some(id) = vocab.get(&text.as_bytes()[..end])
        {
            return Some((id, end));
        }
        end -= 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(word: &str) -> Vec<(u32, u32, u32)> {
        let tokens = ["[UNK]", "un", "##aff", "##able", "##é", "a"];
        let vocab = Vocab::new(tokens.into_iter().zip(0..)).unwrap();
        let model = WordPiece::new(vocab, WordPieceOptions::default()).unwrap();
        let mut out = Vec::new();
        model.tokenize(word, &mut out).unwrap();
        out.iter().map(|t| (t.id, t.start, t.end)).collect()
    }

    #[test]
    fn longest_first_or_not_at_all() {
        assert_eq!(cut("unaffable"), [(1, 0, 2), (2, 2, 5), (3, 5, 9)]);
        assert_eq!(cut("uné"), [(1, 0, 2), (4, 2, 4)]);
        assert_eq!(cut("unx"), [(0, 0, 3)]);
        assert_eq!(cut(&"é".repeat(100)), [(0, 0, 200)]);
        let long = "a".repeat(101);
        assert_eq!(cut(&long), [(0, 0, 101)]);
    }

    #[test]
    fn without_a_token_for_the_unknown() {
        let vocab = Vocab::new([("a", 0)]).unwrap();
        let model = WordPiece::new(vocab, WordPieceOptions::default()).unwrap();
        let error = model.tokenize("b", &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("[UNK]"), "{error}");
    }
}
