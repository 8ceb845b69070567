//! `config.json`, the file beside a model's weights that says its sizes: read by name, with the reference's default where a name is
//! absent or `null`. It knows no model: each has a struct of its own (`BertConfig`) with a `from_config` that asks here. Values of the
//! wrong kind are errors that say file, name and what was expected; names nobody asks for are passed over, as these files are full of
//! them. Source: Hugging Face's `PretrainedConfig`.

use std::path::Path;

use gradus_tensor::{Error, Result};
use serde_json::{Map, Value};

use super::activation::Activation;

/// The largest size a file may give: beyond any model, and a product of two does not overflow.
const MOST: u64 = 1 << 30;
/// The most layers.
const DEEPEST: u64 = 4096;

/// The named values of a `config.json`.
///
/// ```
/// use gradus_nlp::models::Config;
/// let config = Config::from_json(r#"{"model_type": "bert", "hidden_size": 384, "num_hidden_layers": "six"}"#)?;
/// assert_eq!(config.model_type()?, "bert");
/// assert_eq!(config.size("hidden_size", 768)?, 384);
/// assert_eq!(config.size("intermediate_size", 3072)?, 3072); // absent: the default
/// let error = config.depth("num_hidden_layers", 12).unwrap_err().to_string();
/// assert_eq!(error, "config.json: num_hidden_layers is \"six\"; it must be a whole number from 0 to 4096");
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    values: Map<String, Value>,
    /// Where they are from, for messages.
    source: String,
}

