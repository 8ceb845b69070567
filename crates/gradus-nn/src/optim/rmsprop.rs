//! RMSprop: the gradient divided by the root of its running mean square.
//! Sources: Hinton's lecture 6 (2012); the centred form is Graves 2013 (arXiv:1308.0850); `torch.optim.RMSprop`.

use gradus_tensor::{Result, Tensor};

use super::element::{Real, Update, below_one, fused, not_negative};
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

/// The elements of state as one: unused ones are 0.
struct Step<'a>(&'a RMSpropOptions);

impl Step<'_> {
    fn step<T: Real>(&self, p: T, g: T, [square, mean, buffer]: [T; 3]) -> (T, [T; 3]) {
        let o = self.0;
        let g = if o.maximize { -g } else { g };
        let g = g + p * T::of(o.weight_decay);
        let square = square * T::of(o.alpha) + g * g * T::of(1.0 - o.alpha);
        let mean = if o.centered {
            mean.lerp(g, 1.0 - o.alpha)
        } else {
            mean
        };
        let step = g / ((square - mean * mean).sqrt() + T::of(o.eps));
        let buffer = buffer * T::of(o.momentum) + step;
        (p - T::of(o.lr) * buffer, [square, mean, buffer])
    }
}

impl Update<1> for Step<'_> {
    #[inline(always)]
    fn update<T: Real>(&self, p: T, g: T, [square]: [T; 1]) -> (T, [T; 1]) {
        let (p, [square, ..]) = self.step(p, g, [square, T::of(0.0), T::of(0.0)]);
        (p, [square])
    }
}

impl Update<2> for Step<'_> {
    #[inline(always)]
    fn update<T: Real>(&self, p: T, g: T, [square, other]: [T; 2]) -> (T, [T; 2]) {
        if self.0.centered {
            let (p, [square, mean, _]) = self.step(p, g, [square, other, T::of(0.0)]);
            (p, [square, mean])
        } else {
            let (p, [square, _, buffer]) = self.step(p, g, [square, T::of(0.0), other]);
            (p, [square, buffer])
        }
    }
}

impl Update<3> for Step<'_> {
    #[inline(always)]
    fn update<T: Real>(&self, p: T, g: T, state: [T; 3]) -> (T, [T; 3]) {
        self.step(p, g, state)
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
        match state.slots.len() {
            1 => fused::<1>(param, grad, &mut state.slots, &Step(self)),
            2 => fused::<2>(param, grad, &mut state.slots, &Step(self)),
            _ => fused::<3>(param, grad, &mut state.slots, &Step(self)),
        }
    }
}
