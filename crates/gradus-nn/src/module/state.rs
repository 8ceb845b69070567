//! State dicts: a model's parameters and persistent buffers by name, and loading them back with a report of every name
//! that did not fit. It is not a file format; `gradus_tensor::safetensors` reads and writes such maps.
//! The idea and the rules are PyTorch's `state_dict` and `load_state_dict`; the report is in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use gradus_tensor::{Error, Result, Tensor};

use super::{Module, Part, PartMut, Path, parts_mut};

/// Tensors by dotted name.
pub type StateDict = BTreeMap<String, Tensor>;

/// What [`Module::load_state_dict`] found.
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
}

impl LoadReport {
    /// Did every name and every shape agree?
    pub fn is_exact(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty()
    }
}

/// One line: `loaded 10; 2 missing: fc.weight, fc.bias; 1 of another shape: conv1.weight is [64,3,7,7] here, [64,1,7,7] there`.
impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loaded {}", self.loaded.len())?;
        for (what, names) in [("missing", &self.missing), ("unexpected", &self.unexpected)] {
            if !names.is_empty() {
                write!(f, "; {} {what}: {}", names.len(), some(names))?;
            }
        }
        if !self.mismatched.is_empty() {
            let lines: Vec<String> = self
                .mismatched
                .iter()
                .map(|(name, here, there)| format!("{name} is {here:?} here, {there:?} there"))
                .collect();
            write!(f, "; {} of another shape: {}", lines.len(), some(&lines))?;
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

pub(super) fn save<M: Module + ?Sized>(module: &M) -> StateDict {
    let mut state = StateDict::new();
    module.visit(&mut Path::default(), &mut |path, part| match part {
        Part::Param(param) => {
            state.insert(path.to_string(), param.data().clone());
        }
        Part::Buffer(buffer) if buffer.is_persistent() => {
            state.insert(path.to_string(), buffer.get());
        }
        _ => {}
    });
    for (name, of) in ties(module) {
        if let Some(tensor) = state.get(&of).cloned() {
            state.insert(name, tensor);
        }
    }
    state
}

/// Second names of parameters, each with the parameter's own.
fn ties<M: Module + ?Sized>(module: &M) -> Vec<(String, String)> {
    let mut ties = Vec::new();
    module.visit(&mut Path::default(), &mut |path, part| {
        if let Part::Tied(tied) = part {
            ties.push(tied.names(path));
        }
    });
    ties
}

pub(super) fn load<M: Module + ?Sized>(
    module: &mut M,
    state: &StateDict,
    strict: bool,
) -> Result<LoadReport> {
    // First look, then touch: a strict load that fails changes nothing.
    let mut report = LoadReport::default();
    let mut here = BTreeSet::new();
    // Where a parameter's value is found: under its second name if it has one and the state knows it.
    let ties = ties(module);
    let mut found_at = BTreeMap::new();
    for (name, of) in &ties {
        if state.contains_key(name) {
            found_at.insert(of.clone(), name.clone());
        }
    }
    let value_of = |name: &String| state.get(found_at.get(name).unwrap_or(name));
    let second = |name: &String| ties.iter().any(|(second, _)| second == name);
    for (name, tensor) in &save(module) {
        match value_of(name) {
            None if second(name) => {} // its own name is missing, or is enough
            None => report.missing.push(name.clone()),
            Some(new) if new.dims() != tensor.dims() => {
                report
                    .mismatched
                    .push((name.clone(), tensor.dims().to_vec(), new.dims().to_vec()));
            }
            Some(_) => report.loaded.push(name.clone()),
        }
        here.insert(name.clone());
    }
    report.unexpected = state
        .keys()
        .filter(|name| !here.contains(*name))
        .cloned()
        .collect();
    if strict && !report.is_exact() {
        report.loaded.clear();
        let hint = "load with strict = false to take what fits";
        return Err(Error::value(
            "load_state_dict",
            format!("the names or shapes differ: {report} ({hint})"),
        ));
    }

    let fits: BTreeSet<&String> = report.loaded.iter().collect();
    for (name, part) in parts_mut(module) {
        let Some(new) = value_of(&name).filter(|_| fits.contains(&name)) else {
            continue;
        };
        match part {
            PartMut::Param(param) => {
                let new = new
                    .to_dtype(param.dtype())
                    .map_err(|e| e.in_layer(name.as_str()))?;
                param.set(new).map_err(|e| e.in_layer(name))?;
            }
            PartMut::Buffer(buffer) if buffer.is_persistent() => {
                let dtype = buffer.get().dtype();
                buffer.set(new.to_dtype(dtype).map_err(|e| e.in_layer(name))?);
            }
            _ => {}
        }
    }
    Ok(report)
}
