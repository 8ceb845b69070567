//! What is counted and printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

/// The outcome of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    Failed(String),
    Unsupported(String),
    NotApplicable(String),
}

/// A case that did not pass, and why.
#[derive(Debug, Serialize)]
pub struct Remark {
    pub op: String,
    pub case: String,
    pub why: String,
}

/// Counts of one op.
#[derive(Debug, Default, Serialize)]
pub struct OpCount {
    pub passed: usize,
    pub failed: usize,
    pub unsupported: usize,
    pub not_applicable: usize,
    /// Gradients compared in cases that passed.
    pub gradients: usize,
    /// Cases among those passed that had to be refused.
    pub refusals: usize,
}

/// Counts and remarks of one file.
#[derive(Debug, Default, Serialize)]
pub struct FileReport {
    pub name: String,
    pub passed: usize,
    pub failed: usize,
    pub unsupported: usize,
    pub not_applicable: usize,
    pub ops: BTreeMap<String, OpCount>,
    pub failures: Vec<Remark>,
    pub unsupported_cases: Vec<Remark>,
    pub not_applicable_cases: Vec<Remark>,
}

impl FileReport {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    pub fn add(&mut self, op: &str, case: &str, verdict: Verdict) {
        let count = self.ops.entry(op.to_string()).or_default();
        let remark = |why| Remark {
            op: op.to_string(),
            case: case.to_string(),
            why,
        };
        match verdict {
            Verdict::Passed => {
                self.passed += 1;
                count.passed += 1;
            }
            Verdict::Failed(why) => {
                self.failed += 1;
                count.failed += 1;
                self.failures.push(remark(why));
            }
            Verdict::Unsupported(why) => {
                self.unsupported += 1;
                count.unsupported += 1;
                self.unsupported_cases.push(remark(why));
            }
            Verdict::NotApplicable(why) => {
                self.not_applicable += 1;
                count.not_applicable += 1;
                self.not_applicable_cases.push(remark(why));
            }
        }
    }

    /// What a case of `op` that passed consisted of.
    pub fn checked(&mut self, op: &str, gradients: usize, refusal: bool) {
        let count = self.ops.entry(op.to_string()).or_default();
        count.gradients += gradients;
        count.refusals += usize::from(refusal);
    }

    /// Ops whose every case passed or does not apply.
    pub fn ops_passing(&self) -> usize {
        self.ops
            .values()
            .filter(|c| c.failed == 0 && c.unsupported == 0 && c.passed > 0)
            .count()
    }
}

/// How many failures and remarks are printed per file; `--json` has all.
const SHOWN: usize = 40;

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            passed,
            failed,
            unsupported,
            not_applicable,
            ..
        } = self;
        write!(
            f,
            "{name}: {passed} passed, {failed} failed, {unsupported} unsupported, {not_applicable} not applicable"
        )?;
        if self.ops.len() > 1 {
            write!(
                f,
                " ({} of {} ops pass)",
                self.ops_passing(),
                self.ops.len()
            )?;
        }
        for remark in self.failures.iter().take(SHOWN) {
            write!(f, "\n  failed {}: {}", remark.case, remark.why)?;
        }
        if self.failures.len() > SHOWN {
            write!(f, "\n  … and {} more", self.failures.len() - SHOWN)?;
        }
        let missing: Vec<&str> = self
            .ops
            .iter()
            .filter(|(_, c)| c.unsupported > 0 && c.passed == 0)
            .map(|(op, _)| op.as_str())
            .collect();
        if !missing.is_empty() {
            write!(f, "\n  unsupported: {}", missing.join(" "))?;
        }
        let whole: BTreeSet<&str> = missing.into_iter().collect();
        let partly: Vec<&Remark> = self
            .unsupported_cases
            .iter()
            .filter(|r| !whole.contains(r.op.as_str()))
            .collect();
        for remark in partly.iter().take(SHOWN) {
            write!(f, "\n  unsupported case {}: {}", remark.case, remark.why)?;
        }
        if partly.len() > SHOWN {
            write!(f, "\n  … and {} more", partly.len() - SHOWN)?;
        }
        if !self.not_applicable_cases.is_empty() {
            let mut reasons = BTreeMap::<&str, Vec<&str>>::new();
            for remark in &self.not_applicable_cases {
                reasons.entry(&remark.why).or_default().push(&remark.case);
            }
            for (why, cases) in reasons {
                let (few, more) = (&cases[..cases.len().min(3)], cases.len().saturating_sub(3));
                let more = if more > 0 {
                    format!(" and {more} more")
                } else {
                    String::new()
                };
                write!(f, "\n  not applicable ({why}): {}{more}", few.join(" "))?;
            }
        }
        Ok(())
    }
}
