//! A model's file of llama2.c: as it comes, and behind the header of a small model.
#![no_main]

use gradus_nlp::models::LlamaForCausalLM;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    gradus_fuzz::limit_memory();
    let _ = LlamaForCausalLM::llama2c(data);
    // Width, hidden width, layers, heads, heads of keys and values, vocabulary, context.
    let mut file: Vec<u8> = [4i32, 4, 1, 2, 1, 3, 2].iter().flat_map(|n| n.to_le_bytes()).collect();
    file.extend_from_slice(data);
    let _ = LlamaForCausalLM::llama2c(&file);
});
