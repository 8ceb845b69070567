//! T5's models: the encoder alone (`T5EncoderModel`), encoder and decoder (`T5Model`), and both with logits
//! (`T5ForConditionalGeneration`). The layers are in `t5.rs`.

use gradus_autograd::Var;
use gradus_nn::{Embedding, Layer, Linear, Module, Tied};
use gradus_tensor::{Result, ResultExt};

use super::input::TextInput;
use super::pretrained::Pretrained;
use super::t5::{Stack, T5Config};

/// Embeds tokens and runs the encoder.
fn encode(table: &Embedding, encoder: &Stack, input: &TextInput) -> Result<Var> {
    input.sizes()?;
    let x = table.forward(&input.input_ids).in_layer("shared")?; // (B, T, C)
    let mask = input.attention_mask.as_ref();
    encoder.forward(&x, mask, None).in_layer("encoder")
}

/// Embeds tokens and runs the decoder over the encoder's states.
fn decode(
    table: &Embedding,
    decoder: &Stack,
    target: &TextInput,
    states: &Var,
    source: &TextInput,
) -> Result<Var> {
    target.sizes()?;
    let x = table.forward(&target.input_ids).in_layer("shared")?; // (B, T, C)
    let (own, other) = (
        target.attention_mask.as_ref(),
        source.attention_mask.as_ref(),
    );
    let y = decoder.forward(&x, own, Some((states, other)));
    y.in_layer("decoder")
}

/// T5's encoder: texts to states.
///
/// ```
/// use gradus_nlp::models::{Pretrained, T5Config, T5EncoderModel};
/// use gradus_tensor::Tensor;
/// let tiny = T5Config { vocab_size: 100, d_model: 32, d_kv: 8, d_ff: 64, num_layers: 2, num_heads: 4, ..T5Config::default() };
/// let model = T5EncoderModel::new(&tiny)?;
/// let ids = Tensor::from_slice(&[45_i64, 7, 1], [1, 3])?;
/// assert_eq!(model.forward(&ids.into())?.dims(), [1, 3, 32]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct T5EncoderModel {
    shared: Embedding,
    encoder: Stack,
    #[module(flatten)]
    encoder_table: Tied,
}

impl T5EncoderModel {
    /// The last layer's states (B, T, C).
    ///
    /// # Errors
    /// When an id is not in the vocabulary or shapes differ.
    pub fn forward(&self, input: &TextInput) -> Result<Var> {
        encode(&self.shared, &self.encoder, input)
    }
}

impl Pretrained for T5EncoderModel {
    type Config = T5Config;
    const BASE: &'static str = "transformer";

    fn build(config: &T5Config) -> Result<Self> {
        Ok(Self {
            shared: Embedding::new(config.vocab_size, config.d_model)?,
            encoder: Stack::new(config, false)?,
            encoder_table: Tied::new("encoder.embed_tokens.weight", "shared.weight"),
        })
    }

    fn ignores(name: &str) -> bool {
        name.starts_with("decoder.") || name == "lm_head.weight"
    }
}

/// A name old checkpoints have: distances in attention to the encoder, which were never used.
fn unused(name: &str) -> bool {
    name == "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"
}

/// T5 without a head: encoder and decoder.
#[derive(Clone, Debug, Module)]
pub struct T5Model {
    shared: Embedding,
    encoder: Stack,
    decoder: Stack,
    #[module(flatten)]
    encoder_table: Tied,
    #[module(flatten)]
    decoder_table: Tied,
}

impl T5Model {
    /// The decoder's states (B, T, C) for `target`, having read `source`.
    ///
    /// # Errors
    /// When an id is not in the vocabulary or shapes differ.
    pub fn forward(&self, source: &TextInput, target: &TextInput) -> Result<Var> {
        self.decode(&self.encode(source)?, source, target)
    }

    /// The encoder's states (B, S, C).
    ///
    /// # Errors
    /// When an id is not in the vocabulary or shapes differ.
    pub fn encode(&self, source: &TextInput) -> Result<Var> {
        encode(&self.shared, &self.encoder, source)
    }

