//! Tables of texts and their classes, by tabs and by commas; and lists of names.
#![no_main]

use gradus_nlp::{LabelledTexts, Names};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for commas in [false, true] {
        let _ = LabelledTexts::parse(text, commas);
    }
    let _ = Names::from_text(text);
});
