//! Mirrors.

use gradus_train::{Draw, Result};

use super::functional::{hflip, vflip};
use super::{Transform, check_probability};
use crate::image::Image;

/// Exchanges left and right with a probability.
#[derive(Clone, Copy, Debug)]
pub struct RandomHorizontalFlip(
    /// The probability.
    pub f32,
);

impl Transform for RandomHorizontalFlip {
    fn apply(&self, image: Image, draw: &mut Draw) -> Result<Image> {
        check_probability("RandomHorizontalFlip", self.0)?;
        Ok(if draw.chance(self.0) {
            hflip(&image)
        } else {
            image
        })
    }
}

/// Exchanges top and bottom with a probability.
#[derive(Clone, Copy, Debug)]
pub struct RandomVerticalFlip(
    /// The probability.
    pub f32,
);

impl Transform for RandomVerticalFlip {
    fn apply(&self, image: Image, draw: &mut Draw) -> Result<Image> {
        check_probability("RandomVerticalFlip", self.0)?;
        Ok(if draw.chance(self.0) {
            vflip(&image)
        } else {
            image
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_bytes_and_floats() {
        let image = || Image::new(2, 2, 3, (1..=12).map(|i| i as f32).collect()).unwrap();
        let draw = &mut Draw::new(1);
        let across = RandomHorizontalFlip(1.0).apply(image(), draw).unwrap();
        assert_eq!(across.channel(1)[..], [9., 8., 7., 12., 11., 10.]);
        let over = RandomVerticalFlip(1.0).apply(image(), draw).unwrap();
        assert_eq!(over.channel(0)[..], [4., 5., 6., 1., 2., 3.]);
        assert_eq!(
            RandomHorizontalFlip(0.0).apply(image(), draw).unwrap(),
            image()
        );
        let bytes = Image::from_bytes(1, 1, 2, vec![1, 2]).unwrap();
        let turned = RandomHorizontalFlip(1.0).apply(bytes, draw).unwrap();
        assert_eq!(turned.bytes(), Some(&[2, 1][..]));
        assert!(RandomVerticalFlip(1.5).apply(image(), draw).is_err());
    }
}
