//! [`Pretrained`]: building a model from its configuration, drawing its first weights, and loading a checkpoint from a folder as
//! Hugging Face lays it out (`config.json` beside the weights). A checkpoint's names are taken as `from_pretrained` takes them: with
//! or without the base model's prefix, and with the `gamma` and `beta` of old files. Reading the files is `gradus_tensor::weights`'.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use gradus_nn::{LoadReport, Module, Param, Part, StateDict, init};
use gradus_tensor::{Error, Result, ResultExt, Tensor, weights};

use super::config::Config;

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum First {
    /// As its layer made it: norms as ones and zeros.
    Keep,
    /// All 0.
    Zeros,
    /// Normal with this deviation.
    Normal(f64),
    /// Normal with this deviation, but for one row of zeros: that of the token that stands for nothing.
    NormalBut(f64, usize),
    /// Normal with this deviation, within ±2.
    Truncated(f64),
}

/// The settings of a family of models.
pub trait ModelConfig: Sized {
    /// Reads them from a `config.json`, with the reference's defaults where it says nothing.
    ///
    /// # Errors
    /// When a value is of the wrong kind, or the values contradict each other.
    fn from_config(config: &Config) -> Result<Self>;

    /// How a parameter starts: `name` is its own in the model, `kind` the type of the layer that has it (`"Linear"`).
    fn first(&self, kind: &str, name: &str) -> First;
}

/// A model that can be built from a configuration and take a checkpoint.
pub trait Pretrained: Module + Sized {
    /// Its settings.
    type Config: ModelConfig;

    /// The name under which the base model stands in models with heads, as in `bert.encoder.layer.0`.
    const BASE: &'static str;

    /// The layers. First weights may be anything: who calls this draws or loads them.
    ///
    /// # Errors
    /// When the settings do not fit together or the memory cannot be had.
    fn build(config: &Self::Config) -> Result<Self>;

    /// Names of checkpoints that this model rightly does without.
    fn ignores(name: &str) -> bool {
        name.ends_with("position_ids") || name.ends_with("token_type_ids")
    }

    /// Today's name for a name of an old checkpoint; norms said `gamma` and `beta` once.
    fn modern(name: &str) -> String {
        match name.rsplit_once('.') {
            Some((path, "gamma")) => format!("{path}.weight"),
            Some((path, "beta")) => format!("{path}.bias"),
            _ => name.to_owned(),
        }
    }

    /// A new model with first weights as the reference draws them, in training mode.
    ///
    /// # Errors
    /// When the settings do not fit together or the memory cannot be had.
    fn new(config: &Self::Config) -> Result<Self> {
        let mut model = init::skip(|| Self::build(config))?;
        draw(&mut model, config, &|_| true)?;
        Ok(model)
    }

    /// A new model of the sizes in a `config.json`, with first weights.
    ///
    /// # Errors
    /// When a value is of the wrong kind, or the values contradict each other.
    fn from_config(config: &Config) -> Result<Self> {
        Self::new(&Self::Config::from_config(config)?)
    }

    /// The model in a folder, `config.json` beside its weights, in training mode. What the checkpoint does not have, such as a new
    /// head, starts as in a new model; the report says what that was, and what the checkpoint had that was not used.
    ///
    /// # Errors
    /// When a file is missing or damaged, a shape is not the configuration's, or nothing in the file belongs to this model.
    fn from_pretrained(folder: impl AsRef<Path>) -> Result<(Self, LoadReport)> {
        let folder = folder.as_ref();
        let config = Self::Config::from_config(&Config::load(folder)?)?;
        Self::from_state(&config, weights::load(folder)?)
            .map_err(|e| Error::value("", format!("{}: {e}", folder.display())))
    }

    /// The model of a checkpoint that is read already, in training mode.
    ///
    /// # Errors
    /// When a shape is not the configuration's, or nothing in the checkpoint belongs to this model.
    fn from_state(config: &Self::Config, state: StateDict) -> Result<(Self, LoadReport)> {
        let mut model = init::skip(|| Self::build(config))?;
        let report = model.take(state, false)?;
        let missing: BTreeSet<&str> = report.missing.iter().map(String::as_str).collect();
        draw(&mut model, config, &|name| missing.contains(name))?;
        Ok((model, report))
    }

    /// The same where every name must be in both, the model and the checkpoint.
    ///
    /// # Errors
    /// Also when a name is missing or unexpected; the message lists them.
    fn from_pretrained_strict(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let config = Self::Config::from_config(&Config::load(folder)?)?;
        let state = weights::load(folder)?;
        let mut model = init::skip(|| Self::build(&config))?;
        let wrong = |e: Error| Error::value("", format!("{}: {e}", folder.display()));
        model.take(state, true).map_err(wrong)?;
        Ok(model)
    }

