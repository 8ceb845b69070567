//! Decoders: from tokens back to text.
//!
//! Tokens travel as bytes, so that a character cut into several tokens comes together again; what is no UTF-8 in the end
//! becomes U+FFFD. The components and their names are Hugging Face's.

use gradus_tensor::Result;
use serde_json::{Value, json};

use super::json::{Part, Wanted};
use super::pre_tokenizer::{Metaspace, Prepend};

/// A step of decoding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decoder {
    /// Bytes end to end.
    ByteLevel,
    /// A space before each token but those within words.
    WordPiece {
        /// What tokens within words begin with.
        prefix: String,
        /// Whether the spaces before punctuation and in `do n't` are taken out.
        cleanup: bool,
    },
    /// Spaces for `▁`, but not at the beginning.
    Metaspace(Metaspace),
    /// One text for another, in each token.
    Replace {
        /// What is looked for.
        pattern: String,
        /// What is written.
        content: String,
    },
    /// The byte for `<0xE6>`.
    ByteFallback,
    /// All tokens as one.
    Fuse,
    /// A character off the ends of each token.
    Strip {
        /// The character.
        content: char,
        /// How often at most at the beginning.
        start: usize,
        /// How often at most at the end.
        stop: usize,
    },
}

/// Decodes tokens by all steps; without any there are spaces between them.
pub fn decode(steps: &[Decoder], mut tokens: Vec<Vec<u8>>) -> Vec<u8> {
    if steps.is_empty() {
        return tokens.join(&b' ');
    }
    for step in steps {
        tokens = step.apply(tokens);
    }
    tokens.concat()
}

impl Decoder {
    fn apply(&self, tokens: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        match self {
            Decoder::ByteLevel | Decoder::Fuse => vec![tokens.concat()],
            Decoder::WordPiece { prefix, cleanup } => {
                let token = |(i, token): (usize, Vec<u8>)| {
                    let token = match token.strip_prefix(prefix.as_bytes()) {
                        _ if i == 0 => token,
                        Some(inner) => inner.to_vec(),
                        None => [b" ", &token[..]].concat(),
                    };
                    if *cleanup { clean(token) } else { token }
                };
                tokens.into_iter().enumerate().map(token).collect()
            }
            Decoder::Metaspace(metaspace) => {
                let mut buffer = [0; 4];
                let mark = metaspace.replacement.encode_utf8(&mut buffer).as_bytes();
                let token = |(i, token): (usize, Vec<u8>)| {
                    let at_start = i == 0 && metaspace.prepend != Prepend::Never;
                    replace(&token, mark, if at_start { b"" } else { b" " })
                };
                tokens.into_iter().enumerate().map(token).collect()
            }
            Decoder::Replace { pattern, content } => {
                let (pattern, content) = (pattern.as_bytes(), content.as_bytes());
                tokens
                    .iter()
                    .map(|token| replace(token, pattern, content))
                    .collect()
            }
            Decoder::ByteFallback => fallback(tokens),
            Decoder::Strip {
                content,
                start,
                stop,
            } => {
                let mut buffer = [0; 4];
                let mark = content.encode_utf8(&mut buffer).as_bytes();
                let token = |token: Vec<u8>| {
                    let mut rest = &token[..];
                    for _ in 0..*start {
                        rest = rest.strip_prefix(mark).unwrap_or(rest);
                    }
                    for _ in 0..*stop {
                        rest = rest.strip_suffix(mark).unwrap_or(rest);
                    }
                    rest.to_vec()
                };
                tokens.into_iter().map(token).collect()
            }
        }
    }

    /// Reads one component of a `tokenizer.json`.
    pub(super) fn from_json(part: Part) -> Result<Self> {
        Ok(match part.kind()? {
            "ByteLevel" => Decoder::ByteLevel,
            "WordPiece" => Decoder::WordPiece {
                prefix: part.text_or("prefix", "##")?.into(),
                cleanup: part.flag("cleanup", true)?,
            },
            "Metaspace" => Decoder::Metaspace(Metaspace::from_json(part)?),
            "Replace" => match part.pattern()? {
                Wanted::Text(pattern) => Decoder::Replace {
                    pattern: pattern.into(),
                    content: part.text("content")?.into(),
                },
                Wanted::Regex(_) => {
                    return Err(
                        part.unsupported("Replace with a regular expression", "plain texts")
                    );
                }
            },
            "ByteFallback" => Decoder::ByteFallback,
            "Fuse" => Decoder::Fuse,
            "Strip" => Decoder::Strip {
                content: part.character("content", ' ')?,
                start: part.number("start", 0)?.min(1024) as usize,
                stop: part.number("stop", 0)?.min(1024) as usize,
            },
            kind => {
                return Err(part.unsupported(
                    &format!("{kind:?}"),
                    "ByteLevel, WordPiece, Metaspace, Replace, ByteFallback, Fuse, Strip and Sequence",
                ));
            }
        })
    }

