//! The whole way from text to ids and back: added tokens, normalisers, pre-tokenisers, model, post-processor, decoders.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use gradus_tensor::{Error, Result};
use rayon::prelude::*;

use super::added::{AddedToken, Finder, Segment};
use super::decoder::{Decoder, decode};
use super::encoding::{Encoding, Padding, Truncation};
use super::merge::Scratch;
use super::model::{Model, Token};
use super::normalized::Normalized;
use super::normalizer::Normalizer;
use super::post_processor::PostProcessor;
use super::pre_tokenizer::{PreTokenizer, cut};
use super::stream::DecodeStream;
use super::vocab::LONGEST;

/// A tokenizer: text to ids and back.
///
/// Made by [`Tokenizer::from_file`] and its kin, or put together from parts:
///
/// ```
/// use gradus_nlp::tokenizers::*;
/// let words = ["[UNK]", "[CLS]", "[SEP]", "a", "gra", "##dus"];
/// let model = WordPiece::new(Vocab::new(words.into_iter().zip(0..))?, WordPieceOptions::default())?;
/// let tokenizer = Tokenizer::new(Model::WordPiece(model))
///     .with_normalizers(vec![Normalizer::Bert(BertNormalizer::default())])
///     .with_pre_tokenizers(vec![PreTokenizer::Bert])
///     .with_post_processor(PostProcessor::bert(("[CLS]", 1), ("[SEP]", 2)))
///     .with_decoders(vec![Decoder::WordPiece { prefix: "##".into(), cleanup: true }]);
/// let encoding = tokenizer.encode("A Gradus?")?;
/// assert_eq!(encoding.ids, [1, 3, 4, 5, 0, 2]);
/// assert_eq!(encoding.offsets, [(0, 0), (0, 1), (2, 5), (5, 8), (8, 9), (0, 0)]);
/// assert_eq!(tokenizer.decode(&[3, 4, 5], true)?, "a gradus");
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tokenizer {
    pub(super) normalizers: Vec<Normalizer>,
    pub(super) pre_tokenizers: Vec<PreTokenizer>,
    pub(super) model: Model,
    pub(super) post_processor: PostProcessor,
    pub(super) decoders: Vec<Decoder>,
    pub(super) added: Vec<AddedToken>,
    by_id: HashMap<u32, usize, RandomState>, // places in `added`
    raw: Finder,                             // added tokens looked for in the text as it is
    normalized: Finder,                      // those looked for in the normalised text
    truncation: Option<Truncation>,
    padding: Option<Padding>,
}

/// How to encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Put the model's special tokens around the text.
    pub add_special_tokens: bool,
    /// Take the text of a special token for the token; no for text that nobody vouches for.
    pub parse_special_tokens: bool,
}

impl Default for EncodeOptions {
    /// Both.
    fn default() -> Self {
        Self {
            add_special_tokens: true,
            parse_special_tokens: true,
        }
    }
}

impl EncodeOptions {
    /// Neither: nothing but the text (`encode_ordinary` of tiktoken).
    pub fn ordinary() -> Self {
        Self {
            add_special_tokens: false,
            parse_special_tokens: false,
        }
    }
}

impl Tokenizer {
    /// A tokenizer of a model alone.
    pub fn new(model: Model) -> Self {
        Self {
            normalizers: Vec::new(),
            pre_tokenizers: Vec::new(),
            model,
            post_processor: PostProcessor::plain(),
            decoders: Vec::new(),
            added: Vec::new(),
            by_id: HashMap::default(),
            raw: Finder::default(),
            normalized: Finder::default(),
            truncation: None,
            padding: None,
        }
    }

    /// Sets what is done to text first.
    pub fn with_normalizers(mut self, normalizers: Vec<Normalizer>) -> Self {
        self.normalizers = normalizers;
        self.index();
        self
    }

