//! Adadelta: steps in the units of the parameter, from running means of squared gradients and squared steps.
//! Source: Zeiler 2012 (arXiv:1212.5701); `torch.optim.Adadelta`.

use gradus_tensor::{Result, Tensor};

use super::element::{Real, Update, below_one, fused, not_negative};
use super::{Optim, ParamState, Rule};

/// Adadelta; see [`AdadeltaOptions`].
pub type Adadelta = Optim<AdadeltaOptions>;

/// Options of [`Adadelta`], with PyTorch's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct AdadeltaOptions {
    /// Learning rate (1.0).
    pub lr: f64,
    /// Decay of both means (0.9).
    pub rho: f64,
    /// Added to the denominator (1e-6).
    pub eps: f64,
    /// L2 penalty, added to the gradient (0).
    pub weight_decay: f64,
    /// Climb instead of descend.
    pub maximize: bool,
}

impl Default for AdadeltaOptions {
    fn default() -> Self {
        Self {
            lr: 1.0,
            rho: 0.9,
            eps: 1e-6,
            weight_decay: 0.0,
            maximize: false,
        }
    }
}

struct Step<'a>(&'a AdadeltaOptions);

impl Update<2> for Step<'_> {
    #[inline(always)]
    fn update<T: Real>(&self, p: T, g: T, [square, steps]: [T; 2]) -> (T, [T; 2]) {
        let o = self.0;
        let g = if o.maximize { -g } else { g };
        let g = g + p * T::of(o.weight_decay);
        let (rho, eps) = (T::of(o.rho), T::of(o.eps));
        let square = square * rho + g * g * T::of(1.0 - o.rho);
        let step = (steps + eps).sqrt() / (square + eps).sqrt() * g;
        let steps = steps * rho + step * step * T::of(1.0 - o.rho);
        (p - T::of(o.lr) * step, [square, steps])
    }
}

impl Rule for AdadeltaOptions {
    const NAME: &'static str = "Adadelta";
    const SLOTS: &'static [&'static str] = &["square_avg", "acc_delta"];

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("eps", self.eps)?;
        not_negative("weight_decay", self.weight_decay)?;
        below_one("rho", self.rho)
    }

    fn update(&self, param: &mut Tensor, grad: &Tensor, state: &mut ParamState) -> Result<()> {
        fused::<2>(param, grad, &mut state.slots, &Step(self))
    }
}