    /// As a component of a `tokenizer.json`.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Decoder::ByteLevel => json!({
                "type": "ByteLevel",
                "add_prefix_space": false,
                "trim_offsets": false,
                "use_regex": true,
            }),
            Decoder::WordPiece { prefix, cleanup } => {
                json!({"type": "WordPiece", "prefix": prefix, "cleanup": cleanup})
            }
            Decoder::Metaspace(metaspace) => metaspace.to_json(),
            Decoder::Replace { pattern, content } => {
                json!({"type": "Replace", "pattern": {"String": pattern}, "content": content})
            }
            Decoder::ByteFallback => json!({"type": "ByteFallback"}),
            Decoder::Fuse => json!({"type": "Fuse"}),
            Decoder::Strip {
                content,
                start,
                stop,
            } => {
                json!({"type": "Strip", "content": content, "start": start, "stop": stop})
            }
        }
    }
}

fn replace(bytes: &[u8], pattern: &[u8], content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(first) = rest.first() {
        match rest.strip_prefix(pattern) {
            Some(after) if !pattern.is_empty() => {
                out.extend_from_slice(content);
                rest = after;
            }
            _ => {
                out.push(*first);
                rest = &rest[1..];
            }
        }
    }
    out
}

/// The byte of `<0xE6>`.
pub fn fallback_byte(token: &[u8]) -> Option<u8> {
    let hex = token.strip_prefix(b"<0x")?.strip_suffix(b">")?;
    let hex = std::str::from_utf8(hex).ok().filter(|hex| hex.len() == 2)?;
    u8::from_str_radix(hex, 16).ok()
}

/// Runs of byte tokens as characters; a run that is no UTF-8 as one U+FFFD for each byte.
fn fallback(tokens: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut run: Vec<u8> = Vec::new();
    let flush = |run: &mut Vec<u8>, out: &mut Vec<Vec<u8>>| {
        let run = std::mem::take(run);
        match std::str::from_utf8(&run) {
            Ok("") => {}
            Ok(_) => out.push(run),
            Err(_) => out.extend(run.iter().map(|_| "\u{fffd}".into())),
        }
    };
    for token in tokens {
        if let Some(byte) = fallback_byte(&token) {
            run.push(byte);
        } else {
            flush(&mut run, &mut out);
            out.push(token);
        }
    }
    flush(&mut run, &mut out);
    out
}

/// Takes out the spaces that BERT's word splitting leaves before punctuation and in contractions.
fn clean(token: Vec<u8>) -> Vec<u8> {
    const UNTIDY: [(&str, &str); 11] = [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" do not", " don't"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];
    if !token.contains(&b' ') {
        return token;
    }
    UNTIDY.iter().fold(token, |token, (from, to)| {
        replace(&token, from.as_bytes(), to.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(steps: &[Decoder], tokens: &[&str]) -> String {
        let tokens = tokens.iter().map(|t| t.as_bytes().to_vec()).collect();
        String::from_utf8(decode(steps, tokens)).unwrap()
    }

    #[test]
    fn word_pieces() {
        let bert = Decoder::WordPiece {
            prefix: "##".into(),
            cleanup: true,
        };
        let tokens = ["##un", "##aff", "able", ",", "do", "n", "'", "t", "!"];
        assert_eq!(text(&[bert], &tokens), "##unaff able, do n ' t!");
        assert_eq!(text(&[], &["a", "b"]), "a b");
    }

    #[test]
    fn llama() {
        let llama = [
            Decoder::Replace {
                pattern: "▁".into(),
                content: " ".into(),
            },
            Decoder::ByteFallback,
            Decoder::Fuse,
            Decoder::Strip {
                content: ' ',
                start: 1,
                stop: 0,
            },
        ];
        assert_eq!(
            text(&llama, &["▁Hi", "▁<0xC3>", "<0xC3>", "<0xA9>"]),
            "Hi <0xC3>é"
        );
        assert_eq!(text(&llama, &["<0xC3>", "▁a"]), "\u{fffd} a");
        let metaspace = Metaspace {
            replacement: '▁',
            prepend: Prepend::Always,
            split: true,
        };
        assert_eq!(
            text(&[Decoder::Metaspace(metaspace)], &["▁Hi", "▁you", "!"]),
            "Hi you!"
        );
    }
}
