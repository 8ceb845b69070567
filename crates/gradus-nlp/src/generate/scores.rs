//! Scores between the model and the choice: what is changed in them, in Hugging Face's order, and the draw.

use std::cmp::Ordering;

use gradus_tensor::random::Rng;
use gradus_tensor::{DType, Error, Result, Tensor};

use super::Generation;

/// Logits (B, V) as numbers, text after text.
pub(super) fn rows(logits: &Tensor) -> Result<Vec<f32>> {
    logits.to_dtype(DType::F32)?.to_vec::<f32>()
}

/// What goes for greedy search, beams and draws alike: repetition, and no end too soon.
pub(super) fn process(scores: &mut [f32], seen: &[u32], new: usize, options: &Generation) {
    repetition(scores, seen, options.repetition_penalty as f32);
    if new < options.min_new_tokens {
        for &id in &options.eos_token_id {
            if let Some(score) = scores.get_mut(id as usize) {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}

/// Positive scores of tokens that have been there are divided by the penalty, negative ones multiplied.
fn repetition(scores: &mut [f32], seen: &[u32], penalty: f32) {
    if penalty == 1.0 {
        return;
    }
    let mut seen = seen.to_vec();
    seen.sort_unstable();
    seen.dedup(); // once, however often it has been there
    for id in seen {
        if let Some(score) = scores.get_mut(id as usize) {
            *score = if *score < 0.0 {
                *score * penalty
            } else {
                *score / penalty
            };
        }
    }
}

/// What goes for draws only: temperature, then the likeliest k, then the likeliest that have p together.
fn warp(scores: &mut [f32], options: &Generation) {
    for score in scores.iter_mut() {
        *score /= options.temperature as f32;
    }
    if options.top_k > 0 && options.top_k < scores.len() {
        let mut sorted = scores.to_vec();
        let (_, &mut least, _) = sorted.select_nth_unstable_by(options.top_k - 1, descending);
        hide(scores, |score| score < least);
    }
    if options.top_p < 1.0 {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| descending(&scores[a], &scores[b]));
        let probabilities = softmax(scores);
        let mut before = 0.0;
        for id in order {
            if before >= options.top_p {
                scores[id] = f32::NEG_INFINITY;
            }
            before += probabilities[id];
        }
    }
}

fn hide(scores: &mut [f32], out: impl Fn(f32) -> bool) {
    for score in scores {
        if out(*score) {
            *score = f32::NEG_INFINITY;
        }
    }
}

/// Greatest first; NaN last.
fn descending(a: &f32, b: &f32) -> Ordering {
    b.partial_cmp(a)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Probabilities, in f64.
fn softmax(scores: &[f32]) -> Vec<f64> {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp = scores.iter().map(|&score| f64::from(score - most).exp());
    let mut p: Vec<f64> = exp.collect();
    let sum: f64 = p.iter().sum();
    p.iter_mut().for_each(|p| *p /= sum);
    p
}

/// Logarithms of probabilities.
pub(super) fn log_softmax(scores: &mut [f32]) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp = scores.iter().map(|&score| f64::from(score - most).exp());
    let log = exp.sum::<f64>().ln() as f32;
    scores
        .iter_mut()
        .for_each(|score| *score = *score - most - log);
}

/// The next token of one text.
pub(super) fn choose(scores: &mut [f32], options: &Generation, rng: &mut Rng) -> Result<u32> {
    if scores.iter().any(|score| score.is_nan()) {
        let message = "the model gives NaN where a score should be; are the weights whole?";
        return Err(Error::value("generate", message));
    }
    if !options.do_sample {
        return Ok(argmax(scores));
    }
    warp(scores, options);
    let p = softmax(scores);
    let mut left = rng.next_f64();
    for (id, p) in p.iter().enumerate() {
        left -= p;
        if left < 0.0 && *p > 0.0 {
            return Ok(id as u32);
        }
    }
    Ok(argmax(scores)) // rounding
}

/// The first of the greatest.
fn argmax(scores: &[f32]) -> u32 {
    let mut best = 0;
    for (id, &score) in scores.iter().enumerate() {
        if score > scores[best] {
            best = id;
        }
    }
    best as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const O: f32 = f32::NEG_INFINITY;

    #[test]
    fn scores_are_changed_as_in_the_reference() {
        // Values of transformers' TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper and RepetitionPenaltyLogitsProcessor.
        let scores = [1.0, 3.0, -1.0, 2.0, 3.0];
        let sampled = |options: Generation| {
            let mut scores = scores;
            warp(&mut scores, &options);
            scores
        };
        let all = Generation {
            top_k: 0,
            ..Generation::default()
        };
        assert_eq!(
            sampled(Generation {
                temperature: 2.0,
                ..all.clone()
            }),
            [0.5, 1.5, -0.5, 1.0, 1.5]
        );
        assert_eq!(
            sampled(Generation {
                top_k: 3,
                ..all.clone()
            }),
            [O, 3.0, O, 2.0, 3.0]
        );
        assert_eq!(
            sampled(Generation {
                top_k: 1,
                ..all.clone()
            }),
            [O, 3.0, O, O, 3.0]
        ); // a tie stays
        assert_eq!(
            sampled(Generation {
                top_p: 0.5,
                ..all.clone()
            }),
            [O, 3.0, O, O, 3.0]
        );
        assert_eq!(
            sampled(Generation {
                top_p: 0.9,
                ..all.clone()
            }),
            [O, 3.0, O, 2.0, 3.0]
        );
        assert_eq!(
            sampled(Generation {
                top_p: 1e-9,
                ..all.clone()
            }),
            [O, 3.0, O, O, O]
        );
        let mut repeated = scores;
        process(
            &mut repeated,
            &[2, 1, 1, 2],
            0,
            &Generation {
                repetition_penalty: 2.0,
                ..all.clone()
            },
        );
        assert_eq!(repeated, [1.0, 1.5, -2.0, 2.0, 3.0]);
        let mut kept = scores;
        let options = Generation {
            min_new_tokens: 2,
            eos_token_id: vec![4, 99],
            ..all
        };
        process(&mut kept, &[], 1, &options);
        assert_eq!(kept, [1.0, 3.0, -1.0, 2.0, O]);
        process(&mut kept, &[], 2, &options);
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let options = Generation {
            do_sample: true,
            top_k: 0,
            ..Generation::default()
        };
        let mut rng = Rng::new(5);
        let mut counts = [0; 3];
        for _ in 0..4000 {
            let mut scores = [0.0, 3f32.ln(), O];
            counts[choose(&mut scores, &options, &mut rng).unwrap() as usize] += 1;
        }
        assert_eq!(counts[2], 0);
        assert!((900..1100).contains(&counts[0]), "{counts:?}");
        let nan = choose(&mut [0.0, f32::NAN], &options, &mut rng).unwrap_err();
        assert!(nan.to_string().contains("NaN"));
    }

    #[test]
    fn log_probabilities_sum_to_one() {
        let mut scores = [1000.0, 1001.0, O];
        log_softmax(&mut scores);
        assert!((f64::from(scores[0]).exp() + f64::from(scores[1]).exp() - 1.0).abs() < 1e-6);
        assert_eq!(scores[2], O);
    }
}
