//! `gradus tokenize`: texts to tokens, ids to text, and learning a vocabulary.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use gradus_nlp::tokenizers::{BpeTrainer, EncodeOptions, Encoding, Pattern, Tokenizer};
use gradus_tensor::{Error, Result};
use gradus_train::progress::{say, thousands};
use serde_json::json;

/// The options of `gradus tokenize`.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gradus tokenize --tokenizer minilm/tokenizer.json \"Hello, world\"
  gradus tokenize --tokenizer gpt2/ --file novel.txt --count
  echo \"one text\" | gradus tokenize --tokenizer cl100k_base.tiktoken --json
  gradus tokenize --tokenizer gpt2/ --decode 15496 995
  gradus tokenize --train 5000 --file novel.txt --out mine/tokenizer.json

A tokenizer is a tokenizer.json, a vocab.txt, a vocab.json with merges.txt (or
encoder.json with vocab.bpe), a .tiktoken, or a folder with one of these in it.")]
pub struct TokenizeArgs {
    /// The texts; without any and without --file, standard input.
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// The tokenizer's file or folder.
    #[arg(long, value_name = "PATH", required_unless_present = "train")]
    tokenizer: Option<PathBuf>,
    /// A file as a text (may be repeated).
    #[arg(long, value_name = "FILE")]
    file: Vec<PathBuf>,
    /// One line of JSON for each text.
    #[arg(long, conflicts_with = "count")]
    json: bool,
    /// Only how many tokens each text has.
    #[arg(long)]
    count: bool,
    /// Nothing but the text: no [CLS] around it, and no special token read from it.
    #[arg(long)]
    ordinary: bool,
    /// The texts are ids; print what they stand for.
    #[arg(long, conflicts_with_all = ["train", "json", "count", "ordinary"])]
    decode: bool,
    /// Learn a byte-level vocabulary of N tokens from the texts instead.
    #[arg(long, value_name = "N", requires = "out", conflicts_with_all = ["tokenizer", "json", "count", "ordinary"])]
    train: Option<usize>,
    /// Where the learnt tokenizer is saved, a tokenizer.json.
    #[arg(long, value_name = "FILE", requires = "train")]
    out: Option<PathBuf>,
    /// How texts are cut before merges are learnt.
    #[arg(long, value_name = "NAME", default_value = "gpt2", value_parser = ["gpt2", "cl100k", "llama3", "qwen2", "none"])]
    pattern: String,
    /// A special token of the learnt vocabulary (may be repeated).
    #[arg(long, value_name = "TOKEN", requires = "train")]
    special: Vec<String>,
}

