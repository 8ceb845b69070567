//! CIFAR-10: a binary batch, and the archive of them, packed here or as it comes.
#![no_main]

use std::io::Write;

use gradus_vision::datasets::{ImageSet, Split};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let folder = gradus_fuzz::folder();
    std::fs::write(folder.join("test_batch.bin"), data).unwrap();
    let _ = ImageSet::cifar10(folder, Split::Test);
    let archive = folder.join("archive.tar.gz");
    std::fs::write(&archive, data).unwrap();
    let _ = ImageSet::cifar10(&archive, Split::Test);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(data).unwrap();
    std::fs::write(&archive, packed.finish().unwrap()).unwrap();
    let _ = ImageSet::cifar10(&archive, Split::Test);
});
