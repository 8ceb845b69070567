//! The training state in a checkpoint: sound tensors, any text as the facts about them.
#![no_main]

use std::collections::BTreeMap;

use gradus_tensor::{Tensor, safetensors};
use gradus_train::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (String, Vec<f64>, Vec<f64>, bool)| {
    gradus_fuzz::limit_memory();
    let (facts, numbers, rows, whole) = data;
    let path = gradus_fuzz::folder().join("checkpoint.safetensors");
    let facts = if whole {
        // A sound one, but for what the text changes.
        let sound = r#"{"version":1,"epoch":1,"batch":0,"step":3,"rng":{"seed":1,"offset":2},"seed":1,"batch_size":2,"samples":3"#;
        format!("{sound}{facts}}}")
    } else {
        facts
    };
    let tensors = [
        ("@epoch", Tensor::from_slice(&numbers, numbers.len()).unwrap()),
        ("@history", Tensor::from_slice(&rows, rows.len()).unwrap()),
        ("w", Tensor::scalar(1f32)),
    ];
    let metadata = BTreeMap::from([("gradus.training".to_string(), facts)]);
    safetensors::save(&path, tensors.iter().map(|(k, v)| (*k, v)), &metadata).unwrap();
    let _ = Checkpoint::load(&path);
});
