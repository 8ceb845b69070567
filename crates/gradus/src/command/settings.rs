//! The settings of a training run: what its result depends on, by name.
//!
//! A setting that the command line leaves open takes the recipe's value. A run writes its settings into its checkpoints, and
//! `--resume` takes them from there; then an option may say the same again but not something else.

use std::path::Path;

use gradus_tensor::{Error, Result};
use serde_json::{Map, Value};

/// The metadata key of a run's settings in its checkpoints.
pub const SETTINGS_KEY: &str = "gradus.settings";

/// Settings by the names of the options that set them, `lr` or `batch-size`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings(Map<String, Value>);

/// What can be a setting. Numbers with a fraction are kept as text that reads back to the same bits.
pub trait Setting {
    /// As JSON.
    fn json(self) -> Value;
}

impl Setting for f64 {
    fn json(self) -> Value {
        self.to_string().into()
    }
}

macro_rules! settings {
    ($($t:ty)*) => {
        $(impl Setting for $t {
            fn json(self) -> Value {
                self.into()
            }
        })*
    };
}
settings!(u64 bool &str String);

impl Settings {
    /// With one more; `None` says nothing about it.
    pub fn with<T: Setting>(mut self, name: &str, value: Option<T>) -> Self {
        if let Some(value) = value {
            self.0.insert(name.into(), value.json());
        }
        self
    }

    /// With an option that is there or not; one that is not there says nothing.
    pub fn with_flag(self, name: &str, given: bool) -> Self {
        self.with(name, given.then_some(true))
    }

    /// These, and the recipe's where nothing is said.
    pub fn or(mut self, recipe: Self) -> Self {
        for (name, value) in recipe.0 {
            self.0.entry(name).or_insert(value);
        }
        self
    }

    /// The settings a resumed run goes on with: those it was started with, which options may repeat but (but for `epochs` and
    /// `steps`, which say how long) not change.
    pub fn resumed(self, mut there: Self) -> Result<Self> {
        let show = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        for (name, value) in self.0 {
            if matches!(name.as_str(), "epochs" | "steps") {
                there.0.insert(name, value);
                continue;
            }
            match there.0.get(&name) {
                Some(old) if *old == value => {}
                old => {
                    let old = old.map_or_else(
                        || format!("without --{name}"),
                        |old| format!("with {}", show(old)),
                    );
                    return Err(Error::value(
                        "",
                        format!(
                            "--{name} {} does not go with --resume: the run was started {old}; leave it out, or start a new run",
                            show(&value)
                        ),
                    ));
                }
            }
        }
        Ok(there)
    }

    /// Whether a setting is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A whole number, where it is set.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    /// A number, where it is set.
    pub fn rate(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.as_str()?.parse().ok()
    }

    /// A text, where it is set.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// What a picture calls the data learnt from: the last part of its path.
    pub fn data_name(&self) -> &str {
        let path = self.text("data").unwrap_or("its data");
        let last = Path::new(path).file_name().and_then(|name| name.to_str());
        last.unwrap_or(path)
    }

    /// Whether an option was given.
    pub fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// A whole number of at least 1.
    pub fn count(&self, name: &str) -> Result<u64> {
        let n = self.number(name).ok_or_else(|| missing(name))?;
        if n == 0 {
            return Err(Error::value("", format!("--{name} 0 must be at least 1")));
        }
        Ok(n)
    }

    /// A number above 0.
    pub fn positive(&self, name: &str) -> Result<f64> {
        let rate = self.rate(name).ok_or_else(|| missing(name))?;
        if !(rate.is_finite() && rate > 0.0) {
            return Err(Error::value(
                "",
                format!("--{name} {rate} must be above 0, as in 0.001"),
            ));
        }
        Ok(rate)
    }

    /// As JSON, for the checkpoint.
    pub fn to_json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }

    /// From what [`Settings::to_json`] wrote.
    pub fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }
}

fn missing(name: &str) -> Error {
    Error::value(
        "",
        format!(
            "the checkpoint does not say --{name}: it was written by another version; start a new run"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given() -> Settings {
        Settings::default()
            .with("lr", Some(0.1 + 0.2))
            .with("seed", Some(u64::MAX))
            .with("limit", None::<u64>)
    }

    #[test]
    fn settings_survive_json() {
        let settings = given();
        assert_eq!(
            Settings::from_json(&settings.to_json()),
            Some(settings.clone())
        );
        assert_eq!(
            settings.rate("lr").map(f64::to_bits),
            Some((0.1f64 + 0.2).to_bits())
        );
        assert_eq!(
            (settings.number("seed"), settings.has("limit")),
            (Some(u64::MAX), false)
        );
        assert_eq!(Settings::from_json("[]"), None);
    }

    #[test]
    fn what_is_said_comes_before_the_recipe() {
        let recipe = Settings::default()
            .with("lr", Some(1.0))
            .with("epochs", Some(3u64));
        let settings = given().or(recipe);
        assert_eq!(
            (settings.rate("lr"), settings.count("epochs").unwrap()),
            (Some(0.1 + 0.2), 3)
        );
        assert!(settings.positive("lr").is_ok() && settings.count("batch-size").is_err());
        assert!(
            Settings::default()
                .with("lr", Some(-1.0))
                .positive("lr")
                .is_err()
        );
        assert!(
            Settings::default()
                .with("epochs", Some(0u64))
                .count("epochs")
                .is_err()
        );
    }

    #[test]
    fn a_resumed_run_keeps_its_settings() {
        let there = Settings::default()
            .with("lr", Some(0.01))
            .with("epochs", Some(2u64));
        let say = |lr: f64| {
            Settings::default()
                .with("lr", Some(lr))
                .with("epochs", Some(99u64))
        };
        assert_eq!(
            say(0.01).resumed(there.clone()).unwrap().number("epochs"),
            Some(99)
        );
        let error = say(0.02).resumed(there.clone()).unwrap_err().to_string();
        assert!(
            error.contains("--lr 0.02 does not go with --resume: the run was started with 0.01"),
            "{error}"
        );
        let error = Settings::default()
            .with_flag("full", true)
            .resumed(there)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(
                "--full true does not go with --resume: the run was started without --full"
            ),
            "{error}"
        );
    }
}
