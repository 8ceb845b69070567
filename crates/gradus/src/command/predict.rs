//! `gradus predict`: which class a picture shows, the three likeliest with bars.

use std::path::Path;
use std::process::ExitCode;

use gradus_autograd::{Var, no_grad};
use gradus_nn::Layer as _;
use gradus_tensor::{Result, Tensor};
use gradus_train::Draw;
use gradus_train::error::bad_file;
use gradus_train::progress::say;
use gradus_vision::datasets::{FASHION_MNIST_CLASSES, MNIST_CLASSES};
use gradus_vision::transforms::Transform as _;
use gradus_vision::{Image, decode, digit};

use super::PredictArgs;
use super::eval::{Loaded, load_model};

pub fn run(args: &PredictArgs) -> Result<ExitCode> {
    let network = load_model(&args.checkpoint, None)?;
    let classes = if network.dataset == "fashion-mnist" {
        FASHION_MNIST_CLASSES
    } else {
        MNIST_CLASSES
    };
    let mut code = ExitCode::SUCCESS;
    for path in &args.images {
        // One bad picture is no reason not to look at the others.
        match predict(&network, path) {
            Ok((image, probabilities)) => {
                say(&path.display().to_string());
                if args.show {
                    draw(&image);
                }
                show(&probabilities, &classes);
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
fn predict(network: &Loaded, path: &Path) -> Result<(Image, Vec<f32>)> {
    let picture = decode::read(path)?;
    let fashion = network.dataset == "fashion-mnist";
    let prepare = if fashion {
        digit::like_fashion_mnist
    } else {
        digit::like_mnist
    };
    let image = prepare(&picture).map_err(|e| bad_file(path, e))?;
    let input = network.prepare.apply(image.clone(), &mut Draw::new(0))?;
    let input: Tensor = input.to_tensor()?.unsqueeze(0)?; // (1, 1, 28, 28)
    let logits = no_grad(|| network.model.forward(&Var::from(input)))?; // (1, 10)
    Ok((image, logits.value().softmax(-1)?.to_vec::<f32>()?))
}

/// The three likeliest classes: name, bar, percentage.
fn show(probabilities: &[f32], classes: &[&str]) {
    const WIDTH: f32 = 40.0;
    let mut order: Vec<usize> = (0..probabilities.len().min(classes.len())).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    let name_width = classes.iter().map(|c| c.chars().count()).max().unwrap_or(1);
    for &class in order.iter().take(3) {
        let p = probabilities[class];
        say(&format!(
            "  {:>name_width$}  {:40}  {:5.1} %",
            classes[class],
            bar(p * WIDTH),
            100.0 * p
        ));
    }
}

/// A bar so many characters long, to an eighth of one.
fn bar(length: f32) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (length * 8.0).round().max(0.0) as usize;
    let mut bar = "█".repeat(eighths / 8);
    bar.push_str(PARTS[eighths % 8]);
    if bar.is_empty() { "▏".into() } else { bar }
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
