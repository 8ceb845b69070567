//! GPT-2's letters for bytes.
//!
//! Vocabulary files are text, and a token may be any bytes. GPT-2 writes each byte as a character: printable ones as
//! themselves, the other 68 as `Ā`, `ā`, … from U+0100 on, so a space is `Ġ` and a line end `Ċ`. Only files see these letters;
//! the models here work on bytes. Source: `bytes_to_unicode` in GPT-2's `encoder.py`.

use std::borrow::Cow;

/// The character of each byte.
pub const CHARS: [char; 256] = {
    let mut chars = ['\0'; 256];
    let mut extra = 0x100;
    let mut b = 0;
    while b < 256 {
        let byte = b as u8;
        chars[b] = if is_printable(byte) {
            byte as char
        } else {
            extra += 1;
            match char::from_u32(extra - 1) {
                Some(c) => c,
                None => unreachable!(),
            }
        };
        b += 1;
    }
    chars
};

const fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

/// The bytes in the order of their characters: the order of their ids in GPT-2 and in Hugging Face's trainer.
pub fn bytes_by_char() -> impl Iterator<Item = u8> {
    let printable = (0..=255).filter(|b| is_printable(*b));
    printable.chain((0..=255).filter(|b| !is_printable(*b)))
}

/// Bytes as characters.
pub fn to_chars(bytes: &[u8]) -> String {
    bytes.iter().map(|b| CHARS[*b as usize]).collect()
}

/// The byte of a character, if it stands for one.
pub fn to_byte(c: char) -> Option<u8> {
    match c as u32 {
        code @ 0..=0xFF if is_printable(code as u8) => Some(code as u8),
        code @ 0x100..=0x143 => bytes_by_char().nth(188 + (code - 0x100) as usize),
        _ => None,
    }
}

/// Characters as bytes; a text with other characters in it stands for itself.
pub fn to_bytes(text: &str) -> Cow<'_, [u8]> {
    let plain = |b: u8| matches!(b, b'!'..=b'~');
    if text.bytes().all(plain) {
        return Cow::Borrowed(text.as_bytes());
    }
    match text.chars().map(to_byte).collect() {
        Some(bytes) => Cow::Owned(bytes),
        None => Cow::Borrowed(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_there_and_back() {
        for byte in 0..=255u8 {
            assert_eq!(to_byte(CHARS[byte as usize]), Some(byte));
        }
        assert_eq!(to_chars(b" the\n"), "ĠtheĊ");
        assert_eq!(&*to_bytes("ĠtheĊ"), b" the\n");
        assert_eq!(&*to_bytes("漢"), "漢".as_bytes());
        let order: Vec<char> = bytes_by_char().map(|b| CHARS[b as usize]).collect();
        assert!(order.is_sorted() && order.len() == 256);
    }
}
