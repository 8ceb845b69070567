//! What `gradus train gpt` and `gradus train char-rnn` share: a text in two parts, what one could guess without a network, how a run
//! is judged, and the text it writes in the end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use gradus_autograd::Var;
use gradus_nlp::generate::{CausalLm, Generation, text};
use gradus_nlp::tokenizers::Tokenizer;
use gradus_nlp::{TextWindows, next_token_loss};
use gradus_nn::Module;
use gradus_nn::optim::Optimizer;
use gradus_nn::schedule::Schedule;
use gradus_tensor::{Error, Result, Tensor};
use gradus_train::progress::{say, thousands};
use gradus_train::{DataLoader, Outcome, evaluate};
use serde_json::Value;

use super::run::{Run, Show};

/// Steps of what the harness calls an epoch: between two looks at the validation text.
pub const STEPS_PER_EPOCH: usize = 250;
/// Windows a batch where nothing is learnt.
const EVAL_BATCH: usize = 64;
/// Windows of the validation text that are looked at after each epoch; in the end it is all of them.
const QUICK_LOOK: usize = 320;

/// The text: nine tenths to learn from, the last tenth to be judged by.
pub struct Data {
    pub tokenizer: Tokenizer,
    train: Arc<Vec<u32>>,
    validation: Arc<Vec<u32>>,
    /// Each token is a character.
    characters: bool,
}

impl Data {
    /// A text file; by characters, or with a tokenizer.
    pub fn read(file: &Path, tokenizer: Option<&Path>) -> Result<Self> {
        let bytes = std::fs::read(file)
            .map_err(|e| Error::io("", format!("cannot read {}: {e}", file.display()), e))?;
        let content = String::from_utf8(bytes)
            .map_err(|_| Error::format("", format!("{} is not UTF-8 text", file.display())))?;
        let characters = tokenizer.is_none();
        let tokenizer = match tokenizer {
            Some(path) => Tokenizer::from_file(path)?,
            None => Tokenizer::characters(&content).map_err(|_| {
                Error::value(
                    "",
                    format!("{} is empty: there is nothing to learn", file.display()),
                )
            })?,
        };
        // Cut by characters, as nanoGPT does, so that the two parts do not depend on the tokenizer.
        let count = content.chars().count();
        let cut = content
            .char_indices()
            .nth(count * 9 / 10)
            .map_or(content.len(), |(at, _)| at);
        let ids = |part: &str| -> Result<Arc<Vec<u32>>> {
            let mut ids = Vec::new();
            for line in part.split_inclusive('\n') {
                ids.extend(
                    tokenizer
                        .encode_ids(line, gradus_nlp::tokenizers::EncodeOptions::ordinary())?,
                );
            }
            Ok(Arc::new(ids))
        };
        let (train, validation) = (ids(&content[..cut])?, ids(&content[cut..])?);
        say(&format!(
            "data    {}: {} tokens of {} kinds to learn from, {} to validate",
            file.display(),
            thousands(train.len() as u64),
            thousands(tokenizer.vocab_size() as u64),
            thousands(validation.len() as u64)
        ));
        Ok(Self {
            tokenizer,
            train,
            validation,
            characters,
        })
    }

    /// Lines on what one gets on the validation text without a network: cross-entropies in nats by token.
    fn baselines(&self) -> Vec<(String, f64)> {
        let v = self.tokenizer.vocab_size() as f64;
        let what = if self.characters {
            "character"
        } else {
            "token"
        };
        let mut lines = vec![
            (format!("all {what}s equally likely"), v.ln()),
            (
                format!("each {what} as often as it is"),
                self.counted(0, 1.0),
            ),
        ];
        if self.characters {
            lines.push((
                "three characters of context, counted, add-one".into(),
                self.counted(3, 1.0),
            ));
            // The best of some, chosen on the very text it is judged by: as good as counting gets.
            let best = [0.02, 0.05, 0.1, 0.2].map(|k| self.counted(3, k));
            let best = best.into_iter().fold(f64::INFINITY, f64::min);
            lines.push(("the same with the smoothing that suits best".into(), best));
        }
        lines
    }

