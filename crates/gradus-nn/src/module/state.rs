//! State dicts: a model's parameters and persistent buffers by name, and loading them back with a report of every name
//! that did not fit. It is not a file format; `gradus_tensor::safetensors` reads and writes such maps.
//! The idea and the rules are PyTorch's `state_dict` and `load_state_dict`; the report is in words, and the names that PyTorch's wrappers
//! put before all others (`module.`) are understood.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use gradus_tensor::{Error, Result, Tensor, weights};

use super::{Part, PartMut, Path};

/// Tensors by dotted name.
pub type StateDict = BTreeMap<String, Tensor>;

/// What [`Module::load_state_dict`](super::Module::load_state_dict) found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Names that were loaded.
    pub loaded: Vec<String>,
    /// Names the model has and the state does not: left as they were.
    pub missing: Vec<String>,
    /// Names the state has and the model does not: not used.
    pub unexpected: Vec<String>,
    /// Names of both, with the shape in the model and the shape in the state: left as they were.
    pub mismatched: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// What was taken off the front of the state's names: `module.` of `DataParallel`, `_orig_mod.` of `torch.compile`; mostly nothing.
    /// The names above are those without.
    pub prefix: String,
}

impl LoadReport {
    /// Did every name and every shape agree?
    pub fn is_exact(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty()
    }
}

/// One line, with the first few names: `loaded 10; 2 missing: fc.weight, fc.bias; 1 of another shape: conv1.weight is [64, 3, 7, 7] here,
/// [64, 1, 7, 7] there`. As `{:#}` a paragraph of each kind, with every name on a line.
impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loaded {}", self.loaded.len())?;
        if !self.prefix.is_empty() {
            write!(f, " (names without {:?})", self.prefix)?;
        }
        let shapes: Vec<String> = self
            .mismatched
            .iter()
            .map(|(name, here, there)| format!("{name} is {here:?} here, {there:?} there"))
            .collect();
        for (what, lines) in [
            ("missing", &self.missing),
            ("unexpected", &self.unexpected),
            ("of another shape", &shapes),
        ] {
            if lines.is_empty() {
                continue;
            }
            if f.alternate() {
                write!(f, "\n{} {what}:\n  {}", lines.len(), lines.join("\n  "))?;
            } else {
                write!(f, "; {} {what}: {}", lines.len(), some(lines))?;
            }
        }
        Ok(())
    }
}

/// The first few, and how many more.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let text = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text}, and {more} more"),
    }
}

