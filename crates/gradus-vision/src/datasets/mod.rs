//! Image data sets: an [`ImageSet`] keeps images and labels; each file here is a place they come from.
//!
//! `mnist.rs`: MNIST and Fashion-MNIST (IDX files, gzipped or not) and the digits inside the library. `cifar.rs`: CIFAR-10 as its
//! binary batches, their archive, folders or zips. `folder.rs`: a folder with a folder of images for each class, or a zip of one.
//!
//! Images stay bytes, as the files have them; a sample goes through the transforms, becomes floats and joins its batch only when it is
//! asked for. Views of one set with different transforms share the bytes.

mod archive;
mod cifar;
mod folder;
mod mnist;

use std::path::Path;
use std::sync::Arc;

use gradus_tensor::Tensor;
use gradus_train::error::{file_error, invalid};
use gradus_train::{Dataset, Dice, Result};
use rayon::prelude::*;

use crate::image::Image;
use crate::transforms::Transform;
use folder::Files;

pub use cifar::{CIFAR10_CLASSES, CIFAR10_MEAN_STD};
pub use mnist::{FASHION_MNIST_CLASSES, FASHION_MNIST_MEAN_STD, MNIST_CLASSES, MNIST_MEAN_STD};

/// The training or the test part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// To learn from.
    Train,
    /// To be judged on.
    Test,
}

/// Images with labels. A batch is images f32 `[B, C, H, W]` (what the transforms make of them) and labels i64 `[B]`.
#[derive(Clone)]
pub struct ImageSet {
    store: Arc<Store>,
    transform: Option<Arc<dyn Transform>>,
}

struct Store {
    images: Images,
    labels: Vec<u32>, // (N)
    classes: Vec<String>,
}

enum Images {
    /// All of one size, in one piece.
    Same {
        pixels: Vec<u8>, // (N, C, H, W)
        size: [usize; 3],
    },
    /// Files of any size.
    Files(Files),
}

impl std::fmt::Debug for ImageSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let size = match &self.store.images {
            Images::Same {
                size: [_, h, w], ..
            } => format!(" of {h}x{w}"),
            Images::Files(_) => String::new(),
        };
        let (n, classes) = (self.store.labels.len(), self.store.classes.len());
        write!(f, "ImageSet({n} images{size}, {classes} classes)")
    }
}

impl ImageSet {
    /// A set from bytes (N, C, H, W), labels (N), and the names of the classes.
    ///
    /// ```
    /// use gradus_train::{Dataset as _, Dice};
    /// use gradus_vision::datasets::ImageSet;
    /// let set = ImageSet::from_bytes(vec![0, 255, 51, 0], [1, 1, 2], vec![0, 1], &["left", "right"])?;
    /// let (images, labels) = set.batch(&[1], Dice { seed: 0, epoch: 0 })?;
    /// assert_eq!(images.to_vec::<f32>()?, [0.2, 0.0]); // (1, 1, 1, 2)
    /// assert_eq!(labels.to_vec::<i64>()?, [1]);
    /// # Ok::<(), gradus_train::Error>(())
    /// ```
    ///
    /// Errors when their numbers differ or a label has no class.
    pub fn from_bytes(
        pixels: Vec<u8>,
        size: [usize; 3],
        labels: Vec<u32>,
        classes: &[impl AsRef<str>],
    ) -> Result<Self> {
        let numel = size.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if numel.and_then(|n| n.checked_mul(labels.len())) != Some(pixels.len()) {
            return Err(invalid(format!(
                "{} bytes are not {} images of {size:?}, one for each label",
                pixels.len(),
                labels.len()
            )));
        }
        let classes = classes.iter().map(|c| c.as_ref().to_owned()).collect();
        Self::new(Images::Same { pixels, size }, labels, classes)
    }

    fn new(images: Images, labels: Vec<u32>, classes: Vec<String>) -> Result<Self> {
        if let Some(at) = labels.iter().position(|&l| l as usize >= classes.len()) {
            let (label, n) = (labels[at], classes.len());
            return Err(invalid(format!(
                "label {label} of image {at}, but there are {n} classes"
            )));
        }
        let store = Store {
            images,
            labels,
            classes,
        };
        Ok(Self {
            store: Arc::new(store),
            transform: None,
        })
    }

    /// Images from a folder with a folder for each class, `cat/001.jpg`, or from a zip of one: torchvision's `ImageFolder`.
    ///
    /// Classes are the folders' names, sorted; within a class files are sorted by path, folders in it included. PNG and JPEG are read,
    /// as three channels. The first images are decoded here, by all threads, and kept as bytes as long as they fit into 512 MiB (all of
    /// CIFAR-10 does); what lies beyond is decoded whenever it is asked for. Unlike torchvision's, photographs are upright.
    ///
    /// # Errors
    /// When there is no such folder or zip, a class has no images, a file is an image of another format, or one of the first is damaged.
    pub fn folder(path: impl AsRef<Path>) -> Result<Self> {
        let listing = folder::list(path.as_ref())?;
        Self::new(
            Images::Files(listing.files),
            listing.labels,
            listing.classes,
        )
    }

    /// The parts of a data set: those in `train` and `test` (or `val`, `valid`, `validation`) where `path` is a folder that has them
    /// as folders or zips, otherwise all of `path` as one.
    ///
    /// # Errors
    /// As [`folder`](Self::folder), and when the parts do not have the same classes.
    pub fn splits(path: impl AsRef<Path>) -> Result<(Self, Option<Self>)> {
        let path = path.as_ref();
        let part = |names: &[&str]| folder::part(path, names);
        let Some(train) = part(&["train"]) else {
            return Ok((Self::folder(path)?, None));
        };
        let train_set = Self::folder(&train)?;
        let Some(test) = part(&["test", "val", "valid", "validation"]) else {
            return Ok((train_set, None));
        };
        let test_set = Self::folder(&test)?;
        if train_set.classes() != test_set.classes() {
            return Err(invalid(format!(
                "the classes of {} are {:?}, those of {} {:?}; they must be the same",
                train.display(),
                train_set.classes(),
                test.display(),
                test_set.classes()
            )));
        }
        Ok((train_set, Some(test_set)))
    }

