//! `gradus predict`: which class a picture shows, the three likeliest with bars.

use std::path::Path;
use std::process::ExitCode;

use gradus_nn::Module as _;
use gradus_tensor::Result;
use gradus_train::error::bad_file;
use gradus_train::progress::say;
use gradus_vision::{Image, decode};

use super::PredictArgs;
use super::bars;
use super::network::{Network, NetworkArgs};

pub fn run(args: &PredictArgs) -> Result<ExitCode> {
    let device = args.device.open()?;
    let mut network = Network::load(&args.checkpoint, &NetworkArgs::default())?;
    network.model.to_device(&device)?;
    let mut code = ExitCode::SUCCESS;
    for path in &args.images {
        // One bad picture is no reason not to look at the others.
        match predict(&network, path) {
            Ok((image, probabilities)) => {
                say(&path.display().to_string());
                if args.show && network.takes_digits() {
                    draw(&image);
                }
                bars::show(&probabilities, &network.classes, 3);
            }
            Err(error) => {
                eprintln!("gradus: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// The picture as the network sees it, and the probability of each class.
fn predict(network: &Network, path: &Path) -> Result<(Image, Vec<f32>)> {
    let picture = decode::read(path)?;
    let view = network.view(&picture).map_err(|e| bad_file(path, e))?;
    let probabilities = network.probabilities(&network.input(view.clone())?)?;
    Ok((view, probabilities))
}

/// The image in the terminal, two rows of pixels in one line of text.
fn draw(image: &Image) {
    let dark = |y: usize, x: usize| image.at(0, y as isize, x as isize, 0.0) > 0.4;
    for y in (0..image.height()).step_by(2) {
        let line: String = (0..image.width())
            .map(|x| match (dark(y, x), dark(y + 1, x)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            })
            .collect();
        say(&format!("  │{line}│"));
    }
}
