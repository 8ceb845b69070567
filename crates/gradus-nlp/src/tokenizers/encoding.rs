//! What a tokenizer makes of a text, and how it is cut or filled to a length.

use gradus_tensor::{Error, Result, Tensor};
use serde_json::{Value, json};

use super::json::Part;

/// Tokens of a text; all lists have the same length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// The tokens' ids.
    pub ids: Vec<u32>,
    /// Where each token lies in its text, in bytes and on character boundaries; (0, 0) for tokens that were put in.
    pub offsets: Vec<(usize, usize)>,
    /// Which text a token is of, as the model wants it told: 0 the first, 1 the second.
    pub type_ids: Vec<u32>,
    /// 1 for tokens, 0 for padding.
    pub attention_mask: Vec<u32>,
    /// 1 for tokens that were put in: `[CLS]`, `[SEP]`, padding.
    pub special_tokens_mask: Vec<u32>,
}

impl Encoding {
    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The offsets counted in characters of `text` (which was encoded), as Python counts.
    ///
    /// ```
    /// use gradus_nlp::tokenizers::Encoding;
    /// let encoding = Encoding { ids: vec![7, 8], offsets: vec![(0, 2), (2, 3)], ..Encoding::default() };
    /// assert_eq!(encoding.char_offsets("éa"), [(0, 1), (1, 2)]);
    /// ```
    pub fn char_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        // How many characters begin before each byte.
        let mut before = Vec::with_capacity(text.len() + 1);
        let mut count = 0;
        for i in 0..=text.len() {
            before.push(count);
            count += usize::from(text.is_char_boundary(i));
        }
        let at = |i: usize| before.get(i).copied().unwrap_or(count);
        self.offsets.iter().map(|(s, e)| (at(*s), at(*e))).collect()
    }

    pub(super) fn push(&mut self, id: u32, offsets: (usize, usize), type_id: u32, special: bool) {
        self.ids.push(id);
        self.offsets.push(offsets);
        self.type_ids.push(type_id);
        self.attention_mask.push(1);
        self.special_tokens_mask.push(u32::from(special));
    }

    pub(super) fn append(&mut self, other: Encoding, type_id: u32) {
        self.ids.extend(other.ids);
        self.offsets.extend(other.offsets);
        self.type_ids.resize(self.ids.len(), type_id);
        self.attention_mask.extend(other.attention_mask);
        self.special_tokens_mask.extend(other.special_tokens_mask);
    }

    /// Keeps `length` tokens: the first, or the last if cut on the left.
    pub(super) fn truncate(&mut self, length: usize, side: Side) {
        let cut = self.len().saturating_sub(length);
        let (from, to) = match side {
            Side::Right => (0, self.len() - cut),
            Side::Left => (cut, self.len()),
        };
        keep(&mut self.ids, from, to);
        keep(&mut self.offsets, from, to);
        keep(&mut self.type_ids, from, to);
        keep(&mut self.attention_mask, from, to);
        keep(&mut self.special_tokens_mask, from, to);
    }

    pub(super) fn pad(&mut self, length: usize, padding: &Padding) {
        let missing = length.saturating_sub(self.len());
        let side = padding.side;
        fill(&mut self.ids, padding.id, missing, side);
        fill(&mut self.offsets, (0, 0), missing, side);
        fill(&mut self.type_ids, padding.type_id, missing, side);
        fill(&mut self.attention_mask, 0, missing, side);
        fill(&mut self.special_tokens_mask, 1, missing, side);
    }
}

fn keep<T>(list: &mut Vec<T>, from: usize, to: usize) {
    list.truncate(to);
    list.drain(..from);
}

fn fill<T: Copy>(list: &mut Vec<T>, value: T, missing: usize, side: Side) {
    let filling = std::iter::repeat_n(value, missing);
    match side {
        Side::Right => list.extend(filling),
        Side::Left => drop(list.splice(0..0, filling)),
    }
}

/// Several encodings of one length as tensors i64 (B, T): ids, type ids, attention mask.
///
/// Errors when the lengths differ (set a [`Padding`]) or there is no encoding.
///
/// ```
/// use gradus_nlp::tokenizers::{Encoding, stack};
/// let one = Encoding { ids: vec![5, 6], type_ids: vec![0, 0], attention_mask: vec![1, 1], ..Encoding::default() };
/// let [ids, types, mask] = stack(&[one.clone(), one])?;
/// assert_eq!((ids.dims(), types.dims(), mask.dims()), (&[2, 2][..], &[2, 2][..], &[2, 2][..]));
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
pub fn stack(encodings: &[Encoding]) -> Result<[Tensor; 3]> {
    let length = encodings.first().map_or(0, Encoding::len);
    if let Some(other) = encodings.iter().find(|e| e.len() != length) {
        return Err(Error::shape(
            "stack",
            format!(
                "encodings of {length} and {} tokens are no matrix; set a padding",
                other.len()
            ),
        ));
    }
    if encodings.is_empty() {
        return Err(Error::shape("stack", "there is no encoding"));
    }
    let tensor = |list: fn(&Encoding) -> &Vec<u32>| {
        let all = encodings
            .iter()
            .flat_map(|e| list(e).iter().map(|n| i64::from(*n)));
        Tensor::from_vec(all.collect(), [encodings.len(), length]) // (B, T)
    };
    Ok([
        tensor(|e| &e.ids)?,
        tensor(|e| &e.type_ids)?,
        tensor(|e| &e.attention_mask)?,
    ])
}

