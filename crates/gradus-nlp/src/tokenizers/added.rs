//! Tokens that are found in the text before anything else is done to it: `[CLS]`, `<|endoftext|>`, `<mask>`.

use gradus_tensor::{Error, Result};
use serde_json::{Value, json};

use super::trie::Trie;
use super::unicode::is_word;

/// A token beside those of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedToken {
    /// Its id.
    pub id: u32,
    /// Its text.
    pub content: String,
    /// Whether decoding may leave it out.
    pub special: bool,
    /// Whether it counts only where it is a word of its own.
    pub single_word: bool,
    /// Whether it takes the spaces before it along.
    pub lstrip: bool,
    /// Whether it takes the spaces after it along.
    pub rstrip: bool,
    /// Whether it is looked for in the normalised text.
    pub normalized: bool,
}

impl AddedToken {
    /// A special token, looked for in the text as it is.
    pub fn special(content: impl Into<String>, id: u32) -> Self {
        Self {
            id,
            content: content.into(),
            special: true,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
        }
    }

    pub(super) fn from_json(value: &Value) -> Result<Self> {
        let wrong = |field: &str| {
            let message = format!("added_tokens: {field:?} is missing or not what it should be");
            Error::format("tokenizer.json", message)
        };
        let flag = |field: &str| match &value[field] {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(*flag),
            _ => Err(wrong(field)),
        };
        let id = value["id"].as_u64().and_then(|id| u32::try_from(id).ok());
        Ok(Self {
            id: id.filter(|id| *id < u32::MAX).ok_or_else(|| wrong("id"))?,
            content: value["content"]
                .as_str()
                .ok_or_else(|| wrong("content"))?
                .into(),
            special: flag("special")?,
            single_word: flag("single_word")?,
            lstrip: flag("lstrip")?,
            rstrip: flag("rstrip")?,
            normalized: flag("normalized")?,
        })
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "id": self.id,
            "content": self.content,
            "single_word": self.single_word,
            "lstrip": self.lstrip,
            "rstrip": self.rstrip,
            "normalized": self.normalized,
            "special": self.special,
        })
    }
}

/// A part of a text: an added token, or what lies between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Text from where to where.
    Text(usize, usize),
    /// A token (its id) from where to where.
    Token(u32, usize, usize),
}

/// Tokens that are looked for together.
#[derive(Clone, Debug, Default)]
pub struct Finder {
    tokens: Vec<AddedToken>,
    trie: Trie,
}

impl Finder {
    /// Looks for the tokens by these spellings.
    pub fn new<'t>(tokens: impl Iterator<Item = (&'t AddedToken, String)>) -> Self {
        let mut finder = Self::default();
        for (token, written) in tokens {
            finder
                .trie
                .insert(written.as_bytes(), finder.tokens.len() as u32);
            finder.tokens.push(token.clone());
        }
        finder
    }

    /// Cuts a text at the tokens in it; `special`: also at special ones.
    pub fn segments(&self, text: &str, special: bool) -> Vec<Segment> {
        let mut found = Vec::new();
        let mut open = 0; // where the text begins that is not handed out yet
        let mut from = 0;
        while let Some((mut start, mut end, number)) = self.trie.find(text.as_bytes(), from) {
            from = end;
            let token = &self.tokens[number as usize];
            let inside_word = || {
                let before = text[..start].chars().next_back().is_some_and(is_word);
                before || text[end..].chars().next().is_some_and(is_word)
            };
            if (token.special && !special) || (token.single_word && inside_word()) {
                continue;
            }
            if token.lstrip {
                start = text[..start].trim_end().len().max(open);
            }
            if token.rstrip {
                end = text.len() - text[end..].trim_start().len();
                from = end;
            }
            if open < start {
                found.push(Segment::Text(open, start));
            }
            found.push(Segment::Token(token.id, start, end));
            open = end;
        }
        if open < text.len() {
            found.push(Segment::Text(open, text.len()));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finder(change: impl Fn(&mut AddedToken)) -> Finder {
        let tokens = [
            AddedToken::special("<m>", 7),
            AddedToken::special("<m>>", 8),
        ];
        let tokens = tokens.map(|mut token| {
            change(&mut token);
            token
        });
        Finder::new(tokens.iter().map(|t| (t, t.content.clone())))
    }

    #[test]
    fn the_longest_first_and_the_rest_is_text() {
        use Segment::{Text, Token};
        let plain = finder(|_| {});
        assert_eq!(
            plain.segments("a<m>b<m>>", true),
            [Text(0, 1), Token(7, 1, 4), Text(4, 5), Token(8, 5, 9)]
        );
        assert_eq!(plain.segments("a<m>", false), [Text(0, 4)]);
        assert_eq!(plain.segments("", true), []);
        let strip = finder(|t| (t.lstrip, t.rstrip) = (true, true));
        assert_eq!(
            strip.segments("a <m> b", true),
            [Text(0, 1), Token(7, 1, 6), Text(6, 7)]
        );
        assert_eq!(
            strip.segments("<m> <m>", true),
            [Token(7, 0, 4), Token(7, 4, 7)]
        );
        let word = finder(|t| t.single_word = true);
        assert_eq!(
            word.segments("a<m> <m>", true),
            [Text(0, 5), Token(7, 5, 8)]
        );
    }
}
