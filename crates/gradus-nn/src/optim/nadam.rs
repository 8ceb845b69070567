//! NAdam: Adam with Nesterov's momentum, whose decay warms up over the steps.
//! Source: Dozat 2016, "Incorporating Nesterov Momentum into Adam"; `torch.optim.NAdam`.

use gradus_tensor::{Result, Tensor};

use super::element::{Real, Update, below_one, fused, not_negative};
use super::engine::single;
use super::{Optim, ParamState, Rule};

/// NAdam; see [`NAdamOptions`].
pub type NAdam = Optim<NAdamOptions>;

/// Options of [`NAdam`], with PyTorch's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct NAdamOptions {
    /// Learning rate (2e-3).
    pub lr: f64,
    /// Decay of the two running means (0.9, 0.999).
    pub betas: (f64, f64),
    /// Added to the denominator (1e-8).
    pub eps: f64,
    /// L2 penalty (0).
    pub weight_decay: f64,
    /// How fast the momentum warms up (0.004).
    pub momentum_decay: f64,
    /// Shrink the parameter itself, as AdamW does, instead of adding to the gradient.
    pub decoupled_weight_decay: bool,
    /// Climb instead of descend.
    pub maximize: bool,
}

impl Default for NAdamOptions {
    fn default() -> Self {
        Self {
            lr: 2e-3,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.0,
            momentum_decay: 4e-3,
            decoupled_weight_decay: false,
            maximize: false,
        }
    }
}

/// What is the same for all elements.
struct Step<'a> {
    options: &'a NAdamOptions,
    correction2: f64,
    of_gradient: f64,
    of_mean: f64,
}

impl Update<2> for Step<'_> {
    #[inline(always)]
    fn update<T: Real>(&self, p: T, g: T, [mean, square]: [T; 2]) -> (T, [T; 2]) {
        let o = self.options;
        let g = if o.maximize { -g } else { g };
        let (p, g) = if o.decoupled_weight_decay {
            (p * T::of(1.0 - o.lr * o.weight_decay), g)
        } else {
            (p, g + p * T::of(o.weight_decay))
        };
        let mean = mean.lerp(g, 1.0 - o.betas.0);
        let square = square * T::of(o.betas.1) + g * g * T::of(1.0 - o.betas.1);
        let denominator = (square / T::of(self.correction2)).sqrt() + T::of(o.eps);
        let p = p
            - T::of(self.of_gradient) * (g / denominator)
            - T::of(self.of_mean) * (mean / denominator);
        (p, [mean, square])
    }
}

impl Rule for NAdamOptions {
    const NAME: &'static str = "NAdam";
    const SLOTS: &'static [&'static str] = &["exp_avg", "exp_avg_sq"];
    const NUMBERS: &'static [&'static str] = &["mu_product"];

    fn initial_number(&self, _: usize) -> f64 {
        1.0
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
        not_negative("momentum_decay", self.momentum_decay)?;
        below_one("betas.0", self.betas.0)?;
        below_one("betas.1", self.betas.1)
    }

    fn update(&self, param: &mut Tensor, grad: &Tensor, state: &mut ParamState) -> Result<()> {
        let t = state.step as f64;
        let mu_at = |t: f64| self.betas.0 * (1.0 - 0.5 * 0.96_f64.powf(t * self.momentum_decay));
        let (mu, mu_next) = (mu_at(t), mu_at(t + 1.0));
        // PyTorch keeps this product in f32.
        let product = single(state.numbers.first().copied().unwrap_or(1.0) * single(mu));
        state.numbers = vec![product];
        let step = Step {
            options: self,
            correction2: 1.0 - self.betas.1.powf(t),
            of_gradient: self.lr * (1.0 - mu) / (1.0 - product),
            of_mean: self.lr * mu_next / (1.0 - product * mu_next),
        };
        fused::<2>(param, grad, &mut state.slots, &step)
    }
}
