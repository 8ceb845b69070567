//! Vision: image data sets, transforms, models, and pictures from files.
//!
//! ```
//! use gradus_train::{Dataset as _, Dice};
//! use gradus_vision::datasets::{ImageSet, Split};
//! use gradus_vision::transforms::{Compose, Normalize, RandomShift};
//!
//! # fn main() -> gradus_train::Result<()> {
//! let digits = ImageSet::embedded_mnist(Split::Train)?; // 10,000 real digits, inside the library
//! let augmented = digits.with_transform(
//!     Compose::new().then(RandomShift::new(2)).then(Normalize::new(&[0.1307], &[0.3081])?),
//! );
//! let (images, labels) = augmented.batch(&[0, 1, 2], Dice { seed: 42, epoch: 0 })?;
//! assert_eq!(images.dims(), [3, 1, 28, 28]); // (B, C, H, W)
//! assert_eq!(labels.dims(), [3]); // (B)
//! # Ok(())
//! # }
//! ```
//!
//! Where to read: [`datasets`] (with [`idx`], the file format of MNIST), [`transforms`] on [`Image`]s, [`models`] with [`presets`] (how each wants its pictures), [`ops`] (boxes, regions,
//! losses of detectors), [`explain`] (what an answer hangs on), [`decode`] and [`encode`] (PNG and JPEG), and [`digit`], which makes of any picture of a digit what MNIST would have made of it.
#![forbid(unsafe_code)]

pub mod classes;
pub mod datasets;
pub mod decode;
pub mod digit;
pub mod encode;
pub mod explain;
pub mod idx;
mod image;
pub mod models;
pub mod ops;
pub mod presets;
pub mod transforms;

pub use image::Image;
