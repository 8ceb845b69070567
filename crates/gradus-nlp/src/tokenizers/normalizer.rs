//! Normalisers: what is done to text before it is cut.
//!
//! BERT's four steps (clean, space out Chinese, strip accents, lower-case) are done in one pass, and without remembering
//! positions where the text is ASCII. Source: `BasicTokenizer` of BERT; the components and their names are Hugging Face's.

use std::ops::Range;

use gradus_tensor::Result;
use serde_json::{Value, json};
use unicode_normalization::char::{
    canonical_combining_class, compose, decompose_canonical, decompose_compatible,
    is_combining_mark,
};

use super::json::{Part, Wanted};
use super::normalized::{Normalized, Pen};
use super::unicode::{is_accent, is_chinese, is_control};

/// A step of normalisation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Normalizer {
    /// BERT's.
    Bert(BertNormalizer),
    /// One of Unicode's four normal forms.
    Form(Form),
    /// Every character in lower case.
    Lowercase,
    /// Drops combining marks (of text that is already decomposed).
    StripAccents,
    /// Drops spaces at the ends.
    Strip {
        /// At the beginning.
        left: bool,
        /// At the end.
        right: bool,
    },
    /// Puts a text in front of a text that is not empty.
    Prepend(String),
    /// Writes one text for another.
    Replace {
        /// What is looked for.
        pattern: String,
        /// What is written.
        content: String,
    },
    /// Writes a text for two or more spaces in a row (` {2,}`, as sentencepiece's tokenizers do).
    Squeeze(String),
}

/// Unicode's normal forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Composed.
    Nfc,
    /// Decomposed.
    Nfd,
    /// Composed, compatible characters made the same.
    Nfkc,
    /// Decomposed, compatible characters made the same.
    Nfkd,
}

/// BERT's normaliser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BertNormalizer {
    /// Drop control characters, make every space `' '`.
    pub clean_text: bool,
    /// Put spaces around Chinese characters.
    pub handle_chinese_chars: bool,
    /// Decompose and drop marks; `None`: as `lowercase`.
    pub strip_accents: Option<bool>,
    /// Lower-case.
    pub lowercase: bool,
}

impl Default for BertNormalizer {
    /// As in `bert-base-uncased`.
    fn default() -> Self {
        Self {
            clean_text: true,
            handle_chinese_chars: true,
            strip_accents: None,
            lowercase: true,
        }
    }
}

impl BertNormalizer {
    fn apply(self, n: &mut Normalized) {
        let quiet = |b: u8| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~');
        if n.text().bytes().all(quiet) {
            if self.clean_text || self.lowercase {
                n.map_ascii(|b| match b {
                    b'\t' | b'\n' | b'\r' if self.clean_text => b' ',
                    b if self.lowercase => b.to_ascii_lowercase(),
                    b => b,
                });
            }
            return;
        }
        let strip = self.strip_accents.unwrap_or(self.lowercase);
        let lower = |c: char, pen: &mut Pen| match self.lowercase {
            true if c.is_ascii() => pen.push(c.to_ascii_lowercase()),
            true => c.to_lowercase().for_each(|l| pen.push(l)),
            false => pen.push(c),
        };
        n.rewrite(|c, pen| {
            let c = match c {
                c if !self.clean_text => c,
                c if is_control(c) => return,
                c if c.is_whitespace() => ' ',
                c => c,
            };
            let spaced = self.handle_chinese_chars && is_chinese(c);
            if spaced {
                pen.push(' ');
            }
            // Marks that decomposition would put into another order are dropped here, all but a few spacing ones that no
            // vocabulary has.
            if !strip || c.is_ascii() {
                lower(c, pen);
            } else {
                decompose_canonical(c, |d| {
                    if !is_accent(d) {
                        lower(d, pen);
                    }
                });
            }
            if spaced {
                pen.push(' ');
            }
        });
    }
}

/// A character and the bytes of the text it stands for.
type Spelled = (char, Range<usize>);

