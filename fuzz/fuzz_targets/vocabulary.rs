//! Vocabularies and merges in the older formats: BERT's, GPT-2's two files, tiktoken's ranks; and a text through each.
#![no_main]

use gradus_nlp::tokenizers::{Pattern, Tokenizer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (u8, String, String, String)| {
    let (kind, first, second, text) = data;
    let made = match kind % 4 {
        0 => Tokenizer::bert(&first, kind > 127),
        // Few inputs have the special tokens by chance.
        1 => Tokenizer::bert(&format!("[UNK]\n[CLS]\n[SEP]\n{first}"), kind > 127),
        2 => Tokenizer::gpt2(&first, &second),
        _ => Tokenizer::tiktoken(&first, Pattern::Cl100k, &[]),
    };
    let Ok(tokenizer) = made else { return };
    if let Ok(encoding) = tokenizer.encode(&text) {
        let _ = tokenizer.decode(&encoding.ids, false);
    }
});
