//! Cutting at delimiters: what becomes of the delimiter itself.

use std::ops::Range;

use gradus_tensor::Result;

use super::json::Part;

/// What becomes of a delimiter. `the-final--day`, cut at `-`:
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// `the`, `final`, `day`
    Removed,
    /// `the`, `-`, `final`, `-`, `-`, `day`
    Isolated,
    /// `the-`, `final-`, `-`, `day`
    MergedWithPrevious,
    /// `the`, `-final`, `-`, `-day`
    MergedWithNext,
    /// `the`, `-`, `final`, `--`, `day`
    Contiguous,
}

const NAMES: [(Behavior, &str); 5] = [
    (Behavior::Removed, "Removed"),
    (Behavior::Isolated, "Isolated"),
    (Behavior::MergedWithPrevious, "MergedWithPrevious"),
    (Behavior::MergedWithNext, "MergedWithNext"),
    (Behavior::Contiguous, "Contiguous"),
];

impl Behavior {
    pub(super) fn from_json(part: Part, default: &'static str) -> Result<Self> {
        let name = part.text_or("behavior", default)?;
        let found = NAMES.iter().find(|(_, written)| *written == name);
        found.map(|(behavior, _)| *behavior).ok_or_else(|| {
            part.wrong(
                "behavior",
                "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous",
            )
        })
    }

    pub(super) fn name(self) -> &'static str {
        let found = NAMES.iter().find(|(behavior, _)| *behavior == self);
        found.map_or("", |(_, name)| name)
    }
}

/// Cuts `0..len` at `delimiters` (in order, not overlapping) and hands on the pieces that are not empty.
pub fn split(
    len: usize,
    delimiters: impl Iterator<Item = Range<usize>>,
    behavior: Behavior,
    next: &mut dyn FnMut(usize, usize) -> Result<()>,
) -> Result<()> {
    let mut emit = |start: usize, end: usize| {
        if start < end {
            next(start, end)
        } else {
            Ok(())
        }
    };
    let mut start = 0; // of the piece that is open
    let mut before: Option<usize> = None; // where the delimiter ended that came last
    for delimiter in delimiters {
        let adjacent = before == Some(delimiter.start);
        match behavior {
            Behavior::Removed => {
                emit(start, delimiter.start)?;
                start = delimiter.end;
            }
            Behavior::Isolated => {
                emit(start, delimiter.start)?;
                emit(delimiter.start, delimiter.end)?;
                start = delimiter.end;
            }
            Behavior::MergedWithPrevious => {
                emit(start, delimiter.end)?;
                start = delimiter.end;
            }
            Behavior::MergedWithNext => {
                emit(start, delimiter.start)?;
                start = delimiter.start;
            }
            Behavior::Contiguous if adjacent => {}
            Behavior::Contiguous => {
                if let Some(end) = before {
                    emit(start, end)?; // the run of delimiters
                    start = end;
                }
                emit(start, delimiter.start)?;
                start = delimiter.start;
            }
        }
        before = Some(delimiter.end);
    }
    if behavior == Behavior::Contiguous
        && let Some(end) = before
    {
        emit(start, end)?;
        start = end;
    }
    emit(start, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_behavior() {
        let text = "the-final--day";
        for (behavior, expected) in [
            (Behavior::Removed, &["the", "final", "day"][..]),
            (Behavior::Isolated, &["the", "-", "final", "-", "-", "day"]),
            (
                Behavior::MergedWithPrevious,
                &["the-", "final-", "-", "day"],
            ),
            (Behavior::MergedWithNext, &["the", "-final", "-", "-day"]),
            (Behavior::Contiguous, &["the", "-", "final", "--", "day"]),
        ] {
            let mut pieces = Vec::new();
            let found = text.match_indices('-').map(|(i, m)| i..i + m.len());
            split(text.len(), found, behavior, &mut |start, end| {
                pieces.push(&text[start..end]);
                Ok(())
            })
            .unwrap();
            assert_eq!(pieces, expected, "{behavior:?}");
        }
        let mut count = 0;
        let dashes = (0..3).map(|i| i..i + 1);
        split(3, dashes, Behavior::Contiguous, &mut |_, _| {
            count += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(count, 1);
    }
}