impl Form {
    fn apply(self, n: &mut Normalized) {
        if n.text().is_ascii() {
            return;
        }
        // Each character after decomposition, and whether it is the first of what one was decomposed into.
        let mut chars: Vec<(char, bool)> = Vec::with_capacity(n.text().len());
        for c in n.text().chars() {
            let mut first = true;
            let mut push = |d| chars.push((d, std::mem::take(&mut first)));
            match self {
                Form::Nfc | Form::Nfd => decompose_canonical(c, &mut push),
                Form::Nfkc | Form::Nfkd => decompose_compatible(c, &mut push),
            }
        }
        for marks in chars.chunk_by_mut(|a, b| is_mark(a.0) == is_mark(b.0)) {
            if is_mark(marks[0].0) {
                marks.sort_by_key(|(c, _)| canonical_combining_class(*c));
            }
        }
        // Where marks have changed places, positions do not: the reference counts them in their new order.
        let mut ranges = n.text().char_indices().map(|(at, c)| at..at + c.len_utf8());
        let mut range = 0..0;
        let place = |(c, first)| {
            if first {
                range = ranges.next().unwrap_or(range.clone());
            }
            (c, range.clone())
        };
        let mut chars: Vec<Spelled> = chars.into_iter().map(place).collect();
        if matches!(self, Form::Nfc | Form::Nfkc) {
            chars = composed(chars);
        }
        n.spell(chars);
    }
}

/// Whether a character's place among others like it is a matter of order.
fn is_mark(c: char) -> bool {
    canonical_combining_class(c) != 0
}

/// Puts characters together with the marks that follow; what comes of it stands for the first of them. Unicode, section 3.11.
fn composed(chars: Vec<Spelled>) -> Vec<Spelled> {
    let mut out: Vec<Spelled> = Vec::with_capacity(chars.len());
    let mut starter: Option<usize> = None; // the last character that is no mark, in `out`
    let mut class_before = 0; // of the mark left standing since then; 0: there is none
    for (c, range) in chars {
        let class = canonical_combining_class(c);
        let free = starter.is_some_and(|s| s + 1 == out.len()) || class_before < class;
        if let Some(s) = starter.filter(|_| free)
            && let Some(both) = compose(out[s].0, c)
        {
            out[s].0 = both;
            continue;
        }
        if class == 0 {
            starter = Some(out.len());
        }
        class_before = class;
        out.push((c, range));
    }
    out
}

impl Normalizer {
    /// Normalises a part of the text.
    pub fn apply(&self, n: &mut Normalized) {
        match self {
            Normalizer::Bert(bert) => bert.apply(n),
            Normalizer::Form(form) => form.apply(n),
            Normalizer::Lowercase if n.text().is_ascii() => {
                n.map_ascii(|b| b.to_ascii_lowercase());
            }
            Normalizer::Lowercase => {
                n.rewrite(|c, pen| c.to_lowercase().for_each(|l| pen.push(l)));
            }
            Normalizer::StripAccents => {
                if !n.text().is_ascii() {
                    n.rewrite(|c, pen| {
                        if !is_combining_mark(c) {
                            pen.push(c);
                        }
                    });
                }
            }
            Normalizer::Strip { left, right } => {
                let text = n.text();
                let start = match left {
                    true => text.len() - text.trim_start().len(),
                    false => 0,
                };
                let end = match right {
                    true => text.trim_end().len().max(start),
                    false => text.len(),
                };
                if end - start < text.len() {
                    let kept: Vec<_> = spelled(text, start..end).collect();
                    n.spell(kept);
                }
            }
            Normalizer::Prepend(prefix) => n.prepend(prefix),
            Normalizer::Replace { pattern, content } => {
                let found = n.text().match_indices(pattern);
                let found = found.map(|(i, _)| i..i + pattern.len()).collect();
                write_for(n, found, content);
            }
            Normalizer::Squeeze(content) => {
                let text = n.text();
                let mut found = Vec::new();
                let mut at = 0;
                while let Some(i) = text[at..].find("  ").map(|i| at + i) {
                    at = i + text[i..].bytes().take_while(|b| *b == b' ').count();
                    found.push(i..at);
                }
                write_for(n, found, content);
            }
        }
    }

