//! `gradus train mnist` and `gradus train fashion-mnist`: images of one digit or garment, small networks, the first thing a
//! newcomer trains. Data, network and recipe stand here; the run itself is `run.rs`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use gradus_nn::Layer;
use gradus_nn::optim::{Adam, AdamW, Optimizer};
use gradus_nn::schedule::{OneCycleLR, Schedule};
use gradus_tensor::{Error, Result};
use gradus_train::dataset::hold_out;
use gradus_train::metrics::ConfusionMatrix;
use gradus_train::progress::{say, thousands};
use gradus_train::{Classification, DataLoader, Dataset as _, Subset, confusion};
use gradus_vision::datasets::{FASHION_MNIST_MEAN_STD, ImageSet, MNIST_MEAN_STD, Split};
use gradus_vision::models::{ARTICLE, DIGIT_MODELS, SMALL, digit_model};
use gradus_vision::transforms::{Compose, Normalize, RandomAffine};

use super::run::{Run, RunArgs, Show};
use super::settings::Settings;

/// The metadata key of the network's name in checkpoints.
pub const MODEL_KEY: &str = "gradus.model";
/// The metadata key of the data set's name in checkpoints.
pub const DATASET_KEY: &str = "gradus.dataset";
/// Images per batch where nothing is learnt.
const EVAL_BATCH: usize = 200;

/// The options of `gradus train mnist` and `gradus train fashion-mnist`.
#[derive(Args, Clone, Default)]
#[command(after_help = EXAMPLES)]
pub struct DigitArgs {
    /// All 60,000 images of the data folder (GRADUS_DATA or --data) instead of those inside the program.
    #[arg(long)]
    full: bool,
    /// The folder of the IDX files, or one with mnist/ in it; implies --full.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The network: small (two convolution blocks) or article (one convolution, one dense layer).
    #[arg(long, value_name = "NAME", value_parser = DIGIT_MODELS)]
    model: Option<String>,
    /// Training images set aside to judge each epoch by [small: one in 20, article: 0].
    #[arg(long, value_name = "N")]
    validation: Option<u64>,
    /// Use only so many of the training images, spread evenly.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    #[command(flatten)]
    run: RunArgs,
}

/// Shown after the options, here and where no data set is named.
pub const EXAMPLES: &str = "\
Examples:
  gradus train
      the small network on the 10,000 digits inside the program
  gradus train mnist --full --model article --epochs 10
      the network of the articles on all 60,000 digits of GRADUS_DATA
  gradus train fashion-mnist --data ~/fashion
      shirts and shoes instead of digits
  gradus train mnist --resume
      go on with the run in runs/mnist
  gradus train mnist --out runs/try --lr 0.01 --seed 1
      an experiment beside it
  gradus train resnet18 --data cifar10
      photographs, and any network of torchvision's (gradus train resnet18 --help)

Recipes: small: 12 epochs of batches of 64, AdamW, one cycle of the learning rate up
to 0.004; article: 10 epochs of batches of 32, Adam at 0.001.

What is saved: last.safetensors (the newest state), best.safetensors (the best
epoch), history.csv, history.svg, tensorboard/ (tensorboard --logdir runs).";

pub fn run(dataset: &'static str, args: &DigitArgs) -> Result<ExitCode> {
    let given = Settings::default()
        .with_flag("full", args.full || args.data.is_some())
        .with("model", args.model.clone())
        .with("validation", args.validation)
        .with("limit", args.limit);
    let mut run = Run::begin(&args.run, &format!("train {dataset}"), given, |given| {
        let article = given.text("model") == Some(ARTICLE);
        Settings::default()
            .with("model", Some(SMALL))
            .with_flag("full", dataset != "mnist")
            .with("epochs", Some(if article { 10u64 } else { 12 }))
            .with("batch-size", Some(if article { 32u64 } else { 64 }))
            .with("lr", Some(if article { 1e-3 } else { 4e-3 }))
    })?;
    let name = run.settings.text("model").unwrap_or(SMALL).to_owned();

    let data = Data::load(&run, dataset, &name, args.data.as_deref())?;
    let mut model = digit_model(&name)?;
    introduce(dataset, &data, &name, &*model);
    run.introduce();

    let steps = data.train.batches() * run.epochs as usize;
    let mut optimizer: Box<dyn Optimizer>;
    let schedule: Option<Box<dyn Schedule>>;
    if name == ARTICLE {
        optimizer = Box::new(Adam::new(run.lr)); // the recipe of the articles: Adam at a constant rate
        schedule = None;
    } else {
        optimizer = Box::new(AdamW::new(run.lr));
        schedule = Some(Box::new(OneCycleLR::new(run.lr, steps)));
    }
    let checkpoint = run.train(
        &Show {
            noun: "images",
            title: &format!("{dataset} with the {name} network"),
        },
        &[(MODEL_KEY, &name), (DATASET_KEY, dataset)],
        &mut model,
        (&mut *optimizer, schedule),
        &Classification::default(),
        &data.train,
        data.validation.as_ref(),
    )?;
    let Some(checkpoint) = checkpoint else {
        return Ok(Run::interrupted());
    };

    let on_train = confusion(&mut model, &data.train_plain, data.classes())?.accuracy();
    let table = confusion(&mut model, &data.test, data.classes())?;
    show_table(&table);
    run.farewell(&checkpoint);
    say(&format!("training accuracy: {:.2} %", on_train.percent()));
    say(&format!(
        "test accuracy: {:.2} %",
        table.accuracy().percent()
    ));
    Ok(ExitCode::SUCCESS)
}

