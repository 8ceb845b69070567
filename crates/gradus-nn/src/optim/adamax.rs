//! Adamax: Adam with the largest decayed gradient in place of the root mean square.
//! Source: Kingma and Ba 2014 (arXiv:1412.6980), section 7.1; `torch.optim.Adamax`.

use gradus_tensor::{Result, Tensor};

use super::element::{Real, Update, below_one, fused, not_negative};
use super::{Optim, ParamState, Rule};

/// Adamax; see [`AdamaxOptions`].
pub type Adamax = Optim<AdamaxOptions>;

/// Options of [`Adamax`], with PyTorch's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamaxOptions {
    /// Learning rate (2e-3).
    pub lr: f64,
    /// Decay of the two running means (0.9, 0.999).
    pub betas: (f64, f64),
    /// Added to the denominator (1e-8).
    pub eps: f64,
    /// L2 penalty, added to the gradient (0).
    pub weight_decay: f64,
    /// Climb instead of descend.
    pub maximize: bool,
}

impl Default for AdamaxOptions {
    fn default() -> Self {
        Self {
            lr: 2e-3,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.0,
            maximize: false,
        }
    }
}

struct Step<'a> {
    options: &'a AdamaxOptions,
    size: f64,
}

impl Update<2> for Step<'_> {
    #[inline(always)]
    fn update<T: Real>(&self, p: T, g: T, [mean, largest]: [T; 2]) -> (T, [T; 2]) {
        let o = self.options;
        let g = if o.maximize { -g } else { g };
        let g = g + p * T::of(o.weight_decay);
        let mean = mean.lerp(g, 1.0 - o.betas.0);
        let largest = (largest * T::of(o.betas.1)).maximum(g.abs() + T::of(o.eps));
        (p - T::of(self.size) * (mean / largest), [mean, largest])
    }
}

impl Rule for AdamaxOptions {
    const NAME: &'static str = "Adamax";
    const SLOTS: &'static [&'static str] = &["exp_avg", "exp_inf"];

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
        let size = self.lr / (1.0 - self.betas.0.powf(state.step as f64));
        fused::<2>(
            param,
            grad,
            &mut state.slots,
            &Step {
                options: self,
                size,
            },
        )
    }
}
