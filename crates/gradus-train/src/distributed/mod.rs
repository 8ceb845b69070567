//! Several ranks, one model: every rank computes the gradients of its share of a batch, and all step by the mean.
//!
//! A rank is a process (with NCCL it may be a thread) that runs the whole program. What ranks say to each other goes through a
//! [`Communicator`]: [`Solo`] for one rank alone, `mpi` and `nccl` behind features of these names. None of them is a transport
//! of our own. On top of it, with PyTorch's names: [`DistributedDataParallel`] and the [`Reducer`] inside it, and
//! [`DistributedSampler`]. It is not model or pipeline parallelism: every rank holds the whole model.
//!
//! ```
//! use std::sync::Arc;
//! # use gradus_autograd::Var;
//! # use gradus_nn::optim::{Optimizer, SGD};
//! # use gradus_nn::{Layer, Linear};
//! # use gradus_tensor::{DType, Tensor};
//! use gradus_train::distributed::{Communicator, DistributedDataParallel, Solo};
//!
//! fn train(ranks: Arc<dyn Communicator>) -> gradus_tensor::Result<()> {
//!     let mut model = DistributedDataParallel::new(Linear::new(2, 1)?, ranks)?; // rank 0's weights, everywhere
//!     let mut optimizer = SGD::new(0.1);
//!     for _ in 0..3 {
//!         let x = Var::from(Tensor::ones([4, 2], DType::F32)?); // this rank's share
//!         let loss = model.forward(&x)?.square()?.mean(.., false)?;
//!         let gradients = model.backward(loss)?; // the mean over all ranks
//!         optimizer.step(&mut model, &gradients)?;
//!     }
//!     Ok(())
//! }
//! train(Arc::new(Solo))?; // or gradus_train::distributed::mpi::run(train), started by mpirun
//! # Ok::<(), gradus_tensor::Error>(())
//! ```

mod agree;
mod data_parallel;
mod flat;
#[cfg(feature = "mpi")]
pub mod mpi;
#[cfg(feature = "nccl")]
pub mod nccl;
mod reducer;
mod sampler;

pub(crate) use agree::Ranks;
pub use data_parallel::DistributedDataParallel;
pub use reducer::{DataParallelOptions, Reducer};
pub use sampler::DistributedSampler;

use std::sync::Arc;

use gradus_tensor::Tensor;

use crate::error::Result;

/// What becomes of the ranks' numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceOp {
    /// Their sum.
    Sum,
    /// Their mean; of floats.
    Mean,
}

/// How ranks exchange tensors.
///
/// Every rank calls the same methods in the same order, with buffers of the same length and dtype: of the CPU, and with NCCL also of
/// the rank's GPU. Where a rank has failed or left, the
/// others get an error (or are ended by their transport) and do not wait for ever.
pub trait Communicator: Send + Sync {
    /// This rank's number, from 0.
    fn rank(&self) -> usize;

    /// How many ranks there are.
    fn world_size(&self) -> usize;

    /// Begins to put the same sum or mean of all ranks' flat buffers in place of each, and returns before that is done.
    ///
    /// # Errors
    /// When a rank has failed, or the dtype or device is not one this transport can take.
    fn all_reduce_async(&self, buffer: Tensor, op: ReduceOp) -> Result<Work>;

    /// The flat buffer of rank `root`, on every rank; what the others give says dtype, device and length.
    ///
    /// # Errors
    /// As [`all_reduce_async`](Self::all_reduce_async).
    fn broadcast(&self, buffer: Tensor, root: usize) -> Result<Tensor>;

    /// Waits until every rank has come here.
    ///
    /// # Errors
    /// When a rank has failed.
    fn barrier(&self) -> Result<()>;

    /// [`all_reduce_async`](Self::all_reduce_async), waited for.
    ///
    /// # Errors
    /// As that.
    fn all_reduce(&self, buffer: Tensor, op: ReduceOp) -> Result<Tensor> {
        self.all_reduce_async(buffer, op)?.wait()
    }
}

impl<C: Communicator + ?Sized> Communicator for Arc<C> {
    fn rank(&self) -> usize {
        (**self).rank()
    }
    fn world_size(&self) -> usize {
        (**self).world_size()
    }
    fn all_reduce_async(&self, buffer: Tensor, op: ReduceOp) -> Result<Work> {
        (**self).all_reduce_async(buffer, op)
    }
    fn broadcast(&self, buffer: Tensor, root: usize) -> Result<Tensor> {
        (**self).broadcast(buffer, root)
    }
    fn barrier(&self) -> Result<()> {
        (**self).barrier()
    }
}

/// An exchange under way.
#[must_use = "the result comes from `wait`"]
pub struct Work(Box<dyn FnOnce() -> Result<Tensor> + Send>);

impl Work {
    /// An exchange whose result `wait` waits for.
    pub fn new(wait: impl FnOnce() -> Result<Tensor> + Send + 'static) -> Self {
        Self(Box::new(wait))
    }

    /// The result, once it is there.
    ///
    /// # Errors
    /// When a rank has failed.
    pub fn wait(self) -> Result<Tensor> {
        (self.0)()
    }
}

/// One rank alone: everything is there already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Solo;

impl Communicator for Solo {
    fn rank(&self) -> usize {
        0
    }

    fn world_size(&self) -> usize {
        1
    }

    fn all_reduce_async(&self, buffer: Tensor, _: ReduceOp) -> Result<Work> {
        Ok(Work::new(|| Ok(buffer)))
    }

    fn broadcast(&self, buffer: Tensor, _: usize) -> Result<Tensor> {
        Ok(buffer)
    }

    fn barrier(&self) -> Result<()> {
        Ok(())
    }
}
