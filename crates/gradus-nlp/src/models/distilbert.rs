//! DistilBERT: half of BERT's layers, taught by BERT (Sanh et al. 2019, arXiv:1910.01108). No types of tokens and no pooler; otherwise
//! the same computation under other names, which are Hugging Face's `DistilBertModel`'s, with its defaults and first weights.

use gradus_autograd::Var;
use gradus_nn::{Dropout, Embedding, Layer, LayerNorm, Linear, Module, Tied};
use gradus_tensor::{Result, ResultExt, Tensor};

use super::activation::Activation;
use super::attention::{Heads, Hidden};
use super::bert::{table, too_long};
use super::config::Config;
use super::input::{TextInput, padding_mask};
use super::lora::Projection;
use super::pretrained::{First, ModelConfig, Pretrained, usual};
use super::sinusoid::interleaved;

/// Added to variances, whatever the configuration says.
const EPS: f64 = 1e-12;

/// Settings of DistilBERT.
#[derive(Clone, Debug, PartialEq)]
pub struct DistilBertConfig {
    /// V
    pub vocab_size: usize,
    /// The longest text.
    pub max_position_embeddings: usize,
    /// Places start as sines and cosines.
    pub sinusoidal_pos_embds: bool,
    /// How many layers.
    pub n_layers: usize,
    /// nh
    pub n_heads: usize,
    /// C
    pub dim: usize,
    /// Width between the two dense layers of a block.
    pub hidden_dim: usize,
    /// Dropout of embeddings and of what dense layers add.
    pub dropout: f64,
    /// Dropout of the weights of attention.
    pub attention_dropout: f64,
    /// What stands between the dense layers.
    pub activation: Activation,
    /// Deviation of first weights.
    pub initializer_range: f64,
    /// Dropout before a classifier of texts.
    pub seq_classif_dropout: f64,
    /// The token that fills texts up.
    pub pad_token_id: Option<u32>,
    /// The prediction of tokens uses the table that embeds them.
    pub tie_word_embeddings: bool,
    /// Classes of a classifier.
    pub num_labels: usize,
}

impl Default for DistilBertConfig {
    fn default() -> Self {
        Self {
            vocab_size: 30522,
            max_position_embeddings: 512,
            sinusoidal_pos_embds: false,
            n_layers: 6,
            n_heads: 12,
            dim: 768,
            hidden_dim: 3072,
            dropout: 0.1,
            attention_dropout: 0.1,
            activation: Activation::Gelu,
            initializer_range: 0.02,
            seq_classif_dropout: 0.2,
            pad_token_id: Some(0),
            tie_word_embeddings: true,
            num_labels: 2,
        }
    }
}

impl ModelConfig for DistilBertConfig {
    fn from_config(config: &Config) -> Result<Self> {
        let default = Self::default();
        Ok(Self {
            vocab_size: config.size("vocab_size", default.vocab_size)?,
            max_position_embeddings: config
                .size("max_position_embeddings", default.max_position_embeddings)?,
            sinusoidal_pos_embds: config
                .flag("sinusoidal_pos_embds", default.sinusoidal_pos_embds)?,
            n_layers: config.depth("n_layers", default.n_layers)?,
            n_heads: config.size("n_heads", default.n_heads)?,
            dim: config.size("dim", default.dim)?,
            hidden_dim: config.size("hidden_dim", default.hidden_dim)?,
            dropout: config.probability("dropout", default.dropout)?,
            attention_dropout: config
                .probability("attention_dropout", default.attention_dropout)?,
            activation: config.activation("activation", default.activation)?,
            initializer_range: config.number("initializer_range", default.initializer_range)?,
            seq_classif_dropout: config
                .probability("seq_classif_dropout", default.seq_classif_dropout)?,
            pad_token_id: config.token_or("pad_token_id", default.pad_token_id)?,
            tie_word_embeddings: config.flag("tie_word_embeddings", default.tie_word_embeddings)?,
            num_labels: config.num_labels()?,
        })
    }

