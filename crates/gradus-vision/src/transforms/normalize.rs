//! Bytes to floats, and floats to what a network was trained on.

use gradus_train::error::invalid;
use gradus_train::{Draw, Result};

use super::Transform;
use crate::image::Image;

/// Bytes become floats: 0 to 255 becomes 0 to 1. Floats stay. (A data set and [`Normalize`] do so by themselves.)
#[derive(Clone, Copy, Debug, Default)]
pub struct ToTensor;

impl Transform for ToTensor {
    fn apply(&self, image: Image, _: &mut Draw) -> Result<Image> {
        Ok(image.into_floats())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalize_is_per_channel() {
        let image = || Image::new(2, 1, 2, vec![5.0, 6.0, 7.0, 8.0]).unwrap();
        let draw = &mut Draw::new(1);
        let normalize = Normalize::new(&[1.0, 7.0], &[1.0, 2.0]).unwrap();
        let got = normalize.apply(image(), draw).unwrap();
        assert_eq!(got.pixels()[..], [4.0, 5.0, 0.0, 0.5]);
        assert!(Normalize::new(&[1.0], &[0.0]).is_err());
        let grey = Normalize::new(&[0.0], &[1.0]).unwrap();
        assert!(grey.apply(image(), draw).is_err());
        let bytes = Image::from_bytes(1, 1, 2, vec![0, 255]).unwrap();
        let half = Normalize::new(&[0.5], &[0.5]).unwrap();
        assert_eq!(half.apply(bytes, draw).unwrap().pixels()[..], [-1.0, 1.0]);
    }
}
