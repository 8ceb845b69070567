//! Image data sets: MNIST, Fashion-MNIST (IDX files, gzipped or not) and the digits inside the library.
//!
//! An [`ImageSet`] keeps the images as bytes, as the files have them; a sample becomes floats, goes through the transforms and
//! joins its batch only when it is asked for. Views of one set with different transforms share the bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gradus_tensor::Tensor;
use gradus_train::error::{bad_file, invalid};
use gradus_train::{Dataset, Dice, Result};

use crate::idx::Idx;
use crate::image::Image;
use crate::transforms::Transform;

/// Mean and standard deviation of MNIST's training pixels, for [`Normalize`](crate::transforms::Normalize).
pub const MNIST_MEAN_STD: (f32, f32) = (0.1307, 0.3081);
/// Mean and standard deviation of Fashion-MNIST's training pixels.
pub const FASHION_MNIST_MEAN_STD: (f32, f32) = (0.2860, 0.3530);
/// The classes of MNIST.
pub const MNIST_CLASSES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
/// The classes of Fashion-MNIST.
pub const FASHION_MNIST_CLASSES: [&str; 10] = [
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
];

/// The training or the test part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// To learn from.
    Train,
    /// To be judged on.
    Test,
}

/// Grey images of one size with labels, as bytes.
struct Bytes {
    images: Vec<u8>, // (N, H, W)
    labels: Vec<u8>, // (N)
    height: usize,
    width: usize,
    classes: Vec<String>,
}

/// Labelled grey images. A batch is images f32 `[B, 1, H, W]` (or what the transforms make of them) and labels i64 `[B]`.
#[derive(Clone)]
pub struct ImageSet {
    bytes: Arc<Bytes>,
    transform: Option<Arc<dyn Transform>>,
}

impl std::fmt::Debug for ImageSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let b = &self.bytes;
        write!(
            f,
            "ImageSet({} images of {}x{}, {} classes)",
            b.labels.len(),
            b.height,
            b.width,
            b.classes.len()
        )
    }
}

impl ImageSet {
    /// A set from IDX images `[N, H, W]` and labels `[N]`.
    ///
    /// Errors when their numbers differ or a label has no class.
    pub fn from_idx(images: Idx, labels: Idx, classes: &[&str]) -> Result<Self> {
        let ([n, height, width], [m]) = (images.dims.as_slice(), labels.dims.as_slice()) else {
            return Err(invalid(format!(
                "images of {:?} with labels of {:?}; [N, height, width] and [N] are expected",
                images.dims, labels.dims
            )));
        };
        if n != m {
            return Err(invalid(format!("{n} images but {m} labels")));
        }
        if let Some(bad) = labels.data.iter().find(|&&l| l as usize >= classes.len()) {
            return Err(invalid(format!(
                "label {bad}, but there are {} classes",
                classes.len()
            )));
        }
        let bytes = Bytes {
            height: *height,
            width: *width,
            images: images.data,
            labels: labels.data,
            classes: classes.iter().map(|c| (*c).to_owned()).collect(),
        };
        Ok(Self {
            bytes: Arc::new(bytes),
            transform: None,
        })
    }

    /// The 10,000 training or 2,000 test digits inside the library: real MNIST, every 6th and every 5th (CC BY-SA 3.0).
    ///
    /// ```
    /// use gradus_train::Dataset as _;
    /// use gradus_vision::datasets::{ImageSet, Split};
    /// assert_eq!(ImageSet::embedded_mnist(Split::Train)?.len(), 10_000);
    /// assert_eq!(ImageSet::embedded_mnist(Split::Test)?.len(), 2_000);
    /// # Ok::<(), gradus_train::Error>(())
    /// ```
    pub fn embedded_mnist(split: Split) -> Result<Self> {
        let (images, labels): (&[u8], &[u8]) = match split {
            Split::Train => (
                include_bytes!("../data/train-images-idx3-ubyte.gz"),
                include_bytes!("../data/train-labels-idx1-ubyte.gz"),
            ),
            Split::Test => (
                include_bytes!("../data/t10k-images-idx3-ubyte.gz"),
                include_bytes!("../data/t10k-labels-idx1-ubyte.gz"),
            ),
        };
        let images = Idx::from_bytes(images, "embedded images")?;
        let labels = Idx::from_bytes(labels, "embedded labels")?;
        Self::from_idx(images, labels, &MNIST_CLASSES)
    }

    /// MNIST from the folder of its four IDX files (also `folder/mnist` or torchvision's `folder/MNIST/raw`).
    pub fn mnist(folder: impl AsRef<Path>, split: Split) -> Result<Self> {
        let places = ["", "mnist", "MNIST/raw", "MNIST"];
        Self::from_folder(folder.as_ref(), &places, split, &MNIST_CLASSES)
    }

    /// Fashion-MNIST from the folder of its four IDX files (also `folder/fashion-mnist` or `folder/FashionMNIST/raw`).
    pub fn fashion_mnist(folder: impl AsRef<Path>, split: Split) -> Result<Self> {
        let places = [
            "",
            "fashion-mnist",
            "fashion_mnist",
            "fashion",
            "FashionMNIST/raw",
        ];
        Self::from_folder(folder.as_ref(), &places, split, &FASHION_MNIST_CLASSES)
    }

