//! A vocabulary: tokens to ids and back.
//!
//! Tokens are bytes, not text: a token of a byte-level model may be a third of a character. All bytes lie end to end in one
//! buffer, and the hash table holds ids only, so 100,000 tokens are three allocations and a look-up touches little memory.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use gradus_tensor::{Error, Result};
use hashbrown::HashTable;

/// The most bytes of a token that is looked for at every place of a text.
pub const LONGEST: usize = 1024;

/// Marks an id no token has.
const HOLE: (u32, u32) = (u32::MAX, u32::MAX);

/// Tokens and their ids; each id has at most one token and the other way round.
#[derive(Clone, Debug, Default)]
pub struct Vocab {
    bytes: Vec<u8>,
    spans: Vec<(u32, u32)>, // by id: from where to where in `bytes`
    table: HashTable<u32>,  // ids by the hash of their bytes
    hasher: RandomState,
    longest: usize,
}

impl Vocab {
    /// A vocabulary of tokens with their ids, in any order.
    ///
    /// Errors when a token or an id comes twice, the ids lie far beyond the number of tokens, or there are
    /// more than 4 GiB of them.
    ///
    /// ```
    /// use gradus_nlp::tokenizers::Vocab;
    /// let vocab = Vocab::new([("the", 0), ("cat", 1)])?;
    /// assert_eq!((vocab.get(b"cat"), vocab.token(0)), (Some(1), Some(&b"the"[..])));
    /// assert!(Vocab::new([("the", 0), ("the", 1)]).is_err());
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn new<T: AsRef<[u8]>>(tokens: impl IntoIterator<Item = (T, u32)>) -> Result<Self> {
        let tokens: Vec<(T, u32)> = tokens.into_iter().collect();
        let size = tokens.iter().map(|t| t.1 as usize + 1).max().unwrap_or(0);
        if size > 16 * tokens.len() + 65_536 {
            return Err(wrong(format!(
                "{} tokens have ids up to {}: such gaps are no vocabulary",
                tokens.len(),
                size - 1
            )));
        }
        Self::sparse(tokens)
    }

    /// The same without a limit on the gaps between ids.
    pub(super) fn sparse<T: AsRef<[u8]>>(
        tokens: impl IntoIterator<Item = (T, u32)>,
    ) -> Result<Self> {
        let tokens: Vec<(T, u32)> = tokens.into_iter().collect();
        let size = tokens.iter().map(|t| t.1 as usize + 1).max().unwrap_or(0);
        let mut vocab = Self::default();
        let total: usize = tokens.iter().map(|(t, _)| t.as_ref().len()).sum();
        if total >= u32::MAX as usize {
            return Err(wrong(format!("{total} bytes of tokens; at most 4 GiB")));
        }
        vocab.spans = vec![HOLE; size];
        vocab.bytes.reserve(total);
        vocab.table.reserve(tokens.len(), |_| 0);
        for (token, id) in &tokens {
            vocab.insert(token.as_ref(), *id)?;
        }
        Ok(vocab)
    }

    fn insert(&mut self, token: &[u8], id: u32) -> Result<()> {
        if let Some(there) = self.get(token) {
            return Err(wrong(format!(
                "the token {} comes twice, with ids {there} and {id}",
                shown(token)
            )));
        }
        if let Some(other) = self.token(id) {
            return Err(wrong(format!(
                "the id {id} belongs to two tokens, {} and {}",
                shown(other),
                shown(token)
            )));
        }
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(token);
        self.spans[id as usize] = (start, self.bytes.len() as u32);
        self.longest = self.longest.max(token.len());
        let (spans, bytes, hasher) = (&self.spans, &self.bytes, &self.hasher);
        let hash_of = |&id: &u32| hasher.hash_one(slice(spans, bytes, id).unwrap_or_default());
        let hash = hash_of(&id);
        self.table.insert_unique(hash, id, hash_of);
        Ok(())
    }

    /// The id of a token.
    #[inline]
    pub fn get(&self, token: &[u8]) -> Option<u32> {
        if token.len() > self.longest {
            return None;
        }
        let hash = self.hasher.hash_one(token);
        let same = |&id: &u32| slice(&self.spans, &self.bytes, id) == Some(token);
        self.table.find(hash, same).copied()
    }

    /// The token of an id.
    #[inline]
    pub fn token(&self, id: u32) -> Option<&[u8]> {
        slice(&self.spans, &self.bytes, id)
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// One more than the largest id.
    pub fn id_end(&self) -> usize {
        self.spans.len()
    }

    /// Refuses tokens so long that looking for them at every place of a long text would take for ever.
    pub(super) fn searchable(&self) -> Result<()> {
        if self.longest > LONGEST {
            return Err(wrong(format!(
                "a token of {} bytes; in this model at most {LONGEST}",
                self.longest
            )));
        }
        Ok(())
    }

    /// The length of the longest token, in bytes.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// All tokens by ascending id.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u32)> {
        (0..self.spans.len() as u32).filter_map(|id| Some((self.token(id)?, id)))
    }
}

#[inline]
fn slice<'a>(spans: &[(u32, u32)], bytes: &'a [u8], id: u32) -> Option<&'a [u8]> {
    let &(start, end) = spans.get(id as usize)?;
    bytes.get(start as usize..end as usize)
}

/// A token in an error message: as text if it is some, and not a screenful.
pub fn shown(token: &[u8]) -> String {
    let text = String::from_utf8_lossy(token);
    let short: String = text.chars().take(60).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("{short:?}{more}")
}

fn wrong(message: String) -> Error {
    Error::format("vocabulary", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_no_tokens() {
        let vocab = Vocab::new([("b", 5), ("a", 2)]).unwrap();
        assert_eq!((vocab.len(), vocab.id_end()), (2, 6));
        assert_eq!((vocab.token(3), vocab.token(9)), (None, None));
        let all: Vec<_> = vocab.iter().collect();
        assert_eq!(all, [(&b"a"[..], 2), (&b"b"[..], 5)]);
    }

    #[test]
    fn lies_are_refused() {
        let twice = Vocab::new([("a", 0), ("a", 1)]).unwrap_err().to_string();
        assert!(twice.contains("\"a\" comes twice"), "{twice}");
        let shared = Vocab::new([("a", 0), ("b", 0)]).unwrap_err().to_string();
        assert!(shared.contains("belongs to two tokens"), "{shared}");
        assert!(Vocab::new([("a", u32::MAX)]).is_err());
        assert_eq!(Vocab::new([("", 0)]).unwrap().get(b""), Some(0));
    }
}
