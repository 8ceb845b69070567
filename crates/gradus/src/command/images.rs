//! What `gradus train MODEL` and `gradus finetune MODEL` share: pictures with labels, how they are prepared, what the network is built
//! with, and what a checkpoint says of all that so that other commands can use it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use gradus_nn::Module as _;
use gradus_nn::optim::Optimizer;
use gradus_nn::schedule::Schedule;
use gradus_tensor::{Error, Result};
use gradus_train::dataset::hold_out;
use gradus_train::progress::{say, thousands};
use gradus_train::{Classification, DataLoader, Dataset as _, Subset, confusion};
use gradus_vision::datasets::{ImageSet, Split};
use gradus_vision::models::{Classifier, Options};
use gradus_vision::presets::Preset;
use gradus_vision::transforms::mix::{Mix, Mixed};
use gradus_vision::transforms::{
    Compose, RandAugment, RandomCrop, RandomErasing, RandomHorizontalFlip, RandomResizedCrop,
    Resize,
};
use serde_json::Value;

use super::facts::{ARGUMENTS_KEY, CLASSES_KEY, PRESET_KEY, arguments, preset_to_json};
use super::run::{Run, Show};
use super::settings::Settings;
use super::train_digits::{DATASET_KEY, MODEL_KEY, show_table};

/// Pictures of up to so many pixels a side, all alike, are used as they are.
const SMALL: usize = 64;

/// The options that say what is learnt from.
#[derive(Args, Clone, Default)]
pub struct ImageArgs {
    /// What to learn from: cifar10 (in the folder GRADUS_DATA), or a folder or zip of one's own: CLASS/picture.jpg, or the same in
    /// train/ and test/ (or val/).
    #[arg(long, value_name = "SOURCE")]
    data: Option<String>,
    /// The pictures to be judged by at the end, a folder or zip [test/ or val/ of the data; without one, every fifth picture].
    #[arg(long, value_name = "PATH")]
    test: Option<PathBuf>,
    /// Training pictures set aside to judge each epoch by [one in 20].
    #[arg(long, value_name = "N")]
    validation: Option<u64>,
    /// Use only so many of the training pictures, spread evenly.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// The side of the square the network sees [pictures of 64 pixels and less: theirs; others: what the network was published with].
    #[arg(long, value_name = "PIXELS")]
    size: Option<u64>,
    /// What training pictures go through: none, basic (a random window, mirrored half of the time), or strong (also RandAugment and
    /// random erasing) [basic].
    #[arg(long, value_name = "HOW", value_parser = ["none", "basic", "strong"])]
    augment: Option<String>,
    /// Average pairs of pictures, with this alpha [off].
    #[arg(long, value_name = "ALPHA")]
    mixup: Option<f64>,
    /// Paste a piece of one picture into another, with this alpha; with --mixup, one of the two for each batch [off].
    #[arg(long, value_name = "ALPHA")]
    cutmix: Option<f64>,
    /// How much of the target goes to the other classes [0.1].
    #[arg(long, value_name = "SHARE")]
    label_smoothing: Option<f64>,
    /// Decay of the weights (not of biases and norms).
    #[arg(long, value_name = "RATE")]
    weight_decay: Option<f64>,
    /// sgd (with Nesterov's momentum 0.9) or adamw.
    #[arg(long, value_name = "NAME", value_parser = ["sgd", "adamw"])]
    optimizer: Option<String>,
    /// The first layers of a ResNet, KERNEL/STEP and perhaps +pool: 7/2+pool is torchvision's, which leaves 32 pixels a side with 8;
    /// 3/1 and 3/2 let small pictures be seen.
    #[arg(long, value_name = "STEM")]
    stem: Option<String>,
    /// An argument of the network by torchvision's name, as in dropout=0.3; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    argument: Vec<String>,
}

impl ImageArgs {
    /// What is said, as settings.
    pub fn given(&self) -> Result<Settings> {
        Ok(Settings::default()
            .with("data", self.data.clone())
            .with("test", self.test.as_ref().map(|p| p.display().to_string()))
            .with("validation", self.validation)
            .with("limit", self.limit)
            .with("size", self.size)
            .with("augment", self.augment.clone())
            .with("mixup", self.mixup)
            .with("cutmix", self.cutmix)
            .with("label-smoothing", self.label_smoothing)
            .with("weight-decay", self.weight_decay)
            .with("optimizer", self.optimizer.clone())
            .with("arguments", self.arguments()?))
    }

