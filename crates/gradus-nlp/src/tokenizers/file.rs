//! Vocabulary files of other kinds: BERT's `vocab.txt`, GPT-2's `vocab.json` with `merges.txt`, tiktoken's ranks.
//! What each means is below; which one a path means is [`Tokenizer::from_file`].

use std::path::{Path, PathBuf};

use gradus_tensor::{Error, Result};

use super::added::AddedToken;
use super::bpe::Bpe;
use super::decoder::Decoder;
use super::hf::{Entries, byte_level_bpe};
use super::model::Model;
use super::normalizer::{BertNormalizer, Normalizer};
use super::pattern::Pattern;
use super::post_processor::PostProcessor;
use super::pre_tokenizer::PreTokenizer;
use super::tokenizer::Tokenizer;
use super::vocab::Vocab;
use super::wordpiece::{WordPiece, WordPieceOptions};

/// A vocabulary and the merges that go with it, by the names they have in the wild.
const WITH_MERGES: [(&str, &str); 2] =
    [("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")];

impl Tokenizer {
    /// A tokenizer from a file, or from a folder with one in it.
    ///
    /// Known are `tokenizer.json`, `vocab.txt` (BERT; `do_lower_case` is read from a `tokenizer_config.json` beside it),
    /// `vocab.json` with `merges.txt` or `encoder.json` with `vocab.bpe` (GPT-2), `NAME.tiktoken`, and `tokenizer.bin` (llama2.c).
    ///
    /// Errors when the file cannot be read or is none of these; the error says what is wrong with it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = if path.is_dir() {
            in_folder(path)?
        } else {
            path.to_owned()
        };
        let within = |e: Error| Error::new(e.kind(), "", format!("{}: {e}", file.display()));
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let beside = |other: &str| file.with_file_name(other);
        if let Some((vocab, merges)) = WITH_MERGES.iter().find(|(v, m)| name == *v || name == *m) {
            return Self::gpt2(&read(&beside(vocab))?, &read(&beside(merges))?).map_err(within);
        }
        let kind = file.extension().unwrap_or_default();
        if kind == "bin" {
            return Self::llama2c(&read_bytes(&file)?).map_err(within);
        }
        let text = read(&file)?;
        if kind == "tiktoken" {
            return named_ranks(&name, &text).map_err(within);
        }
        if kind == "txt" {
            let config =
                std::fs::read_to_string(beside("tokenizer_config.json")).unwrap_or_default();
            let config: serde_json::Value = serde_json::from_str(&config).unwrap_or_default();
            let lowercase = config["do_lower_case"].as_bool().unwrap_or(true);
            return Self::bert(&text, lowercase).map_err(within);
        }
        Self::from_json(&text).map_err(within)
    }

    /// Writes a `tokenizer.json`; to a folder, under that name.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let mut path = path.as_ref().to_owned();
        if path.is_dir() {
            path.push("tokenizer.json");
        }
        std::fs::write(&path, self.to_json())
            .map_err(|e| Error::io("", format!("cannot write {}", path.display()), e))?;
        Ok(path)
    }

    /// BERT's tokenizer from the text of its `vocab.txt`, one token a line, numbered from 0.
    ///
    /// Errors when a token comes twice, or `[UNK]`, `[CLS]` or `[SEP]` is missing.
    ///
    /// ```
    /// use gradus_nlp::tokenizers::Tokenizer;
    /// let bert = Tokenizer::bert("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n##s\n", true)?;
    /// assert_eq!(bert.encode("Hellos [MASK]")?.ids, [2, 5, 6, 4, 3]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn bert(vocab: &str, lowercase: bool) -> Result<Self> {
        let vocab = Vocab::new(vocab.lines().zip(0..))?;
        let special = |token: &str| {
            vocab.get(token.as_bytes()).ok_or_else(|| {
                Error::format(
                    "vocab.txt",
                    format!("{token} is not in it; is this a vocabulary of BERT?"),
                )
            })
        };
        special("[UNK]")?;
        let (cls, sep) = (special("[CLS]")?, special("[SEP]")?);
        let names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
        let added = names
            .iter()
            .filter_map(|t| Some(AddedToken::special(*t, vocab.get(t.as_bytes())?)));
        let mut added: Vec<AddedToken> = added.collect();
        added.sort_by_key(|token| token.id);
        let options = WordPieceOptions::default();
        let prefix = options.continuing_subword_prefix.clone();
        let normalizer = BertNormalizer {
            lowercase,
            ..BertNormalizer::default()
        };
        Tokenizer::new(Model::WordPiece(WordPiece::new(vocab, options)?))
            .with_normalizers(vec![Normalizer::Bert(normalizer)])
            .with_pre_tokenizers(vec![PreTokenizer::Bert])
            .with_post_processor(PostProcessor::bert(("[CLS]", cls), ("[SEP]", sep)))
            .with_decoders(vec![Decoder::WordPiece {
                prefix,
                cleanup: true,
            }])
            .with_added_tokens(added)
    }

    /// GPT-2's tokenizer from the texts of its vocabulary (JSON) and its merges (one a line, after a line `#version`).
    ///
    /// Errors when they are not that, contradict each other, or a token or merge comes twice.
    pub fn gpt2(vocab: &str, merges: &str) -> Result<Self> {
        let entries: Entries = serde_json::from_str(vocab).map_err(|e| {
            Error::format("vocabulary", "not a JSON of tokens and ids").with_source(e)
        })?;
        let Entries::Ids(entries) = entries else {
            return Err(Error::format(
                "vocabulary",
                "a list; tokens with ids are expected",
            ));
        };
        let lines = merges.lines().enumerate();
        let lines = lines
            .filter(|(i, line)| !(line.is_empty() || (*i == 0 && line.starts_with("#version"))));
        let merges = lines.map(merge_line).collect::<Result<Vec<_>>>()?;
        let bpe = byte_level_bpe(&entries, merges)?;
        let end = "<|endoftext|>";
        let special = bpe.vocab().get(end.as_bytes()).map(|id| (end, id));
        byte_level(bpe, Pattern::Gpt2, special.as_slice())
    }

    /// A tokenizer of a model trained here; special tokens must be in its vocabulary.
    pub fn byte_level(bpe: Bpe, pattern: Option<Pattern>, special: &[&str]) -> Result<Self> {
        let id = |token: &&str| {
            let id = bpe.vocab().get(token.as_bytes()).ok_or_else(|| {
                Error::value(
                    "byte_level",
                    format!("the special token {token:?} is not in the vocabulary"),
                )
            })?;
            Ok(AddedToken::special(*token, id))
        };
        let added = special.iter().map(id).collect::<Result<_>>()?;
        Tokenizer::new(Model::Bpe(bpe))
            .with_pre_tokenizers(pattern.map(PreTokenizer::Pattern).into_iter().collect())
            .with_decoders(vec![Decoder::ByteLevel])
            .with_added_tokens(added)
    }

    /// tiktoken's tokenizer from the text of its ranks: a token in base64 and its id, one pair a line.
    ///
    /// Errors when a line is not that, a token or id comes twice, or one of the 256 bytes is missing.
    pub fn tiktoken(ranks: &str, pattern: Pattern, special: &[(&str, u32)]) -> Result<Self> {
        let read = |line: &str| {
            let (token, rank) = line.split_once(' ')?;
            let token = base64(token.as_bytes()).filter(|token| !token.is_empty())?;
            Some((token, rank.trim_end().parse::<u32>().ok()?))
        };
        let mut tokens = Vec::new();
        for (i, line) in ranks
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
        {
            tokens.push(read(line).ok_or_else(|| {
                let shown: String = line.chars().take(60).collect();
                Error::format(
                    "ranks",
                    format!(
                        "line {} is not a token in base64 and its id: {shown:?}",
                        i + 1
                    ),
                )
            })?);
        }
        let bpe = Bpe::from_ranks(Vocab::new(tokens)?)?;
        byte_level(bpe, pattern, special)
    }
}

