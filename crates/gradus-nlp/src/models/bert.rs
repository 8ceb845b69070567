//! BERT: a transformer that reads a text in both directions at once (Devlin et al. 2018, arXiv:1810.04805). The settings and the model
//! without a head; heads are in `bert_heads.rs`. RoBERTa is made of the same blocks.
//! Names, defaults and first weights are those of Hugging Face's `BertModel`.

use gradus_autograd::Var;
use gradus_nn::{Dropout, Embedding, Layer, LayerNorm, Module};
use gradus_tensor::{Error, Result, ResultExt, Tensor};

use super::activation::Activation;
use super::attention::{Heads, Hidden};
use super::config::Config;
use super::input::{TextInput, both, causal_mask, padding_mask};
use super::lora::Projection;
use super::pretrained::{First, ModelConfig, Pretrained, usual};

/// Settings of BERT, and by other defaults of RoBERTa.
///
/// ```
/// use gradus_nlp::models::{BertConfig, BertModel, Pretrained};
/// use gradus_nn::Module;
/// use gradus_tensor::Tensor;
/// let tiny = BertConfig { vocab_size: 100, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 64, ..BertConfig::default() };
/// let model = BertModel::new(&tiny)?;
/// assert!(model.state_dict().contains_key("encoder.layer.1.attention.self.query.weight"));
/// let ids = Tensor::from_slice(&[2_i64, 45, 7, 3], [1, 4])?;
/// let hidden = model.forward(&ids.into())?;
/// assert_eq!(hidden.dims(), [1, 4, 32]);
/// assert_eq!(model.pooled(&hidden)?.dims(), [1, 32]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BertConfig {
    /// V
    pub vocab_size: usize,
    /// C
    pub hidden_size: usize,
    /// How many layers.
    pub num_hidden_layers: usize,
    /// nh
    pub num_attention_heads: usize,
    /// Width between the two dense layers of a block.
    pub intermediate_size: usize,
    /// What stands between them.
    pub hidden_act: Activation,
    /// Dropout of embeddings and of what is added to them.
    pub hidden_dropout_prob: f64,
    /// Dropout of the weights of attention.
    pub attention_probs_dropout_prob: f64,
    /// The longest text.
    pub max_position_embeddings: usize,
    /// How many texts a token may be of.
    pub type_vocab_size: usize,
    /// Deviation of first weights.
    pub initializer_range: f64,
    /// Added to variances.
    pub layer_norm_eps: f64,
    /// The token that fills texts up.
    pub pad_token_id: Option<u32>,
    /// Dropout before a classifier; `None`: `hidden_dropout_prob`.
    pub classifier_dropout: Option<f64>,
    /// A token sees itself and what is before it only.
    pub is_decoder: bool,
    /// The prediction of tokens uses the table that embeds them.
    pub tie_word_embeddings: bool,
    /// Classes of a classifier.
    pub num_labels: usize,
}

impl Default for BertConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: Activation::Gelu,
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            initializer_range: 0.02,
            layer_norm_eps: 1e-12,
            pad_token_id: Some(0),
            classifier_dropout: None,
            is_decoder: false,
            tie_word_embeddings: true,
            num_labels: 2,
        }
    }
}

impl BertConfig {
    /// Reads the settings, with these defaults.
    pub(super) fn read(config: &Config, default: &Self) -> Result<Self> {
        let kind = config.text("position_embedding_type", "absolute")?;
        if kind != "absolute" {
            let text = format!("position_embedding_type {kind:?} is not supported; absolute is");
            return Err(config.error(text));
        }
        if config.flag("add_cross_attention", false)? {
            return Err(config.error("add_cross_attention is not supported"));
        }
        Ok(Self {
            vocab_size: config.size("vocab_size", default.vocab_size)?,
            hidden_size: config.size("hidden_size", default.hidden_size)?,
            num_hidden_layers: config.depth("num_hidden_layers", default.num_hidden_layers)?,
            num_attention_heads: config.size("num_attention_heads", default.num_attention_heads)?,
            intermediate_size: config.size("intermediate_size", default.intermediate_size)?,
            hidden_act: config.activation("hidden_act", default.hidden_act)?,
            hidden_dropout_prob: config
                .probability("hidden_dropout_prob", default.hidden_dropout_prob)?,
            attention_probs_dropout_prob: config.probability(
                "attention_probs_dropout_prob",
                default.attention_probs_dropout_prob,
            )?,
            max_position_embeddings: config
                .size("max_position_embeddings", default.max_position_embeddings)?,
            type_vocab_size: config.size("type_vocab_size", default.type_vocab_size)?,
            initializer_range: config.number("initializer_range", default.initializer_range)?,
            layer_norm_eps: config.number("layer_norm_eps", default.layer_norm_eps)?,
            pad_token_id: config.token_or("pad_token_id", default.pad_token_id)?,
            classifier_dropout: config.optional_probability("classifier_dropout")?,
            is_decoder: config.flag("is_decoder", default.is_decoder)?,
            tie_word_embeddings: config.flag("tie_word_embeddings", default.tie_word_embeddings)?,
            num_labels: config.num_labels()?,
        })
    }

