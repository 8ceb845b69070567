//! Data sets from files: folders, zips, CIFAR-10 in each of its forms, and files that are not what they should be.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use gradus_train::{Dataset as _, Dice};
use gradus_vision::datasets::{CIFAR10_CLASSES, ImageSet, Split};

/// A PNG of one colour.
fn png(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    let pixels = colour.repeat((width * height) as usize);
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    bytes
}

fn write(path: impl AsRef<Path>, bytes: &[u8]) {
    std::fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A zip of stored files, written by hand.
fn zip(path: impl AsRef<Path>, files: &[(&str, &[u8])]) {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in files {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let mut facts = Vec::new();
        facts.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0x50]); // version, flags, stored, a date
        facts.extend(crc.sum().to_le_bytes());
        facts.extend((content.len() as u32).to_le_bytes());
        facts.extend((content.len() as u32).to_le_bytes());
        facts.extend((name.len() as u16).to_le_bytes());
        facts.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&facts);
        directory.extend([0; 10]);
        directory.extend((out.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&facts);
        out.extend(name.as_bytes());
        out.extend(*content);
    }
    let (start, count) = (out.len() as u32, (files.len() as u16).to_le_bytes());
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count);
    out.extend(count);
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    write(path, &out);
}

fn message<T: std::fmt::Debug>(result: gradus_train::Result<T>) -> String {
    result.unwrap_err().to_string()
}

/// Names of the files of a set, without the folder, and their labels.
fn order(set: &ImageSet, root: &Path) -> Vec<(String, usize)> {
    let name = |i| set.name(i).replace(root.to_str().unwrap(), "");
    (0..set.len())
        .map(|i| (name(i), set.label(i).unwrap()))
        .collect()
}

#[test]
fn a_folder_is_read_in_the_order_of_torchvision() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in [
        "dog/2.png",
        "dog/10.PNG",
        "cat/b/1.png",
        "cat/z.png",
        "cat/.hidden.png",
    ] {
        write(root.join(name), &png(3, 2, [10, 20, 30]));
    }
    write(root.join("cat/notes.txt"), b"not an image");
    write(root.join("README.md"), b"beside the classes");
    let set = ImageSet::folder(root).unwrap();
    assert_eq!(set.classes(), ["cat", "dog"]);
    let want = [
        ("/cat/z.png", 0),
        ("/cat/b/1.png", 0),
        ("/dog/10.PNG", 1),
        ("/dog/2.png", 1),
    ];
    assert_eq!(
        order(&set, root),
        want.map(|(name, label)| (name.to_owned(), label))
    );
    let (images, labels) = set.batch(&[3, 0], Dice { seed: 0, epoch: 0 }).unwrap();
    assert_eq!(images.dims(), [2, 3, 2, 3]);
    assert_eq!(labels.to_vec::<i64>().unwrap(), [1, 0]);
    assert_eq!(images.to_vec::<f32>().unwrap()[..6], [10.0 / 255.0; 6]);
    assert!(set.image(4).is_err());
}

#[test]
fn a_zip_is_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (red, blue) = (png(1, 1, [255, 0, 0]), png(1, 1, [0, 0, 255]));
    let path = folder.path().join("set.zip");
    let files: [(&str, &[u8]); 5] = [
        ("set/", b""),
        ("set/b/1.png", &blue),
        ("set/a/1.png", &red),
        ("__MACOSX/set/a/1.png", b"resource fork"),
        ("set/README.md", b"beside the classes"),
    ];
    zip(&path, &files);
    let set = ImageSet::folder(&path).unwrap();
    assert_eq!(set.classes(), ["a", "b"]);
    assert_eq!(set.image(0).unwrap().bytes().unwrap(), [255, 0, 0]);
    assert!(set.name(1).ends_with("set.zip: set/b/1.png"));

    zip(&path, &[("a/1.png", &red[..]), ("b/", b"")]);
    let error = message(ImageSet::folder(&path));
    assert!(error.contains("b: a class without images"), "{error}");
    zip(&path, &[("a/1.png", &red[..]), ("b/1.png", &red[..20])]);
    let error = message(ImageSet::folder(&path));
    assert!(error.contains("b/1.png: a damaged PNG"), "{error}");
    // A content that is not the one the directory has the sum of.
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[30 + 7 + 10] ^= 1;
    write(&path, &bytes);
    assert!(message(ImageSet::folder(&path)).contains("a/1.png"));
    write(&path, b"PK or not");
    let error = message(ImageSet::folder(&path));
    assert!(error.contains("set.zip: not a zip of images"), "{error}");
}

