//! RoBERTa: BERT trained longer and on more text (Liu et al. 2019, arXiv:1907.11692). The blocks are BERT's; what differs is here: places
//! are counted from behind the padding token's number, and heads have other names and another shape. XLM-RoBERTa and CamemBERT are the
//! same. Names, defaults and first weights are those of Hugging Face's `RobertaModel`.

use std::ops::Deref;

use gradus_autograd::Var;
use gradus_nn::{Dropout, Layer, LayerNorm, Linear, Module, Param, Tied};
use gradus_tensor::{DType, Error, Result, ResultExt, Tensor};

use super::bert::{BertConfig, Embeddings, Encoder, Places, Pooler};
use super::config::Config;
use super::input::TextInput;
use super::pretrained::{First, ModelConfig, Pretrained, usual};

/// Settings of RoBERTa: BERT's with other defaults.
///
/// ```
/// use gradus_nlp::models::{BertConfig, Pretrained, RobertaConfig, RobertaModel};
/// use gradus_tensor::Tensor;
/// let tiny = BertConfig { vocab_size: 100, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 64, ..RobertaConfig::default().0 };
/// let model = RobertaModel::new(&RobertaConfig(tiny))?;
/// let ids = Tensor::from_slice(&[0_i64, 45, 7, 2, 1, 1], [1, 6])?; // 1 is padding
/// assert_eq!(model.forward(&ids.into())?.dims(), [1, 6, 32]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RobertaConfig(pub BertConfig);

impl Default for RobertaConfig {
    fn default() -> Self {
        Self(BertConfig {
            vocab_size: 50265,
            pad_token_id: Some(1),
            ..BertConfig::default()
        })
    }
}

impl Deref for RobertaConfig {
    type Target = BertConfig;
    fn deref(&self) -> &BertConfig {
        &self.0
    }
}

impl ModelConfig for RobertaConfig {
    fn from_config(config: &Config) -> Result<Self> {
        BertConfig::read(config, &Self::default().0).map(Self)
    }

    fn first(&self, kind: &str, name: &str) -> First {
        let padding = self.pad_token_id.map(|id| id as usize);
        let padded = ["word_embeddings.weight", "position_embeddings.weight"];
        usual(kind, name, self.initializer_range, padding, &padded)
    }
}

/// RoBERTa without a head, with or without its pooler.
#[derive(Clone, Debug, Module)]
pub struct RobertaModel {
    pub(super) embeddings: Embeddings,
    pub(super) encoder: Encoder,
    pooler: Option<Pooler>,
}

