//! `DataLoader`: batches of a data set, prepared in the background.
//!
//! Worker w of W prepares batches w, w + W, w + 2W, … and the reader takes them in turn, so their order is fixed without any
//! counting or sorting. Each worker is at most `prefetch` batches ahead. Dropping the iterator stops the workers.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use gradus_tensor::Device;

use crate::batch::{Batch, to_device};
use crate::dataset::{Dataset, Dice};
use crate::distributed::DistributedSampler;
use crate::error::{Result, invalid};
use crate::sampler::Sampler;

/// Batches of a data set, epoch by epoch.
///
/// ```
/// # use gradus_train::{Dataset, DataLoader, Dice, Result};
/// # struct Numbers;
/// # impl Dataset for Numbers {
/// #     type Batch = Vec<usize>;
/// #     fn len(&self) -> usize { 10 }
/// #     fn batch(&self, indices: &[usize], _: Dice) -> Result<Vec<usize>> { Ok(indices.to_vec()) }
/// # }
/// let loader = DataLoader::new(Numbers, 4)?.shuffle(true).seed(1);
/// for epoch in 0..2 {
///     let sizes: Vec<usize> = loader.epoch(epoch, 0).map(|batch| Ok(batch?.len())).collect::<Result<_>>()?;
///     assert_eq!(sizes, [4, 4, 2]);
/// }
/// # Ok::<(), gradus_train::Error>(())
/// ```
pub struct DataLoader<D> {
    data: Arc<D>,
    batch_size: usize,
    shuffle: bool,
    seed: u64,
    drop_last: bool,
    workers: usize,
    prefetch: usize,
    lengths: Option<Arc<[usize]>>,
    share: Option<DistributedSampler>,
}

impl<D: Dataset + 'static> DataLoader<D> {
    /// Batches of `batch_size` samples in order, prepared by one thread that is up to four batches ahead.
    ///
    /// Errors when `batch_size` is 0.
    pub fn new(data: D, batch_size: usize) -> Result<Self> {
        Sampler::new(data.len(), batch_size)?;
        Ok(Self {
            data: Arc::new(data),
            batch_size,
            shuffle: false,
            seed: 0,
            drop_last: false,
            workers: 1,
            prefetch: 4,
            lengths: None,
            share: None,
        })
    }

    /// Whether every epoch has an order of its own.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// Puts samples of like length into one batch; see [`Sampler::group_by_length`].
    pub fn group_by_length(mut self, lengths: Vec<usize>) -> Self {
        self.lengths = Some(lengths.into());
        self
    }

    /// One rank's share of the samples, in the sampler's order; takes the place of [`shuffle`](Self::shuffle).
    ///
    /// Errors when the sampler was made for another number of samples.
    pub fn sampler(mut self, share: DistributedSampler) -> Result<Self> {
        if share.len() != self.data.len() {
            return Err(invalid(format!(
                "the sampler is of {} samples, the data set has {}",
                share.len(),
                self.data.len()
            )));
        }
        self.share = Some(share);
        Ok(self)
    }

    /// The seed of the order and of the samples' own generators.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether to leave out a last batch that is not full.
    pub fn drop_last(mut self, drop_last: bool) -> Self {
        self.drop_last = drop_last;
        self
    }

    /// Threads that prepare batches; with 0 the reader prepares them itself. The batches are the same for any number.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// How many batches each worker may be ahead.
    pub fn prefetch(mut self, prefetch: usize) -> Self {
        self.prefetch = prefetch;
        self
    }

    /// The data set.
    pub fn data(&self) -> &Arc<D> {
        &self.data
    }

    /// Samples per batch.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The seed.
    pub fn seed_value(&self) -> u64 {
        self.seed
    }

    /// Batches per epoch.
    pub fn batches(&self) -> usize {
        self.order().batches()
    }

    /// Samples per epoch.
    pub fn samples(&self) -> usize {
        self.order().samples()
    }

    fn order(&self) -> Sampler {
        // `new` has checked that the batch size is not 0.
        let sampler = Sampler::new(self.data.len(), self.batch_size.max(1));
        let sampler = sampler.unwrap_or_else(|_| unreachable!("a batch size above 0"));
        let mut sampler = sampler.drop_last(self.drop_last);
        if let Some(share) = self.share {
            sampler = sampler.distributed(share);
        }
        if let Some(lengths) = &self.lengths {
            sampler = sampler.group_by_length(Arc::clone(lengths));
        }
        if self.shuffle {
            sampler.shuffle(self.seed)
        } else {
            sampler
        }
    }

    /// The batches of an epoch from number `first` on (0 for all of them; more where a run resumes within an epoch).
    pub fn epoch(&self, epoch: u64, first: usize) -> Batches<D> {
        self.epoch_on(epoch, first, &Device::Cpu)
    }

    /// The same on a device: the thread that prepares a batch moves its tensors there, and on a GPU the copy goes on beside the kernels (PyTorch's
    /// `pin_memory`, and `to` with `non_blocking`).
    ///
    /// ```
    /// # use gradus_tensor::{Device, Tensor};
    /// # use gradus_train::{Dataset, DataLoader, Dice, Result};
    /// # struct Numbers;
    /// # impl Dataset for Numbers {
    /// #     type Batch = Tensor;
    /// #     fn len(&self) -> usize { 10 }
    /// #     fn batch(&self, indices: &[usize], _: Dice) -> Result<Tensor> { Tensor::zeros(indices.len(), gradus_tensor::DType::F32) }
    /// # }
    /// let device = Device::cuda(0).unwrap_or_default();
    /// for batch in DataLoader::new(Numbers, 4)?.epoch_on(0, 0, &device) {
    ///     assert_eq!(batch?.device(), device);
    /// }
    /// # Ok::<(), gradus_train::Error>(())
    /// ```
    pub fn epoch_on(&self, epoch: u64, first: usize, device: &Device) -> Batches<D> {
        let sampler = self.order();
        let plan = Arc::new(Plan {
            data: Arc::clone(&self.data),
            order: sampler.epoch(epoch),
            sampler,
            device: *device,
            dice: Dice {
                seed: self.seed,
                epoch,
            },
        });
        let todo = plan.sampler.batches().saturating_sub(first);
        let workers = self.workers.min(todo);
        let workers = (0..workers)
            .filter_map(|w| {
                Worker::start(Arc::clone(&plan), first + w, workers, self.prefetch.max(1))
            })
            .collect::<Vec<_>>();
        // A thread that could not be started (a limit of the system): the reader does the work.
        let complete = workers.len() == self.workers.min(todo);
        Batches {
            workers: if complete { workers } else { Vec::new() },
            plan,
            next: first,
            first,
        }
    }
}

