//! Hugging Face's architectures: names of the state dict and outputs, as `models.rs` compares them. Which class an entry means is read
//! off its configuration (`model_type`) and a name of its state dict that only this class has.

use std::collections::BTreeMap;

use gradus_autograd::Var;
use gradus_nlp::models::{
    BertForMaskedLM, BertForQuestionAnswering, BertForSequenceClassification,
    BertForTokenClassification, BertModel, Config, DistilBertForMaskedLM,
    DistilBertForSequenceClassification, DistilBertModel, GPT2LMHeadModel, GPT2Model,
    LlamaForCausalLM, LlamaModel, MarianMTModel, MarianModel, Pretrained, RobertaForMaskedLM,
    RobertaForSequenceClassification, RobertaForTokenClassification, RobertaModel, T5EncoderModel,
    T5ForConditionalGeneration, T5Model, TextInput, ViTForImageClassification, ViTModel,
};
use gradus_nn::init;
use gradus_tensor::{Result as TensorResult, Tensor};

use super::manifest::tensor;
use super::models::{Architecture, agrees, uniform};

type Tensors = BTreeMap<String, Tensor>;
/// How one class is checked.
type Check = fn(&Architecture, &Tensors) -> Result<(), String>;

/// `model_type`, a name only this class of the family has (the first that fits counts), and the class.
const CLASSES: &[(&str, &str, Check)] = &[
    ("bert", "cls.predictions.bias", |a, t| {
        text(a, t, BertForMaskedLM::forward)
    }),
    ("bert", "qa_outputs.weight", |a, t| {
        text(a, t, BertForQuestionAnswering::forward)
    }),
    ("bert", "bert.pooler.dense.weight", |a, t| {
        text(a, t, BertForSequenceClassification::forward)
    }),
    ("bert", "classifier.weight", |a, t| {
        text(a, t, BertForTokenClassification::forward)
    }),
    ("bert", "", |a, t| text(a, t, BertModel::forward)),
    ("distilbert", "vocab_transform.weight", |a, t| {
        text(a, t, DistilBertForMaskedLM::forward)
    }),
    ("distilbert", "pre_classifier.weight", |a, t| {
        text(a, t, DistilBertForSequenceClassification::forward)
    }),
    ("distilbert", "", |a, t| {
        text(a, t, DistilBertModel::forward)
    }),
    ("roberta", "lm_head.bias", |a, t| {
        text(a, t, RobertaForMaskedLM::forward)
    }),
    ("roberta", "classifier.dense.weight", |a, t| {
        text(a, t, RobertaForSequenceClassification::forward)
    }),
    ("roberta", "classifier.weight", |a, t| {
        text(a, t, RobertaForTokenClassification::forward)
    }),
    ("roberta", "", |a, t| text(a, t, RobertaModel::forward)),
    ("gpt2", "lm_head.weight", |a, t| {
        ids(a, t, GPT2LMHeadModel::forward)
    }),
    ("gpt2", "", |a, t| ids(a, t, GPT2Model::forward)),
    ("llama", "lm_head.weight", |a, t| {
        ids(a, t, LlamaForCausalLM::forward)
    }),
    ("llama", "", |a, t| ids(a, t, LlamaModel::forward)),
    ("t5", "lm_head.weight", |a, t| {
        pair(a, t, T5ForConditionalGeneration::forward)
    }),
    ("t5", "decoder.final_layer_norm.weight", |a, t| {
        pair(a, t, T5Model::forward)
    }),
    ("t5", "", |a, t| text(a, t, T5EncoderModel::forward)),
    ("marian", "lm_head.weight", |a, t| {
        pair(a, t, MarianMTModel::forward)
    }),
    ("marian", "", |a, t| pair(a, t, MarianModel::forward)),
    ("vit", "classifier.weight", |a, t| {
        image(a, t, ViTForImageClassification::forward)
    }),
    ("vit", "", |a, t| image(a, t, ViTModel::forward)),
];

/// One of Hugging Face's.
pub fn hugging_face(architecture: &Architecture, tensors: &Tensors) -> Result<(), String> {
    let config = config(architecture)?;
    let family = match config.model_type().map_err(|e| e.to_string())? {
        "mistral" | "qwen2" | "qwen3" => "llama", // one class reads them all
        other => other,
    };
    let has = |wanted: &str| architecture.names.iter().any(|(name, _, _)| name == wanted);
    let class = CLASSES
        .iter()
        .find(|(model_type, name, _)| *model_type == family && (name.is_empty() || has(name)));
    match class {
        Some((_, _, check)) => check(architecture, tensors),
        None => Err(format!("no model of the type {family:?} here")),
    }
}

