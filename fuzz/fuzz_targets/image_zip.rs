//! A zip of images in a folder for each class: as it comes, and a sound one whose only image is the input.
#![no_main]

use std::io::{Cursor, Write};

use gradus_vision::datasets::ImageSet;
use libfuzzer_sys::fuzz_target;
use zip::write::{SimpleFileOptions, ZipWriter};

fuzz_target!(|data: &[u8]| {
    gradus_fuzz::limit_memory();
    let path = gradus_fuzz::folder().join("images.zip");
    let mut sound = ZipWriter::new(Cursor::new(Vec::new()));
    sound.start_file("cat/001.png", SimpleFileOptions::default()).unwrap();
    sound.write_all(data).unwrap();
    let sound = sound.finish().unwrap().into_inner();
    for file in [data, &sound] {
        std::fs::write(&path, file).unwrap();
        if let Ok(set) = ImageSet::folder(&path) {
            let _ = set.image(0);
        }
    }
});
