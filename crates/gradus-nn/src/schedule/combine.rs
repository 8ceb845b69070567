//! Schedules made of schedules: one after the other, all at once, or any function.
//! The idea is PyTorch's `SequentialLR`, `ChainedScheduler` and `LambdaLR`.

use super::Schedule;

/// One schedule after the other: at each milestone the next begins, at its own step 0.
///
/// ```
/// use gradus_nn::schedule::{CosineAnnealingLR, LinearLR, Schedule, SequentialLR};
/// let warm = LinearLR { start_factor: 0.1, end_factor: 1.0, total_iters: 5 };
/// let cool = CosineAnnealingLR { t_max: 95, eta_min: 0.0 };
/// let schedule = SequentialLR::new(warm).then(5, cool);
/// assert!((schedule.lr(1.0, 0) - 0.1).abs() < 1e-12);
/// assert!((schedule.lr(1.0, 5) - 1.0).abs() < 1e-12);
/// assert!(schedule.lr(1.0, 100) < 1e-12);
/// ```
pub struct SequentialLR {
    /// The step each begins at, and the schedule.
    phases: Vec<(usize, Box<dyn Schedule + Send + Sync>)>,
}

impl SequentialLR {
    /// Begins with `first`.
    pub fn new(first: impl Schedule + Send + Sync + 'static) -> Self {
        Self {
            phases: vec![(0, Box::new(first))],
        }
    }

    /// From step `milestone` on, `next`. A milestone before the last one's cuts that one short.
    #[must_use]
    pub fn then(mut self, milestone: usize, next: impl Schedule + Send + Sync + 'static) -> Self {
        self.phases.push((milestone, Box::new(next)));
        self
    }

    /// The phase in force at `step`, and the step within it.
    fn phase(&self, step: usize) -> Option<(&(dyn Schedule + Send + Sync), usize)> {
        let (start, schedule) = self.phases.iter().rev().find(|(start, _)| *start <= step)?;
        Some((schedule.as_ref(), step - start))
    }
}

impl Schedule for SequentialLR {
    fn lr(&self, base: f64, step: usize) -> f64 {
        self.phase(step)
            .map_or(base, |(schedule, step)| schedule.lr(base, step))
    }
    fn momentum(&self, step: usize) -> Option<f64> {
        self.phase(step)
            .and_then(|(schedule, step)| schedule.momentum(step))
    }
}

/// Several schedules at once, each scaling what the one before gives.
pub struct ChainedScheduler(pub Vec<Box<dyn Schedule + Send + Sync>>);

impl Schedule for ChainedScheduler {
    fn lr(&self, base: f64, step: usize) -> f64 {
        self.0
            .iter()
            .fold(base, |rate, schedule| schedule.lr(rate, step))
    }
    fn momentum(&self, step: usize) -> Option<f64> {
        self.0
            .iter()
            .rev()
            .find_map(|schedule| schedule.momentum(step))
    }
}

/// A factor computed by any function of the step.
///
/// ```
/// use gradus_nn::schedule::{LambdaLR, Schedule};
/// let halve = LambdaLR(|step: usize| if step < 10 { 1.0 } else { 0.5 });
/// assert_eq!(halve.lr(0.2, 10), 0.1);
/// ```
pub struct LambdaLR<F>(pub F);

impl<F: Fn(usize) -> f64> Schedule for LambdaLR<F> {
    fn lr(&self, base: f64, step: usize) -> f64 {
        base * (self.0)(step)
    }
}
