//! Transforms of one image: what a data set does to a sample before it joins a batch.
//!
//! Names, meanings and defaults are torchvision's, and on images of bytes so are the pixels (see [`functional`]). Every transform gets the
//! sample's own [`Draw`], so what is random depends on the seed, the epoch and the sample's number, never on threads. Nothing here
//! knows tensors, but for [`mix`], which works on batches.

mod affine;
mod color;
mod crop;
mod erase;
mod flip;
pub mod functional;
pub mod mix;
mod normalize;
mod rand_augment;
mod resize;

pub use affine::{RandomAffine, RandomRotation, RandomShift};
pub use color::{ColorJitter, RandomGrayscale};
pub use crop::{CenterCrop, RandomCrop, RandomResizedCrop};
pub use erase::RandomErasing;
pub use flip::{RandomHorizontalFlip, RandomVerticalFlip};
pub use functional::Interpolation;
pub use normalize::{Normalize, ToTensor};
pub use rand_augment::RandAugment;
pub use resize::Resize;

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
    /// use gradus_vision::transforms::{Compose, Normalize, RandomCrop, RandomHorizontalFlip};
    /// let training = Compose::new()
    ///     .then(RandomCrop { padding: 4, ..RandomCrop::new(32, 32) })
    ///     .then(RandomHorizontalFlip(0.5))
    ///     .then(Normalize::new(&[0.49, 0.48, 0.45], &[0.25, 0.24, 0.26])?);
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

/// An error unless `p` is a probability.
fn check_probability(what: &str, p: f32) -> Result<()> {
    if (0.0..=1.0).contains(&p) {
        return Ok(());
    }
    let text = format!("{what}: {p} is not a probability, 0 to 1");
    Err(gradus_train::error::invalid(text))
}

/// A window of `scale` parts of an area and with a ratio of width to height in `ratio`, log-uniformly: its height and width.
/// Erasing and cropping draw alike; ten tries, then `None`.
fn draw_window(
    [height, width]: [usize; 2],
    scale: [f32; 2],
    ratio: [f32; 2],
    draw: &mut Draw,
    fits: impl Fn(usize, usize) -> bool,
) -> Option<[usize; 2]> {
    let area = (height * width) as f32;
    (0..10).find_map(|_| {
        let part = area * draw.range(scale[0], scale[1]);
        let shape = draw.range(ratio[0].ln(), ratio[1].ln()).exp();
        let w = (part * shape).sqrt().round_ties_even() as usize;
        let h = (part / shape).sqrt().round_ties_even() as usize;
        fits(h, w).then_some([h, w])
    })
}
