//! The command line: its words, their help, and where each goes.

mod devices;
mod eval;
mod info;
mod options;
mod predict;
mod train;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use gradus_tensor::{Error, Result};

pub use options::TrainArgs;

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
  gradus                                     train a digit classifier on the digits inside the program
  gradus train mnist --epochs 20 --seed 7    the same, longer, from another seed
  gradus train mnist --resume                go on where Ctrl-C (or a power cut) ended the last run
  gradus predict runs/mnist digit.png        which digit is it?
  gradus info runs/mnist/last.safetensors    what is in the file?

`gradus help train` explains every option. Set GRADUS_DATA to a folder with mnist/*.gz to use the full 60,000 digits.";

#[derive(Subcommand)]
enum Command {
    /// Train a model and save it.
    Train(Box<TrainArgs>),
    /// Measure a saved model's accuracy.
    Eval(EvalArgs),
    /// Say which class pictures show.
    Predict(PredictArgs),
    /// List what is in a weights file: tensors, shapes, dtypes, parameters.
    Info(InfoArgs),
    /// Show what the computations run on.
    Devices,
}

/// Measures a saved model's accuracy; the last line is `accuracy: NN.NN %`.
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

/// Says which class pictures show, with the three most likely and how sure the model is.
///
/// Pictures are PNG or JPEG, of any size, dark on light or light on dark; the digit is found, scaled and centred.
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

/// Lists what is in a safetensors file.
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
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .map_err(|e| Error::value("", format!("cannot start {threads} threads: {e}")))
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
