//! The arguments of one case, as an op's registration sees them.
//!
//! Accessors take the position and PyTorch's keyword. Every argument must be looked at: one that an op's registration ignores makes the
//! case *unsupported*, so nothing is skipped in silence. What Rust's types rule out (a number where a tensor is taken, a negative
//! `usize`) is *not applicable*.

use std::cell::RefCell;
use std::collections::BTreeSet;

use gradus_autograd::Var;
use gradus_tensor::{DType, Dims, Error, Scalar, Tensor};
use serde_json::Value;

/// Why an op gave no output.
#[derive(Debug)]
pub enum Refusal {
    /// The library returned an error.
    Failed(Error),
    /// The registration or the library has no such option.
    Unsupported(String),
    /// The call cannot be written in Rust.
    NotApplicable(String),
}

impl From<Error> for Refusal {
    fn from(e: Error) -> Self {
        Refusal::Failed(e)
    }
}

pub type Ran<T> = Result<T, Refusal>;

/// The call cannot be written with our types.
pub fn not_applicable<T>(why: &str) -> Ran<T> {
    Err(Refusal::NotApplicable(why.into()))
}

/// The library has no such option.
pub fn unsupported<T>(why: &str) -> Ran<T> {
    Err(Refusal::Unsupported(why.into()))
}

/// One argument.
#[derive(Debug, Clone)]
pub enum Arg {
    Var(Var),
    Tensor(Tensor),
    Json(Value),
    List(Vec<Arg>),
}

/// All arguments of one call.
#[derive(Debug, Default)]
pub struct Args {
    pub positional: Vec<Arg>,
    pub keywords: Vec<(String, Arg)>,
    seen: RefCell<BTreeSet<String>>,
}

/// Keywords that say where and how PyTorch stores a result, not what it is.
const STORAGE_ONLY: [&str; 5] = [
    "device",
    "requires_grad",
    "layout",
    "pin_memory",
    "memory_format",
];

impl Args {
    pub fn new(positional: Vec<Arg>, keywords: Vec<(String, Arg)>) -> Self {
        Self {
            positional,
            keywords,
            seen: RefCell::default(),
        }
    }

    /// The argument at `at`, or else by keyword; `None` when absent or null.
    pub fn get(&self, at: usize, name: &str) -> Option<&Arg> {
        self.seen.borrow_mut().insert(at.to_string());
        self.seen.borrow_mut().insert(name.to_string());
        let found = self.positional.get(at).or_else(|| {
            self.keywords
                .iter()
                .find(|(k, _)| k == name)
                .map(|(_, v)| v)
        });
        found.filter(|arg| !matches!(arg, Arg::Json(Value::Null)))
    }

    /// An argument that was given and never looked at.
    pub fn ignored(&self) -> Option<String> {
        let seen = self.seen.borrow();
        let skipped = (0..self.positional.len()).find(|i| !seen.contains(&i.to_string()));
        let keyword = self
            .keywords
            .iter()
            .map(|(k, _)| k)
            .find(|k| !seen.contains(*k) && !STORAGE_ONLY.contains(&k.as_str()));
        skipped
            .map(|i| format!("argument {i}"))
            .or_else(|| keyword.map(|k| format!("keyword {k}")))
    }

    fn need(&self, at: usize, name: &str) -> Ran<&Arg> {
        self.get(at, name)
            .map_or_else(|| not_applicable(&format!("no argument {at} ({name})")), Ok)
    }

    /// A differentiable argument by position (a constant when the case does not ask for its gradient).
    pub fn var(&self, at: usize) -> Ran<Var> {
        as_var(self.need(at, "")?)
    }

    /// The same, by position or keyword, if given.
    pub fn var_opt(&self, at: usize, name: &str) -> Ran<Option<Var>> {
        self.get(at, name).map(as_var).transpose()
    }

    /// A tensor by position.
    pub fn tensor(&self, at: usize) -> Ran<Tensor> {
        as_tensor(self.need(at, "")?)
    }

    /// The same, by position or keyword, if given.
    pub fn tensor_opt(&self, at: usize, name: &str) -> Ran<Option<Tensor>> {
        self.get(at, name).map(as_tensor).transpose()
    }

