//! [`TextEncoder`]: any of the encoders, by what a folder holds. For those who want the states of texts and not a particular family:
//! [`SentenceEncoder`](super::SentenceEncoder) and [`TextClassifier`](super::TextClassifier).

use std::path::Path;

use gradus_autograd::Var;
use gradus_nn::{LoadReport, Module, StateDict};
use gradus_tensor::{Error, Result, ResultExt, weights};

use super::bert::{BertConfig, BertModel};
use super::config::Config;
use super::distilbert::{DistilBertConfig, DistilBertModel};
use super::input::TextInput;
use super::lora::{LoraOptions, Projection};
use super::pretrained::{ModelConfig, Pretrained};
use super::roberta::{RobertaConfig, RobertaModel};
use crate::tokenizers::Tokenizer;

/// One of the encoders.
#[derive(Clone, Debug, Module)]
pub enum TextEncoder {
    /// BERT, MiniLM.
    Bert(BertModel),
    /// RoBERTa, XLM-RoBERTa, CamemBERT.
    Roberta(RobertaModel),
    /// DistilBERT.
    DistilBert(DistilBertModel),
}

/// What an encoder was made from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The encoder, in training mode.
    pub encoder: TextEncoder,
    /// What of the checkpoint was used and what was not.
    pub report: LoadReport,
    /// The token that fills texts up.
    pub padding: u32,
    /// The configuration, with the sizes in it that were read off the weights.
    pub config: Config,
    /// Something about the configuration the user should know.
    pub note: Option<String>,
}

impl TextEncoder {
    /// The encoder in a folder: `config.json` beside its weights. Some folders hold a configuration that says nothing of the model
    /// (that of sentence-transformers' pooling has the same name); then sizes are taken from a BERT's weights, and the number of
    /// heads, which weights do not tell, is `heads` or a guess that the note names.
    ///
    /// # Errors
    /// When a file is missing or damaged, the configuration is of another family, or the weights do not belong to it.
    pub fn from_pretrained(folder: impl AsRef<Path>, heads: Option<usize>) -> Result<Loaded> {
        let folder = folder.as_ref();
        let config = Config::load(folder)?;
        let state = weights::load(folder)?;
        let wrong = |e: Error| Error::value("", format!("{}: {e}", folder.display()));
        Self::from_state(&config, state, heads).map_err(wrong)
    }

    fn from_state(config: &Config, state: StateDict, heads: Option<usize>) -> Result<Loaded> {
        let (mut config, mut note) = (config.clone(), None);
        let (encoder, report, padding) = match config.get("model_type").map(|_| ()) {
            None if config.get("hidden_size").is_none() => {
                let (mut sizes, guessed) = sizes_of(&state)?;
                sizes.num_attention_heads = heads.unwrap_or(guessed);
                note = Some(format!(
                    "config.json says nothing of the model: {} layers, width {} by the weights, {} heads {}",
                    sizes.num_hidden_layers,
                    sizes.hidden_size,
                    sizes.num_attention_heads,
                    if heads.is_some() {
                        "as told"
                    } else {
                        "as is usual"
                    }
                ));
                for (name, size) in [
                    ("vocab_size", sizes.vocab_size),
                    ("hidden_size", sizes.hidden_size),
                    ("num_hidden_layers", sizes.num_hidden_layers),
                    ("num_attention_heads", sizes.num_attention_heads),
                    ("intermediate_size", sizes.intermediate_size),
                    ("max_position_embeddings", sizes.max_position_embeddings),
                    ("type_vocab_size", sizes.type_vocab_size),
                ] {
                    config = config.with(name, size);
                }
                config = config.with("model_type", "bert");
                let (model, report) = BertModel::from_state(&sizes, state)?;
                (Self::Bert(model), report, sizes.pad_token_id)
            }
            _ => match config.text("model_type", "bert")? {
                "bert" => {
                    let sizes = BertConfig::from_config(&config)?;
                    let (model, report) = BertModel::from_state(&sizes, state)?;
                    (Self::Bert(model), report, sizes.pad_token_id)
                }
                "roberta" | "xlm-roberta" | "camembert" => {
                    let sizes = RobertaConfig::from_config(&config)?;
                    let (model, report) = RobertaModel::from_state(&sizes, state)?;
                    (Self::Roberta(model), report, sizes.pad_token_id)
                }
                "distilbert" => {
                    let sizes = DistilBertConfig::from_config(&config)?;
                    let (model, report) = DistilBertModel::from_state(&sizes, state)?;
                    (Self::DistilBert(model), report, sizes.pad_token_id)
                }
                other => {
                    let text = format!(
                        "model_type is {other:?}; encoders of text are bert, roberta, xlm-roberta, camembert and distilbert"
                    );
                    return Err(config.error(text));
                }
            },
        };
        Ok(Loaded {
            encoder,
            report,
            padding: padding.unwrap_or(0),
            config,
            note,
        })
    }

