//! To one size.

use gradus_train::{Draw, Result};

use super::Transform;
use super::functional::{Interpolation, resize, resize_shorter};
use crate::image::Image;

/// Scales, without aliasing: to a height and width, or the shorter side to a size.
#[derive(Clone, Copy, Debug)]
pub struct Resize {
    size: Size,
    interpolation: Interpolation,
}

#[derive(Clone, Copy, Debug)]
enum Size {
    Exact(usize, usize),
    Shorter(usize),
}

impl Resize {
    /// To this height and width, bilinearly.
    pub fn exact(height: usize, width: usize) -> Self {
        Self {
            size: Size::Exact(height, width),
            interpolation: Interpolation::Bilinear,
        }
    }

    /// The shorter side to `size`, the other in proportion, bilinearly: torchvision's `Resize(size)`.
    pub fn shorter(size: usize) -> Self {
        Self {
            size: Size::Shorter(size),
            interpolation: Interpolation::Bilinear,
        }
    }

    /// With another interpolation.
    #[must_use]
    pub fn interpolation(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }
}

impl Transform for Resize {
    fn apply(&self, image: Image, _: &mut Draw) -> Result<Image> {
        match self.size {
            Size::Exact(h, w) if [h, w] == [image.height(), image.width()] => Ok(image),
            Size::Exact(height, width) => resize(&image, height, width, self.interpolation),
            Size::Shorter(size) => resize_shorter(&image, size, self.interpolation),
        }
    }
}