#[test]
fn folders_that_are_no_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    assert!(message(ImageSet::folder(root)).contains("no class folders"));
    assert!(message(ImageSet::folder(root.join("missing"))).contains("missing"));
    std::fs::create_dir(root.join("empty")).unwrap();
    assert!(message(ImageSet::folder(root)).contains("empty: a class without images"));
    write(root.join("empty/a.jpg"), b"GIF89a, by name a JPEG");
    let error = message(ImageSet::folder(root));
    assert!(error.contains("a.jpg: neither a PNG nor a JPEG"), "{error}");
    std::fs::rename(root.join("empty/a.jpg"), root.join("empty/a.webp")).unwrap();
    let error = message(ImageSet::folder(root));
    assert!(error.contains("a.webp: only PNG and JPEG"), "{error}");
    // A PNG of a few bytes that claims to be 60,000 pixels wide.
    let mut huge = png(4, 4, [0; 3]);
    huge[16..20].copy_from_slice(&60_000u32.to_be_bytes());
    let mut crc = flate2::Crc::new();
    crc.update(&huge[12..29]);
    huge[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    write(root.join("empty/a.webp"), b"");
    std::fs::rename(root.join("empty/a.webp"), root.join("empty/a.png")).unwrap();
    assert!(message(ImageSet::folder(root)).contains("a.png: the file is empty"));
    write(root.join("empty/a.png"), &huge);
    let error = message(ImageSet::folder(root));
    assert!(
        error.contains("a.png: an image of 60000x4 is too large"),
        "{error}"
    );
}

#[test]
fn parts_are_found_and_must_have_the_same_classes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let image = png(2, 2, [1, 2, 3]);
    for name in ["train/a/1.png", "train/b/1.png", "val/a/1.png"] {
        write(root.join(name), &image);
    }
    assert!(message(ImageSet::splits(root)).contains("must be the same"));
    zip(
        root.join("test.zip"),
        &[
            ("a/1.png", &image[..]),
            ("b/1.png", &image[..]),
            ("b/2.png", &image[..]),
        ],
    );
    let (train, test) = ImageSet::splits(root).unwrap();
    assert_eq!((train.len(), test.unwrap().len()), (2, 3));
    let (whole, none) = ImageSet::splits(root.join("train")).unwrap();
    assert!(whole.len() == 2 && none.is_none());
}

/// Records of CIFAR-10: image i is filled with i and has label i % 10.
fn records(first: u8, count: u8) -> Vec<u8> {
    let record = |i: u8| [vec![i % 10], vec![i; 3072]].concat();
    (first..first + count).flat_map(record).collect()
}

#[test]
fn cifar_batches_and_their_archive() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let error = message(ImageSet::cifar10(root, Split::Train));
    assert!(error.contains("CIFAR-10 is not in"), "{error}");
    let inside: PathBuf = root.join("cifar-10-batches-bin");
    for batch in 1..=5u8 {
        write(
            inside.join(format!("data_batch_{batch}.bin")),
            &records(2 * batch, 2),
        );
    }
    write(inside.join("test_batch.bin"), &records(100, 3));
    let check = |path: &Path| {
        let train = ImageSet::cifar10(path, Split::Train).unwrap();
        assert_eq!((train.len(), train.label(3)), (10, Some(5)));
        assert_eq!(train.image(3).unwrap().bytes().unwrap(), [5; 3072]);
        assert_eq!(train.classes(), CIFAR10_CLASSES);
        let test = ImageSet::cifar10(path, Split::Test).unwrap();
        assert_eq!((test.len(), test.label(2)), (3, Some(2)));
    };
    check(root);

    let mut tar = Vec::new();
    for file in [
        "data_batch_2",
        "data_batch_1",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    ] {
        let content = std::fs::read(inside.join(format!("{file}.bin"))).unwrap();
        let mut header = [0u8; 512];
        let name = format!("cifar-10-batches-bin/{file}.bin");
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[156] = b'0';
        tar.extend(header);
        tar.extend(content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    let archive = root.join("elsewhere/cifar-10-binary.tar.gz");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&tar).unwrap();
    write(&archive, &gz.finish().unwrap());
    check(&archive);
    check(&root.join("elsewhere"));

    let mut bad = records(0, 2);
    bad[3073] = 10;
    write(inside.join("test_batch.bin"), &bad);
    let error = message(ImageSet::cifar10(root, Split::Test));
    assert!(
        error.contains("test_batch.bin: record 1 has label 10"),
        "{error}"
    );
    write(inside.join("test_batch.bin"), &bad[1..]);
    let error = message(ImageSet::cifar10(root, Split::Test));
    assert!(
        error.contains("test_batch.bin: 6145 bytes are not records of 3073"),
        "{error}"
    );
}

#[test]
fn cifar_as_images() {
    let Some(data) = std::env::var_os("GRADUS_DATA") else {
        println!("skipped: no GRADUS_DATA");
        return;
    };
    let test = ImageSet::cifar10(data, Split::Test).unwrap();
    assert_eq!(
        (test.len(), test.classes()),
        (10_000, &CIFAR10_CLASSES.map(String::from)[..])
    );
    let mut counts = [0; 10];
    (0..test.len()).for_each(|i| counts[test.label(i).unwrap()] += 1);
    assert_eq!(counts, [1000; 10]);
    assert_eq!(
        test.image(9999).unwrap().bytes().unwrap().len(),
        3 * 32 * 32
    );
}
