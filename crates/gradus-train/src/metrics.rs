//! Metrics: running mean, accuracy and the confusion matrix.
//!
//! They take plain numbers, not tensors, and add in `f64`, so an epoch's mean is the same however it was cut into batches.

use std::fmt;

/// A weighted running mean, such as the loss over the samples seen so far.
///
/// ```
/// let mut loss = gradus_train::metrics::Mean::default();
/// loss.add(2.0, 32.0); // a batch of 32 with mean loss 2
/// loss.add(1.0, 32.0);
/// assert_eq!(loss.mean(), 1.5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mean {
    /// The sum of value times weight.
    pub sum: f64,
    /// The sum of weights.
    pub weight: f64,
}

impl Mean {
    /// Counts `value` with `weight`.
    pub fn add(&mut self, value: f64, weight: f64) {
        self.sum += value * weight;
        self.weight += weight;
    }

    /// The mean so far; NaN before anything was added.
    pub fn mean(&self) -> f64 {
        self.sum / self.weight
    }
}

/// How many predictions were right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accuracy {
    /// Right answers.
    pub correct: u64,
    /// All answers.
    pub total: u64,
}

impl Accuracy {
    /// Counts a batch.
    pub fn add(&mut self, correct: u64, total: u64) {
        self.correct += correct;
        self.total += total;
    }

    /// The share of right answers in `0..=1`; NaN before anything was added.
    pub fn value(&self) -> f64 {
        self.correct as f64 / self.total as f64
    }

    /// The same in percent.
    pub fn percent(&self) -> f64 {
        100.0 * self.value()
    }
}

/// Counts of (true class, predicted class). `Display` draws the table.
///
/// ```
/// let mut table = gradus_train::metrics::ConfusionMatrix::new(["cat", "dog"]);
/// table.add(0, 0);
/// table.add(1, 0);
/// assert_eq!(table.count(1, 0), 1);
/// assert_eq!(table.accuracy().percent(), 50.0);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    names: Vec<String>,
    counts: Vec<u64>, // (true class, predicted class)
}

impl ConfusionMatrix {
    /// An empty table for classes with these names.
    pub fn new<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let counts = vec![0; names.len() * names.len()];
        Self { names, counts }
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.names.len()
    }

    /// Counts one answer. A class outside the table is ignored and returns false.
    pub fn add(&mut self, truth: usize, predicted: usize) -> bool {
        let n = self.classes();
        if truth >= n || predicted >= n {
            return false;
        }
        self.counts[truth * n + predicted] += 1;
        true
    }

    /// How often class `truth` was taken for `predicted` (0 outside the table).
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        let n = self.classes();
        if truth >= n || predicted >= n {
            return 0;
        }
        self.counts[truth * n + predicted]
    }

    /// The share on the diagonal.
    pub fn accuracy(&self) -> Accuracy {
        let n = self.classes();
        Accuracy {
            correct: (0..n).map(|i| self.counts[i * n + i]).sum(),
            total: self.counts.iter().sum(),
        }
    }

    /// Of those that are `class`, the share that was found.
    pub fn recall(&self, class: usize) -> f64 {
        let all: u64 = (0..self.classes()).map(|p| self.count(class, p)).sum();
        self.count(class, class) as f64 / all as f64
    }

    /// Of those called `class`, the share that is.
    pub fn precision(&self, class: usize) -> f64 {
        let all: u64 = (0..self.classes()).map(|t| self.count(t, class)).sum();
        self.count(class, class) as f64 / all as f64
    }

    /// The most frequent mistakes as (count, truth, predicted), most frequent first.
    pub fn confusions(&self) -> Vec<(u64, usize, usize)> {
        let n = self.classes();
        let mut pairs: Vec<_> = (0..n * n)
            .map(|i| (self.counts[i], i / n, i % n))
            .filter(|&(count, t, p)| t != p && count > 0)
            .collect();
        pairs.sort_by_key(|&(count, t, p)| (std::cmp::Reverse(count), t, p));
        pairs
    }

    /// The name of a class (empty outside the table).
    pub fn name(&self, class: usize) -> &str {
        self.names.get(class).map_or("", String::as_str)
    }
}

impl fmt::Display for ConfusionMatrix {
    /// A table with the truth down and the prediction across; `·` is zero, the last column the share found.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.classes();
        let widest_name = self.names.iter().map(|s| s.chars().count()).max();
        let widest_count = self.counts.iter().max().map_or(1, |c| c.to_string().len());
        let label = widest_name.unwrap_or(0).max("true".len());
        let column: Vec<usize> = (0..n)
            .map(|p| self.names[p].chars().count().min(12).max(widest_count) + 2)
            .collect();
        write!(f, "{:>label$} │", "true")?;
        for p in 0..n {
            let short: String = self.names[p].chars().take(12).collect();
            write!(f, "{short:>width$}", width = column[p])?;
        }
        writeln!(f, " │  found")?;
        let rule: usize = column.iter().sum();
        writeln!(f, "{}─┼{}─┼───────", "─".repeat(label), "─".repeat(rule))?;
        for t in 0..n {
            write!(f, "{:>label$} │", self.names[t])?;
            for p in 0..n {
                let width = column[p];
                match self.count(t, p) {
                    0 => write!(f, "{:>width$}", "·")?,
                    count => write!(f, "{count:>width$}")?,
                }
            }
            let found = self.recall(t);
            if found.is_nan() {
                writeln!(f, " │      –")?;
            } else {
                writeln!(f, " │ {:5.1} %", 100.0 * found)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_reads_well() {
        let mut table = ConfusionMatrix::new(["0", "1"]);
        for (t, p, times) in [(0, 0, 98), (0, 1, 2), (1, 1, 100)] {
            for _ in 0..times {
                assert!(table.add(t, p));
            }
        }
        assert!(!table.add(2, 0));
        let text = table.to_string();
        assert_eq!(
            text,
            "true │    0    1 │  found\n\
             ─────┼───────────┼───────\n   \
             0 │   98    2 │  98.0 %\n   \
             1 │    ·  100 │ 100.0 %\n"
        );
        assert_eq!(table.confusions(), [(2, 0, 1)]);
        assert_eq!(table.precision(1), 100.0 / 102.0);
    }
}
