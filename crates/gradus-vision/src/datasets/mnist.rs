//! MNIST and Fashion-MNIST: grey images of 28 x 28 in IDX files (`idx.rs`), and the part of MNIST that lies in the library.

use std::path::{Path, PathBuf};

use gradus_train::Result;
use gradus_train::error::{bad_file, invalid};

use super::{ImageSet, Split};
use crate::idx::Idx;

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
        let size = [1, *height, *width];
        let labels = labels.data.iter().map(|&l| u32::from(l)).collect();
        Self::from_bytes(images.data, size, labels, classes)
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
                include_bytes!("../../data/train-images-idx3-ubyte.gz"),
                include_bytes!("../../data/train-labels-idx1-ubyte.gz"),
            ),
            Split::Test => (
                include_bytes!("../../data/t10k-images-idx3-ubyte.gz"),
                include_bytes!("../../data/t10k-labels-idx1-ubyte.gz"),
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
    use gradus_train::Dataset as _;

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
