//! The index of a checkpoint in several files, with one such file beside it.
#![no_main]

use gradus_tensor::{Tensor, safetensors, weights};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    gradus_fuzz::limit_memory();
    let folder = gradus_fuzz::folder();
    let part = folder.join("a.safetensors");
    if !part.exists() {
        let one = [("x", &Tensor::scalar(1f32)), ("y", &Tensor::scalar(2f32))];
        safetensors::save(&part, one, &Default::default()).unwrap();
    }
    let index = folder.join("model.safetensors.index.json");
    std::fs::write(&index, data).unwrap();
    let _ = weights::load(&index);
});
