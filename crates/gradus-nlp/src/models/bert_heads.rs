//! Heads on BERT: the hidden word (`BertForMaskedLM`), a class for a text (`BertForSequenceClassification`), a class for each token
//! (`BertForTokenClassification`), where an answer stands (`BertForQuestionAnswering`).

use gradus_autograd::Var;
use gradus_nn::{Dropout, Layer, LayerNorm, Linear, Module, Param, Tied};
use gradus_tensor::{DType, Result, ResultExt, Tensor};

use super::activation::Activation;
use super::bert::{BertConfig, BertModel};
use super::input::TextInput;
use super::pretrained::Pretrained;

/// A dense layer, activation and norm before tokens are predicted.
#[derive(Clone, Debug, Module)]
struct Transform {
    dense: Linear,
    #[module(rename = "LayerNorm")]
    norm: LayerNorm,
    #[module(skip)]
    act: Activation,
}

#[derive(Clone, Debug, Module)]
struct Predictions {
    /// (V)
    bias: Param,
    transform: Transform,
    /// Where it is not the table that embeds tokens.
    decoder: Option<Linear>,
}

#[derive(Clone, Debug, Module)]
struct Heading {
    predictions: Predictions,
}

/// BERT that says which tokens are hidden behind `[MASK]`.
#[derive(Clone, Debug, Module)]
pub struct BertForMaskedLM {
    bert: BertModel,
    cls: Heading,
    #[module(flatten)]
    weight: Option<Tied>,
    #[module(flatten)]
    bias: Tied,
}

impl BertForMaskedLM {
    /// Logits (B, T, V) for every token.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn forward(&self, input: &TextInput) -> Result<Var> {
        let x = self.bert.forward(input).in_layer("bert")?; // (B, T, C)
        let head = &self.cls.predictions;
        let x = head.transform.dense.forward(&x);
        let x = x.in_layer("cls.predictions.transform.dense")?;
        let x = head
            .transform
            .norm
            .forward(&head.transform.act.forward(&x)?)?;
        let table = match &head.decoder {
            Some(decoder) => decoder.weight.var(),
            None => self.bert.embeddings.words(), // (V, C)
        };
        x.linear(table, Some(head.bias.var()))
            .in_layer("cls.predictions.decoder")
    }
}

impl Pretrained for BertForMaskedLM {
    type Config = BertConfig;
    const BASE: &'static str = "bert";

    fn build(config: &BertConfig) -> Result<Self> {
        let (v, c) = (config.vocab_size, config.hidden_size);
        let tied = config.tie_word_embeddings;
        let own = || Linear::builder(c, v).bias(false).build();
        let second = || {
            let own = "bert.embeddings.word_embeddings.weight";
            Tied::new("cls.predictions.decoder.weight", own)
        };
        Ok(Self {
            bert: BertModel::with(config, false)?,
            cls: Heading {
                predictions: Predictions {
                    bias: Param::new(Tensor::zeros([v], DType::F32)?)?,
                    transform: Transform {
                        dense: Linear::new(c, c)?,
                        norm: config.norm()?,
                        act: config.hidden_act,
                    },
                    decoder: (!tied).then(own).transpose()?,
                },
            },
            weight: tied.then(second),
            bias: Tied::new("cls.predictions.decoder.bias", "cls.predictions.bias"),
        })
    }
}

/// BERT that puts texts into classes: pooler, dropout, a dense layer.
#[derive(Clone, Debug, Module)]
pub struct BertForSequenceClassification {
    bert: BertModel,
    dropout: Dropout,
    classifier: Linear,
}

impl BertForSequenceClassification {
    /// Logits (B, classes).
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn forward(&self, input: &TextInput) -> Result<Var> {
        let x = self.bert.forward(input).in_layer("bert")?; // (B, T, C)
        let x = self.dropout.forward(&self.bert.pooled(&x)?)?; // (B, C)
        self.classifier.forward(&x).in_layer("classifier")
    }
}

impl Pretrained for BertForSequenceClassification {
    type Config = BertConfig;
    const BASE: &'static str = "bert";

    fn build(config: &BertConfig) -> Result<Self> {
        Ok(Self {
            bert: BertModel::with(config, true)?,
            dropout: config.head_dropout(),
            classifier: Linear::new(config.hidden_size, config.num_labels)?,
        })
    }
}

/// BERT that puts each token into a class.
#[derive(Clone, Debug, Module)]
pub struct BertForTokenClassification {
    bert: BertModel,
    dropout: Dropout,
    classifier: Linear,
}

impl BertForTokenClassification {
    /// Logits (B, T, classes).
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn forward(&self, input: &TextInput) -> Result<Var> {
        let x = self.bert.forward(input).in_layer("bert")?; // (B, T, C)
        let x = self.dropout.forward(&x)?;
        self.classifier.forward(&x).in_layer("classifier")
    }
}

impl Pretrained for BertForTokenClassification {
    type Config = BertConfig;
    const BASE: &'static str = "bert";

    fn build(config: &BertConfig) -> Result<Self> {
        Ok(Self {
            bert: BertModel::with(config, false)?,
            dropout: config.head_dropout(),
            classifier: Linear::new(config.hidden_size, config.num_labels)?,
        })
    }
}

/// BERT that finds the answer to a question in a text.
#[derive(Clone, Debug, Module)]
pub struct BertForQuestionAnswering {
    bert: BertModel,
    qa_outputs: Linear,
}

impl BertForQuestionAnswering {
    /// Logits (B, T, 2): that the answer begins, and that it ends, at a token.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn forward(&self, input: &TextInput) -> Result<Var> {
        let x = self.bert.forward(input).in_layer("bert")?; // (B, T, C)
        self.qa_outputs.forward(&x).in_layer("qa_outputs")
    }
}

impl Pretrained for BertForQuestionAnswering {
    type Config = BertConfig;
    const BASE: &'static str = "bert";

    fn build(config: &BertConfig) -> Result<Self> {
        Ok(Self {
            bert: BertModel::with(config, false)?,
            qa_outputs: Linear::new(config.hidden_size, config.num_labels)?,
        })
    }
}
