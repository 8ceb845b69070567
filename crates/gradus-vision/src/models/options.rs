//! What a model is built with: [`Options`], torchvision's constructor arguments by their own names.
//!
//! Arguments are data rather than one struct for each family, so that a command line or a manifest can give them. Nothing is
//! ignored: a name the model does not take, or a value of another kind, is an error that says what it takes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use gradus_tensor::{Error, Result};

/// How a model is built.
///
/// ```
/// use gradus_nn::Module;
/// use gradus_vision::models::{Options, build};
/// # fn main() -> gradus_tensor::Result<()> {
/// let model = build("resnet18", &Options::classes(10).with("zero_init_residual", true))?;
/// assert_eq!(model.num_params(), 11_181_642);
/// let refused = build("resnet18", &Options::default().with("dropout", 0.5)).err().unwrap();
/// assert!(refused.to_string().starts_with("resnet18 takes no argument dropout; it takes: "));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// How many classes the head tells apart; the model's own number if `None` (1000, for the CIFAR networks 10).
    pub num_classes: Option<usize>,
    /// Draw the first weights, as torchvision does (yes). Without, they are zeros and take neither time nor, until they are
    /// written, memory: for a model whose weights are loaded next.
    pub initialise: bool,
    /// Further arguments of the model's class, by torchvision's names.
    pub arguments: BTreeMap<String, Argument>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            num_classes: None,
            initialise: true,
            arguments: BTreeMap::new(),
        }
    }
}

impl Options {
    /// For this many classes, with the defaults otherwise.
    pub fn classes(num_classes: usize) -> Self {
        Self {
            num_classes: Some(num_classes),
            ..Self::default()
        }
    }

    /// With one more argument.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Argument>) -> Self {
        self.arguments.insert(name.into(), value.into());
        self
    }

    /// Without first weights: zeros, to be loaded.
    #[must_use]
    pub fn uninitialised(mut self) -> Self {
        self.initialise = false;
        self
    }
}

/// The value of an argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Argument {
    /// `true` or `false`.
    Flag(bool),
    /// A number, whole or not.
    Number(f64),
    /// Numbers in a row; of flags, 0 and 1.
    List(Vec<f64>),
}

impl From<bool> for Argument {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}

impl From<f64> for Argument {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<usize> for Argument {
    fn from(value: usize) -> Self {
        Self::Number(value as f64)
    }
}

impl From<Vec<f64>> for Argument {
    fn from(values: Vec<f64>) -> Self {
        Self::List(values)
    }
}

impl<const N: usize> From<[usize; N]> for Argument {
    fn from(values: [usize; N]) -> Self {
        Self::List(values.into_iter().map(|v| v as f64).collect())
    }
}

impl<const N: usize> From<[bool; N]> for Argument {
    fn from(values: [bool; N]) -> Self {
        Self::List(values.into_iter().map(|v| f64::from(u8::from(v))).collect())
    }
}

/// As it is printed: `true`, `0.2`, `[3, 4, 6, 3]` (brackets may be left out of a list of two or more).
impl FromStr for Argument {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let number = |text: &str| match text.trim() {
            "true" | "True" => Ok(1.0),
            "false" | "False" => Ok(0.0),
            text => text.parse().map_err(|_| {
                let kinds = "true, false, a number, or a list such as [3, 4, 6, 3]";
                Error::value("", format!("{text:?} is no argument; give {kinds}"))
            }),
        };
        let text = text.trim();
        let inside = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
        match (inside, text) {
            (Some(inside), _) if inside.trim().is_empty() => Ok(Self::List(Vec::new())),
            (None, "true" | "True") => Ok(Self::Flag(true)),
            (None, "false" | "False") => Ok(Self::Flag(false)),
            (None, text) if !text.contains(',') => number(text).map(Self::Number),
            (inside, text) => {
                let values = inside.unwrap_or(text).split(',').map(number);
                values.collect::<Result<_>>().map(Self::List)
            }
        }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::List(values) => write!(f, "{values:?}"),
        }
    }
}

/// The largest size an argument may give, far beyond any network and far from overflow.
const MOST: f64 = (1 << 20) as f64;

