//! `DistributedDataParallel`: a model that is the same on every rank. What averages its gradients is the [`Reducer`].

use std::sync::Arc;

use gradus_autograd::{Gradients, Var, is_grad_enabled};
use gradus_nn::{Layer, Module};

use super::{Communicator, DataParallelOptions, Reducer};
use crate::error::Result;

/// A model that every rank has a copy of, with the same weights at every moment. Source: PyTorch's class of this name.
///
/// What differs: the backward is [`backward`](Self::backward), since gradients are a value here; and names are those of the model
/// itself, without `module.`, so checkpoints of one rank and of many are the same.
#[derive(Module)]
pub struct DistributedDataParallel<M> {
    #[module(flatten)]
    module: M,
    #[module(skip)]
    reducer: Reducer,
}

impl<M: Module> DistributedDataParallel<M> {
    /// The model with rank 0's parameters and buffers, and PyTorch's options.
    ///
    /// # Errors
    /// As [`Reducer::new`].
    pub fn new(module: M, ranks: Arc<dyn Communicator>) -> Result<Self> {
        Self::with(module, ranks, DataParallelOptions::default())
    }

    /// The same, with these options.
    ///
    /// # Errors
    /// As [`Reducer::new`].
    pub fn with(
        mut module: M,
        ranks: Arc<dyn Communicator>,
        options: DataParallelOptions,
    ) -> Result<Self> {
        let reducer = Reducer::new(ranks, &mut module, options)?;
        Ok(Self { module, reducer })
    }

    /// The model. Before a forward that is not [`Layer::forward`], call [`sync_buffers`](Self::sync_buffers).
    pub fn module(&self) -> &M {
        &self.module
    }

    /// The model, to change it: alike on all ranks.
    pub fn module_mut(&mut self) -> &mut M {
        &mut self.module
    }

    /// The model alone.
    pub fn into_module(self) -> M {
        self.module
    }

    /// What averages the gradients.
    pub fn reducer(&self) -> &Reducer {
        &self.reducer
    }

    /// Makes the buffers rank 0's.
    ///
    /// # Errors
    /// When the exchange fails.
    pub fn sync_buffers(&self) -> Result<()> {
        self.reducer.sync_buffers(&self.module)
    }

    /// The gradients of this rank's mean loss, averaged over ranks, exchanged while the rest of the backward runs.
    ///
    /// # Errors
    /// As [`Reducer::backward`].
    pub fn backward(&self, loss: Var) -> Result<Gradients> {
        self.reducer.backward(&self.module, loss)
    }
}

impl<M: Layer> Layer for DistributedDataParallel<M> {
    /// The model's forward. Where gradients are recorded, buffers are made rank 0's first; inside `no_grad` ranks are on their own.
    fn forward(&self, x: &Var) -> Result<Var> {
        if is_grad_enabled() {
            self.sync_buffers()?;
        }
        self.module.forward(x)
    }
}
