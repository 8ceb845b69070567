//! A long text as training data: windows of ids, and what follows each id.

use std::sync::Arc;

use gradus_autograd::Var;
use gradus_autograd::functional::{CrossEntropy, cross_entropy};
use gradus_tensor::{Error, Result, Tensor};
use gradus_train::{Dataset, Dice};

/// Windows of T ids from a text and, for each, the same window one further: what to predict.
///
/// ```
/// use gradus_nlp::TextWindows;
/// use gradus_train::{Dataset, Dice};
/// let text = TextWindows::in_order(vec![5, 6, 7, 8, 9, 10, 11], 3)?;
/// assert_eq!(text.len(), 2);
/// let (x, y) = text.batch(&[0, 1], Dice { seed: 0, epoch: 0 })?;
/// assert_eq!(x.to_vec::<i64>()?, [5, 6, 7, 8, 9, 10]);
/// assert_eq!(y.to_vec::<i64>()?, [6, 7, 8, 9, 10, 11]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TextWindows {
    ids: Arc<Vec<u32>>,
    block: usize,
    /// How many there are; `None` where they are taken at random.
    samples: Option<usize>,
}

impl TextWindows {
    /// The whole text, window after window; a rest shorter than a window is left out.
    ///
    /// # Errors
    /// When the text is no longer than a window, or a window is empty.
    pub fn in_order(ids: impl Into<Arc<Vec<u32>>>, block: usize) -> Result<Self> {
        Self::of(ids.into(), block, None)
    }

    /// So many windows an epoch, each from a place drawn at random: nanoGPT's way.
    ///
    /// # Errors
    /// When the text is no longer than a window, or a window is empty.
    pub fn at_random(ids: impl Into<Arc<Vec<u32>>>, block: usize, samples: usize) -> Result<Self> {
        Self::of(ids.into(), block, Some(samples))
    }

    fn of(ids: Arc<Vec<u32>>, block: usize, samples: Option<usize>) -> Result<Self> {
        if block == 0 || ids.len() <= block {
            let message = format!(
                "a text of {} tokens has no window of {block} and the token after it",
                ids.len()
            );
            return Err(Error::value("TextWindows", message));
        }
        Ok(Self {
            ids,
            block,
            samples,
        })
    }

    /// T
    pub fn block(&self) -> usize {
        self.block
    }
}

impl Dataset for TextWindows {
    type Batch = (Tensor, Tensor);

    fn len(&self) -> usize {
        self.samples.unwrap_or((self.ids.len() - 1) / self.block)
    }

    fn batch(&self, indices: &[usize], dice: Dice) -> Result<(Tensor, Tensor)> {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for &index in indices {
            let start = match self.samples {
                Some(_) => {
                    dice.sample(index)
                        .below((self.ids.len() - self.block) as u64) as usize
                }
                None => index.saturating_mul(self.block),
            };
            let window = self.ids.get(start..start.saturating_add(self.block + 1));
            let window = window.ok_or_else(|| {
                let message = format!("window {index} of {}", self.len());
                Error::index("TextWindows", message)
            })?;
            x.extend(window[..self.block].iter().map(|&id| i64::from(id)));
            y.extend(window[1..].iter().map(|&id| i64::from(id)));
        }
        let dims = [indices.len(), self.block];
        Ok((Tensor::from_vec(x, dims)?, Tensor::from_vec(y, dims)?)) // (B, T), (B, T)
    }
}

/// The mean cross-entropy of logits (B, T, V) and what really came next, i64 (B, T). Targets of -100 do not count.
///
/// # Errors
/// When the shapes do not fit, or a target is not in the vocabulary.
pub fn next_token_loss(logits: &Var, targets: &Tensor) -> Result<Var> {
    let logits = logits.flatten(0, -2)?; // (B · T, V)
    cross_entropy(&logits, &targets.flatten(0, -1)?, &CrossEntropy::default())
}
