//! Adam and AdamW: steps scaled by running means of the gradient and of its square.
//! Sources: Kingma and Ba 2014 (arXiv:1412.6980), Loshchilov and Hutter 2017 (arXiv:1711.05101), Reddi, Kale and Kumar 2018
//! (AMSGrad); options, defaults and order of operations are those of `torch.optim.Adam` and `torch.optim.AdamW`.

use gradus_tensor::{Result, Tensor};

use super::element::{Real, Update, below_one, fused, not_negative};
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

/// One step of either: what is the same for all elements.
struct Step {
    sign: f64,
    decay: f64,
    shrink: f64,
    betas: (f64, f64),
    size: f64,
    root: f64,
    eps: f64,
}

impl Step {
    fn moments<T: Real>(&self, p: T, g: T, mean: T, square: T) -> (T, T, T) {
        let g = g * T::of(self.sign) + p * T::of(self.decay);
        let mean = mean.lerp(g, 1.0 - self.betas.0);
        let square = square * T::of(self.betas.1) + g * g * T::of(1.0 - self.betas.1);
        (p * T::of(self.shrink), mean, square)
    }

    fn apply<T: Real>(&self, p: T, mean: T, square: T) -> T {
        let denominator = square.sqrt() / T::of(self.root) + T::of(self.eps);
        p - T::of(self.size) * (mean / denominator)
    }
}

impl Update<2> for Step {
    #[inline(always)]
    fn update<T: Real>(&self, p: T, g: T, [mean, square]: [T; 2]) -> (T, [T; 2]) {
        let (p, mean, square) = self.moments(p, g, mean, square);
        (self.apply(p, mean, square), [mean, square])
    }
}

impl Update<3> for Step {
    #[inline(always)]
    fn update<T: Real>(&self, p: T, g: T, [mean, square, largest]: [T; 3]) -> (T, [T; 3]) {
        let (p, mean, square) = self.moments(p, g, mean, square);
        let largest = largest.maximum(square);
        (self.apply(p, mean, largest), [mean, square, largest])
    }
}

impl AdamOptions {
    fn step(
        &self,
        decoupled: bool,
        param: &mut Tensor,
        grad: &Tensor,
        state: &mut ParamState,
    ) -> Result<()> {
        let t = state.step as f64;
        let step = Step {
            sign: if self.maximize { -1.0 } else { 1.0 },
            decay: if decoupled { 0.0 } else { self.weight_decay },
            shrink: if decoupled {
                1.0 - self.lr * self.weight_decay
            } else {
                1.0
            },
            betas: self.betas,
            size: self.lr / (1.0 - self.betas.0.powf(t)),
            root: (1.0 - self.betas.1.powf(t)).sqrt(),
            eps: self.eps,
        };
        match state.slots.len() {
            3 => fused::<3>(param, grad, &mut state.slots, &step),
            _ => fused::<2>(param, grad, &mut state.slots, &step),
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
}
