//! Reading the parts of a `tokenizer.json` with errors that say which part is wrong.
//!
//! Not a schema: each component reads its own fields with these helpers, beside the code that uses them.

use gradus_tensor::{Error, Result};
use serde_json::Value;

/// An object of the file and its name for error messages, as in `normalizer BertNormalizer`.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    value: &'a Value,
    role: &'static str,
}

impl<'a> Part<'a> {
    /// A component in a role: `normalizer`, `pre_tokenizer`, …
    pub fn new(value: &'a Value, role: &'static str) -> Self {
        Self { value, role }
    }

    /// Its `type`.
    pub fn kind(&self) -> Result<&'a str> {
        match self.value["type"].as_str() {
            Some(kind) => Ok(kind),
            None => Err(Error::format(
                "tokenizer.json",
                format!("{} has no \"type\"", self.role),
            )),
        }
    }

    /// The error that a field is not what it should be.
    pub fn wrong(&self, field: &str, expected: &str) -> Error {
        let kind = self.value["type"].as_str().unwrap_or("");
        Error::format(
            "tokenizer.json",
            format!("{} {kind}: {field:?} should be {expected}", self.role),
        )
    }

    /// The error that this is not supported, with what is.
    pub fn unsupported(&self, what: &str, supported: &str) -> Error {
        Error::unsupported(
            "tokenizer.json",
            format!(
                "{} {what} is not supported; there are {supported}",
                self.role
            ),
        )
    }

    /// A field as it is; `null` when absent.
    pub fn get(&self, field: &str) -> &'a Value {
        &self.value[field]
    }

    /// A truth value, or `default` when absent.
    pub fn flag(&self, field: &str, default: bool) -> Result<bool> {
        match self.get(field) {
            Value::Null => Ok(default),
            Value::Bool(flag) => Ok(*flag),
            _ => Err(self.wrong(field, "true or false")),
        }
    }

    /// A text, or `default` when absent.
    pub fn text_or(&self, field: &str, default: &'a str) -> Result<&'a str> {
        match self.get(field) {
            Value::Null => Ok(default),
            Value::String(text) => Ok(text),
            _ => Err(self.wrong(field, "a text")),
        }
    }

    /// A text that must be there.
    pub fn text(&self, field: &str) -> Result<&'a str> {
        let text = self.get(field).as_str();
        text.ok_or_else(|| self.wrong(field, "a text"))
    }

    /// A text of one character, or `default` when absent.
    pub fn character(&self, field: &str, default: char) -> Result<char> {
        let mut fallback = [0; 4];
        let text = match self.get(field) {
            Value::Null => default.encode_utf8(&mut fallback),
            Value::String(text) => text.as_str(),
            _ => return Err(self.wrong(field, "one character")),
        };
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(c),
            _ => Err(self.wrong(field, "one character")),
        }
    }

    /// A whole number below 2³², or `default` when absent.
    pub fn number(&self, field: &str, default: u32) -> Result<u32> {
        match self.get(field) {
            Value::Null => Ok(default),
            value => value
                .as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .ok_or_else(|| self.wrong(field, "a whole number from 0 to 4294967295")),
        }
    }

    /// The components of a `Sequence`.
    pub fn list(&self, field: &str) -> Result<&'a [Value]> {
        match self.get(field).as_array() {
            Some(list) if list.len() <= LONGEST_SEQUENCE => Ok(list),
            Some(_) => Err(self.wrong(field, "at most 64 components")),
            None => Err(self.wrong(field, "a list of components")),
        }
    }

    /// What `Replace` and `Split` look for.
    pub fn pattern(&self) -> Result<Wanted<'a>> {
        let pattern = self.get("pattern");
        match (pattern["String"].as_str(), pattern["Regex"].as_str()) {
            (Some(text), _) if !text.is_empty() => Ok(Wanted::Text(text)),
            (None, Some(regex)) => Ok(Wanted::Regex(regex)),
            _ => Err(self.wrong("pattern", "{\"String\": …} or {\"Regex\": …}")),
        }
    }
}

/// A sequence of more components than this is no tokenizer.
const LONGEST_SEQUENCE: usize = 64;

/// A pattern of `Replace` or `Split`.
pub enum Wanted<'a> {
    Text(&'a str),
    Regex(&'a str),
}

/// A component that may be absent, or a `Sequence` of components in `field`: all of them in order.
pub fn flatten<'a>(
    value: &'a Value,
    role: &'static str,
    field: &str,
    found: &mut Vec<Part<'a>>,
) -> Result<()> {
    if value.is_null() {
        return Ok(());
    }
    let part = Part::new(value, role);
    if part.kind()? != "Sequence" {
        found.push(part);
        return if found.len() > LONGEST_SEQUENCE {
            Err(part.wrong(field, "at most 64 components"))
        } else {
            Ok(())
        };
    }
    for inner in part.list(field)? {
        flatten(inner, role, field, found)?; // serde_json bounds how deep this goes
    }
    Ok(())
}
