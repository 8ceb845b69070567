//! What kind of character is this? The few questions tokenizers ask of Unicode.
//!
//! Two sources on purpose. The split patterns of GPT-2 and its successors are regular expressions, so letters and numbers are
//! those of today's Unicode. BERT's normaliser and word splitter follow Hugging Face's `tokenizers`, whose tables
//! (`unicode_categories`) are of 2016: a mark or a punctuation sign added to Unicode since is neither to them, and ids equal to
//! the reference's need the reference's opinion.

use unicode_categories::UnicodeCategories as _;
use unicode_general_category::{GeneralCategory as Category, get_general_category};

/// A character's class in the split patterns: `\p{L}`, `\p{N}`, `\s`, or none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// `\p{L}`
    Letter,
    /// `\p{N}`
    Number,
    /// `\s`
    Space,
    /// `[^\s\p{L}\p{N}]`
    Other,
}

/// [`Class`] of the first 128 characters.
pub const ASCII: [Class; 128] = {
    let mut table = [Class::Other; 128];
    let mut i = 0;
    while i < 128 {
        let c = i as u8;
        table[i] = if c.is_ascii_alphabetic() {
            Class::Letter
        } else if c.is_ascii_digit() {
            Class::Number
        } else if c == b' ' || (c >= 9 && c <= 13) {
            Class::Space
        } else {
            Class::Other
        };
        i += 1;
    }
    table
};

/// The class of a character beyond ASCII.
pub fn class(c: char) -> Class {
    use Category::{
        DecimalNumber, LetterNumber, LowercaseLetter, ModifierLetter, OtherLetter, OtherNumber,
        TitlecaseLetter, UppercaseLetter,
    };
    match get_general_category(c) {
        LowercaseLetter | UppercaseLetter | TitlecaseLetter | ModifierLetter | OtherLetter => {
            Class::Letter
        }
        DecimalNumber | LetterNumber | OtherNumber => Class::Number,
        _ if c.is_whitespace() => Class::Space,
        _ => Class::Other,
    }
}

/// Whether a character is `\w` of a regular expression.
pub fn is_word(c: char) -> bool {
    use Category::{
        ConnectorPunctuation, DecimalNumber, EnclosingMark, NonspacingMark, SpacingMark,
    };
    let marks = || {
        matches!(
            get_general_category(c),
            NonspacingMark | SpacingMark | EnclosingMark | DecimalNumber | ConnectorPunctuation
        )
    };
    c.is_alphabetic() || marks() || matches!(c, '\u{200c}' | '\u{200d}')
}

/// Whether BERT's cleaning drops a character: control, format and private-use ones, but for tab and line ends.
pub fn is_control(c: char) -> bool {
    !matches!(c, '\t' | '\n' | '\r') && (c == '\u{fffd}' || c.is_other())
}

/// Whether BERT's accent stripping drops a character: the non-spacing marks.
pub fn is_accent(c: char) -> bool {
    c >= '\u{300}' && c.is_mark_nonspacing()
}

/// Whether BERT makes a word of its own of a character.
pub fn is_punctuation(c: char) -> bool {
    c.is_ascii_punctuation() || (!c.is_ascii() && c.is_punctuation())
}

/// Whether a character lies in a block of Chinese characters, as BERT counts them.
pub fn is_chinese(c: char) -> bool {
    matches!(
        c as u32,
        0x4E00..=0x9FFF
            | 0x3400..=0x4DBF
            | 0x20000..=0x2A6DF
            | 0x2A700..=0x2B73F
            | 0x2B740..=0x2B81F
            | 0x2B920..=0x2CEAF
            | 0xF900..=0xFAFF
            | 0x2F800..=0x2FA1F
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_unicode() {
        for c in 0..128u8 {
            assert_eq!(ASCII[c as usize], class(c as char), "{c}");
        }
    }

    #[test]
    fn classes() {
        for (c, expected) in [
            ('é', Class::Letter),
            ('漢', Class::Letter),
            ('ʰ', Class::Letter),
            ('½', Class::Number),
            ('Ⅷ', Class::Number),
            ('\u{a0}', Class::Space),
            ('\u{2028}', Class::Space),
            ('\u{301}', Class::Other),
            ('€', Class::Other),
        ] {
            assert_eq!(class(c), expected, "{c:?}");
        }
        assert!(is_word('_') && is_word('é') && is_word('7') && !is_word('-') && !is_word('½'));
        assert!(is_control('\u{0}') && is_control('\u{200b}') && !is_control('\n'));
        assert!(is_punctuation('$') && is_punctuation('…') && !is_punctuation('€'));
    }
}
