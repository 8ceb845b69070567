//! RMSprop: the gradient divided by the root of its running mean square.
//! Sources: Hinton's lecture 6 (2012); the centred form is Graves 2013 (arXiv:1308.0850); `torch.optim.RMSprop`.
//! The arithmetic is one pass in `gradus_tensor::optim`.

use gradus_tensor::{Result, Tensor, optim};

use super::element::{below_one, not_negative, wrong_state};
use super::{Optim, ParamState, Rule};

/// RMSprop; see [`RMSpropOptions`].
pub type RMSprop = Optim<RMSpropOptions>;

/// Options of [`RMSprop`], with PyTorch's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct RMSpropOptions {
    /// Learning rate (1e-2).
    pub lr: f64,
    /// Decay of the mean square (0.99).
    pub alpha: f64,
    /// Added to the denominator (1e-8).
    pub eps: f64,
    /// L2 penalty, added to the gradient (0).
    pub weight_decay: f64,
    /// How much of the last step is kept (0).
    pub momentum: f64,
    /// Divide by the standard deviation: subtract the square of the mean.
    pub centered: bool,
    /// Climb instead of descend.
    pub maximize: bool,
}

impl Default for RMSpropOptions {
    fn default() -> Self {
        Self {
            lr: 1e-2,
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.0,
            momentum: 0.0,
            centered: false,
            maximize: false,
        }
    }
}

impl Rule for RMSpropOptions {
    const NAME: &'static str = "RMSprop";
    const SLOTS: &'static [&'static str] = &["square_avg", "grad_avg", "momentum_buffer"];

    fn slots(&self) -> &'static [&'static str] {
        match (self.centered, self.momentum > 0.0) {
            (false, false) => &["square_avg"],
            (true, false) => &["square_avg", "grad_avg"],
            (false, true) => &["square_avg", "momentum_buffer"],
            (true, true) => Self::SLOTS,
        }
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn set_momentum(&mut self, momentum: f64) {
        self.momentum = momentum;
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("eps", self.eps)?;
        not_negative("momentum", self.momentum)?;
        not_negative("weight_decay", self.weight_decay)?;
        below_one("alpha", self.alpha)
    }

    fn update(&self, param: &mut Tensor, grad: &Tensor, state: &mut ParamState) -> Result<()> {
        let (options, centered) = (self.options(), self.centered);
        match (state.slots.as_mut_slice(), centered) {
            ([square], false) => optim::rmsprop(options, param, grad, square, None, None),
            ([square, buffer], false) => {
                optim::rmsprop(options, param, grad, square, Some(buffer), None)
            }
            ([square, mean], true) => {
                optim::rmsprop(options, param, grad, square, None, Some(mean))
            }
            ([square, mean, buffer], true) => {
                optim::rmsprop(options, param, grad, square, Some(buffer), Some(mean))
            }
            (slots, _) => Err(wrong_state(Self::NAME, slots.len())),
        }
    }

    fn together(&self, _: &ParamState) -> Option<(optim::Rule, &'static [usize])> {
        // The kernel's order: the average of squares, the velocity, the average.
        let order: &[usize] = if self.centered { &[0, 2, 1] } else { &[0, 1] };
        Some((optim::Rule::RmsProp(self.options()), order))
    }
}

impl RMSpropOptions {
    /// What `gradus_tensor::optim` takes.
    fn options(&self) -> optim::RmsProp {
        let Self {
            lr,
            alpha,
            eps,
            weight_decay,
            momentum,
            maximize,
            ..
        } = *self;
        optim::RmsProp {
            lr,
            alpha,
            eps,
            weight_decay,
            momentum,
            maximize,
        }
    }
}
