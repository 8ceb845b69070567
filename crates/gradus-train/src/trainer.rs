//! `Trainer`: the training loop, with validation, schedules, early stop, checkpoints and exact resumption.
//!
//! Everything random or accumulated is either a pure function of (seed, epoch, step) or in the checkpoint: weights, the
//! optimiser's memory, the default generator (dropout), the epoch's running sums, the history. So a run that was stopped
//! anywhere and resumed ends with the same bits as one that was not. Read [`Trainer::fit`] top to bottom: it is the loop.

mod graphs;
mod state;

use std::sync::Arc;
use std::time::Instant;

use gradus_autograd::autocast;
use gradus_nn::optim::Optimizer;
use gradus_nn::schedule::{LrScheduler, Schedule};
use gradus_nn::{GradScaler, Module};
use gradus_tensor::DType;

use crate::callback::{Callback, Control, Epoch, Start, Step};
use crate::checkpoint::{Identity, Progress};
use crate::dataset::Dataset;
use crate::distributed::{Communicator, DataParallelOptions, Ranks};
use crate::error::{Result, invalid};
use crate::history::{Best, History, Row};
use crate::loader::DataLoader;
use crate::saving::Saving;
use crate::stop::StopFlag;
use crate::task::{Measured, Score, Task, evaluate};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All epochs are over.
    Finished,
    /// It no longer got better, or a callback had enough.
    StoppedEarly,
    /// The stop flag was set; the state was saved where saving is on.
    Interrupted,
}

/// What a run leaves behind, besides the trained model.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// What every epoch measured.
    pub history: History,
    /// Steps made in all.
    pub step: u64,
    /// The best epoch: its row in the history and its value.
    pub best: Option<Best>,
    /// Seconds since `fit` was called.
    pub seconds: f64,
}

/// Trains a model. Options first, then [`Trainer::fit`].
pub struct Trainer<'a> {
    epochs: u64,
    schedule: Option<Box<dyn Schedule + 'a>>,
    clip_norm: Option<f64>,
    precision: Option<DType>,
    scaler: Option<GradScaler>,
    ranks: Option<(Arc<dyn Communicator>, DataParallelOptions)>,
    cuda_graph: bool,
    patience: Option<u64>,
    saving: Option<Saving>,
    resume: bool,
    stop: StopFlag,
    callbacks: Vec<Box<dyn Callback + 'a>>,
}

impl<'a> Trainer<'a> {
    /// A run of so many epochs that shows and saves nothing yet.
    pub fn new(epochs: u64) -> Self {
        Self {
            epochs,
            schedule: None,
            clip_norm: None,
            precision: None,
            scaler: None,
            ranks: None,
            cuda_graph: false,
            patience: None,
            saving: None,
            resume: false,
            stop: StopFlag::default(),
            callbacks: Vec::new(),
        }
    }

    /// Moves the learning rate by optimiser step.
    pub fn schedule(mut self, schedule: impl Schedule + 'a) -> Self {
        self.schedule = Some(Box::new(schedule));
        self
    }

    /// Scales gradients down to this norm, taken over all parameters, where it is greater.
    pub fn clip_norm(mut self, norm: f64) -> Self {
        self.clip_norm = Some(norm);
        self
    }

    /// Makes products in `dtype`, bf16 or f16 ([`autocast`]), in training and validation; parameters stay what they are.
    /// f16 wants [`Trainer::grad_scaler`] beside it.
    pub fn autocast(mut self, dtype: DType) -> Self {
        self.precision = Some(dtype);
        self
    }

    /// Scales losses up and gradients down, and leaves out steps whose gradients are not finite. A step that is left out counts as
    /// one for the schedule. The scale is part of the checkpoints.
    pub fn grad_scaler(mut self, scaler: GradScaler) -> Self {
        self.scaler = Some(scaler);
        self
    }

    /// Trains on several ranks at once, each on its share of every batch ([`DataLoader::sampler`]); losses, rows of the history and
    /// checkpoints are of all ranks together. Every rank has the same options and validation data; rank 0 saves, and what shows
    /// or logs belongs there alone. To resume, all ranks read the file.
    pub fn distributed(
        mut self,
        ranks: Arc<dyn Communicator>,
        options: DataParallelOptions,
    ) -> Self {
        self.ranks = Some((ranks, options));
        self
    }

    /// Records a step into a CUDA graph once the first few are made, and makes those that follow by one launch each ([`GraphedStep`](crate::GraphedStep));
    /// the bits are those of steps that are run. Batches of another shape, such as a last one that is not full, are run as ever. For a model on a
    /// GPU, on one rank, without a scaler of losses.
    pub fn cuda_graph(mut self, yes: bool) -> Self {
        self.cuda_graph = yes;
        self
    }

    /// Ends the run when so many epochs in a row were no better than the best one.
    pub fn patience(mut self, epochs: u64) -> Self {
        self.patience = Some(epochs);
        self
    }

