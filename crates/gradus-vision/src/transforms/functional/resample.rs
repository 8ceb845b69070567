//! Scaling by convolution: every output pixel is a weighted sum of the inputs under a filter, which is widened when shrinking so that
//! nothing is skipped (antialiasing). Columns and rows one after the other, as Pillow's `Resample.c` does it.
//!
//! Bytes: weights are rounded to 22 binary places and each pass rounds to bytes again; then results are Pillow's to the last bit.
//! Floats: the same weights, unrounded; then they are those of `torch.nn.functional.interpolate(antialias=True)`.

use gradus_train::Result;
use gradus_train::error::invalid;

use super::Interpolation;
use crate::image::Image;

/// Binary places of the weights of bytes.
const PLACES: u32 = 32 - 8 - 2;

/// For every output position the first input it reads and the weights from there on (they sum to 1).
type Taps<W> = Vec<(usize, Vec<W>)>;

/// The image scaled to `height` x `width`.
///
/// ```
/// use gradus_vision::{Image, transforms::functional::{Interpolation, resize}};
/// let row = Image::from_bytes(1, 1, 4, vec![0, 100, 200, 100])?;
/// assert_eq!(resize(&row, 1, 2, Interpolation::Bilinear)?.bytes(), Some(&[71, 143][..])); // Pillow's
/// assert_eq!(resize(&row, 1, 2, Interpolation::Nearest)?.bytes(), Some(&[100, 100][..]));
/// # Ok::<(), gradus_train::Error>(())
/// ```
///
/// # Errors
/// When one of the sizes is 0 or beyond all memory.
pub fn resize(image: &Image, height: usize, width: usize, how: Interpolation) -> Result<Image> {
    let (h, w) = (image.height(), image.width());
    if image.channels() * h * w == 0 || height == 0 || width == 0 {
        return Err(invalid(format!(
            "cannot resize an image of {h}x{w} to {height}x{width}"
        )));
    }
    let most = isize::MAX as usize / 64 / image.channels();
    if height.max(h).checked_mul(width).is_none_or(|n| n > most) {
        return Err(invalid(format!("resize: {height}x{width} is too large")));
    }
    let (filter, support): (fn(f64) -> f64, f64) = match how {
        Interpolation::Nearest => return Ok(nearest(image, height, width)),
        Interpolation::Bilinear => (triangle, 1.0),
        Interpolation::Bicubic => (cubic, 2.0),
    };
    let taps = |from, to| (from != to).then(|| taps(from, to, filter, support));
    let (columns, rows) = (taps(w, width), taps(h, height));
    let channels = image.channels();
    if let Some(bytes) = image.bytes() {
        let places = |taps: Option<Taps<f64>>| taps.map(|taps| map(taps, to_places));
        let scaled = scale(
            bytes,
            [channels, h, w],
            places(columns),
            places(rows),
            &BYTES,
        );
        return Image::from_bytes(channels, height, width, scaled);
    }
    let single = |taps: Option<Taps<f64>>| taps.map(|taps| map(taps, |w| w as f32));
    let pixels = image.pixels();
    let scaled = scale(
        &pixels,
        [channels, h, w],
        single(columns),
        single(rows),
        &FLOATS,
    );
    Image::new(channels, height, width, scaled)
}

/// The image scaled so that its shorter side has `size` pixels, the other in proportion (rounded down): torchvision's `Resize(size)`.
///
/// # Errors
/// As [`resize`].
pub fn resize_shorter(image: &Image, size: usize, how: Interpolation) -> Result<Image> {
    let (h, w) = (image.height(), image.width());
    let (short, long) = (h.min(w), h.max(w));
    if short == size {
        return Ok(image.clone());
    }
    // Python's float division and int().
    let other = (size as f64 * long as f64 / short as f64) as usize;
    let (height, width) = if w <= h { (other, size) } else { (size, other) };
    resize(image, height, width, how)
}

/// 1 at 0, 0 from 1 on.
fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// Keys' cubic with a = -1/2.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

