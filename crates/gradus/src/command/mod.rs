//! The command line: its words, their help, and where each goes.

mod devices;
mod embed;
mod eval;
mod finetune;
mod finetune_text;
mod info;
mod predict;
mod run;
mod settings;
mod tokenize;
mod train;
mod train_digits;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use gradus_tensor::{Error, Result};

pub use embed::EmbedArgs;
pub use finetune::FinetuneArgs;
pub use tokenize::TokenizeArgs;
pub use train::TrainArgs;

/// A deep-learning framework written from scratch in Rust.
///
/// Without a command it trains a network on real handwritten digits, which are inside the program: nothing to download,
/// nothing to set up. About half a minute later there is a checkpoint, a picture of the training, and a test accuracy.
#[derive(Parser)]
#[command(name = "gradus", version, max_term_width = 110, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  gradus                                   train on the digits inside the program
  gradus train mnist --epochs 20 --seed 7  the same, longer, from another seed
  gradus train mnist --resume              go on where the last run was stopped
  gradus predict runs/mnist digit.png      which digit is it?
  gradus info runs/mnist                   what is in the checkpoint?

`gradus help train` explains every option.
GRADUS_DATA=DIR, a folder with mnist/*.gz in it, gives --full all 60,000 digits.";

#[derive(Subcommand)]
enum Command {
    /// Train a model and save it.
    ///
    /// Every epoch prints a line. At the end come the table of which class was taken for which, where the checkpoint and the
    /// picture of the training are, and the accuracy on test images the network has never seen. Ctrl-C saves and leaves;
    /// --resume goes on from there and ends with the very same bits as a run that was never stopped.
    Train(Box<TrainArgs>),
    /// Measure a saved model's accuracy.
    ///
    /// Prints which class was taken for which; the last line is `accuracy: NN.NN %`.
    Eval(EvalArgs),
    /// Say which class pictures show.
    ///
    /// For each picture the three likeliest classes and how sure the model is. Pictures are PNG or JPEG, of any size, dark on
    /// light or light on dark; the digit in them is found, scaled and centred.
    Predict(PredictArgs),
    /// List what is in a weights file: tensors, shapes, dtypes, parameters.
    Info(InfoArgs),
    /// Cut texts into tokens, put ids together to text, or learn a vocabulary.
    ///
    /// For each text the tokens with their ids and where they lie. Vocabularies of BERT, GPT-2, tiktoken and Hugging Face are
    /// read as they are.
    Tokenize(TokenizeArgs),
    /// Turn sentences into vectors and compare their meanings.
    ///
    /// Without more it prints how near each sentence is to each other; a question puts the lines of a file in order of how near they
    /// are to it.
    Embed(EmbedArgs),
    /// Let a model that has learnt elsewhere learn from one's own data.
    Finetune(FinetuneArgs),
    /// Show what the computations run on.
    Devices,
}

/// The options of `gradus eval`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gradus eval --weights runs/mnist/best.safetensors
  gradus eval --weights runs/mnist/last.safetensors --data ~/mnist --split train
  gradus eval --model article --weights from_elsewhere.safetensors --data ~/mnist")]
pub struct EvalArgs {
    /// The network; a checkpoint made by `gradus train` says it itself.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The weights: a checkpoint (or its folder), or any safetensors file with the network's names.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The folder of the IDX files (t10k-images-idx3-ubyte.gz, …); without it, the 2,000 test digits inside the program.
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Which part of the data: `test` or `train`.
    #[arg(long, value_name = "PART", default_value = "test", value_parser = ["test", "train"])]
    split: String,
    /// Threads to compute with; by default as many as there are cores. The result does not depend on it.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// The options of `gradus predict`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gradus predict runs/mnist seven.png
  gradus predict runs/mnist/best.safetensors scans/*.jpg")]
pub struct PredictArgs {
    /// A checkpoint made by `gradus train`, or the folder of one.
    #[arg(value_name = "CHECKPOINT")]
    checkpoint: PathBuf,
    /// The pictures.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Show each digit as the network sees it.
    #[arg(long)]
    show: bool,
}

/// The options of `gradus info`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gradus info runs/mnist
  gradus info model.safetensors")]
pub struct InfoArgs {
    /// A safetensors file, or the folder of a run.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Also list what only the trainer needs (the optimiser's memory, the history).
    #[arg(long)]
    all: bool,
}

/// Does what the command line says.
pub fn run(cli: Cli) -> Result<ExitCode> {
    if let Some(Command::Devices) = cli.command {
        return devices::run();
    }
    // A bad GRADUS_ISA is an error before anything else happens.
    gradus_simd::init().map_err(|e| Error::value("", e.to_string()))?;
    match cli.command {
        None => train::run(&TrainArgs::default()),
        Some(Command::Train(args)) => train::run(&args),
        Some(Command::Eval(args)) => eval::run(&args),
        Some(Command::Predict(args)) => predict::run(&args),
        Some(Command::Info(args)) => info::run(&args),
        Some(Command::Tokenize(args)) => tokenize::run(&args),
        Some(Command::Embed(args)) => embed::run(&args),
        Some(Command::Finetune(args)) => finetune::run(&args),
        Some(Command::Devices) => devices::run(),
    }
}

/// Sets the number of threads; must come before the first computation.
fn set_threads(threads: Option<usize>) -> Result<()> {
    let Some(threads) = threads else {
        return Ok(());
    };
    if threads == 0 || threads > 1024 {
        return Err(Error::value(
            "",
            format!("--threads {threads}: give a number from 1 to 1024"),
        ));
    }
    let fail = |why: String| Error::value("", format!("cannot start {threads} threads: {why}"));
    gradus_cpu::parallel::set_threads(threads).map_err(fail)?;
    // The tokenizers' threads are rayon's.
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|error| fail(error.to_string()))
}

/// The checkpoint file meant by a path: the file itself, or the newest state in the folder of a run.
fn checkpoint_file(path: &std::path::Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    for name in ["last.safetensors", "model.safetensors"] {
        let file = path.join(name);
        if file.is_file() {
            return Ok(file);
        }
    }
    Err(Error::value(
        "",
        format!(
            "{} has no last.safetensors in it; train first: gradus train --out {0}",
            path.display()
        ),
    ))
}