/// The sides of a merge, from a numbered line.
fn merge_line((i, line): (usize, &str)) -> Result<(&str, &str)> {
    match line.split_once(' ') {
        Some((left, right)) if !right.contains(' ') => Ok((left, right)),
        _ => Err(Error::format(
            "merges",
            format!(
                "line {} is not two tokens with a space between: {line:?}",
                i + 1
            ),
        )),
    }
}

fn byte_level(bpe: Bpe, pattern: Pattern, special: &[(&str, u32)]) -> Result<Tokenizer> {
    let added = special
        .iter()
        .map(|(token, id)| AddedToken::special(*token, *id));
    Tokenizer::new(Model::Bpe(bpe))
        .with_pre_tokenizers(vec![PreTokenizer::Pattern(pattern)])
        .with_decoders(vec![Decoder::ByteLevel])
        .with_added_tokens(added.collect())
}

/// A file of ranks by its name, which says the pattern and the special tokens.
fn named_ranks(name: &str, text: &str) -> Result<Tokenizer> {
    let end = "<|endoftext|>";
    match name.trim_end_matches(".tiktoken") {
        name if name.starts_with("o200k") => Err(Error::unsupported(
            "tiktoken",
            "the pattern of o200k is not supported; those of cl100k and before are",
        )),
        "r50k_base" | "p50k_base" | "gpt2" => {
            Tokenizer::tiktoken(text, Pattern::Gpt2, &[(end, 50256)])
        }
        "cl100k_base" => {
            let special = [
                (end, 100257),
                ("<|fim_prefix|>", 100258),
                ("<|fim_middle|>", 100259),
                ("<|fim_suffix|>", 100260),
                ("<|endofprompt|>", 100276),
            ];
            Tokenizer::tiktoken(text, Pattern::Cl100k, &special)
        }
        _ => Tokenizer::tiktoken(text, Pattern::Cl100k, &[]),
    }
}

