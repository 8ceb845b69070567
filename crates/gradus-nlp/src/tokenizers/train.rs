//! Learning byte-pair merges from text.
//!
//! The pair of neighbours that occurs most becomes a token, again and again; of equally frequent pairs the one with the smaller
//! ids. Text is cut into pieces first and equal pieces are counted once; a merge touches only the pieces that hold its pair, and
//! a heap keeps the pairs by count, old counts being put right when they come up. The order of things follows Hugging Face's
//! `BpeTrainer`, so the merges are the same; the idea is of R. Sennrich et al., 2016 (and A. Karpathy's minbpe).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use foldhash::fast::RandomState;
use gradus_tensor::{Error, Result};

use super::bpe::{Atoms, Bpe};
use super::byte_chars::bytes_by_char;
use super::pattern::Pattern;
use super::vocab::Vocab;

type Map<K, V> = HashMap<K, V, RandomState>;
type Pair = (u32, u32);

/// Learns a byte-level [`Bpe`].
///
/// ```
/// use gradus_nlp::tokenizers::BpeTrainer;
/// let bpe = BpeTrainer::plain(259).train(["aaabdaaabac"])?; // the example of minbpe
/// assert_eq!(bpe.encode(b"aaabdaaabac")?, [258, 100, 258, 97, 99]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BpeTrainer {
    /// How many tokens there shall be: special ones, 256 bytes, and merges.
    pub vocab_size: usize,
    /// Rarer pairs are not merged.
    pub min_frequency: u64,
    /// How text is cut before pairs are counted; `None`: not at all.
    pub pattern: Option<Pattern>,
    /// Tokens that get the first ids.
    pub special_tokens: Vec<String>,
    /// Whether bytes get their ids in the order of GPT-2's letters (`!` first) or as they are (0 first).
    pub gpt2_order: bool,
}

impl BpeTrainer {
    /// As Hugging Face trains a byte-level tokenizer: GPT-2's pattern and order of bytes.
    pub fn new(vocab_size: usize) -> Self {
        Self {
            vocab_size,
            min_frequency: 0,
            pattern: Some(Pattern::Gpt2),
            special_tokens: Vec::new(),
            gpt2_order: true,
        }
    }

    /// As minbpe's `BasicTokenizer`: no cutting, a byte's id is the byte, merges count from 256.
    pub fn plain(vocab_size: usize) -> Self {
        Self {
            pattern: None,
            gpt2_order: false,
            ..Self::new(vocab_size)
        }
    }

    /// Learns from texts.
    ///
    /// A merge costs as much as the pieces that hold its pair are long: without a pattern, as the whole text.
    /// Fewer merges are made when no pair is left. Errors when `vocab_size` has no room for the bytes, or a text has 4 GiB.
    pub fn train<S: AsRef<str>>(&self, texts: impl IntoIterator<Item = S>) -> Result<Bpe> {
        let mut tokens = self.first_tokens()?;
        let mut ids: Map<Vec<u8>, u32> = tokens.iter().cloned().zip(0..).collect();
        let mut words = self.words(texts, &tokens)?;
        let mut merges: Vec<Pair> = Vec::new();

        let (mut counts, mut fresh) = count(&words);
        let mut heap = BinaryHeap::new();
        push(&mut heap, &mut fresh, &counts);
        let mut changes = Vec::new();
        while tokens.len() < self.vocab_size {
            let Some(mut top) = heap.pop() else { break };
            let now = counts.get(&top.pair.0).copied().unwrap_or(0);
            if top.count != now {
                top.count = now;
                heap.push(top);
                continue;
            }
            if now < 1 || now < self.min_frequency as i64 {
                break;
            }
            let (left, right) = top.pair.0;
            let token = [&tokens[left as usize][..], &tokens[right as usize]].concat();
            let id = *ids.entry(token.clone()).or_insert(tokens.len() as u32);
            if id as usize == tokens.len() {
                tokens.push(token);
            }
            merges.push((left, right));
            for &w in &top.words {
                let word = &mut words[w as usize];
                changes.clear();
                word.merge((left, right), id, &mut changes);
                for &(pair, change) in &changes {
                    *counts.entry(pair).or_default() += change * word.count;
                    if change > 0 {
                        let words = fresh.entry(pair).or_default();
                        if words.last() != Some(&w) {
                            words.push(w);
                        }
                    }
                }
            }
            push(&mut heap, &mut fresh, &counts);
        }
        let vocab = Vocab::new(tokens.iter().zip(0..))?;
        // A token that two merges make can be merged again with its neighbour; the first of the two counts.
        let mut seen = std::collections::HashSet::with_hasher(RandomState::default());
        merges.retain(|pair| seen.insert(*pair));
        let token = |id: u32| &tokens[id as usize];
        Bpe::new(
            vocab,
            merges
                .iter()
                .map(|(left, right)| (token(*left), token(*right))),
            Atoms::Bytes,
        )
    }

    /// The special tokens and the bytes.
    fn first_tokens(&self) -> Result<Vec<Vec<u8>>> {
        let special = self.special_tokens.iter().map(|t| t.clone().into_bytes());
        let mut tokens: Vec<Vec<u8>> = special.collect();
        if self.vocab_size < tokens.len() + 256 {
            return Err(Error::value(
                "BpeTrainer",
                format!(
                    "a vocabulary of {} has no room for the 256 bytes and {} special tokens",
                    self.vocab_size,
                    tokens.len()
                ),
            ));
        }
        match self.gpt2_order {
            true => tokens.extend(bytes_by_char().map(|b| vec![b])),
            false => tokens.extend((0..=255).map(|b| vec![b])),
        }
        Ok(tokens)
    }

