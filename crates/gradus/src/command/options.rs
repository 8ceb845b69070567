//! The options of `gradus train`, and the settings of a run that come of them.
//!
//! A setting that the command line leaves open takes the recipe's value. A run writes its settings into its checkpoints, and
//! `--resume` takes them from there; then an option may say the same again but not something else.

use std::path::PathBuf;

use clap::Args;
use gradus_tensor::{Error, Result};
use gradus_vision::models::{ARTICLE, DIGIT_MODELS, SMALL};
use serde_json::{Map, Value};

/// The metadata key of a run's settings in its checkpoints.
pub const SETTINGS_KEY: &str = "gradus.settings";

/// The options of `gradus train`.
#[derive(Args, Default)]
#[command(after_help = "\
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

What is saved: last.safetensors (the newest state), best.safetensors (the best
epoch), history.csv, history.svg, tensorboard/ (tensorboard --logdir runs).")]
pub struct TrainArgs {
    /// What to learn: mnist (handwritten digits) or fashion-mnist (clothes; needs --data or GRADUS_DATA).
    #[arg(value_name = "DATASET", value_parser = ["mnist", "fashion-mnist"])]
    pub dataset: Option<String>,
    /// All 60,000 images of the data folder (GRADUS_DATA or --data) instead of those inside the program.
    #[arg(long)]
    pub full: bool,
    /// The folder of the IDX files, or one with mnist/ in it; implies --full.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The network: small (two convolution blocks) or article (one convolution, one dense layer).
    #[arg(long, value_name = "NAME", value_parser = DIGIT_MODELS)]
    pub model: Option<String>,
    /// How often every training image is seen [small: 12, article: 10].
    #[arg(long, value_name = "N")]
    pub epochs: Option<u64>,
    /// Images per step [small: 64, article: 32].
    #[arg(long, value_name = "N")]
    pub batch_size: Option<u64>,
    /// The learning rate; for small the peak of a one-cycle schedule, for article constant [small: 0.004, article: 0.001].
    #[arg(long, value_name = "RATE")]
    pub lr: Option<f64>,
    /// Where all randomness starts: the same seed gives the same network to the last bit [42].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Training images set aside to judge each epoch by [small: one in 20, article: 0].
    #[arg(long, value_name = "N")]
    pub validation: Option<u64>,
    /// Use only so many of the training images, spread evenly.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Stop when so many epochs in a row were no better, and use the best one.
    #[arg(long, value_name = "EPOCHS")]
    pub patience: Option<u64>,
    /// Scale gradients down to this norm.
    #[arg(long, value_name = "NORM")]
    pub clip_norm: Option<f64>,
    /// Where everything is saved [runs/DATASET].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Go on with the run in the output folder.
    #[arg(long)]
    pub resume: bool,
    /// Also save every so many steps (otherwise after every epoch, and every 30 seconds within one).
    #[arg(long, value_name = "STEPS")]
    pub save_every: Option<u64>,
    /// Threads to compute with; by default as many as there are cores. The result does not depend on it.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

/// The settings of a run: what its result depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// `mnist` or `fashion-mnist`.
    pub dataset: String,
    /// Whether the images come from a data folder.
    pub full: bool,
    /// The network's name.
    pub model: String,
    /// Epochs in all.
    pub epochs: u64,
    /// Images per step.
    pub batch_size: u64,
    /// The learning rate, or its peak.
    pub lr: f64,
    /// The seed of everything.
    pub seed: u64,
    /// Training images set aside; `None`: the recipe's share.
    pub validation: Option<u64>,
    /// Training images used; `None`: all.
    pub limit: Option<u64>,
    /// Epochs without progress before the run stops.
    pub patience: Option<u64>,
    /// The largest norm of the gradients.
    pub clip_norm: Option<f64>,
}

impl TrainArgs {
    /// The settings of a new run.
    pub fn settings(&self) -> Result<Settings> {
        let dataset = self.dataset.clone().unwrap_or_else(|| "mnist".into());
        let model = self.model.clone().unwrap_or_else(|| SMALL.into());
        let article = model == ARTICLE;
        let settings = Settings {
            full: self.full || self.data.is_some() || dataset != "mnist",
            epochs: self.epochs.unwrap_or(if article { 10 } else { 12 }),
            batch_size: self.batch_size.unwrap_or(if article { 32 } else { 64 }),
            lr: self.lr.unwrap_or(if article { 1e-3 } else { 4e-3 }),
            seed: self.seed.unwrap_or(42),
            validation: self.validation,
            limit: self.limit,
            patience: self.patience,
            clip_norm: self.clip_norm,
            dataset,
            model,
        };
        settings.check()?;
        Ok(settings)
    }

    /// The folder everything is saved in.
    pub fn out(&self) -> PathBuf {
        let dataset = self.dataset.as_deref().unwrap_or("mnist");
        self.out
            .clone()
            .unwrap_or_else(|| PathBuf::from("runs").join(dataset))
    }

