//! `GraphedStep`: a whole training step recorded into a CUDA graph, and made again for each batch by one launch.
//!
//! What changes from step to step lies in memory the graph reads: the batch is copied into that of the recording, the optimiser gives its
//! numbers (rates, bias corrections), the generator its place (dropout). Weights, running statistics and the optimiser's memory are
//! written where they lie; if they moved, the graph would write what nobody reads, so that is checked before each step.
//! The idea is PyTorch's ("whole-network capture"); a replayed step makes the same bits as one that is run.

use gradus_nn::Module;
use gradus_nn::optim::Optimizer;
use gradus_tensor::{CudaGraph, DType, Shape};

use crate::batch::Batch;
use crate::error::{Result, invalid};

/// A training step on a GPU, recorded. `B` is the batch, `R` what the step returns: tensors that each replay writes anew.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::optim::{AdamW, Optimizer};
/// use gradus_nn::{Layer, Linear, Module};
/// use gradus_tensor::{DType, Device, Tensor};
/// use gradus_train::GraphedStep;
/// # fn main() -> gradus_train::Result<()> {
/// let Ok(device) = Device::cuda(0) else { return Ok(()) };
/// let (mut model, mut optimizer) = (Linear::new(3, 1)?, AdamW::new(0.1));
/// model.to_device(&device)?;
/// let step = |model: &mut Linear, optimizer: &mut dyn Optimizer, x: &Tensor| {
///     let loss = model.forward(&Var::from(x.clone()))?.square()?.mean(.., false)?;
///     let value = loss.value().clone();
///     optimizer.step(model, &loss.backward_once()?)?;
///     Ok(value)
/// };
/// let x = Tensor::ones([4, 3], (DType::F32, device))?;
/// for _ in 0..3 {
///     step(&mut model, &mut optimizer, &x)?; // compiles kernels, and makes the optimiser's memory
/// }
/// let mut graphed = GraphedStep::record(&mut model, &mut optimizer, x, step)?; // no step yet
/// for _ in 0..10 {
///     let loss = graphed.replay(&model, &mut optimizer, &mut Tensor::ones([4, 3], DType::F32)?)?;
///     println!("{}", loss.to_f64()?);
/// }
/// # Ok(())
/// # }
/// ```
pub struct GraphedStep<B, R> {
    graph: CudaGraph,
    batch: B,
    forms: Vec<(Shape, DType)>,
    places: Vec<usize>,
    out: R,
}

/// Where everything lies that a step writes in place, by name.
fn places<M: Module + ?Sized>(model: &M) -> Vec<(String, usize)> {
    let params = model.named_parameters().into_iter();
    let params = params.filter(|(_, p)| !p.is_frozen());
    let params = params.map(|(name, p)| (name, p.data().data_ptr()));
    let buffers = model.named_buffers().into_iter();
    let buffers = buffers.map(|(name, b)| (name, b.get().data_ptr()));
    params.chain(buffers).collect()
}

/// Whether somebody else holds a parameter or a buffer: a replay would change what he has.
fn is_shared<M: Module + ?Sized>(model: &M) -> bool {
    let params = model.named_parameters();
    let mut params = params.iter().filter(|(_, p)| !p.is_frozen());
    params.any(|(_, p)| p.data().is_shared())
        || model.named_buffers().iter().any(|(_, b)| b.is_shared())
}

fn forms<B: Batch>(batch: &mut B) -> Vec<(Shape, DType)> {
    let tensors = batch.tensors().into_iter();
    tensors.map(|x| (x.shape().clone(), x.dtype())).collect()
}

impl<B: Batch, R> GraphedStep<B, R> {
    /// Records `step`: forward, backward, clipping, the optimiser's step. It does not run. Run some steps before (PyTorch advises three), so that
    /// the optimiser has its memory. `batch` has the shape of those to come.
    ///
    /// # Errors
    /// Those of `step`; the model is not on a GPU; the step reads a result, draws numbers on the host, or moves a parameter or a buffer.
    pub fn record<M: Module>(
        model: &mut M,
        optimizer: &mut dyn Optimizer,
        mut batch: B,
        step: impl FnOnce(&mut M, &mut dyn Optimizer, &B) -> Result<R>,
    ) -> Result<Self> {
        let device = model.device();
        for tensor in batch.tensors() {
            *tensor = tensor.to_device(&device)?;
            if tensor.is_shared() || !tensor.is_contiguous() {
                *tensor = tensor.copy()?;
            }
        }
        let before = places(model);
        let (graph, out) = CudaGraph::capture(&device, || step(model, optimizer, &batch))?;
        let after = places(model);
        if let Some(((name, _), _)) = before.iter().zip(&after).find(|(a, b)| a != b) {
            return Err(invalid(format!(
                "{name} is not written in place by the recorded step, so that a replay would not be seen: parameters and statistics on a GPU are, \
                 if nobody else holds them and they are f32"
            )));
        }
        Ok(Self {
            graph,
            forms: forms(&mut batch),
            batch,
            places: after.into_iter().map(|(_, place)| place).collect(),
            out,
        })
    }

    /// Whether a batch has the shapes and dtypes of the one it was recorded with.
    pub fn fits(&self, batch: &mut B) -> bool {
        forms(batch) == self.forms
    }

    /// Whether the model's parameters and buffers are where they were, and nobody else holds them. If not (the model was moved, loaded, or a copy
    /// of its state is kept), a run of the step makes it so again, and then it is to be recorded anew.
    pub fn is_current<M: Module + ?Sized>(&self, model: &M) -> bool {
        let now = places(model).into_iter().map(|(_, place)| place);
        now.eq(self.places.iter().copied()) && !is_shared(model)
    }

    /// Makes the step with another batch. What is returned is written by each replay: read it before the next.
    ///
    /// # Errors
    /// The batch does not fit, the step is not current, or the driver refuses.
    pub fn replay<M: Module + ?Sized>(
        &mut self,
        model: &M,
        optimizer: &mut dyn Optimizer,
        batch: &mut B,
    ) -> Result<&R> {
        if !self.fits(batch) {
            return Err(invalid(format!(
                "the step was recorded with a batch of {:?}, this one is {:?}",
                self.forms,
                forms(batch)
            )));
        }
        let pairs = self.batch.tensors().into_iter().zip(batch.tensors());
        for (there, new) in pairs {
            if there.is_shared() {
                return Err(invalid(
                    "what the recorded step returned holds its batch: return a copy",
                ));
            }
            there.copy_(new)?;
        }
        self.again(model, optimizer)
    }

    /// Makes the step with the batch that is there: that of the recording, or of the last replay.
    ///
    /// # Errors
    /// The step is not current, or the driver refuses.
    pub fn again<M: Module + ?Sized>(
        &mut self,
        model: &M,
        optimizer: &mut dyn Optimizer,
    ) -> Result<&R> {
        if !self.is_current(model) {
            return Err(invalid(
                "the model's parameters have moved or are held by somebody else since the step was recorded: record it again",
            ));
        }
        optimizer.replay()?;
        self.graph.replay()?;
        Ok(&self.out)
    }
}
