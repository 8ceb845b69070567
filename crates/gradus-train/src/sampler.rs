//! `Sampler`: the order in which an epoch visits the samples.
//!
//! The order is a function of (seed, epoch) alone, so a run that was stopped in the middle of epoch 7 after batch 31 finds the
//! same batch 32 again from those two numbers. Nothing else of the sampler needs saving.

use crate::Draw;
use crate::error::{Result, invalid};

/// Orders samples and cuts them into batches; reproducible from (seed, epoch).
///
/// ```
/// use gradus_train::Sampler;
/// let sampler = Sampler::new(10, 4)?.shuffle(42);
/// assert_eq!(sampler.batches(), 3); // 4 + 4 + 2
/// assert_eq!(sampler.clone().drop_last(true).batches(), 2);
/// assert_eq!(sampler.epoch(0), sampler.epoch(0));
/// assert_ne!(sampler.epoch(0), sampler.epoch(1));
/// # Ok::<(), gradus_train::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sampler {
    len: usize,
    batch_size: usize,
    shuffle: Option<u64>,
    drop_last: bool,
}

impl Sampler {
    /// Visits `len` samples in order, `batch_size` at a time. Errors when `batch_size` is 0.
    pub fn new(len: usize, batch_size: usize) -> Result<Self> {
        if batch_size == 0 {
            return Err(invalid(
                "DataLoader: batch_size is 0, and must be 1 or more",
            ));
        }
        Ok(Self {
            len,
            batch_size,
            shuffle: None,
            drop_last: false,
        })
    }

    /// Shuffles every epoch anew, reproducibly from `seed`.
    pub fn shuffle(mut self, seed: u64) -> Self {
        self.shuffle = Some(seed);
        self
    }

    /// Whether to leave out the last batch when it is not full.
    pub fn drop_last(mut self, drop_last: bool) -> Self {
        self.drop_last = drop_last;
        self
    }

    /// How many batches an epoch has.
    pub fn batches(&self) -> usize {
        if self.drop_last {
            self.len / self.batch_size
        } else {
            self.len.div_ceil(self.batch_size)
        }
    }

    /// How many samples an epoch visits.
    pub fn samples(&self) -> usize {
        if self.drop_last {
            self.batches() * self.batch_size
        } else {
            self.len
        }
    }

    /// The order of an epoch: every index of `0..len` once.
    pub fn epoch(&self, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.len).collect();
        if let Some(seed) = self.shuffle {
            // Sample keys use indices from 0 up; the order of the epoch takes the one index no sample has.
            Draw::for_sample(seed, epoch, u64::MAX).shuffle(&mut order);
        }
        order
    }

    /// The positions in [`Sampler::epoch`] that batch `batch` takes.
    pub fn range(&self, batch: usize) -> std::ops::Range<usize> {
        let start = batch.saturating_mul(self.batch_size).min(self.samples());
        start..start.saturating_add(self.batch_size).min(self.samples())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_once_per_epoch() {
        for (len, size) in [(0, 3), (1, 3), (9, 3), (10, 3), (10, 100)] {
            let sampler = Sampler::new(len, size).unwrap().shuffle(7);
            let order = sampler.epoch(2);
            let mut seen: Vec<usize> = (0..sampler.batches())
                .flat_map(|b| order[sampler.range(b)].to_vec())
                .collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..len).collect::<Vec<_>>());
            assert!(sampler.range(sampler.batches()).is_empty());
        }
        assert!(Sampler::new(10, 0).is_err());
    }
}
