//! Transforms of one image: what a data set does to a sample before it joins a batch.
//!
//! Names and meanings are torchvision's. Every transform gets the sample's own [`Draw`], so what is random depends on the seed,
//! the epoch and the sample's number, never on threads. Values stay `f32`, channels first; nothing here knows tensors.

use gradus_train::error::invalid;
use gradus_train::{Draw, Result};

use crate::image::Image;

/// Something done to an image.
pub trait Transform: Send + Sync {
    /// The image afterwards. `draw` is the sample's own generator.
    fn apply(&self, image: Image, draw: &mut Draw) -> Result<Image>;
}

/// Several transforms, one after another.
#[derive(Default)]
pub struct Compose(Vec<Box<dyn Transform>>);

impl Compose {
    /// No transform yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a transform at the end.
    ///
    /// ```
    /// use gradus_vision::transforms::{Compose, Normalize, RandomShift};
    /// let training = Compose::new()
    ///     .then(RandomShift::new(2))
    ///     .then(Normalize::new(&[0.1307], &[0.3081])?);
    /// # Ok::<(), gradus_train::Error>(())
    /// ```
    pub fn then(mut self, transform: impl Transform + 'static) -> Self {
        self.0.push(Box::new(transform));
        self
    }
}

impl Transform for Compose {
    fn apply(&self, image: Image, draw: &mut Draw) -> Result<Image> {
        self.0
            .iter()
            .try_fold(image, |image, transform| transform.apply(image, draw))
    }
}

/// `(x - mean) / std`, channel by channel.
#[derive(Clone, Debug)]
pub struct Normalize {
    mean: Vec<f32>,
    scale: Vec<f32>, // 1 / std
}

impl Normalize {
    /// One mean and one standard deviation per channel. Errors when their numbers differ or a deviation is not positive.
    pub fn new(mean: &[f32], std: &[f32]) -> Result<Self> {
        if mean.len() != std.len() || std.iter().any(|s| s.is_nan() || *s <= 0.0) {
            return Err(invalid(format!(
                "Normalize: means {mean:?} and deviations {std:?}: one of each per channel, deviations above 0"
            )));
        }
        let scale = std.iter().map(|s| 1.0 / s).collect();
        Ok(Self {
            mean: mean.to_vec(),
            scale,
        })
    }
}

impl Transform for Normalize {
    fn apply(&self, mut image: Image, _: &mut Draw) -> Result<Image> {
        let (channels, plane) = (image.channels(), image.height() * image.width());
        if channels != self.mean.len() {
            return Err(invalid(format!(
                "Normalize: {} channels expected, the image has {channels}",
                self.mean.len()
            )));
        }
        if plane > 0 {
            for (c, values) in image.pixels_mut().chunks_exact_mut(plane).enumerate() {
                for v in values {
                    *v = (*v - self.mean[c]) * self.scale[c];
                }
            }
        }
        Ok(image)
    }
}

/// Scales to a fixed height and width (antialiased).
#[derive(Clone, Copy, Debug)]
pub struct Resize {
    /// Rows wanted.
    pub height: usize,
    /// Columns wanted.
    pub width: usize,
}

impl Transform for Resize {
    fn apply(&self, image: Image, _: &mut Draw) -> Result<Image> {
        image.resize(self.height, self.width)
    }
}

/// The middle of the image; what lies outside it is 0.
#[derive(Clone, Copy, Debug)]
pub struct CenterCrop {
    /// Rows wanted.
    pub height: usize,
    /// Columns wanted.
    pub width: usize,
}

impl Transform for CenterCrop {
    fn apply(&self, image: Image, _: &mut Draw) -> Result<Image> {
        let middle = |have: usize, want: usize| (have as isize - want as isize).div_euclid(2);
        let (top, left) = (
            middle(image.height(), self.height),
            middle(image.width(), self.width),
        );
        image.window(top, left, self.height, self.width, 0.0)
    }
}

/// A random window of a size, after padding with 0 on all sides.
#[derive(Clone, Copy, Debug)]
pub struct RandomCrop {
    /// Rows wanted.
    pub height: usize,
    /// Columns wanted.
    pub width: usize,
    /// Pixels added on every side first.
    pub padding: usize,
}

