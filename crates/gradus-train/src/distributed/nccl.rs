//! NCCL, for ranks with an NVIDIA GPU each. How they find each other is another communicator's business: MPI, say, that started them.
//!
//! Exchanges run beside the kernels of the backward; the host waits for neither. NCCL itself does not notice a rank that has gone:
//! under `mpi::run` a rank that fails ends the others.
//!
//! Status: compiled, and run on a stand-in for the library; not yet run on hardware.

use gradus_tensor::nccl::{ID_BYTES, Nccl as Ranks, unique_id};
use gradus_tensor::{Device, Tensor};

use super::{Communicator, ReduceOp, Work};
use crate::error::{Result, invalid};

/// The ranks of another communicator, exchanging over their GPUs.
///
/// ```no_run
/// # use gradus_tensor::Device;
/// use gradus_train::distributed::{Communicator, nccl::Nccl};
/// # use gradus_train::distributed::Solo;
///
/// fn train(ranks: &dyn Communicator) -> gradus_train::Result<()> {
///     let device = Device::cuda(ranks.rank())?; // on one machine: each rank the GPU of its number
///     let ranks = Nccl::over(ranks, &device)?;
///     // … model.to_device(&device)?, DistributedDataParallel::new(model, Arc::new(ranks))? …
///     Ok(())
/// }
/// # train(&Solo)?;
/// # Ok::<(), gradus_train::Error>(())
/// ```
pub struct Nccl {
    ranks: Ranks,
    rank: usize,
    world_size: usize,
}

impl Nccl {
    /// Every rank of `ranks` with a GPU of its own.
    ///
    /// # Errors
    /// On every rank, when a rank has no NCCL or no such GPU: its own error says which, the others name the rank.
    pub fn over(ranks: &dyn Communicator, device: &Device) -> Result<Self> {
        let (rank, world_size) = (ranks.rank(), ranks.world_size());
        // All make an id, so that who has no NCCL is known before anybody waits in NCCL for it.
        let id = unique_id();
        let mut lacking = vec![0f32; world_size]; // by rank
        lacking[rank] = f32::from(id.is_err());
        let lacking = Tensor::from_vec(lacking, world_size)?;
        let lacking = ranks.all_reduce(lacking, ReduceOp::Sum)?.to_vec::<f32>()?;
        let id = id?;
        if let Some(other) = lacking.iter().position(|n| *n > 0.0) {
            return Err(invalid(format!("nccl: rank {other} cannot use NCCL")));
        }
        let id = Tensor::from_vec(id, ID_BYTES)?;
        let id = ranks.broadcast(id, 0)?.to_vec::<u8>()?;
        Ok(Self {
            ranks: Ranks::new(device, &id, world_size, rank)?,
            rank,
            world_size,
        })
    }
}

impl Communicator for Nccl {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world_size(&self) -> usize {
        self.world_size
    }

    fn all_reduce_async(&self, buffer: Tensor, op: ReduceOp) -> Result<Work> {
        let pending = self.ranks.all_reduce(buffer, op == ReduceOp::Mean)?;
        Ok(Work::new(|| pending.wait()))
    }

    fn broadcast(&self, buffer: Tensor, root: usize) -> Result<Tensor> {
        if root >= self.world_size {
            let text = format!("broadcast from rank {root} of {}", self.world_size);
            return Err(invalid(text));
        }
        self.ranks.broadcast(buffer, root)?.wait()
    }

    fn barrier(&self) -> Result<()> {
        // A number of the CPU comes back only when all have given theirs.
        let one = Tensor::from_slice(&[1f32], 1)?;
        self.all_reduce(one, ReduceOp::Sum).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distributed::Solo;

    #[test]
    fn what_is_missing_is_said() {
        let error = match Nccl::over(&Solo, &Device::Cpu) {
            Ok(_) => panic!("on the CPU"),
            Err(error) => error.to_string(),
        };
        let said = ["was not found", "NCCL is for GPUs"];
        assert!(said.iter().any(|text| error.contains(text)), "{error}");
    }
}
