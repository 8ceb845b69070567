//! RAdam: Adam that waits, stepping by the mean gradient alone, until its mean square has seen enough to be trusted.
//! Source: Liu et al. 2019 (arXiv:1908.03265); `torch.optim.RAdam`.

use gradus_tensor::{Result, Tensor};

use super::element::{Real, Update, below_one, fused, not_negative};
use super::{Optim, ParamState, Rule};

/// RAdam; see [`RAdamOptions`].
pub type RAdam = Optim<RAdamOptions>;

/// Options of [`RAdam`], with PyTorch's defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct RAdamOptions {
    /// Learning rate (1e-3).
    pub lr: f64,
    /// Decay of the two running means (0.9, 0.999).
    pub betas: (f64, f64),
    /// Added to the denominator (1e-8).
    pub eps: f64,
    /// L2 penalty (0).
    pub weight_decay: f64,
    /// Shrink the parameter itself, as AdamW does, instead of adding to the gradient.
    pub decoupled_weight_decay: bool,
    /// Climb instead of descend.
    pub maximize: bool,
}

impl Default for RAdamOptions {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.0,
            decoupled_weight_decay: false,
            maximize: false,
        }
    }
}

/// What is the same for all elements; `rectified` is the factor of the adaptive rate, once it is trusted.
struct Step<'a> {
    options: &'a RAdamOptions,
    size: f64,
    rectified: Option<f64>,
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
        let adaptive = self.rectified.map_or(T::of(1.0), |factor| {
            T::of(factor) / (square.sqrt() + T::of(o.eps))
        });
        (p - mean * T::of(self.size) * adaptive, [mean, square])
    }
}

impl Rule for RAdamOptions {
    const NAME: &'static str = "RAdam";
    const SLOTS: &'static [&'static str] = &["exp_avg", "exp_avg_sq"];

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
        let t = state.step as f64;
        let beta2_t = self.betas.1.powf(t);
        // How many gradients the mean square is worth: at most, and by now.
        let most = 2.0 / (1.0 - self.betas.1) - 1.0;
        let length = most - 2.0 * t * beta2_t / (1.0 - beta2_t);
        let rectified = (length > 5.0).then(|| {
            let rect =
                (length - 4.0) * (length - 2.0) * most / ((most - 4.0) * (most - 2.0) * length);
            (rect * (1.0 - beta2_t)).sqrt()
        });
        let step = Step {
            options: self,
            size: self.lr / (1.0 - self.betas.0.powf(t)),
            rectified,
        };
        fused::<2>(param, grad, &mut state.slots, &step)
    }
}
