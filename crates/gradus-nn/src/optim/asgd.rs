//! Averaged SGD: plain steps of a falling rate, and beside the parameter the average of the way it went.
//! Source: Polyak and Juditsky 1992; `torch.optim.ASGD`. The average is the state `ax`.

use gradus_tensor::{Result, Tensor};

use super::element::{Real, Update, fused, not_negative};
use super::engine::single;
use super::{Optim, ParamState, Rule};

/// Averaged stochastic gradient descent; see [`AsgdOptions`].
pub type ASGD = Optim<AsgdOptions>;

/// Options of [`ASGD`], with PyTorch's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct AsgdOptions {
    /// Learning rate (1e-2).
    pub lr: f64,
    /// Decay of the parameter (1e-4).
    pub lambd: f64,
    /// Power of the falling rate (0.75).
    pub alpha: f64,
    /// The step at which averaging begins (1e6).
    pub t0: f64,
    /// L2 penalty, added to the gradient (0).
    pub weight_decay: f64,
    /// Climb instead of descend.
    pub maximize: bool,
}

impl Default for AsgdOptions {
    fn default() -> Self {
        Self {
            lr: 1e-2,
            lambd: 1e-4,
            alpha: 0.75,
            t0: 1e6,
            weight_decay: 0.0,
            maximize: false,
        }
    }
}

struct Step<'a> {
    options: &'a AsgdOptions,
    eta: f64,
    mu: f64,
}

impl Update<1> for Step<'_> {
    #[inline(always)]
    fn update<T: Real>(&self, p: T, g: T, [average]: [T; 1]) -> (T, [T; 1]) {
        let o = self.options;
        let g = if o.maximize { -g } else { g };
        let g = g + p * T::of(o.weight_decay);
        let p = p * T::of(1.0 - o.lambd * self.eta) - g * T::of(self.eta);
        let average = if self.mu == 1.0 {
            p
        } else {
            average.lerp(p, self.mu)
        };
        (p, [average])
    }
}

impl Rule for AsgdOptions {
    const NAME: &'static str = "ASGD";
    const SLOTS: &'static [&'static str] = &["ax"];
    const NUMBERS: &'static [&'static str] = &["eta", "mu"];

    fn initial_number(&self, index: usize) -> f64 {
        if index == 0 { self.lr } else { 1.0 }
    }

    fn lr(&self) -> f64 {
        self.lr
    }

    fn set_lr(&mut self, lr: f64) {
        self.lr = lr;
    }

    fn check(&self) -> Result<(), String> {
        not_negative("lr", self.lr)?;
        not_negative("lambd", self.lambd)?;
        not_negative("alpha", self.alpha)?;
        not_negative("t0", self.t0)?;
        not_negative("weight_decay", self.weight_decay)
    }

    fn update(&self, param: &mut Tensor, grad: &Tensor, state: &mut ParamState) -> Result<()> {
        let (eta, mu) = match state.numbers[..] {
            [eta, mu] => (eta, mu),
            _ => (self.lr, 1.0),
        };
        let t = state.step as f64;
        fused::<1>(
            param,
            grad,
            &mut state.slots,
            &Step {
                options: self,
                eta,
                mu,
            },
        )?;
        let eta = self.lr / (1.0 + self.lambd * self.lr * t).powf(self.alpha);
        state.numbers = vec![single(eta), single(1.0 / (t - self.t0).max(1.0))];
        Ok(())
    }
}
