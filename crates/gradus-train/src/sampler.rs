//! `Sampler`: the order in which an epoch visits the samples.
//!
//! The order is a function of (seed, epoch) alone, so a run that was stopped in the middle of epoch 7 after batch 31 finds the
//! same batch 32 again from those two numbers. Nothing else of the sampler needs saving.

use std::sync::Arc;

use crate::Draw;
use crate::distributed::DistributedSampler;
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
    lengths: Option<Arc<[usize]>>,
    share: Option<DistributedSampler>,
}

/// Within so many batches, samples of like length come together.
const GROUPED: usize = 50;

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
            lengths: None,
            share: None,
        })
    }

    /// Shuffles every epoch anew, reproducibly from `seed`.
    pub fn shuffle(mut self, seed: u64) -> Self {
        self.shuffle = Some(seed);
        self
    }

    /// Puts samples of like length into one batch, so that little is filled up: the shuffled order is cut into parts of 50
    /// batches, each part sorted by length, and the batches shuffled again. Without shuffling, all are sorted once. It is Hugging
    /// Face's `group_by_length` but for the last shuffle. Samples beyond the list count as of length 0.
    pub fn group_by_length(mut self, lengths: impl Into<Arc<[usize]>>) -> Self {
        self.lengths = Some(lengths.into());
        self
    }

    /// Visits the samples of one rank only, in its order.
    pub fn distributed(mut self, share: DistributedSampler) -> Self {
        self.len = share.samples();
        self.share = Some(share);
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

    /// The order of an epoch: every index of `0..len` once, or those of the rank's share.
    pub fn epoch(&self, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = match &self.share {
            Some(share) => share.epoch(epoch),
            None => (0..self.len).collect(),
        };
        // Sample keys use indices from 0 up; the order of the epoch takes the one index no sample has.
        let mut draw = self
            .shuffle
            .map(|seed| Draw::for_sample(seed, epoch, u64::MAX));
        if let (Some(draw), None) = (&mut draw, &self.share) {
            draw.shuffle(&mut order);
        }
        if let Some(lengths) = &self.lengths {
            let length = |i: &usize| lengths.get(*i).copied().unwrap_or(0);
            let Some(draw) = &mut draw else {
                order.sort_by_key(length);
                return order;
            };
            for part in order.chunks_mut(self.batch_size.saturating_mul(GROUPED)) {
                part.sort_by_key(length);
            }
            // The batch that is not full stays the last.
            let full = self.len / self.batch_size;
            let mut batches: Vec<usize> = (0..full).collect();
            draw.shuffle(&mut batches);
            let rest = order.split_off(full * self.batch_size);
            let batches = batches.into_iter();
            let moved = batches.flat_map(|b| &order[b * self.batch_size..][..self.batch_size]);
            order = moved.copied().chain(rest).collect();
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
    fn samples_of_like_length_come_together() {
        let lengths: Vec<usize> = (0..1003).map(|i| i * 7919 % 101).collect();
        let plain = Sampler::new(1003, 10).unwrap().shuffle(7);
        let grouped = plain.clone().group_by_length(lengths.clone());
        // What filling every batch to its longest costs.
        let filled = |sampler: &Sampler| -> usize {
            let order = sampler.epoch(3);
            let batches = (0..sampler.batches()).map(|b| &order[sampler.range(b)]);
            let longest = |b: &[usize]| b.iter().map(|&i| lengths[i]).max().unwrap_or(0);
            batches.map(|b| longest(b) * b.len()).sum()
        };
        assert!(filled(&grouped) * 10 < filled(&plain) * 7);
        let mut order = grouped.epoch(3);
        assert_eq!(order, grouped.epoch(3));
        assert_ne!(order, grouped.epoch(4));
        order.sort_unstable();
        assert_eq!(order, (0..1003).collect::<Vec<_>>());
        let sorted = Sampler::new(1003, 10)
            .unwrap()
            .group_by_length(lengths.clone());
        assert!(
            sorted
                .epoch(0)
                .windows(2)
                .all(|w| lengths[w[0]] <= lengths[w[1]])
        );
    }

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
