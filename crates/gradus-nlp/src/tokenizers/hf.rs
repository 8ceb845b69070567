//! Hugging Face's `tokenizer.json`, read and written.

use std::fmt;

use gradus_tensor::{Error, Result};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};

use super::added::AddedToken;
use super::bpe::{Atoms, Bpe, CharAtoms};
use super::byte_chars;
use super::decoder::Decoder;
use super::encoding::{Padding, Truncation};
use super::json::flatten;
use super::model::Model;
use super::normalizer::Normalizer;
use super::post_processor::PostProcessor;
use super::pre_tokenizer::PreTokenizer;
use super::tokenizer::Tokenizer;
use super::unigram::Unigram;
use super::vocab::Vocab;
use super::wordpiece::{WordPiece, WordPieceOptions};

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    truncation: Value,
    #[serde(default)]
    padding: Value,
    #[serde(default)]
    added_tokens: Vec<Value>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    #[serde(default)]
    decoder: Value,
    model: ModelFile,
}

#[derive(Deserialize)]
struct ModelFile {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: Entries,
    merges: Option<Vec<Merge>>,
    unk_token: Option<String>,
    unk_id: Option<u32>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    max_input_chars_per_word: Option<u32>,
    dropout: Option<f64>,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
}

/// A vocabulary: `{"token": id}`, or `[["token", score]]` by id. A list, so that tokens that come twice are seen.
pub enum Entries {
    Ids(Vec<(String, u32)>),
    Scores(Vec<(String, f64)>),
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Entries;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a vocabulary, {\"token\": id} or [[\"token\", score]]")
            }
            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries::Ids(entries))
            }
            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> std::result::Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = seq.next_element()? {
                    entries.push(entry);
                }
                Ok(Entries::Scores(entries))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// A merge, written `"a b"` or `["a", "b"]`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Line(String),
    Pair(String, String),
}

impl Merge {
    fn sides(&self) -> Result<(&str, &str)> {
        match self {
            Merge::Pair(left, right) => Ok((left, right)),
            Merge::Line(line) => match line.split_once(' ') {
                Some((left, right)) if !right.contains(' ') => Ok((left, right)),
                _ => Err(wrong(format!(
                    "the merge {line:?} is not two tokens with a space between"
                ))),
            },
        }
    }
}

fn wrong(message: String) -> Error {
    Error::format("tokenizer.json", message)
}

impl Tokenizer {
    /// A tokenizer from the text of a `tokenizer.json`.
    ///
    /// Errors when it is none, contradicts itself, or has a component this library does not know; the error names it.
    pub fn from_json(text: &str) -> Result<Self> {
        let file: File = serde_json::from_str(text)
            .map_err(|e| Error::format("tokenizer.json", "not a tokenizer").with_source(e))?;
        let mut parts = Vec::new();
        flatten(&file.normalizer, "normalizer", "normalizers", &mut parts)?;
        let normalizers = parts
            .drain(..)
            .map(Normalizer::from_json)
            .collect::<Result<_>>()?;
        flatten(
            &file.pre_tokenizer,
            "pre_tokenizer",
            "pretokenizers",
            &mut parts,
        )?;
        let pre_tokenizers: Vec<_> = parts
            .drain(..)
            .map(PreTokenizer::from_json)
            .collect::<Result<_>>()?;
        flatten(&file.decoder, "decoder", "decoders", &mut parts)?;
        let decoders: Vec<_> = parts
            .drain(..)
            .map(Decoder::from_json)
            .collect::<Result<_>>()?;
        flatten(
            &file.post_processor,
            "post_processor",
            "processors",
            &mut parts,
        )?;
        let post_processor = PostProcessor::from_json(&parts)?;
        let level = |step: &PreTokenizer| matches!(step, PreTokenizer::ByteLevel { .. });
        let byte_level = pre_tokenizers.iter().any(level) || decoders.contains(&Decoder::ByteLevel);
        let model = file.model.read(byte_level)?;
        let added = file.added_tokens.iter().map(AddedToken::from_json);
        let mut tokenizer = Tokenizer::new(model)
            .with_normalizers(normalizers)
            .with_pre_tokenizers(pre_tokenizers)
            .with_post_processor(post_processor)
            .with_decoders(decoders)
            .with_added_tokens(added.collect::<Result<_>>()?)?;
        tokenizer.set_truncation(Truncation::from_json(&file.truncation)?);
        tokenizer.set_padding(Padding::from_json(&file.padding)?);
        Ok(tokenizer)
    }

