//! Random colours.

use gradus_train::error::invalid;
use gradus_train::{Draw, Result};

use super::functional::{
    adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, grayscale,
};
use super::{Transform, check_probability};
use crate::image::Image;

/// Brightness, contrast, saturation and hue changed at random, in random order.
///
/// ```
/// use gradus_vision::transforms::ColorJitter;
/// let jitter = ColorJitter { brightness: 0.2, contrast: 0.2, ..ColorJitter::default() };
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ColorJitter {
    /// The factor is drawn from `1 - brightness` (not below 0) to `1 + brightness`.
    pub brightness: f32,
    /// The factor is drawn from `1 - contrast` (not below 0) to `1 + contrast`.
    pub contrast: f32,
    /// The factor is drawn from `1 - saturation` (not below 0) to `1 + saturation`.
    pub saturation: f32,
    /// The turn is drawn from `-hue` to `hue`, which is at most 0.5.
    pub hue: f32,
}

impl Transform for ColorJitter {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Result<Image> {
        let factors = [self.brightness, self.contrast, self.saturation];
        if factors.iter().any(|f| !(f.is_finite() && *f >= 0.0)) || !(0.0..=0.5).contains(&self.hue)
        {
            return Err(invalid(format!(
                "{self:?}: brightness, contrast and saturation must be 0 or more, hue from 0 to 0.5"
            )));
        }
        let mut order = [0, 1, 2, 3];
        draw.shuffle(&mut order);
        for what in order {
            let most = [self.brightness, self.contrast, self.saturation, self.hue][what];
            if most == 0.0 {
                continue;
            }
            let factor = f64::from(draw.range((1.0 - most).max(0.0), 1.0 + most));
            image = match what {
                0 => adjust_brightness(image, factor)?,
                1 => adjust_contrast(image, factor)?,
                2 => adjust_saturation(image, factor)?,
                _ => adjust_hue(image, f64::from(draw.range(-most, most)))?,
            };
        }
        Ok(image)
    }
}

/// Grey with a probability, in as many channels as before.
#[derive(Clone, Copy, Debug)]
pub struct RandomGrayscale(
    /// The probability; torchvision's default is 0.1.
    pub f32,
);

impl Transform for RandomGrayscale {
    fn apply(&self, image: Image, draw: &mut Draw) -> Result<Image> {
        check_probability("RandomGrayscale", self.0)?;
        let channels = image.channels();
        if draw.chance(self.0) {
            grayscale(image, channels)
        } else {
            Ok(image)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_in_its_bounds() {
        let grey = || Image::from_bytes(3, 1, 1, vec![100; 3]).unwrap();
        let jitter = ColorJitter {
            brightness: 0.2,
            ..ColorJitter::default()
        };
        let mut seen = Vec::new();
        for seed in 0..200 {
            let image = jitter.apply(grey(), &mut Draw::new(seed)).unwrap();
            seen.push(image.bytes().unwrap()[0]);
        }
        assert!(seen.iter().all(|v| (79..=120).contains(v)), "{seen:?}");
        assert!(seen.iter().any(|&v| v < 85) && seen.iter().any(|&v| v > 115));
        let draw = &mut Draw::new(0);
        assert_eq!(ColorJitter::default().apply(grey(), draw).unwrap(), grey());
        let bad = ColorJitter {
            hue: 0.6,
            ..ColorJitter::default()
        };
        assert!(bad.apply(grey(), draw).is_err());
        let red = Image::from_bytes(3, 1, 1, vec![255, 0, 0]).unwrap();
        let red = RandomGrayscale(1.0).apply(red, draw).unwrap();
        assert_eq!(red.bytes(), Some(&[76; 3][..]));
    }
}