impl Config {
    /// The `config.json` in a folder, or a file by its own name.
    ///
    /// # Errors
    /// When there is no such file, or it holds no JSON object.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = if path.is_dir() {
            path.join("config.json")
        } else {
            path.to_path_buf()
        };
        let text = std::fs::read_to_string(&file)
            .map_err(|e| Error::io("", format!("cannot read {}: {e}", file.display()), e))?;
        Self::parse(&text, file.display().to_string())
    }

    /// From the text of such a file.
    ///
    /// # Errors
    /// When it is no JSON object.
    pub fn from_json(text: &str) -> Result<Self> {
        Self::parse(text, "config.json".to_string())
    }

    /// From a JSON value.
    ///
    /// # Errors
    /// When it is no object.
    pub fn from_value(value: Value) -> Result<Self> {
        Self::of(value, "config.json".to_string())
    }

    fn parse(text: &str, source: String) -> Result<Self> {
        let value = serde_json::from_str(text)
            .map_err(|e| Error::format("", format!("{source}: not JSON: {e}")))?;
        Self::of(value, source)
    }

    fn of(value: Value, source: String) -> Result<Self> {
        match value {
            Value::Object(values) => Ok(Self { values, source }),
            other => {
                let text = format!(
                    "{source} is {}; it must be an object of named values",
                    short(&other)
                );
                Err(Error::format("", text))
            }
        }
    }

    /// With one more value, or another for a name there is.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.values.insert(name.to_owned(), value.into());
        self
    }

    /// As the text of a `config.json`.
    pub fn to_json(&self) -> String {
        format!("{:#}\n", Value::Object(self.values.clone()))
    }

    /// The value of a name; `None` when absent or `null`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// Is the name given, be it as `null`?
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// `model_type`: which family of models.
    ///
    /// # Errors
    /// When it is absent or no text.
    pub fn model_type(&self) -> Result<&str> {
        match self.get("model_type") {
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.wrong("model_type", other, "a text")),
            None => Err(self.error("it has no model_type, so the model's family is not known")),
        }
    }

    /// A size: a whole number, 1 or more.
    ///
    /// # Errors
    /// When it is given and is not.
    pub fn size(&self, name: &str, default: usize) -> Result<usize> {
        Ok(self.optional_size(name)?.unwrap_or(default))
    }

    /// A size that may be absent.
    ///
    /// # Errors
    /// When it is given and is no whole number, 1 or more.
    pub fn optional_size(&self, name: &str) -> Result<Option<usize>> {
        self.whole(name, 1, MOST)
    }

    /// Height and width, given as one number or two.
    ///
    /// # Errors
    /// When it is given and is neither.
    pub fn sides(&self, name: &str, default: [usize; 2]) -> Result<[usize; 2]> {
        match self.get(name) {
            Some(value @ Value::Array(values)) => {
                let side = |value: &Value| {
                    let side = value.as_u64().filter(|n| (1..=MOST).contains(n));
                    side.map(|n| n as usize)
                };
                match &values[..] {
                    [h, w] => side(h).zip(side(w)).map(|(h, w)| [h, w]),
                    _ => None,
                }
                .ok_or_else(|| self.wrong(name, value, "one or two sizes"))
            }
            Some(_) => self.size(name, 1).map(|n| [n, n]),
            None => Ok(default),
        }
    }

    /// How many of something: a whole number, 0 or more.
    ///
    /// # Errors
    /// When it is given and is not.
    pub fn count(&self, name: &str, default: usize) -> Result<usize> {
        Ok(self.whole(name, 0, MOST)?.unwrap_or(default))
    }

    /// How many layers.
    ///
    /// # Errors
    /// When it is given and no whole number from 0 to 4096.
    pub fn depth(&self, name: &str, default: usize) -> Result<usize> {
        Ok(self.whole(name, 0, DEEPEST)?.unwrap_or(default))
    }

    fn whole(&self, name: &str, least: u64, most: u64) -> Result<Option<usize>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        // 64.0 is a whole number too.
        let float = || {
            value
                .as_f64()
                .filter(|v| v.fract() == 0.0 && (0.0..=MOST as f64).contains(v))
                .map(|v| v as u64)
        };
        match value.as_u64().or_else(float) {
            Some(n) if (least..=most).contains(&n) => Ok(Some(n as usize)),
            _ => {
                let what = format!("a whole number from {least} to {most}");
                Err(self.wrong(name, value, &what))
            }
        }
    }

    /// A finite number.
    ///
    /// # Errors
    /// When it is given and is not.
    pub fn number(&self, name: &str, default: f64) -> Result<f64> {
        Ok(self.optional_number(name)?.unwrap_or(default))
    }

    /// A finite number that may be absent.
    ///
    /// # Errors
    /// When it is given and is not.
    pub fn optional_number(&self, name: &str) -> Result<Option<f64>> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|v| v.is_finite()) {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(name, value, "a number")),
            },
        }
    }

    /// A number from 0 to 1, such as a dropout's.
    ///
    /// # Errors
    /// When it is given and is not.
    pub fn probability(&self, name: &str, default: f64) -> Result<f64> {
        Ok(self.optional_probability(name)?.unwrap_or(default))
    }

    /// A number from 0 to 1 that may be absent.
    ///
    /// # Errors
    /// When it is given and is not.
    pub fn optional_probability(&self, name: &str) -> Result<Option<f64>> {
        match (self.optional_number(name)?, self.get(name)) {
            (Some(p), Some(value)) if !(0.0..=1.0).contains(&p) => {
                Err(self.wrong(name, value, "a probability, 0 to 1"))
            }
            (p, _) => Ok(p),
        }
    }

    /// A truth value.
    ///
    /// # Errors
    /// When it is given and is not.
    pub fn flag(&self, name: &str, default: bool) -> Result<bool> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(name, other, "true or false")),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// When it is given and is not.
    pub fn text<'a>(&'a self, name: &str, default: &'a str) -> Result<&'a str> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.wrong(name, other, "a text")),
        }
    }

    /// A list of texts; `None` when absent.
    ///
    /// # Errors
    /// When it is given and is not.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<&str>>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let list = value.as_array().and_then(|values| {
            let texts = values.iter().map(Value::as_str);
            texts.collect::<Option<Vec<_>>>()
        });
        match list {
            Some(list) => Ok(Some(list)),
            None => Err(self.wrong(name, value, "a list of texts")),
        }
    }

    /// An activation by Hugging Face's name for it.
    ///
    /// # Errors
    /// When it is given and there is none of that name.
    pub fn activation(&self, name: &str, default: Activation) -> Result<Activation> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::String(text)) => text.parse().map_err(|e: Error| {
                let text = format!("{}: {name}: {e}", self.source);
                Error::value("", text)
            }),
            Some(other) => Err(self.wrong(name, other, "the name of an activation")),
        }
    }

    /// The id of a token; `None` when absent. Of a list of ids, which some models give, the first.
    ///
    /// # Errors
    /// When it is given and is neither.
    pub fn token(&self, name: &str) -> Result<Option<u32>> {
        Ok(self.tokens(name)?.first().copied())
    }

    /// The id of a token; the default where the name is absent, and `None` where it is `null`.
    ///
    /// # Errors
    /// When it is given and no id.
    pub fn token_or(&self, name: &str, default: Option<u32>) -> Result<Option<u32>> {
        if self.has(name) {
            self.token(name)
        } else {
            Ok(default)
        }
    }

    /// Ids of tokens, given as one or as a list; none when absent.
    ///
    /// # Errors
    /// When it is given and is neither.
    pub fn tokens(&self, name: &str) -> Result<Vec<u32>> {
        let Some(value) = self.get(name) else {
            return Ok(Vec::new());
        };
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let ids = match value {
            // -1 stands for no token in old files.
            Value::Number(n) if n.as_i64() == Some(-1) => Some(Vec::new()),
            Value::Array(values) => values.iter().map(id).collect(),
            one => id(one).map(|id| vec![id]),
        };
        ids.ok_or_else(|| self.wrong(name, value, "the id of a token, or a list of them"))
    }

    /// Values inside a value; `None` when absent.
    ///
    /// # Errors
    /// When it is given and is no object.
    pub fn object(&self, name: &str) -> Result<Option<Self>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Object(values)) => Ok(Some(Self {
                values: values.clone(),
                source: format!("{}: {name}", self.source),
            })),
            Some(other) => Err(self.wrong(name, other, "an object of named values")),
        }
    }

    /// How many classes a head tells apart: as many as `id2label` names, else `num_labels`, else 2.
    ///
    /// # Errors
    /// When `num_labels` is no size.
    pub fn num_labels(&self) -> Result<usize> {
        match self.get("id2label").and_then(Value::as_object) {
            Some(labels) if !labels.is_empty() => Ok(labels.len()),
            _ => self.size("num_labels", 2),
        }
    }

    /// The names of the classes by their numbers, where `id2label` gives each of them one.
    pub fn labels(&self) -> Option<Vec<String>> {
        let labels = self.get("id2label")?.as_object()?;
        let names = (0..labels.len()).map(|id| labels.get(&id.to_string())?.as_str());
        names.map(|name| name.map(str::to_owned)).collect()
    }

    /// An error of this file.
    pub fn error(&self, problem: impl std::fmt::Display) -> Error {
        Error::value("", format!("{}: {problem}", self.source))
    }

    fn wrong(&self, name: &str, value: &Value, what: &str) -> Error {
        self.error(format_args!(
            "{name} is {}; it must be {what}",
            short(value)
        ))
    }
}

