//! `gradus classify`: what photographs show, by a network with published weights.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use gradus_nn::Module as _;
use gradus_tensor::Result;
use gradus_train::error::bad_file;
use gradus_train::progress::say;
use gradus_vision::decode;

use super::DeviceArgs;
use super::bars;
use super::network::{Network, NetworkArgs};

/// The options of `gradus classify`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gradus classify cat.jpg --model efficientnet_lite0 --weights efficientnet-lite0.pth
  gradus classify *.jpg --model resnet50 --weights resnet50.safetensors --top 3
  gradus classify ship.png --model cifar_resnet20 --weights resnet20.th
  gradus classify birds/*.jpg --model resnet18 --weights mine.pt --classes birds.txt")]
pub struct ClassifyArgs {
    /// The pictures, PNG or JPEG.
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// The weights: safetensors, in one file or several, a file of torch.save, or a folder with one of them.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// How many classes are shown.
    #[arg(long, value_name = "N", default_value_t = 5)]
    top: usize,
    /// Threads to compute with; by default as many as there are cores. The result does not depend on it.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &ClassifyArgs) -> Result<ExitCode> {
    super::set_threads(args.threads)?;
    let device = args.device.open()?;
    let mut network = Network::load(&args.weights, &args.network)?;
    network.model.to_device(&device)?;
    let mut code = ExitCode::SUCCESS;
    for path in &args.images {
        // One bad picture is no reason not to look at the others.
        match classify(&network, path) {
            Ok(probabilities) => {
                say(&path.display().to_string());
                bars::show(&probabilities, &network.classes, args.top.max(1));
            }
            Err(error) => {
                eprintln!("gradus: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

fn classify(network: &Network, path: &Path) -> Result<Vec<f32>> {
    let picture = decode::read(path)?;
    let view = network.view(&picture).map_err(|e| bad_file(path, e))?;
    network.probabilities(&network.input(view)?)
}