    /// A list of differentiable arguments.
    pub fn vars(&self, at: usize) -> Ran<Vec<Var>> {
        match self.need(at, "tensors")? {
            Arg::List(list) => list.iter().map(as_var).collect(),
            Arg::Json(Value::Array(list)) if list.is_empty() => Ok(Vec::new()),
            _ => not_applicable("a list of Vars is taken here"),
        }
    }

    /// Is a tensor given here (and not a number)?
    pub fn is_tensor(&self, at: usize, name: &str) -> bool {
        matches!(self.get(at, name), Some(Arg::Var(_) | Arg::Tensor(_)))
    }

    /// Is one number given here (and not a list)?
    pub fn is_number(&self, at: usize, name: &str) -> bool {
        matches!(
            self.get(at, name),
            Some(Arg::Json(Value::Number(_) | Value::Bool(_)))
        )
    }

    /// Is a string given here?
    pub fn is_string(&self, at: usize, name: &str) -> bool {
        matches!(self.get(at, name), Some(Arg::Json(Value::String(_))))
    }

    fn json(&self, at: usize, name: &str) -> Ran<Option<&Value>> {
        match self.get(at, name) {
            None => Ok(None),
            Some(Arg::Json(value)) => Ok(Some(value)),
            Some(_) => not_applicable(&format!("{name} is a plain value in Rust, not a tensor")),
        }
    }

    /// A real number, if given.
    pub fn f64_opt(&self, at: usize, name: &str) -> Ran<Option<f64>> {
        self.json(at, name)?.map(as_f64).transpose()
    }

    pub fn f64(&self, at: usize, name: &str, default: f64) -> Ran<f64> {
        Ok(self.f64_opt(at, name)?.unwrap_or(default))
    }

    /// A whole number, if given.
    pub fn i64_opt(&self, at: usize, name: &str) -> Ran<Option<i64>> {
        self.json(at, name)?.map(as_i64).transpose()
    }

    pub fn i64(&self, at: usize, name: &str, default: i64) -> Ran<i64> {
        Ok(self.i64_opt(at, name)?.unwrap_or(default))
    }

    /// A dimension that must be given.
    pub fn dim(&self, at: usize, name: &str) -> Ran<isize> {
        match self.i64_opt(at, name)? {
            Some(dim) => Ok(dim as isize),
            None => not_applicable(&format!("{name} is required in Rust")),
        }
    }

    /// A size, if given.
    pub fn usize_opt(&self, at: usize, name: &str) -> Ran<Option<usize>> {
        match self.i64_opt(at, name)? {
            None => Ok(None),
            Some(n) => usize::try_from(n).map_or_else(
                |_| not_applicable(&format!("{name} is a usize, not {n}")),
                |n| Ok(Some(n)),
            ),
        }
    }

    pub fn usize(&self, at: usize, name: &str, default: usize) -> Ran<usize> {
        Ok(self.usize_opt(at, name)?.unwrap_or(default))
    }

    pub fn bool(&self, at: usize, name: &str, default: bool) -> Ran<bool> {
        match self.json(at, name)? {
            None => Ok(default),
            Some(Value::Bool(b)) => Ok(*b),
            Some(_) => not_applicable(&format!("{name} is a bool")),
        }
    }

    pub fn str<'a>(&'a self, at: usize, name: &str, default: &'a str) -> Ran<&'a str> {
        match self.json(at, name)? {
            None => Ok(default),
            Some(Value::String(s)) => Ok(s),
            Some(_) => not_applicable(&format!("{name} is a string")),
        }
    }

    /// A list of whole numbers (one number counts as a list of one), if given.
    pub fn ints_opt(&self, at: usize, name: &str) -> Ran<Option<Vec<isize>>> {
        match self.json(at, name)? {
            None => Ok(None),
            Some(Value::Array(list)) => list
                .iter()
                .map(|v| as_i64(v).map(|i| i as isize))
                .collect::<Ran<_>>()
                .map(Some),
            Some(one) => Ok(Some(vec![as_i64(one)? as isize])),
        }
    }

    pub fn ints(&self, at: usize, name: &str) -> Ran<Vec<isize>> {
        self.ints_opt(at, name)?.map_or_else(
            || not_applicable(&format!("{name} is required in Rust")),
            Ok,
        )
    }

