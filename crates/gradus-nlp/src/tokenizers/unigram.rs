//! Unigram: the likeliest way to cut a piece into tokens.
//!
//! Each token has a log-probability; the best cut up to each place is found from left to right (Viterbi). A character no token
//! covers costs ten more than the worst token. Source: T. Kudo, 2018; scores and ties as in Hugging Face's `Unigram`.

use gradus_tensor::{Error, Result};

use super::model::Token;
use super::trie::Trie;
use super::vocab::Vocab;

/// A unigram language model over subwords.
#[derive(Clone, Debug)]
pub struct Unigram {
    vocab: Vocab,
    scores: Vec<f64>, // by id
    trie: Trie,
    unknown: Option<u32>,
    byte_fallback: bool,
    unknown_score: f64,
}

/// The best way to a place.
#[derive(Clone, Copy)]
struct Best {
    score: f64,
    start: u32, // of its last token
    id: u32,
}

impl Unigram {
    /// The model of a vocabulary with a score for each id.
    ///
    /// Errors when the numbers of tokens and scores differ, a score is not finite, the unknown token's id is none, or a token has
    /// more than 1,024 bytes.
    pub fn new(
        vocab: Vocab,
        scores: Vec<f64>,
        unknown: Option<u32>,
        byte_fallback: bool,
    ) -> Result<Self> {
        let wrong = |why: String| Err(Error::format("unigram", why));
        if scores.len() != vocab.id_end() || scores.len() != vocab.len() {
            return wrong(format!(
                "{} tokens and {} scores",
                vocab.len(),
                scores.len()
            ));
        }
        if let Some(id) = scores.iter().position(|s| !s.is_finite()) {
            return wrong(format!("the score of token {id} is not a number"));
        }
        if let Some(id) = unknown.filter(|id| *id as usize >= scores.len()) {
            return wrong(format!(
                "the unknown token's id {id} is not in the vocabulary of {}",
                vocab.len()
            ));
        }
        vocab.searchable()?;
        let mut trie = Trie::default();
        for (token, id) in vocab.iter() {
            trie.insert(token, id);
        }
        let lowest = scores.iter().copied().fold(f64::INFINITY, f64::min);
        Ok(Self {
            vocab,
            scores,
            trie,
            unknown,
            byte_fallback,
            unknown_score: lowest - 10.0,
        })
    }

    /// The vocabulary.
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// The log-probabilities by id.
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// The id of the unknown token.
    pub fn unknown(&self) -> Option<u32> {
        self.unknown
    }

    /// Whether unknown characters become the tokens of their bytes, `<0xE6>`.
    pub fn byte_fallback(&self) -> bool {
        self.byte_fallback
    }

    /// Cuts a piece and appends its tokens; unknown characters in a row are one token.
    pub(super) fn tokenize(&self, piece: &str, out: &mut Vec<Token>) -> Result<()> {
        const UNKNOWN: u32 = u32::MAX;
        let bytes = piece.as_bytes();
        let unreached = Best {
            score: f64::NEG_INFINITY,
            start: u32::MAX,
            id: UNKNOWN,
        };
        let mut best = vec![unreached; bytes.len() + 1]; // by where a token ends
        best[0].score = 0.0;
        for (start, c) in piece.char_indices() {
            let here = best[start].score;
            if here == f64::NEG_INFINITY {
                continue;
            }
            let mut reach = |len: usize, score: f64, id: u32| {
                let place = &mut best[start + len];
                if place.start == u32::MAX || here + score > place.score {
                    *place = Best {
                        score: here + score,
                        start: start as u32,
                        id,
                    };
                }
            };
            let mut single = false;
            for (len, id) in self.trie.prefixes(&bytes[start..]) {
                reach(len, self.scores[id as usize], id);
                single |= len == c.len_utf8();
            }
            if !single {
                reach(c.len_utf8(), self.unknown_score, UNKNOWN);
            }
        }
        // From the end back to the beginning.
        let first = out.len();
        let mut end = bytes.len();
        while end > 0 {
            let Best { start, id, .. } = best[end];
            let before = out.len() > first && id == UNKNOWN;
            match out.last_mut() {
                Some(last) if before && last.id == UNKNOWN => last.start = start,
                _ => out.push(Token {
                    id,
                    start,
                    end: end as u32,
                }),
            }
            end = start as usize;
        }
        out[first..].reverse();
        if out[first..]
            .iter()
            .any(|token| token.id == UNKNOWN || Some(token.id) == self.unknown)
        {
            self.replace_unknown(piece, out, first)?;
        }
        Ok(())
    }

    /// Puts bytes or the unknown token in place of what no token covers.
    fn replace_unknown(&self, piece: &str, out: &mut Vec<Token>, first: usize) -> Result<()> {
        for token in out.split_off(first) {
            if token.id != u32::MAX {
                out.push(token);
                continue;
            }
            let bytes = &piece.as_bytes()[token.start as usize..token.end as usize];
            if self.byte_fallback {
                let ids = bytes
                    .iter()
                    .map(|b| self.vocab.get(format!("<0x{b:02X}>").as_bytes()));
                if let Some(ids) = ids.collect::<Option<Vec<u32>>>() {
                    out.extend(ids.into_iter().map(|id| Token { id, ..token }));
                    continue;
                }
            }
            let Some(id) = self.unknown else {
                return Err(Error::value(
                    "tokenize",
                    "a character is not in the vocabulary, and there is no token for the unknown",
                ));
            };
            out.push(Token { id, ..token });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(byte_fallback: bool) -> Unigram {
        let tokens = [
            ("<unk>", 0.0),
            ("a", -2.0),
            ("b", -2.0),
            ("ab", -3.0),
            ("abc", -9.0),
            ("c", -3.0),
            ("<0xC3>", -1.0),
            ("<0xA9>", -1.0),
        ];
        let vocab = Vocab::new(tokens.iter().map(|t| t.0).zip(0..)).unwrap();
        Unigram::new(vocab, tokens.map(|t| t.1).to_vec(), Some(0), byte_fallback).unwrap()
    }

    fn cut(model: &Unigram, piece: &str) -> Vec<(u32, u32, u32)> {
        let mut out = Vec::new();
        model.tokenize(piece, &mut out).unwrap();
        out.iter().map(|t| (t.id, t.start, t.end)).collect()
    }

    #[test]
    fn the_likeliest_cut() {
        assert_eq!(cut(&model(false), "abc"), [(3, 0, 2), (5, 2, 3)]);
        assert_eq!(cut(&model(false), "xyab"), [(0, 0, 2), (3, 2, 4)]);
        assert_eq!(cut(&model(true), "aé"), [(1, 0, 1), (6, 1, 3), (7, 1, 3)]);
        assert_eq!(cut(&model(true), "è"), [(0, 0, 2)]);
        assert_eq!(cut(&model(false), ""), []);
    }

    #[test]
    fn lies_are_refused() {
        let vocab = || Vocab::new([("a", 0)]).unwrap();
        assert!(Unigram::new(vocab(), vec![], None, false).is_err());
        assert!(Unigram::new(vocab(), vec![f64::NAN], None, false).is_err());
        assert!(Unigram::new(vocab(), vec![0.0], Some(1), false).is_err());
    }
}