    /// Reads one component of a `tokenizer.json`.
    pub(super) fn from_json(part: Part) -> Result<Self> {
        Ok(match part.kind()? {
            "BertNormalizer" => Normalizer::Bert(BertNormalizer {
                clean_text: part.flag("clean_text", true)?,
                handle_chinese_chars: part.flag("handle_chinese_chars", true)?,
                strip_accents: match part.get("strip_accents") {
                    Value::Null => None,
                    _ => Some(part.flag("strip_accents", false)?),
                },
                lowercase: part.flag("lowercase", true)?,
            }),
            "NFC" => Normalizer::Form(Form::Nfc),
            "NFD" => Normalizer::Form(Form::Nfd),
            "NFKC" => Normalizer::Form(Form::Nfkc),
            "NFKD" => Normalizer::Form(Form::Nfkd),
            "Lowercase" => Normalizer::Lowercase,
            "StripAccents" => Normalizer::StripAccents,
            "Strip" => Normalizer::Strip {
                left: part.flag("strip_left", true)?,
                right: part.flag("strip_right", true)?,
            },
            "Prepend" => Normalizer::Prepend(part.text("prepend")?.into()),
            "Replace" => match part.pattern()? {
                Wanted::Text(pattern) => Normalizer::Replace {
                    pattern: pattern.into(),
                    content: part.text("content")?.into(),
                },
                Wanted::Regex(" {2,}") => Normalizer::Squeeze(part.text("content")?.into()),
                Wanted::Regex(regex) => {
                    let what = format!("Replace with the regular expression {regex:?}");
                    return Err(part.unsupported(&what, "plain texts and \" {2,}\""));
                }
            },
            kind => {
                return Err(part.unsupported(
                    &format!("{kind:?}"),
                    "BertNormalizer, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend, Replace and Sequence",
                ));
            }
        })
    }

    /// As a component of a `tokenizer.json`.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Normalizer::Bert(bert) => json!({
                "type": "BertNormalizer",
                "clean_text": bert.clean_text,
                "handle_chinese_chars": bert.handle_chinese_chars,
                "strip_accents": bert.strip_accents,
                "lowercase": bert.lowercase,
            }),
            Normalizer::Form(form) => {
                let kind = match form {
                    Form::Nfc => "NFC",
                    Form::Nfd => "NFD",
                    Form::Nfkc => "NFKC",
                    Form::Nfkd => "NFKD",
                };
                json!({"type": kind})
            }
            Normalizer::Lowercase => json!({"type": "Lowercase"}),
            Normalizer::StripAccents => json!({"type": "StripAccents"}),
            Normalizer::Strip { left, right } => {
                json!({"type": "Strip", "strip_left": left, "strip_right": right})
            }
            Normalizer::Prepend(prefix) => json!({"type": "Prepend", "prepend": prefix}),
            Normalizer::Replace { pattern, content } => {
                json!({"type": "Replace", "pattern": {"String": pattern}, "content": content})
            }
            Normalizer::Squeeze(content) => {
                json!({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": content})
            }
        }
    }
}

/// The characters of a range as they are.
fn spelled(text: &str, range: Range<usize>) -> impl Iterator<Item = Spelled> {
    let start = range.start;
    let chars = text[range].char_indices();
    chars.map(move |(i, c)| (c, start + i..start + i + c.len_utf8()))
}

