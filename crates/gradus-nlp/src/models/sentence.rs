//! [`SentenceEncoder`]: sentences as vectors, near where meanings are near (Reimers and Gurevych 2019, arXiv:1908.10084). An encoder, the
//! mean of its states, length 1. What a folder of sentence-transformers says about pooling and lengths is followed.

use std::path::Path;

use gradus_autograd::{Var, no_grad};
use gradus_nn::Module;
use gradus_tensor::{Result, Tensor};
use serde_json::Value;

use super::encoder::{Loaded, TextEncoder};
use super::input::TextInput;
use crate::tokenizers::{Tokenizer, Truncation};

/// How the states of a text's tokens become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The encoder's own pooler.
    Pooler,
    /// The first token's.
    First,
    /// Their mean.
    Mean,
    /// The largest of each column.
    Max,
}

impl Pooling {
    /// States (B, T, C) to (B, C); padding does not count.
    ///
    /// # Errors
    /// When shapes differ, or the encoder has no pooler.
    pub fn forward(self, encoder: &TextEncoder, states: &Var, input: &TextInput) -> Result<Var> {
        let mask = match &input.attention_mask {
            Some(mask) => Some(mask.to_dtype(states.dtype())?.unsqueeze(-1)?), // (B, T, 1)
            None => None,
        };
        match (self, mask) {
            (Self::Pooler, _) => encoder.pooled(states),
            (Self::First, _) => states.select(1, 0),
            (Self::Mean, None) => states.mean(1, false),
            (Self::Max, None) => states.amax(1, false),
            (Self::Mean, Some(mask)) => {
                let sum = states.mul(&Var::from(mask.clone()))?.sum(1, false)?; // (B, C)
                let count = mask.sum(1, false)?.clamp(Some(1e-9), None)?; // (B, 1)
                sum.div(&Var::from(count))
            }
            (Self::Max, Some(mask)) => {
                let hidden = mask.eq_scalar(0)?;
                states.masked_fill(&hidden, -1e9)?.amax(1, false)
            }
        }
    }
}

/// Sentences as vectors.
#[derive(Clone, Debug, Module)]
pub struct SentenceEncoder {
    /// The encoder.
    #[module(flatten)]
    pub encoder: TextEncoder,
    #[module(skip)]
    tokenizer: Tokenizer,
    #[module(skip)]
    pooling: Pooling,
    #[module(skip)]
    padding: u32,
    #[module(skip)]
    note: Option<String>,
}

impl SentenceEncoder {
    /// The encoder and tokenizer in a folder, in evaluation mode. Of sentence-transformers' files, `sentence_bert_config.json` limits
    /// lengths and `1_Pooling/config.json` says how states are pooled; without them it is the mean of at most as many tokens as fit.
    ///
    /// # Errors
    /// When a file is missing or damaged, or tokenizer and weights do not fit together.
    pub fn from_pretrained(folder: impl AsRef<Path>) -> Result<Self> {
        Self::with_heads(folder, None)
    }

    /// The same with a number of heads, for folders whose configuration does not say it.
    ///
    /// # Errors
    /// As [`from_pretrained`](Self::from_pretrained).
    pub fn with_heads(folder: impl AsRef<Path>, heads: Option<usize>) -> Result<Self> {
        let folder = folder.as_ref();
        let Loaded {
            mut encoder,
            padding,
            note,
            ..
        } = TextEncoder::from_pretrained(folder, heads)?;
        encoder.eval();
        let mut tokenizer = Tokenizer::from_file(folder)?;
        encoder.fits(&tokenizer)?;
        let json = |name: &str| -> Value {
            let text = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            serde_json::from_str(&text).unwrap_or_default()
        };
        let limit = json("sentence_bert_config.json")["max_seq_length"].as_u64();
        let longest = limit.map_or(encoder.longest(), |n| encoder.longest().min(n as usize));
        tokenizer.set_truncation(Some(Truncation::new(longest)));
        tokenizer.set_padding(None);
        let pooling = [json("1_Pooling/config.json"), json("config.json")]
            .iter()
            .find_map(|config| {
                let says = |name: &str| config[name].as_bool() == Some(true);
                if says("pooling_mode_mean_tokens") {
                    Some(Pooling::Mean)
                } else if says("pooling_mode_cls_token") {
                    Some(Pooling::First)
                } else if says("pooling_mode_max_tokens") {
                    Some(Pooling::Max)
                } else {
                    None
                }
            });
        Ok(Self {
            encoder,
            tokenizer,
            pooling: pooling.unwrap_or(Pooling::Mean),
            padding,
            note,
        })
    }

    /// Something about the configuration the user should know.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The last layer's states (B, T, C) for sentences, the shorter ones filled up.
    ///
    /// # Errors
    /// When a sentence cannot be written with the vocabulary.
    pub fn states<S: AsRef<str> + Sync>(&self, sentences: &[S]) -> Result<Var> {
        let encodings = self.tokenizer.encode_batch(sentences)?;
        let encodings: Vec<_> = encodings.iter().collect();
        let input = TextInput::from_encodings(&encodings, self.padding)?;
        self.encoder.forward(&input.to_device(&self.device())?)
    }

    /// The vectors (N, C) of sentences, each of length 1, computed `batch` at a time, those of like length together.
    ///
    /// # Errors
    /// When a sentence cannot be written with the vocabulary, or there is none.
    pub fn embed<S: AsRef<str> + Sync>(&self, sentences: &[S], batch: usize) -> Result<Tensor> {
        let encodings = self.tokenizer.encode_batch(sentences)?;
        let mut order: Vec<usize> = (0..encodings.len()).collect();
        order.sort_by_key(|&i| encodings[i].len());
        let mut rows = vec![None; encodings.len()];
        for part in order.chunks(batch.max(1)) {
            let texts: Vec<_> = part.iter().map(|&i| &encodings[i]).collect();
            let input = TextInput::from_encodings(&texts, self.padding)?;
            let input = input.to_device(&self.device())?;
            let vectors = no_grad(|| {
                let states = self.encoder.forward(&input)?; // (B, T, C)
                let pooled = self.pooling.forward(&self.encoder, &states, &input)?; // (B, C)
                let length = pooled.square()?.sum(1, true)?.sqrt()?.clamp_min(1e-12)?; // (B, 1)
                pooled.div(&length)
            })?;
            for (row, &i) in part.iter().enumerate() {
                rows[i] = Some(vectors.value().select(0, row as i64)?);
            }
        }
        let rows: Vec<&Tensor> = rows.iter().flatten().collect();
        Tensor::stack(&rows, 0)
    }
}
