//! Decoders against Hugging Face's: logits of small models with many kinds of configurations, and what greedy and beam search write.
//! Expected values are in `data/decoders.json` (transformers 5.24, PyTorch 2.15 with AVX-512, f64, eager attention); the weights are
//! filled by a formula of their names, the one of `xtask conformance`.

use std::collections::BTreeMap;

use gradus_autograd::no_grad;
use gradus_nlp::generate::{
    CausalLm, EarlyStopping, Generation, beam_search, generate, text, tokens,
};
use gradus_nlp::models::{Config, GPT2Config, GPT2LMHeadModel, LlamaForCausalLM, Pretrained};
use gradus_nlp::tokenizers::Tokenizer;
use gradus_nn::Module;
use gradus_tensor::{DType, Result, Tensor};
use serde_json::Value;

/// The tensor the formula gives a name: see the README of the reference vectors.
fn fill(name: &str, dims: &[usize]) -> Result<Tensor> {
    let mut crc = u32::MAX;
    for byte in name.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
        }
    }
    let mut state = u64::from(!crc);
    let mut uniform = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        (z >> 40) as f64 / 16_777_216.0
    };
    let (scale, shift) = match dims {
        [_, inputs @ ..] if !inputs.is_empty() => {
            let bound = f64::from((6.0 / inputs.iter().product::<usize>() as f64).sqrt() as f32);
            (2.0 * bound, -bound)
        }
        _ if name.ends_with("weight") => (0.5, 0.75),
        _ => (0.2, -0.1),
    };
    let numbers = (0..dims.iter().product()).map(|_| (uniform() * scale + shift) as f32);
    Tensor::from_vec(numbers.collect::<Vec<f32>>(), dims)
}

/// A decoder of either family.
enum Decoder {
    Gpt2(GPT2LMHeadModel),
    Llama(LlamaForCausalLM),
}

impl Decoder {
    fn of(config: &Value, dtype: DType) -> Result<Self> {
        fn filled<M: Pretrained>(config: &Config, dtype: DType) -> Result<M> {
            let mut model = M::from_config(config)?;
            let mut state = BTreeMap::new();
            for (name, tensor) in model.state_dict() {
                state.insert(name.clone(), fill(&name, tensor.dims())?);
            }
            model.load_state_dict(&state, true)?;
            model.eval();
            model.to_dtype(dtype)?;
            Ok(model)
        }
        let config = Config::from_value(config.clone())?;
        Ok(if config.model_type()? == "gpt2" {
            Self::Gpt2(filled(&config, dtype)?)
        } else {
            Self::Llama(filled(&config, dtype)?)
        })
    }

    fn logits(&self, ids: &Tensor) -> Result<Tensor> {
        let logits = no_grad(|| match self {
            Self::Gpt2(model) => model.forward(ids),
            Self::Llama(model) => model.forward(ids),
        })?;
        logits.into_value().to_dtype(DType::F64)
    }

    fn lm(&self) -> &dyn CausalLm {
        match self {
            Self::Gpt2(model) => model,
            Self::Llama(model) => model,
        }
    }
}

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("data/decoders.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|x| x.as_f64().unwrap()).collect()
}

fn ids(value: &Value) -> Vec<u32> {
    numbers(value).into_iter().map(|x| x as u32).collect()
}

fn row(ids: &[u32]) -> Tensor {
    Tensor::from_vec(
        ids.iter().map(|&id| i64::from(id)).collect(),
        [1, ids.len()],
    )
    .unwrap()
}

/// The largest difference as a share of the largest number.
fn difference(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(0.0, |m: f64, e| m.max(e.abs()));
    let worst = got.iter().zip(expected).map(|(g, e)| (g - e).abs());
    worst.fold(0.0, f64::max) / largest
}

#[test]
fn logits_are_the_references() {
    for case in cases() {
        let name = case["name"].as_str().unwrap();
        let input = ids(&case["ids"]);
        // Llama's family rounds cosines, norms and weights of attention to f32 on the way, even in f64; PyTorch itself differs by
        // as much from one processor's instructions to another's.
        let exact = case["config"]["model_type"] == "gpt2";
        let in_f64 = if exact { 1e-9 } else { 1e-6 };
        for (dtype, tolerance) in [(DType::F64, in_f64), (DType::F32, 1e-4)] {
            let logits = Decoder::of(&case["config"], dtype)
                .unwrap()
                .logits(&row(&input))
                .unwrap();
            for (at, expected) in [3, input.len() as i64 - 1]
                .into_iter()
                .zip(case["logits"].as_array().unwrap())
            {
                let got = logits
                    .select(0, 0)
                    .unwrap()
                    .select(0, at)
                    .unwrap()
                    .to_vec::<f64>()
                    .unwrap();
                let error = difference(&got, &numbers(expected));
                assert!(
                    error < tolerance,
                    "{name}, {dtype}, position {at}: {error:.1e}"
                );
            }
        }
    }
}

