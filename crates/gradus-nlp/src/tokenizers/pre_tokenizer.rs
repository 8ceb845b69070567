//! Pre-tokenisers: how text is cut into the words that a model then cuts further.
//!
//! A piece is a range of the normalised text, handed on as soon as it is found; nothing is copied unless a step adds a prefix
//! or writes `▁` for spaces. The components and their names are Hugging Face's.

use std::ops::Range;

use gradus_tensor::Result;
use serde_json::{Value, json};

use super::json::{Part, Wanted};
use super::normalized::Normalized;
use super::pattern::Pattern;
use super::split::{Behavior, split};
use super::unicode::{is_punctuation, is_word};

/// A step of cutting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PreTokenizer {
    /// BERT's: at spaces, and punctuation stands alone.
    Bert,
    /// One of the patterns of GPT-2 and its kin.
    Pattern(Pattern),
    /// The byte level: an optional space in front and GPT-2's pattern (its change of bytes into letters is part of the model).
    ByteLevel {
        /// Put a space in front of text that has none.
        add_prefix_space: bool,
        /// Cut by GPT-2's pattern.
        use_regex: bool,
    },
    /// Runs of `\w` and runs of what is neither that nor a space.
    Whitespace,
    /// At spaces.
    WhitespaceSplit,
    /// At punctuation.
    Punctuation(Behavior),
    /// Numbers apart; each digit if `individual`.
    Digits {
        /// Whether each digit stands alone.
        individual: bool,
    },
    /// At a text.
    Split {
        /// The text.
        pattern: String,
        /// What becomes of it.
        behavior: Behavior,
    },
    /// sentencepiece's: `▁` for spaces and in front, then a piece for each `▁`.
    Metaspace(Metaspace),
}

/// The settings of [`PreTokenizer::Metaspace`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metaspace {
    /// What is written for a space, `▁`.
    pub replacement: char,
    /// Where it is also put in front.
    pub prepend: Prepend,
    /// Whether each begins a piece.
    pub split: bool,
}

/// Where [`Metaspace`] puts its character in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepend {
    /// Every part of the text.
    Always,
    /// The part at the beginning of the text only.
    First,
    /// Nowhere.
    Never,
}

/// Where pieces go: a text and a range of it.
pub type Sink<'s> = dyn FnMut(&Normalized, Range<usize>) -> Result<()> + 's;

/// Cuts a range of `n` by all `steps`, one after the other.
pub fn cut(
    steps: &[PreTokenizer],
    n: &Normalized,
    range: Range<usize>,
    sink: &mut Sink,
) -> Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    let Some((step, rest)) = steps.split_first() else {
        return sink(n, range);
    };
    let text = &n.text()[range.clone()];
    let base = range.start;
    let mut next = |start: usize, end: usize| cut(rest, n, base + start..base + end, sink);
    match step {
        PreTokenizer::Bert => bert(text, &mut next),
        PreTokenizer::Pattern(pattern) => by_pattern(*pattern, text, &mut next),
        PreTokenizer::ByteLevel {
            add_prefix_space,
            use_regex,
        } => {
            if *add_prefix_space && !text.starts_with(' ') {
                let mut longer = n.slice(range);
                longer.prepend(" ");
                let again = PreTokenizer::ByteLevel {
                    add_prefix_space: false,
                    use_regex: *use_regex,
                };
                let end = longer.text().len();
                let mut steps = vec![again];
                steps.extend_from_slice(rest);
                return cut(&steps, &longer, 0..end, sink);
            }
            match use_regex {
                true => by_pattern(Pattern::Gpt2, text, &mut next),
                false => next(0, text.len()),
            }
        }
        PreTokenizer::Whitespace => {
            let mut start = 0;
            let mut kind = 0;
            let of = |c: char| match c {
                c if is_word(c) => 1,
                c if c.is_whitespace() => 0,
                _ => 2,
            };
            for (i, c) in text.char_indices() {
                if of(c) != kind {
                    if kind != 0 {
                        next(start, i)?;
                    }
                    (start, kind) = (i, of(c));
                }
            }
            if kind != 0 {
                next(start, text.len())
            } else {
                Ok(())
            }
        }
        PreTokenizer::WhitespaceSplit => {
            let spaces = by_char(text, char::is_whitespace);
            split(text.len(), spaces, Behavior::Removed, &mut next)
        }
        PreTokenizer::Punctuation(behavior) => split(
            text.len(),
            by_char(text, is_punctuation),
            *behavior,
            &mut next,
        ),
        PreTokenizer::Digits { individual } => {
            let behavior = match individual {
                true => Behavior::Isolated,
                false => Behavior::Contiguous,
            };
            split(
                text.len(),
                by_char(text, char::is_numeric),
                behavior,
                &mut next,
            )
        }
        PreTokenizer::Split { pattern, behavior } => {
            let found = text.match_indices(pattern).map(|(i, m)| i..i + m.len());
            split(text.len(), found, *behavior, &mut next)
        }
        PreTokenizer::Metaspace(metaspace) => {
            let mut changed = n.slice(range);
            changed.rewrite(|c, pen| pen.push(if c == ' ' { metaspace.replacement } else { c }));
            let at_start = match metaspace.prepend {
                Prepend::Always => true,
                Prepend::First => changed.origin(0, 1).0 == 0,
                Prepend::Never => false,
            };
            if at_start && !changed.text().starts_with(metaspace.replacement) {
                let mut buffer = [0; 4];
                changed.prepend(metaspace.replacement.encode_utf8(&mut buffer));
            }
            let text = changed.text();
            if !metaspace.split {
                return cut(rest, &changed, 0..text.len(), sink);
            }
            let marks = by_char(text, |c| c == metaspace.replacement);
            split(
                text.len(),
                marks,
                Behavior::MergedWithNext,
                &mut |start, end| cut(rest, &changed, start..end, sink),
            )
        }
    }
}

