//! Sentences through the real all-MiniLM-L6-v2 (`get.sh minilm`), against the values of transformers in both precisions.

use std::path::Path;

use gradus_autograd::no_grad;
use gradus_nlp::models::SentenceEncoder;
use gradus_nn::Module;
use gradus_tensor::{DType, Tensor};
use serde::Deserialize;

use super::compare::numbers;
use super::manifest::{Vectors, tensor};
use super::report::{FileReport, Verdict};
use super::tokenizers::minilm;

#[derive(Deserialize)]
struct Sentences {
    sentences: Vec<String>,
    n_tokens: Vec<usize>,
}

/// Runs `minilm_embed.json`: every sentence in f64 to 1e-9 and in f32 to 1e-6, and two sentences' states.
pub fn run(vectors: &Vectors) -> Result<FileReport, String> {
    let Sentences {
        sentences,
        n_tokens,
    } = vectors.json("minilm_embed")?;
    let tensors = vectors.tensors("minilm_embed")?;
    let mut report = FileReport::new("minilm_embed");
    let folder = match minilm() {
        Ok(file) => file.parent().unwrap_or(Path::new(".")).to_owned(),
        Err(missing) => {
            report.add("minilm", "minilm", Verdict::Unsupported(missing));
            return Ok(report);
        }
    };
    let said = |e: gradus_tensor::Error| e.to_string();
    let mut encoder = SentenceEncoder::from_pretrained(&folder).map_err(said)?;
    for (dtype, key, most) in [(DType::F64, "emb_f64", 1e-9), (DType::F32, "emb_f32", 1e-6)] {
        encoder.to_dtype(dtype).map_err(said)?;
        let expected = tensor(&tensors, key)?;
        let embedded = encoder.embed(&sentences, 8).map_err(said)?; // (N, C)
        for i in 0..sentences.len() {
            let row = |x: &Tensor| x.select(0, i as i64).map_err(said);
            let verdict = near(&row(&embedded)?, &row(expected)?, most);
            report.add(key, &format!("{key} {i}"), verdict);
        }
    }
    encoder.to_dtype(DType::F64).map_err(said)?;
    for (i, key) in ["hidden0", "hidden1"].into_iter().enumerate() {
        let states = no_grad(|| encoder.states(&sentences[i..=i])).map_err(said)?; // (1, T, C)
        let states = states.value().select(0, 0).map_err(said)?;
        let verdict = match states.dims().first() {
            Some(&t) if t == n_tokens[i] => near(&states, tensor(&tensors, key)?, 1e-8),
            _ => Verdict::Failed(format!("states {}", states.shape())),
        };
        report.add("states", key, verdict);
    }
    Ok(report)
}

fn near(got: &Tensor, expected: &Tensor, most: f64) -> Verdict {
    let numbers = |x: &Tensor| numbers(x);
    let (got, expected) = match (numbers(got), numbers(expected)) {
        (Ok(got), Ok(expected)) if got.len() == expected.len() => (got, expected),
        _ => return Verdict::Failed("another shape".into()),
    };
    let worst = got
        .iter()
        .zip(&expected)
        .map(|(a, e)| {
            if a.is_nan() {
                f64::INFINITY
            } else {
                (a - e).abs()
            }
        })
        .fold(0.0, f64::max);
    if worst <= most {
        Verdict::Passed
    } else {
        Verdict::Failed(format!("off by {worst:.1e}"))
    }
}