fn options(value: &Value) -> Generation {
    let mut g = Generation::default();
    for (name, value) in value.as_object().unwrap() {
        let whole = value.as_u64().unwrap_or(0) as usize;
        let number = value.as_f64().unwrap_or(0.0);
        match name.as_str() {
            "max_new_tokens" => g.max_new_tokens = whole,
            "min_new_tokens" => g.min_new_tokens = whole,
            "num_beams" => g.num_beams = whole,
            "repetition_penalty" => g.repetition_penalty = number,
            "length_penalty" => g.length_penalty = number,
            "eos_token_id" => g.eos_token_id = ids(value),
            "early_stopping" => {
                g.early_stopping = match value {
                    Value::Bool(true) => EarlyStopping::AtOnce,
                    Value::String(_) => EarlyStopping::Never,
                    _ => EarlyStopping::Heuristic,
                }
            }
            other => panic!("{other}"),
        }
    }
    g
}

#[test]
fn greedy_and_beam_search_write_what_the_reference_writes() {
    for case in cases() {
        let model = Decoder::of(&case["config"], DType::F64).unwrap();
        let prompt = ids(&case["ids"]);
        for written in case["generate"].as_array().unwrap() {
            let options = options(&written["options"]);
            let said = format!("{}: {}", case["name"], written["options"]);
            let expected: Vec<Vec<u32>> = written["tokens"]
                .as_array()
                .unwrap()
                .iter()
                .map(ids)
                .collect();
            assert_eq!(
                generate(model.lm(), &prompt, &options).unwrap(),
                expected[0],
                "{said}"
            );
            if let Some(scores) = written.get("scores") {
                let beams = beam_search(model.lm(), &prompt, &options).unwrap();
                let got: Vec<Vec<u32>> = beams.iter().take(2).map(|b| b.tokens.clone()).collect();
                assert_eq!(got, expected, "{said}");
                let got: Vec<f64> = beams.iter().take(2).map(|b| b.score).collect();
                assert!(difference(&got, &numbers(scores)) < 1e-5, "{said}: {got:?}");
            }
        }
    }
}

#[test]
fn cached_logits_are_the_uncached_ones() {
    for case in cases() {
        // The one that turns faster as the text grows cannot turn back what it has cached; nor can the reference.
        if case["name"] == "llama dynamic" {
            continue;
        }
        let model = Decoder::of(&case["config"], DType::F64).unwrap();
        let text = [ids(&case["ids"]), vec![4, 9, 2, 30, 0, 1]].concat();
        let whole = model.logits(&row(&text)).unwrap();
        // In pieces of every kind, with less room than they need, so that the cache grows.
        let mut session = model.lm().session(1, 3).unwrap();
        let mut read = 0;
        for n in [1, 2, 5, 1, 1, 7, 1] {
            let logits = session.read(&row(&text[read..read + n])).unwrap();
            read += n;
            let got = logits.to_vec::<f64>().unwrap();
            let expected = whole
                .select(1, read as i64 - 1)
                .unwrap()
                .to_vec::<f64>()
                .unwrap();
            assert!(
                difference(&got, &expected) < 1e-6,
                "{}: after {read}",
                case["name"]
            );
        }
        assert_eq!(read, text.len());
    }
}

#[test]
fn texts_side_by_side_and_reordered_are_read_as_alone() {
    let case = &cases()[3];
    let model = Decoder::of(&case["config"], DType::F64).unwrap();
    let texts = [[1u32, 5, 9, 2], [3, 3, 8, 30]];
    let batch = |at: std::ops::Range<usize>| {
        let all: Vec<i64> = texts
            .iter()
            .flat_map(|t| &t[at.clone()])
            .map(|&id| id.into())
            .collect();
        Tensor::from_vec(all, [2, at.len()]).unwrap()
    };
    let mut session = model.lm().session(2, 8).unwrap();
    session.read(&batch(0..3)).unwrap();
    session.select(&[1, 0, 1]).unwrap();
    let next = Tensor::from_slice(&[30_i64, 2, 7], [3, 1]).unwrap();
    let got = session.read(&next).unwrap();
    for (i, text) in [[3, 3, 8, 30], [1, 5, 9, 2], [3, 3, 8, 7]]
        .iter()
        .enumerate()
    {
        let alone = model.logits(&row(text)).unwrap().select(1, -1).unwrap();
        let got = got.select(0, i as i64).unwrap().to_vec::<f64>().unwrap();
        assert!(
            difference(&got, &alone.to_vec::<f64>().unwrap()) < 1e-6,
            "{i}"
        );
    }
    assert!(session.select(&[3]).is_err());
    assert!(session.read(&batch(0..1)).is_err());
}

fn small() -> GPT2LMHeadModel {
    let config = GPT2Config {
        vocab_size: 9,
        n_positions: 8,
        n_embd: 8,
        n_layer: 1,
        n_head: 2,
        ..GPT2Config::default()
    };
    let mut model = GPT2LMHeadModel::new(&config).unwrap();
    model.eval();
    model
}