    fn from_folder(folder: &Path, places: &[&str], split: Split, classes: &[&str]) -> Result<Self> {
        let part = match split {
            Split::Train => "train",
            Split::Test => "t10k",
        };
        let images_path = find(folder, places, &format!("{part}-images"), "idx3-ubyte")?;
        let labels_path = find(folder, places, &format!("{part}-labels"), "idx1-ubyte")?;
        let (images, labels) = (Idx::read(&images_path)?, Idx::read(labels_path)?);
        Self::from_idx(images, labels, classes).map_err(|e| bad_file(images_path, e))
    }

    /// The same images seen through a transform.
    pub fn with_transform(&self, transform: impl Transform + 'static) -> Self {
        Self {
            bytes: Arc::clone(&self.bytes),
            transform: Some(Arc::new(transform)),
        }
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.bytes.classes
    }

    /// The class of a sample, if there is such a sample.
    pub fn label(&self, index: usize) -> Option<usize> {
        self.bytes.labels.get(index).map(|&l| l as usize)
    }

    /// The untransformed image of a sample, (1, H, W), values 0 to 1.
    pub fn image(&self, index: usize) -> Result<Image> {
        let (h, w) = (self.bytes.height, self.bytes.width);
        let start = index.checked_mul(h * w);
        let pixels = start.and_then(|s| self.bytes.images.get(s..s + h * w));
        match pixels {
            Some(pixels) if index < self.bytes.labels.len() => Image::from_gray8(h, w, pixels),
            _ => Err(invalid(format!(
                "image {index} of a set of {}",
                self.bytes.labels.len()
            ))),
        }
    }
}

impl Dataset for ImageSet {
    type Batch = (Tensor, Tensor);

    fn len(&self) -> usize {
        self.bytes.labels.len()
    }

    fn batch(&self, indices: &[usize], dice: Dice) -> Result<Self::Batch> {
        let mut pixels: Vec<f32> = Vec::new();
        let mut labels: Vec<i64> = Vec::with_capacity(indices.len());
        let mut shape: Option<[usize; 3]> = None;
        for &index in indices {
            let mut image = self.image(index)?;
            if let Some(transform) = &self.transform {
                image = transform.apply(image, &mut dice.sample(index))?;
            }
            let this = [image.channels(), image.height(), image.width()];
            let first = *shape.get_or_insert(this);
            if first != this {
                return Err(invalid(format!(
                    "the transforms made images of {first:?} and {this:?}; in a batch all are of one size"
                )));
            }
            if pixels.is_empty() {
                pixels.reserve_exact(indices.len() * image.pixels().len());
            }
            pixels.extend_from_slice(image.pixels());
            labels.push(self.bytes.labels[index] as i64);
        }
        let [c, h, w] = shape.unwrap_or([1, self.bytes.height, self.bytes.width]);
        let images = Tensor::from_vec(pixels, [indices.len(), c, h, w])?; // (B, C, H, W)
        let labels = Tensor::from_vec(labels, [indices.len()])?; // (B)
        Ok((images, labels))
    }
}

/// The file `name` in one of the places, by any of the names it goes by.
fn find(folder: &Path, places: &[&str], name: &str, kind: &str) -> Result<PathBuf> {
    for place in places {
        for separator in ["-", "."] {
            for gz in ["", ".gz"] {
                let path = folder
                    .join(place)
                    .join(format!("{name}{separator}{kind}{gz}"));
                if path.is_file() {
                    return Ok(path);
                }
            }
        }
    }
    Err(invalid(format!(
        "{name}-{kind}.gz is not in {}; give the folder of the IDX files",
        folder.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transforms::{Compose, RandomShift};

    #[test]
    fn embedded_digits_are_what_the_readme_says() {
        for (split, want) in [
            (
                Split::Train,
                [941, 1132, 1032, 1022, 958, 925, 997, 1026, 978, 989],
            ),
            (
                Split::Test,
                [189, 222, 212, 242, 196, 186, 158, 215, 193, 187],
            ),
        ] {
            let set = ImageSet::embedded_mnist(split).unwrap();
            let mut counts = [0; 10];
            (0..set.len()).for_each(|i| counts[set.label(i).unwrap()] += 1);
            assert_eq!(counts, want);
            assert!(set.image(set.len()).is_err());
        }
    }

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
    fn folders_and_mismatches() {
        let folder = tempfile::tempdir().unwrap();
        let missing = ImageSet::mnist(folder.path(), Split::Test)
            .unwrap_err()
            .to_string();
        assert!(
            missing.contains("t10k-images-idx3-ubyte.gz is not in"),
            "{missing}"
        );
        let raw = folder.path().join("MNIST/raw");
        std::fs::create_dir_all(&raw).unwrap();
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
        for (name, to) in [
            ("t10k-images-idx3-ubyte.gz", "t10k-images.idx3-ubyte.gz"),
            ("t10k-labels-idx1-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
        ] {
            std::fs::copy(data.join(name), raw.join(to)).unwrap();
        }
        assert_eq!(
            ImageSet::mnist(folder.path(), Split::Test).unwrap().len(),
            2000
        );
        let images = Idx {
            dims: vec![1, 1, 1],
            data: vec![0],
        };
        let labels = |dims: Vec<usize>, data: Vec<u8>| Idx { dims, data };
        assert!(ImageSet::from_idx(images.clone(), labels(vec![2], vec![0, 0]), &["a"]).is_err());
        assert!(ImageSet::from_idx(images, labels(vec![1], vec![1]), &["a"]).is_err());
    }
}