    /// The network's arguments as text.
    fn arguments(&self) -> Result<Option<String>> {
        let mut words = Vec::new();
        if let Some(stem) = &self.stem {
            let wrong = || {
                let text = format!(
                    "--stem {stem}: give KERNEL/STEP or KERNEL/STEP+pool, as in 7/2+pool or 3/2"
                );
                Error::value("", text)
            };
            let (sizes, pool) = match stem.strip_suffix("+pool") {
                Some(sizes) => (sizes, true),
                None => (stem.as_str(), false),
            };
            let (kernel, step) = sizes.split_once('/').ok_or_else(wrong)?;
            let number = |text: &str| text.parse::<usize>().map_err(|_| wrong());
            words.push(format!("stem_kernel={}", number(kernel)?));
            words.push(format!("stem_stride={}", number(step)?));
            words.push(format!("stem_pool={pool}"));
        }
        for argument in &self.argument {
            if argument.contains(char::is_whitespace) {
                let text = format!("--argument {argument:?} must not have blanks in it");
                return Err(Error::value("", text));
            }
            words.push(argument.clone());
        }
        Ok((!words.is_empty()).then(|| words.join(" ")))
    }
}

/// What a run learns from and is judged by.
pub struct Images {
    /// To learn from.
    pub train: DataLoader<Mixed<Subset<ImageSet>>>,
    /// To judge each epoch by.
    pub validation: Option<DataLoader<Subset<ImageSet>>>,
    /// As many of the training pictures as there are to test, as they are when nothing is learnt.
    some_train: DataLoader<Subset<ImageSet>>,
    test: DataLoader<Subset<ImageSet>>,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// How pictures are prepared where nothing is learnt.
    pub preset: Preset,
    /// The side of the square the network sees.
    pub size: usize,
    source: String,
}

impl Images {
    /// By the settings of a run, with means and deviations of `published`.
    pub fn open(run: &Run, published: &Preset) -> Result<Self> {
        let data = run.settings.text("data").unwrap_or_default();
        let (train, test, source) = read(data)?;
        let test = match run.settings.text("test") {
            Some(path) => Some(ImageSet::folder(path)?),
            None => test,
        };
        let classes = train.classes().to_vec();
        if let Some(test) = test.as_ref().filter(|test| test.classes() != classes) {
            let text = format!(
                "the classes to learn are {}, those to test {}; they must be the same",
                classes.join(", "),
                test.classes().join(", ")
            );
            return Err(Error::value("", text));
        }

        // Small pictures that are all alike are not cut; others are scaled to a little more than the square and that is cut out.
        let alike = train
            .size()
            .filter(|[h, w]| h == w && *h <= SMALL)
            .map(|[side, _]| side);
        let default = alike.or(published.crop).unwrap_or(32);
        let size = run.settings.number("size").map_or(default, |n| n as usize);
        if !(8..=1024).contains(&size) {
            return Err(Error::value(
                "",
                format!("--size {size} must be from 8 to 1024"),
            ));
        }
        let resize = if alike.is_some() { size } else { size * 8 / 7 };
        let preset = Preset {
            resize: Some(resize),
            crop: Some(size),
            ..*published
        };
        let learn = augmented(run, alike, size, &preset)?;

        let all: Vec<usize> = (0..train.len()).collect();
        let (rest, judged) = match &test {
            Some(test) => (all, (0..test.len()).collect()),
            None => hold_out(train.len(), train.len().div_ceil(5)),
        };
        let limit = run
            .settings
            .number("limit")
            .map_or(rest.len(), |n| n as usize);
        let (_, chosen) = hold_out(rest.len(), limit.clamp(1, rest.len().max(1)));
        let used = chosen.len();
        let held_out = run
            .settings
            .number("validation")
            .map_or(used / 20, |n| n as usize);
        if held_out >= used {
            let text = format!(
                "--validation {held_out} leaves nothing to learn from: there are {used} training pictures"
            );
            return Err(Error::value("", text));
        }
        let (learnt, held) = hold_out(used, held_out);
        let pick = |places: &[usize]| places.iter().map(|&i| rest[chosen[i]]).collect::<Vec<_>>();

        let plain = train.with_transform(preset.transform()?);
        let batch = if size <= SMALL { 200 } else { 50 };
        let part = |set: &ImageSet, places: Vec<usize>| {
            DataLoader::new(Subset::new(set.clone(), places)?, batch)
        };
        let (_, some) = hold_out(used, judged.len().min(used));
        let mixed = Mixed::new(
            Subset::new(train.with_transform(learn), pick(&learnt))?,
            mix(&run.settings)?,
            classes.len(),
        );
        Ok(Self {
            train: DataLoader::new(mixed, run.batch_size)?
                .shuffle(true)
                .drop_last(learnt.len() > run.batch_size) // a last batch of one picture has no variance
                .seed(run.seed),
            validation: (held_out > 0)
                .then(|| part(&plain, pick(&held)))
                .transpose()?,
            some_train: part(&plain, pick(&some))?,
            test: match &test {
                Some(test) => part(&test.with_transform(preset.transform()?), judged)?,
                None => part(&plain, judged)?,
            },
            classes,
            preset,
            size,
            source,
        })
    }

