//! The split patterns of GPT-2, GPT-4 and their kin, as scanners written by hand.
//!
//! The originals are regular expressions with a look-ahead, `\s+(?!\S)` ("spaces, but leave one for the word that follows").
//! Written out they are a handful of rules on four classes of characters; each scanner below names the rule it applies. Source:
//! `encoder.py` of GPT-2 and `openai_public.py` of tiktoken.

use super::unicode::{ASCII, Class, class};

/// How text is cut into pieces within which byte pairs are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    Gpt2,
    /// tiktoken's of `cl100k_base`; where a text ends in spaces they stay together even across line ends.
    Cl100k,
    /// The same in the form Llama 3 and others use: a run of spaces is always cut after its last line end.
    Llama3,
    /// As [`Pattern::Llama3`], but every digit stands alone.
    Qwen2,
}

/// The patterns as they stand in `tokenizer.json`.
const WRITTEN: [(Pattern, &str); 5] = [
    (
        Pattern::Gpt2,
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    ),
    (
        Pattern::Gpt2,
        r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
    ),
    (
        Pattern::Cl100k,
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    ),
    (
        Pattern::Llama3,
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        Pattern::Qwen2,
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
];

impl Pattern {
    /// The pattern of a regular expression, if it is one of those known here.
    pub fn from_regex(regex: &str) -> Option<Self> {
        let found = WRITTEN.iter().find(|(_, written)| *written == regex);
        found.map(|(pattern, _)| *pattern)
    }

    /// The regular expression.
    pub fn regex(self) -> &'static str {
        let found = WRITTEN.iter().find(|(pattern, _)| *pattern == self);
        found.map_or("", |(_, written)| written)
    }

    /// The end of the piece that begins at `start`, which is before the end of the text.
    #[inline]
    fn end(self, text: &str, start: usize) -> usize {
        match self {
            Pattern::Gpt2 => gpt2(text, start),
            Pattern::Cl100k => cl100k(text, start, 3, true),
            Pattern::Llama3 => cl100k(text, start, 3, false),
            Pattern::Qwen2 => cl100k(text, start, 1, false),
        }
    }

    /// The pieces of a text; together they are the text.
    ///
    /// ```
    /// use gradus_nlp::tokenizers::Pattern;
    /// let pieces: Vec<&str> = Pattern::Gpt2.pieces("I'll  pay 1200").collect();
    /// assert_eq!(pieces, ["I", "'ll", " ", " pay", " 1200"]);
    /// let pieces: Vec<&str> = Pattern::Cl100k.pieces("I'LL  pay 1200").collect();
    /// assert_eq!(pieces, ["I", "'LL", " ", " pay", " ", "120", "0"]);
    /// ```
    pub fn pieces(self, text: &str) -> impl Iterator<Item = &str> {
        let mut start = 0;
        std::iter::from_fn(move || {
            (start < text.len()).then(|| {
                let end = self.end(text, start);
                &text[std::mem::replace(&mut start, end)..end]
            })
        })
    }
}

/// The class of the character at a byte and how long it is; `None` at the end.
#[inline]
fn at(text: &str, i: usize) -> Option<(Class, usize)> {
    let &byte = text.as_bytes().get(i)?;
    if byte < 128 {
        return Some((ASCII[byte as usize], 1));
    }
    let c = text[i..].chars().next()?;
    Some((class(c), c.len_utf8()))
}

/// The end of the run of a class that begins at `i`.
#[inline]
fn run(text: &str, mut i: usize, wanted: Class) -> usize {
    while let Some((class, len)) = at(text, i) {
        if class != wanted {
            break;
        }
        i += len;
    }
    i
}

/// How long the character at `i` is that ends at the end of a run: the last one before `end`.
fn before(text: &str, end: usize) -> usize {
    let last = text[..end].chars().next_back();
    end - last.map_or(0, char::len_utf8)
}

fn gpt2(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    // 's|'t|'re|'ve|'m|'ll|'d
    if bytes[start] == b'\'' {
        match bytes.get(start + 1..) {
            Some([b's' | b't' | b'm' | b'd', ..]) => return start + 2,
            Some([b'r' | b'v', b'e', ..] | [b'l', b'l', ..]) => return start + 3,
            _ => {}
        }
    }
    //  ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+
    let word = start + usize::from(bytes[start] == b' ');
    match at(text, word) {
        Some((class, len)) if class != Class::Space => run(text, word + len, class),
        _ => spaces(text, start),
    }
}