#[test]
fn a_rewound_session_goes_on_as_if_it_had_read_nothing_since() -> Result<()> {
    let model = small();
    let (mut straight, mut session) = (model.session(1, 4)?, model.session(1, 4)?);
    straight.read(&row(&[1, 2, 3]))?;
    session.read(&row(&[1, 2, 3]))?;
    for _ in 0..2 {
        session.read(&row(&[7, 8, 4, 4]))?;
        session.rewind(3)?;
    }
    let (got, expected) = (session.read(&row(&[5]))?, straight.read(&row(&[5]))?);
    assert!(got.allclose(&expected, 1e-5, 1e-6, false)?);
    let error = session.rewind(5).unwrap_err().to_string();
    assert!(error.contains("4 tokens were read"), "{error}");
    Ok(())
}

#[test]
fn prompts_that_cannot_be_read_are_refused() {
    let model = small();
    let said = |prompt: &[u32], options: Generation| {
        tokens(&model, prompt, &options).unwrap_err().to_string()
    };
    let plain = Generation::default;
    assert!(said(&[], plain()).contains("empty"));
    assert!(said(&[1, 9], plain()).contains("id 9, and the model knows 9"));
    assert!(said(&[1; 9], plain()).contains("9 tokens, and the model reads 8"));
    assert!(
        said(
            &[1],
            Generation {
                temperature: 0.0,
                ..plain()
            }
        )
        .contains("temperature")
    );
    assert!(
        said(
            &[1],
            Generation {
                top_p: 0.0,
                ..plain()
            }
        )
        .contains("top_p")
    );
    assert!(
        said(
            &[1],
            Generation {
                num_beams: 2,
                ..plain()
            }
        )
        .contains("beam")
    );
    let many = Generation {
        num_beams: 2,
        do_sample: true,
        ..plain()
    };
    assert!(
        beam_search(&model, &[1], &many)
            .unwrap_err()
            .to_string()
            .contains("do_sample")
    );
    // On and on, forgetting the older half.
    let on = Generation {
        max_new_tokens: 30,
        context_shift: true,
        ..plain()
    };
    let long = generate(&model, &[1; 12], &on).unwrap();
    assert_eq!(long.len(), 30);
    assert_eq!(generate(&model, &[1; 12], &on).unwrap(), long);
    // As much as there is room for: the last of nine tokens need not be read.
    assert_eq!(generate(&model, &[1; 6], &plain()).unwrap().len(), 3);
    assert_eq!(
        beam_search(
            &model,
            &[1; 6],
            &Generation {
                num_beams: 2,
                ..plain()
            }
        )
        .unwrap()[0]
            .tokens
            .len(),
        3
    );
    let none = Generation {
        max_new_tokens: 0,
        num_beams: 2,
        ..plain()
    };
    assert!(generate(&model, &[1], &none).unwrap().is_empty());
    let long = Tensor::zeros([1, 9], DType::I64).unwrap();
    assert!(
        model
            .forward(&long)
            .unwrap_err()
            .to_string()
            .contains("n_positions = 8")
    );
    let flat = Tensor::zeros([3], DType::I64).unwrap();
    assert!(
        model
            .forward(&flat)
            .unwrap_err()
            .to_string()
            .contains("(B, T)")
    );
}

#[test]
fn draws_are_the_seeds_and_text_stops_where_it_should() -> Result<()> {
    let model = small();
    let tokenizer = Tokenizer::characters("abcdefghé")?;
    let drawn = |seed| {
        let options = Generation {
            do_sample: true,
            seed,
            max_new_tokens: 7,
            ..Generation::default()
        };
        text(&model, &tokenizer, "a", &options, &[])?.collect::<Result<String>>()
    };
    let (first, other) = (drawn(1)?, drawn(2)?);
    assert_eq!(drawn(1)?, first);
    assert_ne!(other, first);
    assert_eq!(first.chars().count(), 7);
    // Cut before any two characters in a row that it writes, and let through what only begins a stop text.
    let options = Generation {
        do_sample: true,
        seed: 1,
        max_new_tokens: 7,
        ..Generation::default()
    };
    let pair: String = first.chars().skip(3).take(2).collect();
    let stopped: String =
        text(&model, &tokenizer, "a", &options, &[&pair, "zz"])?.collect::<Result<_>>()?;
    assert_eq!(stopped, first[..first.find(&pair).unwrap()]);
    let last: String = first.chars().skip(6).chain(['!']).collect();
    let whole: String =
        text(&model, &tokenizer, "a", &options, &[&last])?.collect::<Result<_>>()?;
    assert_eq!(whole, first);
    assert!(text(&model, &tokenizer, "a", &options, &[""]).is_err());
    assert!(
        text(&model, &tokenizer, "x", &options, &[])
            .unwrap_err()
            .to_string()
            .contains("not in the vocabulary")
    );
    Ok(())
}
