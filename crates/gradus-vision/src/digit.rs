//! Any picture of a digit to the 28 x 28 image MNIST would have made of it.
//!
//! MNIST's own recipe (Y. LeCun's page of the database): the digit is scaled, keeping its aspect, to fit 20 x 20, smoothed by the
//! scaling, and put into 28 x 28 so that its centre of mass is the centre. Light ink on a dark ground. What this adds is finding
//! the digit in a picture of any size and colours: the ground is what the border shows; the ink is what differs from it;
//! hair-thin pens are thickened to what a pencil gives.

use gradus_train::Result;
use gradus_train::error::invalid;

use crate::decode::Rgba;
use crate::image::Image;

/// The side of MNIST's images.
pub const SIDE: usize = 28;
/// The side of the box the digit is scaled to fit.
const BOX: usize = 20;
/// Ink thinner than this, in pixels of the 20 x 20 box, is thickened to it.
const THINNEST: f32 = 2.0;

/// A picture to an (1, 28, 28) image, ink 1 on ground 0, as MNIST would hold it.
///
/// Errors when there is nothing to see: the picture is of one colour.
pub fn like_mnist(picture: &Rgba) -> Result<Image> {
    let (crop, threshold) = subject(picture)?;

    // A large picture first to a handy size, then pens thinner than a pencil's thickened, then to 20 x 20.
    let handy = 12 * BOX;
    let crop = if crop.height().max(crop.width()) > handy {
        fit(&crop, handy)?
    } else {
        crop
    };
    let longest = crop.height().max(crop.width()) as f32;
    let thin = stroke_width(&crop, threshold) * BOX as f32 / longest;
    let radius = ((THINNEST - thin) / 2.0 * longest / BOX as f32)
        .round()
        .max(0.0) as usize;
    let mut small = fit(&thicken(&crop, radius)?, BOX)?;

    // Full contrast after the scaling, as a dark pencil gives.
    let peak = small
        .pixels()
        .iter()
        .fold(0.0f32, |a, &b| a.max(b))
        .max(1e-6);
    small
        .pixels_mut()
        .iter_mut()
        .for_each(|v| *v = (*v / peak).clamp(0.0, 1.0));

    // The centre of mass goes to the centre; the digit stays inside.
    let (cy, cx) = center_of_mass(&small);
    let place = |center: f32, size: usize| {
        let offset = (SIDE as f32 / 2.0 - center).round() as isize;
        offset.clamp(0, (SIDE - size) as isize)
    };
    let (y, x) = (place(cy, small.height()), place(cx, small.width()));
    small.window(-y, -x, SIDE, SIDE, 0.0)
}

/// A picture to an (1, 28, 28) image as Fashion-MNIST would hold it: scaled to fit 28 x 28 and centred, light on dark.
///
/// Errors when there is nothing to see: the picture is of one colour.
pub fn like_fashion_mnist(picture: &Rgba) -> Result<Image> {
    let small = fit(&subject(picture)?.0, SIDE)?;
    let middle = |size: usize| ((SIDE - size) / 2) as isize;
    small.window(
        -middle(small.height()),
        -middle(small.width()),
        SIDE,
        SIDE,
        0.0,
    )
}

/// The smallest box around what is drawn, as ink 0 to 1 (1, h, w), and the least that counts as ink.
fn subject(picture: &Rgba) -> Result<(Image, f32)> {
    let (height, width) = (picture.height, picture.width);
    let ink = ink(picture)?; // (H, W), 0 to 1
    let threshold = otsu(&ink);

    // The smallest box around the ink.
    let (mut top, mut bottom, mut left, mut right) = (height, 0, width, 0);
    for (i, _) in ink.iter().enumerate().filter(|(_, v)| **v > threshold) {
        let (y, x) = (i / width, i % width);
        (top, bottom) = (top.min(y), bottom.max(y));
        (left, right) = (left.min(x), right.max(x));
    }
    if top > bottom {
        return Err(invalid("there is no digit to see"));
    }
    let (h, w) = (bottom - top + 1, right - left + 1);
    let crop = Image::new(1, height, width, ink)?.window(top as isize, left as isize, h, w, 0.0)?;
    Ok((crop, threshold))
}