    fn first(&self, kind: &str, name: &str) -> First {
        if self.sinusoidal_pos_embds && name.ends_with("position_embeddings.weight") {
            return First::Keep;
        }
        let padding = self.pad_token_id.map(|id| id as usize);
        let padded = ["word_embeddings.weight"];
        usual(kind, name, self.initializer_range, padding, &padded)
    }
}

/// Token and place, added and normalised: (B, T) to (B, T, C).
#[derive(Clone, Debug, Module)]
struct Embeddings {
    word_embeddings: Embedding,
    position_embeddings: Embedding,
    #[module(rename = "LayerNorm")]
    norm: LayerNorm,
    dropout: Dropout,
}

impl Embeddings {
    fn new(config: &DistilBertConfig) -> Result<Self> {
        let (places, width) = (config.max_position_embeddings, config.dim);
        Ok(Self {
            word_embeddings: table(config.vocab_size, width, config.pad_token_id)
                .in_layer("word_embeddings")?,
            position_embeddings: if config.sinusoidal_pos_embds {
                Embedding::from_pretrained(interleaved(places, width)?)?
            } else {
                Embedding::new(places, width)?
            },
            norm: LayerNorm::with([width], EPS, true, true)?,
            dropout: Dropout::new(config.dropout),
        })
    }

    fn forward(&self, input: &TextInput) -> Result<Var> {
        let (_, t) = input.sizes()?;
        let words = self.word_embeddings.forward(&input.input_ids);
        let words = words.in_layer("word_embeddings")?; // (B, T, C)
        let table = &self.position_embeddings;
        let places = match &input.position_ids {
            Some(places) => table.forward(places).in_layer("position_embeddings")?,
            None if t > table.weight.shape()[0] => {
                return Err(too_long(t, table.weight.shape()[0]));
            }
            None => table.weight.var().narrow(0, 0, t)?, // (T, C)
        };
        self.dropout
            .forward(&self.norm.forward(&words.add(&places)?)?)
    }
}

#[derive(Clone, Debug, Module)]
struct SelfAttention {
    q_lin: Projection,
    k_lin: Projection,
    v_lin: Projection,
    out_lin: Projection,
    heads: Heads,
}

impl SelfAttention {
    fn forward(&self, x: &Var, hidden: &Hidden) -> Result<Var> {
        let q = self.q_lin.forward(x).in_layer("q_lin")?;
        let k = self.k_lin.forward(x).in_layer("k_lin")?;
        let v = self.v_lin.forward(x).in_layer("v_lin")?;
        let y = self.heads.attend(&q, &k, &v, hidden)?; // (B, T, C)
        self.out_lin.forward(&y).in_layer("out_lin")
    }
}

#[derive(Clone, Debug, Module)]
struct FeedForward {
    dropout: Dropout,
    lin1: Projection,
    lin2: Projection,
    #[module(skip)]
    activation: Activation,
}

impl FeedForward {
    fn forward(&self, x: &Var) -> Result<Var> {
        let x = self.lin1.forward(x).in_layer("lin1")?;
        let x = self.activation.forward(&x)?;
        self.dropout
            .forward(&self.lin2.forward(&x).in_layer("lin2")?)
    }
}

/// One layer: attention, then two dense layers, each added to its input and normalised: (B, T, C) to (B, T, C).
#[derive(Clone, Debug, Module)]
struct Block {
    attention: SelfAttention,
    sa_layer_norm: LayerNorm,
    ffn: FeedForward,
    output_layer_norm: LayerNorm,
}

