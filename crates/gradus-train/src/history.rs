//! `History`: what every epoch measured, as a table, as `history.csv` and as a picture.

use std::fmt::Write as _;
use std::path::Path;

use crate::chart::{Chart, Panel, Series};
use crate::error::Result;
use crate::files;

/// What one epoch measured. A value that was not measured is NaN (an empty cell in the CSV).
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Which epoch, counted from 1.
    pub epoch: u64,
    /// Optimiser steps made when the epoch ended.
    pub step: u64,
    /// The learning rate of the epoch's last step.
    pub lr: f64,
    /// Mean loss over the epoch's training batches, as they were seen.
    pub train_loss: f64,
    /// Share of right answers over the same batches, in `0..=1`.
    pub train_accuracy: f64,
    /// Mean loss on the validation set after the epoch.
    pub val_loss: f64,
    /// Share of right answers on the validation set.
    pub val_accuracy: f64,
    /// Seconds of training and validation.
    pub seconds: f64,
}

/// The columns of `history.csv`, in the order of [`Row`]'s fields.
pub const COLUMNS: [&str; 8] = [
    "epoch",
    "step",
    "lr",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "seconds",
];

impl Row {
    /// The values in the order of [`COLUMNS`].
    pub fn values(&self) -> [f64; 8] {
        [
            self.epoch as f64,
            self.step as f64,
            self.lr,
            self.train_loss,
            self.train_accuracy,
            self.val_loss,
            self.val_accuracy,
            self.seconds,
        ]
    }

    /// The row with these values.
    pub fn from_values(v: [f64; 8]) -> Self {
        Self {
            epoch: v[0] as u64,
            step: v[1] as u64,
            lr: v[2],
            train_loss: v[3],
            train_accuracy: v[4],
            val_loss: v[5],
            val_accuracy: v[6],
            seconds: v[7],
        }
    }
}

/// One [`Row`] per epoch.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The rows, oldest first.
    pub rows: Vec<Row>,
}

/// The best epoch of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// Its row in the history, counted from 0.
    pub index: usize,
    /// Its validation accuracy where there is one, else its validation loss, else its training loss.
    pub value: f64,
}

impl History {
    /// The best epoch so far: the first with the highest validation accuracy; where none was measured, with the lowest
    /// validation loss; where there was no validation, with the lowest training loss.
    pub fn best(&self) -> Option<Best> {
        let measures: [(fn(&Row) -> f64, f64); 3] = [
            (|r| r.val_accuracy, 1.0),
            (|r| r.val_loss, -1.0),
            (|r| r.train_loss, -1.0),
        ];
        let (value, sign) = measures
            .into_iter()
            .find(|(value, _)| self.rows.iter().any(|row| !value(row).is_nan()))?;
        let mut best: Option<Best> = None;
        for (index, row) in self.rows.iter().enumerate() {
            let new = value(row);
            let better = best.is_none_or(|best| sign * new > sign * best.value);
            if better && !new.is_nan() {
                best = Some(Best { index, value: new });
            }
        }
        best
    }

    /// The table as comma-separated values with a header line.
    ///
    /// Numbers are written with the fewest digits that read back as the same `f64`.
    pub fn to_csv(&self) -> String {
        let mut csv = COLUMNS.join(",");
        csv.push('\n');
        for row in &self.rows {
            for (i, value) in row.values().into_iter().enumerate() {
                let comma = if i == 0 { "" } else { "," };
                // A String never fails to be written to.
                let _ = if value.is_nan() {
                    write!(csv, "{comma}")
                } else {
                    write!(csv, "{comma}{value}")
                };
            }
            csv.push('\n');
        }
        csv
    }

    /// Writes [`History::to_csv`] to a file, all or nothing.
    pub fn save_csv(&self, path: impl AsRef<Path>) -> Result<()> {
        files::write(path.as_ref(), self.to_csv().as_bytes())
    }

    /// Loss and accuracy by epoch, side by side, training and validation.
    pub fn chart(&self, title: &str, subtitle: &str) -> Chart {
        let series = |name: &str, value: fn(&Row) -> f64| Series {
            name: name.into(),
            points: self
                .rows
                .iter()
                .map(|row| (row.epoch as f64, value(row)))
                .filter(|(_, y)| y.is_finite())
                .collect(),
        };
        Chart {
            title: title.into(),
            subtitle: subtitle.into(),
            panels: vec![
                Panel {
                    title: "Loss".into(),
                    x_title: "epoch".into(),
                    unit: String::new(),
                    series: vec![
                        series("training", |r| r.train_loss),
                        series("validation", |r| r.val_loss),
                    ],
                },
                Panel {
                    title: "Accuracy".into(),
                    x_title: "epoch".into(),
                    unit: "%".into(),
                    series: vec![
                        series("training", |r| 100.0 * r.train_accuracy),
                        series("validation", |r| 100.0 * r.val_accuracy),
                    ],
                },
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_is_the_first_of_the_highest() {
        let row = |epoch: u64, val_loss, val_accuracy| Row {
            epoch,
            step: 0,
            lr: 0.0,
            train_loss: 1.0 / epoch as f64,
            train_accuracy: 0.0,
            val_loss,
            val_accuracy,
            seconds: 0.0,
        };
        let nan = f64::NAN;
        let history = |rows: Vec<Row>| History { rows }.best();
        assert_eq!(history(vec![]), None);
        let accuracies = vec![row(1, 0.1, 0.8), row(2, 0.5, 0.9), row(3, 0.4, 0.9)];
        assert_eq!(
            history(accuracies),
            Some(Best {
                index: 1,
                value: 0.9
            })
        );
        assert_eq!(
            history(vec![row(1, 0.5, nan), row(2, 0.3, nan)]),
            Some(Best {
                index: 1,
                value: 0.3
            })
        );
        assert_eq!(
            history(vec![row(1, nan, nan), row(2, nan, nan)]),
            Some(Best {
                index: 1,
                value: 0.5
            })
        );
    }

    #[test]
    fn csv_round_trips_and_leaves_unmeasured_cells_empty() {
        let row = Row::from_values([1.0, 300.0, 1e-3, 0.1 + 0.2, 0.5, f64::NAN, f64::NAN, 2.5]);
        let csv = History { rows: vec![row] }.to_csv();
        let line = csv.lines().nth(1).unwrap();
        assert_eq!(line, "1,300,0.001,0.30000000000000004,0.5,,,2.5");
        assert_eq!(csv.lines().next().unwrap().split(',').count(), 8);
    }
}