fn taps(from: usize, to: usize, filter: fn(f64) -> f64, support: f64) -> Taps<f64> {
    let scale = from as f64 / to as f64;
    let wide = scale.max(1.0);
    let support = support * wide;
    let one = |i: usize| {
        let center = (i as f64 + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let last = ((center + support + 0.5) as usize).min(from);
        let weight = |j: usize| filter((j as f64 - center + 0.5) * (1.0 / wide));
        let mut weights: Vec<f64> = (first..last).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        if sum != 0.0 {
            weights.iter_mut().for_each(|w| *w /= sum);
        }
        (first, weights)
    };
    (0..to).map(one).collect()
}

fn map<W>(taps: Taps<f64>, to: impl Fn(f64) -> W) -> Taps<W> {
    let one = |(first, weights): (usize, Vec<f64>)| (first, weights.into_iter().map(&to).collect());
    taps.into_iter().map(one).collect()
}

fn to_places(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << PLACES);
    (if weight < 0.0 {
        scaled - 0.5
    } else {
        scaled + 0.5
    }) as i32
}

/// How pixels of a kind are summed: the sum's start, one term, and the pixel of a sum.
struct Sums<T, W> {
    start: W,
    add: fn(W, T, W) -> W,
    done: fn(W) -> T,
}

const BYTES: Sums<u8, i32> = Sums {
    start: 1 << (PLACES - 1),
    add: |sum, pixel, weight| sum + i32::from(pixel) * weight,
    done: |sum| (sum >> PLACES).clamp(0, 255) as u8,
};

const FLOATS: Sums<f32, f32> = Sums {
    start: 0.0,
    add: |sum, pixel, weight| sum + pixel * weight,
    done: |sum| sum,
};

/// Columns and rows, each only where their number changes: (C, H, W) to (C, height, width).
///
/// Columns come first, but for images that lose more than twice as many rows as columns: Pillow 13's rule, which bytes, rounded between
/// the passes, show.
fn scale<T: Copy, W: Copy>(
    pixels: &[T],
    [_, height, width]: [usize; 3],
    columns: Option<Taps<W>>,
    rows: Option<Taps<W>>,
    sums: &Sums<T, W>,
) -> Vec<T> {
    match (columns, rows) {
        (None, None) => pixels.to_vec(),
        (Some(columns), None) => scale_columns(pixels, width, &columns, sums),
        (None, Some(rows)) => scale_rows(pixels, [height, width], &rows, sums),
        (Some(columns), Some(rows)) => {
            let lost = |from: usize, to: usize| from as isize - to as isize;
            let lost_rows = lost(height, rows.len());
            if lost_rows > 0 && lost_rows > 2 * lost(width, columns.len()) {
                let flat = scale_rows(pixels, [height, width], &rows, sums);
                return scale_columns(&flat, width, &columns, sums);
            }
            let narrow = scale_columns(pixels, width, &columns, sums);
            scale_rows(&narrow, [height, columns.len()], &rows, sums)
        }
    }
}

fn scale_columns<T: Copy, W: Copy>(
    pixels: &[T],
    width: usize,
    taps: &Taps<W>,
    sums: &Sums<T, W>,
) -> Vec<T> {
    let mut out = Vec::with_capacity(pixels.len() / width * taps.len());
    for line in pixels.chunks_exact(width) {
        out.extend(taps.iter().map(|(first, weights)| {
            let terms = weights.iter().zip(&line[*first..]);
            (sums.done)(terms.fold(sums.start, |sum, (w, x)| (sums.add)(sum, *x, *w)))
        }));
    }
    out
}

fn scale_rows<T: Copy, W: Copy>(
    pixels: &[T],
    [height, width]: [usize; 2],
    taps: &Taps<W>,
    sums: &Sums<T, W>,
) -> Vec<T> {
    let mut out = Vec::with_capacity(pixels.len() / height * taps.len());
    let mut line = Vec::with_capacity(width);
    for plane in pixels.chunks_exact(height * width) {
        for (first, weights) in taps {
            line.clear();
            line.resize(width, sums.start);
            for (row, weight) in weights.iter().enumerate() {
                let from = &plane[(first + row) * width..][..width];
                for (sum, x) in line.iter_mut().zip(from) {
                    *sum = (sums.add)(*sum, *x, *weight);
                }
            }
            out.extend(line.iter().map(|&sum| (sums.done)(sum)));
        }
    }
    out
}

fn nearest(image: &Image, height: usize, width: usize) -> Image {
    // Pillow adds the step up; a product would differ in the last place.
    let places = |from: usize, to: usize| -> Vec<usize> {
        let step = from as f64 / to as f64;
        let mut at = step * 0.5;
        let mut next = || {
            let place = (at as usize).min(from - 1);
            at += step;
            place
        };
        (0..to).map(|_| next()).collect()
    };
    let (ys, xs) = (places(image.height(), height), places(image.width(), width));
    image.rearranged(height, width, |y, x| (ys[y], xs[x]))
}
