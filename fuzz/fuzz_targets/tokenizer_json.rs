//! A `tokenizer.json`, and a text through what it describes.
#![no_main]

use gradus_nlp::tokenizers::Tokenizer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(tokenizer) = Tokenizer::from_json(text) else { return };
    if let Ok(encoding) = tokenizer.encode("Hello, 世界! naïve\u{301} \u{1f600} don't  1234\n") {
        let _ = tokenizer.decode(&encoding.ids, false);
    }
    let _ = Tokenizer::from_json(&tokenizer.to_json()).expect("what was written can be read");
});
