//! `gradus train`: which command trains what.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser as _, Subcommand};
use gradus_tensor::Result;
use gradus_vision::models;

use super::Cli;
use super::train_char_rnn::{self, CharRnnArgs};
use super::train_digits::{self, DigitArgs, EXAMPLES};
use super::train_gpt::{self, GptArgs};
use super::train_images::{self, TrainImagesArgs};

/// What to train; the digits where nothing is said.
#[derive(Args, Default)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct TrainArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    digits: DigitArgs,
}

#[derive(Subcommand)]
enum What {
    /// Handwritten digits (the default).
    Mnist(DigitArgs),
    /// Clothes, as large and as many as the digits; needs --data or GRADUS_DATA.
    FashionMnist(DigitArgs),
    /// A small GPT, on any text.
    Gpt(GptArgs),
    /// A recurrent network, on any text, character by character.
    CharRnn(CharRnnArgs),
    #[command(external_subcommand)]
    Other(Vec<String>),
}

pub fn run(args: &TrainArgs) -> Result<ExitCode> {
    match &args.what {
        None => train_digits::run("mnist", &args.digits),
        Some(What::Mnist(digits)) => train_digits::run("mnist", digits),
        Some(What::FashionMnist(digits)) => train_digits::run("fashion-mnist", digits),
        Some(What::Gpt(gpt)) => train_gpt::run(gpt),
        Some(What::CharRnn(rnn)) => train_char_rnn::run(rnn),
        Some(What::Other(words)) if models::names().contains(&words[0].as_str()) => {
            let words = std::iter::once("gradus train").chain(words.iter().map(String::as_str));
            train_images::run(&TrainImagesArgs::parse_from(words))
        }
        Some(What::Other(words)) => {
            let text = format!(
                "nothing to train is called {:?}; there are mnist, fashion-mnist, gpt, char-rnn, and for pictures {}\n",
                words[0],
                models::names().join(", ")
            );
            Cli::command()
                .error(clap::error::ErrorKind::InvalidSubcommand, text)
                .exit()
        }
    }
}