/// `\s+(?!\S)|\s+`: spaces, all but the last if something follows, but at least one.
fn spaces(text: &str, start: usize) -> usize {
    let end = run(text, start, Class::Space);
    let last = before(text, end);
    if end == text.len() || last == start {
        end
    } else {
        last
    }
}

fn cl100k(text: &str, start: usize, digits: usize, whole_tail: bool) -> usize {
    let bytes = text.as_bytes();
    // '(?i:[sdmt]|ll|ve|re)
    if bytes[start] == b'\'' {
        match bytes.get(start + 1..) {
            Some([b's' | b't' | b'm' | b'd' | b'S' | b'T' | b'M' | b'D', ..]) => return start + 2,
            Some([b'r' | b'R' | b'v' | b'V', b'e' | b'E', ..] | [b'l' | b'L', b'l' | b'L', ..]) => {
                return start + 3;
            }
            Some([0xC5, 0xBF, ..]) => return start + 3, // ſ, the long s, is an s in another case
            _ => {}
        }
    }
    let Some((class, len)) = at(text, start) else {
        return text.len();
    };
    match class {
        // \p{L}+
        Class::Letter => run(text, start + len, Class::Letter),
        // \p{N}{1,3}
        Class::Number => {
            let mut end = start + len;
            for _ in 1..digits {
                match at(text, end) {
                    Some((Class::Number, len)) => end += len,
                    _ => break,
                }
            }
            end
        }
        Class::Space | Class::Other => {
            // [^\r\n\p{L}\p{N}]\p{L}+
            let next = at(text, start + len);
            if let Some((Class::Letter, letter)) = next
                && !matches!(bytes[start], b'\r' | b'\n')
            {
                return run(text, start + len + letter, Class::Letter);
            }
            //  ?[^\s\p{L}\p{N}]+[\r\n]*
            if class == Class::Other
                || bytes[start] == b' ' && matches!(next, Some((Class::Other, _)))
            {
                let mut end = run(text, start + len, Class::Other);
                while matches!(bytes.get(end), Some(b'\r' | b'\n')) {
                    end += 1;
                }
                return end;
            }
            let end = run(text, start, Class::Space);
            // \s++$
            if whole_tail && end == text.len() {
                return end;
            }
            // \s*[\r\n]
            match bytes[start..end]
                .iter()
                .rposition(|b| matches!(b, b'\r' | b'\n'))
            {
                Some(last) => start + last + 1,
                None => spaces(text, start),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(pattern: Pattern, text: &str) -> Vec<&str> {
        pattern.pieces(text).collect()
    }

    #[test]
    fn gpt2_as_the_regular_expression() {
        for (text, pieces) in [
            ("", &[][..]),
            ("   a", &["  ", " a"]),
            ("a  \n", &["a", "  \n"]),
            ("  \nb", &["  ", "\n", "b"]),
            ("don't 'x", &["don", "'t", " '", "x"]),
            ("été½x", &["été", "½", "x"]),
            ("a\u{a0}\u{a0}b", &["a", "\u{a0}", "\u{a0}", "b"]),
            ("'LL", &["'", "LL"]),
        ] {
            assert_eq!(cut(Pattern::Gpt2, text), pieces, "{text:?}");
        }
    }

    #[test]
    fn cl100k_as_the_regular_expression() {
        for (text, pieces) in [
            ("a\n  ", &["a", "\n  "][..]),
            ("a \n  b", &["a", " \n", " ", " b"]),
            ("\tx!!\r\n\nz", &["\tx", "!!\r\n\n", "z"]),
            ("1234567", &["123", "456", "7"]),
            ("'ſa'Rex", &["'ſ", "a", "'Re", "x"]),
            ("(foo) -1", &["(foo", ")", " -", "1"]),
            ("\nx", &["\n", "x"]),
        ] {
            assert_eq!(cut(Pattern::Cl100k, text), pieces, "{text:?}");
        }
        assert_eq!(cut(Pattern::Llama3, "a\n  "), ["a", "\n", "  "]);
        assert_eq!(cut(Pattern::Qwen2, "12"), ["1", "2"]);
    }

    #[test]
    fn regexes_are_recognised() {
        for pattern in [
            Pattern::Gpt2,
            Pattern::Cl100k,
            Pattern::Llama3,
            Pattern::Qwen2,
        ] {
            assert_eq!(Pattern::from_regex(pattern.regex()), Some(pattern));
        }
        assert_eq!(Pattern::from_regex(r"\w+"), None);
    }
}