    /// Takes the weights of a checkpoint under whichever names of old and new files it has. Without `strict`, names may be missing
    /// on either side.
    ///
    /// # Errors
    /// When shapes differ, nothing fits, or (with `strict`) a name is missing or unexpected. Then nothing is changed.
    fn take(&mut self, state: StateDict, strict: bool) -> Result<LoadReport> {
        let state = renamed::<Self>(self, state);
        let here = self.state_dict();
        let differ = here.iter().find(|(name, tensor)| {
            let there = state.get(*name);
            there.is_some_and(|there| there.dims() != tensor.dims())
        });
        if let (false, Some((name, tensor))) = (strict, differ) {
            let text = format!(
                "{name} is {} in the checkpoint and {} by the configuration: one of the two belongs to another model",
                state[name].shape(),
                tensor.shape()
            );
            return Err(Error::shape("", text));
        }
        if !strict && !state.keys().any(|name| here.contains_key(name)) {
            let some = |mut names: Vec<&str>| {
                names.truncate(3);
                names.join(", ")
            };
            let text = format!(
                "none of the checkpoint's names is one of the model's: it has {}, …, the model {}, …",
                some(state.keys().map(String::as_str).collect()),
                some(here.keys().map(String::as_str).collect())
            );
            return Err(Error::value("", text));
        }
        self.load_state_dict(&state, strict)
    }
}

/// The checkpoint's tensors under the model's names, where they have others.
fn renamed<M: Pretrained>(model: &M, state: StateDict) -> StateDict {
    let here = model.state_dict();
    let prefix = format!("{}.", M::BASE);
    let mut found = StateDict::new();
    for (name, tensor) in state {
        if M::ignores(&name) && !here.contains_key(&name) {
            continue;
        }
        let modern = M::modern(&name);
        let with = format!("{prefix}{modern}");
        let name = if here.contains_key(&name) {
            name
        } else if here.contains_key(&modern) {
            modern
        } else if here.contains_key(&with) {
            with
        } else {
            match modern.strip_prefix(&prefix) {
                Some(without) if here.contains_key(without) => without.to_owned(),
                _ => name,
            }
        };
        found.insert(name, tensor);
    }
    found
}

/// Draws the first weights of the wanted names.
fn draw<M: Pretrained>(
    model: &mut M,
    config: &M::Config,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<()> {
    let mut kinds: HashMap<String, &'static str> = HashMap::new();
    model.visit(&mut gradus_nn::Path::default(), &mut |path, part| {
        if let Part::Module(kind) = part {
            kinds.insert(path.to_string(), kind);
        }
    });
    for (name, param) in model.named_parameters_mut() {
        if wanted(&name) {
            let layer = name.rsplit_once('.').map_or("", |(layer, _)| layer);
            let kind = kinds.get(layer).copied().unwrap_or("");
            let first = config.first(kind, &name);
            if let Some(tensor) = tensor(first, param).in_layer(name.as_str())? {
                param.set(tensor).in_layer(name)?;
            }
        }
    }
    Ok(())
}

fn tensor(first: First, now: &Param) -> Result<Option<Tensor>> {
    let (shape, dtype) = (now.shape(), now.dtype());
    Ok(Some(match first {
        First::Keep => return Ok(None),
        First::Zeros => Tensor::zeros(shape, dtype)?,
        First::Normal(std) => init::normal(shape, 0.0, std, dtype)?,
        First::Truncated(std) => init::trunc_normal(shape, 0.0, std, -2.0, 2.0, dtype)?,
        First::NormalBut(std, row) => {
            let table = init::normal(shape, 0.0, std, dtype)?;
            match shape[..] {
                [rows, width] if row < rows => {
                    let zeros = Tensor::zeros([1, width], dtype)?;
                    table.slice_scatter(&zeros, 0, row as i64, row as i64 + 1, 1)?
                }
                _ => table,
            }
        }
    }))
}

/// What most families do: linear layers and tables normal with this deviation, biases 0, and a row of zeros for `padding` in the
/// tables whose names end so.
pub fn usual(kind: &str, name: &str, std: f64, padding: Option<usize>, padded: &[&str]) -> First {
    match (kind, name.ends_with(".bias")) {
        ("Linear" | "Conv2d", true) => First::Zeros,
        ("Linear" | "Conv2d", false) => First::Normal(std),
        ("Embedding", _) => match padding {
            Some(row) if padded.iter().any(|end| name.ends_with(end)) => First::NormalBut(std, row),
            _ => First::Normal(std),
        },
        _ => First::Keep,
    }
}
