//! Adam and AdamW: steps scaled by running means of the gradient and of its square.
//! Sources: Kingma and Ba 2014 (arXiv:1412.6980), Loshchilov and Hutter 2017 (arXiv:1711.05101), Reddi, Kale and Kumar 2018
//! (AMSGrad); options and defaults are those of `torch.optim.Adam` and `torch.optim.AdamW`.
//! The arithmetic is one pass in `gradus_tensor::optim`.

use gradus_tensor::{Result, Tensor, optim};

use super::element::{below_one, not_negative, wrong_state};
use super::{Optim, ParamState, Rule};

/// Adam; see [`AdamOptions`].
pub type Adam = Optim<AdamOptions>;

/// Adam with decoupled weight decay; see [`AdamWOptions`].
pub type AdamW = Optim<AdamWOptions>;

/// Options of [`Adam`], with PyTorch's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamOptions {
    /// Learning rate (1e-3).
    pub lr: f64,
    /// Decay of the two running means (0.9, 0.999).
    pub betas: (f64, f64),
    /// Added to the denominator (1e-8).
    pub eps: f64,
    /// L2 penalty, added to the gradient (0).
    pub weight_decay: f64,
    /// Divide by the largest mean square so far (AMSGrad).
    pub amsgrad: bool,
    /// Climb instead of descend.
    pub maximize: bool,
}

impl Default for AdamOptions {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.0,
            amsgrad: false,
            maximize: false,
        }
    }
}

/// Options of [`AdamW`], with PyTorch's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamWOptions {
    /// Learning rate (1e-3).
    pub lr: f64,
    /// Decay of the two running means (0.9, 0.999).
    pub betas: (f64, f64),
    /// Added to the denominator (1e-8).
    pub eps: f64,
    /// Each step the parameter itself shrinks by `lr * weight_decay` (0.01).
    pub weight_decay: f64,
    /// Divide by the largest mean square so far (AMSGrad).
    pub amsgrad: bool,
    /// Climb instead of descend.
    pub maximize: bool,
}

impl Default for AdamWOptions {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 1e-2,
            amsgrad: false,
            maximize: false,
        }
    }
}

impl AdamOptions {
    /// What `gradus_tensor::optim` takes for step number `step`.
    fn options(&self, decoupled: bool, step: u64) -> optim::Adam {
        let Self {
            lr,
            betas,
            eps,
            weight_decay,
            maximize,
            ..
        } = *self;
        optim::Adam {
            lr,
            betas,
            eps,
            weight_decay,
            decoupled,
            maximize,
            step,
        }
    }

    fn shared(&self, decoupled: bool, state: &ParamState) -> (optim::Rule, &'static [usize]) {
        let rule = optim::Rule::Adam(self.options(decoupled, state.step));
        (rule, &[0, 1, 2])
    }

    fn step(
        &self,
        decoupled: bool,
        param: &mut Tensor,
        grad: &Tensor,
        state: &mut ParamState,
    ) -> Result<()> {
        let options = self.options(decoupled, state.step);
        match state.slots.as_mut_slice() {
            [mean, square] => optim::adam(options, param, grad, mean, square, None),
            [mean, square, largest] => {
                optim::adam(options, param, grad, mean, square, Some(largest))
            }
            slots => Err(wrong_state(Self::NAME, slots.len())),
        }
    }
}

impl Rule for AdamOptions {
    const NAME: &'static str = "Adam";
    const SLOTS: &'static [&'static str] = &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"];

    fn slots(&self) -> &'static [&'static str] {
        if self.amsgrad {
            Self::SLOTS
        } else {
            &Self::SLOTS[..2]
        }
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn set_momentum(&mut self, momentum: f64) {
        self.betas.0 = momentum;
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("eps", self.eps)?;
        not_negative("weight_decay", self.weight_decay)?;
        below_one("betas.0", self.betas.0)?;
        below_one("betas.1", self.betas.1)
    }

    fn update(&self, param: &mut Tensor, grad: &Tensor, state: &mut ParamState) -> Result<()> {
        self.step(false, param, grad, state)
    }

    fn together(&self, state: &ParamState) -> Option<(optim::Rule, &'static [usize])> {
        Some(self.shared(false, state))
    }
}

impl AdamWOptions {
    /// The same numbers as Adam's.
    fn adam(&self) -> AdamOptions {
        let Self {
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize,
        } = *self;
        AdamOptions {
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize,
        }
    }
}

impl Rule for AdamWOptions {
    const NAME: &'static str = "AdamW";
    const SLOTS: &'static [&'static str] = AdamOptions::SLOTS;

    fn slots(&self) -> &'static [&'static str] {
        if self.amsgrad {
            Self::SLOTS
        } else {
            &Self::SLOTS[..2]
        }
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn set_momentum(&mut self, momentum: f64) {
        self.betas.0 = momentum;
    }

    fn check(&self) -> Result<(), String> {
        self.adam().check()
    }

    fn update(&self, param: &mut Tensor, grad: &Tensor, state: &mut ParamState) -> Result<()> {
        self.adam().step(true, param, grad, state)
    }

    fn together(&self, state: &ParamState) -> Option<(optim::Rule, &'static [usize])> {
        Some(self.adam().shared(true, state))
    }
}
