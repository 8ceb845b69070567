//! `gradus train gpt`: a small GPT on any text, by characters or with a tokenizer, in nanoGPT's manner.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use gradus_nlp::models::{GPT2Config, GPT2LMHeadModel, Pretrained as _};
use gradus_nn::optim::{AdamW, AdamWOptions};
use gradus_nn::schedule::LambdaLR;
use gradus_tensor::{Error, Result};

use super::run::{Run, RunArgs};
use super::settings::Settings;
use super::train_text::{Data, Recipe, STEPS_PER_EPOCH, train};

/// The options of `gradus train gpt`.
#[derive(Args, Clone, Default)]
#[command(after_help = EXAMPLES)]
pub struct GptArgs {
    /// The text: a file. The first nine tenths are learnt from, the rest judges.
    #[arg(long, value_name = "FILE", required = true)]
    data: Option<PathBuf>,
    /// nanoGPT's small recipe for a CPU, to the letter: 4 layers, 4 heads, 128 wide, 64 characters, batches of 12, 2000 steps.
    #[arg(long, conflicts_with_all = ["layers", "heads", "width", "block", "dropout", "epochs", "batch_size", "lr", "clip_norm"])]
    nanogpt_cpu: bool,
    /// Tokens of this tokenizer (a file or folder) instead of characters.
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<PathBuf>,
    /// Layers [4].
    #[arg(long, value_name = "N")]
    layers: Option<u64>,
    /// Heads of each layer [4].
    #[arg(long, value_name = "N")]
    heads: Option<u64>,
    /// Numbers that stand for a token; the heads divide them [128].
    #[arg(long, value_name = "N")]
    width: Option<u64>,
    /// Tokens the model sees at once [64].
    #[arg(long, value_name = "N")]
    block: Option<u64>,
    /// Share of the numbers that is dropped while it learns [0].
    #[arg(long, value_name = "P")]
    dropout: Option<f64>,
    #[command(flatten)]
    run: RunArgs,
}

const EXAMPLES: &str = "\
Examples:
  gradus train gpt --data tinyshakespeare.txt --nanogpt-cpu
      a few minutes on a laptop, and it writes something like Shakespeare
  gradus train gpt --data novel.txt --layers 6 --width 192 --heads 6 --block 128 --epochs 20
      larger, longer
  gradus train gpt --data novel.txt --tokenizer gpt2/
      by GPT-2's tokens rather than by characters
  gradus generate --weights runs/gpt --prompt \"ROMEO:\"
      let it write

An epoch is 250 steps, each on windows from random places of the text. The recipe is
AdamW (β 0.9, 0.99, decay 0.1 of matrices), the learning rate up to its peak in 100
steps and down to a tenth along a cosine, gradients held to a norm of 1.

What is saved: config.json and tokenizer.json as Hugging Face has them,
last.safetensors (the newest state), best.safetensors (the best epoch), history.csv,
history.svg, tensorboard/.";

pub fn run(args: &GptArgs) -> Result<ExitCode> {
    let given = Settings::default()
        .with_flag("nanogpt-cpu", args.nanogpt_cpu)
        .with("layers", args.layers)
        .with("heads", args.heads)
        .with("width", args.width)
        .with("block", args.block)
        .with("dropout", args.dropout);
    let mut run = Run::begin(&args.run, "train gpt", given, |_| {
        // nanoGPT's recipe for a CPU is the recipe, so the flag says no more than that nothing else is said.
        Settings::default()
            .with("layers", Some(4u64))
            .with("heads", Some(4u64))
            .with("width", Some(128u64))
            .with("block", Some(64u64))
            .with("dropout", Some(0.0))
            .with("epochs", Some(8u64))
            .with("batch-size", Some(12u64))
            .with("lr", Some(1e-3))
            .with("clip-norm", Some(1.0))
    })?;
    let path = args
        .data
        .as_deref()
        .ok_or_else(|| Error::value("", "--data is missing"))?;
    let data = Data::read(path, args.tokenizer.as_deref())?;
    let size = |name: &str| {
        run.settings
            .count(name)
            .map(|n| usize::try_from(n).unwrap_or(usize::MAX))
    };
    let dropout = run.settings.rate("dropout").unwrap_or(0.0);
    if !(0.0..1.0).contains(&dropout) {
        return Err(Error::value(
            "",
            format!("--dropout {dropout} must be 0 or more and below 1"),
        ));
    }
    let (layers, block) = (size("layers")?, size("block")?);
    let config = GPT2Config {
        vocab_size: data.tokenizer.vocab_size(),
        n_positions: block,
        n_embd: size("width")?,
        n_layer: layers,
        n_head: size("heads")?,
        resid_pdrop: dropout,
        embd_pdrop: dropout,
        attn_pdrop: dropout,
        activation_function: gradus_nlp::models::Activation::Gelu,
        bias: false,
        eos_token_id: Vec::new(),
        ..GPT2Config::default()
    };
    let model = GPT2LMHeadModel::new(&config)?;
    let options = AdamWOptions {
        lr: run.lr,
        betas: (0.9, 0.99),
        weight_decay: 0.1,
        ..AdamWOptions::default()
    };
    let gains = AdamWOptions {
        weight_decay: 0.0,
        ..options.clone()
    };
    // Matrices and tables are decayed; gains of norms are not.
    let mut optimizer =
        AdamW::with(options).group_where(|_, param| param.shape().rank() < 2, gains);
    let steps = run.epochs as usize * STEPS_PER_EPOCH;
    let name = "gpt";
    train(
        &mut run,
        &data,
        Recipe {
            name,
            model,
            forward: GPT2LMHeadModel::forward,
            config: config.to_json(),
            block,
            optimizer: &mut optimizer,
            schedule: Some(Box::new(LambdaLR(move |step| rate(step, steps)))),
        },
    )
}

/// The learning rate as a share of its peak: up along a line in 100 steps, down to a tenth along half a cosine.
fn rate(step: usize, steps: usize) -> f64 {
    const WARMUP: usize = 100;
    if step < WARMUP {
        return (step + 1) as f64 / (WARMUP + 1) as f64;
    }
    let done = (step - WARMUP) as f64 / steps.saturating_sub(WARMUP).max(1) as f64;
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos());
    0.1 + 0.9 * cosine
}