pub(super) fn save(parts: &[(Path, Part<'_>)]) -> StateDict {
    let mut state = StateDict::new();
    for (path, part) in parts {
        match part {
            Part::Param(param) => {
                state.insert(path.to_string(), param.data().clone());
            }
            Part::Buffer(buffer) if buffer.is_persistent() => {
                state.insert(path.to_string(), buffer.get());
            }
            _ => {}
        }
    }
    for (name, of) in ties(parts) {
        if let Some(tensor) = state.get(&of).cloned() {
            state.insert(name, tensor);
        }
    }
    state
}

/// Second names of parameters, each with the parameter's own.
fn ties(parts: &[(Path, Part<'_>)]) -> Vec<(String, String)> {
    let names = |(path, part): &(Path, Part<'_>)| match part {
        Part::Tied(tied) => Some(tied.names(path)),
        _ => None,
    };
    parts.iter().filter_map(names).collect()
}

/// What wrappers of PyTorch put before every name.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// The state without the names of wrappers, if all of it has them and the model does not; and what was taken off.
fn unwrapped<'a>(state: &'a StateDict, own: &StateDict) -> (Cow<'a, StateDict>, String) {
    let (mut state, mut taken) = (Cow::Borrowed(state), String::new());
    while let Some(wrapper) = WRAPPERS
        .into_iter()
        .find(|wrapper| all_begin(&state, wrapper) && !own.keys().any(|n| n.starts_with(wrapper)))
    {
        state = Cow::Owned(weights::without_prefix(state.into_owned(), wrapper));
        taken.push_str(wrapper);
    }
    (state, taken)
}

fn all_begin(state: &StateDict, prefix: &str) -> bool {
    !state.is_empty() && state.keys().all(|name| name.starts_with(prefix))
}

/// The first part of all names of the state, if the model has them without it.
fn common_prefix(state: &StateDict, own: &StateDict) -> Option<String> {
    let (first, _) = state.keys().next()?.split_once('.')?;
    let prefix = format!("{first}.");
    let fits = |name: &String| own.contains_key(&name[prefix.len()..]);
    (all_begin(state, &prefix) && state.keys().any(fits)).then_some(prefix)
}

/// What a load will do. First look, then touch: a strict load that fails changes nothing.
pub(super) struct Plan<'a> {
    state: Cow<'a, StateDict>,
    report: LoadReport,
    /// Where a parameter's value is found: under its second name if it has one and the state knows it.
    found_at: BTreeMap<String, String>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(
        parts: &[(Path, Part<'_>)],
        state: &'a StateDict,
        strict: bool,
    ) -> Result<Self> {
        let own = save(parts);
        let (state, prefix) = unwrapped(state, &own);
        let ties = ties(parts);
        let known = ties.iter().filter(|(name, _)| state.contains_key(name));
        let found_at = known.map(|(name, of)| (of.clone(), name.clone())).collect();
        let mut plan = Self {
            state,
            report: LoadReport::default(),
            found_at,
        };
        let mut report = LoadReport {
            prefix,
            ..LoadReport::default()
        };
        let second = |name: &String| ties.iter().any(|(second, _)| second == name);
        for (name, tensor) in &own {
            match plan.value_of(name) {
                None if second(name) => {} // its own name is missing, or is enough
                // Files older than this counter of batch norm's do not have it; PyTorch keeps its value.
                None if name.ends_with("num_batches_tracked") => {}
                None => report.missing.push(name.clone()),
                Some(new) if new.dims() != tensor.dims() => {
                    let shapes = (tensor.dims().to_vec(), new.dims().to_vec());
                    report.mismatched.push((name.clone(), shapes.0, shapes.1));
                }
                Some(_) => report.loaded.push(name.clone()),
            }
        }
        let unexpected = plan.state.keys().filter(|name| !own.contains_key(*name));
        report.unexpected = unexpected.cloned().collect();
        if strict && !report.is_exact() {
            report.loaded.clear();
            let hint = match common_prefix(&plan.state, &own) {
                Some(prefix) => format!(
                    "all names there begin with {prefix:?}; weights::without_prefix takes it off"
                ),
                None => "load with strict = false to take what fits".into(),
            };
            return Err(Error::value(
                "load_state_dict",
                format!("the names or shapes differ: {report} ({hint})"),
            ));
        }
        plan.report = report;
        Ok(plan)
    }

    fn value_of(&self, name: &String) -> Option<&Tensor> {
        self.state.get(self.found_at.get(name).unwrap_or(name))
    }

    pub(super) fn carry_out(self, parts: Vec<(String, PartMut<'_>)>) -> Result<LoadReport> {
        let fits: BTreeSet<&String> = self.report.loaded.iter().collect();
        for (name, part) in parts {
            let Some(new) = self.value_of(&name).filter(|_| fits.contains(&name)) else {
                continue;
            };
            match part {
                PartMut::Param(param) => {
                    let new = new
                        .to_dtype(param.dtype())
                        .and_then(|new| new.to_device(&param.data().device()))
                        .map_err(|e| e.in_layer(name.as_str()))?;
                    param.set(new).map_err(|e| e.in_layer(name))?;
                }
                PartMut::Buffer(buffer) if buffer.is_persistent() => {
                    let old = buffer.get();
                    let new = new.to_dtype(old.dtype());
                    let new = new.and_then(|new| new.to_device(&old.device()));
                    buffer.set(new.map_err(|e| e.in_layer(name))?);
                }
                _ => {}
            }
        }
        Ok(self.report)
    }
}
