//! Hugging Face's language models by its names: `config.json`, parameter names, defaults, first weights and logits are its own, so
//! its checkpoints load with no mapping.
//!
//! [`Config`] reads `config.json`; each family has a struct of settings made from one ([`ModelConfig`]) and models that are built
//! from it or loaded from a folder ([`Pretrained`]).

mod activation;
mod adapter;
mod attention;
mod auto;
mod bert;
mod bert_heads;
mod causal;
mod config;
mod distilbert;
mod encoder;
mod gpt2;
mod input;
mod llama;
mod llama2c;
mod llama_config;
mod lora;
mod marian;
mod marian_models;
mod pretrained;
mod rms_norm;
mod roberta;
mod rope;
mod sentence;
mod single;
mod sinusoid;
mod t5;
mod t5_models;
mod vit;

pub use activation::Activation;
pub use adapter::{TextClassifier, layer_wise};
pub use auto::{CAUSAL_LM, causal_lm, causal_lm_on, load_causal_lm, load_causal_lm_on};
pub use bert::{BertConfig, BertModel};
pub use bert_heads::{
    BertForMaskedLM, BertForQuestionAnswering, BertForSequenceClassification,
    BertForTokenClassification,
};
pub use config::Config;
pub use distilbert::{
    DistilBertConfig, DistilBertForMaskedLM, DistilBertForSequenceClassification, DistilBertModel,
};
pub use encoder::{Loaded, TextEncoder};
pub use gpt2::{Conv1D, GPT2Config, GPT2LMHeadModel, GPT2Model};
pub use input::TextInput;
pub use llama::{LlamaForCausalLM, LlamaModel};
pub use llama_config::LlamaConfig;
pub use lora::{LoraOptions, Projection, is_lora, load_lora, lora_state};
pub use marian::MarianConfig;
pub use marian_models::{MarianMTModel, MarianModel};
pub use pretrained::{First, ModelConfig, Pretrained, usual};
pub use roberta::{
    RobertaConfig, RobertaForMaskedLM, RobertaForSequenceClassification,
    RobertaForTokenClassification, RobertaModel,
};
pub use rope::RopeParameters;
pub use sentence::{Pooling, SentenceEncoder};
pub use t5::T5Config;
pub use t5_models::{T5EncoderModel, T5ForConditionalGeneration, T5Model};
pub use vit::{ViTConfig, ViTForImageClassification, ViTModel};
