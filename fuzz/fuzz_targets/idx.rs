//! MNIST's files: plain, and the same bytes packed.
#![no_main]

use std::io::Write;

use gradus_vision::idx::Idx;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = Idx::from_bytes(data, "plain");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(data).unwrap();
    let _ = Idx::from_bytes(&packed.finish().unwrap(), "packed");
});
