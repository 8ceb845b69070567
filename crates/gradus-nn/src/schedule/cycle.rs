//! Schedules that turn: cosines, one-cycle and triangular waves. Those that go one way stand in `decay.rs`.
//! Formulas: `torch.optim.lr_scheduler`; SGDR (Loshchilov and Hutter 2016, arXiv:1608.03983) for the cosines, Smith and Topin
//! 2017 (arXiv:1708.07120) for one-cycle, Smith 2015 (arXiv:1506.01186) for the triangles; `CosineWarmup` is transformers'
//! `get_cosine_schedule_with_warmup`.

use std::f64::consts::PI;

use super::{Schedule, fraction};

/// Half a cosine from the rate down to `eta_min` over `t_max` steps, then up again, and so on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineAnnealingLR {
    /// Steps of one way down.
    pub t_max: usize,
    /// The lowest rate; PyTorch's default is 0.
    pub eta_min: f64,
}

impl Schedule for CosineAnnealingLR {
    fn lr(&self, base: f64, step: usize) -> f64 {
        let t_max = self.t_max.max(1);
        cosine(
            base,
            self.eta_min,
            (step % (2 * t_max)) as f64 / t_max as f64,
        )
    }
}

/// Half a cosine down to `eta_min`, then a jump back to the rate; each fall is `t_mult` times as long as the one before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineAnnealingWarmRestarts {
    /// Steps of the first fall (0 is read as 1).
    pub t_0: usize,
    /// How much longer each fall is; PyTorch's default is 1 (0 is read as 1).
    pub t_mult: usize,
    /// The lowest rate; PyTorch's default is 0.
    pub eta_min: f64,
}

impl Schedule for CosineAnnealingWarmRestarts {
    fn lr(&self, base: f64, step: usize) -> f64 {
        let mut length = self.t_0.max(1);
        let mut t = step;
        if self.t_mult <= 1 {
            t %= length;
        } else {
            while t >= length {
                t -= length;
                length = length.saturating_mul(self.t_mult);
            }
        }
        cosine(base, self.eta_min, t as f64 / length as f64)
    }
}

/// Up from 0 along a line over `warmup` steps, then `cycles` periods of a cosine (½: one way down to 0) until `total`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineWarmup {
    /// Steps of the way up.
    pub warmup: usize,
    /// Steps in all.
    pub total: usize,
    /// Periods of the cosine; ½ is one way down.
    pub cycles: f64,
}

impl Schedule for CosineWarmup {
    fn lr(&self, base: f64, step: usize) -> f64 {
        if step < self.warmup {
            return base * fraction(step as f64, self.warmup as f64);
        }
        let t = (step - self.warmup) as f64 / self.total.saturating_sub(self.warmup).max(1) as f64;
        base * (0.5 * (1.0 + (PI * self.cycles * 2.0 * t).cos())).max(0.0)
    }
}

/// The curve between two rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Anneal {
    /// Half a cosine.
    #[default]
    Cosine,
    /// A line.
    Linear,
}

impl Anneal {
    /// From `start` at t = 0 to `end` at t = 1.
    fn between(self, start: f64, end: f64, t: f64) -> f64 {
        match self {
            Self::Cosine => cosine(start, end, t),
            Self::Linear => start + (end - start) * t,
        }
    }
}

/// One rise to `max_lr` and one fall far below the start, while the momentum falls and rises. The groups' own rates are not
/// used. After `total_steps` it stays where it ended (PyTorch raises an error there).
///
/// ```
/// use gradus_nn::schedule::{OneCycleLR, Schedule};
/// let schedule = OneCycleLR::new(0.5, 30);
/// assert!((schedule.lr(0.1, 8) - 0.5).abs() < 1e-12);
/// assert!(schedule.lr(0.1, 29) < 1e-5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycleLR {
    /// The peak.
    pub max_lr: f64,
    /// Steps in all.
    pub total_steps: usize,
    /// The share of the steps spent rising.
    pub pct_start: f64,
    /// The curve.
    pub anneal_strategy: Anneal,
    /// The first rate is `max_lr / div_factor`.
    pub div_factor: f64,
    /// The last rate is the first one divided by this.
    pub final_div_factor: f64,
    /// Fall back to the first rate as long as the rise took, and only then to the last one.
    pub three_phase: bool,
    /// Momentum at the ends and at the peak, if the momentum is moved too.
    pub momentum: Option<(f64, f64)>,
}

