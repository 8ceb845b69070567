//! Learning-rate schedules: the rate as a pure function of the step, and [`LrScheduler`], which carries it to an optimiser.
//!
//! A schedule holds no state, so a resumed run needs only the number of the step. It is not PyTorch's chained form (each
//! rate computed from the last); it is the closed form of each of PyTorch's schedules, which agrees with the chained one up to
//! rounding. Names and arguments are those of `torch.optim.lr_scheduler`; the two warm-up schedules are Hugging Face's.
//! The one schedule that must look at the training, [`ReduceLROnPlateau`], stands in `plateau.rs`.

mod combine;
mod cycle;
mod decay;
mod plateau;

pub use combine::{ChainedScheduler, LambdaLR, SequentialLR};
pub use cycle::{
    Anneal, CosineAnnealingLR, CosineAnnealingWarmRestarts, CosineWarmup, CyclicLR, CyclicMode,
    OneCycleLR,
};
pub use decay::{
    ConstantLR, ExponentialLR, LinearLR, LinearWarmup, MultiStepLR, PolynomialLR, StepLR,
};
pub use plateau::{PlateauMode, ReduceLROnPlateau, ThresholdMode};

use crate::optim::Optimizer;

/// A learning rate for every step.
///
/// ```
/// use gradus_nn::schedule::{CosineAnnealingLR, Schedule};
/// let schedule = CosineAnnealingLR { t_max: 100, eta_min: 0.0 };
/// assert_eq!(schedule.lr(0.1, 0), 0.1);
/// assert!((schedule.lr(0.1, 50) - 0.05).abs() < 1e-12);
/// ```
pub trait Schedule {
    /// The learning rate at `step` (0 is the first) of a parameter group whose own rate is `base`.
    fn lr(&self, base: f64, step: usize) -> f64;

    /// The momentum (or Adam's first beta) at `step`, for schedules that move it too.
    fn momentum(&self, step: usize) -> Option<f64> {
        let _ = step;
        None
    }
}

impl<S: Schedule + ?Sized> Schedule for Box<S> {
    fn lr(&self, base: f64, step: usize) -> f64 {
        (**self).lr(base, step)
    }
    fn momentum(&self, step: usize) -> Option<f64> {
        (**self).momentum(step)
    }
}

/// Carries a schedule to an optimiser: remembers each group's own rate and the number of the step.
///
/// ```
/// use gradus_nn::optim::{Optimizer, SGD};
/// use gradus_nn::schedule::{LrScheduler, StepLR};
/// let mut optimizer = SGD::new(0.1);
/// let mut scheduler = LrScheduler::new(StepLR { step_size: 2, gamma: 0.5 }, &mut optimizer);
/// for _ in 0..2 {
///     // … optimizer.step(&mut model, &gradients)?; then
///     scheduler.step(&mut optimizer);
/// }
/// assert_eq!(optimizer.lr(), 0.05);
/// ```
#[derive(Clone, Debug)]
pub struct LrScheduler<S> {
    schedule: S,
    base: Vec<f64>,
    step: usize,
}

impl<S: Schedule> LrScheduler<S> {
    /// Takes the rates the optimiser has now as each group's own, and sets those of step 0.
    pub fn new(schedule: S, optimizer: &mut dyn Optimizer) -> Self {
        let mut scheduler = Self {
            schedule,
            base: optimizer.lrs(),
            step: 0,
        };
        scheduler.set_step(0, optimizer);
        scheduler
    }

    /// On to the next step. Call it after the optimiser's own `step`.
    pub fn step(&mut self, optimizer: &mut dyn Optimizer) {
        self.set_step(self.step + 1, optimizer);
    }

    /// Goes to any step, such as the one a checkpoint was saved at.
    pub fn set_step(&mut self, step: usize, optimizer: &mut dyn Optimizer) {
        self.step = step;
        optimizer.set_lrs(&self.lrs());
        if let Some(momentum) = self.schedule.momentum(step) {
            optimizer.set_momentum(momentum);
        }
    }

    /// The number of the step it stands at.
    pub fn current_step(&self) -> usize {
        self.step
    }

    /// The rate of each group at this step.
    pub fn lrs(&self) -> Vec<f64> {
        self.base
            .iter()
            .map(|&base| self.schedule.lr(base, self.step))
            .collect()
    }

    /// Each group's own rate, which the schedule scales.
    pub fn base_lrs(&self) -> &[f64] {
        &self.base
    }

    /// The schedule.
    pub fn schedule(&self) -> &S {
        &self.schedule
    }
}

/// `part / whole`, and 1 where the whole is nothing: a phase of no steps is over at once.
fn fraction(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 1.0 }
}