    /// The text of a `tokenizer.json`.
    pub fn to_json(&self) -> String {
        let list = |kind: &str, mut parts: Vec<Value>| match parts.len() {
            0 => Value::Null,
            1 => parts.swap_remove(0),
            _ => json!({"type": "Sequence", kind: parts}),
        };
        let mut pre_tokenizers: Vec<_> = self
            .pre_tokenizers
            .iter()
            .map(PreTokenizer::to_json)
            .collect();
        let level = |step: &PreTokenizer| matches!(step, PreTokenizer::ByteLevel { .. });
        if self.model.is_byte_level() && !self.pre_tokenizers.iter().any(level) {
            let bytes = PreTokenizer::ByteLevel {
                add_prefix_space: false,
                use_regex: false,
            };
            pre_tokenizers.push(bytes.to_json());
        }
        let normalizers = self.normalizers.iter().map(Normalizer::to_json).collect();
        let decoders = self.decoders.iter().map(Decoder::to_json).collect();
        let added: Vec<_> = self.added.iter().map(AddedToken::to_json).collect();
        let plain = self.post_processor == PostProcessor::plain();
        let value = json!({
            "version": "1.0",
            "truncation": self.truncation().map(Truncation::to_json),
            "padding": self.padding().map(Padding::to_json),
            "added_tokens": added,
            "normalizer": list("normalizers", normalizers),
            "pre_tokenizer": list("pretokenizers", pre_tokenizers),
            "post_processor": if plain { Value::Null } else { self.post_processor.to_json() },
            "decoder": list("decoders", decoders),
            "model": write(&self.model),
        });
        format!("{value:#}\n")
    }
}

impl ModelFile {
    fn read(self, byte_level: bool) -> Result<Model> {
        let guessed = match (&self.merges, &self.vocab) {
            (Some(_), _) => "BPE",
            (None, Entries::Scores(_)) => "Unigram",
            (None, Entries::Ids(_)) => "WordPiece",
        };
        let kind = self.kind.as_deref().unwrap_or(guessed);
        if byte_level && kind != "BPE" {
            return Err(Error::unsupported(
                "tokenizer.json",
                format!("model {kind} at the byte level is not supported; BPE is"),
            ));
        }
        match (kind, &self.vocab) {
            ("WordPiece", Entries::Ids(vocab)) => {
                let default = WordPieceOptions::default();
                let prefix = self.continuing_subword_prefix;
                let limit = self.max_input_chars_per_word;
                let options = WordPieceOptions {
                    continuing_subword_prefix: prefix.unwrap_or(default.continuing_subword_prefix),
                    unk_token: self.unk_token.unwrap_or(default.unk_token),
                    max_input_chars_per_word: limit.unwrap_or(default.max_input_chars_per_word),
                };
                let vocab = Vocab::new(vocab.iter().map(|(t, id)| (t, *id)))?;
                Ok(Model::WordPiece(WordPiece::new(vocab, options)?))
            }
            ("Unigram", Entries::Scores(entries)) => {
                let vocab = Vocab::new(entries.iter().zip(0..).map(|((t, _), id)| (t, id)))?;
                let scores = entries.iter().map(|(_, score)| *score).collect();
                let model = Unigram::new(vocab, scores, self.unk_id, self.byte_fallback)?;
                Ok(Model::Unigram(model))
            }
            ("BPE", Entries::Ids(_)) => self.bpe(byte_level),
            ("WordPiece" | "Unigram" | "BPE", _) => {
                Err(wrong(format!("the vocabulary is not one of a {kind}")))
            }
            _ => Err(Error::unsupported(
                "tokenizer.json",
                format!("model {kind:?} is not supported; there are WordPiece, BPE and Unigram"),
            )),
        }
    }