impl OneCycleLR {
    /// PyTorch's defaults: cosine, 30 % rising, from 1/25 of the peak to 1/250 000 of it, momentum 0.95 to 0.85 and back.
    pub fn new(max_lr: f64, total_steps: usize) -> Self {
        Self {
            max_lr,
            total_steps,
            pct_start: 0.3,
            anneal_strategy: Anneal::Cosine,
            div_factor: 25.0,
            final_div_factor: 1e4,
            three_phase: false,
            momentum: Some((0.95, 0.85)),
        }
    }

    /// The value at `step` of what is `ends` at the start, `peak` at the peak and `last` at the very end.
    fn at(&self, step: usize, ends: f64, peak: f64, last: f64) -> f64 {
        let rise = self.pct_start * self.total_steps as f64 - 1.0;
        let end = self.total_steps as f64 - 1.0;
        let phases = if self.three_phase {
            let fall = 2.0 * self.pct_start * self.total_steps as f64 - 2.0;
            [(rise, ends, peak), (fall, peak, ends), (end, ends, last)]
        } else {
            [(rise, ends, peak), (rise, peak, peak), (end, peak, last)]
        };
        let step = (step as f64).min(end);
        let mut start = 0.0;
        for (until, from, to) in phases {
            if step <= until {
                return self.anneal_strategy.between(
                    from,
                    to,
                    fraction(step - start, until - start),
                );
            }
            start = until;
        }
        last
    }
}

impl Schedule for OneCycleLR {
    fn lr(&self, _base: f64, step: usize) -> f64 {
        let initial = self.max_lr / self.div_factor;
        self.at(step, initial, self.max_lr, initial / self.final_div_factor)
    }

    fn momentum(&self, step: usize) -> Option<f64> {
        self.momentum
            .map(|(ends, peak)| self.at(step, ends, peak, ends))
    }
}

/// How the height of a [`CyclicLR`] wave changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum CyclicMode {
    /// It does not.
    Triangular,
    /// Half of the one before, each cycle.
    Triangular2,
    /// Times this factor each step.
    ExpRange(f64),
}

/// A triangular wave between `base_lr` and `max_lr`. The groups' own rates are not used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CyclicLR {
    /// The foot.
    pub base_lr: f64,
    /// The peak.
    pub max_lr: f64,
    /// Steps up; PyTorch's default is 2000 (0 is read as 1).
    pub step_size_up: usize,
    /// Steps down; `None` is as many as up.
    pub step_size_down: Option<usize>,
    /// How the height changes.
    pub mode: CyclicMode,
    /// Momentum at the foot and at the peak (PyTorch's defaults are 0.9 and 0.8), if the momentum is moved too.
    pub momentum: Option<(f64, f64)>,
}

impl CyclicLR {
    /// A wave of constant height that leaves the momentum alone.
    pub fn new(base_lr: f64, max_lr: f64, step_size_up: usize) -> Self {
        Self {
            base_lr,
            max_lr,
            step_size_up,
            step_size_down: None,
            mode: CyclicMode::Triangular,
            momentum: None,
        }
    }

    /// The height of the wave at `step`, of which 1 is the peak of the first cycle.
    fn height(&self, step: usize) -> f64 {
        let up = self.step_size_up.max(1);
        let down = self.step_size_down.unwrap_or(up).max(1);
        let (cycle, t) = (step / (up + down), step % (up + down));
        let wave = if t <= up {
            t as f64 / up as f64
        } else {
            (up + down - t) as f64 / down as f64
        };
        wave * match self.mode {
            CyclicMode::Triangular => 1.0,
            CyclicMode::Triangular2 => 0.5_f64.powf(cycle as f64),
            CyclicMode::ExpRange(gamma) => gamma.powf(step as f64),
        }
    }
}

impl Schedule for CyclicLR {
    fn lr(&self, _base: f64, step: usize) -> f64 {
        self.base_lr + (self.max_lr - self.base_lr) * self.height(step)
    }

    fn momentum(&self, step: usize) -> Option<f64> {
        self.momentum
            .map(|(foot, peak)| foot + (peak - foot) * self.height(step))
    }
}

/// Half a cosine from `start` at t = 0 to `end` at t = 1.
fn cosine(start: f64, end: f64, t: f64) -> f64 {
    end + (start - end) * 0.5 * (1.0 + (PI * t).cos())
}