    /// The pieces of the texts with their numbers, as ids of bytes.
    fn words<S: AsRef<str>>(
        &self,
        texts: impl IntoIterator<Item = S>,
        tokens: &[Vec<u8>],
    ) -> Result<Vec<Word>> {
        let mut of_byte = [0u32; 256];
        for (token, id) in tokens.iter().zip(0u32..).skip(self.special_tokens.len()) {
            of_byte[token[0] as usize] = id;
        }
        let mut numbers: Map<Box<str>, i64> = Map::default();
        let mut add = |piece: &str| match numbers.get_mut(piece) {
            Some(n) => *n += 1,
            None => drop(numbers.insert(piece.into(), 1)),
        };
        for text in texts {
            let text = text.as_ref();
            if text.len() >= u32::MAX as usize {
                return Err(Error::value(
                    "BpeTrainer",
                    "a text has 4 GiB or more; cut it",
                ));
            }
            match self.pattern {
                Some(pattern) => pattern.pieces(text).for_each(&mut add),
                None => add(text),
            }
        }
        let word = |(piece, count): (Box<str>, i64)| Word {
            parts: piece.bytes().map(|b| of_byte[b as usize]).collect(),
            count,
        };
        Ok(numbers.into_iter().map(word).collect())
    }
}

/// A piece of text, how often it occurs, and its tokens so far.
struct Word {
    parts: Vec<u32>,
    count: i64,
}

impl Word {
    /// Merges a pair wherever it stands, and notes which pairs come and go by that.
    fn merge(&mut self, pair: Pair, id: u32, changes: &mut Vec<(Pair, i64)>) {
        let parts = &mut self.parts;
        let (mut read, mut write) = (0, 0);
        while read < parts.len() {
            if parts[read] != pair.0 || parts.get(read + 1) != Some(&pair.1) {
                parts[write] = parts[read];
                (read, write) = (read + 1, write + 1);
                continue;
            }
            if write > 0 {
                let before = parts[write - 1];
                changes.push(((before, pair.0), -1));
                changes.push(((before, id), 1));
            }
            if let Some(&after) = parts.get(read + 2) {
                changes.push(((pair.1, after), -1));
                changes.push(((id, after), 1));
            }
            parts[write] = id;
            (read, write) = (read + 2, write + 1);
        }
        parts.truncate(write);
    }
}

/// A pair waiting to be merged.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    count: i64,
    pair: Reverse<Pair>, // of equal counts the smaller pair is on top
    words: Vec<u32>,     // where it may be found
}

/// How often each pair of neighbours occurs, and in which words.
fn count(words: &[Word]) -> (Map<Pair, i64>, Map<Pair, Vec<u32>>) {
    let mut counts: Map<Pair, i64> = Map::default();
    let mut places: Map<Pair, Vec<u32>> = Map::default();
    for (word, w) in words.iter().zip(0u32..) {
        for pair in word.parts.windows(2) {
            let pair = (pair[0], pair[1]);
            *counts.entry(pair).or_default() += word.count;
            let places = places.entry(pair).or_default();
            if places.last() != Some(&w) {
                places.push(w);
            }
        }
    }
    (counts, places)
}

/// Moves the pairs that are new into the heap.
fn push(
    heap: &mut BinaryHeap<Candidate>,
    fresh: &mut Map<Pair, Vec<u32>>,
    counts: &Map<Pair, i64>,
) {
    for (pair, words) in fresh.drain() {
        let count = counts.get(&pair).copied().unwrap_or(0);
        if count > 0 {
            heap.push(Candidate {
                count,
                pair: Reverse(pair),
                words,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counting everything again for every merge, as one would write it first.
    fn naive(text: &str, merges: usize) -> Vec<Pair> {
        let mut words: Vec<Vec<u32>> = Pattern::Gpt2
            .pieces(text)
            .map(|piece| piece.bytes().map(u32::from).collect())
            .collect();
        let mut made = Vec::new();
        for id in 256..256 + merges as u32 {
            let mut counts = std::collections::BTreeMap::<Pair, i64>::new();
            for pair in words.iter().flat_map(|word| word.windows(2)) {
                *counts.entry((pair[0], pair[1])).or_default() += 1;
            }
            let Some((&best, _)) = counts.iter().max_by_key(|(pair, n)| (**n, Reverse(**pair)))
            else {
                break;
            };
            made.push(best);
            for word in &mut words {
                let mut new = Vec::new();
                let mut i = 0;
                while i < word.len() {
                    if i + 1 < word.len() && (word[i], word[i + 1]) == best {
                        new.push(id);
                        i += 2;
                    } else {
                        new.push(word[i]);
                        i += 1;
                    }
                }
                *word = new;
            }
        }
        made
    }

    #[test]
    fn as_counted_again_each_time() {
        let text = "she sells sea shells by the sea shore, the shells she sells are sea-shells, surely; \
                    so if she sells shells on the sea shore, I'm sure she sells sea shore shells";
        let trainer = BpeTrainer {
            gpt2_order: false,
            ..BpeTrainer::new(256 + 30)
        };
        let trained = trainer.train([text]).unwrap();
        assert_eq!(trained.merges(), naive(text, 30));
    }

    #[test]
    fn no_room_and_no_text() {
        assert!(BpeTrainer::new(255).train(["x"]).is_err());
        let empty = BpeTrainer::new(300).train([""; 0]).unwrap();
        assert_eq!((empty.vocab().len(), empty.merges().len()), (256, 0));
        let special = BpeTrainer {
            special_tokens: vec!["<s>".into()],
            ..BpeTrainer::new(400)
        };
        let bpe = special.train(["ab ab ab"]).unwrap();
        assert_eq!(bpe.vocab().get(b"<s>"), Some(0));
        assert!(bpe.vocab().get(b"ab").is_some_and(|id| id >= 257));
    }
}