impl Block {
    fn new(config: &DistilBertConfig) -> Result<Self> {
        let c = config.dim;
        Ok(Self {
            attention: SelfAttention {
                q_lin: Projection::new(c, c)?,
                k_lin: Projection::new(c, c)?,
                v_lin: Projection::new(c, c)?,
                out_lin: Projection::new(c, c)?,
                heads: Heads::new(config.n_heads, config.attention_dropout),
            },
            sa_layer_norm: LayerNorm::with([c], EPS, true, true)?,
            ffn: FeedForward {
                dropout: Dropout::new(config.dropout),
                lin1: Projection::new(c, config.hidden_dim)?,
                lin2: Projection::new(config.hidden_dim, c)?,
                activation: config.activation,
            },
            output_layer_norm: LayerNorm::with([c], EPS, true, true)?,
        })
    }

    fn forward(&self, x: &Var, hidden: &Hidden) -> Result<Var> {
        let y = self.attention.forward(x, hidden).in_layer("attention")?;
        let x = self.sa_layer_norm.forward(&y.add(x)?)?;
        let y = self.ffn.forward(&x).in_layer("ffn")?;
        self.output_layer_norm.forward(&y.add(&x)?)
    }
}

#[derive(Clone, Debug, Module)]
struct Transformer {
    layer: Vec<Block>,
}

/// DistilBERT without a head.
///
/// ```
/// use gradus_nlp::models::{DistilBertConfig, DistilBertModel, Pretrained};
/// use gradus_tensor::Tensor;
/// let tiny = DistilBertConfig { vocab_size: 100, dim: 32, n_layers: 2, n_heads: 4, hidden_dim: 64, ..DistilBertConfig::default() };
/// let model = DistilBertModel::new(&tiny)?;
/// let ids = Tensor::from_slice(&[2_i64, 45, 7, 3], [1, 4])?;
/// assert_eq!(model.forward(&ids.into())?.dims(), [1, 4, 32]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug, Module)]
pub struct DistilBertModel {
    embeddings: Embeddings,
    transformer: Transformer,
}

impl DistilBertModel {
    /// Its dense layers by name, for adapters.
    pub(super) fn projections(&mut self) -> Vec<(String, &mut Projection)> {
        let mut found = Vec::new();
        for (i, block) in self.transformer.layer.iter_mut().enumerate() {
            for (name, layer) in [
                ("attention.q_lin", &mut block.attention.q_lin),
                ("attention.k_lin", &mut block.attention.k_lin),
                ("attention.v_lin", &mut block.attention.v_lin),
                ("attention.out_lin", &mut block.attention.out_lin),
                ("ffn.lin1", &mut block.ffn.lin1),
                ("ffn.lin2", &mut block.ffn.lin2),
            ] {
                found.push((format!("transformer.layer.{i}.{name}"), layer));
            }
        }
        found
    }

    /// The table of tokens (V, C) and the longest text.
    pub(super) fn sizes(&self) -> (&Var, usize) {
        let Embeddings {
            word_embeddings: words,
            position_embeddings: places,
            ..
        } = &self.embeddings;
        (words.weight.var(), places.weight.shape()[0])
    }

    /// The last layer's states (B, T, C), `last_hidden_state`. Types of tokens are not looked at.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn forward(&self, input: &TextInput) -> Result<Var> {
        let mut x = self.embeddings.forward(input).in_layer("embeddings")?;
        let mask: Option<Tensor> = match &input.attention_mask {
            Some(mask) => Some(padding_mask(mask, x.dtype())?),
            None => None,
        };
        let hidden = Hidden::from(mask);
        for (i, block) in self.transformer.layer.iter().enumerate() {
            let y = block.forward(&x, &hidden);
            x = y.in_layer(format!("transformer.layer.{i}"))?;
        }
        Ok(x)
    }
}

impl Pretrained for DistilBertModel {
    type Config = DistilBertConfig;
    const BASE: &'static str = "distilbert";

