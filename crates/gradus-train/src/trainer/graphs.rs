//! The trainer's steps from a CUDA graph: when one is recorded, which batches it serves, when it is recorded anew.

use gradus_nn::Module;
use gradus_nn::optim::Optimizer;
use gradus_tensor::{DType, Device, Tensor};

use super::{Trainer, within};
use crate::batch::Batch;
use crate::error::{Result, invalid};
use crate::graphed::GraphedStep;
use crate::task::{Count, Measured, Task};

/// So many steps are run before one is recorded: PyTorch's number.
const WARM_UP: u32 = 3;

/// What the recorded step leaves: loss, right answers, samples.
type Found = (Tensor, Option<Count>, u64);

/// The recorded step of a run, if it wants one.
pub(super) struct Graphs<B> {
    wanted: bool,
    precision: Option<DType>,
    clip_norm: Option<f64>,
    steps: u32,
    recorded: Option<GraphedStep<B, Found>>,
}

impl Trainer<'_> {
    pub(super) fn graphs<B: Batch>(&self, device: &Device) -> Result<Graphs<B>> {
        let refuse = |why: &str| Err(invalid(format!("Trainer::cuda_graph: {why}")));
        if self.cuda_graph {
            if *device == Device::Cpu {
                return refuse("the model is on the CPU, which has no graphs; move it to a GPU");
            }
            if self.scaler.is_some() {
                return refuse(
                    "a scaler of losses reads each step whether its gradients are finite; train in bf16 or f32",
                );
            }
            if self.ranks.is_some() {
                return refuse("steps of several ranks cannot be recorded");
            }
        }
        Ok(Graphs {
            wanted: self.cuda_graph,
            precision: self.precision,
            clip_norm: self.clip_norm,
            steps: 0,
            recorded: None,
        })
    }
}

/// What became of a batch.
pub(super) enum Step<B> {
    /// The graph made a step with it.
    Made(Measured),
    /// It is to be run: the first ones, batches of other shapes, and one after the parameters have moved.
    Run(B),
}

impl<B: Batch> Graphs<B> {
    /// Makes a step by the graph, if it can.
    pub(super) fn step<M: Module, T: Task<M, B> + ?Sized>(
        &mut self,
        model: &mut M,
        optimizer: &mut dyn Optimizer,
        task: &T,
        mut batch: B,
    ) -> Result<Step<B>> {
        let measured = |(loss, correct, samples): &Found| {
            Measured::of(loss, correct.as_ref(), *samples).map(Step::Made)
        };
        if let Some(recorded) = &mut self.recorded {
            if !recorded.fits(&mut batch) {
                return Ok(Step::Run(batch));
            }
            if recorded.is_current(model) {
                return measured(recorded.replay(model, optimizer, &mut batch)?);
            }
            self.recorded = None;
            self.steps = WARM_UP - 1; // a step that is run puts everything in its place
        }
        if !self.wanted || self.steps < WARM_UP {
            self.steps = self.steps.saturating_add(1);
            return Ok(Step::Run(batch));
        }
        let (precision, clip_norm) = (self.precision, self.clip_norm);
        let step = |model: &mut M, optimizer: &mut dyn Optimizer, batch: &B| {
            let outcome = within(precision, || task.run(model, batch))?;
            let loss = outcome.loss.value().clone();
            let mut gradients = outcome.loss.backward_once()?;
            if let Some(norm) = clip_norm {
                gradus_nn::clip_grad_norm_(&mut gradients, norm, 2.0)?;
            }
            optimizer.step(model, &gradients)?;
            Ok((loss, outcome.correct, outcome.samples))
        };
        let recorded = GraphedStep::record(model, optimizer, batch, step)?;
        measured(self.recorded.insert(recorded).again(model, optimizer)?)
    }
}
