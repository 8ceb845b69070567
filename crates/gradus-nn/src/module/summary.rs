//! A printable tree of a model: modules by their type, and the shape and dtype of what each holds.
//! It is not a profiler and knows nothing of activations. The idea is PyTorch's `print(model)` with the shapes added.

use std::collections::BTreeSet;
use std::fmt;

use super::{Part, Path};

/// The tree of a module; print it with `{}`.
///
/// ```
/// use gradus_nn::{Linear, Module, ReLU, Sequential};
/// # fn main() -> gradus_tensor::Result<()> {
/// let model = Sequential::new().then(Linear::new(2, 3)?).then(ReLU);
/// let text = model.summary().to_string();
/// assert!(text.contains("0: Linear"));
/// assert!(text.ends_with("parameters: 9 (9 trained)\n"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Indent and text of each line.
    lines: Vec<(usize, String)>,
    /// How many numbers the parameters hold.
    pub parameters: usize,
    /// How many of these are not frozen.
    pub trained: usize,
}

impl Summary {
    pub(super) fn of(parts: &[(Path, Part<'_>)]) -> Self {
        let mut summary = Self::default();
        let mut begun = BTreeSet::new();
        for (path, part) in parts {
            let path = path.as_str();
            let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
            let depth = if path.is_empty() {
                0
            } else {
                1 + if parent.is_empty() {
                    0
                } else {
                    parent.matches('.').count() + 1
                }
            };
            if matches!(part, Part::Module(_)) && !begun.insert(path.to_string()) {
                continue; // flattened into the module it is a part of: no level, no line
            }
            let text = match part {
                Part::Module(kind) if path.is_empty() => kind.to_string(),
                Part::Module(kind) => format!("{name}: {kind}"),
                Part::Param(param) => {
                    summary.parameters += param.numel();
                    if !param.is_frozen() {
                        summary.trained += param.numel();
                    }
                    let frozen = if param.is_frozen() { " frozen" } else { "" };
                    format!("{name} {} {}{frozen}", param.shape(), param.dtype())
                }
                Part::Buffer(buffer) => {
                    let value = buffer.get();
                    format!("{name} {} {} buffer", value.shape(), value.dtype())
                }
                Part::Tied(tied) => {
                    let (name, of) = tied.names(&Path::default());
                    summary.lines.push((
                        depth + usize::from(!path.is_empty()),
                        format!("{name} = {of}"),
                    ));
                    continue;
                }
                Part::Mode(_) => continue,
            };
            summary.lines.push((depth, text));
        }
        summary
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, text) in &self.lines {
            writeln!(f, "{:indent$}{text}", "", indent = 2 * depth)?;
        }
        writeln!(
            f,
            "parameters: {} ({} trained)",
            self.parameters, self.trained
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::{Identity, Linear, Module, Sequential};

    #[test]
    fn an_unnamed_layer_stands_in_the_row_itself() {
        let inner = Sequential::new().then_named("fc", Linear::new(2, 2).unwrap());
        let model = Sequential::new().then_named("", inner).then(Identity);
        let expected = "Sequential\n  fc: Linear\n    weight [2,2] f32\n    bias [2] f32\n  1: Identity\nparameters: 6 (6 trained)\n";
        assert_eq!(model.summary().to_string(), expected);
    }
}
