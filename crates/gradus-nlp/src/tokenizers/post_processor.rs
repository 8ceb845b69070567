//! Post-processors: the special tokens around a text or a pair, and what offsets say about spaces.
//!
//! BERT's `[CLS] A [SEP] B [SEP]` and RoBERTa's `<s> A </s></s> B </s>` are templates like any other.

use gradus_tensor::{Error, Result};
use serde_json::{Value, json};

use super::encoding::Encoding;
use super::json::Part;

/// What is done to encodings after the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PostProcessor {
    /// What stands around one text.
    pub single: Vec<Slot>,
    /// What stands around a pair.
    pub pair: Vec<Slot>,
    /// Take spaces out of the offsets; the value: a space was put in front.
    pub trim_offsets: Option<bool>,
}

/// A place in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slot {
    /// The first text.
    A {
        /// The type id of its tokens.
        type_id: u32,
    },
    /// The second text.
    B {
        /// The type id of its tokens.
        type_id: u32,
    },
    /// A special token.
    Special {
        /// Its text.
        token: String,
        /// Its id.
        id: u32,
        /// Its type id.
        type_id: u32,
    },
}

impl PostProcessor {
    /// Texts as they are: nothing around them, the second with type id 1.
    pub fn plain() -> Self {
        Self {
            single: vec![Slot::A { type_id: 0 }],
            pair: vec![Slot::A { type_id: 0 }, Slot::B { type_id: 1 }],
            trim_offsets: None,
        }
    }

    /// `[CLS] A [SEP]` and `[CLS] A [SEP] B [SEP]`, the last two with type id 1.
    pub fn bert(cls: (&str, u32), sep: (&str, u32)) -> Self {
        let special = |(token, id): (&str, u32), type_id| Slot::Special {
            token: token.into(),
            id,
            type_id,
        };
        let single = vec![special(cls, 0), Slot::A { type_id: 0 }, special(sep, 0)];
        let mut pair = single.clone();
        pair.extend([Slot::B { type_id: 1 }, special(sep, 1)]);
        Self {
            single,
            pair,
            trim_offsets: None,
        }
    }

    /// `<s> A </s>` and `<s> A </s></s> B </s>`, all with type id 0.
    pub fn roberta(cls: (&str, u32), sep: (&str, u32), trim_offsets: Option<bool>) -> Self {
        let special = |(token, id): (&str, u32)| Slot::Special {
            token: token.into(),
            id,
            type_id: 0,
        };
        let single = vec![special(cls), Slot::A { type_id: 0 }, special(sep)];
        let mut pair = single.clone();
        pair.extend([special(sep), Slot::B { type_id: 0 }, special(sep)]);
        Self {
            single,
            pair,
            trim_offsets,
        }
    }

    fn template(&self, pair: bool) -> &[Slot] {
        if pair { &self.pair } else { &self.single }
    }

    /// How many tokens are put in.
    pub fn added(&self, pair: bool) -> usize {
        let special = |slot: &&Slot| matches!(slot, Slot::Special { .. });
        self.template(pair).iter().filter(special).count()
    }

    /// Puts one or two encodings together; `special`: with the tokens around them.
    pub(super) fn apply(
        &self,
        first: Encoding,
        second: Option<Encoding>,
        special: bool,
    ) -> Encoding {
        let template = self.template(second.is_some());
        if let ([Slot::A { type_id: 0 }], None) = (template, &second) {
            return first;
        }
        let mut out = Encoding::default();
        let (mut first, mut second) = (Some(first), second);
        for slot in template {
            match slot {
                Slot::A { type_id } => out.append(first.take().unwrap_or_default(), *type_id),
                Slot::B { type_id } => out.append(second.take().unwrap_or_default(), *type_id),
                Slot::Special { id, type_id, .. } if special => {
                    out.push(*id, (0, 0), *type_id, true);
                }
                Slot::Special { .. } => {}
            }
        }
        out
    }

    /// Reads the components of a `tokenizer.json`, in order.
    pub(super) fn from_json(parts: &[Part]) -> Result<Self> {
        let mut all = Self::plain();
        let mut templates = 0;
        for part in parts {
            let trim = |default| match part.flag("trim_offsets", default)? {
                true => Ok::<_, Error>(Some(part.flag("add_prefix_space", true)?)),
                false => Ok(None),
            };
            match part.kind()? {
                "ByteLevel" => {
                    all.trim_offsets = trim(true)?;
                    continue;
                }
                "BertProcessing" => {
                    let (cls, sep) = (token(*part, "cls")?, token(*part, "sep")?);
                    let trim_offsets = all.trim_offsets;
                    all = Self {
                        trim_offsets,
                        ..Self::bert(cls, sep)
                    };
                }
                "RobertaProcessing" => {
                    let (cls, sep) = (token(*part, "cls")?, token(*part, "sep")?);
                    all = Self::roberta(cls, sep, trim(true)?);
                }
                "TemplateProcessing" => {
                    all.single = slots(*part, "single")?;
                    all.pair = slots(*part, "pair")?;
                }
                kind => {
                    return Err(part.unsupported(
                        &format!("{kind:?}"),
                        "ByteLevel, BertProcessing, RobertaProcessing, TemplateProcessing and Sequence",
                    ));
                }
            }
            templates += 1;
            if templates > 1 {
                return Err(part.unsupported("Sequence of several templates", "those of one"));
            }
        }
        Ok(all)
    }