type Next<'n> = dyn FnMut(usize, usize) -> Result<()> + 'n;

fn by_pattern(pattern: Pattern, text: &str, next: &mut Next) -> Result<()> {
    let mut start = 0;
    for piece in pattern.pieces(text) {
        next(start, start + piece.len())?;
        start += piece.len();
    }
    Ok(())
}

/// Words between spaces; punctuation alone.
fn bert(text: &str, next: &mut Next) -> Result<()> {
    let bytes = text.as_bytes();
    let mut start = 0; // of the word that is open
    let mut i = 0;
    while i < bytes.len() {
        let byte = bytes[i];
        if byte.is_ascii_alphanumeric() {
            i += 1;
            continue;
        }
        let c = match byte.is_ascii() {
            true => byte as char,
            false => text[i..].chars().next().unwrap_or(' '),
        };
        let end = i + c.len_utf8();
        let space = c.is_whitespace();
        if space || is_punctuation(c) {
            if start < i {
                next(start, i)?;
            }
            if !space {
                next(i, end)?;
            }
            start = end;
        }
        i = end;
    }
    if start < i { next(start, i) } else { Ok(()) }
}

fn by_char<'t>(
    text: &'t str,
    is: impl Fn(char) -> bool + 't,
) -> impl Iterator<Item = Range<usize>> + 't {
    let found = text.char_indices().filter(move |(_, c)| is(*c));
    found.map(|(i, c)| i..i + c.len_utf8())
}

impl PreTokenizer {
    /// Reads one component of a `tokenizer.json`.
    pub(super) fn from_json(part: Part) -> Result<Self> {
        Ok(match part.kind()? {
            "BertPreTokenizer" => PreTokenizer::Bert,
            "ByteLevel" => PreTokenizer::ByteLevel {
                add_prefix_space: part.flag("add_prefix_space", true)?,
                use_regex: part.flag("use_regex", true)?,
            },
            "Whitespace" => PreTokenizer::Whitespace,
            "WhitespaceSplit" => PreTokenizer::WhitespaceSplit,
            "Punctuation" => PreTokenizer::Punctuation(Behavior::from_json(part, "Isolated")?),
            "Digits" => PreTokenizer::Digits {
                individual: part.flag("individual_digits", false)?,
            },
            "CharDelimiterSplit" => PreTokenizer::Split {
                pattern: part.text("delimiter")?.into(),
                behavior: Behavior::Removed,
            },
            "Split" => Self::split_from_json(part)?,
            "Metaspace" => PreTokenizer::Metaspace(Metaspace::from_json(part)?),
            kind => {
                return Err(part.unsupported(
                    &format!("{kind:?}"),
                    "BertPreTokenizer, ByteLevel, Whitespace, WhitespaceSplit, Punctuation, Digits, CharDelimiterSplit, Split, Metaspace and Sequence",
                ));
            }
        })
    }

    fn split_from_json(part: Part) -> Result<Self> {
        let behavior = Behavior::from_json(part, "Isolated")?;
        let invert = part.flag("invert", false)?;
        match part.pattern()? {
            Wanted::Text(pattern) if !invert => Ok(PreTokenizer::Split {
                pattern: pattern.into(),
                behavior,
            }),
            Wanted::Text(_) => Err(part.unsupported("Split with \"invert\"", "plain ones")),
            // These patterns leave nothing between their matches, so both ways of saying it mean the matches.
            Wanted::Regex(regex) => match (Pattern::from_regex(regex), behavior, invert) {
                (Some(pattern), Behavior::Isolated, _)
                | (Some(pattern), Behavior::Removed, true) => Ok(PreTokenizer::Pattern(pattern)),
                _ => Err(part.unsupported(
                    &format!("Split by the regular expression {regex:?}"),
                    "the patterns of GPT-2, cl100k, Llama 3 and Qwen 2",
                )),
            },
        }
    }

