//! Beam search: several texts are kept going, and the best that ends is given. Step by step as Hugging Face's `_beam_search`, down to
//! f32 and to which candidates count, so that the same model gives the same texts.

use gradus_tensor::{Error, Result};

use super::options::EarlyStopping;
use super::scores::{log_softmax, process, rows};
use super::tokens::{check, ids, room};
use super::{CausalLm, Generation};

/// Far below any score of a text that is still in the race.
const OUT: f32 = -1e9;

/// A text that beam search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Beam {
    /// What follows the prompt, with the id that ends it, if one does.
    pub tokens: Vec<u32>,
    /// The sum of the logarithms of its tokens' probabilities, divided by length^`length_penalty`.
    pub score: f64,
}

/// A text that is still being written, or one that has ended (or a place for one).
#[derive(Clone)]
struct Hypothesis {
    tokens: Vec<u32>,
    score: f32,
    ended: bool,
}

/// Text `beam` of those going, with one more token.
#[derive(Clone, Copy)]
struct Candidate {
    score: f32,
    beam: usize,
    token: u32,
    ends: bool,
}

/// The best texts that follow `prompt`, best first: at most `num_beams`, at least one.
///
/// ```
/// use gradus_nlp::generate::{Generation, beam_search};
/// use gradus_nlp::models::{GPT2Config, GPT2LMHeadModel, Pretrained};
/// use gradus_nn::Module;
/// let config = GPT2Config { vocab_size: 9, n_positions: 8, n_embd: 8, n_layer: 1, n_head: 2, ..GPT2Config::default() };
/// let mut model = GPT2LMHeadModel::new(&config)?;
/// model.eval();
/// let options = Generation { max_new_tokens: 4, num_beams: 3, ..Generation::default() };
/// let beams = beam_search(&model, &[1, 2], &options)?;
/// assert!(beams[0].score >= beams[1].score && beams[0].tokens.len() == 4);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`tokens`](super::tokens), and when the vocabulary is too small for so many beams.
pub fn beam_search(
    model: &dyn CausalLm,
    prompt: &[u32],
    options: &Generation,
) -> Result<Vec<Beam>> {
    let len = check(model, prompt, options)?;
    let (beams, v) = (options.num_beams, model.vocab_size());
    // So many that enough go on even if all of the best end.
    let keep = (1 + options.eos_token_id.len())
        .max(2)
        .saturating_mul(beams);
    if keep > beams.saturating_mul(v) {
        let message = format!("a vocabulary of {v} is too small for {beams} beams");
        return Err(Error::value("beam_search", message));
    }
    let most = room(model, len, options);
    let mut session = model.session(1, len.saturating_add(most))?;
    // All start alike; only the first counts, or all would go the same way.
    let start = |score| Hypothesis {
        tokens: Vec::new(),
        score,
        ended: false,
    };
    let mut running = vec![start(OUT); beams];
    running[0].score = 0.0;
    let mut ended = vec![start(OUT); beams];
    let mut better_is_possible = true;
    for new in 0..most {
        let mut scores = if new == 0 {
            let row = rows(&session.read(&ids(prompt, 1)?)?)?; // (V)
            session.select(&vec![0; beams])?;
            row.repeat(beams)
        } else {
            let last: Vec<u32> = running
                .iter()
                .filter_map(|text| text.tokens.last().copied())
                .collect();
            rows(&session.read(&ids(&last, beams)?)?)? // (beams, V)
        };
        for (row, text) in scores.chunks_exact_mut(v).zip(&running) {
            if row.iter().any(|score| score.is_nan()) {
                let message = "the model gives NaN where a score should be; are the weights whole?";
                return Err(Error::value("beam_search", message));
            }
            log_softmax(row);
            let seen = [prompt, &text.tokens].concat();
            process(row, &seen, new, options);
            row.iter_mut().for_each(|score| *score += text.score);
        }
        let candidate = |at: usize| {
            let token = (at % v) as u32;
            Candidate {
                score: scores[at],
                beam: at / v,
                token,
                ends: new + 1 == most || options.eos_token_id.contains(&token),
            }
        };
        let best: Vec<Candidate> = top(scores.len(), keep, |at| scores[at])
            .into_iter()
            .map(candidate)
            .collect();
        let text = |c: &Candidate, score, ended| Hypothesis {
            tokens: [&running[c.beam].tokens[..], &[c.token]].concat(),
            score,
            ended,
        };

        // Those that go on.
        let onward = |c: &Candidate| if c.ends { c.score + OUT } else { c.score };
        let next = top(best.len(), beams, |at| onward(&best[at]));
        let order: Vec<usize> = next.iter().map(|&at| best[at].beam).collect();
        let goes_on: Vec<Hypothesis> = next
            .iter()
            .map(|&at| text(&best[at], onward(&best[at]), false))
            .collect();

        // Those that ended: only where they are among the best, and not when all places are taken for good.
        let full =
            options.early_stopping == EarlyStopping::AtOnce && ended.iter().all(|text| text.ended);
        let penalty = ((new + 1) as f64).powf(options.length_penalty) as f32;
        let mut merged = ended;
        for (place, c) in best.iter().enumerate() {
            let just_ended = c.ends && place < beams;
            let mut score = c.score / penalty;
            for out in [full, !better_is_possible, !just_ended] {
                if out {
                    score += OUT;
                }
            }
            merged.push(text(c, score, just_ended));
        }
        let places = top(merged.len(), beams, |at| merged[at].score);
        ended = places.into_iter().map(|at| merged[at].clone()).collect();
        running = goes_on;

        better_is_possible &= can_improve(&running, &ended, new + 1, most, options);
        let open =
            options.early_stopping != EarlyStopping::AtOnce || !ended.iter().all(|text| text.ended);
        if !better_is_possible || !open || best.iter().all(|c| c.ends) {
            break;
        }
        session.select(&order)?;
    }
    let mut found: Vec<Beam> = ended
        .into_iter()
        .filter(|text| text.ended)
        .map(|text| Beam {
            tokens: text.tokens,
            score: f64::from(text.score),
        })
        .collect();
    if found.is_empty() {
        // No room for a single token.
        found.push(Beam {
            tokens: Vec::new(),
            score: 0.0,
        });
    }
    Ok(found)
}

/// Can the best text that still goes on become better than the worst that has ended?
fn can_improve(
    running: &[Hypothesis],
    ended: &[Hypothesis],
    new: usize,
    most: usize,
    options: &Generation,
) -> bool {
    let never = options.early_stopping == EarlyStopping::Never && options.length_penalty > 0.0;
    let length = if never { most } else { new };
    let best = running[0].score / (length as f64).powf(options.length_penalty) as f32;
    let worst = ended
        .iter()
        .map(|text| text.score)
        .fold(f32::INFINITY, f32::min);
    // A place that is not taken can be improved upon by anything.
    ended
        .iter()
        .any(|text| best > if text.ended { worst } else { OUT })
}

/// Where the k greatest of n scores are, greatest first; of equals the first.
fn top(n: usize, k: usize, score: impl Fn(usize) -> f32) -> Vec<usize> {
    let before = |a: &usize, b: &usize| score(*b).total_cmp(&score(*a)).then(a.cmp(b));
    let mut order: Vec<usize> = (0..n).collect();
    if k < n {
        order.select_nth_unstable_by(k, before);
        order.truncate(k);
    }
    order.sort_unstable_by(before);
    order
}
