//! The `tokenizer.bin` of llama2.c: sentencepiece's BPE of Llama 2, with a score for each token.
//!
//! The file is the length of the longest token (u32) and for each token its score (f32), length (u32) and bytes, all little-endian;
//! ids count from 0, with `<unk>`, `<s>`, `</s>` and 256 bytes `<0x00>` … first. A text gets a space in front; characters that are
//! no token become bytes. Source: `encode` in llama2.c's `run.c` (A. Karpathy).

use gradus_tensor::{Error, Result};

use super::added::AddedToken;
use super::bpe::{Bpe, CharAtoms};
use super::decoder::Decoder;
use super::model::Model;
use super::normalizer::Normalizer;
use super::post_processor::{PostProcessor, Slot};
use super::tokenizer::Tokenizer;
use super::vocab::Vocab;

impl Tokenizer {
    /// A tokenizer from the bytes of a `tokenizer.bin` of llama2.c. Encoding puts `<s>` in front.
    ///
    /// Errors when the file is cut off, or a token comes twice.
    pub fn llama2c(file: &[u8]) -> Result<Self> {
        let wrong =
            |at: usize, why: &str| Error::format("tokenizer.bin", format!("byte {at}: {why}"));
        let word = |at: usize| {
            let bytes = file.get(at..at.checked_add(4)?)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        let longest = word(0).ok_or_else(|| wrong(0, "the file is empty"))? as usize;
        let (mut tokens, mut scores) = (Vec::new(), Vec::new());
        let mut at = 4;
        while at < file.len() {
            let cut_off = || wrong(at, "a token is cut off");
            let score = f32::from_bits(word(at).ok_or_else(cut_off)?);
            let len = word(at + 4).ok_or_else(cut_off)? as usize;
            if len > longest {
                return Err(wrong(
                    at,
                    &format!("a token of {len} bytes; the longest has {longest}"),
                ));
            }
            let token = file.get(at + 8..at + 8 + len).ok_or_else(cut_off)?;
            // Llama's file writes these with spaces around the name.
            let token = match (tokens.len(), token) {
                (1, b"\n<s>\n") => &b"<s>"[..],
                (2, b"\n</s>\n") => &b"</s>"[..],
                _ => token,
            };
            tokens.push(token);
            scores.push(score);
            at += 8 + len;
        }
        if tokens.len() < 259 {
            return Err(wrong(
                at,
                "fewer tokens than the 3 special ones and 256 bytes",
            ));
        }
        let special = |id: usize| {
            let name = String::from_utf8_lossy(tokens[id]).into_owned();
            AddedToken::special(name, id as u32)
        };
        let added: Vec<AddedToken> = (0..3).map(special).collect();
        let atoms = CharAtoms {
            byte_fallback: true,
            ..CharAtoms::default()
        };
        let bpe = Bpe::from_scores(Vocab::new(tokens.iter().zip(0..))?, &scores, atoms)?;
        let start = Slot::Special {
            token: added[1].content.clone(),
            id: 1,
            type_id: 0,
        };
        let single = vec![start, Slot::A { type_id: 0 }];
        let mut pair = single.clone();
        pair.push(Slot::B { type_id: 1 });
        Tokenizer::new(Model::Bpe(bpe))
            .with_normalizers(vec![Normalizer::Prepend(" ".into())])
            .with_post_processor(PostProcessor {
                single,
                pair,
                trim_offsets: None,
            })
            .with_decoders(vec![
                Decoder::ByteFallback,
                Decoder::Fuse,
                Decoder::Strip {
                    content: ' ',
                    start: 1,
                    stop: 0,
                },
            ])
            .with_added_tokens(added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of the special tokens, the bytes, and these with their scores.
    fn file(more: &[(&str, f32)]) -> Vec<u8> {
        let bytes = (0..=255u8).map(|b| (format!("<0x{b:02X}>"), 0.0));
        let special = ["<unk>", "\n<s>\n", "\n</s>\n"].map(|t| (t.to_owned(), 0.0));
        let more = more.iter().map(|(t, score)| ((*t).to_owned(), *score));
        let mut file = 16u32.to_le_bytes().to_vec();
        for (token, score) in special.into_iter().chain(bytes).chain(more) {
            file.extend(f32::to_le_bytes(score));
            file.extend((token.len() as u32).to_le_bytes());
            file.extend(token.as_bytes());
        }
        file
    }

    #[test]
    fn the_highest_score_first() {
        let tokens = [
            (" a", -1.0),
            ("bc", -2.0),
            ("ab", -3.0),
            (" ", -9.0),
            ("a", -9.0),
            ("b", -9.0),
            ("c", -9.0),
        ];
        let llama = Tokenizer::llama2c(&file(&tokens)).unwrap();
        assert_eq!(llama.encode("abc").unwrap().ids, [1, 259, 260]);
        assert_eq!(
            llama.encode("xab").unwrap().ids,
            [1, 262, 3 + u32::from(b'x'), 261]
        );
        assert_eq!(llama.encode("").unwrap().ids, [1]);
        let ids = llama.encode("abc é\n").unwrap().ids;
        assert_eq!(llama.decode(&ids, true).unwrap(), "abc é\n");
        let again = Tokenizer::from_json(&llama.to_json()).unwrap();
        assert_eq!(
            again.encode("abc é").unwrap(),
            llama.encode("abc é").unwrap()
        );
    }

    #[test]
    fn lies_are_refused() {
        let good = file(&[]);
        for end in 0..good.len() {
            assert!(Tokenizer::llama2c(&good[..end]).is_err(), "{end}");
        }
        assert!(Tokenizer::llama2c(&file(&[("a", 0.0), ("a", 0.0)])).is_err());
        assert!(Tokenizer::llama2c(&file(&[("a", f32::NAN)])).is_err());
        assert!(Tokenizer::llama2c(&file(&[("seventeen letters", 0.0)])).is_err());
    }
}