/// What a run learns from and is judged by.
struct Data {
    train: DataLoader<Subset<ImageSet>>,
    validation: Option<DataLoader<Subset<ImageSet>>>,
    train_plain: DataLoader<Subset<ImageSet>>,
    test: DataLoader<ImageSet>,
    held_out: usize,
    source: String,
}

impl Data {
    fn load(run: &Run, dataset: &str, model: &str, folder: Option<&Path>) -> Result<Self> {
        let (raw_train, raw_test, source) = read(dataset, run.settings.flag("full"), folder)?;
        let plain = || prepare(model, dataset);
        let train_set = raw_train.with_transform(plain()?);
        let test_set = raw_test.with_transform(plain()?);
        // The article's network learns from the images as they are; the small one from images that wobble.
        let learn_from = if model == ARTICLE {
            train_set.clone()
        } else {
            let wobble = RandomAffine {
                degrees: 10.0,
                shift: 2.0,
                scale: 0.1,
                shear: 0.0,
            };
            raw_train.with_transform(Compose::new().then(wobble).then(plain()?))
        };

        let all = train_set.len();
        let used = run
            .settings
            .number("limit")
            .map_or(all, |limit| (limit as usize).clamp(1, all));
        let (_, chosen) = hold_out(all, used);
        let share = if model == ARTICLE { 0 } else { used / 20 };
        let held_out = run
            .settings
            .number("validation")
            .map_or(share, |n| n as usize);
        if held_out >= used {
            let text = format!(
                "--validation {held_out} leaves nothing to learn from: there are {used} training images"
            );
            return Err(Error::value("", text));
        }
        let (learn, judge) = hold_out(used, held_out);
        let pick =
            |positions: Vec<usize>| positions.into_iter().map(|i| chosen[i]).collect::<Vec<_>>();
        let train = DataLoader::new(Subset::new(learn_from, pick(learn))?, run.batch_size)?
            .shuffle(true)
            .seed(run.seed);
        let validation = if held_out == 0 {
            None
        } else {
            Some(DataLoader::new(
                Subset::new(train_set.clone(), pick(judge))?,
                EVAL_BATCH,
            )?)
        };
        Ok(Self {
            train,
            validation,
            train_plain: DataLoader::new(Subset::new(train_set, chosen)?, EVAL_BATCH)?,
            test: DataLoader::new(test_set, EVAL_BATCH)?,
            held_out,
            source,
        })
    }

    fn classes(&self) -> &[String] {
        self.test.data().classes()
    }
}

/// The two parts of the data set, and where they are from.
fn read(dataset: &str, full: bool, folder: Option<&Path>) -> Result<(ImageSet, ImageSet, String)> {
    if !full {
        let train = ImageSet::embedded_mnist(Split::Train)?;
        return Ok((
            train,
            ImageSet::embedded_mnist(Split::Test)?,
            "inside the program".into(),
        ));
    }
    let folder = data_folder(folder)?;
    let read = if dataset == "mnist" {
        ImageSet::mnist
    } else {
        ImageSet::fashion_mnist
    };
    let source = format!("from {}", folder.display());
    Ok((
        read(folder.as_path(), Split::Train)?,
        read(folder.as_path(), Split::Test)?,
        source,
    ))
}

/// The folder of `--data`, or of GRADUS_DATA.
fn data_folder(folder: Option<&Path>) -> Result<PathBuf> {
    let from_environment = || {
        std::env::var_os("GRADUS_DATA")
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    folder.map(Path::to_owned).or_else(from_environment).ok_or_else(|| {
        let text = "where are the images? give --data DIR (the folder of train-images-idx3-ubyte.gz …) or set GRADUS_DATA";
        Error::value("", text)
    })
}

/// What a network's images go through before it sees them: the article's takes pixels of 0 to 1 as they are, the small one
/// normalised.
pub fn prepare(model: &str, dataset: &str) -> Result<Compose> {
    if model == ARTICLE {
        return Ok(Compose::new());
    }
    let (mean, std) = if dataset == "fashion-mnist" {
        FASHION_MNIST_MEAN_STD
    } else {
        MNIST_MEAN_STD
    };
    Ok(Compose::new().then(Normalize::new(&[mean], &[std])?))
}

fn introduce(dataset: &str, data: &Data, name: &str, model: &dyn Layer) {
    let held = match data.held_out {
        0 => String::new(),
        n => format!(", {} to validate", thousands(n as u64)),
    };
    say(&format!(
        "data    {dataset}: {} images to learn from{held}, {} to test ({})",
        thousands(data.train.samples() as u64),
        thousands(data.test.samples() as u64),
        data.source
    ));
    let parameters = thousands(model.num_params() as u64);
    say(&format!("model   {name}: {parameters} parameters"));
}

/// The confusion table of the test images and its worst cells.
pub fn show_table(table: &ConfusionMatrix) {
    say("\ntest images: what they are (down) and what they were taken for (across)");
    say(table.to_string().trim_end());
    let worst: Vec<String> = table
        .confusions()
        .into_iter()
        .take(3)
        .map(|(count, truth, taken)| {
            format!("{} for {} {count}x", table.name(truth), table.name(taken))
        })
        .collect();
    if !worst.is_empty() {
        say(&format!("most often mistaken: {}", worst.join(", ")));
    }
    say("");
}