    fn bpe(self, byte_level: bool) -> Result<Model> {
        let affixes = [
            ("continuing_subword_prefix", &self.continuing_subword_prefix),
            ("end_of_word_suffix", &self.end_of_word_suffix),
        ];
        let set = affixes
            .iter()
            .find(|(_, affix)| affix.as_ref().is_some_and(|a| !a.is_empty()));
        let unsupported = match set {
            Some((name, _)) => Some(*name),
            None if self.dropout.is_some_and(|p| p > 0.0) => Some("dropout"),
            None => None,
        };
        if let Some(name) = unsupported {
            return Err(Error::unsupported(
                "tokenizer.json",
                format!("model BPE with {name:?} is not supported"),
            ));
        }
        let Entries::Ids(entries) = &self.vocab else {
            return Err(wrong("the vocabulary is not one of a BPE".into()));
        };
        let merges = self.merges.unwrap_or_default();
        let merges = merges
            .iter()
            .map(Merge::sides)
            .collect::<Result<Vec<_>>>()?;
        let mut model = if byte_level {
            byte_level_bpe(entries, merges)?
        } else {
            let atoms = CharAtoms {
                unk_token: self.unk_token,
                fuse_unk: self.fuse_unk,
                byte_fallback: self.byte_fallback,
            };
            let vocab = Vocab::new(entries.iter().map(|(t, id)| (t, *id)))?;
            Bpe::new(vocab, merges, Atoms::Chars(atoms))?
        };
        if self.ignore_merges {
            model.ignore_merges(true);
        }
        Ok(Model::Bpe(model))
    }
}

/// A byte-level model from tokens and merges written in GPT-2's letters.
pub fn byte_level_bpe(entries: &[(String, u32)], merges: Vec<(&str, &str)>) -> Result<Bpe> {
    let vocab = Vocab::new(entries.iter().map(|(t, id)| (byte_chars::to_bytes(t), *id)))?;
    let bytes = byte_chars::to_bytes;
    Bpe::new(
        vocab,
        merges
            .iter()
            .map(|(left, right)| (bytes(left), bytes(right))),
        Atoms::Bytes,
    )
}

fn write(model: &Model) -> Value {
    let vocab = || {
        let entries = model.vocab().iter();
        let entries = entries.map(|(t, id)| (model.written(t).into_owned(), Value::from(id)));
        Value::Object(entries.collect())
    };
    match model {
        Model::WordPiece(m) => json!({
            "type": "WordPiece",
            "unk_token": m.options().unk_token,
            "continuing_subword_prefix": m.options().continuing_subword_prefix,
            "max_input_chars_per_word": m.options().max_input_chars_per_word,
            "vocab": vocab(),
        }),
        Model::Unigram(m) => {
            let scores = m.vocab().iter().zip(m.scores());
            let scores: Vec<_> = scores
                .map(|((t, _), score)| json!([model.written(t), score]))
                .collect();
            json!({
                "type": "Unigram",
                "unk_id": m.unknown(),
                "byte_fallback": m.byte_fallback(),
                "vocab": scores,
            })
        }
        Model::Bpe(m) => {
            let chars = match m.atoms() {
                Atoms::Bytes => CharAtoms::default(),
                Atoms::Chars(atoms) => atoms.clone(),
            };
            let token = |id| model.written(m.vocab().token(id).unwrap_or_default());
            let merges = m.merges().into_iter();
            let merges: Vec<_> = merges.map(|(l, r)| json!([token(l), token(r)])).collect();
            json!({
                "type": "BPE",
                "dropout": null,
                "unk_token": chars.unk_token,
                "continuing_subword_prefix": null,
                "end_of_word_suffix": null,
                "fuse_unk": chars.fuse_unk,
                "byte_fallback": chars.byte_fallback,
                "ignore_merges": m.ignores_merges(),
                "vocab": vocab(),
                "merges": merges,
            })
        }
    }
}
