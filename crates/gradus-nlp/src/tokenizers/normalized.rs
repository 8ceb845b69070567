//! Text on its way through normalisation, which remembers where each byte came from.
//!
//! Offsets must point into the text the user gave, but tokens are cut from a cleaned, lower-cased, decomposed one. As long as a
//! step changes no length (English, lower-cased) nothing is remembered: positions are the same. The first step that does makes a
//! list with one span per byte.

use std::borrow::Cow;
use std::ops::Range;

/// A part of the original text, perhaps changed.
#[derive(Clone, Debug)]
pub struct Normalized<'a> {
    text: Cow<'a, str>,
    spans: Option<Vec<(u32, u32)>>, // per byte of `text`: from where to where in the part; None: the same positions
    base: usize,                    // where the part begins in the original
}

impl<'a> Normalized<'a> {
    /// A part that begins at byte `base` of the original; shorter than 4 GiB.
    pub fn new(text: &'a str, base: usize) -> Self {
        Self {
            text: Cow::Borrowed(text),
            spans: None,
            base,
        }
    }

    /// The text as it is now.
    #[inline]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where bytes `start..end` came from in the original, in bytes there, widened to whole characters.
    #[inline]
    pub fn origin(&self, start: usize, end: usize) -> (usize, usize) {
        let (mut from, mut to) = self.span(start..end);
        if self.spans.is_none() {
            while !self.text.is_char_boundary(from) {
                from -= 1;
            }
            while !self.text.is_char_boundary(to) {
                to += 1;
            }
        }
        (self.base + from, self.base + to)
    }

    /// Where the part begins in the original.
    pub fn base(&self) -> usize {
        self.base
    }

    fn span(&self, range: Range<usize>) -> (usize, usize) {
        let Some(spans) = &self.spans else {
            return (range.start, range.end);
        };
        let end = match range.end.checked_sub(1).and_then(|i| spans.get(i)) {
            Some(last) => last.1 as usize,
            None => 0,
        };
        let start = spans.get(range.start).map_or(end, |first| first.0 as usize);
        (start.min(end), end)
    }

    /// The same positions, other bytes: `change` may rewrite ASCII bytes only to ASCII bytes.
    pub fn map_ascii(&mut self, change: impl Fn(u8) -> u8) {
        let mut bytes = std::mem::take(&mut self.text).into_owned().into_bytes();
        for byte in &mut bytes {
            let changed = change(*byte);
            if byte.is_ascii() && changed.is_ascii() {
                *byte = changed;
            }
        }
        // ASCII for ASCII leaves UTF-8 valid.
        self.text = Cow::Owned(String::from_utf8(bytes).unwrap_or_default());
    }

    /// Rewrites character by character: `change(c, out)` pushes what stands for `c`.
    pub fn rewrite(&mut self, mut change: impl FnMut(char, &mut Pen)) {
        let mut pen = Pen::new(self);
        for (at, c) in self.text.char_indices() {
            pen.at(self.span(at..at + c.len_utf8()));
            change(c, &mut pen);
        }
        *self = pen.done(self.base);
    }

    /// Writes the text anew: each character with the range of the old text (in bytes) it stands for.
    pub fn spell(&mut self, chars: impl IntoIterator<Item = (char, Range<usize>)>) {
        let mut pen = Pen::new(self);
        for (c, range) in chars {
            pen.at(self.span(range));
            pen.push(c);
        }
        *self = pen.done(self.base);
    }

    /// Puts `prefix` in front; it is taken to come from the first character. Nothing happens to an empty text.
    pub fn prepend(&mut self, prefix: &str) {
        let Some(first) = self.text.chars().next() else {
            return;
        };
        let mut pen = Pen::new(self);
        pen.at(self.span(0..first.len_utf8()));
        prefix.chars().for_each(|c| pen.push(c));
        for (at, c) in self.text.char_indices() {
            pen.at(self.span(at..at + c.len_utf8()));
            pen.push(c);
        }
        *self = pen.done(self.base);
    }

    /// Bytes `range` as a part of their own.
    pub fn slice(&self, range: Range<usize>) -> Normalized<'_> {
        let (from, _) = self.span(range.clone());
        match &self.spans {
            None => Normalized {
                text: Cow::Borrowed(&self.text[range]),
                spans: None,
                base: self.base + from,
            },
            Some(spans) => Normalized {
                text: Cow::Borrowed(&self.text[range.clone()]),
                spans: Some(spans[range].to_vec()),
                base: self.base,
            },
        }
    }
}

/// Writes the next text and its spans.
pub struct Pen {
    text: String,
    spans: Vec<(u32, u32)>,
    span: (u32, u32),
}

impl Pen {
    fn new(old: &Normalized) -> Self {
        Self {
            text: String::with_capacity(old.text.len() + 16),
            spans: Vec::with_capacity(old.text.len() + 16),
            span: (0, 0),
        }
    }

    fn at(&mut self, span: (usize, usize)) {
        self.span = (span.0 as u32, span.1 as u32);
    }

    /// Writes a character.
    #[inline]
    pub fn push(&mut self, c: char) {
        self.text.push(c);
        self.spans.resize(self.text.len(), self.span);
    }

    fn done<'b>(self, base: usize) -> Normalized<'b> {
        Normalized {
            text: Cow::Owned(self.text),
            spans: Some(self.spans),
            base,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_lead_back_through_every_step() {
        let mut n = Normalized::new("aßé!", 10);
        assert_eq!(n.origin(2, 3), (11, 13)); // half of ß is ß
        n.rewrite(|c, pen| match c {
            'a' => {}
            'ß' => "ss".chars().for_each(|s| pen.push(s)),
            c => pen.push(c),
        });
        assert_eq!(n.text(), "ssé!");
        assert_eq!(n.origin(0, 1), (11, 13));
        assert_eq!(n.origin(0, 4), (11, 15));
        n.prepend("_");
        assert_eq!((n.text(), n.origin(0, 1)), ("_ssé!", (11, 13)));
        let part = n.slice(3..6);
        assert_eq!((part.text(), part.origin(2, 3)), ("é!", (15, 16)));
        let mut ascii = Normalized::new("AB", 0);
        ascii.map_ascii(|b| b.to_ascii_lowercase());
        assert_eq!((ascii.text(), ascii.origin(1, 2)), ("ab", (1, 2)));
    }
}