    /// The cross-entropy of counts: how often a token followed the `context` before it, with `more` added to each count.
    fn counted(&self, context: usize, more: f64) -> f64 {
        let mut counts: HashMap<&[u32], f64> = HashMap::new();
        let mut totals: HashMap<&[u32], f64> = HashMap::new();
        for window in self.train.windows(context + 1) {
            *counts.entry(window).or_default() += 1.0;
            *totals.entry(&window[..context]).or_default() += 1.0;
        }
        let v = self.tokenizer.vocab_size() as f64;
        let windows = self.validation.windows(context + 1);
        let n = windows.len().max(1);
        let log = |window: &[u32]| {
            let count = counts.get(window).copied().unwrap_or(0.0);
            let total = totals.get(&window[..context]).copied().unwrap_or(0.0);
            ((count + more) / (total + more * v)).ln()
        };
        -windows.map(log).sum::<f64>() / n as f64
    }
}

/// A model that maps ids (B, T) to logits (B, T, V), how it is described, and how it is trained.
pub struct Recipe<'a, M> {
    pub name: &'static str,
    pub model: M,
    pub forward: fn(&M, &Tensor) -> Result<Var>,
    /// Its `config.json`.
    pub config: Value,
    pub block: usize,
    pub optimizer: &'a mut dyn Optimizer,
    pub schedule: Option<Box<dyn Schedule>>,
}

/// Trains, judges, writes.
pub fn train<M: Module + CausalLm>(
    run: &mut Run,
    data: &Data,
    recipe: Recipe<M>,
) -> Result<ExitCode> {
    let Recipe {
        name,
        mut model,
        forward,
        config,
        block,
        optimizer,
        schedule,
    } = recipe;
    let parameters = thousands(model.num_params() as u64);
    say(&format!("model   {name}: {parameters} parameters"));
    run.introduce();
    // What `gradus generate` needs beside the weights.
    save(&run.out, "config.json", &format!("{config:#}\n"))?;
    data.tokenizer.save(&run.out)?;

    let samples = STEPS_PER_EPOCH.saturating_mul(run.batch_size);
    let train = TextWindows::at_random(Arc::clone(&data.train), block, samples)?;
    let train = DataLoader::new(train, run.batch_size)?.seed(run.seed);
    let whole = TextWindows::in_order(Arc::clone(&data.validation), block)?;
    let chosen = spread(gradus_train::Dataset::len(&whole), QUICK_LOOK);
    let quick = DataLoader::new(
        gradus_train::Subset::new(whole.clone(), chosen)?,
        EVAL_BATCH,
    )?;
    let device = run.device;
    let task = |model: &M, (x, y): &(Tensor, Tensor)| -> Result<Outcome> {
        let (x, y) = (&x.to_device(&device)?, &y.to_device(&device)?);
        Ok(Outcome {
            loss: next_token_loss(&forward(model, x)?, y)?,
            correct: None,
            samples: x.dims()[0] as u64,
        })
    };
    let checkpoint = run.train(
        &Show {
            noun: "texts",
            title: &format!(
                "{name} on {} characters",
                thousands(data.train.len() as u64)
            ),
        },
        &[(super::train_digits::MODEL_KEY, name)],
        &mut model,
        (optimizer, schedule),
        &task,
        &train,
        Some(&quick),
    )?;
    let Some(checkpoint) = checkpoint else {
        return Ok(Run::interrupted());
    };
    let loss = evaluate(&mut model, &task, &DataLoader::new(whole, EVAL_BATCH)?)?
        .loss
        .mean();
    model.eval();
    say(&format!(
        "\nwhat it writes:\n{}\n",
        write(&model, &data.tokenizer, run.seed)?
    ));
    run.farewell(&checkpoint);
    say("\nnats by token on the validation text, none of which was learnt from:");
    for (what, loss) in data.baselines() {
        say(&format!("  {loss:.4}  {what}"));
    }
    say(&format!("validation loss: {loss:.4}"));
    Ok(ExitCode::SUCCESS)
}

/// `k` of `n` numbers, evenly spread.
fn spread(n: usize, k: usize) -> Vec<usize> {
    let k = k.min(n);
    (0..k).map(|i| i * n / k).collect()
}

/// A sample: what follows a new line.
fn write(model: &dyn CausalLm, tokenizer: &Tokenizer, seed: u64) -> Result<String> {
    let options = Generation {
        max_new_tokens: 400,
        do_sample: true,
        top_k: 200,
        temperature: 0.8,
        context_shift: true,
        seed,
        ..Generation::default()
    };
    let start = if tokenizer.encode("\n").is_ok_and(|ids| !ids.ids.is_empty()) {
        "\n".to_owned()
    } else {
        tokenizer.token(0).unwrap_or_default()
    };
    text(model, tokenizer, &start, &options, &[])?.collect()
}

fn save(folder: &Path, name: &str, content: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, content))
        .map_err(|e| Error::io("", format!("cannot write {}: {e}", path.display()), e))?;
    Ok(path)
}
