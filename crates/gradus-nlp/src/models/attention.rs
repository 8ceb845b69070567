//! Attention over several heads, once the queries, keys and values are there. What each family projects them with, and under which
//! names, is its own file's; the arithmetic is `functional::scaled_dot_product_attention`.

use gradus_autograd::Var;
use gradus_autograd::functional::{Attention, scaled_dot_product_attention};
use gradus_nn::{Mode, Module};
use gradus_tensor::{Error, Result, Tensor};

use super::single;

/// Heads side by side.
#[derive(Clone, Debug, Module)]
pub(super) struct Heads {
    /// nh
    pub count: usize,
    /// Probability of dropping a weight in training.
    pub dropout: f64,
    /// What scores are multiplied by; `None` for 1/√hs.
    pub scale: Option<f64>,
    /// Weights are computed in f32 in the reference, whatever the model's dtype.
    single: bool,
    mode: Mode,
}

impl Heads {
    /// This many heads, with this dropout and scores divided by √hs.
    pub fn new(count: usize, dropout: f64) -> Self {
        Self {
            count,
            dropout,
            scale: None,
            single: false,
            mode: Mode::Training,
        }
    }

    /// Scores as they are, as T5 takes them.
    pub fn unscaled(mut self) -> Self {
        self.scale = Some(1.0);
        self
    }

    /// Weights in f32, as the vision transformer has them.
    pub fn single(mut self) -> Self {
        self.single = true;
        self
    }

    /// The width divides among the heads, or else an error that says so.
    pub fn divides(count: usize, width: usize) -> Result<()> {
        if count > 0 && width.is_multiple_of(count) {
            return Ok(());
        }
        let text = format!("a width of {width} does not divide into {count} heads");
        Err(Error::value("", text))
    }

    /// (B, T, nh · hs) to (B, nh, T, hs).
    pub fn split(&self, x: &Var) -> Result<Var> {
        x.unflatten(-1, [self.count as isize, -1])?.transpose(1, 2)
    }

    /// q (B, T, nh · hs), k and v (B, S, nh · hs) to (B, T, nh · hs).
    pub fn attend(&self, q: &Var, k: &Var, v: &Var, hidden: &Hidden) -> Result<Var> {
        self.attend_split(&self.split(q)?, &self.split(k)?, &self.split(v)?, hidden)
    }

    /// q (B, nh, T, hs), k and v (B, nh, S, hs) to (B, T, nh · hs).
    pub fn attend_split(&self, q: &Var, k: &Var, v: &Var, hidden: &Hidden) -> Result<Var> {
        let (mask, bias) = match hidden {
            Hidden::Nothing => (None, None),
            Hidden::Mask(mask) => (Some(mask.clone()), None),
            Hidden::Bias(bias) => (None, Some(bias.clone())),
        };
        let options = Attention {
            mask,
            bias,
            dropout_p: if self.mode.is_training() {
                self.dropout
            } else {
                0.0
            },
            scale: self.scale,
            ..Attention::default()
        };
        let attention = if self.single {
            single::attention
        } else {
            scaled_dot_product_attention
        };
        let y = attention(q, k, v, &options)?; // (B, nh, T, hs)
        y.transpose(1, 2)?.flatten(2, 3)
    }
}

/// What is added to the scores (…, T, S) of attention.
#[derive(Clone, Debug)]
pub(super) enum Hidden {
    /// Nothing: all see all.
    Nothing,
    /// Very small numbers where a key is not to be seen.
    Mask(Tensor),
    /// The same together with learned numbers.
    Bias(Var),
}

impl From<Option<Tensor>> for Hidden {
    fn from(mask: Option<Tensor>) -> Self {
        mask.map_or(Self::Nothing, Self::Mask)
    }
}
