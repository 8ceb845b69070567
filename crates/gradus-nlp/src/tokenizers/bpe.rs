//! Byte-pair encoding: the model of GPT-2, GPT-4 and Llama.
//!
//! Two families share it. In one a list of merges says which pairs become which token, in which order (GPT-2's `vocab.bpe`,
//! Hugging Face's `merges`); in the other any two neighbours merge whose bytes together are a token, in the order of ids
//! (tiktoken) or of scores (llama2.c). Pieces start as bytes, or, in sentencepiece's variant, as characters with bytes `<0xE6>` to fall back to.
//! Most pieces of real text are a token as they stand; those are found by one look-up, so no cache is needed.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use gradus_tensor::{Error, Result};

use super::merge::{NONE, Part, Scratch, merge};
use super::model::Token;
use super::vocab::{Vocab, shown};

/// A byte-pair model.
#[derive(Clone, Debug)]
pub struct Bpe {
    vocab: Vocab,
    merges: Merges,
    atoms: Atoms,
    whole: Vec<bool>, // by id: a piece that is this token's bytes is this token
    ignore_merges: bool,
}

#[derive(Clone, Debug)]
enum Merges {
    /// (left, right) to rank and token.
    Listed(HashMap<u64, (u32, u32), RandomState>),
    /// Whatever is a token; a rank for each id.
    Ranks(Vec<u32>),
}

/// What pieces are made of before anything is merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Atoms {
    /// Bytes; each of the 256 should be a token.
    Bytes,
    /// Characters.
    Chars(CharAtoms),
}

/// What happens to characters that are no token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CharAtoms {
    /// The token for them.
    pub unk_token: Option<String>,
    /// Whether several in a row are one such token.
    pub fuse_unk: bool,
    /// Whether their bytes, written `<0xE6>`, are tried first.
    pub byte_fallback: bool,
}

