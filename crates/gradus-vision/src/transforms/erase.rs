//! Random erasing (Zhong et al. 2017, arXiv:1708.04896): a window of the image is lost, so that no single part can be relied on.

use gradus_train::error::invalid;
use gradus_train::{Draw, Result};

use super::{Transform, check_probability, draw_window};
use crate::image::Image;

/// Overwrites a random window. It is for what comes last, after [`Normalize`](super::Normalize): 0 is then the mean.
#[derive(Clone, Copy, Debug)]
pub struct RandomErasing {
    /// The probability.
    pub p: f32,
    /// The window's part of the image's area, from and to.
    pub scale: [f32; 2],
    /// The window's height by its width, from and to.
    pub ratio: [f32; 2],
    /// What is written; `None` for normal noise.
    pub value: Option<f32>,
}

impl Default for RandomErasing {
    /// Half of the images, 2 to 33 % of each, with 0.
    fn default() -> Self {
        Self {
            p: 0.5,
            scale: [0.02, 0.33],
            ratio: [0.3, 3.3],
            value: Some(0.0),
        }
    }
}

impl Transform for RandomErasing {
    fn apply(&self, mut image: Image, draw: &mut Draw) -> Result<Image> {
        check_probability("RandomErasing", self.p)?;
        let ordered = |[a, b]: [f32; 2]| a > 0.0 && a <= b && b.is_finite();
        if !ordered(self.scale) || self.scale[1] > 1.0 || !ordered(self.ratio) {
            return Err(invalid(format!(
                "{self:?}: scale and ratio go from a number above 0 to one not below it, scale up to 1"
            )));
        }
        let (height, width) = (image.height(), image.width());
        if !draw.chance(self.p) || height * width == 0 {
            return Ok(image);
        }
        let inverse = [1.0 / self.ratio[1], 1.0 / self.ratio[0]]; // to width by height
        let fits = |h, w| h < height && w < width;
        let Some([h, w]) = draw_window([height, width], self.scale, inverse, draw, fits) else {
            return Ok(image);
        };
        let top = draw.below((height - h + 1) as u64) as usize;
        let left = draw.below((width - w + 1) as u64) as usize;
        for plane in image.pixels_mut().chunks_exact_mut(height * width) {
            for row in plane.chunks_exact_mut(width).skip(top).take(h) {
                for value in &mut row[left..left + w] {
                    *value = self.value.unwrap_or_else(|| super::mix::normal(draw));
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
    fn a_window_of_the_right_size_is_lost() {
        let (mut erased, mut parts) = (0, Vec::new());
        for seed in 0..400 {
            let image = Image::filled(2, 30, 40, 1.0).unwrap();
            let image = RandomErasing::default()
                .apply(image, &mut Draw::new(seed))
                .unwrap();
            let lost = |c| image.channel(c).iter().filter(|&&v| v == 0.0).count();
            assert_eq!(lost(0), lost(1));
            if lost(0) > 0 {
                erased += 1;
                parts.push(lost(0) as f32 / 1200.0);
            }
        }
        assert!((160..240).contains(&erased), "{erased}");
        assert!(parts.iter().all(|p| (0.015..0.35).contains(p)), "{parts:?}");
        let noise = RandomErasing {
            p: 1.0,
            value: None,
            ..RandomErasing::default()
        };
        let image = Image::filled(1, 30, 40, 9.0).unwrap();
        let image = noise.apply(image, &mut Draw::new(3)).unwrap();
        let lost: Vec<f32> = image
            .pixels()
            .iter()
            .copied()
            .filter(|&v| v != 9.0)
            .collect();
        let mean = lost.iter().sum::<f32>() / lost.len() as f32;
        assert!(!lost.is_empty() && mean.abs() < 0.5, "{mean}");
        let all = RandomErasing {
            scale: [0.5, 2.0],
            ..noise
        };
        assert!(all.apply(image, &mut Draw::new(3)).is_err());
    }
}
