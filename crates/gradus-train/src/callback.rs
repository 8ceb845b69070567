//! Callbacks: what else should happen while a model trains.
//!
//! The trainer itself computes, validates and saves. Showing the run, logging it and drawing it are callbacks, and so is
//! whatever a program wants to add.

use std::path::PathBuf;

use crate::error::Result;
use crate::history::{History, Row};
use crate::progress::{Progress, clock, say, thousands};
use crate::task::Score;
use crate::tensorboard::EventWriter;

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// End the run after this epoch or step, as if its epochs were over.
    Stop,
}

/// A run that begins or goes on.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// Steps made before (0 for a new run).
    pub step: u64,
    /// The epoch that comes next, from 0.
    pub epoch: u64,
    /// The batch of it that comes next, from 0.
    pub batch: u64,
    /// Epochs in all.
    pub epochs: u64,
    /// Epochs that are over.
    pub history: &'a History,
}

/// A step that was made.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Steps since the start of the run, this one included.
    pub step: u64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// Epochs in all.
    pub epochs: u64,
    /// Batches of this epoch that are done.
    pub batch: u64,
    /// Batches per epoch.
    pub batches: u64,
    /// The loss of this step's batch.
    pub loss: f64,
    /// The learning rate it was made with.
    pub lr: f64,
    /// The epoch so far.
    pub score: &'a Score,
    /// Samples per second in this epoch, since the run was started or resumed.
    pub samples_per_second: f64,
}

/// An epoch that is over.
#[derive(Clone, Copy, Debug)]
pub struct Epoch<'a> {
    /// What it measured.
    pub row: &'a Row,
    /// All epochs up to it.
    pub history: &'a History,
    /// Epochs in all.
    pub epochs: u64,
    /// Samples it trained on.
    pub samples: u64,
    /// Seconds of training alone, without validation.
    pub train_seconds: f64,
    /// Whether it is the best epoch so far.
    pub is_best: bool,
}

/// Something that happens while a model trains. Every method does nothing by default.
pub trait Callback {
    /// A run begins or is resumed.
    fn on_start(&mut self, start: &Start) -> Result<()> {
        let _ = start;
        Ok(())
    }

    /// A step was made.
    fn on_step(&mut self, step: &Step) -> Result<Control> {
        let _ = step;
        Ok(Control::Continue)
    }

    /// An epoch is over, validated and saved.
    fn on_epoch(&mut self, epoch: &Epoch) -> Result<Control> {
        let _ = epoch;
        Ok(Control::Continue)
    }
}

/// Shows the run: a bar within an epoch (plain lines where there is no terminal), one line after each.
#[derive(Default)]
pub struct Console {
    bar: Option<Progress>,
    noun: &'static str,
}

impl Console {
    /// `noun` is what a sample is, as in `images`.
    pub fn new(noun: &'static str) -> Self {
        Self { bar: None, noun }
    }
}

impl Callback for Console {
    fn on_step(&mut self, s: &Step) -> Result<Control> {
        let noun = self.noun;
        let bar = self.bar.get_or_insert_with(|| {
            let width = s.epochs.to_string().len();
            let label = format!("epoch {:>width$}/{}", s.epoch + 1, s.epochs);
            Progress::start(label, s.batches, s.batch, true)
        });
        bar.update(s.batch, || {
            let mut parts = vec![format!("loss {:.4}", s.score.loss.mean())];
            if s.score.accuracy.total > 0 {
                parts.push(format!("accuracy {:.2} %", s.score.accuracy.percent()));
            }
            parts.push(format!(
                "{} {noun}/s",
                thousands(s.samples_per_second as u64)
            ));
            parts.join("  ")
        });
        if s.batch == s.batches {
            self.bar = None;
        }
        Ok(Control::Continue)
    }

    fn on_epoch(&mut self, e: &Epoch) -> Result<Control> {
        self.bar = None;
        let width = e.epochs.to_string().len();
        let row = e.row;
        let mut parts = vec![format!(
            "epoch {:>width$}/{}  loss {:.4}",
            row.epoch, e.epochs, row.train_loss
        )];
        let mut part = |value: f64, text: String| {
            if !value.is_nan() {
                parts.push(text);
            }
        };
        part(
            row.train_accuracy,
            format!("accuracy {:6.2} %", 100.0 * row.train_accuracy),
        );
        part(
            row.val_loss,
            format!("│ validation: loss {:.4}", row.val_loss),
        );
        part(
            row.val_accuracy,
            format!("accuracy {:6.2} %", 100.0 * row.val_accuracy),
        );
        let rate = thousands((e.samples as f64 / e.train_seconds.max(1e-9)) as u64);
        parts.push(format!("│ {rate} {}/s  {}", self.noun, clock(row.seconds)));
        if e.is_best && !row.val_loss.is_nan() {
            parts.push("best".into());
        }
        say(&parts.join("  "));
        Ok(Control::Continue)
    }
}

/// Keeps a CSV file of the history, rewritten after every epoch.
pub struct CsvLog(
    /// The file.
    pub PathBuf,
);

impl Callback for CsvLog {
    fn on_start(&mut self, start: &Start) -> Result<()> {
        start.history.save_csv(&self.0)
    }

    fn on_epoch(&mut self, epoch: &Epoch) -> Result<Control> {
        epoch.history.save_csv(&self.0)?;
        Ok(Control::Continue)
    }
}

/// Keeps a picture of loss and accuracy, redrawn after every epoch.
pub struct ChartLog {
    /// The SVG file.
    pub path: PathBuf,
    /// The picture's headline.
    pub title: String,
    /// A line of facts under it.
    pub subtitle: String,
}

impl Callback for ChartLog {
    fn on_epoch(&mut self, epoch: &Epoch) -> Result<Control> {
        epoch
            .history
            .chart(&self.title, &self.subtitle)
            .save(&self.path)?;
        Ok(Control::Continue)
    }
}

/// Writes event files for TensorBoard: the loss every few steps, everything after every epoch.
pub struct TensorBoardLog {
    folder: PathBuf,
    every: u64,
    writer: Option<EventWriter>,
}

impl TensorBoardLog {
    /// Event files in `folder`; the loss of every `every`-th step.
    pub fn new(folder: impl Into<PathBuf>, every: u64) -> Self {
        Self {
            folder: folder.into(),
            every: every.max(1),
            writer: None,
        }
    }
}

impl Callback for TensorBoardLog {
    fn on_start(&mut self, start: &Start) -> Result<()> {
        self.writer = Some(EventWriter::create(&self.folder, start.step)?);
        Ok(())
    }

    fn on_step(&mut self, s: &Step) -> Result<Control> {
        if let Some(writer) = self
            .writer
            .as_mut()
            .filter(|_| s.step.is_multiple_of(self.every))
        {
            writer.scalars(s.step, &[("step/loss", s.loss), ("step/lr", s.lr)])?;
        }
        Ok(Control::Continue)
    }

    fn on_epoch(&mut self, e: &Epoch) -> Result<Control> {
        if let Some(writer) = &mut self.writer {
            let row = e.row;
            let values = [
                ("loss/train", row.train_loss),
                ("loss/validation", row.val_loss),
                ("accuracy/train", row.train_accuracy),
                ("accuracy/validation", row.val_accuracy),
            ];
            let measured: Vec<(&str, f64)> =
                values.into_iter().filter(|(_, v)| !v.is_nan()).collect();
            writer.scalars(row.step, &measured)?;
        }
        Ok(Control::Continue)
    }
}