    /// The same images seen through a transform.
    pub fn with_transform(&self, transform: impl Transform + 'static) -> Self {
        Self {
            store: Arc::clone(&self.store),
            transform: Some(Arc::new(transform)),
        }
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.store.classes
    }

    /// The class of a sample, if there is such a sample.
    pub fn label(&self, index: usize) -> Option<usize> {
        self.store.labels.get(index).map(|&l| l as usize)
    }

    /// Height and width of the images, if they are all of one size and all in memory.
    pub fn size(&self) -> Option<[usize; 2]> {
        match &self.store.images {
            Images::Same {
                size: [_, h, w], ..
            } => Some([*h, *w]),
            Images::Files(files) => files.size(),
        }
    }

    /// Where a sample is from: its file, or its number.
    pub fn name(&self, index: usize) -> String {
        match &self.store.images {
            Images::Files(files) => files.name(index),
            Images::Same { .. } => format!("image {index}"),
        }
    }

    /// The untransformed image of a sample, bytes (C, H, W).
    ///
    /// # Errors
    /// When there is no such sample, or its file cannot be read.
    pub fn image(&self, index: usize) -> Result<Image> {
        let samples = self.store.labels.len();
        if index >= samples {
            return Err(invalid(format!("image {index} of a set of {samples}")));
        }
        match &self.store.images {
            Images::Files(files) => files.image(index),
            Images::Same {
                pixels,
                size: [c, h, w],
            } => {
                let numel = c * h * w;
                let pixels = pixels[index * numel..][..numel].to_vec();
                Image::from_bytes(*c, *h, *w, pixels)
            }
        }
    }

    /// A sample as its batch gets it.
    fn sample(&self, index: usize, dice: Dice) -> Result<Image> {
        let mut image = self.image(index)?;
        if let Some(transform) = &self.transform {
            image = transform.apply(image, &mut dice.sample(index))?;
        }
        Ok(image.into_floats())
    }
}

impl Dataset for ImageSet {
    type Batch = (Tensor, Tensor);

    fn len(&self) -> usize {
        self.store.labels.len()
    }

    fn batch(&self, indices: &[usize], dice: Dice) -> Result<Self::Batch> {
        let prepare = |&index: &usize| self.sample(index, dice);
        let images: Vec<Image> = indices.par_iter().map(prepare).collect::<Result<_>>()?;
        let size = |image: &Image| [image.channels(), image.height(), image.width()];
        let [c, h, w] = match (images.first(), &self.store.images) {
            (Some(image), _) => size(image),
            (None, Images::Same { size, .. }) => *size,
            (None, Images::Files(_)) => [3, 0, 0],
        };
        let mut pixels: Vec<f32> = Vec::with_capacity(images.len() * c * h * w);
        for (image, &index) in images.iter().zip(indices) {
            let this = size(image);
            if this != [c, h, w] {
                return Err(invalid(format!(
                    "{} is {this:?} after its transforms, {} {:?}; in a batch all are of one size: resize or crop them",
                    self.name(index),
                    self.name(indices[0]),
                    [c, h, w]
                )));
            }
            pixels.extend_from_slice(&image.pixels());
        }
        let labels: Vec<i64> = indices
            .iter()
            .map(|&i| i64::from(self.store.labels[i]))
            .collect();
        let images = Tensor::from_vec(pixels, [indices.len(), c, h, w])?; // (B, C, H, W)
        let labels = Tensor::from_vec(labels, [indices.len()])?; // (B)
        Ok((images, labels))
    }
}

/// The bytes of a file.
fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| file_error("open", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transforms::{Compose, RandomShift};

    #[test]
    fn batches_are_reproducible_and_augmented_per_sample() {
        let set = ImageSet::embedded_mnist(Split::Test).unwrap();
        let moved = set.with_transform(Compose::new().then(RandomShift::new(3)));
        let dice = Dice { seed: 1, epoch: 2 };
        let together = moved.batch(&[5, 6, 7], dice).unwrap();
        assert_eq!(together.0.dims(), [3, 1, 28, 28]);
        let alone = moved.batch(&[6], dice).unwrap();
        let all = together.0.to_vec::<f32>().unwrap();
        assert_eq!(all[784..1568], alone.0.to_vec::<f32>().unwrap());
        let later = moved.batch(&[6], Dice { seed: 1, epoch: 3 }).unwrap();
        assert_ne!(
            later.0.to_vec::<f32>().unwrap(),
            alone.0.to_vec::<f32>().unwrap()
        );
        assert_eq!(set.batch(&[], dice).unwrap().0.dims(), [0, 1, 28, 28]);
    }

    #[test]
    fn bytes_and_labels_must_fit() {
        let set = |bytes, labels| ImageSet::from_bytes(vec![0; bytes], [1, 2, 2], labels, &["a"]);
        assert!(set(8, vec![0, 0]).is_ok());
        assert!(set(9, vec![0, 0]).is_err());
        let error = set(8, vec![0, 1]).unwrap_err().to_string();
        assert_eq!(error, "label 1 of image 1, but there are 1 classes");
        let huge = [usize::MAX, 2, 2];
        assert!(ImageSet::from_bytes(vec![], huge, vec![0], &["a"]).is_err());
    }
}