    fn build(config: &DistilBertConfig) -> Result<Self> {
        Heads::divides(config.n_heads, config.dim)?;
        let layer = (0..config.n_layers)
            .map(|_| Block::new(config))
            .collect::<Result<_>>()?;
        Ok(Self {
            embeddings: Embeddings::new(config).in_layer("embeddings")?,
            transformer: Transformer { layer },
        })
    }
}

/// DistilBERT that says which tokens are hidden behind `[MASK]`.
#[derive(Clone, Debug, Module)]
pub struct DistilBertForMaskedLM {
    distilbert: DistilBertModel,
    vocab_transform: Linear,
    vocab_layer_norm: LayerNorm,
    vocab_projector: Projector,
    #[module(flatten)]
    weight: Option<Tied>,
    #[module(skip)]
    activation: Activation,
}

/// The prediction's table, where it is not the one that embeds tokens, and bias.
#[derive(Clone, Debug, Module)]
struct Projector {
    #[module(flatten)]
    own: Option<Linear>,
    bias: gradus_nn::Param,
}

impl DistilBertForMaskedLM {
    /// Logits (B, T, V) for every token.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn forward(&self, input: &TextInput) -> Result<Var> {
        let x = self.distilbert.forward(input).in_layer("distilbert")?; // (B, T, C)
        let x = self.vocab_transform.forward(&x);
        let x = self.activation.forward(&x.in_layer("vocab_transform")?)?;
        let x = self.vocab_layer_norm.forward(&x)?;
        let table = match &self.vocab_projector.own {
            Some(own) => own.weight.var(),
            None => self.distilbert.embeddings.word_embeddings.weight.var(), // (V, C)
        };
        x.linear(table, Some(self.vocab_projector.bias.var()))
            .in_layer("vocab_projector")
    }
}

impl Pretrained for DistilBertForMaskedLM {
    type Config = DistilBertConfig;
    const BASE: &'static str = "distilbert";

    fn build(config: &DistilBertConfig) -> Result<Self> {
        let (v, c) = (config.vocab_size, config.dim);
        let tied = config.tie_word_embeddings;
        let own = || Linear::builder(c, v).bias(false).build();
        let second = || {
            let own = "distilbert.embeddings.word_embeddings.weight";
            Tied::new("vocab_projector.weight", own)
        };
        Ok(Self {
            distilbert: DistilBertModel::build(config)?,
            vocab_transform: Linear::new(c, c)?,
            vocab_layer_norm: LayerNorm::with([c], EPS, true, true)?,
            vocab_projector: Projector {
                own: (!tied).then(own).transpose()?,
                bias: gradus_nn::Param::new(Tensor::zeros([v], gradus_tensor::DType::F32)?)?,
            },
            weight: tied.then(second),
            activation: config.activation,
        })
    }
}

/// DistilBERT that puts texts into classes by their first token.
#[derive(Clone, Debug, Module)]
pub struct DistilBertForSequenceClassification {
    distilbert: DistilBertModel,
    pre_classifier: Linear,
    classifier: Linear,
    dropout: Dropout,
}

impl DistilBertForSequenceClassification {
    /// Logits (B, classes).
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn forward(&self, input: &TextInput) -> Result<Var> {
        let x = self.distilbert.forward(input).in_layer("distilbert")?; // (B, T, C)
        let x = self.pre_classifier.forward(&x.select(1, 0)?); // (B, C)
        let x = self
            .dropout
            .forward(&x.in_layer("pre_classifier")?.relu()?)?;
        self.classifier.forward(&x).in_layer("classifier")
    }
}

impl Pretrained for DistilBertForSequenceClassification {
    type Config = DistilBertConfig;
    const BASE: &'static str = "distilbert";

    fn build(config: &DistilBertConfig) -> Result<Self> {
        Ok(Self {
            distilbert: DistilBertModel::build(config)?,
            pre_classifier: Linear::new(config.dim, config.dim)?,
            classifier: Linear::new(config.dim, config.num_labels)?,
            dropout: Dropout::new(config.seq_classif_dropout),
        })
    }
}