/// How much each pixel differs from the ground, 0 to 1.
fn ink(picture: &Rgba) -> Result<Vec<f32>> {
    let (height, width) = (picture.height, picture.width);
    if height == 0 || width == 0 || picture.pixels.len() != height * width {
        return Err(invalid("the picture has no pixels"));
    }
    let luma =
        |p: &[u8; 4]| (0.299 * p[0] as f32 + 0.587 * p[1] as f32 + 0.114 * p[2] as f32) / 255.0;
    // A transparent ground has no colour of its own: it is the opposite of what is drawn on it.
    let (mut drawn, mut weight) = (0.0f64, 0.0f64);
    for p in &picture.pixels {
        drawn += luma(p) as f64 * p[3] as f64;
        weight += p[3] as f64;
    }
    let ground = if weight > 0.0 && drawn / weight >= 0.5 {
        0.0
    } else {
        1.0
    };
    let light: Vec<f32> = picture
        .pixels
        .iter()
        .map(|p| {
            let alpha = p[3] as f32 / 255.0;
            luma(p) * alpha + ground * (1.0 - alpha)
        })
        .collect();

    // The ground's brightness: the median of the border.
    let mut border: Vec<f32> = Vec::with_capacity(2 * (height + width));
    border.extend(&light[..width]);
    border.extend(&light[(height - 1) * width..]);
    for y in 0..height {
        border.push(light[y * width]);
        border.push(light[y * width + width - 1]);
    }
    border.sort_unstable_by(f32::total_cmp);
    let ground = border[border.len() / 2];

    let (low, high) = light
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &v| {
            (l.min(v), h.max(v))
        });
    let dark_on_light = ground - low > high - ground;
    let contrast = (ground - low).max(high - ground);
    if contrast < 0.06 {
        return Err(invalid(
            "there is no digit to see: the picture is of one colour",
        ));
    }
    Ok(light
        .iter()
        .map(|&v| {
            let difference = if dark_on_light {
                ground - v
            } else {
                v - ground
            };
            (difference / contrast).max(0.0)
        })
        .collect())
}

/// The threshold between ground and ink that separates the two best (N. Otsu, 1979), over 64 levels.
fn otsu(ink: &[f32]) -> f32 {
    const LEVELS: usize = 64;
    let mut histogram = [0f64; LEVELS];
    for &v in ink {
        histogram[((v * LEVELS as f32) as usize).min(LEVELS - 1)] += 1.0;
    }
    let total: f64 = histogram.iter().sum();
    let all: f64 = histogram
        .iter()
        .enumerate()
        .map(|(i, n)| i as f64 * n)
        .sum();
    let (mut count, mut sum, mut best, mut threshold) = (0.0, 0.0, -1.0, LEVELS / 2);
    for (level, n) in histogram.iter().enumerate().take(LEVELS - 1) {
        count += n;
        sum += level as f64 * n;
        if count == 0.0 || count == total {
            continue;
        }
        let (below, above) = (sum / count, (all - sum) / (total - count));
        let between = count * (total - count) * (above - below).powi(2);
        if between > best {
            (best, threshold) = (between, level);
        }
    }
    ((threshold + 1) as f32 / LEVELS as f32).clamp(0.15, 0.6)
}

/// Scales so that the longer side is `side`, keeping the aspect.
fn fit(image: &Image, side: usize) -> Result<Image> {
    let (h, w) = (image.height(), image.width());
    let scale = side as f32 / h.max(w) as f32;
    let size = |n: usize| ((n as f32 * scale).round() as usize).clamp(1, side);
    image.resize(size(h), size(w))
}

/// The typical width of the pen in pixels: twice the area of the ink over the length of its outline.
fn stroke_width(image: &Image, threshold: f32) -> f32 {
    let inside = |y: isize, x: isize| image.at(0, y, x, 0.0) > threshold;
    let (mut area, mut outline) = (0.0f32, 0.0f32);
    for y in 0..image.height() as isize {
        for x in 0..image.width() as isize {
            if inside(y, x) {
                area += 1.0;
                let neighbours = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)];
                outline += neighbours.iter().filter(|&&(a, b)| !inside(a, b)).count() as f32;
            }
        }
    }
    // Steps of pixels make a slanted outline up to a third longer than it is.
    if outline == 0.0 {
        0.0
    } else {
        2.0 * area / (outline * 0.85)
    }
}

