//! Learns a byte-level vocabulary from a text and cuts a line with it, showing where each token comes from.
//!
//!     cargo run --release -p gradus-nlp --example tokenize [FILE]

use gradus_nlp::tokenizers::{BpeTrainer, Pattern, Tokenizer};
use gradus_tensor::{Error, Result};

const A_POEM: &str = "The sea, the sea, the open sea! The blue, the fresh, the ever free! Without a mark, without a bound, \
    it runneth the earth's wide regions round. It plays with the clouds; it mocks the skies; or like a cradled creature lies.";

fn main() -> Result<()> {
    let text = match std::env::args().nth(1) {
        Some(path) => std::fs::read_to_string(&path)
            .map_err(|e| Error::io("", format!("cannot read {path}"), e))?,
        None => A_POEM.to_owned(),
    };
    let bpe = BpeTrainer::new(512).train([&text])?;
    println!(
        "{} bytes of text, {} merges",
        text.len(),
        bpe.merges().len()
    );
    let tokenizer = Tokenizer::byte_level(bpe, Some(Pattern::Gpt2), &[])?;

    let line = "the earth's seas, été";
    let encoding = tokenizer.encode(line)?;
    for (token, (id, (start, end))) in tokenizer
        .tokens(&encoding)
        .iter()
        .zip(encoding.ids.iter().zip(&encoding.offsets))
    {
        println!("{id:5}  {token:10} {:?}", &line[*start..*end]);
    }

    print!("streamed:");
    let mut stream = tokenizer.decode_stream(true);
    for id in &encoding.ids {
        print!(" {:?}", stream.push(*id)?); // é comes whole, though it is two tokens
    }
    println!(" {:?}", stream.finish()?);
    Ok(())
}