    /// Sets how text is cut into words.
    pub fn with_pre_tokenizers(mut self, pre_tokenizers: Vec<PreTokenizer>) -> Self {
        self.pre_tokenizers = pre_tokenizers;
        self
    }

    /// Sets what stands around texts.
    pub fn with_post_processor(mut self, post_processor: PostProcessor) -> Self {
        self.post_processor = post_processor;
        self
    }

    /// Sets how tokens become text.
    pub fn with_decoders(mut self, decoders: Vec<Decoder>) -> Self {
        self.decoders = decoders;
        self
    }

    /// Sets the tokens beside those of the model.
    ///
    /// Errors when one is empty or has more than 1,024 bytes, comes twice, or contradicts the vocabulary.
    pub fn with_added_tokens(mut self, added: Vec<AddedToken>) -> Result<Self> {
        let mut contents = HashMap::new();
        self.by_id.clear();
        for (i, token) in added.iter().enumerate() {
            let wrong = |why: String| {
                let message = format!(
                    "the added token {:?} with id {} {why}",
                    token.content, token.id
                );
                Err(Error::format("tokenizer", message))
            };
            let vocab = self.model.vocab();
            let bytes = self.model.unwritten(&token.content);
            let there = vocab
                .get(&bytes)
                .or_else(|| vocab.get(token.content.as_bytes()));
            if token.content.is_empty() {
                return wrong("is empty".into());
            }
            if token.content.len() > LONGEST {
                return wrong(format!("has more than {LONGEST} bytes"));
            }
            if let Some(id) = there.filter(|id| *id != token.id) {
                return wrong(format!("has id {id} in the vocabulary"));
            }
            if there.is_none() && vocab.token(token.id).is_some() {
                return wrong("has the id of another token of the vocabulary".into());
            }
            if contents.insert(&token.content, i).is_some()
                || self.by_id.insert(token.id, i).is_some()
            {
                return wrong("comes twice".into());
            }
        }
        self.added = added;
        self.index();
        Ok(self)
    }

    /// Prepares looking for added tokens.
    fn index(&mut self) {
        let spelled = |token: &AddedToken| {
            let mut n = Normalized::new(&token.content, 0);
            self.normalizers.iter().for_each(|step| step.apply(&mut n));
            n.text().to_owned()
        };
        let raw = self.added.iter().filter(|t| !t.normalized);
        let raw = Finder::new(raw.map(|t| (t, t.content.clone())));
        let normalized = self.added.iter().filter(|t| t.normalized);
        self.normalized = Finder::new(normalized.map(|t| (t, spelled(t))));
        self.raw = raw;
    }

    /// Sets or lifts the limit on lengths.
    pub fn set_truncation(&mut self, truncation: Option<Truncation>) {
        self.truncation = truncation;
    }

    /// The limit on lengths.
    pub fn truncation(&self) -> Option<Truncation> {
        self.truncation
    }

    /// Sets or ends the filling of shorter encodings.
    pub fn set_padding(&mut self, padding: Option<Padding>) {
        self.padding = padding;
    }

