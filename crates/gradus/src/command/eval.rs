//! `gradus eval`: a network's accuracy on images with labels.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use gradus_autograd::{Var, no_grad};
use gradus_nn::{Layer, Module as _};
use gradus_tensor::{Error, Result};
use gradus_train::metrics::{Accuracy, ConfusionMatrix};
use gradus_train::progress::{Progress, say, thousands};
use gradus_train::{DataLoader, Dataset as _};
use gradus_vision::datasets::{CIFAR10_CLASSES, ImageSet, Split};

use super::DeviceArgs;
use super::bars::order;
use super::network::{Network, NetworkArgs};

/// The options of `gradus eval`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gradus eval --weights runs/mnist/best.safetensors
  gradus eval --weights runs/mnist/last.safetensors --data ~/mnist --split train
  gradus eval --model cifar_resnet20 --weights resnet20.th --data cifar10/test.zip
  gradus eval --model resnet50 --weights resnet50.safetensors --data imagenet/val

Folders and zips hold a folder of images for each class. Where their names are names of
the network's classes they mean these; else there must be as many, in the network's order.")]
pub struct EvalArgs {
    /// The weights: a checkpoint (or its folder), safetensors in one file or several, or a file of torch.save.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// The images: the folder of the IDX files for digits, CIFAR-10 in any of its forms, or a folder or zip with a folder of images
    /// for each class; without it, the 2,000 test digits inside the program.
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Which part of the data: `test` or `train`.
    #[arg(long, value_name = "PART", default_value = "test", value_parser = ["test", "train"])]
    split: String,
    /// Threads to compute with; by default as many as there are cores. The result does not depend on it.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    #[command(flatten)]
    device: DeviceArgs,
}

pub fn run(args: &EvalArgs) -> Result<ExitCode> {
    super::set_threads(args.threads)?;
    let device = args.device.open()?;
    let mut network = Network::load(&args.weights, &args.network)?;
    network.model.to_device(&device)?;
    let split = if args.split == "train" {
        Split::Train
    } else {
        Split::Test
    };
    let images = images(&network, args.data.as_deref(), split)?;
    let [samples, parameters] = [images.len(), network.model.num_params()];
    say(&format!("data    {} images", thousands(samples as u64)));
    say(&format!(
        "model   {}: {} parameters",
        network.name,
        thousands(parameters as u64)
    ));
    let classes = network.classes.clone();
    let meaning = meaning(images.classes(), &classes)?;
    let (model, transform, batch) = network.transform()?;
    let loader = DataLoader::new(images.with_transform(transform), batch)?;
    let (table, within_5) = measure(&*model, &loader, &classes, &meaning)?;
    report(&table, within_5);
    Ok(ExitCode::SUCCESS)
}

/// The images and labels at a path, as the network's kind of data comes.
fn images(network: &Network, path: Option<&Path>, split: Split) -> Result<ImageSet> {
    let digits = network.takes_digits();
    let fashion = network.dataset.as_deref() == Some("fashion-mnist");
    match path {
        Some(folder) if digits && fashion => ImageSet::fashion_mnist(folder, split),
        Some(folder) if digits => ImageSet::mnist(folder, split),
        None if digits && !fashion => ImageSet::embedded_mnist(split),
        None => {
            let what = network
                .dataset
                .as_deref()
                .unwrap_or("what it was trained on");
            let text = format!("give --data: {what} is not inside the program");
            Err(Error::value("", text))
        }
        Some(path) => {
            let classes = &network.classes;
            let has_classes = classes.iter().any(|name| path.join(name).is_dir());
            let cifar = classes.iter().any(|name| name == CIFAR10_CLASSES[0]);
            if cifar && (path.is_dir() && !has_classes || is_archive(path)) {
                return ImageSet::cifar10(path, split);
            }
            match (ImageSet::splits(path)?, split) {
                ((_, Some(test)), Split::Test) => Ok(test),
                ((all, _), _) => Ok(all),
            }
        }
    }
}

/// `.tar.gz`, as CIFAR-10 is published.
fn is_archive(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|ending| ending == "gz")
}

/// The network's class for each class of the data.
fn meaning(data: &[String], network: &[String]) -> Result<Vec<usize>> {
    let plain = |name: &str| name.to_lowercase().replace(['_', '-'], " ");
    let network_names: Vec<String> = network.iter().map(|name| plain(name)).collect();
    let of = |name: &String| network_names.iter().position(|known| *known == plain(name));
    let named: Option<Vec<usize>> = data.iter().map(of).collect();
    if let Some(named) = named {
        return Ok(named);
    }
    if data.len() == network.len() {
        return Ok((0..network.len()).collect());
    }
    let unknown = data.iter().find(|name| of(name).is_none());
    Err(Error::value(
        "",
        format!(
            "the data has {} classes and the network {}, and {:?} is none of the network's; name the folders as the classes",
            data.len(),
            network.len(),
            unknown.map_or("", String::as_str)
        ),
    ))
}

/// Which class was taken for which, and how often the right one was among the five likeliest.
fn measure(
    model: &dyn Layer,
    loader: &DataLoader<ImageSet>,
    classes: &[String],
    meaning: &[usize],
) -> Result<(ConfusionMatrix, Accuracy)> {
    let mut table = ConfusionMatrix::new(classes.iter().cloned());
    let mut within_5 = Accuracy::default();
    let total = loader.data().len() as u64;
    let mut progress = Progress::start("eval", total, 0, true);
    no_grad(|| {
        for batch in loader.epoch(0, 0) {
            let (inputs, labels) = batch?;
            let inputs = inputs.to_device(&model.device())?;
            let logits = model.forward(&Var::from(inputs))?.into_value(); // (B, classes)
            let logits = logits.to_vec::<f32>()?;
            let labels = labels.to_vec::<i64>()?;
            for (row, label) in logits.chunks_exact(classes.len()).zip(labels) {
                let truth = meaning.get(label as usize).copied().unwrap_or(usize::MAX);
                let order = order(row);
                table.add(truth, order[0]);
                within_5.add(u64::from(order.iter().take(5).any(|&c| c == truth)), 1);
            }
            let so_far = table.accuracy();
            progress.update(so_far.total, || {
                format!("accuracy {:.2} %", so_far.percent())
            });
        }
        progress.finish();
        Ok((table, within_5))
    })
}

fn report(table: &ConfusionMatrix, within_5: Accuracy) {
    // A table of many classes is no longer one to look at.
    let many = table.classes() > 20;
    if many {
        for (count, truth, taken) in table.confusions().into_iter().take(10) {
            let names = (table.name(truth), table.name(taken));
            say(&format!("{count:>6}x  {} taken for {}", names.0, names.1));
        }
        say(&format!(
            "among the five likeliest: {:.2} %",
            within_5.percent()
        ));
    } else {
        say(table.to_string().trim_end());
    }
    let accuracy = table.accuracy();
    let [correct, total] = [accuracy.correct, accuracy.total].map(thousands);
    say(&format!("{correct} of {total} right"));
    say(&format!("accuracy: {:.2} %", accuracy.percent()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_found_by_name_or_by_order() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let network = names(&["tabby", "tiger cat", "tiger"]);
        assert_eq!(
            meaning(&names(&["Tiger_cat", "tabby"]), &network).unwrap(),
            [1, 0]
        );
        assert_eq!(
            meaning(&names(&["n1", "n2", "n3"]), &network).unwrap(),
            [0, 1, 2]
        );
        let error = meaning(&names(&["tabby", "lynx"]), &network)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("2 classes") && error.contains("lynx"),
            "{error}"
        );
    }
}
