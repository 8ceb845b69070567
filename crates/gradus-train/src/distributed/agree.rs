//! What the ranks of a [`Trainer`](crate::Trainer) must agree on, so that all do the same thing next: the loss that was measured,
//! whether to stop, whether to save, the validation. Each is one exchange of a few numbers.

use std::sync::Arc;

use gradus_nn::Module;
use gradus_tensor::Tensor;
use gradus_tensor::random::RngState;

use super::{Communicator, DataParallelOptions, ReduceOp, Reducer};
use crate::error::Result;
use crate::task::Measured;

/// The ranks of a run.
pub(crate) struct Ranks {
    reducer: Reducer,
}

impl Ranks {
    /// Gives all ranks rank 0's model.
    pub(crate) fn new(
        ranks: Arc<dyn Communicator>,
        model: &mut dyn Module,
        options: DataParallelOptions,
    ) -> Result<Self> {
        Ok(Self {
            reducer: Reducer::new(ranks, model, options)?,
        })
    }

    pub(crate) fn reducer(&self) -> &Reducer {
        &self.reducer
    }

    pub(crate) fn world_size(&self) -> usize {
        self.ranks().world_size()
    }

    /// Is this rank 0?
    pub(crate) fn is_first(&self) -> bool {
        self.ranks().rank() == 0
    }

    fn ranks(&self) -> &dyn Communicator {
        &**self.reducer.communicator()
    }

    /// The sum over ranks of each number.
    fn sum<const N: usize>(&self, numbers: [f64; N]) -> Result<[f64; N]> {
        let buffer = Tensor::from_slice(&numbers, N)?;
        let sum = self.exchange(buffer)?.to_vec::<f64>()?;
        Ok(sum.try_into().unwrap_or(numbers))
    }

    fn exchange(&self, buffer: Tensor) -> Result<Tensor> {
        self.ranks().all_reduce(buffer, ReduceOp::Sum)
    }

    /// The mean loss, right answers and samples of the batches of all ranks.
    pub(crate) fn measured(&self, own: Measured) -> Result<Measured> {
        let n = own.samples as f64;
        let right = own.correct.map_or(0.0, |n| n as f64);
        let [loss, right, n] = self.sum([own.loss * n, right, n])?;
        Ok(Measured {
            loss: loss / n,
            correct: own.correct.map(|_| right as u64),
            samples: n as u64,
        })
    }

    /// Does any rank say yes to the first? Does rank 0 to the second?
    pub(crate) fn any_and_first(&self, any: bool, first: bool) -> Result<(bool, bool)> {
        let first = first && self.is_first();
        let [any, first] = self.sum([f64::from(any), f64::from(first)])?;
        Ok((any > 0.0, first > 0.0))
    }

    /// Rank 0's numbers.
    pub(crate) fn of_first<const N: usize>(&self, numbers: [f64; N]) -> Result<[f64; N]> {
        self.sum(if self.is_first() { numbers } else { [0.0; N] })
    }

    /// The states of all ranks' generators, by rank: i64 (ranks, 2), seed and offset.
    pub(crate) fn generators(&self, own: RngState) -> Result<Tensor> {
        let (rank, world) = (self.ranks().rank(), self.ranks().world_size());
        let mut all = vec![0i64; 2 * world];
        all[2 * rank] = own.seed.cast_signed();
        all[2 * rank + 1] = own.offset.cast_signed();
        let all = self.exchange(Tensor::from_vec(all, 2 * world)?)?;
        all.reshape([world, 2])
    }

    /// This rank's part of [`Ranks::generators`], by as many ranks.
    pub(crate) fn generator(&self, all: &Tensor) -> Result<RngState> {
        let row = all.narrow(0, self.ranks().rank() as i64, 1)?;
        let row = row.to_vec::<i64>()?;
        Ok(RngState {
            seed: row[0].cast_unsigned(),
            offset: row[1].cast_unsigned(),
        })
    }
}