    /// Saves checkpoints.
    pub fn save(mut self, saving: Saving) -> Self {
        self.saving = Some(saving);
        self
    }

    /// Goes on from the last checkpoint of the folder of [`Trainer::save`].
    pub fn resume(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Looks at this flag after every step.
    pub fn stop_on(mut self, stop: StopFlag) -> Self {
        self.stop = stop;
        self
    }

    /// Adds a callback; they run in the order they were added.
    pub fn callback(mut self, callback: impl Callback + 'a) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Trains `model` on the batches of `train`, judging it after every epoch by `validation` where there is one.
    ///
    /// Errors when the data is empty, an operation fails, the loss is no longer a number, a file cannot be written, or the
    /// checkpoint to resume from is of another run.
    pub fn fit<M, D, T, V>(
        mut self,
        model: &mut M,
        optimizer: &mut dyn Optimizer,
        task: &T,
        train: &DataLoader<D>,
        validation: Option<&DataLoader<V>>,
    ) -> Result<Report>
    where
        M: Module,
        D: Dataset + 'static,
        V: Dataset<Batch = D::Batch> + 'static,
        T: Task<M, D::Batch> + ?Sized,
    {
        let started = Instant::now();
        let batches = train.batches() as u64;
        if batches == 0 {
            return Err(invalid(
                "there is nothing to train on: an epoch has no batch",
            ));
        }
        let device = model.device();
        let mut graphs = self.graphs(&device)?;
        let ranks = match self.ranks.take() {
            Some((ranks, options)) => Some(Ranks::new(ranks, model, options)?),
            None => None,
        };
        let ranks = ranks.as_ref();
        let identity = Identity {
            seed: train.seed_value(),
            batch_size: train.batch_size() as u64,
            samples: train.samples() as u64,
        };
        // The scheduler must see the optimiser's own rates, before a checkpoint brings those of the step it was saved at.
        let mut scheduler = self
            .schedule
            .take()
            .map(|schedule| LrScheduler::new(schedule, optimizer));
        let mut at = Progress::default();
        if self.resume {
            at = self.restore(model, optimizer, &identity, ranks)?;
            if let Some(scheduler) = &mut scheduler {
                scheduler.set_step(at.step as usize, optimizer);
            }
        } else {
            // From here on there is always something to resume from.
            self.write(&["last"], model, optimizer, &at, &identity, ranks)?;
        }
        let start = Start {
            step: at.step,
            epoch: at.epoch,
            batch: at.batch,
            epochs: self.epochs,
            history: &at.history,
        };
        for callback in &mut self.callbacks {
            callback.on_start(&start)?;
        }

        model.train();
        let mut saved = Instant::now();
        let mut end = End::Finished;
        'run: while at.epoch < self.epochs {
            if self.patience_is_over(&at.history) {
                end = End::StoppedEarly;
                break;
            }
            let seconds_before = at.seconds;
            let (epoch_started, mut samples_now) = (Instant::now(), 0);
            for batch in train.epoch_on(at.epoch, at.batch as usize, &device) {
                // Forward, backward, step.
                let lr = optimizer.lr();
                let Measured {
                    loss,
                    correct,
                    samples,
                } = match graphs.step(model, optimizer, task, batch?)? {
                    graphs::Step::Made(measured) => self.checked(measured, &at)?,
                    graphs::Step::Run(batch) => {
                        self.step(model, optimizer, task, &batch, ranks, &at)?
                    }
                };
                at.lr = lr;
                if let Some(scheduler) = &mut scheduler {
                    scheduler.step(optimizer);
                }

                at.batch += 1;
                at.step += 1;
                at.score.add(loss, correct, samples);
                samples_now += samples;
                let elapsed = epoch_started.elapsed().as_secs_f64();
                at.seconds = seconds_before + elapsed;
                let step = Step {
                    step: at.step,
                    epoch: at.epoch,
                    epochs: self.epochs,
                    batch: at.batch,
                    batches,
                    loss,
                    lr: at.lr,
                    score: &at.score,
                    samples_per_second: samples_now as f64 / elapsed.max(1e-9),
                };
                let mut go_on = Control::Continue;
                for callback in &mut self.callbacks {
                    if callback.on_step(&step)? == Control::Stop {
                        go_on = Control::Stop;
                    }
                }
                let enough = go_on == Control::Stop;
                let mut stop = enough || self.stop.is_set();
                let mut due = (self.saving.as_ref()).is_some_and(|s| s.is_due(at.step, saved));
                if let Some(ranks) = ranks {
                    (stop, due) = ranks.any_and_first(stop, due)?;
                }
                if stop {
                    self.write(&["last"], model, optimizer, &at, &identity, ranks)?;
                    end = match enough {
                        true => End::StoppedEarly,
                        false => End::Interrupted,
                    };
                    break 'run;
                }
                if at.batch < batches && due {
                    self.write(&["last"], model, optimizer, &at, &identity, ranks)?;
                    saved = Instant::now();
                }
            }

            // The epoch is over: judge it, note it, save it.
            let train_seconds = epoch_started.elapsed().as_secs_f64();
            if let Some(ranks) = ranks {
                ranks.reducer().sync_buffers(model)?;
            }
            let val = validation
                .map(|data| within(self.precision, || evaluate(model, task, data)))
                .transpose()?;
            let mut val = [
                val.map_or(f64::NAN, |v| v.loss.mean()),
                val.map_or(f64::NAN, |v| v.accuracy.value()),
            ];
            if let Some(ranks) = ranks {
                val = ranks.of_first(val)?;
            }
            let [val_loss, val_accuracy] = val;
            at.history.rows.push(Row {
                epoch: at.epoch + 1,
                step: at.step,
                lr: at.lr,
                train_loss: at.score.loss.mean(),
                train_accuracy: at.score.accuracy.value(),
                val_loss,
                val_accuracy,
                seconds: seconds_before + epoch_started.elapsed().as_secs_f64(),
            });
            at.epoch += 1;
            at.batch = 0;
            at.seconds = 0.0;
            at.score = Score::default();
            let rows = &at.history.rows;
            let is_best = at
                .history
                .best()
                .is_some_and(|best| best.index + 1 == rows.len());
            // Best before last: a crash in between leaves a `last` from which the same best is found again.
            let files: &[&str] = if is_best {
                &["best", "last"]
            } else {
                &["last"]
            };
            self.write(files, model, optimizer, &at, &identity, ranks)?;
            saved = Instant::now();
            if let Some(row) = rows.last() {
                let epoch = Epoch {
                    row,
                    history: &at.history,
                    epochs: self.epochs,
                    samples: samples_now,
                    train_seconds,
                    is_best,
                };
                for callback in &mut self.callbacks {
                    if callback.on_epoch(&epoch)? == Control::Stop {
                        end = End::StoppedEarly;
                    }
                }
            }
            let mut stop = self.stop.is_set();
            if let Some(ranks) = ranks {
                let enough = end == End::StoppedEarly;
                (stop, _) = ranks.any_and_first(stop || enough, false)?;
            }
            if end == End::StoppedEarly {
                break;
            }
            if stop && at.epoch < self.epochs {
                end = End::Interrupted;
                break;
            }
        }
        let best = at.history.best();
        Ok(Report {
            end,
            history: at.history,
            step: at.step,
            best,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Forward, backward, step.
    fn step<M: Module, B, T: Task<M, B> + ?Sized>(
        &mut self,
        model: &mut M,
        optimizer: &mut dyn Optimizer,
        task: &T,
        batch: &B,
        ranks: Option<&Ranks>,
        at: &Progress,
    ) -> Result<Measured> {
        if let Some(ranks) = ranks {
            ranks.reducer().sync_buffers(model)?;
        }
        let outcome = within(self.precision, || task.run(model, batch))?;
        let mut measured = Measured::of(
            outcome.loss.value(),
            outcome.correct.as_ref(),
            outcome.samples,
        )?;
        if let Some(ranks) = ranks {
            measured = ranks.measured(measured)?;
        }
        let measured = self.checked(measured, at)?;
        let scaled = match &self.scaler {
            Some(scaler) => scaler.scale(&outcome.loss)?,
            None => outcome.loss,
        };
        let mut gradients = match ranks {
            Some(ranks) => ranks.reducer().backward(model, scaled)?,
            None => scaled.backward_once()?,
        };
        if let Some(scaler) = &mut self.scaler {
            scaler.unscale_(&mut gradients)?;
        }
        if let Some(norm) = self.clip_norm {
            gradus_nn::clip_grad_norm_(&mut gradients, norm, 2.0)?;
        }
        if let Some(scaler) = &mut self.scaler {
            scaler.step(optimizer, model, &mut gradients)?;
            scaler.update(None)?;
        } else {
            optimizer.step(model, &gradients)?;
        }
        Ok(measured)
    }

    /// An error if the loss is no number.
    fn checked(&self, measured: Measured, at: &Progress) -> Result<Measured> {
        let loss = measured.loss;
        if loss.is_finite() {
            return Ok(measured);
        }
        let further = match self.precision {
            Some(DType::F16) => ", or bf16, which reaches further than f16",
            _ => "",
        };
        Err(invalid(format!(
            "the loss became {loss} at epoch {}, batch {}: try a lower learning rate{further}",
            at.epoch + 1,
            at.batch + 1
        )))
    }

    fn patience_is_over(&self, history: &History) -> bool {
        let since_best = history
            .best()
            .map_or(0, |best| history.rows.len() - 1 - best.index);
        self.patience
            .is_some_and(|patience| since_best as u64 >= patience.max(1))
    }
}

/// Runs `f` with products in `precision`, where one was asked for.
fn within<R>(precision: Option<DType>, f: impl FnOnce() -> R) -> R {
    match precision {
        Some(dtype) => autocast(dtype, f),
        None => f(),
    }
}
