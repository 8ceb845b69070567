//! Tokenizers in bytes of text per second, one thread, beside the crates of the references.
//!
//! The text is tinyshakespeare of `GRADUS_DATA`, or what stands below again and again. GPT-2's vocabulary is that of the data
//! folder; BERT's comes from `minilm/tokenizer.json` there or in the data cache; cl100k's ranks are those inside `tiktoken-rs`.
//! `lines` encodes line by line, `text` all at once.

use std::convert::Infallible;
use std::hint::black_box;
use std::path::PathBuf;

use gradus_peer::{Bench, Work};
use gradus_nlp::tokenizers::{Bpe, BpeTrainer, EncodeOptions, Pattern, Tokenizer, Vocab};

const A_SPEECH: &str = "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\nSpeak, speak.\n\n\
    First Citizen:\nYou are all resolved rather to die than to famish?\n\n";

fn data(name: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/gradus-data"));
    let cache = std::env::var_os("GRADUS_DATA_CACHE")
        .map(PathBuf::from)
        .or(home);
    let data = std::env::var_os("GRADUS_DATA").map(PathBuf::from);
    let mut files = data
        .into_iter()
        .chain(cache)
        .map(|folder| folder.join(name));
    files.find(|file| file.exists())
}

fn text() -> String {
    let file = data("text/tinyshakespeare.txt").and_then(|file| std::fs::read_to_string(file).ok());
    file.unwrap_or_else(|| A_SPEECH.repeat(8000))
}

/// Rows of one peer: `tokenize_SCHEME_text` all at once, `_lines` line by line.
struct Rows<'a> {
    bench: Bench,
    text: &'a str,
}

impl Rows<'_> {
    fn row(&self, name: &str, mut f: impl FnMut(&str) -> usize) {
        let text = self.text;
        let bytes = Work::Bytes(text.len() as f64);
        self.bench.run(("fw", "tokenizers"), name, bytes, || {
            Ok(move || -> Result<(), Infallible> {
                black_box(f(black_box(text)));
                Ok(())
            })
        });
    }

    fn scheme(&self, name: &str, whole: impl FnMut(&str) -> usize, mut line: impl FnMut(&str) -> usize) {
        self.row(&format!("tokenize_{name}_text"), whole);
        self.row(&format!("tokenize_{name}_lines"), |text| text.lines().map(&mut line).sum());
    }
}

fn ours(rows: &Rows, name: &str, tokenizer: &Tokenizer) {
    rows.scheme(
        name,
        |text| tokenizer.encode_ids(text, EncodeOptions::ordinary()).map_or(0, |ids| ids.len()),
        |line| tokenizer.encode(line).map_or(0, |e| e.len()),
    );
}

fn theirs(rows: &Rows, name: &str, tokenizer: &tokenizers::Tokenizer) {
    rows.scheme(
        name,
        |text| tokenizer.encode_fast(text, false).map_or(0, |e| e.len()),
        |line| tokenizer.encode(line, true).map_or(0, |e| e.len()),
    );
}

fn main() {
    // One text is encoded on one thread by both; training is told to use no more.
    tokenizers::parallelism::set_parallelism(false);
    let text = text();
    let rows = |peer| Rows { bench: Bench::new(peer), text: &text };
    let (us, them) = (rows("gradus"), rows("tokenizers"));

    // Without the file of a real vocabulary, one learnt here serves both sides.
    let gpt2 = data("tokenizers/gpt2").and_then(|folder| Tokenizer::from_file(folder).ok());
    let gpt2 = gpt2.unwrap_or_else(|| {
        let bpe = BpeTrainer::new(5000).train([&text]).expect("room for the bytes");
        Tokenizer::byte_level(bpe, Some(Pattern::Gpt2), &[]).expect("no special tokens")
    });
    ours(&us, "gpt2", &gpt2);
    theirs(&them, "gpt2", &gpt2.to_json().parse().expect("the same tokenizer"));

    if let Some(file) = data("minilm/tokenizer.json") {
        let mut bert = Tokenizer::from_file(&file).expect("a tokenizer");
        bert.set_truncation(None);
        bert.set_padding(None);
        ours(&us, "bert", &bert);
        theirs(&them, "bert", &bert.to_json().parse().expect("the same tokenizer"));
    }

    let tiktoken = tiktoken_rs::cl100k_base().expect("ranks inside the crate");
    ours(&us, "cl100k", &cl100k(&tiktoken));
    rows("tiktoken").row("tokenize_cl100k_text", |text| tiktoken.encode_ordinary(text).len());
    us.row("tokenizer_train", |text| BpeTrainer::new(2000).train([text]).is_ok().into());
    them.row("tokenizer_train", train_theirs);
}

/// The tokenizer of the ranks inside the crate.
fn cl100k(tiktoken: &tiktoken_rs::CoreBPE) -> Tokenizer {
    let token = |id: u32| Some((tiktoken.decode_bytes(&[id]).ok()?, id));
    let vocab = Vocab::new((0..100_256).filter_map(token)).expect("no token twice");
    let bpe = Bpe::from_ranks(vocab).expect("all bytes");
    Tokenizer::byte_level(bpe, Some(Pattern::Cl100k), &[]).expect("no special tokens")
}

/// The same training with `tokenizers`.
fn train_theirs(text: &str) -> usize {
    use tokenizers::models::bpe::{BPE, BpeTrainer as Trainer};
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;
    use tokenizers::{PreTokenizer as _, Trainer as _};
    let mut trainer = Trainer::builder()
        .vocab_size(2000)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let level = ByteLevel::new(false, false, true);
    let words = trainer.feed(std::iter::once(text), |text| {
        let mut pieces = tokenizers::PreTokenizedString::from(text);
        level.pre_tokenize(&mut pieces)?;
        let splits = pieces.get_splits(
            tokenizers::OffsetReferential::Original,
            tokenizers::OffsetType::Byte,
        );
        Ok(splits
            .into_iter()
            .map(|(piece, _, _)| piece.to_owned())
            .collect())
    });
    words.expect("a text");
    let mut model = BPE::default();
    trainer.train(&mut model).expect("merges");
    tokenizers::Model::get_vocab_size(&model)
}
