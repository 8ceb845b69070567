//! Brightness, contrast, saturation, sharpness and hue, as Pillow's `ImageEnhance` and HSV do them: mixing with something plainer, or
//! beyond it. A factor of 1 changes nothing, 0 leaves the plain thing alone, 2 doubles the difference.

use gradus_train::Result;
use gradus_train::error::invalid;

use crate::image::Image;

/// The bytes of an image, (C, H, W).
fn bytes_of(image: Image) -> (Image, Vec<u8>) {
    let image = image.into_bytes();
    let bytes = image.bytes().unwrap_or_default().to_vec();
    (image, bytes)
}

fn with(image: &Image, bytes: Vec<u8>) -> Result<Image> {
    Image::from_bytes(image.channels(), image.height(), image.width(), bytes)
}

/// `plain + factor * (bytes - plain)`, in f32, cut (not rounded) to bytes.
fn blend(plain: &[u8], bytes: &[u8], factor: f64) -> Vec<u8> {
    let factor = factor as f32;
    let one = |(&a, &b): (&u8, &u8)| {
        let (a, b) = (f32::from(a), f32::from(b));
        (a + factor * (b - a)) as u8 // saturates
    };
    plain.iter().zip(bytes).map(one).collect()
}

/// Luma, (H, W): ITU-R 601 in 16 binary places. A grey image's is the image.
fn luma(channels: usize, bytes: &[u8]) -> Vec<u8> {
    if channels != 3 {
        return bytes.to_vec();
    }
    let plane = bytes.len() / 3;
    let (r, rest) = bytes.split_at(plane);
    let (g, b) = rest.split_at(plane);
    let one = |i: usize| {
        let [r, g, b] = [r[i], g[i], b[i]].map(u32::from);
        ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
    };
    (0..plane).map(one).collect()
}

fn check(what: &str, image: &Image, factor: f64) -> Result<()> {
    if !(factor.is_finite() && factor >= 0.0) {
        return Err(invalid(format!(
            "{what}: factor {factor} must be 0 or more"
        )));
    }
    if !matches!(image.channels(), 1 | 3) {
        let channels = image.channels();
        return Err(invalid(format!(
            "{what}: an image has 1 or 3 channels, not {channels}"
        )));
    }
    Ok(())
}

/// Darker (below 1) or brighter (above): mixed with black.
///
/// ```
/// use gradus_vision::{Image, transforms::functional::adjust_brightness};
/// let image = Image::from_bytes(1, 1, 3, vec![10, 101, 200])?;
/// assert_eq!(adjust_brightness(image, 1.5)?.bytes(), Some(&[15, 151, 255][..]));
/// # Ok::<(), gradus_train::Error>(())
/// ```
///
/// # Errors
/// When the factor is negative or the image has neither 1 nor 3 channels.
pub fn adjust_brightness(image: Image, factor: f64) -> Result<Image> {
    check("adjust_brightness", &image, factor)?;
    let (image, bytes) = bytes_of(image);
    let black = vec![0; bytes.len()];
    with(&image, blend(&black, &bytes, factor))
}

/// Flatter (below 1) or steeper (above): mixed with its mean luma.
///
/// # Errors
/// When the factor is negative or the image has neither 1 nor 3 channels.
pub fn adjust_contrast(image: Image, factor: f64) -> Result<Image> {
    check("adjust_contrast", &image, factor)?;
    let (image, bytes) = bytes_of(image);
    let grey = luma(image.channels(), &bytes);
    let sum: u64 = grey.iter().map(|&g| u64::from(g)).sum();
    let mean = (sum as f64 / grey.len().max(1) as f64 + 0.5) as u8;
    let flat = vec![mean; bytes.len()];
    with(&image, blend(&flat, &bytes, factor))
}

/// Paler (below 1) or more colourful (above): mixed with its luma. A grey image stays.
///
/// # Errors
/// When the factor is negative or the image has neither 1 nor 3 channels.
pub fn adjust_saturation(image: Image, factor: f64) -> Result<Image> {
    check("adjust_saturation", &image, factor)?;
    let (image, bytes) = bytes_of(image);
    let grey = luma(image.channels(), &bytes).repeat(image.channels());
    with(&image, blend(&grey, &bytes, factor))
}

/// The luma of an image, once (1) or in each of three channels (3).
///
/// # Errors
/// When `channels` or the image's are neither 1 nor 3.
pub fn grayscale(image: Image, channels: usize) -> Result<Image> {
    check("grayscale", &image, 1.0)?;
    if !matches!(channels, 1 | 3) {
        return Err(invalid(format!(
            "grayscale: 1 or 3 channels, not {channels}"
        )));
    }
    let (image, bytes) = bytes_of(image);
    let grey = luma(image.channels(), &bytes).repeat(channels);
    Image::from_bytes(channels, image.height(), image.width(), grey)
}

