//! Random turns, shifts, zooms and slants.
//!
//! [`RandomRotation`] is torchvision's. [`RandomAffine`] is not: it works on floats, bilinearly, about the middle of the pixels, and its
//! shift is in pixels, which suits small grey digits.

use gradus_train::{Draw, Result};

use super::Transform;
use super::functional::{Interpolation, rotate};
use crate::image::Image;

/// A random turn about the middle by up to so many degrees either way; the size stays, corners come in black.
#[derive(Clone, Copy, Debug)]
pub struct RandomRotation {
    /// The most degrees.
    pub degrees: f32,
    /// How values between pixels are found; torchvision's default is the nearest pixel.
    pub interpolation: Interpolation,
    /// What comes in from outside, 0 to 1.
    pub fill: f32,
}

impl RandomRotation {
    /// Up to so many degrees, with torchvision's defaults: nearest pixels, black corners.
    pub fn new(degrees: f32) -> Self {
        Self {
            degrees,
            interpolation: Interpolation::Nearest,
            fill: 0.0,
        }
    }
}

impl Transform for RandomRotation {
    fn apply(&self, image: Image, draw: &mut Draw) -> Result<Image> {
        let angle = draw.range(-self.degrees, self.degrees);
        rotate(&image, f64::from(angle), self.interpolation, self.fill)
    }
}

/// Moves the image by up to `most` whole pixels each way; what comes in is 0.
#[derive(Clone, Copy, Debug)]
pub struct RandomShift {
    most: u32,
}

impl RandomShift {
    /// Up to `most` pixels up, down, left and right.
    pub fn new(most: u32) -> Self {
        Self { most }
    }
}

impl Transform for RandomShift {
    fn apply(&self, image: Image, draw: &mut Draw) -> Result<Image> {
        let most = self.most as i64;
        let (dy, dx) = (draw.int_range(-most, most), draw.int_range(-most, most));
        image.window(dy as isize, dx as isize, image.height(), image.width(), 0.0)
    }
}

/// A random turn, shift, zoom and slant about the centre, sampled bilinearly; what comes in is 0.
///
/// ```
/// use gradus_vision::transforms::RandomAffine;
/// let wobble = RandomAffine { degrees: 10.0, shift: 2.0, scale: 0.1, shear: 0.0 };
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomAffine {
    /// Turned by up to so many degrees either way.
    pub degrees: f32,
    /// Moved by up to so many pixels each way.
    pub shift: f32,
    /// Zoomed by a factor of `1 - scale` to `1 + scale`.
    pub scale: f32,
    /// Slanted by up to so many degrees either way.
    pub shear: f32,
}

impl Transform for RandomAffine {
    fn apply(&self, image: Image, draw: &mut Draw) -> Result<Image> {
        let image = image.into_floats();
        let mut dice = |most: f32| draw.range(-most, most);
        let angle = dice(self.degrees).to_radians();
        let (dy, dx) = (dice(self.shift), dice(self.shift));
        let zoom = (1.0 + dice(self.scale)).max(0.01);
        let slant = dice(self.shear).to_radians().tan();
        // Output to input: undo the shift, the turn, the zoom, then the slant.
        let (sin, cos) = angle.sin_cos();
        let (cos, sin) = (cos / zoom, sin / zoom);
        let (height, width) = (image.height(), image.width());
        let (cy, cx) = ((height as f32 - 1.0) / 2.0, (width as f32 - 1.0) / 2.0);
        let mut out = Image::filled(image.channels(), height, width, 0.0)?;
        for y in 0..height {
            for x in 0..width {
                let (v, u) = (y as f32 - cy - dy, x as f32 - cx - dx);
                let (sv, su) = (cos * v - sin * u, sin * v + cos * u);
                let (sy, sx) = (sv + cy, su + slant * sv + cx);
                for c in 0..image.channels() {
                    out.pixels_mut()[(c * height + y) * width + x] = bilinear(&image, c, sy, sx);
                }
            }
        }
        Ok(out)
    }
}

/// The value between pixels; 0 outside.
fn bilinear(image: &Image, c: usize, y: f32, x: f32) -> f32 {
    let (y0, x0) = (y.floor(), x.floor());
    let (fy, fx) = (y - y0, x - x0);
    let (y0, x0) = (y0 as isize, x0 as isize);
    let at = |dy, dx| image.at(c, y0.saturating_add(dy), x0.saturating_add(dx), 0.0);
    let top = at(0, 0) * (1.0 - fx) + at(0, 1) * fx;
    let bottom = at(1, 0) * (1.0 - fx) + at(1, 1) * fx;
    top * (1.0 - fy) + bottom * fy
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        let pixels = (1..=12).map(|i| i as f32).collect();
        Image::new(2, 2, 3, pixels).unwrap()
    }

    #[test]
    fn an_affine_of_nothing_changes_nothing_and_shifts_are_whole() {
        let same = RandomAffine::default()
            .apply(image(), &mut Draw::new(1))
            .unwrap();
        assert_eq!(same, image());
        let turned = RandomRotation::new(30.0)
            .apply(image(), &mut Draw::new(1))
            .unwrap();
        assert!(turned.pixels().iter().all(|v| (0.0..=12.0).contains(v)));
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let moved = RandomShift::new(1)
                .apply(image(), &mut Draw::new(seed))
                .unwrap();
            let first: Vec<u8> = moved.channel(0).iter().map(|&v| v as u8).collect();
            seen.insert(first);
        }
        assert_eq!(seen.len(), 9); // 3 x 3 places
    }
}