/// The tokenizer's file in a folder.
fn in_folder(folder: &Path) -> Result<PathBuf> {
    let there = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
    let known = ["tokenizer.json", "vocab.txt", "tokenizer.bin"].into_iter();
    let known = known.chain(WITH_MERGES.iter().map(|(vocab, _)| *vocab));
    if let Some(file) = known.into_iter().find_map(there) {
        return Ok(file);
    }
    let entries = std::fs::read_dir(folder)
        .map_err(|e| Error::io("", format!("cannot read {}", folder.display()), e))?;
    let mut ranks: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    ranks.retain(|path| path.extension().is_some_and(|x| x == "tiktoken"));
    match &ranks[..] {
        [one] => Ok(one.clone()),
        _ => Err(Error::value(
            "",
            format!(
                "{} holds no tokenizer: no tokenizer.json, vocab.txt, vocab.json with merges.txt, encoder.json with vocab.bpe, tokenizer.bin, nor one .tiktoken",
                folder.display()
            ),
        )),
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| Error::io("", format!("cannot read {}", path.display()), e))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|e| Error::io("", format!("cannot read {}", path.display()), e))
}

/// Standard base64 with padding; `None` for anything else.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => Some(c - b'A'),
        b'a'..=b'z' => Some(c - b'a' + 26),
        b'0'..=b'9' => Some(c - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let padding = text.iter().rev().take_while(|c| **c == b'=').count();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for four in text[..text.len() - padding].chunks(4) {
        let bits = four
            .iter()
            .try_fold(0u32, |bits, c| Some(bits << 6 | u32::from(digit(*c)?)))?;
        let bits = bits << (6 * (4 - four.len()));
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_and_what_is_none() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
        ] {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes.as_bytes()));
        }
        for text in ["Z", "Zg=", "====", "Z!==", "Zg==Zg=="] {
            assert_eq!(base64(text.as_bytes()), None, "{text}");
        }
    }
}