impl Bpe {
    /// A model with a list of merges, the most urgent first.
    ///
    /// Errors when a merge names a token that is not in the vocabulary, makes one that is not, or comes twice.
    ///
    /// ```
    /// use gradus_nlp::tokenizers::{Atoms, Bpe, Vocab};
    /// let vocab = Vocab::new(["l", "o", "w", "lo", "low"].into_iter().zip(0..))?;
    /// let merges = [("l", "o"), ("lo", "w")];
    /// let bpe = Bpe::new(vocab, merges.map(|(l, r)| (l.as_bytes(), r.as_bytes())), Atoms::Bytes)?;
    /// assert_eq!(bpe.encode(b"lowlo")?, [4, 3]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn new<L: AsRef<[u8]>, R: AsRef<[u8]>>(
        vocab: Vocab,
        merges: impl IntoIterator<Item = (L, R)>,
        atoms: Atoms,
    ) -> Result<Self> {
        let mut table = HashMap::default();
        let mut joined = Vec::new();
        for (rank, (left, right)) in merges.into_iter().enumerate() {
            let (left, right) = (left.as_ref(), right.as_ref());
            let wrong = |why: String| {
                Error::format(
                    "merges",
                    format!(
                        "merge {} ({} {}) {why}",
                        rank + 1,
                        shown(left),
                        shown(right)
                    ),
                )
            };
            let id = |token: &[u8]| {
                vocab.get(token).ok_or_else(|| {
                    wrong(format!(
                        "needs the token {}, which the vocabulary has not",
                        shown(token)
                    ))
                })
            };
            if left.is_empty() || right.is_empty() {
                return Err(wrong("has an empty side".into()));
            }
            joined.clear();
            joined.extend_from_slice(left);
            joined.extend_from_slice(right);
            let (left, right, both) = (id(left)?, id(right)?, id(&joined)?);
            if table
                .insert(key(left, right), (rank as u32, both))
                .is_some()
            {
                return Err(wrong("comes twice".into()));
            }
        }
        Self::with(vocab, Merges::Listed(table), atoms)
    }

    /// A model where ids are ranks, as in tiktoken: neighbours merge if their bytes together are a token, the lowest id first.
    ///
    /// Errors when one of the 256 bytes is no token.
    pub fn from_ranks(vocab: Vocab) -> Result<Self> {
        if let Some(byte) = (0..=255u8).find(|b| vocab.get(&[*b]).is_none()) {
            return Err(Error::format(
                "ranks",
                format!("the byte {byte:#04x} is no token; all 256 have to be"),
            ));
        }
        let ranks = (0..vocab.id_end() as u32).collect();
        let mut bpe = Self::with(vocab, Merges::Ranks(ranks), Atoms::Bytes)?;
        bpe.ignore_merges(true);
        Ok(bpe)
    }

    /// A model where neighbours merge if together they are a token, that of the highest score first (sentencepiece's BPE).
    ///
    /// Errors when there is not one score, a number, for each id.
    pub fn from_scores(vocab: Vocab, scores: &[f32], atoms: CharAtoms) -> Result<Self> {
        if scores.len() != vocab.id_end() || scores.iter().any(|score| score.is_nan()) {
            return Err(Error::format(
                "scores",
                format!(
                    "{} scores, all of them numbers, are expected for {0} ids; there are {}",
                    vocab.id_end(),
                    scores.len()
                ),
            ));
        }
        let mut order = scores.to_vec();
        order.sort_unstable_by(|a, b| b.total_cmp(a));
        order.dedup();
        let rank = |score: &f32| order.partition_point(|other| other > score) as u32;
        let ranks = scores.iter().map(rank).collect();
        Self::with(vocab, Merges::Ranks(ranks), Atoms::Chars(atoms))
    }

    fn with(vocab: Vocab, merges: Merges, atoms: Atoms) -> Result<Self> {
        if let Atoms::Chars(CharAtoms {
            unk_token: Some(unknown),
            ..
        }) = &atoms
            && vocab.get(unknown.as_bytes()).is_none()
        {
            return Err(Error::format(
                "vocabulary",
                format!("the unknown token {unknown:?} is not in it"),
            ));
        }
        let mut bpe = Self {
            vocab,
            merges,
            atoms,
            whole: Vec::new(),
            ignore_merges: false,
        };
        bpe.ignore_merges(false);
        Ok(bpe)
    }

    /// Whether a piece that is a token is that token even where merging would cut it otherwise (Llama 3, tiktoken).
    pub fn ignore_merges(&mut self, ignore: bool) {
        self.ignore_merges = ignore;
        let end = self.vocab.id_end();
        self.whole = vec![true; end];
        if !ignore {
            let mut scratch = Scratch::default();
            let mut out = Vec::new();
            for id in 0..end as u32 {
                out.clear();
                let Some(token) = self.vocab.token(id) else {
                    continue;
                };
                let cut = self.merge_piece(token, &mut scratch, &mut out);
                self.whole[id as usize] = cut.is_ok() && out.len() == 1 && out[0].id == id;
            }
        }
    }

    /// Whether [`Bpe::ignore_merges`] is set.
    pub fn ignores_merges(&self) -> bool {
        self.ignore_merges
    }

    /// The vocabulary.
    pub fn vocab(&self) -> &Vocab {
        &self.vocab
    }

    /// What pieces are made of.
    pub fn atoms(&self) -> &Atoms {
        &self.atoms
    }

    /// Whether tokens are bytes.
    pub fn is_byte_level(&self) -> bool {
        self.atoms == Atoms::Bytes
    }

    /// The merges in order, as pairs of ids.
    ///
    /// For a model of ranks these are all pairs that can merge, in the order of what they make.
    pub fn merges(&self) -> Vec<(u32, u32)> {
        let mut all: Vec<(u32, u32, u32)> = match &self.merges {
            Merges::Listed(table) => table
                .iter()
                .map(|(key, (rank, _))| (*rank, (key >> 32) as u32, *key as u32))
                .collect(),
            Merges::Ranks(ranks) => {
                let cuts = self.vocab.iter().flat_map(|(token, id)| {
                    (1..token.len()).filter_map(move |at| {
                        let (left, right) = token.split_at(at);
                        Some((
                            ranks[id as usize],
                            self.vocab.get(left)?,
                            self.vocab.get(right)?,
                        ))
                    })
                });
                cuts.collect()
            }
        };
        all.sort_unstable();
        all.into_iter()
            .map(|(_, left, right)| (left, right))
            .collect()
    }

    /// The ids of a piece of bytes, which need not be text: merging without any cutting into words.
    pub fn encode(&self, piece: &[u8]) -> Result<Vec<u32>> {
        if piece.len() >= NONE as usize {
            return Err(Error::value(
                "encode",
                "4 GiB or more at once; cut the text",
            ));
        }
        let mut out = Vec::new();
        self.tokenize(piece, &mut Scratch::default(), &mut out)?;
        Ok(out.iter().map(|token| token.id).collect())
    }

    /// Cuts a piece shorter than 4 GiB and appends its tokens.
    #[inline]
    pub(super) fn tokenize(
        &self,
        piece: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<Token>,
    ) -> Result<()> {
        if let Some(id) = self.vocab.get(piece)
            && self.whole[id as usize]
        {
            out.push(Token {
                id,
                start: 0,
                end: piece.len() as u32,
            });
            return Ok(());
        }
        self.merge_piece(piece, scratch, out)
    }

    fn merge_piece(&self, piece: &[u8], scratch: &mut Scratch, out: &mut Vec<Token>) -> Result<()> {
        scratch.parts.clear();
        match &self.atoms {
            Atoms::Bytes => {
                for (i, byte) in piece.iter().enumerate() {
                    let id = self.vocab.get(&[*byte]).unwrap_or(NONE);
                    scratch.parts.push(Part::new(id, i, i + 1));
                }
            }
            Atoms::Chars(atoms) => self.chars(piece, atoms, &mut scratch.parts)?,
        }
        match &self.merges {
            Merges::Listed(table) => merge(scratch, |left, right| {
                table.get(&key(left.id, right.id)).copied()
            }),
            Merges::Ranks(ranks) => merge(scratch, |left, right| {
                let both = &piece[left.start as usize..right.end as usize];
                let id = self.vocab.get(both)?;
                Some((ranks[id as usize], id))
            }),
        }
        for part in &scratch.parts {
            if part.id == NONE {
                return Err(Error::value(
                    "tokenize",
                    format!(
                        "{} is not in the vocabulary, and there is no token for the unknown",
                        shown(&piece[part.start as usize..part.end as usize])
                    ),
                ));
            }
            out.push(Token {
                id: part.id,
                start: part.start,
                end: part.end,
            });
        }
        Ok(())
    }

    /// A part for each character; for one that is no token its bytes, or the unknown token.
    fn chars(&self, piece: &[u8], atoms: &CharAtoms, parts: &mut Vec<Part>) -> Result<()> {
        let text = std::str::from_utf8(piece)
            .map_err(|e| Error::value("tokenize", format!("not UTF-8: {e}")))?;
        let unknown = atoms.unk_token.as_ref();
        let unknown = unknown.and_then(|token| self.vocab.get(token.as_bytes()));
        for (start, c) in text.char_indices() {
            let end = start + c.len_utf8();
            let bytes = &piece[start..end];
            if let Some(id) = self.vocab.get(bytes) {
                parts.push(Part::new(id, start, end));
                continue;
            }
            if atoms.byte_fallback {
                let ids = bytes
                    .iter()
                    .map(|b| self.vocab.get(format!("<0x{b:02X}>").as_bytes()));
                if let Some(ids) = ids.collect::<Option<Vec<u32>>>() {
                    let each = ids.iter().enumerate();
                    parts.extend(each.map(|(i, id)| Part::new(*id, start + i, start + i + 1)));
                    continue;
                }
            }
            match parts.last_mut() {
                Some(last) if atoms.fuse_unk && unknown == Some(last.id) => last.end = end as u32,
                _ => parts.push(Part::new(unknown.unwrap_or(NONE), start, end)),
            }
        }
        Ok(())
    }
}

