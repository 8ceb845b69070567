//! The schedule that looks at the training: the rate falls when a metric has stopped getting better.
//! It is not a function of the step, so it has a state of its own to save. Source: `torch.optim.lr_scheduler.ReduceLROnPlateau`.

use crate::optim::Optimizer;

/// Which way a metric gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlateauMode {
    /// Lower is better, as for a loss.
    Min,
    /// Higher is better, as for an accuracy.
    Max,
}

/// What the threshold is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThresholdMode {
    /// A share of the best value.
    Relative,
    /// The metric's own unit.
    Absolute,
}

/// Times `factor` when the metric has been no better for more than `patience` epochs.
///
/// ```
/// use gradus_nn::optim::{Optimizer, SGD};
/// use gradus_nn::schedule::ReduceLROnPlateau;
/// let mut optimizer = SGD::new(0.1);
/// let mut plateau = ReduceLROnPlateau { patience: 1, factor: 0.5, ..ReduceLROnPlateau::default() };
/// for loss in [1.0, 1.0, 1.0] {
///     plateau.step(loss, &mut optimizer);
/// }
/// assert_eq!(optimizer.lr(), 0.05);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReduceLROnPlateau {
    /// Which way is better.
    pub mode: PlateauMode,
    /// The factor of each fall.
    pub factor: f64,
    /// Epochs without progress that are borne.
    pub patience: usize,
    /// Progress smaller than this is none.
    pub threshold: f64,
    /// What the threshold is measured in.
    pub threshold_mode: ThresholdMode,
    /// Epochs after a fall in which nothing is counted.
    pub cooldown: usize,
    /// The rate never falls below this.
    pub min_lr: f64,
    /// A fall smaller than this is not made.
    pub eps: f64,
    /// State: the best value so far.
    pub best: Option<f64>,
    /// State: epochs without progress.
    pub bad_epochs: usize,
    /// State: epochs of rest left.
    pub cooldown_left: usize,
}

impl Default for ReduceLROnPlateau {
    /// PyTorch's: lower is better, a tenth after more than 10 epochs without 0.01 % of progress.
    fn default() -> Self {
        Self {
            mode: PlateauMode::Min,
            factor: 0.1,
            patience: 10,
            threshold: 1e-4,
            threshold_mode: ThresholdMode::Relative,
            cooldown: 0,
            min_lr: 0.0,
            eps: 1e-8,
            best: None,
            bad_epochs: 0,
            cooldown_left: 0,
        }
    }
}

impl ReduceLROnPlateau {
    /// Tells it this epoch's metric; it lowers the optimiser's rates when it is time.
    pub fn step(&mut self, metric: f64, optimizer: &mut dyn Optimizer) {
        if self.is_better(metric) {
            self.best = Some(metric);
            self.bad_epochs = 0;
        } else {
            self.bad_epochs += 1;
        }
        if self.cooldown_left > 0 {
            self.cooldown_left -= 1;
            self.bad_epochs = 0;
        }
        if self.bad_epochs > self.patience {
            let lower = |lr: f64| {
                let new = (lr * self.factor).max(self.min_lr);
                if lr - new > self.eps { new } else { lr }
            };
            let lrs: Vec<f64> = optimizer.lrs().into_iter().map(lower).collect();
            optimizer.set_lrs(&lrs);
            self.cooldown_left = self.cooldown;
            self.bad_epochs = 0;
        }
    }

    fn is_better(&self, metric: f64) -> bool {
        let Some(best) = self.best else {
            return !metric.is_nan();
        };
        match (self.mode, self.threshold_mode) {
            (PlateauMode::Min, ThresholdMode::Relative) => metric < best * (1.0 - self.threshold),
            (PlateauMode::Min, ThresholdMode::Absolute) => metric < best - self.threshold,
            (PlateauMode::Max, ThresholdMode::Relative) => metric > best * (1.0 + self.threshold),
            (PlateauMode::Max, ThresholdMode::Absolute) => metric > best + self.threshold,
        }
    }
}