    /// A list of lists of whole numbers, if that is what is given.
    pub fn lists_opt(&self, at: usize, name: &str) -> Ran<Option<Vec<Vec<isize>>>> {
        let ints = |v: &Value| match v {
            Value::Array(list) => list.iter().map(|v| as_i64(v).map(|i| i as isize)).collect(),
            _ => not_applicable(&format!("{name} has a list beside a number")),
        };
        match self.json(at, name)? {
            Some(Value::Array(lists)) => lists.iter().map(ints).collect::<Ran<_>>().map(Some),
            _ => Ok(None),
        }
    }

    /// A list of sizes, if given.
    pub fn sizes_opt(&self, at: usize, name: &str) -> Ran<Option<Vec<usize>>> {
        let Some(ints) = self.ints_opt(at, name)? else {
            return Ok(None);
        };
        let sizes = ints.iter().map(|&i| usize::try_from(i));
        sizes.collect::<Result<_, _>>().map_or_else(
            |_| not_applicable(&format!("{name} are usizes, not {ints:?}")),
            |s| Ok(Some(s)),
        )
    }

    pub fn sizes(&self, at: usize, name: &str) -> Ran<Vec<usize>> {
        self.sizes_opt(at, name)?.map_or_else(
            || not_applicable(&format!("{name} is required in Rust")),
            Ok,
        )
    }

    /// A list of real numbers (one number counts as a list of one), if given.
    pub fn floats_opt(&self, at: usize, name: &str) -> Ran<Option<Vec<f64>>> {
        match self.json(at, name)? {
            None => Ok(None),
            Some(Value::Array(list)) => list.iter().map(as_f64).collect::<Ran<_>>().map(Some),
            Some(one) => Ok(Some(vec![as_f64(one)?])),
        }
    }

    /// Dimensions to reduce: absent means all, a number or a list means those.
    pub fn dims(&self, at: usize, name: &str) -> Ran<Dims> {
        Ok(self.ints_opt(at, name)?.map_or(Dims::All, Dims::List))
    }

    /// A number that keeps its kind.
    pub fn scalar(&self, at: usize, name: &str) -> Ran<Scalar> {
        match self.json(at, name)? {
            Some(Value::Bool(b)) => Ok(Scalar::Bool(*b)),
            Some(v) if v.is_i64() => Ok(Scalar::Int(as_i64(v)?)),
            Some(v) => Ok(Scalar::Float(as_f64(v)?)),
            None => not_applicable(&format!("{name} is required in Rust")),
        }
    }

    /// A number that keeps its kind, or a default.
    pub fn scalar_or(&self, at: usize, name: &str, default: Scalar) -> Ran<Scalar> {
        if self.get(at, name).is_some() {
            self.scalar(at, name)
        } else {
            Ok(default)
        }
    }

    /// A dtype, if given.
    pub fn dtype(&self, at: usize, name: &str) -> Ran<Option<DType>> {
        match self.json(at, name)? {
            None => Ok(None),
            Some(v) => match v
                .get("dtype")
                .and_then(Value::as_str)
                .map(str::parse::<DType>)
            {
                Some(Ok(dtype)) => Ok(Some(dtype)),
                _ => not_applicable(&format!("{v} is not one of our dtypes")),
            },
        }
    }
}

fn as_var(arg: &Arg) -> Ran<Var> {
    match arg {
        Arg::Var(v) => Ok(v.clone()),
        Arg::Tensor(t) => Ok(Var::from(t)),
        _ => not_applicable("a Var is taken here, not a number"),
    }
}

fn as_tensor(arg: &Arg) -> Ran<Tensor> {
    match arg {
        Arg::Var(v) => Ok(v.value().clone()),
        Arg::Tensor(t) => Ok(t.clone()),
        _ => not_applicable("a Tensor is taken here, not a number"),
    }
}

/// A real: a JSON number or `{"f": "inf"}`.
pub fn as_f64(value: &Value) -> Ran<f64> {
    let named = || match value.get("f")?.as_str()? {
        "inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        "nan" => Some(f64::NAN),
        _ => None,
    };
    value
        .as_f64()
        .or_else(|| value.as_bool().map(|b| f64::from(u8::from(b))))
        .or_else(named)
        .map_or_else(|| not_applicable(&format!("{value} is not a number")), Ok)
}

fn as_i64(value: &Value) -> Ran<i64> {
    value.as_i64().map_or_else(
        || not_applicable(&format!("{value} is not a whole number")),
        Ok,
    )
}