    /// The decoder's states (B, T, C) for `target`, given the encoder's for `source`.
    ///
    /// # Errors
    /// When an id is not in the vocabulary or shapes differ.
    pub fn decode(&self, states: &Var, source: &TextInput, target: &TextInput) -> Result<Var> {
        decode(&self.shared, &self.decoder, target, states, source)
    }
}

impl Pretrained for T5Model {
    type Config = T5Config;
    const BASE: &'static str = "transformer";

    fn build(config: &T5Config) -> Result<Self> {
        Ok(Self {
            shared: Embedding::new(config.vocab_size, config.d_model)?,
            encoder: Stack::new(config, false)?,
            decoder: Stack::new(config, true)?,
            encoder_table: Tied::new("encoder.embed_tokens.weight", "shared.weight"),
            decoder_table: Tied::new("decoder.embed_tokens.weight", "shared.weight"),
        })
    }

    fn ignores(name: &str) -> bool {
        unused(name) || name == "lm_head.weight"
    }
}

/// T5 that writes: encoder, decoder, logits.
#[derive(Clone, Debug, Module)]
pub struct T5ForConditionalGeneration {
    shared: Embedding,
    encoder: Stack,
    decoder: Stack,
    /// Where it is not the table that embeds tokens.
    lm_head: Option<Linear>,
    #[module(flatten)]
    encoder_table: Tied,
    #[module(flatten)]
    decoder_table: Tied,
    #[module(flatten)]
    head: Option<Tied>,
    /// What states are multiplied by before the logits.
    scale: Option<f64>,
}

impl T5ForConditionalGeneration {
    /// Logits (B, T, V) for what follows each token of `target`, having read `source`.
    ///
    /// # Errors
    /// When an id is not in the vocabulary or shapes differ.
    pub fn forward(&self, source: &TextInput, target: &TextInput) -> Result<Var> {
        self.decode(&self.encode(source)?, source, target)
    }

    /// The encoder's states (B, S, C).
    ///
    /// # Errors
    /// When an id is not in the vocabulary or shapes differ.
    pub fn encode(&self, source: &TextInput) -> Result<Var> {
        encode(&self.shared, &self.encoder, source)
    }

    /// Logits (B, T, V) for what follows each token of `target`, given the encoder's states for `source`.
    ///
    /// # Errors
    /// When an id is not in the vocabulary or shapes differ.
    pub fn decode(&self, states: &Var, source: &TextInput, target: &TextInput) -> Result<Var> {
        let mut x = decode(&self.shared, &self.decoder, target, states, source)?;
        if let Some(scale) = self.scale {
            x = x.mul_scalar(scale)?;
        }
        match &self.lm_head {
            Some(head) => head.forward(&x),
            None => x.linear(self.shared.weight.var(), None),
        }
        .in_layer("lm_head")
    }
}

impl Pretrained for T5ForConditionalGeneration {
    type Config = T5Config;
    const BASE: &'static str = "transformer";

    fn build(config: &T5Config) -> Result<Self> {
        let (v, c) = (config.vocab_size, config.d_model);
        let tied = config.tie_word_embeddings;
        let own = || Linear::builder(c, v).bias(false).build();
        Ok(Self {
            shared: Embedding::new(v, c)?,
            encoder: Stack::new(config, false)?,
            decoder: Stack::new(config, true)?,
            lm_head: (!tied).then(own).transpose()?,
            encoder_table: Tied::new("encoder.embed_tokens.weight", "shared.weight"),
            decoder_table: Tied::new("decoder.embed_tokens.weight", "shared.weight"),
            head: tied.then(|| Tied::new("lm_head.weight", "shared.weight")),
            scale: config
                .scale_decoder_outputs
                .then(|| 1.0 / (c as f64).sqrt()),
        })
    }

    fn ignores(name: &str) -> bool {
        unused(name)
    }
}