fn key(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(tokens: &[&str]) -> Vec<(Vec<u8>, u32)> {
        let single = (0..=255u8).map(|b| vec![b]);
        let more = tokens.iter().map(|t| t.as_bytes().to_vec());
        single.chain(more).zip(0..).collect()
    }

    #[test]
    fn ranks_merge_whatever_is_a_token() {
        let vocab = Vocab::new(bytes(&["ab", "bc", "abc"])).unwrap();
        let bpe = Bpe::from_ranks(vocab).unwrap();
        assert_eq!(bpe.encode(b"abc").unwrap(), [258]);
        assert_eq!(bpe.encode(b"xabcd").unwrap(), [120, 258, 100]);
        assert_eq!(bpe.encode(&[0xFF, b'b', b'c']).unwrap(), [255, 257]);
        let merges = [(97, 98), (98, 99), (97, 257), (256, 99)];
        assert_eq!(bpe.merges(), merges);
        let missing = Bpe::from_ranks(Vocab::new([("a", 0)]).unwrap()).unwrap_err();
        assert!(missing.to_string().contains("0x00"), "{missing}");
    }

    #[test]
    fn a_token_no_merge_makes_is_not_found_whole() {
        let vocab = Vocab::new(bytes(&["ab", "abc"])).unwrap();
        let mut bpe = Bpe::new(vocab, [("a", "b")], Atoms::Bytes).unwrap();
        assert_eq!(bpe.encode(b"abc").unwrap(), [256, 99]);
        bpe.ignore_merges(true);
        assert_eq!(bpe.encode(b"abc").unwrap(), [257]);
    }

    #[test]
    fn wrong_merges_are_refused() {
        let vocab = || Vocab::new(bytes(&["ab"])).unwrap();
        for (merges, why) in [
            (&[("a", "b"), ("a", "b")][..], "comes twice"),
            (&[("a", "c")], "\"ac\", which the vocabulary has not"),
            (&[("abc", "d")], "merge 1"),
            (&[("", "a")], "empty side"),
        ] {
            let error = Bpe::new(vocab(), merges.iter().copied(), Atoms::Bytes).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn characters_fall_back() {
        let tokens = ["<unk>", "a", "<0xC3>", "<0xA9>"];
        let vocab = || Vocab::new(tokens.into_iter().zip(0..)).unwrap();
        let atoms = CharAtoms {
            unk_token: Some("<unk>".into()),
            fuse_unk: true,
            byte_fallback: true,
        };
        let none = std::iter::empty::<(&str, &str)>;
        let bpe = Bpe::new(vocab(), none(), Atoms::Chars(atoms)).unwrap();
        assert_eq!(bpe.encode("aé漢字a".as_bytes()).unwrap(), [1, 2, 3, 0, 1]);
        let strict = Bpe::new(vocab(), none(), Atoms::Chars(CharAtoms::default())).unwrap();
        assert!(strict.encode("漢".as_bytes()).is_err());
    }
}
