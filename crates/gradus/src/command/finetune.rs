//! `gradus finetune`: which command fine-tunes what.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use gradus_tensor::Result;

use super::finetune_text::{self, FinetuneTextArgs};

/// What to fine-tune.
#[derive(Args)]
pub struct FinetuneArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// An encoder of text (BERT, MiniLM, RoBERTa, DistilBERT) learns to put texts into classes.
    Bert(Box<FinetuneTextArgs>),
}

pub fn run(args: &FinetuneArgs) -> Result<ExitCode> {
    match &args.what {
        What::Bert(args) => finetune_text::run(args),
    }
}
