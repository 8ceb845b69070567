//! A file of PyTorch's as a whole: the zip archive, or the legacy run of pickles.
#![no_main]

use gradus_tensor::pytorch::Value;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    gradus_fuzz::limit_memory();
    if let Ok(value) = Value::from_bytes(data.to_vec()) {
        let _ = value.into_state_dict();
    }
});
