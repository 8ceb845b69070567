//! `Task`: what a batch means for a model: the loss to minimise and how many answers were right.
//!
//! The trainer knows neither images nor text; it asks the task. A closure of the right shape is a task too.

use gradus_autograd::functional::{CrossEntropy, cross_entropy};
use gradus_autograd::{Var, no_grad};
use gradus_nn::{Layer, Module};
use gradus_tensor::Tensor;

use crate::dataset::Dataset;
use crate::error::{Result, invalid};
use crate::loader::DataLoader;
use crate::metrics::{Accuracy, ConfusionMatrix, Mean};

/// How many answers of a batch were right: known, or a single number that is still on its way from a GPU.
#[derive(Clone, Debug)]
pub enum Count {
    /// So many.
    Known(u64),
    /// As many as this single number says; read when it is needed.
    There(Tensor),
}

impl Count {
    /// The number; waits for it.
    pub fn read(&self) -> Result<u64> {
        match self {
            Self::Known(n) => Ok(*n),
            Self::There(n) => Ok(n.to_f64()? as u64),
        }
    }
}

impl From<u64> for Count {
    fn from(n: u64) -> Self {
        Self::Known(n)
    }
}

/// What a task found in a batch.
pub struct Outcome {
    /// The mean loss over the batch, a single number.
    pub loss: Var,
    /// How many answers were right, where that means something.
    pub correct: Option<Count>,
    /// How many samples the batch has.
    pub samples: u64,
}

/// The loss of a model on a batch.
pub trait Task<M: ?Sized, B> {
    /// Runs the model on the batch and compares.
    fn run(&self, model: &M, batch: &B) -> Result<Outcome>;
}

impl<M: ?Sized, B, F: Fn(&M, &B) -> Result<Outcome>> Task<M, B> for F {
    fn run(&self, model: &M, batch: &B) -> Result<Outcome> {
        self(model, batch)
    }
}

/// Choosing one class for each sample: cross-entropy on logits (B, classes) and labels i64 (B), or probabilities of the logits'
/// shape, of which the likeliest counts as the right answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Classification {
    /// How much probability the target gives to the other classes.
    pub label_smoothing: f64,
}

impl<M: Layer + ?Sized> Task<M, (Tensor, Tensor)> for Classification {
    fn run(&self, model: &M, (inputs, labels): &(Tensor, Tensor)) -> Result<Outcome> {
        let device = model.device();
        let (inputs, labels) = (inputs.to_device(&device)?, &labels.to_device(&device)?);
        let logits = model.forward(&Var::from(inputs))?; // (B, classes)
        let truth = match labels.dtype().is_float() {
            true => labels.argmax(Some(-1), false)?,
            false => labels.clone(),
        };
        let answers = logits.value().argmax(Some(-1), false)?; // (B)
        let correct = Count::There(answers.eq(&truth)?.count_nonzero(..)?);
        let options = CrossEntropy {
            label_smoothing: self.label_smoothing,
            ..CrossEntropy::default()
        };
        let loss = cross_entropy(&logits, labels, &options)?;
        Ok(Outcome {
            loss,
            correct: Some(correct),
            samples: truth.numel() as u64,
        })
    }
}

/// A model's mean loss and accuracy on some data.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// The loss, averaged over samples.
    pub loss: Mean,
    /// The accuracy; of 0 answers where the task counts none.
    pub accuracy: Accuracy,
}

impl Score {
    /// Counts a batch.
    pub(crate) fn add(&mut self, loss: f64, correct: Option<u64>, samples: u64) {
        self.loss.add(loss, samples as f64);
        if let Some(correct) = correct {
            self.accuracy.add(correct, samples);
        }
    }
}

/// What a batch came to, in plain numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) loss: f64,
    pub(crate) correct: Option<u64>,
    pub(crate) samples: u64,
}

impl Measured {
    /// Reads them, whatever the model computes in.
    pub(crate) fn of(loss: &Tensor, correct: Option<&Count>, samples: u64) -> Result<Self> {
        if loss.numel() != 1 {
            return Err(invalid(format!(
                "a task's loss is one number; this one has shape {:?}",
                loss.dims()
            )));
        }
        Ok(Self {
            loss: loss.to_f64()?,
            correct: correct.map(Count::read).transpose()?,
            samples,
        })
    }
}

/// Scores a model on all of a loader's data, in evaluation mode and without recording. The model is left in training mode.
pub fn evaluate<M, D, T>(model: &mut M, task: &T, data: &DataLoader<D>) -> Result<Score>
where
    M: Module,
    D: Dataset + 'static,
    T: Task<M, D::Batch> + ?Sized,
{
    model.eval();
    let score = no_grad(|| {
        let mut score = Score::default();
        for batch in data.epoch_on(0, 0, &model.device()) {
            let outcome = task.run(model, &batch?)?;
            let loss = outcome.loss.value();
            let found = Measured::of(loss, outcome.correct.as_ref(), outcome.samples)?;
            score.add(found.loss, found.correct, found.samples);
        }
        Ok(score)
    });
    model.train();
    score
}

/// Every sample's true and predicted class as a table. The model is left in training mode.
pub fn confusion<M, D>(
    model: &mut M,
    data: &DataLoader<D>,
    classes: &[String],
) -> Result<ConfusionMatrix>
where
    M: Layer,
    D: Dataset<Batch = (Tensor, Tensor)> + 'static,
{
    model.eval();
    let table = no_grad(|| {
        let mut table = ConfusionMatrix::new(classes);
        for batch in data.epoch(0, 0) {
            let (inputs, labels) = batch?;
            let inputs = inputs.to_device(&model.device())?;
            let logits = model.forward(&Var::from(inputs))?; // (B, classes)
            let answers = logits.value().argmax(Some(-1), false)?.to_vec::<i64>()?; // (B)
            for (truth, answer) in labels.to_vec::<i64>()?.into_iter().zip(answers) {
                if !table.add(truth as usize, answer as usize) {
                    return Err(invalid(format!(
                        "class {truth} or {answer} is not among the {} classes",
                        classes.len()
                    )));
                }
            }
        }
        Ok(table)
    });
    model.train();
    table
}
