//! The `tokenizer.bin` of llama2.c: as it comes, and after the 259 tokens it has to start with.
#![no_main]

use gradus_nlp::tokenizers::Tokenizer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut file = 64u32.to_le_bytes().to_vec();
    for token in 0..259 {
        let text = match token {
            0 => "<unk>".into(),
            1 => "\n<s>\n".into(),
            2 => "\n</s>\n".into(),
            byte => format!("<0x{:02X}>", byte - 3),
        };
        file.extend_from_slice(&0f32.to_le_bytes());
        file.extend_from_slice(&(text.len() as u32).to_le_bytes());
        file.extend_from_slice(text.as_bytes());
    }
    file.extend_from_slice(data);
    for file in [data, &file] {
        let Ok(tokenizer) = Tokenizer::llama2c(file) else { continue };
        if let Ok(encoding) = tokenizer.encode("Hello, 世界 abc") {
            let _ = tokenizer.decode(&encoding.ids, false);
        }
    }
});
