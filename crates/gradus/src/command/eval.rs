//! `gradus eval`: a saved model's accuracy on images with labels.

use std::process::ExitCode;

use gradus_nn::{Layer, Module as _};
use gradus_tensor::{Error, Result, ResultExt as _};
use gradus_train::progress::say;
use gradus_train::{DataLoader, confusion, load_weights};
use gradus_vision::datasets::{ImageSet, Split};
use gradus_vision::models::{DIGIT_MODELS, digit_model};
use gradus_vision::transforms::Compose;

use super::train_digits::{DATASET_KEY, MODEL_KEY, prepare};
use super::{EvalArgs, checkpoint_file};

/// A network with the weights of a file.
pub struct Loaded {
    /// The network, in evaluation mode.
    pub model: Box<dyn Layer>,
    /// What its images go through first.
    pub prepare: Compose,
    /// The data set it was made for.
    pub dataset: String,
}

/// The network of a file: by its name, or by what the file says.
pub fn load_model(path: &std::path::Path, name: Option<&str>) -> Result<Loaded> {
    let file = checkpoint_file(path)?;
    let (weights, metadata) = load_weights(&file)?;
    let name = name
        .or_else(|| metadata.get(MODEL_KEY).map(String::as_str))
        .ok_or_else(|| {
            let names = DIGIT_MODELS.join(" or ");
            Error::value(
                "",
                format!(
                    "{} does not say which network it is of: give --model {names}",
                    file.display()
                ),
            )
        })?;
    let mut model = digit_model(name)?;
    model
        .load_state_dict(&weights, true)
        .in_layer(file.display().to_string())?;
    model.eval();
    let dataset = metadata
        .get(DATASET_KEY)
        .cloned()
        .unwrap_or_else(|| "mnist".into());
    Ok(Loaded {
        prepare: prepare(name, &dataset)?,
        model,
        dataset,
    })
}

pub fn run(args: &EvalArgs) -> Result<ExitCode> {
    super::set_threads(args.threads)?;
    let Loaded {
        mut model,
        prepare,
        dataset,
    } = load_model(&args.weights, args.model.as_deref())?;
    let split = if args.split == "train" {
        Split::Train
    } else {
        Split::Test
    };
    let images = match &args.data {
        Some(folder) if dataset == "fashion-mnist" => ImageSet::fashion_mnist(folder, split)?,
        Some(folder) => ImageSet::mnist(folder, split)?,
        None if dataset == "mnist" => ImageSet::embedded_mnist(split)?,
        None => {
            return Err(Error::value(
                "",
                format!("give --data: {dataset} is not inside the program"),
            ));
        }
    };
    let loader = DataLoader::new(images.with_transform(prepare), 200)?;
    let table = confusion(&mut model, &loader, images.classes())?;
    say(table.to_string().trim_end());
    let accuracy = table.accuracy();
    say(&format!("{} of {} right", accuracy.correct, accuracy.total));
    say(&format!("accuracy: {:.2} %", accuracy.percent()));
    Ok(ExitCode::SUCCESS)
}