    /// Dropout before a classifier.
    pub(super) fn head_dropout(&self) -> Dropout {
        Dropout::new(self.classifier_dropout.unwrap_or(self.hidden_dropout_prob))
    }

    /// A norm over the width.
    pub(super) fn norm(&self) -> Result<LayerNorm> {
        LayerNorm::with([self.hidden_size], self.layer_norm_eps, true, true)
    }
}

impl ModelConfig for BertConfig {
    fn from_config(config: &Config) -> Result<Self> {
        Self::read(config, &Self::default())
    }

    fn first(&self, kind: &str, name: &str) -> First {
        let padding = self.pad_token_id.map(|id| id as usize);
        let padded = ["word_embeddings.weight"];
        usual(kind, name, self.initializer_range, padding, &padded)
    }
}

/// A table of tokens, with a row that stands for nothing if there is a padding token.
pub(super) fn table(rows: usize, width: usize, padding: Option<u32>) -> Result<Embedding> {
    match padding {
        Some(id) => Embedding::with_padding(rows, width, id as usize),
        None => Embedding::new(rows, width),
    }
}

/// How places are numbered where nobody says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Places {
    /// From 0.
    Counted,
    /// RoBERTa's: tokens that are not padding from `padding + 1`, padding itself `padding`.
    AfterPadding(u32),
}

/// Token, place and text of each token, added and normalised: (B, T) to (B, T, C).
#[derive(Clone, Debug, Module)]
pub(super) struct Embeddings {
    word_embeddings: Embedding,
    position_embeddings: Embedding,
    token_type_embeddings: Embedding,
    #[module(rename = "LayerNorm")]
    norm: LayerNorm,
    dropout: Dropout,
    #[module(skip)]
    places: Places,
}

impl Embeddings {
    pub fn new(config: &BertConfig, places: Places) -> Result<Self> {
        let c = config.hidden_size;
        let padding = match places {
            Places::Counted => None,
            Places::AfterPadding(id) => Some(id),
        };
        Ok(Self {
            word_embeddings: table(config.vocab_size, c, config.pad_token_id)
                .in_layer("word_embeddings")?,
            position_embeddings: table(config.max_position_embeddings, c, padding)
                .in_layer("position_embeddings")?,
            token_type_embeddings: Embedding::new(config.type_vocab_size, c)?,
            norm: config.norm()?,
            dropout: Dropout::new(config.hidden_dropout_prob),
            places,
        })
    }

    /// The longest text.
    pub fn longest(&self) -> usize {
        let rows = self.position_embeddings.weight.shape()[0];
        match self.places {
            Places::Counted => rows,
            Places::AfterPadding(padding) => rows.saturating_sub(padding as usize + 1),
        }
    }

    /// The table of tokens (V, C).
    pub fn words(&self) -> &Var {
        self.word_embeddings.weight.var()
    }

    pub fn forward(&self, input: &TextInput) -> Result<Var> {
        let (_, t) = input.sizes()?;
        let ids = &input.input_ids;
        let words = self.word_embeddings.forward(ids);
        let words = words.in_layer("word_embeddings")?; // (B, T, C)
        let places = self.places(input, t)?; // (B, T, C) or (T, C)
        // Added to the places first where it is one row for all.
        let x = match &input.token_type_ids {
            Some(types) => {
                let types = self.token_type_embeddings.forward(types);
                words
                    .add(&types.in_layer("token_type_embeddings")?)?
                    .add(&places)?
            }
            None => {
                let first = self.token_type_embeddings.weight.var().narrow(0, 0, 1)?; // (1, C)
                words.add(&places.add(&first)?)?
            }
        };
        self.dropout.forward(&self.norm.forward(&x)?)
    }