/// Widens the ink by `radius` pixels on every side (a maximum over a disc); the image grows by as much.
fn thicken(image: &Image, radius: usize) -> Result<Image> {
    if radius == 0 {
        return Ok(image.clone());
    }
    let r = radius as isize;
    let mut out = image.window(
        -r,
        -r,
        image.height() + 2 * radius,
        image.width() + 2 * radius,
        0.0,
    )?;
    let (height, width) = (out.height() as isize, out.width() as isize);
    for dy in -r..=r {
        let reach = ((r * r - dy * dy) as f32).sqrt() as isize;
        for dx in -reach..=reach {
            for y in 0..height {
                for x in 0..width {
                    let value = image.at(0, y - r + dy, x - r + dx, 0.0);
                    let cell = &mut out.pixels_mut()[(y * width + x) as usize];
                    *cell = cell.max(value);
                }
            }
        }
    }
    Ok(out)
}

/// The centre of mass (row, column), measured from the corner.
fn center_of_mass(image: &Image) -> (f32, f32) {
    let (mut mass, mut y_sum, mut x_sum) = (0.0, 0.0, 0.0);
    for (i, &v) in image.pixels().iter().enumerate() {
        mass += v;
        y_sum += v * ((i / image.width()) as f32 + 0.5);
        x_sum += v * ((i % image.width()) as f32 + 0.5);
    }
    if mass > 0.0 {
        (y_sum / mass, x_sum / mass)
    } else {
        (0.0, 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A seven of straight strokes, `thick` pixels wide, on a canvas of `height` x `width`.
    fn seven(height: usize, width: usize, thick: usize, ink: [u8; 4], ground: [u8; 4]) -> Rgba {
        let mut pixels = vec![ground; height * width];
        let (top, left, h, w) = (height / 5, width / 4, height / 2, width / 3);
        for i in 0..=h {
            let x = left + w - i * w / (2 * h);
            for t in 0..thick {
                pixels[(top + i) * width + (x + t).min(width - 1)] = ink;
            }
        }
        for x in left..left + w {
            for t in 0..thick {
                pixels[(top + t) * width + x] = ink;
            }
        }
        Rgba {
            height,
            width,
            pixels,
        }
    }

    const BLACK: [u8; 4] = [0, 0, 0, 255];
    const WHITE: [u8; 4] = [255, 255, 255, 255];
    const NOTHING: [u8; 4] = [0, 0, 0, 0];

    #[test]
    fn light_dark_and_transparent_are_the_same_digit() {
        let want = like_mnist(&seven(90, 120, 9, BLACK, WHITE)).unwrap();
        assert_eq!((want.height(), want.width()), (28, 28));
        for (ink, ground) in [
            (WHITE, BLACK),
            (BLACK, NOTHING),
            (WHITE, NOTHING),
            (WHITE, [255, 255, 255, 0]),
        ] {
            let got = like_mnist(&seven(90, 120, 9, ink, ground)).unwrap();
            for (a, b) in got.pixels().iter().zip(want.pixels().iter()) {
                assert!((a - b).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn size_and_pen_hardly_matter() {
        let reference = like_mnist(&seven(150, 150, 15, BLACK, WHITE)).unwrap();
        for (side, thick) in [
            (28, 3),
            (60, 6),
            (600, 60),
            (1500, 150),
            (600, 12),
            (1500, 8),
        ] {
            let digit = like_mnist(&seven(side, side, thick, BLACK, WHITE)).unwrap();
            let (cy, cx) = center_of_mass(&digit);
            assert!(
                (cy - 14.0).abs() < 0.8 && (cx - 14.0).abs() < 0.8,
                "{side}: {cy} {cx}"
            );
            let mass = |image: &Image| image.pixels().iter().sum::<f32>();
            let ratio = mass(&digit) / mass(&reference);
            assert!(
                (0.4..1.6).contains(&ratio),
                "{side} px, pen {thick}: mass x {ratio}"
            );
        }
    }

    #[test]
    fn nothing_to_see_is_an_error() {
        let blank = Rgba {
            height: 9,
            width: 9,
            pixels: vec![WHITE; 81],
        };
        assert!(
            like_mnist(&blank)
                .unwrap_err()
                .to_string()
                .contains("one colour")
        );
        let none = Rgba {
            height: 9,
            width: 9,
            pixels: vec![NOTHING; 81],
        };
        assert!(like_mnist(&none).is_err());
        let dot = Rgba {
            height: 1,
            width: 1,
            pixels: vec![BLACK],
        };
        assert!(like_mnist(&dot).is_err());
        let broken = Rgba {
            height: 0,
            width: 5,
            pixels: vec![],
        };
        assert!(like_mnist(&broken).is_err());
    }
}
