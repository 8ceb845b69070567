//! Marian's models: encoder and decoder (`MarianModel`), and both with logits (`MarianMTModel`). The layers are in `marian.rs`.

use gradus_autograd::Var;
use gradus_nn::{Buffer, Embedding, Layer, Linear, Module, Tied};
use gradus_tensor::{DType, Result, ResultExt, Tensor};

use super::bert::table;
use super::input::TextInput;
use super::marian::{MarianConfig, Stack};
use super::pretrained::Pretrained;

/// Marian without a head.
///
/// ```
/// use gradus_nlp::models::{MarianConfig, MarianModel, Pretrained};
/// use gradus_tensor::Tensor;
/// let tiny = MarianConfig {
///     vocab_size: 100, decoder_vocab_size: 100, d_model: 32, encoder_layers: 2, decoder_layers: 2, encoder_ffn_dim: 64,
///     decoder_ffn_dim: 64, encoder_attention_heads: 4, decoder_attention_heads: 4, max_position_embeddings: 64,
///     pad_token_id: Some(99), ..MarianConfig::default()
/// };
/// let model = MarianModel::new(&tiny)?;
/// let source = Tensor::from_slice(&[45_i64, 7, 0], [1, 3])?;
/// let target = Tensor::from_slice(&[99_i64, 12], [1, 2])?;
/// assert_eq!(model.forward(&source.into(), &target.into())?.dims(), [1, 2, 32]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct MarianModel {
    /// (V, C)
    shared: Option<Embedding>,
    encoder: Stack,
    decoder: Stack,
    #[module(flatten)]
    encoder_table: Option<Tied>,
    #[module(flatten)]
    decoder_table: Option<Tied>,
}

impl MarianModel {
    /// The decoder's states (B, T, C) for `target`, having read `source`.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn forward(&self, source: &TextInput, target: &TextInput) -> Result<Var> {
        self.decode(&self.encode(source)?, source, target)
    }

    /// The encoder's states (B, S, C).
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn encode(&self, source: &TextInput) -> Result<Var> {
        let states = self.encoder.forward(source, self.shared.as_ref(), None);
        states.in_layer("encoder")
    }

    /// The decoder's states (B, T, C) for `target`, given the encoder's for `source`.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn decode(&self, states: &Var, source: &TextInput, target: &TextInput) -> Result<Var> {
        let other = Some((states, source.attention_mask.as_ref()));
        let y = self.decoder.forward(target, self.shared.as_ref(), other);
        y.in_layer("decoder")
    }

    /// The table that embeds the decoder's tokens.
    fn target_table(&self) -> Option<&Embedding> {
        self.decoder.embed_tokens.as_ref().or(self.shared.as_ref())
    }
}

impl Pretrained for MarianModel {
    type Config = MarianConfig;
    const BASE: &'static str = "model";

    fn build(config: &MarianConfig) -> Result<Self> {
        let shares = config.share_encoder_decoder_embeddings;
        // Not tied, each has a table of its own, and the shared one is there but not used; so it is in the reference.
        let one = shares && config.tie_word_embeddings;
        let shared = || table(config.vocab_size, config.d_model, config.pad_token_id);
        let tied = |name: &str| one.then(|| Tied::new(name, "shared.weight"));
        Ok(Self {
            shared: shares.then(shared).transpose().in_layer("shared")?,
            encoder: Stack::new(config, false, !one).in_layer("encoder")?,
            decoder: Stack::new(config, true, !one).in_layer("decoder")?,
            encoder_table: tied("encoder.embed_tokens.weight"),
            decoder_table: tied("decoder.embed_tokens.weight"),
        })
    }

    fn ignores(name: &str) -> bool {
        name == "lm_head.weight" || name == "final_logits_bias"
    }
}

/// Marian that writes: encoder, decoder, logits.
#[derive(Clone, Debug, Module)]
pub struct MarianMTModel {
    model: MarianModel,
    /// (1, V)
    final_logits_bias: Buffer,
    /// Where it is not the table that embeds the decoder's tokens.
    lm_head: Option<Linear>,
    #[module(flatten)]
    head: Option<Tied>,
}

impl MarianMTModel {
    /// Logits (B, T, V) for what follows each token of `target`, having read `source`.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn forward(&self, source: &TextInput, target: &TextInput) -> Result<Var> {
        self.decode(&self.encode(source)?, source, target)
    }

    /// The encoder's states (B, S, C).
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn encode(&self, source: &TextInput) -> Result<Var> {
        self.model.encode(source).in_layer("model")
    }

    /// Logits (B, T, V) for what follows each token of `target`, given the encoder's states for `source`.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn decode(&self, states: &Var, source: &TextInput, target: &TextInput) -> Result<Var> {
        let x = self.model.decode(states, source, target);
        let x = x.in_layer("model")?; // (B, T, C)
        let logits = match (&self.lm_head, self.model.target_table()) {
            (None, Some(table)) => x.linear(table.weight.var(), None),
            (head, _) => head.forward(&x),
        };
        let bias = self.final_logits_bias.get().to_dtype(x.dtype())?;
        logits.in_layer("lm_head")?.add(&Var::from(bias))
    }
}

impl Pretrained for MarianMTModel {
    type Config = MarianConfig;
    const BASE: &'static str = "model";

    fn build(config: &MarianConfig) -> Result<Self> {
        let shares = config.share_encoder_decoder_embeddings;
        let v = if shares {
            config.vocab_size
        } else {
            config.decoder_vocab_size
        };
        let own = || Linear::builder(config.d_model, v).bias(false).build();
        let tied = config.tie_word_embeddings;
        let of = if shares {
            "model.shared.weight"
        } else {
            "model.decoder.embed_tokens.weight"
        };
        Ok(Self {
            model: MarianModel::build(config).in_layer("model")?,
            final_logits_bias: Buffer::new(Tensor::zeros([1, v], DType::F32)?),
            lm_head: (!tied).then(own).transpose()?,
            head: tied.then(|| Tied::new("lm_head.weight", of)),
        })
    }
}