impl Transform for RandomCrop {
    fn apply(&self, image: Image, draw: &mut Draw) -> Result<Image> {
        let room = |have: usize, want: usize| have as i64 + 2 * self.padding as i64 - want as i64;
        let (down, right) = (
            room(image.height(), self.height),
            room(image.width(), self.width),
        );
        if down < 0 || right < 0 {
            return Err(invalid(format!(
                "RandomCrop: {}x{} does not fit in {}x{} padded by {}",
                self.height,
                self.width,
                image.height(),
                image.width(),
                self.padding
            )));
        }
        let pad = self.padding as i64;
        let (top, left) = (
            draw.int_range(0, down) - pad,
            draw.int_range(0, right) - pad,
        );
        image.window(top as isize, left as isize, self.height, self.width, 0.0)
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

/// Mirrors left and right with a probability.
#[derive(Clone, Copy, Debug)]
pub struct RandomHorizontalFlip(
    /// The probability.
    pub f32,
);

impl Transform for RandomHorizontalFlip {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Result<Image> {
        let width = image.width();
        if draw.chance(self.0) && width > 0 {
            image
                .pixels_mut()
                .chunks_exact_mut(width)
                .for_each(<[f32]>::reverse);
        }
        Ok(image)
    }
}

/// Mirrors up and down with a probability.
#[derive(Clone, Copy, Debug)]
pub struct RandomVerticalFlip(
    /// The probability.
    pub f32,
);

impl Transform for RandomVerticalFlip {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Result<Image> {
        let (height, width) = (image.height(), image.width());
        if draw.chance(self.0) && height * width > 0 {
            for plane in image.pixels_mut().chunks_exact_mut(height * width) {
                for row in 0..height / 2 {
                    let (upper, lower) = plane.split_at_mut((height - 1 - row) * width);
                    upper[row * width..][..width].swap_with_slice(&mut lower[..width]);
                }
            }
        }
        Ok(image)
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

/// A random turn about the centre by up to so many degrees either way.
#[derive(Clone, Copy, Debug)]
pub struct RandomRotation(
    /// Degrees.
    pub f32,
);

impl Transform for RandomRotation {
    fn apply(&self, image: Image, draw: &mut Draw) -> Result<Image> {
        let turn = RandomAffine {
            degrees: self.0,
            ..RandomAffine::default()
        };
        turn.apply(image, draw)
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

    fn apply(transform: impl Transform) -> Vec<f32> {
        transform
            .apply(image(), &mut Draw::new(1))
            .unwrap()
            .pixels()
            .to_vec()
    }

    #[test]
    fn flips_and_crops() {
        assert_eq!(
            apply(RandomHorizontalFlip(1.0))[..6],
            [3., 2., 1., 6., 5., 4.]
        );
        assert_eq!(
            apply(RandomVerticalFlip(1.0))[..6],
            [4., 5., 6., 1., 2., 3.]
        );
        assert_eq!(apply(RandomHorizontalFlip(0.0)), image().pixels());
        assert_eq!(
            apply(CenterCrop {
                height: 2,
                width: 1
            }),
            [2., 5., 8., 11.]
        );
        assert_eq!(
            apply(CenterCrop {
                height: 4,
                width: 1
            })[..4],
            [0., 2., 5., 0.]
        );
        let whole = RandomCrop {
            height: 2,
            width: 3,
            padding: 0,
        };
        assert_eq!(apply(whole), image().pixels());
        let large = RandomCrop {
            height: 9,
            width: 3,
            padding: 1,
        };
        assert!(large.apply(image(), &mut Draw::new(1)).is_err());
    }

    #[test]
    fn normalize_is_per_channel() {
        let normalize = Normalize::new(&[1.0, 7.0], &[1.0, 2.0]).unwrap();
        assert_eq!(apply(normalize)[4..8], [4.0, 5.0, 0.0, 0.5]);
        assert!(Normalize::new(&[1.0], &[0.0]).is_err());
        let grey = Normalize::new(&[0.0], &[1.0]).unwrap();
        assert!(grey.apply(image(), &mut Draw::new(1)).is_err());
    }

    #[test]
    fn an_affine_of_nothing_changes_nothing_and_shifts_are_whole() {
        assert_eq!(apply(RandomAffine::default()), image().pixels());
        let turned = apply(RandomRotation(30.0));
        assert!(turned.iter().all(|v| (0.0..=12.0).contains(v)));
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let moved = RandomShift::new(1)
                .apply(image(), &mut Draw::new(seed))
                .unwrap();
            seen.insert(
                moved.pixels()[..6]
                    .iter()
                    .map(|&v| v as u8)
                    .collect::<Vec<_>>(),
            );
        }
        assert_eq!(seen.len(), 9); // 3 x 3 places
    }
}
