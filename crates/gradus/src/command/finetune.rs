//! `gradus finetune`: which command fine-tunes what.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser as _, Subcommand};
use gradus_tensor::Result;
use gradus_vision::models;

use super::Cli;
use super::finetune_images::{self, EXAMPLES, FinetuneImagesArgs};
use super::finetune_text::{self, FinetuneTextArgs};

/// What to fine-tune: `bert`, or a network of torchvision's by its name.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct FinetuneArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// An encoder of text (BERT, MiniLM, RoBERTa, DistilBERT) learns to put texts into classes.
    Bert(Box<FinetuneTextArgs>),
    #[command(external_subcommand)]
    Other(Vec<String>),
}

pub fn run(args: &FinetuneArgs) -> Result<ExitCode> {
    let words = match &args.what {
        What::Bert(args) => return finetune_text::run(args),
        What::Other(words) => words,
    };
    let name = words.first().map_or("", String::as_str);
    if models::names().contains(&finetune_images::network(name)) {
        let words = std::iter::once("gradus finetune").chain(words.iter().map(String::as_str));
        return finetune_images::run(&FinetuneImagesArgs::parse_from(words));
    }
    let text = format!(
        "nothing to fine-tune is called {name:?}; there are bert, {}\n",
        models::names().join(", ")
    );
    Cli::command()
        .error(clap::error::ErrorKind::InvalidSubcommand, text)
        .exit()
}