    /// As a component of a `tokenizer.json`.
    pub(super) fn to_json(&self) -> Value {
        let mut tokens = serde_json::Map::new();
        let mut slot = |slot: &Slot| match slot {
            Slot::A { type_id } => json!({"Sequence": {"id": "A", "type_id": type_id}}),
            Slot::B { type_id } => json!({"Sequence": {"id": "B", "type_id": type_id}}),
            Slot::Special { token, id, type_id } => {
                let known = json!({"id": token, "ids": [id], "tokens": [token]});
                tokens.insert(token.clone(), known);
                json!({"SpecialToken": {"id": token, "type_id": type_id}})
            }
        };
        let single: Vec<Value> = self.single.iter().map(&mut slot).collect();
        let pair: Vec<Value> = self.pair.iter().map(&mut slot).collect();
        let template = json!({
            "type": "TemplateProcessing",
            "single": single,
            "pair": pair,
            "special_tokens": tokens,
        });
        match self.trim_offsets {
            None => template,
            Some(prefix) => {
                let level = json!({
                    "type": "ByteLevel",
                    "add_prefix_space": prefix,
                    "trim_offsets": true,
                    "use_regex": true,
                });
                json!({"type": "Sequence", "processors": [level, template]})
            }
        }
    }
}

/// `["[CLS]", 101]`
fn token<'a>(part: Part<'a>, field: &str) -> Result<(&'a str, u32)> {
    let value = part.get(field);
    let id = value[1].as_u64().and_then(|id| u32::try_from(id).ok());
    match (value[0].as_str(), id) {
        (Some(token), Some(id)) => Ok((token, id)),
        _ => Err(part.wrong(field, "a token and its id, as in [\"[CLS]\", 101]")),
    }
}

fn slots(part: Part, field: &str) -> Result<Vec<Slot>> {
    let mut found = Vec::new();
    let (mut a, mut b) = (0, 0);
    for piece in part.list(field)? {
        let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
        let (sequence, special) = (&piece["Sequence"], &piece["SpecialToken"]);
        let type_id = number(&sequence["type_id"])
            .or(number(&special["type_id"]))
            .unwrap_or(0);
        match (sequence["id"].as_str(), special["id"].as_str()) {
            (Some("A"), None) => {
                a += 1;
                found.push(Slot::A { type_id });
            }
            (Some("B"), None) => {
                b += 1;
                found.push(Slot::B { type_id });
            }
            (None, Some(name)) => {
                let known = &part.get("special_tokens")[name];
                let ids = known["ids"]
                    .as_array()
                    .filter(|ids| !ids.is_empty() && ids.len() < 64);
                let ids = ids.ok_or_else(|| {
                    part.wrong("special_tokens", &format!("with the ids of {name:?}"))
                })?;
                for (i, id) in ids.iter().enumerate() {
                    let id =
                        number(id).ok_or_else(|| part.wrong("special_tokens", "with whole ids"))?;
                    let token = known["tokens"][i].as_str().unwrap_or(name).into();
                    found.push(Slot::Special { token, id, type_id });
                }
            }
            _ => return Err(part.wrong(field, "a list of Sequence A or B and SpecialToken")),
        }
    }
    if a != 1 || b != usize::from(field == "pair") {
        return Err(part.wrong(field, "a template with each text once"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[u32]) -> Encoding {
        let mut encoding = Encoding::default();
        for id in ids {
            encoding.push(*id, (1, 2), 0, false);
        }
        encoding
    }

    #[test]
    fn bert_and_back_through_json() {
        let bert = PostProcessor::bert(("[CLS]", 101), ("[SEP]", 102));
        let pair = bert.apply(of(&[1]), Some(of(&[2, 3])), true);
        assert_eq!(pair.ids, [101, 1, 102, 2, 3, 102]);
        assert_eq!(pair.type_ids, [0, 0, 0, 1, 1, 1]);
        assert_eq!(pair.special_tokens_mask, [1, 0, 1, 0, 0, 1]);
        assert_eq!(bert.apply(of(&[1]), None, false).ids, [1]);
        let json = bert.to_json();
        let parts = [Part::new(&json, "post_processor")];
        assert_eq!(PostProcessor::from_json(&parts).unwrap(), bert);
        assert_eq!((bert.added(false), bert.added(true)), (2, 3));
    }

    #[test]
    fn a_template_without_the_text_is_refused() {
        let json =
            json!({"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}});
        let error = PostProcessor::from_json(&[Part::new(&json, "post_processor")]).unwrap_err();
        assert!(error.to_string().contains("each text once"), "{error}");
    }
}