pub fn run(args: &TokenizeArgs) -> Result<ExitCode> {
    let texts = texts(args)?;
    if let Some(size) = args.train {
        return train(args, size, &texts);
    }
    let path = args.tokenizer.as_deref().unwrap_or(Path::new("."));
    let tokenizer = Tokenizer::from_file(path)?;
    if args.decode {
        return decode(&tokenizer, &texts);
    }
    let options = match args.ordinary {
        true => EncodeOptions::ordinary(),
        false => EncodeOptions::default(),
    };
    for text in &texts {
        if args.count {
            let ids = tokenizer.encode_ids(text, options)?;
            say(&format!(
                "{} tokens of {} characters",
                thousands(ids.len() as u64),
                thousands(text.chars().count() as u64)
            ));
            continue;
        }
        let encoding = tokenizer.encode_with(text, None, options)?;
        match args.json {
            true => say(&as_json(&tokenizer, text, &encoding)),
            false => table(&tokenizer, text, &encoding),
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the command line, the files or standard input give.
fn texts(args: &TokenizeArgs) -> Result<Vec<String>> {
    let not_text = |path: &str, e: std::string::FromUtf8Error| {
        let at = e.utf8_error().valid_up_to();
        Error::format("", format!("{path} is not UTF-8 text (byte {at})"))
    };
    let mut texts = args.texts.clone();
    for path in &args.file {
        let shown = path.display().to_string();
        let bytes =
            std::fs::read(path).map_err(|e| Error::io("", format!("cannot read {shown}"), e))?;
        texts.push(String::from_utf8(bytes).map_err(|e| not_text(&shown, e))?);
    }
    if texts.is_empty() {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io("", "cannot read standard input", e))?;
        texts.push(String::from_utf8(bytes).map_err(|e| not_text("standard input", e))?);
    }
    Ok(texts)
}

/// A line for each token: id, token, where it lies, what stands there. Padding, which some tokenizers add by the hundred, is counted.
fn table(tokenizer: &Tokenizer, text: &str, encoding: &Encoding) {
    let tokens = tokenizer.tokens(encoding);
    let width = tokens
        .iter()
        .map(|t| t.chars().count())
        .max()
        .unwrap_or(0)
        .clamp(5, 24);
    say(&format!(
        "{:>7}  {:width$}  {:>13}  text",
        "id", "token", "bytes"
    ));
    let rows = tokens.iter().zip(&encoding.ids).zip(&encoding.offsets);
    for (((token, id), (start, end)), mask) in rows.zip(&encoding.attention_mask) {
        if *mask == 0 {
            continue;
        }
        let there = text.get(*start..*end).unwrap_or_default();
        let place = format!("{start}..{end}");
        say(&format!("{id:>7}  {token:width$}  {place:>13}  {there:?}"));
    }
    let count = encoding
        .attention_mask
        .iter()
        .filter(|&&mask| mask == 1)
        .count();
    let padding = match tokens.len() - count {
        0 => String::new(),
        n => format!(", and {} of padding", thousands(n as u64)),
    };
    say(&format!("{} tokens{padding}", thousands(count as u64)));
}

fn as_json(tokenizer: &Tokenizer, text: &str, encoding: &Encoding) -> String {
    json!({
        "text": text,
        "ids": encoding.ids,
        "tokens": tokenizer.tokens(encoding),
        "offsets": encoding.offsets,
        "type_ids": encoding.type_ids,
        "attention_mask": encoding.attention_mask,
    })
    .to_string()
}

/// Ids, with spaces or commas between, as text.
fn decode(tokenizer: &Tokenizer, texts: &[String]) -> Result<ExitCode> {
    let words = texts
        .iter()
        .flat_map(|text| text.split([' ', ',', '[', ']', '\n', '\t', '\r']));
    let id = |word: &str| {
        word.parse::<u32>().map_err(|_| {
            Error::value(
                "",
                format!("--decode takes ids, whole numbers; {word:?} is none"),
            )
        })
    };
    let ids: Vec<u32> = words
        .filter(|word| !word.is_empty())
        .map(id)
        .collect::<Result<_>>()?;
    say(&tokenizer.decode(&ids, false)?);
    Ok(ExitCode::SUCCESS)
}

fn train(args: &TokenizeArgs, size: usize, texts: &[String]) -> Result<ExitCode> {
    let pattern = match args.pattern.as_str() {
        "cl100k" => Some(Pattern::Cl100k),
        "llama3" => Some(Pattern::Llama3),
        "qwen2" => Some(Pattern::Qwen2),
        "none" => None,
        _ => Some(Pattern::Gpt2),
    };
    let trainer = BpeTrainer {
        pattern,
        special_tokens: args.special.clone(),
        ..BpeTrainer::new(size)
    };
    let bpe = trainer.train(texts)?;
    let merges = bpe.merges().len();
    let special: Vec<&str> = args.special.iter().map(String::as_str).collect();
    let tokenizer = Tokenizer::byte_level(bpe, pattern, &special)?;
    let mut tokens = 0;
    for text in texts {
        tokens += tokenizer.encode_ids(text, EncodeOptions::ordinary())?.len();
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    say(&format!(
        "{} tokens: 256 bytes, {} merges, {} special; {:.2} bytes of the texts in a token",
        thousands(tokenizer.vocab_size() as u64),
        thousands(merges as u64),
        special.len(),
        bytes as f64 / tokens.max(1) as f64
    ));
    let out = args.out.as_deref().unwrap_or(Path::new("tokenizer.json"));
    let path = tokenizer.save(out)?;
    say(&path.display().to_string());
    Ok(ExitCode::SUCCESS)
}
