//! BERT, MiniLM and GPT-2, training and inference, with first weights and random tokens.
//!
//! In bf16, training and encoders run under `autocast` as the peers do, and decoders have weights of bf16. `gpt2_decode_tok` is one of 64
//! tokens after a prompt of 64, which is read before the time begins.

use super::models::{infer, train};
use crate::measure::{Step, Work, Workload};
use gradus_nlp::generate::CausalLm;
use gradus_nlp::models::{
    BertConfig, BertForSequenceClassification, BertModel, GPT2Config, GPT2LMHeadModel, Pretrained,
    TextInput,
};
use gradus_nn::Module;
use gradus_nn::loss::{CrossEntropy, cross_entropy};
use gradus_nn::optim::AdamW;
use gradus_tensor::random::Rng;
use gradus_tensor::{DType, Result, Tensor};

/// Tokens of GPT-2, and of the prompt and the answer when it writes.
const VOCABULARY: i64 = 50_257;
const PROMPT: usize = 64;
const ANSWER: usize = 64;

pub fn all(dtype: DType) -> Vec<Workload> {
    let mut all = Vec::new();
    let mut add = |name: String, start: Box<dyn FnOnce() -> Result<Step>>| {
        all.push(Workload::new("models", name, Work::Unsaid, start));
    };
    let minilm = BertConfig {
        hidden_size: 384,
        num_hidden_layers: 6,
        num_attention_heads: 12,
        intermediate_size: 1536,
        ..BertConfig::default()
    };
    for (name, config, batches) in [
        ("bert_base", BertConfig::default(), [1, 8]),
        ("minilm_l6", minilm, [1, 32]),
    ] {
        for batch in batches {
            let config = config.clone();
            add(
                format!("{name}_fwd_b{batch}_s128"),
                Box::new(move || {
                    let input = TextInput::new(ids(30_000, batch, 128)?);
                    let forward = move |net: &BertModel| net.forward(&input);
                    infer(BertModel::new(&config)?, dtype, forward)
                }),
            );
        }
    }
    add(
        "bert_base_train_b8_s128".into(),
        Box::new(move || {
            let config = BertConfig {
                hidden_dropout_prob: 0.0,
                attention_probs_dropout_prob: 0.0,
                ..BertConfig::default()
            };
            let net = BertForSequenceClassification::new(&config)?;
            let (x, y) = (
                TextInput::new(ids(30_000, 8, 128)?),
                ids(2, 1, 8)?.flatten(0, -1)?,
            );
            train(net, AdamW::new(1e-4), dtype, move |net| {
                cross_entropy(&net.forward(&x)?, &y, &CrossEntropy::default())
            })
        }),
    );
    add(
        "gpt2_train_b4_t64".into(),
        Box::new(move || {
            let (x, y) = (
                ids(VOCABULARY, 4, 64)?,
                ids(VOCABULARY, 4, 64)?.flatten(0, -1)?,
            );
            train(gpt2()?, AdamW::new(1e-4), dtype, move |net| {
                let logits = net.forward(&x)?.flatten(0, 1)?; // (B·T, V)
                cross_entropy(&logits, &y, &CrossEntropy::default())
            })
        }),
    );
    add(
        "gpt2_prefill512".into(),
        Box::new(move || {
            let (net, prompt) = (reader(dtype)?, ids(VOCABULARY, 1, 512)?);
            Ok(Box::new(move || {
                net.session(1, 512)?.read(&prompt).map(drop)
            }))
        }),
    );
    add(
        "gpt2_decode_tok".into(),
        Box::new(move || {
            // The session borrows the model, so both live as long as the process.
            let net: &'static GPT2LMHeadModel = Box::leak(Box::new(reader(dtype)?));
            let mut session = net.session(1, PROMPT + ANSWER)?;
            let logits = session.read(&ids(VOCABULARY, 1, PROMPT)?)?; // (1, V)
            let first = logits.argmax(1, true)?; // (1, 1)
            Ok(Box::new(move || {
                session.rewind(PROMPT)?;
                let mut next = first.clone();
                for _ in 0..ANSWER {
                    next = session.read(&next)?.argmax(1, true)?;
                }
                Ok(())
            }))
        }),
    );
    let decode = all.last_mut().expect("just added");
    decode.per_step = ANSWER;
    all
}

/// Random ids (B, T) below `below`.
fn ids(below: i64, batch: usize, time: usize) -> Result<Tensor> {
    Tensor::randint(0, below, [batch, time], DType::I64, &mut Rng::new(3))
}

/// GPT-2 small without dropout.
fn gpt2() -> Result<GPT2LMHeadModel> {
    GPT2LMHeadModel::new(&GPT2Config {
        resid_pdrop: 0.0,
        embd_pdrop: 0.0,
        attn_pdrop: 0.0,
        ..GPT2Config::default()
    })
}

/// The same for inference.
fn reader(dtype: DType) -> Result<GPT2LMHeadModel> {
    let mut net = gpt2()?;
    net.eval();
    net.to_dtype(dtype)?;
    Ok(net)
}