    /// Trains `model`, a network of that name built with these options, and judges what came of it.
    pub fn learn(
        &self,
        run: &mut Run,
        (name, options, title): (&str, &Options, &str),
        model: &mut Classifier,
        optimizer: &mut dyn Optimizer,
        schedule: Box<dyn Schedule>,
    ) -> Result<ExitCode> {
        let task = Classification {
            label_smoothing: share(&run.settings, "label-smoothing", 0.1)?,
        };
        let metadata = self.metadata(name, options);
        let metadata: Vec<(&str, &str)> = metadata.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let noun = "images";
        let checkpoint = run.train(
            &Show { noun, title },
            &metadata,
            model,
            (optimizer, Some(schedule)),
            &task,
            &self.train,
            self.validation.as_ref(),
        )?;
        let Some(checkpoint) = checkpoint else {
            return Ok(Run::interrupted());
        };
        self.judge(model, run, &checkpoint)?;
        Ok(ExitCode::SUCCESS)
    }

    /// Says what there is to learn from, and of which network.
    pub fn introduce(&self, name: &str, options: &Options, model: &Classifier) {
        let held = match self.validation.as_ref().map_or(0, DataLoader::samples) {
            0 => String::new(),
            n => format!(", {} to validate", thousands(n as u64)),
        };
        say(&format!(
            "data    {} pictures of {} classes to learn from{held}, {} to test ({})",
            thousands(self.train.data().len() as u64),
            self.classes.len(),
            thousands(self.test.samples() as u64),
            self.source
        ));
        let summary = model.summary();
        let trained = match summary.trained {
            n if n == model.num_params() => String::new(),
            n => format!(", {} of them trained", thousands(n as u64)),
        };
        let arguments = match arguments(options) {
            text if text.is_empty() => text,
            text => format!(" with {text}"),
        };
        say(&format!(
            "model   {name}{arguments}: {} parameters{trained}, pictures of {1}x{1}",
            thousands(model.num_params() as u64),
            self.size
        ));
    }

    /// What the checkpoints say besides the settings.
    fn metadata(&self, name: &str, options: &Options) -> Vec<(&'static str, String)> {
        let dataset = if self.source == CIFAR10 {
            CIFAR10.to_owned()
        } else {
            "images".to_owned()
        };
        vec![
            (MODEL_KEY, name.to_owned()),
            (DATASET_KEY, dataset),
            (CLASSES_KEY, Value::from(self.classes.clone()).to_string()),
            (PRESET_KEY, preset_to_json(&self.preset)),
            (ARGUMENTS_KEY, arguments(options)),
        ]
    }

    /// Judges a trained network: the table of the test pictures, where everything lies, the accuracies.
    fn judge(&self, model: &mut Classifier, run: &Run, checkpoint: &Path) -> Result<()> {
        let on_train = confusion(model, &self.some_train, &self.classes)?.accuracy();
        let table = confusion(model, &self.test, &self.classes)?;
        show_table(&table);
        run.farewell(checkpoint);
        say(&format!(
            "training accuracy: {:.2} % (of {} of the pictures)",
            on_train.percent(),
            thousands(on_train.total)
        ));
        say(&format!(
            "test accuracy: {:.2} %",
            table.accuracy().percent()
        ));
        Ok(())
    }
}

const CIFAR10: &str = "cifar10";

