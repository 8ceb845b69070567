//! A PNG or JPEG image.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(image) = gradus_vision::decode::decode(data) else { return };
    assert_eq!(image.pixels.len(), image.height * image.width);
});