    /// As a component of a `tokenizer.json`.
    pub(super) fn to_json(&self) -> Value {
        match self {
            PreTokenizer::Bert => json!({"type": "BertPreTokenizer"}),
            PreTokenizer::Pattern(pattern) => json!({
                "type": "Split",
                "pattern": {"Regex": pattern.regex()},
                "behavior": "Isolated",
                "invert": false,
            }),
            PreTokenizer::ByteLevel {
                add_prefix_space,
                use_regex,
            } => json!({
                "type": "ByteLevel",
                "add_prefix_space": add_prefix_space,
                "trim_offsets": false,
                "use_regex": use_regex,
            }),
            PreTokenizer::Whitespace => json!({"type": "Whitespace"}),
            PreTokenizer::WhitespaceSplit => json!({"type": "WhitespaceSplit"}),
            PreTokenizer::Punctuation(behavior) => {
                json!({"type": "Punctuation", "behavior": behavior.name()})
            }
            PreTokenizer::Digits { individual } => {
                json!({"type": "Digits", "individual_digits": individual})
            }
            PreTokenizer::Split { pattern, behavior } => json!({
                "type": "Split",
                "pattern": {"String": pattern},
                "behavior": behavior.name(),
                "invert": false,
            }),
            PreTokenizer::Metaspace(metaspace) => metaspace.to_json(),
        }
    }
}

impl Metaspace {
    /// The pre-tokeniser's and the decoder's settings are the same.
    pub(super) fn from_json(part: Part) -> Result<Self> {
        let default = if part.flag("add_prefix_space", true)? {
            "always"
        } else {
            "never"
        };
        let prepend = match part.text_or("prepend_scheme", default)? {
            "always" => Prepend::Always,
            "first" => Prepend::First,
            "never" => Prepend::Never,
            _ => return Err(part.wrong("prepend_scheme", "always, first or never")),
        };
        Ok(Self {
            replacement: part.character("replacement", '▁')?,
            prepend,
            split: part.flag("split", true)?,
        })
    }

    pub(super) fn to_json(self) -> Value {
        let prepend = match self.prepend {
            Prepend::Always => "always",
            Prepend::First => "first",
            Prepend::Never => "never",
        };
        json!({
            "type": "Metaspace",
            "replacement": self.replacement,
            "prepend_scheme": prepend,
            "split": self.split,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(steps: &[PreTokenizer], text: &str) -> Vec<String> {
        let n = Normalized::new(text, 0);
        let mut found = Vec::new();
        cut(steps, &n, 0..text.len(), &mut |n, range| {
            found.push(n.text()[range].to_owned());
            Ok(())
        })
        .unwrap();
        found
    }

    #[test]
    fn words() {
        use PreTokenizer as P;
        let hey = "Hey, friend!  How_are 12x?";
        assert_eq!(
            pieces(&[P::Bert], hey),
            ["Hey", ",", "friend", "!", "How", "_", "are", "12x", "?"]
        );
        assert_eq!(
            pieces(&[P::Whitespace], hey),
            ["Hey", ",", "friend", "!", "How_are", "12x", "?"]
        );
        assert_eq!(
            pieces(&[P::WhitespaceSplit, P::Digits { individual: true }], hey),
            ["Hey,", "friend!", "How_are", "1", "2", "x?"]
        );
        assert_eq!(pieces(&[P::Bert], "…é—x "), ["…", "é", "—", "x"]);
        assert_eq!(pieces(&[P::Bert], "   "), [""; 0]);
    }

    #[test]
    fn prefixes() {
        let level = PreTokenizer::ByteLevel {
            add_prefix_space: true,
            use_regex: true,
        };
        assert_eq!(pieces(&[level], "Hey you"), [" Hey", " you"]);
        let metaspace = |prepend| {
            PreTokenizer::Metaspace(Metaspace {
                replacement: '▁',
                prepend,
                split: true,
            })
        };
        assert_eq!(
            pieces(&[metaspace(Prepend::Always)], "Hey  you"),
            ["▁Hey", "▁", "▁you"]
        );
        assert_eq!(
            pieces(&[metaspace(Prepend::Never)], "Hey you"),
            ["Hey", "▁you"]
        );
    }
}
