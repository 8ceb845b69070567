//! Windows: the middle, a random one, a random one of a random size.

use gradus_train::error::invalid;
use gradus_train::{Draw, Result};

use super::functional::{Interpolation, center_crop, resized_crop};
use super::{Transform, draw_window};
use crate::image::Image;

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
        center_crop(&image, self.height, self.width)
    }
}

/// A random window of a size, after padding on all sides.
#[derive(Clone, Copy, Debug)]
pub struct RandomCrop {
    /// Rows wanted.
    pub height: usize,
    /// Columns wanted.
    pub width: usize,
    /// Pixels added on every side first.
    pub padding: usize,
    /// What they are, 0 to 1.
    pub fill: f32,
}

impl RandomCrop {
    /// A window of this size, without padding.
    pub fn new(height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            padding: 0,
            fill: 0.0,
        }
    }
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
        image.window(
            top as isize,
            left as isize,
            self.height,
            self.width,
            self.fill,
        )
    }
}

/// A random window of a random size and shape, scaled to one size: how networks for ImageNet see photographs (Szegedy et al. 2014).
#[derive(Clone, Copy, Debug)]
pub struct RandomResizedCrop {
    /// Rows wanted.
    pub height: usize,
    /// Columns wanted.
    pub width: usize,
    /// The window's part of the image's area, from and to.
    pub scale: [f32; 2],
    /// The window's width by its height, from and to.
    pub ratio: [f32; 2],
    /// How values between pixels are found.
    pub interpolation: Interpolation,
}

impl RandomResizedCrop {
    /// To this size, from 8 to 100 % of the image, between 3:4 and 4:3, bilinearly.
    pub fn new(height: usize, width: usize) -> Self {
        Self {
            height,
            width,
            scale: [0.08, 1.0],
            ratio: [3.0 / 4.0, 4.0 / 3.0],
            interpolation: Interpolation::Bilinear,
        }
    }

    /// The window: top, left, height, width.
    fn window(&self, height: usize, width: usize, draw: &mut Draw) -> [usize; 4] {
        let fits = |h, w| 0 < h && h <= height && 0 < w && w <= width;
        if let Some([h, w]) = draw_window([height, width], self.scale, self.ratio, draw, fits) {
            let top = draw.below((height - h + 1) as u64) as usize;
            let left = draw.below((width - w + 1) as u64) as usize;
            return [top, left, h, w];
        }
        // The largest window of an allowed shape, in the middle.
        let ratio = width as f32 / height as f32;
        let (h, w) = if ratio < self.ratio[0] {
            let h = (width as f32 / self.ratio[0]).round_ties_even() as usize;
            (h.clamp(1, height), width)
        } else if ratio > self.ratio[1] {
            let w = (height as f32 * self.ratio[1]).round_ties_even() as usize;
            (height, w.clamp(1, width))
        } else {
            (height, width)
        };
        [(height - h) / 2, (width - w) / 2, h, w]
    }
}

impl Transform for RandomResizedCrop {
    fn apply(&self, image: Image, draw: &mut Draw) -> Result<Image> {
        let ordered = |[a, b]: [f32; 2]| a > 0.0 && a <= b && b.is_finite();
        if !ordered(self.scale) || !ordered(self.ratio) || image.height() * image.width() == 0 {
            let (scale, ratio) = (self.scale, self.ratio);
            return Err(invalid(format!(
                "RandomResizedCrop: scale {scale:?} and ratio {ratio:?} go from a number above 0 to one not below it"
            )));
        }
        let window = self.window(image.height(), image.width(), draw);
        resized_crop(
            &image,
            window,
            [self.height, self.width],
            self.interpolation,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Image {
        Image::new(2, 2, 3, (1..=12).map(|i| i as f32).collect()).unwrap()
    }

    #[test]
    fn windows_and_what_does_not_fit() {
        let draw = &mut Draw::new(1);
        let middle = CenterCrop {
            height: 2,
            width: 1,
        };
        assert_eq!(
            middle.apply(image(), draw).unwrap().pixels()[..],
            [2., 5., 8., 11.]
        );
        let tall = CenterCrop {
            height: 4,
            width: 1,
        };
        assert_eq!(
            tall.apply(image(), draw).unwrap().channel(0)[..],
            [0., 2., 5., 0.]
        );
        assert_eq!(RandomCrop::new(2, 3).apply(image(), draw).unwrap(), image());
        let large = RandomCrop {
            padding: 1,
            ..RandomCrop::new(9, 3)
        };
        assert!(large.apply(image(), draw).is_err());
        let filled = RandomCrop {
            padding: 9,
            fill: 7.0,
            ..RandomCrop::new(20, 21)
        };
        let sum = |image: Image| image.pixels().iter().sum::<f32>();
        assert_eq!(
            sum(filled.apply(image(), draw).unwrap()),
            7.0 * 2.0 * (420.0 - 6.0) + 78.0
        );
    }

    #[test]
    fn random_sizes_stay_inside_and_within_their_bounds() {
        let crop = RandomResizedCrop::new(4, 4);
        let mut areas = Vec::new();
        for seed in 0..500 {
            let [top, left, h, w] = crop.window(60, 40, &mut Draw::new(seed));
            assert!(top + h <= 60 && left + w <= 40);
            assert!((0.7..1.43).contains(&(w as f32 / h as f32)), "{h} {w}");
            areas.push((h * w) as f32 / 2400.0);
        }
        assert!(areas.iter().all(|a| (0.075..=1.0).contains(a)));
        let mean = areas.iter().sum::<f32>() / 500.0;
        assert!((0.3..0.55).contains(&mean), "{mean}");
        // No window of an allowed shape has this much of so long an image: the middle of it is taken.
        let whole = RandomResizedCrop {
            scale: [1.0, 1.0],
            ..crop
        };
        assert_eq!(whole.window(10, 100, &mut Draw::new(0)), [0, 43, 10, 13]);
        let none = RandomResizedCrop {
            scale: [0.5, 0.1],
            ..crop
        };
        assert!(none.apply(image(), &mut Draw::new(0)).is_err());
    }
}
