//! `Dataset`: samples by number, handed out as batches.

use std::sync::Arc;

use crate::Draw;
use crate::batch::Batch;
use crate::error::{Result, invalid};

/// Where the generators of an epoch's samples come from: (seed, epoch).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dice {
    /// The seed of the run.
    pub seed: u64,
    /// The epoch, counted from 0.
    pub epoch: u64,
}

impl Dice {
    /// The generator of sample `index`: the same whichever thread asks, and when.
    pub fn sample(&self, index: usize) -> Draw {
        Draw::for_sample(self.seed, self.epoch, index as u64)
    }
}

/// Samples by number.
///
/// A batch is prepared as a whole, so that a data set of tensors can gather it in one go. What is random about a sample comes
/// from `dice.sample(index)` and from nowhere else; then training does not depend on threads, and a resumed run sees what the
/// uninterrupted one would have seen.
///
/// ```
/// use gradus_tensor::Tensor;
/// use gradus_train::{Dataset, Dice, Result};
///
/// struct Squares;
/// impl Dataset for Squares {
///     type Batch = (Tensor, Tensor);
///     fn len(&self) -> usize {
///         100
///     }
///     fn batch(&self, indices: &[usize], _: Dice) -> Result<Self::Batch> {
///         let x: Vec<f32> = indices.iter().map(|&i| i as f32).collect();
///         let y: Vec<f32> = x.iter().map(|x| x * x).collect();
///         let n = indices.len();
///         Ok((Tensor::from_vec(x, [n, 1])?, Tensor::from_vec(y, [n, 1])?)) // (B, 1), (B, 1)
///     }
/// }
/// ```
pub trait Dataset: Send + Sync {
    /// What a batch is: usually inputs and targets.
    type Batch: Batch;

    /// How many samples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The samples `indices`, in that order.
    fn batch(&self, indices: &[usize], dice: Dice) -> Result<Self::Batch>;
}

impl<D: Dataset + ?Sized> Dataset for Arc<D> {
    type Batch = D::Batch;

    fn len(&self) -> usize {
        (**self).len()
    }

    fn batch(&self, indices: &[usize], dice: Dice) -> Result<Self::Batch> {
        (**self).batch(indices, dice)
    }
}

/// Some of the samples of a data set, such as the part held out for validation.
#[derive(Clone, Debug)]
pub struct Subset<D> {
    whole: D,
    indices: Vec<usize>,
}

impl<D: Dataset> Subset<D> {
    /// The samples `indices` of `whole`, in that order. Errors when one does not exist.
    pub fn new(whole: D, indices: Vec<usize>) -> Result<Self> {
        if let Some(bad) = indices.iter().find(|&&i| i >= whole.len()) {
            return Err(invalid(format!(
                "Subset: sample {bad} of a data set of {}",
                whole.len()
            )));
        }
        Ok(Self { whole, indices })
    }
}

impl<D: Dataset> Dataset for Subset<D> {
    type Batch = D::Batch;

    fn len(&self) -> usize {
        self.indices.len()
    }

    fn batch(&self, indices: &[usize], dice: Dice) -> Result<Self::Batch> {
        let chosen: Option<Vec<usize>> = indices
            .iter()
            .map(|&i| self.indices.get(i).copied())
            .collect();
        let chosen = chosen.ok_or_else(|| invalid("Subset: a sample that does not exist"))?;
        self.whole.batch(&chosen, dice)
    }
}

/// Splits `0..len` in two: about `part` numbers spread evenly for the second, the others for the first.
///
/// ```
/// let (train, held_out) = gradus_train::dataset::hold_out(10, 3);
/// assert_eq!(held_out, [1, 5, 8]);
/// assert_eq!(train, [0, 2, 3, 4, 6, 7, 9]);
/// ```
pub fn hold_out(len: usize, part: usize) -> (Vec<usize>, Vec<usize>) {
    let part = part.min(len);
    let held: Vec<usize> = (0..part)
        .map(|i| ((2 * i + 1) as u128 * len as u128 / (2 * part) as u128) as usize)
        .collect();
    let mut next = held.iter().peekable();
    let rest = (0..len)
        .filter(|i| next.next_if(|h| **h == *i).is_none())
        .collect();
    (rest, held)
}