/// Writes `content` for each of the ranges (in order), in the place of their last character; the rest stays.
fn write_for(n: &mut Normalized, found: Vec<Range<usize>>, content: &str) {
    if found.is_empty() {
        return;
    }
    let text = n.text();
    let mut chars: Vec<Spelled> = Vec::with_capacity(text.len());
    let mut at = 0;
    for range in found {
        chars.extend(spelled(text, at..range.start));
        let last = text[range.clone()].chars().next_back();
        let last = range.end - last.map_or(0, char::len_utf8)..range.end;
        chars.extend(content.chars().map(|c| (c, last.clone())));
        at = range.end;
    }
    chars.extend(spelled(text, at..text.len()));
    n.spell(chars);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(normalizer: &Normalizer, text: &str) -> String {
        let mut n = Normalized::new(text, 0);
        normalizer.apply(&mut n);
        n.text().to_owned()
    }

    #[test]
    fn bert_normalises_as_the_reference() {
        let uncased = Normalizer::Bert(BertNormalizer::default());
        for (text, expected) in [
            ("Héllo\tWörld", "hello world"),
            ("a\u{0}b\u{200b}c\u{fffd}", "abc"),
            ("x漢y", "x 漢 y"),
            ("İSTANBUL ß", "istanbul ß"),
            ("e\u{301}e\u{323}\u{301}", "ee"),
            ("한국", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}"),
        ] {
            assert_eq!(apply(&uncased, text), expected, "{text:?}");
        }
        let cased = Normalizer::Bert(BertNormalizer {
            lowercase: false,
            ..BertNormalizer::default()
        });
        assert_eq!(apply(&cased, "Héllo\nA"), "Héllo A");
    }

    #[test]
    fn the_ascii_path_is_the_same() {
        let bert = Normalizer::Bert(BertNormalizer::default());
        let text: String = (9..127u8)
            .filter(|b| !(14..32).contains(b))
            .map(char::from)
            .collect();
        let text = text.replace(['\u{b}', '\u{c}'], "");
        let longer = apply(&bert, &format!("{text}é"));
        assert_eq!(apply(&bert, &text) + "e", longer);
    }

    /// Against the crate whose tables these are, on text full of marks.
    #[test]
    fn forms_are_unicodes() {
        use unicode_normalization::UnicodeNormalization as _;
        let some = [
            'a',
            'e',
            '\u{301}',
            '\u{323}',
            '\u{307}',
            '\u{344}',
            'Å',
            'ﬁ',
            '한',
            '\u{1112}',
            '\u{1161}',
            '\u{11ab}',
            '\u{f73}',
            '\u{1baa}',
            '½',
            'ﾞ',
            'カ',
            '\u{1d15e}',
            '\u{9c7}',
            '\u{9be}',
        ];
        let mut state = 7usize;
        for length in 0..600 {
            let text: String = (0..length % 12)
                .map(|_| {
                    state = state
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    some[(state >> 33) % some.len()]
                })
                .collect();
            let form = |form| apply(&Normalizer::Form(form), &text);
            assert_eq!(form(Form::Nfc), text.nfc().collect::<String>(), "{text:?}");
            assert_eq!(form(Form::Nfd), text.nfd().collect::<String>(), "{text:?}");
            assert_eq!(
                form(Form::Nfkc),
                text.nfkc().collect::<String>(),
                "{text:?}"
            );
            assert_eq!(
                form(Form::Nfkd),
                text.nfkd().collect::<String>(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_others() {
        let form = |form, text: &str| apply(&Normalizer::Form(form), text);
        assert_eq!(form(Form::Nfc, "ae\u{301}\u{1100}\u{1161}"), "aé가");
        assert_eq!(form(Form::Nfd, "é"), "e\u{301}");
        assert_eq!(form(Form::Nfkc, "ﬁｶﾞ"), "fiガ");
        assert_eq!(form(Form::Nfkd, "½"), "1\u{2044}2");
        assert_eq!(form(Form::Nfd, "\u{1e0b}\u{323}"), "d\u{323}\u{307}");
        let strip = Normalizer::Strip {
            left: true,
            right: true,
        };
        assert_eq!(
            (apply(&strip, "  a b "), apply(&strip, "  ")),
            ("a b".into(), String::new())
        );
        let replace = Normalizer::Replace {
            pattern: " ".into(),
            content: "▁".into(),
        };
        assert_eq!(apply(&replace, "é  b"), "é▁▁b");
        assert_eq!(apply(&Normalizer::Squeeze("▁".into()), "a   b c"), "a▁b c");
    }
}