    fn places(&self, input: &TextInput, t: usize) -> Result<Var> {
        let table = &self.position_embeddings;
        let room = table.weight.shape()[0];
        let at = match (&input.position_ids, self.places) {
            (Some(places), _) => places.clone(),
            (None, Places::Counted) => {
                if t > room {
                    return Err(too_long(t, room));
                }
                return table.weight.var().narrow(0, 0, t); // (T, C)
            }
            (None, Places::AfterPadding(padding)) => {
                let padding = i64::from(padding);
                if t + padding as usize + 1 > room {
                    return Err(too_long(t, room.saturating_sub(padding as usize + 1)));
                }
                let token = input.input_ids.ne_scalar(padding)?;
                let token = token.to_dtype(gradus_tensor::DType::I64)?; // (B, T)
                token.cumsum(1)?.mul(&token)?.add_scalar(padding)?
            }
        };
        table.forward(&at).in_layer("position_embeddings") // (B, T, C)
    }
}

/// The error for texts that do not fit.
pub(super) fn too_long(t: usize, room: usize) -> Error {
    let text = format!("texts of {t} tokens; the model has places for {room}: cut them before");
    Error::shape("", text)
}

/// Queries, keys and values, each by a dense layer of its own, and attention: (B, T, C) to (B, T, C).
#[derive(Clone, Debug, Module)]
struct SelfAttention {
    query: Projection,
    key: Projection,
    value: Projection,
    heads: Heads,
}

impl SelfAttention {
    fn forward(&self, x: &Var, hidden: &Hidden) -> Result<Var> {
        let q = self.query.forward(x).in_layer("query")?;
        let k = self.key.forward(x).in_layer("key")?;
        let v = self.value.forward(x).in_layer("value")?;
        self.heads.attend(&q, &k, &v, hidden)
    }
}

/// A dense layer, added to what was before and normalised.
#[derive(Clone, Debug, Module)]
struct Output {
    dense: Projection,
    #[module(rename = "LayerNorm")]
    norm: LayerNorm,
    dropout: Dropout,
}

impl Output {
    fn new(config: &BertConfig, inputs: usize) -> Result<Self> {
        Ok(Self {
            dense: Projection::new(inputs, config.hidden_size)?,
            norm: config.norm()?,
            dropout: Dropout::new(config.hidden_dropout_prob),
        })
    }

    fn forward(&self, x: &Var, before: &Var) -> Result<Var> {
        let x = self.dense.forward(x).in_layer("dense")?;
        self.norm.forward(&self.dropout.forward(&x)?.add(before)?)
    }
}

/// Attention with its output.
#[derive(Clone, Debug, Module)]
struct Attention {
    #[module(rename = "self")]
    this: SelfAttention,
    output: Output,
}

/// A dense layer and its activation.
#[derive(Clone, Debug, Module)]
struct Intermediate {
    dense: Projection,
    #[module(skip)]
    act: Activation,
}

/// One layer: attention, then two dense layers, each added to its input and normalised: (B, T, C) to (B, T, C).
#[derive(Clone, Debug, Module)]
struct Block {
    attention: Attention,
    intermediate: Intermediate,
    output: Output,
}

impl Block {
    fn new(config: &BertConfig) -> Result<Self> {
        let c = config.hidden_size;
        let this = SelfAttention {
            query: Projection::new(c, c)?,
            key: Projection::new(c, c)?,
            value: Projection::new(c, c)?,
            heads: Heads::new(
                config.num_attention_heads,
                config.attention_probs_dropout_prob,
            ),
        };
        Ok(Self {
            attention: Attention {
                this,
                output: Output::new(config, c)?,
            },
            intermediate: Intermediate {
                dense: Projection::new(c, config.intermediate_size)?,
                act: config.hidden_act,
            },
            output: Output::new(config, config.intermediate_size)?,
        })
    }

    fn forward(&self, x: &Var, hidden: &Hidden) -> Result<Var> {
        let y = self.attention.this.forward(x, hidden);
        let y = y.in_layer("attention.self")?;
        let x = self.attention.output.forward(&y, x);
        let x = x.in_layer("attention.output")?; // (B, T, C)
        let y = self.intermediate.dense.forward(&x);
        let y = self
            .intermediate
            .act
            .forward(&y.in_layer("intermediate.dense")?)?; // (B, T, 4C)
        self.output.forward(&y, &x).in_layer("output")
    }
}

