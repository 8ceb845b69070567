//! What the random transforms do once they have drawn: functions of an image, with no dice.
//!
//! Names and meanings are those of `torchvision.transforms.functional`. On images of bytes each gives the bytes that Pillow gives, to the
//! last bit; the tests hold frozen sums of them. Colours and histograms are things of bytes: images of floats are rounded to bytes first.
//! Sizes and places work on floats too.

mod color;
mod histogram;
mod resample;
mod warp;

pub use color::{
    adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, adjust_sharpness, grayscale,
};
pub use histogram::{autocontrast, equalize, invert, posterize, solarize};
pub use resample::{resize, resize_shorter};
pub use warp::{Warp, affine, rotate};

use crate::image::Image;
use gradus_train::Result;

/// How values between pixels are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// The pixel there.
    Nearest,
    /// In a straight line between neighbours; when shrinking, over all pixels that fall into one.
    #[default]
    Bilinear,
    /// Along a cubic through four neighbours; when shrinking, over all pixels that fall into one.
    Bicubic,
}

/// The middle of an image, `height` x `width`; an image that is smaller gets black edges.
///
/// ```
/// use gradus_vision::{Image, transforms::functional::center_crop};
/// let row = Image::from_bytes(1, 1, 5, vec![1, 2, 3, 4, 5])?;
/// assert_eq!(center_crop(&row, 1, 2)?.bytes(), Some(&[3, 4][..])); // halves are rounded to even, as in Python
/// assert_eq!(center_crop(&row, 1, 8)?.bytes(), Some(&[0, 1, 2, 3, 4, 5, 0, 0][..]));
/// # Ok::<(), gradus_train::Error>(())
/// ```
///
/// # Errors
/// When the size is beyond all memory.
pub fn center_crop(image: &Image, height: usize, width: usize) -> Result<Image> {
    let corner = |have: usize, want: usize| {
        if want > have {
            -(((want - have) / 2) as isize)
        } else {
            ((have - want) as f64 / 2.0).round_ties_even() as isize
        }
    };
    let (top, left) = (corner(image.height(), height), corner(image.width(), width));
    image.window(top, left, height, width, 0.0)
}

/// The window of `height` x `width` at (`top`, `left`), scaled to a size: torchvision's `resized_crop`.
///
/// # Errors
/// When the window or the size has no pixels.
pub fn resized_crop(
    image: &Image,
    [top, left, height, width]: [usize; 4],
    size: [usize; 2],
    how: Interpolation,
) -> Result<Image> {
    let window = image.window(top as isize, left as isize, height, width, 0.0)?;
    resize(&window, size[0], size[1], how)
}

/// The image with left and right exchanged.
pub fn hflip(image: &Image) -> Image {
    let (height, width) = (image.height(), image.width());
    image.rearranged(height, width, |y, x| (y, width - 1 - x))
}

/// The image with top and bottom exchanged.
pub fn vflip(image: &Image) -> Image {
    let (height, width) = (image.height(), image.width());
    image.rearranged(height, width, |y, x| (height - 1 - y, x))
}
