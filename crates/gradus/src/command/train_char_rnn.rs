//! `gradus train char-rnn`: a recurrent network on any text, character by character, in the manner of A. Karpathy's char-rnn.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use gradus_nlp::characters::{CharRnn, CharRnnOptions};
use gradus_nn::optim::Adam;
use gradus_tensor::{Error, Result};

use super::run::{Run, RunArgs};
use super::settings::Settings;
use super::train_text::{Data, Recipe, train};

/// The options of `gradus train char-rnn`.
#[derive(Args, Clone, Default)]
#[command(after_help = EXAMPLES)]
pub struct CharRnnArgs {
    /// The text: a file. The first nine tenths are learnt from, the rest judges.
    #[arg(long, value_name = "FILE", required = true)]
    data: Option<PathBuf>,
    /// The cell: rnn, lstm or gru [lstm].
    #[arg(long, value_name = "NAME", value_parser = ["rnn", "lstm", "gru"])]
    cell: Option<String>,
    /// Layers [2].
    #[arg(long, value_name = "N")]
    layers: Option<u64>,
    /// Numbers in a layer's state [128].
    #[arg(long, value_name = "N")]
    width: Option<u64>,
    /// Characters of a training window [50].
    #[arg(long, value_name = "N")]
    block: Option<u64>,
    /// Share of the numbers that is dropped between layers while it learns [0].
    #[arg(long, value_name = "P")]
    dropout: Option<f64>,
    #[command(flatten)]
    run: RunArgs,
}

const EXAMPLES: &str = "\
Examples:
  gradus train char-rnn --data tinyshakespeare.txt
  gradus train char-rnn --data linux.c --cell gru --layers 3 --width 256 --epochs 40
  gradus generate --weights runs/char-rnn --prompt \"ROMEO:\"

An epoch is 250 steps, each on windows from random places of the text. The recipe is
Adam at a constant rate, gradients held to a norm of 5.

What is saved: config.json, tokenizer.json, last.safetensors (the newest state),
best.safetensors (the best epoch), history.csv, history.svg, tensorboard/.";

pub fn run(args: &CharRnnArgs) -> Result<ExitCode> {
    let given = Settings::default()
        .with("cell", args.cell.clone())
        .with("layers", args.layers)
        .with("width", args.width)
        .with("block", args.block)
        .with("dropout", args.dropout);
    let mut run = Run::begin(&args.run, "train char-rnn", given, |_| {
        Settings::default()
            .with("cell", Some("lstm"))
            .with("layers", Some(2u64))
            .with("width", Some(128u64))
            .with("block", Some(50u64))
            .with("dropout", Some(0.0))
            .with("epochs", Some(8u64))
            .with("batch-size", Some(50u64))
            .with("lr", Some(2e-3))
            .with("clip-norm", Some(5.0))
    })?;
    let path = args
        .data
        .as_deref()
        .ok_or_else(|| Error::value("", "--data is missing"))?;
    let data = Data::read(path, None)?;
    let size = |name: &str| {
        run.settings
            .count(name)
            .map(|n| usize::try_from(n).unwrap_or(usize::MAX))
    };
    let options = CharRnnOptions {
        vocab_size: data.tokenizer.vocab_size(),
        cell: run.settings.text("cell").unwrap_or("lstm").parse()?,
        hidden_size: size("width")?,
        num_layers: size("layers")?,
        dropout: run.settings.rate("dropout").unwrap_or(0.0),
    };
    let block = size("block")?;
    let mut optimizer = Adam::new(run.lr);
    train(
        &mut run,
        &data,
        Recipe {
            name: options.cell.name(),
            model: CharRnn::new(options)?,
            forward: CharRnn::forward,
            config: options.to_json(),
            block,
            optimizer: &mut optimizer,
            schedule: None,
        },
    )
}
