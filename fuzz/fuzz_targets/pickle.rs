//! The pickle in a sound archive of PyTorch's, with two storages: what the machine in it may do.
#![no_main]

use std::io::Write;

use gradus_tensor::pytorch::Value;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    gradus_fuzz::limit_memory();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let storage = [7u8; 64];
    for (name, bytes) in [("m/data.pkl", data), ("m/byteorder", b"little"), ("m/data/0", &storage), ("m/data/1", &storage[..24]), ("m/version", b"3\n")] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    let file = zip.finish().unwrap().into_inner();
    if let Ok(value) = Value::from_bytes(file) {
        let _ = value.into_state_dict();
    }
});