/// The layers in a row.
#[derive(Clone, Debug, Module)]
pub(super) struct Encoder {
    layer: Vec<Block>,
    is_decoder: bool,
}

impl Encoder {
    pub fn new(config: &BertConfig) -> Result<Self> {
        Heads::divides(config.num_attention_heads, config.hidden_size)?;
        let layer = (0..config.num_hidden_layers)
            .map(|_| Block::new(config))
            .collect::<Result<_>>()?;
        Ok(Self {
            layer,
            is_decoder: config.is_decoder,
        })
    }

    /// Its dense layers by name, for adapters.
    pub fn projections(&mut self) -> Vec<(String, &mut Projection)> {
        let mut found = Vec::new();
        for (i, block) in self.layer.iter_mut().enumerate() {
            let attention = &mut block.attention;
            for (name, layer) in [
                ("attention.self.query", &mut attention.this.query),
                ("attention.self.key", &mut attention.this.key),
                ("attention.self.value", &mut attention.this.value),
                ("attention.output.dense", &mut attention.output.dense),
                ("intermediate.dense", &mut block.intermediate.dense),
                ("output.dense", &mut block.output.dense),
            ] {
                found.push((format!("encoder.layer.{i}.{name}"), layer));
            }
        }
        found
    }

    /// x (B, T, C), mask (B, T).
    pub fn forward(&self, x: &Var, mask: Option<&Tensor>) -> Result<Var> {
        let mut mask = mask.map(|m| padding_mask(m, x.dtype())).transpose()?;
        if self.is_decoder {
            mask = Some(both(
                causal_mask(x.dim(1)?, 0, (x.dtype(), x.device()))?,
                mask,
            )?);
        }
        let hidden = Hidden::from(mask);
        let mut x = x.clone();
        for (i, block) in self.layer.iter().enumerate() {
            x = block.forward(&x, &hidden).in_layer(format!("layer.{i}"))?;
        }
        Ok(x)
    }
}

/// What a text is as a whole, read off its first token: (B, T, C) to (B, C).
#[derive(Clone, Debug, Module)]
pub(super) struct Pooler {
    dense: Projection,
}

impl Pooler {
    pub fn new(width: usize) -> Result<Self> {
        Ok(Self {
            dense: Projection::new(width, width)?,
        })
    }

    pub fn forward(&self, x: &Var) -> Result<Var> {
        let first = x.select(1, 0)?; // (B, C)
        self.dense.forward(&first).in_layer("dense")?.tanh()
    }
}

/// BERT without a head, with or without its pooler.
#[derive(Clone, Debug, Module)]
pub struct BertModel {
    pub(super) embeddings: Embeddings,
    pub(super) encoder: Encoder,
    pooler: Option<Pooler>,
}

impl BertModel {
    pub(super) fn with(config: &BertConfig, pooler: bool) -> Result<Self> {
        Ok(Self {
            embeddings: Embeddings::new(config, Places::Counted).in_layer("embeddings")?,
            encoder: Encoder::new(config).in_layer("encoder")?,
            pooler: pooler
                .then(|| Pooler::new(config.hidden_size))
                .transpose()?,
        })
    }

    /// The last layer's states (B, T, C), `last_hidden_state`.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn forward(&self, input: &TextInput) -> Result<Var> {
        let x = self.embeddings.forward(input).in_layer("embeddings")?;
        let mask = input.attention_mask.as_ref();
        self.encoder.forward(&x, mask).in_layer("encoder")
    }

    /// What each text is as a whole, from the last layer's states: (B, T, C) to (B, C), `pooler_output`.
    ///
    /// # Errors
    /// When the model was built without a pooler.
    pub fn pooled(&self, hidden: &Var) -> Result<Var> {
        match &self.pooler {
            Some(pooler) => pooler.forward(hidden).in_layer("pooler"),
            None => Err(Error::value("pooler", "this model was built without one")),
        }
    }
}

impl Pretrained for BertModel {
    type Config = BertConfig;
    const BASE: &'static str = "bert";

    fn build(config: &BertConfig) -> Result<Self> {
        Self::with(config, true)
    }
}