impl RobertaModel {
    pub(super) fn with(config: &RobertaConfig, pooler: bool) -> Result<Self> {
        let Some(padding) = config.pad_token_id else {
            let text = "pad_token_id is absent; places are counted from behind its number";
            return Err(Error::value("roberta", text));
        };
        let places = Places::AfterPadding(padding);
        Ok(Self {
            embeddings: Embeddings::new(config, places).in_layer("embeddings")?,
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

impl Pretrained for RobertaModel {
    type Config = RobertaConfig;
    const BASE: &'static str = "roberta";

    fn build(config: &RobertaConfig) -> Result<Self> {
        Self::with(config, true)
    }
}

/// What predicts tokens: a dense layer, GELU whatever `hidden_act` says, a norm, a table.
#[derive(Clone, Debug, Module)]
struct LmHead {
    dense: Linear,
    layer_norm: LayerNorm,
    /// Where it is not the table that embeds tokens.
    decoder: Option<Linear>,
    /// (V)
    bias: Param,
}

/// RoBERTa that says which tokens are hidden behind `<mask>`.
#[derive(Clone, Debug, Module)]
pub struct RobertaForMaskedLM {
    roberta: RobertaModel,
    lm_head: LmHead,
    #[module(flatten)]
    weight: Option<Tied>,
    #[module(flatten)]
    bias: Tied,
}

impl RobertaForMaskedLM {
    /// Logits (B, T, V) for every token.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn forward(&self, input: &TextInput) -> Result<Var> {
        let x = self.roberta.forward(input).in_layer("roberta")?; // (B, T, C)
        let head = &self.lm_head;
        let x = head.dense.forward(&x).in_layer("lm_head.dense")?.gelu()?;
        let x = head.layer_norm.forward(&x)?;
        let table = match &head.decoder {
            Some(decoder) => decoder.weight.var(),
            None => self.roberta.embeddings.words(), // (V, C)
        };
        x.linear(table, Some(head.bias.var()))
            .in_layer("lm_head.decoder")
    }
}

impl Pretrained for RobertaForMaskedLM {
    type Config = RobertaConfig;
    const BASE: &'static str = "roberta";

    fn build(config: &RobertaConfig) -> Result<Self> {
        let (v, c) = (config.vocab_size, config.hidden_size);
        let tied = config.tie_word_embeddings;
        let own = || Linear::builder(c, v).bias(false).build();
        let second = || {
            let own = "roberta.embeddings.word_embeddings.weight";
            Tied::new("lm_head.decoder.weight", own)
        };
        Ok(Self {
            roberta: RobertaModel::with(config, false)?,
            lm_head: LmHead {
                dense: Linear::new(c, c)?,
                layer_norm: config.norm()?,
                decoder: (!tied).then(own).transpose()?,
                bias: Param::new(Tensor::zeros([v], DType::F32)?)?,
            },
            weight: tied.then(second),
            bias: Tied::new("lm_head.decoder.bias", "lm_head.bias"),
        })
    }
}

/// Two dense layers on the first token.
#[derive(Clone, Debug, Module)]
struct ClassificationHead {
    dense: Linear,
    dropout: Dropout,
    out_proj: Linear,
}

/// RoBERTa that puts texts into classes.
#[derive(Clone, Debug, Module)]
pub struct RobertaForSequenceClassification {
    roberta: RobertaModel,
    classifier: ClassificationHead,
}

impl RobertaForSequenceClassification {
    /// Logits (B, classes).
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn forward(&self, input: &TextInput) -> Result<Var> {
        let x = self.roberta.forward(input).in_layer("roberta")?; // (B, T, C)
        let head = &self.classifier;
        let x = head.dropout.forward(&x.select(1, 0)?)?; // (B, C)
        let x = head.dense.forward(&x).in_layer("classifier.dense")?;
        let x = head.dropout.forward(&x.tanh()?)?;
        head.out_proj.forward(&x).in_layer("classifier.out_proj")
    }
}

impl Pretrained for RobertaForSequenceClassification {
    type Config = RobertaConfig;
    const BASE: &'static str = "roberta";

    fn build(config: &RobertaConfig) -> Result<Self> {
        let c = config.hidden_size;
        Ok(Self {
            roberta: RobertaModel::with(config, false)?,
            classifier: ClassificationHead {
                dense: Linear::new(c, c)?,
                dropout: config.head_dropout(),
                out_proj: Linear::new(c, config.num_labels)?,
            },
        })
    }
}

/// RoBERTa that puts each token into a class.
#[derive(Clone, Debug, Module)]
pub struct RobertaForTokenClassification {
    roberta: RobertaModel,
    dropout: Dropout,
    classifier: Linear,
}

impl RobertaForTokenClassification {
    /// Logits (B, T, classes).
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn forward(&self, input: &TextInput) -> Result<Var> {
        let x = self.roberta.forward(input).in_layer("roberta")?; // (B, T, C)
        let x = self.dropout.forward(&x)?;
        self.classifier.forward(&x).in_layer("classifier")
    }
}

impl Pretrained for RobertaForTokenClassification {
    type Config = RobertaConfig;
    const BASE: &'static str = "roberta";

    fn build(config: &RobertaConfig) -> Result<Self> {
        Ok(Self {
            roberta: RobertaModel::with(config, false)?,
            dropout: config.head_dropout(),
            classifier: Linear::new(config.hidden_size, config.num_labels)?,
        })
    }
}