/// An end of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The beginning.
    Left,
    /// The end.
    Right,
}

/// How long encodings may be, special tokens included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// The most tokens.
    pub max_length: usize,
    /// Which text of a pair is cut.
    pub strategy: Strategy,
    /// The end that is cut off.
    pub side: Side,
}

/// Which text of a pair is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The longer one, down to the other; then both.
    LongestFirst,
    /// The first.
    OnlyFirst,
    /// The second.
    OnlySecond,
}

impl Truncation {
    /// At most `max_length` tokens, cut at the end of the longer text.
    pub fn new(max_length: usize) -> Self {
        Self {
            max_length,
            strategy: Strategy::LongestFirst,
            side: Side::Right,
        }
    }

    /// Cuts one or two texts so that they and `added` special tokens fit.
    pub(super) fn apply(
        &self,
        first: &mut Encoding,
        second: Option<&mut Encoding>,
        added: usize,
    ) -> Result<()> {
        let Some(room) = self.max_length.checked_sub(added) else {
            return Err(Error::value(
                "truncation",
                format!(
                    "max_length {} leaves no room beside {added} special tokens",
                    self.max_length
                ),
            ));
        };
        let too_short = |which: &str| {
            Error::value(
                "truncation",
                format!(
                    "cutting the {which} text is not enough to get down to {}",
                    self.max_length
                ),
            )
        };
        let Some(second) = second else {
            if self.strategy == Strategy::OnlySecond && first.len() > room {
                return Err(too_short("second"));
            }
            first.truncate(room, self.side);
            return Ok(());
        };
        let (n1, n2) = (first.len(), second.len());
        if n1 + n2 <= room {
            return Ok(());
        }
        let (n1, n2) = match self.strategy {
            Strategy::OnlyFirst if n2 < room => (room - n2, n2),
            Strategy::OnlyFirst => return Err(too_short("first")),
            Strategy::OnlySecond if n1 < room => (n1, room - n1),
            Strategy::OnlySecond => return Err(too_short("second")),
            Strategy::LongestFirst => {
                // The shorter stays if the longer, cut, is still the longer; otherwise both get half.
                let short = n1.min(n2);
                let (short, long) = match room.checked_sub(short) {
                    Some(rest) if rest >= short => (short, rest),
                    _ => (room / 2, room / 2 + room % 2),
                };
                if n1 <= n2 {
                    (short, long)
                } else {
                    (long, short)
                }
            }
        };
        first.truncate(n1, self.side);
        second.truncate(n2, self.side);
        Ok(())
    }

    pub(super) fn from_json(value: &Value) -> Result<Option<Self>> {
        if value.is_null() {
            return Ok(None);
        }
        let part = Part::new(value, "truncation");
        if part.number("stride", 0)? != 0 {
            return Err(part.unsupported("with a \"stride\"", "truncations without one"));
        }
        Ok(Some(Self {
            max_length: part.number("max_length", 512)? as usize,
            strategy: match part.text_or("strategy", "LongestFirst")? {
                "LongestFirst" => Strategy::LongestFirst,
                "OnlyFirst" => Strategy::OnlyFirst,
                "OnlySecond" => Strategy::OnlySecond,
                _ => return Err(part.wrong("strategy", "LongestFirst, OnlyFirst or OnlySecond")),
            },
            side: side(part)?,
        }))
    }

    pub(super) fn to_json(self) -> Value {
        let strategy = match self.strategy {
            Strategy::LongestFirst => "LongestFirst",
            Strategy::OnlyFirst => "OnlyFirst",
            Strategy::OnlySecond => "OnlySecond",
        };
        json!({
            "max_length": self.max_length,
            "strategy": strategy,
            "stride": 0,
            "direction": self.side.name(),
        })
    }
}

