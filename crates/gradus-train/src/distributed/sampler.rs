//! `DistributedSampler`: which samples of an epoch a rank takes. All ranks shuffle alike; rank r takes every `world_size`-th.
//!
//! Source: `torch.utils.data.DistributedSampler`, down to the order: an epoch is shuffled by PyTorch's generator from seed + epoch,
//! so a rank sees the very samples it would see there. It does not make batches ([`Sampler`](crate::Sampler) does).

use gradus_tensor::random::TorchRng;

use crate::error::{Result, invalid};

/// The samples of one rank.
///
/// ```
/// use gradus_train::distributed::DistributedSampler;
/// let order = |rank| Ok::<_, gradus_train::Error>(DistributedSampler::new(5, 2, rank)?.shuffle(false).epoch(0));
/// assert_eq!(order(0)?, [0, 2, 4]);
/// assert_eq!(order(1)?, [1, 3, 0]); // filled up from the start
/// # Ok::<(), gradus_train::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DistributedSampler {
    len: usize,
    world_size: usize,
    rank: usize,
    shuffle: bool,
    seed: u64,
    drop_last: bool,
}

impl DistributedSampler {
    /// Of `len` samples, those of `rank`; shuffled, from seed 0. Every rank takes equally many.
    ///
    /// # Errors
    /// When there is no such rank.
    pub fn new(len: usize, world_size: usize, rank: usize) -> Result<Self> {
        if rank >= world_size {
            return Err(invalid(format!(
                "DistributedSampler: rank {rank} of {world_size}; ranks count from 0"
            )));
        }
        Ok(Self {
            len,
            world_size,
            rank,
            shuffle: true,
            seed: 0,
            drop_last: false,
        })
    }

    /// Whether every epoch has an order of its own.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// The seed of the order; it must be the same on all ranks.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether to leave out samples so that the rest can be shared equally, instead of taking some twice.
    pub fn drop_last(mut self, drop_last: bool) -> Self {
        self.drop_last = drop_last;
        self
    }

    /// How many samples there are in all.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Samples of an epoch that this rank takes; as many as every other.
    pub fn samples(&self) -> usize {
        if self.drop_last {
            self.len / self.world_size
        } else {
            self.len.div_ceil(self.world_size)
        }
    }

    /// The samples of the epoch, in order. (PyTorch's `set_epoch` is the argument.)
    pub fn epoch(&self, epoch: u64) -> Vec<usize> {
        let order: Vec<usize> = if self.shuffle {
            let mut draw = TorchRng::manual_seed(self.seed.wrapping_add(epoch));
            let order = draw.permutation(self.len).into_iter();
            order.map(|i| i as usize).collect()
        } else {
            (0..self.len).collect()
        };
        // Beyond its end the order begins again.
        let places = (0..self.samples()).map(|i| i * self.world_size + self.rank);
        places.map(|at| order[at % self.len]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders(len: usize, world: usize, epoch: u64, drop_last: bool) -> Vec<Vec<usize>> {
        let sampler = |rank| DistributedSampler::new(len, world, rank).unwrap();
        (0..world)
            .map(|rank| sampler(rank).seed(7).drop_last(drop_last).epoch(epoch))
            .collect()
    }

    /// What PyTorch 2.15 gives for the same arguments.
    #[test]
    fn the_order_is_pytorchs() {
        assert_eq!(
            orders(11, 3, 0, false),
            [vec![3, 2, 4, 7], vec![0, 5, 10, 6], vec![9, 8, 1, 3]]
        );
        assert_eq!(
            orders(11, 3, 4, true),
            [vec![6, 0, 4], vec![10, 7, 3], vec![8, 2, 9]]
        );
        assert_eq!(
            orders(2, 5, 1, false),
            [vec![1], vec![0], vec![1], vec![0], vec![1]]
        );
        assert_eq!(
            orders(10, 4, 1, true),
            [vec![3, 2], vec![5, 6], vec![0, 4], vec![1, 7]]
        );
    }

    #[test]
    fn every_sample_is_taken_and_ranks_are_equal() {
        for (len, world) in [(0, 3), (1, 4), (2, 5), (12, 4), (13, 4), (103, 7)] {
            for drop_last in [false, true] {
                let orders = orders(len, world, 2, drop_last);
                let each = orders[0].len();
                assert!(orders.iter().all(|order| order.len() == each));
                let mut seen: Vec<usize> = orders.concat();
                seen.sort_unstable();
                seen.dedup();
                assert_eq!(seen.len(), if drop_last { each * world } else { len });
            }
        }
        assert!(DistributedSampler::new(5, 2, 2).is_err());
    }
}