    /// The name under which it stands in models with heads: `bert`.
    pub fn base(&self) -> &'static str {
        match self {
            Self::Bert(_) => BertModel::BASE,
            Self::Roberta(_) => RobertaModel::BASE,
            Self::DistilBert(_) => DistilBertModel::BASE,
        }
    }

    /// V and C.
    fn table(&self) -> &Var {
        match self {
            Self::Bert(model) => model.embeddings.words(),
            Self::Roberta(model) => model.embeddings.words(),
            Self::DistilBert(model) => model.sizes().0,
        }
    }

    /// How many tokens it knows.
    pub fn vocab_size(&self) -> usize {
        self.table().dims()[0]
    }

    /// C
    pub fn width(&self) -> usize {
        self.table().dims()[1]
    }

    /// The longest text.
    pub fn longest(&self) -> usize {
        match self {
            Self::Bert(model) => model.embeddings.longest(),
            Self::Roberta(model) => model.embeddings.longest(),
            Self::DistilBert(model) => model.sizes().1,
        }
    }

    /// Has every token of the tokenizer a row in the table?
    ///
    /// # Errors
    /// When not: the two do not belong together.
    pub fn fits(&self, tokenizer: &Tokenizer) -> Result<()> {
        let (here, there) = (tokenizer.vocab_size(), self.vocab_size());
        if here <= there {
            return Ok(());
        }
        let text = format!(
            "the tokenizer has {here} tokens and the model {there}: they do not belong together"
        );
        Err(Error::value("", text))
    }

    /// The last layer's states (B, T, C).
    ///
    /// # Errors
    /// When an id is not in the vocabulary, a text is too long, or shapes differ.
    pub fn forward(&self, input: &TextInput) -> Result<Var> {
        match self {
            Self::Bert(model) => model.forward(input),
            Self::Roberta(model) => model.forward(input),
            Self::DistilBert(model) => model.forward(input),
        }
        .in_layer(self.base())
    }

    /// What each text is as a whole, by the encoder's own pooler: (B, T, C) to (B, C).
    ///
    /// # Errors
    /// When it has none.
    pub fn pooled(&self, states: &Var) -> Result<Var> {
        match self {
            Self::Bert(model) => model.pooled(states),
            Self::Roberta(model) => model.pooled(states),
            Self::DistilBert(_) => {
                let text = "DistilBERT has none; pool by the first token or the mean";
                Err(Error::value("pooler", text))
            }
        }
        .in_layer(self.base())
    }

    /// How deep a parameter lies: 0 for the embeddings, 1 for the first layer, …, and what is behind the last layer deepest.
    pub(super) fn depth(&self, name: &str) -> usize {
        let name = name
            .strip_prefix(self.base())
            .and_then(|n| n.strip_prefix('.'));
        let Some(name) = name else {
            return self.layers() + 1;
        };
        if name.starts_with("embeddings.") {
            return 0;
        }
        let mut parts = name.split('.').skip_while(|part| *part != "layer").skip(1);
        match parts.next().and_then(|part| part.parse::<usize>().ok()) {
            Some(layer) => layer + 1,
            None => self.layers() + 1,
        }
    }

    /// How many layers.
    pub(super) fn layers(&self) -> usize {
        let mut layers = 0;
        for (name, _) in self.named_parameters() {
            let mut parts = name.split('.').skip_while(|part| *part != "layer").skip(1);
            if let Some(layer) = parts.next().and_then(|part| part.parse::<usize>().ok()) {
                layers = layers.max(layer + 1);
            }
        }
        layers
    }

    /// Puts adapters beside the dense layers the options name, and freezes everything else. Returns how many.
    ///
    /// # Errors
    /// When no layer has such a name, or the options make no sense.
    pub fn adapt(&mut self, options: &LoraOptions) -> Result<usize> {
        let mut adapted = 0;
        for (name, layer) in self.projections() {
            if options.targets(&name) {
                layer.adapt(options).in_layer(name)?;
                adapted += 1;
            }
        }
        if adapted == 0 {
            let names = options.target_modules.join(", ");
            let text = format!("no layer of the encoder is called one of: {names}");
            return Err(Error::value("lora", text));
        }
        for (name, param) in self.named_parameters_mut() {
            param.set_frozen(!super::lora::is_lora(&name));
        }
        Ok(adapted)
    }

    /// Adds all adapters into their layers and takes them away.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn merge(&mut self) -> Result<()> {
        for (name, layer) in self.projections() {
            layer.merge().in_layer(name)?;
            layer.strip();
        }
        Ok(())
    }

    fn projections(&mut self) -> Vec<(String, &mut Projection)> {
        match self {
            Self::Bert(model) => model.encoder.projections(),
            Self::Roberta(model) => model.encoder.projections(),
            Self::DistilBert(model) => model.projections(),
        }
    }
}

/// The sizes of a BERT by its weights, and the usual number of heads for its width: one for every 64 columns, but 12 for MiniLM's 384.
fn sizes_of(state: &StateDict) -> Result<(BertConfig, usize)> {
    let find = |end: &str| {
        let mut names = state.iter();
        let found = names.find(|(name, x)| name.ends_with(end) && x.rank() == 2);
        found.map(|(_, x)| x.dims()).ok_or_else(|| {
            let text = format!(
                "config.json says nothing of the model, and the weights have no {end}, so they are no BERT's"
            );
            Error::value("", text)
        })
    };
    let words = find("embeddings.word_embeddings.weight")?;
    let layer = |name: &String| {
        let (_, rest) = name.split_once("encoder.layer.")?;
        rest.split('.').next()?.parse::<usize>().ok()
    };
    let width = words[1];
    let sizes = BertConfig {
        vocab_size: words[0],
        hidden_size: width,
        num_hidden_layers: state.keys().filter_map(layer).max().map_or(0, |n| n + 1),
        intermediate_size: find("intermediate.dense.weight")?[0],
        max_position_embeddings: find("position_embeddings.weight")?[0],
        type_vocab_size: find("token_type_embeddings.weight")?[0],
        ..BertConfig::default()
    };
    let heads = if width == 384 {
        12
    } else {
        (width / 64).max(1)
    };
    Ok((sizes, heads))
}