fn config(architecture: &Architecture) -> Result<Config, String> {
    Config::from_value(architecture.config.clone()).map_err(|e| e.to_string())
}

/// The model of the configuration, without first weights.
fn build<M: Pretrained>(architecture: &Architecture) -> Result<M, String> {
    let config = config(architecture)?;
    init::skip(|| M::from_config(&config)).map_err(|e| e.to_string())
}

/// The tensor `KEY.name` beside the output `KEY.out`.
fn beside<'a>(architecture: &Architecture, tensors: &'a Tensors, name: &str) -> Option<&'a Tensor> {
    let key = architecture.out.trim_end_matches(".out");
    tensors.get(&format!("{key}.{name}"))
}

/// The ids, with a mask and types where the vectors have them.
fn input(architecture: &Architecture, tensors: &Tensors) -> Result<TextInput, String> {
    let ids = beside(architecture, tensors, "ids").ok_or("the vectors lack its ids")?;
    let mut input = TextInput::from(ids);
    for name in ["mask", "attention_mask"] {
        if let Some(mask) = beside(architecture, tensors, name) {
            input = input.with_attention_mask(mask.clone());
        }
    }
    if let Some(types) = beside(architecture, tensors, "token_type_ids") {
        input = input.with_token_type_ids(types.clone());
    }
    Ok(input)
}

fn text<M: Pretrained>(
    architecture: &Architecture,
    tensors: &Tensors,
    forward: fn(&M, &TextInput) -> TensorResult<Var>,
) -> Result<(), String> {
    let mut model: M = build(architecture)?;
    let input = input(architecture, tensors)?;
    let expected = tensor(tensors, &architecture.out)?;
    agrees(architecture, expected, &mut model, |model, _| {
        forward(model, &input)
    })
}

/// A decoder, which reads ids alone.
fn ids<M: Pretrained>(
    architecture: &Architecture,
    tensors: &Tensors,
    forward: fn(&M, &Tensor) -> TensorResult<Var>,
) -> Result<(), String> {
    let mut model: M = build(architecture)?;
    let ids = beside(architecture, tensors, "ids").ok_or("the vectors lack its ids")?;
    let expected = tensor(tensors, &architecture.out)?;
    agrees(architecture, expected, &mut model, |model, _| {
        forward(model, ids)
    })
}

/// Encoder and decoder; where the vectors have no ids of their own for the decoder, it reads the encoder's.
fn pair<M: Pretrained>(
    architecture: &Architecture,
    tensors: &Tensors,
    forward: fn(&M, &TextInput, &TextInput) -> TensorResult<Var>,
) -> Result<(), String> {
    let mut model: M = build(architecture)?;
    let source = input(architecture, tensors)?;
    let target = beside(architecture, tensors, "decoder_ids")
        .or_else(|| beside(architecture, tensors, "decoder_input_ids"))
        .unwrap_or(&source.input_ids);
    let target = TextInput::from(target);
    let expected = tensor(tensors, &architecture.out)?;
    agrees(architecture, expected, &mut model, |model, _| {
        forward(model, &source, &target)
    })
}

/// An image: the formula's numbers for the name "input", as for torchvision's.
fn image<M: Pretrained>(
    architecture: &Architecture,
    tensors: &Tensors,
    forward: fn(&M, &Var) -> TensorResult<Var>,
) -> Result<(), String> {
    let mut model: M = build(architecture)?;
    let said = |e: gradus_tensor::Error| e.to_string();
    let config = config(architecture)?;
    let [height, width] = config.sides("image_size", [224, 224]).map_err(said)?;
    let channels = config.size("num_channels", 3).map_err(said)?;
    let expected = tensor(tensors, &architecture.out)?;
    let batch = expected.dims().first().copied().unwrap_or(1);
    let shape = [batch, channels, height, width];
    let pixels = uniform("input", shape.iter().product());
    let pixels = pixels.into_iter().map(|u| (u - 0.5) * 2.0).collect();
    let pixels = Tensor::from_vec::<f32>(pixels, shape).map_err(said)?;
    agrees(architecture, expected, &mut model, |model, dtype| {
        forward(model, &Var::from(pixels.to_dtype(dtype)?))
    })
}
