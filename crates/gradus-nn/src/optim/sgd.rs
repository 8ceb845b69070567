//! Stochastic gradient descent, with momentum (Polyak) or Nesterov's. Source: `torch.optim.SGD`, whose first step starts the
//! momentum from the gradient itself, undampened. The arithmetic is one pass in `gradus_tensor::optim`.

use gradus_tensor::{Result, Tensor, optim};

use super::element::{not_negative, require, wrong_state};
use super::{Optim, ParamState, Rule};

/// Stochastic gradient descent; see [`SgdOptions`].
pub type SGD = Optim<SgdOptions>;

/// Options of [`SGD`], with PyTorch's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct SgdOptions {
    /// Learning rate (1e-3).
    pub lr: f64,
    /// How much of the last step is kept (0).
    pub momentum: f64,
    /// How much of the gradient is kept out of the momentum (0).
    pub dampening: f64,
    /// Nesterov's momentum: look ahead.
    pub nesterov: bool,
    /// L2 penalty, added to the gradient (0).
    pub weight_decay: f64,
    /// Climb instead of descend.
    pub maximize: bool,
}

impl Default for SgdOptions {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            momentum: 0.0,
            dampening: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            maximize: false,
        }
    }
}

impl Rule for SgdOptions {
    const NAME: &'static str = "SGD";
    const SLOTS: &'static [&'static str] = &["momentum_buffer"];

    fn slots(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 {
            &[]
        } else {
            Self::SLOTS
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
        not_negative("momentum", self.momentum)?;
        not_negative("weight_decay", self.weight_decay)?;
        let plain = self.momentum > 0.0 && self.dampening == 0.0;
        require(
            !self.nesterov || plain,
            "momentum",
            self.momentum,
            "positive, with no dampening, for nesterov",
        )
    }

    fn update(&self, param: &mut Tensor, grad: &Tensor, state: &mut ParamState) -> Result<()> {
        let options = self.options(state.step);
        match state.slots.as_mut_slice() {
            [] => optim::sgd(options, param, grad, None),
            [buffer] => optim::sgd(options, param, grad, Some(buffer)),
            slots => Err(wrong_state(Self::NAME, slots.len())),
        }
    }

    fn together(&self, state: &ParamState) -> Option<(optim::Rule, &'static [usize])> {
        Some((optim::Rule::Sgd(self.options(state.step)), &[0]))
    }
}

impl SgdOptions {
    /// What `gradus_tensor::optim` takes for step number `step`.
    fn options(&self, step: u64) -> optim::Sgd {
        let Self {
            lr,
            momentum,
            dampening,
            nesterov,
            weight_decay,
            maximize,
        } = *self;
        optim::Sgd {
            lr,
            momentum,
            dampening,
            weight_decay,
            nesterov,
            maximize,
            first: step == 1,
        }
    }
}