    /// How shorter encodings are filled.
    pub fn padding(&self) -> Option<&Padding> {
        self.padding.as_ref()
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The tokens beside those of the model.
    pub fn added_tokens(&self) -> &[AddedToken] {
        &self.added
    }

    /// How many tokens there are, those of the model and those beside them: one more than the largest id.
    pub fn vocab_size(&self) -> usize {
        let added = self.added.iter().map(|t| t.id as usize + 1).max();
        self.model.vocab().id_end().max(added.unwrap_or(0))
    }

    /// The token of an id, as vocabulary files write it (`Ġthe`, `##ing`).
    pub fn token(&self, id: u32) -> Option<String> {
        if let Some(i) = self.by_id.get(&id) {
            return Some(self.added[*i].content.clone());
        }
        let token = self.model.vocab().token(id)?;
        Some(self.model.written(token).into_owned())
    }

    /// The id of a token, as vocabulary files write it.
    pub fn id(&self, token: &str) -> Option<u32> {
        let added = self.added.iter().find(|t| t.content == token);
        let in_model = || self.model.vocab().get(&self.model.unwritten(token));
        added.map(|t| t.id).or_else(in_model)
    }

    /// The tokens of an encoding, as vocabulary files write them.
    pub fn tokens(&self, encoding: &Encoding) -> Vec<String> {
        let token = |id: &u32| self.token(*id).unwrap_or_default();
        encoding.ids.iter().map(token).collect()
    }

    /// Encodes a text, with the special tokens of the model around it.
    ///
    /// Errors when a word cannot be written with the vocabulary, or the text has 4 GiB.
    pub fn encode(&self, text: &str) -> Result<Encoding> {
        self.encode_with(text, None, EncodeOptions::default())
    }

    /// Encodes a pair of texts as one.
    pub fn encode_pair(&self, first: &str, second: &str) -> Result<Encoding> {
        self.encode_with(first, Some(second), EncodeOptions::default())
    }

    /// Encodes one or two texts as the options say.
    pub fn encode_with(
        &self,
        first: &str,
        second: Option<&str>,
        options: EncodeOptions,
    ) -> Result<Encoding> {
        let encoding = self.unpadded(first, second, options)?;
        Ok(self.padded(vec![encoding]).swap_remove(0))
    }

    /// Encodes texts, on all cores; filled to one length if a [`Padding`] is set.
    pub fn encode_batch<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Result<Vec<Encoding>> {
        let options = EncodeOptions::default();
        let each = texts
            .par_iter()
            .map(|text| self.unpadded(text.as_ref(), None, options));
        Ok(self.padded(each.collect::<Result<_>>()?))
    }

    /// Encodes pairs of texts, on all cores; filled to one length if a [`Padding`] is set.
    pub fn encode_pairs<S: AsRef<str> + Sync>(&self, pairs: &[(S, S)]) -> Result<Vec<Encoding>> {
        let options = EncodeOptions::default();
        let each = pairs
            .par_iter()
            .map(|(first, second)| self.unpadded(first.as_ref(), Some(second.as_ref()), options));
        Ok(self.padded(each.collect::<Result<_>>()?))
    }

    /// The ids of a text alone: nothing put in, nothing cut off. The fastest way.
    pub fn encode_ids(&self, text: &str, options: EncodeOptions) -> Result<Vec<u32>> {
        if options.add_special_tokens {
            return Ok(self.unpadded(text, None, options)?.ids);
        }
        let mut ids = Vec::with_capacity(text.len() / 4);
        self.walk(text, options.parse_special_tokens, &mut |id, _, _| {
            ids.push(id);
        })?;
        Ok(ids)
    }

    fn padded(&self, mut encodings: Vec<Encoding>) -> Vec<Encoding> {
        if let Some(padding) = &self.padding {
            padding.apply(&mut encodings);
        }
        encodings
    }

    fn unpadded(
        &self,
        first: &str,
        second: Option<&str>,
        options: EncodeOptions,
    ) -> Result<Encoding> {
        let one = |text: &str| -> Result<Encoding> {
            let mut encoding = Encoding::default();
            let special = options.parse_special_tokens;
            self.walk(text, special, &mut |id, n, range| {
                encoding.push(id, n.origin(range.0, range.1), 0, false);
            })?;
            if let Some(prefix) = self.post_processor.trim_offsets {
                self.trim(&mut encoding, prefix);
            }
            Ok(encoding)
        };
        let mut first = one(first)?;
        let mut second = second.map(one).transpose()?;
        if let Some(truncation) = &self.truncation {
            let added = match options.add_special_tokens {
                true => self.post_processor.added(second.is_some()),
                false => 0,
            };
            truncation.apply(&mut first, second.as_mut(), added)?;
        }
        Ok(self
            .post_processor
            .apply(first, second, options.add_special_tokens))
    }

    /// Hands out the tokens of a text in order: id, and where it lies in which (part of the normalised) text.
    fn walk(
        &self,
        text: &str,
        special: bool,
        push: &mut impl FnMut(u32, &Normalized, (usize, usize)),
    ) -> Result<()> {
        if text.len() >= u32::MAX as usize / 4 {
            return Err(Error::value("tokenize", "a text of 1 GiB or more; cut it"));
        }
        let mut scratch = Scratch::default();
        let mut tokens: Vec<Token> = Vec::new();
        for segment in self.raw.segments(text, special) {
            let (start, end) = match segment {
                Segment::Text(start, end) => (start, end),
                Segment::Token(id, start, end) => {
                    push(id, &Normalized::new(text, 0), (start, end));
                    continue;
                }
            };
            let mut n = Normalized::new(&text[start..end], start);
            self.normalizers.iter().for_each(|step| step.apply(&mut n));
            for segment in self.normalized.segments(n.text(), special) {
                match segment {
                    Segment::Token(id, start, end) => push(id, &n, (start, end)),
                    Segment::Text(start, end) => {
                        cut(&self.pre_tokenizers, &n, start..end, &mut |n, range| {
                            let piece = &n.text()[range.clone()];
                            self.model.tokenize(piece, &mut scratch, &mut tokens)?;
                            for token in tokens.drain(..) {
                                let start = range.start + token.start as usize;
                                push(token.id, n, (start, range.start + token.end as usize));
                            }
                            Ok(())
                        })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the spaces that tokens begin and end with out of their offsets; `prefix`: a space was put in front of the text.
    fn trim(&self, encoding: &mut Encoding, prefix: bool) {
        let ids = encoding.ids.iter().enumerate();
        for ((i, id), (start, end)) in ids.zip(&mut encoding.offsets) {
            let Some(token) = self.model.vocab().token(*id) else {
                continue;
            };
            let spaces = |space: &&u8| **space == b' ';
            let mut leading = token.iter().take_while(spaces).count();
            let mut trailing = token.iter().rev().take_while(spaces).count();
            if prefix && leading == 1 && (i == 0 || *start == 0) {
                if token.len() == 1 {
                    trailing = *end - *start; // the prefix alone
                }
                leading = 0;
            }
            *start = (*start + leading).min(*end);
            *end = end.saturating_sub(trailing).max(*start);
        }
    }

    /// Decodes ids; `skip_special_tokens`: without special ones. Bytes that are no UTF-8 become U+FFFD.
    ///
    /// Errors when an id is not in the vocabulary.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String> {
        let bytes = self.decode_bytes(ids, skip_special_tokens)?;
        Ok(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        })
    }

    /// Decodes ids to bytes, which are UTF-8 if the ids were made from a whole text.
    pub fn decode_bytes(&self, ids: &[u32], skip_special_tokens: bool) -> Result<Vec<u8>> {
        let mut tokens = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(token) = self.token_bytes(*id, skip_special_tokens)? {
                tokens.push(token.to_vec());
            }
        }
        Ok(decode(&self.decoders, tokens))
    }

    /// The bytes of a token; `None` for a special one that is to be skipped.
    pub(super) fn token_bytes(&self, id: u32, skip_special: bool) -> Result<Option<&[u8]>> {
        if let Some(i) = self.by_id.get(&id) {
            let token = &self.added[*i];
            return Ok((!(skip_special && token.special)).then_some(token.content.as_bytes()));
        }
        self.model.vocab().token(id).map(Some).ok_or_else(|| {
            let size = self.vocab_size();
            Error::index(
                "decode",
                format!("id {id} is not in the vocabulary of {size} tokens"),
            )
        })
    }

    /// Decodes ids as they come, one after the other.
    pub fn decode_stream(&self, skip_special_tokens: bool) -> DecodeStream<'_> {
        DecodeStream::new(self, skip_special_tokens)
    }
}
