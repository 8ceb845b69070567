//! Stochastic gradient descent, with momentum (Polyak) or Nesterov's. Source: `torch.optim.SGD`, whose first step starts the
//! momentum from the gradient itself, undampened.

use gradus_tensor::{Result, Tensor};

use super::element::{Real, Update, fused, not_negative, require};
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

/// One step; `first` is the first of this parameter.
struct Step<'a> {
    options: &'a SgdOptions,
    first: bool,
}

impl Step<'_> {
    fn gradient<T: Real>(&self, p: T, g: T) -> T {
        let g = if self.options.maximize { -g } else { g };
        g + p * T::of(self.options.weight_decay)
    }
}

impl Update<0> for Step<'_> {
    #[inline(always)]
    fn update<T: Real>(&self, p: T, g: T, []: [T; 0]) -> (T, [T; 0]) {
        (p - T::of(self.options.lr) * self.gradient(p, g), [])
    }
}

impl Update<1> for Step<'_> {
    #[inline(always)]
    fn update<T: Real>(&self, p: T, g: T, [buffer]: [T; 1]) -> (T, [T; 1]) {
        let o = self.options;
        let g = self.gradient(p, g);
        let buffer = if self.first {
            g
        } else {
            buffer * T::of(o.momentum) + g * T::of(1.0 - o.dampening)
        };
        let step = if o.nesterov {
            g + buffer * T::of(o.momentum)
        } else {
            buffer
        };
        (p - T::of(o.lr) * step, [buffer])
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
        let step = Step {
            options: self,
            first: state.step == 1,
        };
        match state.slots.len() {
            0 => fused::<0>(param, grad, &mut state.slots, &step),
            _ => fused::<1>(param, grad, &mut state.slots, &step),
        }
    }
}