    /// The settings of a run that is resumed: those it was started with, which options may repeat but (but for `--epochs`) not
    /// change.
    pub fn resumed(&self, mut there: Settings) -> Result<Settings> {
        fn same<T: PartialEq + std::fmt::Display>(
            option: &str,
            here: Option<&T>,
            there: Option<&T>,
        ) -> Result<()> {
            if here.is_none() || here == there {
                return Ok(());
            }
            let show = |value: Option<&T>| value.map_or("no value".into(), ToString::to_string);
            Err(Error::value(
                "",
                format!(
                    "--{option} {} does not go with --resume: the run was started with {}; leave it out, or start a new run",
                    show(here),
                    show(there)
                ),
            ))
        }
        same("dataset", self.dataset.as_ref(), Some(&there.dataset))?;
        same("model", self.model.as_ref(), Some(&there.model))?;
        same(
            "batch-size",
            self.batch_size.as_ref(),
            Some(&there.batch_size),
        )?;
        same("lr", self.lr.as_ref(), Some(&there.lr))?;
        same("seed", self.seed.as_ref(), Some(&there.seed))?;
        same(
            "validation",
            self.validation.as_ref(),
            there.validation.as_ref(),
        )?;
        same("limit", self.limit.as_ref(), there.limit.as_ref())?;
        same("patience", self.patience.as_ref(), there.patience.as_ref())?;
        same(
            "clip-norm",
            self.clip_norm.as_ref(),
            there.clip_norm.as_ref(),
        )?;
        if (self.full || self.data.is_some()) && !there.full {
            return Err(Error::value(
                "",
                "--full does not go with --resume: the run was started on the digits inside",
            ));
        }
        there.epochs = self.epochs.unwrap_or(there.epochs);
        there.check()?;
        Ok(there)
    }
}

impl Settings {
    fn check(&self) -> Result<()> {
        let wrong = |text: String| Err(Error::value("", text));
        if self.epochs == 0 || self.batch_size == 0 {
            return wrong(format!(
                "--epochs {} and --batch-size {} must be at least 1",
                self.epochs, self.batch_size
            ));
        }
        if !(self.lr.is_finite() && self.lr > 0.0) {
            return wrong(format!("--lr {} must be above 0, as in 0.001", self.lr));
        }
        if self
            .clip_norm
            .is_some_and(|norm| !(norm.is_finite() && norm > 0.0))
        {
            return wrong("--clip-norm must be above 0, as in 1.0".into());
        }
        Ok(())
    }

    /// As JSON, for the checkpoint. Rates are written as text that reads back to the same bits.
    pub fn to_json(&self) -> String {
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| map.insert(key.into(), value);
        put("dataset", self.dataset.as_str().into());
        put("full", self.full.into());
        put("model", self.model.as_str().into());
        put("epochs", self.epochs.into());
        put("batch_size", self.batch_size.into());
        put("lr", self.lr.to_string().into());
        put("seed", self.seed.into());
        put("validation", self.validation.into());
        put("limit", self.limit.into());
        put("patience", self.patience.into());
        put(
            "clip_norm",
            self.clip_norm.map(|norm| norm.to_string()).into(),
        );
        Value::Object(map).to_string()
    }

    /// From what [`Settings::to_json`] wrote.
    pub fn from_json(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let number = |key: &str| value[key].as_u64();
        Some(Self {
            dataset: text("dataset")?,
            full: value["full"].as_bool()?,
            model: text("model")?,
            epochs: number("epochs")?,
            batch_size: number("batch_size")?,
            lr: text("lr")?.parse().ok()?,
            seed: number("seed")?,
            validation: number("validation"),
            limit: number("limit"),
            patience: number("patience"),
            clip_norm: text("clip_norm").and_then(|norm| norm.parse().ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_json() {
        let args = TrainArgs {
            lr: Some(0.1 + 0.2),
            seed: Some(u64::MAX),
            limit: Some(7),
            ..TrainArgs::default()
        };
        let settings = args.settings().unwrap();
        assert_eq!(Settings::from_json(&settings.to_json()), Some(settings));
        assert_eq!(Settings::from_json("{}"), None);
    }

    #[test]
    fn a_resumed_run_keeps_its_settings() {
        let there = TrainArgs {
            lr: Some(0.01),
            ..TrainArgs::default()
        }
        .settings()
        .unwrap();
        let same = TrainArgs {
            lr: Some(0.01),
            epochs: Some(99),
            ..TrainArgs::default()
        };
        assert_eq!(same.resumed(there.clone()).unwrap().epochs, 99);
        let other = TrainArgs {
            lr: Some(0.02),
            ..TrainArgs::default()
        };
        let error = other.resumed(there).unwrap_err().to_string();
        assert!(
            error.contains("--lr 0.02 does not go with --resume: the run was started with 0.01"),
            "{error}"
        );
        assert!(
            TrainArgs {
                lr: Some(-1.0),
                ..TrainArgs::default()
            }
            .settings()
            .is_err()
        );
    }
}