/// A value for a message.
fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        None => text,
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_by_kind() -> Result<()> {
        let config = Config::from_json(
            r#"{"a": 3, "b": 4.0, "c": null, "d": 1e-12, "e": true, "f": "relu", "g": [1, 2], "h": {"x": 5},
                "eos": -1, "id2label": {"0": "bad", "1": "good", "2": "so-so"}, "l": ["x", "y"]}"#,
        )?;
        assert_eq!((config.size("a", 1)?, config.size("b", 1)?), (3, 4));
        assert_eq!(
            (config.size("c", 7)?, config.optional_size("c")?),
            (7, None)
        );
        assert!(config.has("c") && !config.has("z"));
        assert_eq!(config.number("d", 0.0)?, 1e-12);
        assert!(config.flag("e", false)? && config.flag("z", true)?);
        assert_eq!(config.activation("f", Activation::Gelu)?, Activation::Relu);
        assert_eq!(
            (config.tokens("g")?, config.token("a")?),
            (vec![1, 2], Some(3))
        );
        assert_eq!((config.tokens("eos")?, config.token("z")?), (vec![], None));
        assert_eq!(config.object("h")?.unwrap().size("x", 1)?, 5);
        assert_eq!(config.texts("l")?, Some(vec!["x", "y"]));
        assert_eq!(config.num_labels()?, 3);
        assert_eq!(config.labels().unwrap(), ["bad", "good", "so-so"]);
        let config = Config::from_json(&config.with("a", 9).to_json())?;
        assert_eq!((config.size("a", 1)?, config.num_labels()?), (9, 3));
        Ok(())
    }

    #[test]
    fn values_of_another_kind_are_refused_by_name() -> Result<()> {
        let config = Config::from_json(
            r#"{"s": "x", "n": -1, "p": 1.5, "z": 0, "big": 1e300, "h": 2.5, "act": "gelo", "o": {"k": []}}"#,
        )?;
        let said = |error: Error| error.to_string();
        for (text, expected) in [
            (
                config.size("s", 1).map_err(said).unwrap_err(),
                "s is \"x\"; it must be a whole number",
            ),
            (config.size("n", 1).map_err(said).unwrap_err(), "n is -1"),
            (config.size("z", 1).map_err(said).unwrap_err(), "z is 0"),
            (
                config.size("big", 1).map_err(said).unwrap_err(),
                "big is 1e+300",
            ),
            (config.size("h", 1).map_err(said).unwrap_err(), "h is 2.5"),
            (
                config.probability("p", 0.0).map_err(said).unwrap_err(),
                "a probability",
            ),
            (
                config.flag("s", true).map_err(said).unwrap_err(),
                "true or false",
            ),
            (
                config.number("s", 0.0).map_err(said).unwrap_err(),
                "a number",
            ),
            (config.tokens("n").map(|_| String::new()).unwrap(), ""),
            (
                config.tokens("s").map_err(said).unwrap_err(),
                "id of a token",
            ),
            (
                config
                    .activation("act", Activation::Gelu)
                    .map_err(said)
                    .unwrap_err(),
                "there is no activation \"gelo\"",
            ),
            (
                config.model_type().map_err(said).unwrap_err(),
                "no model_type",
            ),
            (
                config
                    .object("o")?
                    .unwrap()
                    .size("k", 1)
                    .map_err(said)
                    .unwrap_err(),
                "config.json: o: k is []",
            ),
            (
                Config::from_json("[1]").map_err(said).unwrap_err(),
                "an object of named values",
            ),
            (
                Config::from_json("{").map_err(said).unwrap_err(),
                "not JSON",
            ),
            (
                Config::load("/nowhere").map_err(said).unwrap_err(),
                "cannot read /nowhere",
            ),
        ] {
            assert!(text.contains(expected), "{text}");
        }
        Ok(())
    }
}
