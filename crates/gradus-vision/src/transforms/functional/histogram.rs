//! Bytes to bytes by a table, one for each channel, some of them made from its histogram: Pillow's `ImageOps`.

use gradus_train::Result;
use gradus_train::error::invalid;

use crate::image::Image;

/// Each channel through the table that `table` makes of its histogram.
fn look_up(image: Image, table: impl Fn(&[u64; 256]) -> [u8; 256]) -> Result<Image> {
    let image = image.into_bytes();
    let (channels, h, w) = (image.channels(), image.height(), image.width());
    let mut bytes = image.bytes().unwrap_or_default().to_vec();
    for plane in bytes.chunks_exact_mut((h * w).max(1)) {
        let mut histogram = [0u64; 256];
        plane.iter().for_each(|&b| histogram[b as usize] += 1);
        let table = table(&histogram);
        plane.iter_mut().for_each(|b| *b = table[*b as usize]);
    }
    Image::from_bytes(channels, h, w, bytes)
}

fn identity() -> [u8; 256] {
    std::array::from_fn(|i| i as u8)
}

/// Light becomes dark.
///
/// # Errors
/// None but those of memory.
pub fn invert(image: Image) -> Result<Image> {
    look_up(image, |_| std::array::from_fn(|i| 255 - i as u8))
}

/// Only the highest `bits` of each byte stay.
///
/// # Errors
/// When `bits` is above 8.
pub fn posterize(image: Image, bits: u32) -> Result<Image> {
    if bits > 8 {
        return Err(invalid(format!("posterize: {bits} bits of a byte of 8")));
    }
    let mask = !((1u16 << (8 - bits)) - 1) as u8;
    look_up(image, |_| identity().map(|i| i & mask))
}

/// What is at or above the threshold (in bytes) is inverted.
///
/// # Errors
/// When the threshold is no number.
pub fn solarize(image: Image, threshold: f64) -> Result<Image> {
    if threshold.is_nan() {
        return Err(invalid("solarize: the threshold is no number"));
    }
    let one = |i: u8| if f64::from(i) < threshold { i } else { 255 - i };
    look_up(image, |_| identity().map(one))
}

/// Each channel stretched so that its darkest value becomes 0 and its lightest 255.
///
/// # Errors
/// None but those of memory.
pub fn autocontrast(image: Image) -> Result<Image> {
    look_up(image, |histogram| {
        let low = histogram.iter().position(|&n| n > 0).unwrap_or(0);
        let high = histogram.iter().rposition(|&n| n > 0).unwrap_or(0);
        if high <= low {
            return identity();
        }
        let scale = 255.0 / (high - low) as f64;
        let offset = -(low as f64) * scale;
        identity().map(|i| (f64::from(i) * scale + offset) as u8) // saturates
    })
}

/// Each channel spread so that every brightness is about as frequent as every other.
///
/// # Errors
/// None but those of memory.
pub fn equalize(image: Image) -> Result<Image> {
    look_up(image, |histogram| {
        let last = histogram.iter().rev().find(|&&n| n > 0).unwrap_or(&0);
        let step = (histogram.iter().sum::<u64>() - last) / 255;
        if step == 0 {
            return identity();
        }
        let mut n = step / 2;
        histogram.map(|count| {
            let value = (n / step).min(255) as u8;
            n += count;
            value
        })
    })
}
