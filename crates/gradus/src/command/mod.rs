//! The command line: its words, their help, and where each goes.

mod bars;
mod classify;
mod devices;
mod embed;
mod eval;
mod explain;
mod facts;
mod finetune;
mod finetune_images;
mod finetune_text;
mod generate;
mod images;
mod info;
mod network;
mod predict;
mod run;
mod settings;
mod tokenize;
mod train;
mod train_char_rnn;
mod train_digits;
mod train_gpt;
mod train_images;
mod train_text;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use gradus_tensor::{Device, Error, Result};

pub use classify::ClassifyArgs;
pub use embed::EmbedArgs;
pub use eval::EvalArgs;
pub use explain::ExplainArgs;
pub use finetune::FinetuneArgs;
pub use generate::GenerateArgs;
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
  gradus train resnet18 --data cifar10     photographs, and any network of torchvision's
  gradus predict runs/mnist digit.png      which digit is it?
  gradus explain runs/mnist digit.png      and why that one?
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
    /// Go on training a model from weights there are, on other data.
    ///
    /// Everything is shown and saved as by `gradus train`. `gradus finetune bert --help` and `gradus finetune resnet20 --help` explain
    /// every option.
    Finetune(FinetuneArgs),
    /// Measure a network's accuracy on images with labels.
    ///
    /// Prints which class was taken for which; the last line is `accuracy: NN.NN %`. Pictures are prepared as the network's were when
    /// it was published.
    Eval(EvalArgs),
    /// Say which class pictures show.
    ///
    /// For each picture the three likeliest classes and how sure the model is. Pictures are PNG or JPEG, of any size, dark on
    /// light or light on dark; the digit in them is found, scaled and centred.
    Predict(PredictArgs),
    /// Say what photographs show, by a network with published weights.
    ///
    /// For each picture the five likeliest classes and how sure the network is. Pictures are scaled and cut as those that the network
    /// was trained with.
    Classify(ClassifyArgs),
    /// Show what in a picture a network's answer hangs on.
    ///
    /// Grad-CAM, integrated gradients and saliency, laid over the picture; what the first layer looks for and what it sees.
    Explain(ExplainArgs),
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
    /// Go on with a text.
    ///
    /// A language model writes, token by token; the text is shown as it comes. Tokens are drawn at random unless --greedy or
    /// --beams says otherwise.
    Generate(Box<GenerateArgs>),
    /// Show what the computations run on.
    Devices,
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
    #[command(flatten)]
    device: DeviceArgs,
}

/// The options of `gradus info`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gradus info runs/mnist
  gradus info model.safetensors
  gradus info resnet20.th")]
pub struct InfoArgs {
    /// A file of weights (safetensors, torch.save), or the folder of a run.
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
        Some(Command::Finetune(args)) => finetune::run(&args),
        Some(Command::Eval(args)) => eval::run(&args),
        Some(Command::Predict(args)) => predict::run(&args),
        Some(Command::Classify(args)) => classify::run(&args),
        Some(Command::Explain(args)) => explain::run(&args),
        Some(Command::Info(args)) => info::run(&args),
        Some(Command::Tokenize(args)) => tokenize::run(&args),
        Some(Command::Embed(args)) => embed::run(&args),
        Some(Command::Generate(args)) => generate::run(&args),
        Some(Command::Devices) => devices::run(),
    }
}

/// Where to compute.
#[derive(Args, Clone, Default)]
pub struct DeviceArgs {
    /// Where to compute: cpu, cuda (the first GPU), cuda:1; see `gradus devices` [cpu].
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
}

impl DeviceArgs {
    /// The device, opened.
    fn open(&self) -> Result<Device> {
        let name = self.device.as_deref().unwrap_or("cpu");
        name.parse()
            .map_err(|e: Error| e.in_op(format!("--device {name}")))
    }
}

/// Refuses `--cuda-graph` where there are none.
fn check_graph(wanted: bool, device: &Device) -> Result<()> {
    if wanted && *device == Device::Cpu {
        let text = "--cuda-graph: the CPU has no graphs; add --device cuda, or leave it out";
        return Err(Error::value("", text));
    }
    Ok(())
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

/// The checkpoint meant by a path: the file itself, the newest state in the folder of a run, a folder of weights from elsewhere, or
/// what `hf:owner/name` names.
fn checkpoint_file(path: &Path) -> Result<PathBuf> {
    if let Some(name) = path.to_str().and_then(|text| text.strip_prefix("hf:")) {
        return from_hub(name);
    }
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    for name in ["last.safetensors", "model.safetensors"] {
        let file = path.join(name);
        if file.is_file() {
            return Ok(file);
        }
    }
    // The reader of weights knows these names.
    let elsewhere = [
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
    ];
    if elsewhere.iter().any(|name| path.join(name).is_file()) {
        return Ok(path.to_owned());
    }
    Err(Error::value(
        "",
        format!(
            "{} has no last.safetensors in it; train first: gradus train --out {0}",
            path.display()
        ),
    ))
}

#[cfg(feature = "hub")]
fn from_hub(name: &str) -> Result<PathBuf> {
    gradus::hub::Hub::from_env()?.fetch(&name.parse()?)
}

#[cfg(not(feature = "hub"))]
fn from_hub(name: &str) -> Result<PathBuf> {
    let text = format!(
        "hf:{name}: this build does not fetch weights; make one that does: cargo build --release --features hub"
    );
    Err(Error::unsupported("", text))
}
