//! Schedules that go one way: down by a factor, along a line or a power. Cyclic ones stand in `cycle.rs`.
//! Formulas: the closed forms in `torch.optim.lr_scheduler`; `LinearWarmup` is transformers'
//! `get_linear_schedule_with_warmup`.

use super::{Schedule, fraction};

/// Times `gamma` every `step_size` steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepLR {
    /// Steps between two falls (0 is read as 1).
    pub step_size: usize,
    /// The factor; PyTorch's default is 0.1.
    pub gamma: f64,
}

impl Schedule for StepLR {
    fn lr(&self, base: f64, step: usize) -> f64 {
        base * power(self.gamma, step / self.step_size.max(1))
    }
}

/// Times `gamma` at each milestone.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiStepLR {
    /// The steps at which it falls, in any order; one that is listed twice counts twice.
    pub milestones: Vec<usize>,
    /// The factor; PyTorch's default is 0.1.
    pub gamma: f64,
}

impl Schedule for MultiStepLR {
    fn lr(&self, base: f64, step: usize) -> f64 {
        base * power(
            self.gamma,
            self.milestones.iter().filter(|&&m| m <= step).count(),
        )
    }
}

/// Times `gamma` every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExponentialLR {
    /// The factor of each step.
    pub gamma: f64,
}

impl Schedule for ExponentialLR {
    fn lr(&self, base: f64, step: usize) -> f64 {
        base * power(self.gamma, step)
    }
}

/// From `start_factor` to `end_factor` of the rate, along a line, over `total_iters` steps. A warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearLR {
    /// The factor at step 0; PyTorch's default is 1/3.
    pub start_factor: f64,
    /// The factor from `total_iters` on; PyTorch's default is 1.
    pub end_factor: f64,
    /// How many steps it takes; PyTorch's default is 5.
    pub total_iters: usize,
}

impl Default for LinearLR {
    fn default() -> Self {
        Self {
            start_factor: 1.0 / 3.0,
            end_factor: 1.0,
            total_iters: 5,
        }
    }
}

impl Schedule for LinearLR {
    fn lr(&self, base: f64, step: usize) -> f64 {
        let t = fraction(step.min(self.total_iters) as f64, self.total_iters as f64);
        base * (self.start_factor + (self.end_factor - self.start_factor) * t)
    }
}

/// `factor` of the rate for the first `total_iters` steps, then the rate itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConstantLR {
    /// The factor; PyTorch's default is 1/3.
    pub factor: f64,
    /// For how many steps; PyTorch's default is 5.
    pub total_iters: usize,
}

impl Default for ConstantLR {
    fn default() -> Self {
        Self {
            factor: 1.0 / 3.0,
            total_iters: 5,
        }
    }
}

impl Schedule for ConstantLR {
    fn lr(&self, base: f64, step: usize) -> f64 {
        if step < self.total_iters {
            base * self.factor
        } else {
            base
        }
    }
}

/// `(1 - step/total_iters)^power` of the rate, then 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolynomialLR {
    /// The step at which it reaches 0; PyTorch's default is 5.
    pub total_iters: usize,
    /// The power; PyTorch's default is 1, a line.
    pub power: f64,
}

impl Default for PolynomialLR {
    fn default() -> Self {
        Self {
            total_iters: 5,
            power: 1.0,
        }
    }
}

impl Schedule for PolynomialLR {
    fn lr(&self, base: f64, step: usize) -> f64 {
        let t = fraction(step.min(self.total_iters) as f64, self.total_iters as f64);
        base * (1.0 - t).powf(self.power)
    }
}

/// Up from 0 along a line over `warmup` steps, then down along a line to 0 at `total`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearWarmup {
    /// Steps of the way up.
    pub warmup: usize,
    /// Steps in all.
    pub total: usize,
}

impl Schedule for LinearWarmup {
    fn lr(&self, base: f64, step: usize) -> f64 {
        if step < self.warmup {
            return base * fraction(step as f64, self.warmup as f64);
        }
        let left = self.total.saturating_sub(step) as f64;
        base * (left / self.total.saturating_sub(self.warmup).max(1) as f64).min(1.0)
    }
}

/// `x^n` for a count that may be large.
fn power(x: f64, n: usize) -> f64 {
    i32::try_from(n).map_or_else(|_| x.powf(n as f64), |n| x.powi(n))
}