/// What shorter encodings are filled with, and up to which length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Padding {
    /// The length; `None`: that of the longest in the batch.
    pub length: Option<usize>,
    /// Lengths are rounded up to a multiple of this.
    pub multiple_of: Option<usize>,
    /// The token's id.
    pub id: u32,
    /// Its type id.
    pub type_id: u32,
    /// Its text.
    pub token: String,
    /// The end that is filled.
    pub side: Side,
}

impl Padding {
    /// Up to the longest of the batch, at the end.
    pub fn longest(token: impl Into<String>, id: u32) -> Self {
        Self {
            length: None,
            multiple_of: None,
            id,
            type_id: 0,
            token: token.into(),
            side: Side::Right,
        }
    }

    /// Fills the encodings of a batch.
    pub(super) fn apply(&self, batch: &mut [Encoding]) {
        let longest = || batch.iter().map(Encoding::len).max().unwrap_or(0);
        let mut length = self.length.unwrap_or_else(longest);
        if let Some(n) = self.multiple_of.filter(|n| *n > 0) {
            length = length.next_multiple_of(n);
        }
        for encoding in batch {
            encoding.pad(length, self);
        }
    }

    pub(super) fn from_json(value: &Value) -> Result<Option<Self>> {
        if value.is_null() {
            return Ok(None);
        }
        let part = Part::new(value, "padding");
        let limit = |n: u32, field| match n {
            0..=0xFF_FFFF => Ok(n as usize),
            _ => Err(part.wrong(field, "below 16777216")),
        };
        let fixed = &part.get("strategy")["Fixed"];
        let length = match (part.get("strategy").as_str(), fixed.as_u64()) {
            (Some("BatchLongest"), _) => None,
            (None, Some(n)) => Some(limit(n.try_into().unwrap_or(u32::MAX), "strategy")?),
            _ => return Err(part.wrong("strategy", "\"BatchLongest\" or {\"Fixed\": length}")),
        };
        Ok(Some(Self {
            length,
            multiple_of: match limit(part.number("pad_to_multiple_of", 0)?, "pad_to_multiple_of")? {
                0 => None,
                n => Some(n),
            },
            id: part.number("pad_id", 0)?,
            type_id: part.number("pad_type_id", 0)?,
            token: part.text_or("pad_token", "[PAD]")?.into(),
            side: side(part)?,
        }))
    }

    pub(super) fn to_json(&self) -> Value {
        let strategy = match self.length {
            None => json!("BatchLongest"),
            Some(length) => json!({"Fixed": length}),
        };
        json!({
            "strategy": strategy,
            "direction": self.side.name(),
            "pad_to_multiple_of": self.multiple_of,
            "pad_id": self.id,
            "pad_type_id": self.type_id,
            "pad_token": self.token,
        })
    }
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Side::Left => "Left",
            Side::Right => "Right",
        }
    }
}

fn side(part: Part) -> Result<Side> {
    match part.text_or("direction", "Right")? {
        "Left" => Ok(Side::Left),
        "Right" => Ok(Side::Right),
        _ => Err(part.wrong("direction", "Left or Right")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(n: usize) -> Encoding {
        let mut encoding = Encoding::default();
        (0..n).for_each(|i| encoding.push(i as u32, (i, i + 1), 0, false));
        encoding
    }

    #[test]
    fn pairs_are_cut_where_the_strategy_says() {
        let cut = |n1, n2, max, strategy| {
            let (mut a, mut b) = (of(n1), of(n2));
            let truncation = Truncation {
                strategy,
                ..Truncation::new(max)
            };
            truncation
                .apply(&mut a, Some(&mut b), 3)
                .map(|()| (a.len(), b.len()))
        };
        use Strategy::*;
        assert_eq!(cut(2, 10, 11, LongestFirst).unwrap(), (2, 6));
        assert_eq!(cut(10, 2, 11, LongestFirst).unwrap(), (6, 2));
        assert_eq!(cut(9, 9, 12, LongestFirst).unwrap(), (4, 5));
        assert_eq!(cut(3, 3, 12, LongestFirst).unwrap(), (3, 3));
        assert_eq!(cut(9, 2, 8, OnlyFirst).unwrap(), (3, 2));
        assert!(cut(9, 9, 8, OnlySecond).is_err() && cut(1, 1, 2, LongestFirst).is_err());
    }

    #[test]
    fn both_ends() {
        let mut e = of(4);
        e.truncate(2, Side::Left);
        assert_eq!(e.ids, [2, 3]);
        let mut padding = Padding::longest("[PAD]", 9);
        padding.side = Side::Left;
        padding.multiple_of = Some(4);
        padding.apply(std::slice::from_mut(&mut e));
        assert_eq!(
            (&e.ids[..], &e.attention_mask[..]),
            (&[9, 9, 2, 3][..], &[0, 0, 1, 1][..])
        );
    }
}