/// The options as a builder reads them: each argument by name with its default, and at the end the question whether one was
/// given that nobody asked for.
pub(super) struct Arguments<'a> {
    model: &'a str,
    options: &'a Options,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Arguments<'a> {
    pub fn new(model: &'a str, options: &'a Options) -> Self {
        Self {
            model,
            options,
            known: RefCell::new(vec!["num_classes"]),
        }
    }

    /// Are first weights drawn?
    pub fn initialise(&self) -> bool {
        self.options.initialise
    }

    /// How many classes.
    pub fn num_classes(&self, default: usize) -> Result<usize> {
        match self.options.num_classes.unwrap_or(default) {
            0 => Err(self.error("num_classes is 0; a classifier needs at least one".to_string())),
            classes => Ok(classes),
        }
    }

    /// A flag.
    pub fn flag(&self, name: &'static str, default: bool) -> Result<bool> {
        match self.given(name) {
            None => Ok(default),
            Some(Argument::Flag(value)) => Ok(*value),
            Some(other) => Err(self.wrong(name, other, "true or false")),
        }
    }

    /// A finite number.
    pub fn number(&self, name: &'static str, default: f64) -> Result<f64> {
        match self.given(name) {
            None => Ok(default),
            Some(Argument::Number(value)) if value.is_finite() => Ok(*value),
            Some(other) => Err(self.wrong(name, other, "a number")),
        }
    }

    /// A number in [0, 1].
    pub fn probability(&self, name: &'static str, default: f64) -> Result<f64> {
        let value = self.number(name, default)?;
        if (0.0..=1.0).contains(&value) {
            return Ok(value);
        }
        Err(self.wrong(name, &Argument::Number(value), "a probability, 0 to 1"))
    }

    /// A number above 0, such as a multiple of the width.
    pub fn factor(&self, name: &'static str, default: f64) -> Result<f64> {
        let value = self.number(name, default)?;
        if value > 0.0 && value <= 1000.0 {
            return Ok(value);
        }
        Err(self.wrong(name, &Argument::Number(value), "above 0 and at most 1000"))
    }

    /// A whole number, 1 or more.
    pub fn size(&self, name: &'static str, default: usize) -> Result<usize> {
        match self.given(name) {
            None => Ok(default),
            Some(Argument::Number(value)) if is_size(*value) => Ok(*value as usize),
            Some(other) => Err(self.wrong(name, other, "a whole number from 1 to 1048576")),
        }
    }

    /// `N` whole numbers, 1 or more each.
    pub fn sizes<const N: usize>(
        &self,
        name: &'static str,
        default: [usize; N],
    ) -> Result<[usize; N]> {
        let what = || format!("{N} whole numbers from 1 to 1048576");
        match self.given(name) {
            None => Ok(default),
            Some(given @ Argument::List(values)) => {
                if values.len() != N || !values.iter().all(|&v| is_size(v)) {
                    return Err(self.wrong(name, given, &what()));
                }
                Ok(std::array::from_fn(|i| values[i] as usize))
            }
            Some(other) => Err(self.wrong(name, other, &what())),
        }
    }

    /// `N` flags.
    pub fn flags<const N: usize>(
        &self,
        name: &'static str,
        default: [bool; N],
    ) -> Result<[bool; N]> {
        let what = format!("{N} times true or false");
        match self.given(name) {
            None => Ok(default),
            Some(given @ Argument::List(values)) => {
                if values.len() != N || !values.iter().all(|&v| v == 0.0 || v == 1.0) {
                    return Err(self.wrong(name, given, &what));
                }
                Ok(std::array::from_fn(|i| values[i] == 1.0))
            }
            Some(other) => Err(self.wrong(name, other, &what)),
        }
    }

    /// Nothing may be left over.
    pub fn finish(&self) -> Result<()> {
        let known = self.known.borrow();
        let unknown = self.options.arguments.keys();
        match unknown
            .into_iter()
            .find(|name| !known.contains(&name.as_str()))
        {
            None => Ok(()),
            Some(name) => Err(Error::value(
                "",
                format!(
                    "{} takes no argument {name}; it takes: {}",
                    self.model,
                    known.join(", ")
                ),
            )),
        }
    }

    /// An error of this model's.
    pub fn error(&self, problem: String) -> Error {
        Error::value("", format!("{}: {problem}", self.model))
    }

    fn given(&self, name: &'static str) -> Option<&'a Argument> {
        self.known.borrow_mut().push(name);
        self.options.arguments.get(name)
    }

    fn wrong(&self, name: &str, value: &Argument, what: &str) -> Error {
        self.error(format!("{name} is {value}; it must be {what}"))
    }
}

fn is_size(value: f64) -> bool {
    value.fract() == 0.0 && (1.0..=MOST).contains(&value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_as_they_are_printed() {
        for argument in [
            Argument::from(true),
            0.25.into(),
            12_usize.into(),
            [3_usize, 4, 6, 3].into(),
            Argument::List(vec![]),
        ] {
            assert_eq!(argument.to_string().parse::<Argument>().unwrap(), argument);
        }
        assert_eq!("1,2".parse::<Argument>().unwrap(), [1_usize, 2].into());
        assert_eq!(
            "[False, true]".parse::<Argument>().unwrap(),
            [false, true].into()
        );
        for text in ["", "x", "[1, y]", "1,", "[1"] {
            assert!(text.parse::<Argument>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_value_of_another_kind_is_refused() {
        let options = Options::default()
            .with("flag", 1.0)
            .with("size", 2.5)
            .with("zero", 0_usize)
            .with("huge", 1e300)
            .with("sizes", [1_usize, 2])
            .with("chance", 1.5)
            .with("nan", f64::NAN);
        let a = Arguments::new("net", &options);
        assert!(a.flag("flag", true).is_err());
        assert!(a.size("size", 1).is_err() && a.size("zero", 1).is_err());
        assert!(a.size("huge", 1).is_err() && a.number("nan", 1.0).is_err());
        assert!(a.sizes("sizes", [1, 2, 3]).is_err() && a.flags("sizes", [true; 2]).is_err());
        let refused = a.probability("chance", 0.0).unwrap_err().to_string();
        assert_eq!(
            refused,
            "net: chance is 1.5; it must be a probability, 0 to 1"
        );
        assert!(a.finish().is_ok());
        assert_eq!(a.sizes("sizes", [3, 4]).unwrap(), [1, 2]);
        assert_eq!(a.number("chance", 0.0).unwrap(), 1.5);
    }
}