/// What an epoch consists of; shared by the workers.
struct Plan<D> {
    data: Arc<D>,
    order: Vec<usize>,
    sampler: Sampler,
    device: Device,
    dice: Dice,
}

impl<D: Dataset> Plan<D> {
    fn batch(&self, number: usize) -> Result<D::Batch> {
        let indices = &self.order[self.sampler.range(number)];
        to_device(self.data.batch(indices, self.dice)?, &self.device)
    }
}

struct Worker<B> {
    batches: Option<Receiver<Result<B>>>,
    thread: Option<JoinHandle<()>>,
}

impl<B: Batch> Worker<B> {
    fn start<D>(plan: Arc<Plan<D>>, first: usize, stride: usize, ahead: usize) -> Option<Self>
    where
        D: Dataset<Batch = B> + 'static,
    {
        let (sender, batches) = sync_channel(ahead);
        let work = move || {
            for number in (first..plan.sampler.batches()).step_by(stride) {
                // Sending fails when the reader has gone: nothing more to do.
                if sender.send(plan.batch(number)).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("gradus-loader".into())
            .spawn(work)
            .ok()?;
        Some(Self {
            batches: Some(batches),
            thread: Some(thread),
        })
    }
}

impl<B> Drop for Worker<B> {
    fn drop(&mut self) {
        self.batches = None; // wakes a worker that waits to send
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The batches of one epoch, in order. From [`DataLoader::epoch`].
pub struct Batches<D: Dataset> {
    workers: Vec<Worker<D::Batch>>,
    plan: Arc<Plan<D>>,
    next: usize,
    first: usize,
}

impl<D: Dataset> Iterator for Batches<D> {
    type Item = Result<D::Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.plan.sampler.batches() {
            return None;
        }
        let number = self.next;
        self.next += 1;
        if self.workers.is_empty() {
            return Some(self.plan.batch(number));
        }
        let worker = &self.workers[(number - self.first) % self.workers.len()];
        let batch = worker
            .batches
            .as_ref()
            .and_then(|batches| batches.recv().ok());
        // The channel closes early only when the data set has panicked.
        Some(batch.unwrap_or_else(|| {
            Err(invalid(format!(
                "preparing batch {number} failed: the data set panicked"
            )))
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.plan.sampler.batches() - self.next.min(self.plan.sampler.batches());
        (left, Some(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbers(usize);

    impl Dataset for Numbers {
        type Batch = Vec<(usize, u64)>;

        fn len(&self) -> usize {
            self.0
        }

        fn batch(&self, indices: &[usize], dice: Dice) -> Result<Self::Batch> {
            assert!(!indices.contains(&999), "a broken sample");
            Ok(indices
                .iter()
                .map(|&i| (i, dice.sample(i).next_u64()))
                .collect())
        }
    }

    fn epoch(workers: usize, epoch: u64, first: usize) -> Vec<Vec<(usize, u64)>> {
        let loader = DataLoader::new(Numbers(103), 10)
            .unwrap()
            .shuffle(true)
            .seed(5)
            .workers(workers);
        loader.epoch(epoch, first).map(Result::unwrap).collect()
    }

    #[test]
    fn any_number_of_workers_gives_the_same_batches() {
        let want = epoch(0, 3, 0);
        assert_eq!(want.len(), 11);
        for workers in [1, 2, 3, 50] {
            assert_eq!(epoch(workers, 3, 0), want);
            assert_eq!(epoch(workers, 3, 4), want[4..]); // resumed within the epoch
            assert!(epoch(workers, 3, 11).is_empty());
        }
        assert_ne!(epoch(2, 4, 0), want);
    }

    #[test]
    fn leaving_early_and_panics_do_not_hang() {
        let loader = DataLoader::new(Numbers(2000), 10)
            .unwrap()
            .workers(3)
            .prefetch(1);
        assert_eq!(loader.epoch(0, 0).take(2).count(), 2);
        let results: Vec<bool> = loader.epoch(0, 0).map(|batch| batch.is_ok()).collect();
        assert_eq!(results.len(), 200);
        assert!(results[98] && !results[99]);
    }
}
