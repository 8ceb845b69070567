//! CIFAR-10: 50,000 + 10,000 colour photographs of 32 x 32 in ten classes (Krizhevsky 2009, "Learning Multiple Layers of Features from
//! Tiny Images"), as the binary batches it is published in, their archive, or images in folders or zips.

use std::path::{Path, PathBuf};

use gradus_train::Result;
use gradus_train::error::{bad_file, invalid};

use super::archive::tar_gz;
use super::{ImageSet, Split, folder, read};

/// The classes of CIFAR-10.
pub const CIFAR10_CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];
/// Mean and standard deviation of CIFAR-10's training pixels by channel, for [`Normalize`](crate::transforms::Normalize).
pub const CIFAR10_MEAN_STD: ([f32; 3], [f32; 3]) =
    ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]);

const SIZE: [usize; 3] = [3, 32, 32];
/// A label, then red, green and blue.
const RECORD: usize = 1 + 3 * 32 * 32;
const ARCHIVE: &str = "cifar-10-binary.tar.gz";

impl ImageSet {
    /// CIFAR-10 from its folder, or one with it in `cifar10` or `cifar-10-batches-bin`; or from its archive.
    ///
    /// What is looked for: `data_batch_1.bin` to `5` and `test_batch.bin`; `cifar-10-binary.tar.gz`, which holds them; `train` and
    /// `test` with the images in a folder for each class; `train.zip` and `test.zip` of such folders.
    ///
    /// # Errors
    /// When it is not there, a file is cut, or a label is out of range.
    pub fn cifar10(path: impl AsRef<Path>, split: Split) -> Result<Self> {
        let path = path.as_ref();
        if path.is_file() {
            return of_archive(path, split);
        }
        let name = match split {
            Split::Train => "train",
            Split::Test => "test",
        };
        for place in ["", "cifar10", "cifar-10", "cifar-10-batches-bin"] {
            let here = path.join(place);
            if here.join(batches(split)[0]).is_file() {
                let batches = batches(split).iter().map(|file| here.join(file));
                let content = |path: PathBuf| Ok((read(&path)?, path));
                return of_batches(batches.map(content).collect::<Result<_>>()?);
            }
            if here.join(ARCHIVE).is_file() {
                return of_archive(&here.join(ARCHIVE), split);
            }
            if let Some(part) = folder::part(&here, &[name]) {
                let set = Self::folder(&part)?;
                if set.classes() != CIFAR10_CLASSES {
                    let classes = set.classes().join(", ");
                    return Err(bad_file(
                        part,
                        format!("the classes are not CIFAR-10's but {classes}"),
                    ));
                }
                return Ok(set);
            }
        }
        Err(invalid(format!(
            "CIFAR-10 is not in {}: neither {}, nor {ARCHIVE}, nor {name}.zip, nor a folder {name}",
            path.display(),
            batches(split)[0]
        )))
    }
}

fn batches(split: Split) -> &'static [&'static str] {
    match split {
        Split::Test => &["test_batch.bin"],
        Split::Train => &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
    }
}

fn of_archive(path: &Path, split: Split) -> Result<ImageSet> {
    let wanted = batches(split);
    let mut files = tar_gz(path, |name| wanted.contains(&name))?;
    files.sort();
    if let Some(missing) = wanted
        .iter()
        .find(|w| !files.iter().any(|(name, _)| name == *w))
    {
        return Err(bad_file(path, format!("{missing} is not in the archive")));
    }
    let named = |(name, bytes)| (bytes, path.join(name));
    of_batches(files.into_iter().map(named).collect())
}

/// The images of binary batches, each with the path it is from.
fn of_batches(batches: Vec<(Vec<u8>, PathBuf)>) -> Result<ImageSet> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (bytes, path) in batches {
        if bytes.is_empty() || !bytes.len().is_multiple_of(RECORD) {
            let size = bytes.len();
            let problem =
                format!("{size} bytes are not records of {RECORD}; is the file complete?");
            return Err(bad_file(path, problem));
        }
        pixels.reserve(bytes.len());
        for (record, bytes) in bytes.chunks_exact(RECORD).enumerate() {
            if bytes[0] > 9 {
                let problem = format!("record {record} has label {}; there are 0 to 9", bytes[0]);
                return Err(bad_file(path, problem));
            }
            labels.push(u32::from(bytes[0]));
            pixels.extend_from_slice(&bytes[1..]);
        }
    }
    ImageSet::from_bytes(pixels, SIZE, labels, &CIFAR10_CLASSES)
}