/// The pictures of `--data`, its part to test where it has one, and where they are from.
fn read(data: &str) -> Result<(ImageSet, Option<ImageSet>, String)> {
    if data.is_empty() {
        let text = "what shall it learn from? give --data cifar10, or a folder or zip with a folder of pictures for each class";
        return Err(Error::value("", text));
    }
    let cifar = |path: &Path| -> Result<_> {
        let test = ImageSet::cifar10(path, Split::Test)?;
        Ok((
            ImageSet::cifar10(path, Split::Train)?,
            Some(test),
            CIFAR10.to_owned(),
        ))
    };
    let path = Path::new(data);
    if data == CIFAR10 && !path.exists() {
        let folder = std::env::var_os("GRADUS_DATA").filter(|v| !v.is_empty());
        let folder = folder.ok_or_else(|| {
            let text = "where is cifar10? set GRADUS_DATA to the folder it is in, or give --data that folder";
            Error::value("", text)
        })?;
        return cifar(Path::new(&folder));
    }
    let batches = ["", "cifar-10-batches-bin"].map(|inner| path.join(inner).join("test_batch.bin"));
    let archive = path.join("cifar-10-binary.tar.gz");
    if batches.iter().any(|p| p.is_file()) || archive.is_file() || data.ends_with(".tar.gz") {
        return cifar(path);
    }
    let (train, test) = ImageSet::splits(path)?;
    Ok((train, test, format!("from {data}")))
}

/// What training pictures go through.
fn augmented(run: &Run, alike: Option<usize>, size: usize, preset: &Preset) -> Result<Compose> {
    let how = run.settings.text("augment").unwrap_or("basic");
    if how == "none" {
        return preset.transform();
    }
    let mut row = match alike {
        Some(side) => Compose::new()
            .then(RandomCrop {
                padding: side / 8,
                ..RandomCrop::new(side, side)
            })
            .then(RandomHorizontalFlip(0.5)),
        None => Compose::new()
            .then(RandomResizedCrop {
                scale: [0.25, 1.0],
                ..RandomResizedCrop::new(size, size)
            })
            .then(RandomHorizontalFlip(0.5)),
    };
    if how == "strong" {
        row = row.then(RandAugment::default());
    }
    row = row
        .then(Resize::exact(size, size))
        .then(preset.normalize()?);
    if how == "strong" {
        row = row.then(RandomErasing {
            p: 0.25,
            ..RandomErasing::default()
        });
    }
    Ok(row)
}

fn mix(settings: &Settings) -> Result<Option<Mix>> {
    let alpha = |name: &str| -> Result<Option<f32>> {
        settings
            .has(name)
            .then(|| settings.positive(name).map(|a| a as f32))
            .transpose()
    };
    Ok(match (alpha("mixup")?, alpha("cutmix")?) {
        (Some(mixup), Some(cutmix)) => Some(Mix::Either { mixup, cutmix }),
        (Some(alpha), None) => Some(Mix::MixUp { alpha }),
        (None, Some(alpha)) => Some(Mix::CutMix { alpha }),
        (None, None) => None,
    })
}

/// A share, at least 0 and below 1.
fn share(settings: &Settings, name: &str, default: f64) -> Result<f64> {
    let value = settings.rate(name).unwrap_or(default);
    if (0.0..1.0).contains(&value) {
        return Ok(value);
    }
    Err(Error::value(
        "",
        format!("--{name} {value} must be from 0 to below 1"),
    ))
}

#[cfg(test)]
mod tests {
    use super::super::facts::{options, options_for};
    use super::*;

    #[test]
    fn stems_and_arguments_become_options_and_text_again() {
        let args = ImageArgs {
            stem: Some("3/2".into()),
            argument: vec!["zero_init_residual=true".into()],
            ..ImageArgs::default()
        };
        let text = args.arguments().unwrap().unwrap();
        let read = options(&text).unwrap();
        assert_eq!(
            arguments(&read),
            "stem_kernel=3 stem_pool=false stem_stride=2 zero_init_residual=true"
        );
        assert_eq!(options(&arguments(&read)).unwrap(), read);
        let list = options("depths=[3,4]").unwrap();
        assert_eq!(options(&arguments(&list)).unwrap(), list);
        for stem in ["7", "a/b", "3/2+pools"] {
            let args = ImageArgs {
                stem: Some(stem.into()),
                ..ImageArgs::default()
            };
            assert!(args.arguments().unwrap_err().to_string().contains(stem));
        }
        assert!(options("dropout").is_err());
        assert!(
            options_for("vit_b_16", "", 96)
                .unwrap()
                .arguments
                .contains_key("image_size")
        );
    }
}