/// Softer (below 1) or sharper (above): mixed with itself smoothed over 3 x 3 pixels, the middle counting five times.
///
/// # Errors
/// When the factor is negative or the image has neither 1 nor 3 channels.
pub fn adjust_sharpness(image: Image, factor: f64) -> Result<Image> {
    check("adjust_sharpness", &image, factor)?;
    let (image, bytes) = bytes_of(image);
    let (h, w) = (image.height(), image.width());
    let mut smooth = bytes.clone(); // the outermost pixels stay
    for (from, to) in bytes
        .chunks_exact((h * w).max(1))
        .zip(smooth.chunks_exact_mut((h * w).max(1)))
    {
        for y in 1..h.saturating_sub(1) {
            for x in 1..w.saturating_sub(1) {
                to[y * w + x] = smoothed(from, w, y, x);
            }
        }
    }
    with(&image, blend(&smooth, &bytes, factor))
}

/// In f32 and in Pillow's order: rows from below, each summed before it is added.
fn smoothed(plane: &[u8], width: usize, y: usize, x: usize) -> u8 {
    const SIDE: f32 = 1.0 / 13.0;
    const MIDDLE: f32 = 5.0 / 13.0;
    let row = |y: usize, middle: f32| {
        let at = |x: usize| f32::from(plane[y * width + x]);
        at(x - 1) * SIDE + at(x) * middle + at(x + 1) * SIDE
    };
    let sum = 0.5 + row(y + 1, SIDE) + row(y, MIDDLE) + row(y - 1, SIDE);
    sum as u8
}

/// Colours turned round the wheel by a part of it, -0.5 to 0.5. A grey image stays.
///
/// # Errors
/// When the part is out of range or the image has neither 1 nor 3 channels.
pub fn adjust_hue(image: Image, part: f64) -> Result<Image> {
    check("adjust_hue", &image, 1.0)?;
    if !(-0.5..=0.5).contains(&part) {
        return Err(invalid(format!(
            "adjust_hue: {part} is not between -0.5 and 0.5"
        )));
    }
    let (image, mut bytes) = bytes_of(image);
    if image.channels() == 3 {
        let turn = (part * 255.0) as i32 as u8; // cut, and around the wheel
        let plane = bytes.len() / 3;
        for i in 0..plane {
            let [h, s, v] = to_hsv([bytes[i], bytes[plane + i], bytes[2 * plane + i]]);
            let [r, g, b] = from_hsv([h.wrapping_add(turn), s, v]);
            (bytes[i], bytes[plane + i], bytes[2 * plane + i]) = (r, g, b);
        }
    }
    with(&image, bytes)
}

/// Hue, saturation and value as bytes, in Pillow's mixture of f32 and f64.
fn to_hsv([r, g, b]: [u8; 3]) -> [u8; 3] {
    let (max, min) = (r.max(g).max(b), r.min(g).min(b));
    if max == min {
        return [0, 0, max];
    }
    let range = f32::from(max - min);
    let saturation = range / f32::from(max);
    let [rc, gc, bc] = [r, g, b].map(|c| f32::from(max - c) / range);
    let hue = if r == max {
        bc - gc
    } else if g == max {
        (2.0 + f64::from(rc) - f64::from(bc)) as f32
    } else {
        (4.0 + f64::from(gc) - f64::from(rc)) as f32
    };
    let hue = ((f64::from(hue) / 6.0 + 1.0) % 1.0) as f32;
    [
        (f64::from(hue) * 255.0) as u8,
        (f64::from(saturation) * 255.0) as u8,
        max,
    ]
}

fn from_hsv([h, s, v]: [u8; 3]) -> [u8; 3] {
    if s == 0 {
        return [v; 3];
    }
    let sector = (f64::from(h) * 6.0 / 255.0).floor() as f32;
    let f = (f64::from(h) * 6.0 / 255.0 - f64::from(sector)) as f32;
    let s = (f64::from(s) / 255.0) as f32;
    let value = |part: f64| (f64::from(v) * part).round() as u8;
    let p = value(1.0 - f64::from(s));
    let q = value(1.0 - f64::from(s * f));
    let t = value(1.0 - f64::from(s) * (1.0 - f64::from(f)));
    match sector as u8 % 6 {
        0 => [v, t, p],
        1 => [q, v, p],
        2 => [p, v, t],
        3 => [p, q, v],
        4 => [t, p, v],
        _ => [v, p, q],
    }
}
