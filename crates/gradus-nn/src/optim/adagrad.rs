//! Adagrad: the gradient divided by the root of the sum of all its squares. Source: Duchi, Hazan and Singer 2011;
//! `torch.optim.Adagrad`. The arithmetic is one pass in `gradus_tensor::optim`.

use gradus_tensor::{Result, Tensor, optim};

use super::element::{not_negative, wrong_state};
use super::{Optim, ParamState, Rule};

/// Adagrad; see [`AdagradOptions`].
pub type Adagrad = Optim<AdagradOptions>;

/// Options of [`Adagrad`], with PyTorch's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct AdagradOptions {
    /// Learning rate (1e-2).
    pub lr: f64,
    /// The rate is divided by `1 + steps * lr_decay` (0).
    pub lr_decay: f64,
    /// L2 penalty, added to the gradient (0).
    pub weight_decay: f64,
    /// What the sum of squares starts from (0).
    pub initial_accumulator_value: f64,
    /// Added to the denominator (1e-10).
    pub eps: f64,
    /// Climb instead of descend.
    pub maximize: bool,
}

impl Default for AdagradOptions {
    fn default() -> Self {
        Self {
            lr: 1e-2,
            lr_decay: 0.0,
            weight_decay: 0.0,
            initial_accumulator_value: 0.0,
            eps: 1e-10,
            maximize: false,
        }
    }
}

impl Rule for AdagradOptions {
    const NAME: &'static str = "Adagrad";
    const SLOTS: &'static [&'static str] = &["sum"];

    fn initial(&self) -> f64 {
        self.initial_accumulator_value
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("lr_decay", self.lr_decay)?;
        not_negative("weight_decay", self.weight_decay)?;
        not_negative("initial_accumulator_value", self.initial_accumulator_value)?;
        not_negative("eps", self.eps)
    }

    fn update(&self, param: &mut Tensor, grad: &Tensor, state: &mut ParamState) -> Result<()> {
        let options = self.options(state.step);
        match state.slots.as_mut_slice() {
            [sum] => optim::adagrad(options, param, grad, sum),
            slots => Err(wrong_state(Self::NAME, slots.len())),
        }
    }

    fn together(&self, state: &ParamState) -> Option<(optim::Rule, &'static [usize])> {
        Some((optim::Rule::Adagrad(self.options(state.step)), &[0]))
    }
}

impl AdagradOptions {
    /// What `gradus_tensor::optim` takes for step number `step`.
    fn options(&self, step: u64) -> optim::Adagrad {
        let Self {
            lr,
            lr_decay,
            weight_decay,
            eps,
            maximize,
            ..
        } = *self;
        optim::Adagrad {
            lr,
            lr_decay,
            weight_decay,
            eps,
            maximize,
            step,
        }
    }
}
