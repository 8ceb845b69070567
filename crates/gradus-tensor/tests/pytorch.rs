//! PyTorch's files, written by PyTorch 2.15: values, strides, every dtype, and what must not be read.

#![cfg(feature = "pytorch")]

use std::path::{Path, PathBuf};

use gradus_tensor::pytorch::{Value, load};
use gradus_tensor::weights::without_prefix;
use gradus_tensor::{DType, Tensor, safetensors};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/pytorch")
        .join(name)
}

/// ```python
/// base = torch.arange(12.).reshape(3, 4)
/// {'epoch': 3, 'best_prec1': 91.5, 'name': 'tiny', 'betas': (0.9, 0.999), 'state_dict': {'module.weight': base.t(), …}, …}
/// ```
#[test]
fn archives_and_legacy_files_say_the_same() {
    for name in ["zip.pt", "legacy.pt", "protocol4.pt"] {
        let weights = load(file(name)).unwrap();
        assert_eq!(weights.len(), 9, "{name}");
        let of = |key: &str| &weights[&format!("module.{key}")];
        let numbers = |key: &str| {
            let x = of(key).to_dtype(DType::F64).unwrap();
            x.to_vec::<f64>().unwrap()
        };
        assert_eq!(of("weight").dims(), [4, 3]);
        let transposed = [0., 4., 8., 1., 5., 9., 2., 6., 10., 3., 7., 11.];
        assert_eq!(numbers("weight"), transposed);
        assert_eq!(numbers("part"), [4., 6., 8., 10.]);
        assert_eq!(of("bias").dtype(), DType::BF16);
        assert_eq!(numbers("bias"), [1.5, -2.0]);
        assert_eq!(
            (of("half").dtype(), numbers("half")),
            (DType::F16, vec![0.25])
        );
        assert_eq!(of("mask").to_vec::<bool>().unwrap(), [true, false]);
        assert_eq!(of("num_batches_tracked").rank(), 0);
        assert_eq!(of("num_batches_tracked").item::<i64>().unwrap(), 7);
        assert_eq!(of("bytes").to_vec::<u8>().unwrap(), [1, 255]);
        assert_eq!(of("ints").to_vec::<i32>().unwrap(), [-3]);
        assert_eq!(of("double").dims(), [0, 3]);

        let all = Value::open(file(name)).unwrap();
        assert!(matches!(all.get("epoch"), Some(Value::Int(3))));
        assert!(matches!(all.get("big"), Some(Value::Int(x)) if *x == -(1 << 40)));
        assert!(matches!(all.get("best_prec1"), Some(Value::Float(x)) if *x == 91.5));
        assert!(matches!(all.get("name"), Some(Value::Str(s)) if s == "tiny"));
        assert!(matches!(all.get("betas"), Some(Value::List(b)) if b.len() == 2));
        assert!(all.get("absent").is_none());

        let bare = without_prefix(weights, "module.");
        assert!(bare.contains_key("num_batches_tracked"));
        let same = without_prefix(bare, "module.");
        assert_eq!(same.len(), 9);
    }
    let Value::Tensor(x) = Value::open(file("tensor.pt")).unwrap() else {
        panic!("a tensor was saved")
    };
    assert_eq!(x.dims(), [3, 4]);
}

/// Pickles that call `os.system`: an error that names it, and no call.
#[test]
fn nothing_is_executed() {
    for name in ["evil.pt", "evil_legacy.pt"] {
        let error = load(file(name)).unwrap_err().to_string();
        assert!(
            error.contains("system") && error.contains("nothing is executed"),
            "{error}"
        );
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn refusals_say_what_and_where() {
    let message = |name: &str| load(file(name)).unwrap_err().to_string();
    assert!(message("script.pt").contains("TorchScript"));
    assert!(message("int16.pt").contains("ShortStorage"));
    assert!(message("tensor.pt").contains("no state dict"));
    assert!(message("absent.pt").contains("cannot read"));
    let error = Value::from_bytes(b"not a checkpoint".to_vec()).unwrap_err();
    assert!(error.to_string().contains("neither"), "{error}");
}

/// Every file cut short at any byte, and with every third byte changed: a value or an error, and no more memory than the file asks for.
#[test]
fn damaged_files_are_errors() {
    for name in ["zip.pt", "legacy.pt", "protocol4.pt"] {
        let bytes = std::fs::read(file(name)).unwrap();
        for end in (0..bytes.len()).step_by(7) {
            let cut = Value::from_bytes(bytes[..end].to_vec());
            assert!(cut.is_err(), "{name} cut at {end}");
        }
        for at in (0..bytes.len()).step_by(3) {
            for flip in [0x01, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                drop(Value::from_bytes(bytes));
            }
        }
    }
}

/// A list that holds itself twice, thirty times over, would unfold to a billion values; one that holds itself, to infinitely many.
#[test]
fn pickles_that_unfold_without_end_are_errors() {
    let mut bomb = b"\x80\x02]".to_vec();
    for _ in 0..30 {
        bomb.extend(b"2\x86"); // DUP, TUPLE2
    }
    bomb.push(b'.');
    let circle = b"\x80\x02]q\x00h\x00a.".to_vec();
    for pickle in [bomb, circle] {
        let error = Value::from_bytes(legacy(&pickle)).unwrap_err().to_string();
        assert!(error.contains("unfolds"), "{error}");
    }
}

/// One long text or list, asked for again and again: small files that would fill the memory.
#[test]
fn pickles_that_copy_without_end_are_errors() {
    let many = |head: &[u8], each: &[u8], times: usize| {
        let repeated = each.repeat(times);
        [b"\x80\x02", head, &repeated, b"e."].concat()
    };
    // A text of 1 MB, and a list that has it 200,000 times.
    let length = 1u32 << 20;
    let text = [
        &b"X"[..],
        &length.to_le_bytes(),
        &vec![b'a'; length as usize],
        b"q\x000](".as_slice(),
    ]
    .concat();
    // A list of 100,000 numbers, and 100,000 calls that copy it.
    let list = [
        &b"]("[..],
        &b"K\x07".repeat(100_000),
        b"e\x85q\x00cbuiltins\nlist\nq\x0100](",
    ]
    .concat();
    for pickle in [
        many(&text, b"h\x00", 200_000),
        many(&list, b"h\x01h\x00R", 100_000),
    ] {
        let error = Value::from_bytes(legacy(&pickle)).unwrap_err().to_string();
        assert!(error.contains("unfolds"), "{error}");
    }
}

/// Sizes, strides, offsets and counts that are not those of the numbers in the file.
#[test]
fn lying_files_are_errors() {
    let bytes = std::fs::read(file("legacy.pt")).unwrap();
    let find = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).position(|w| w == part);
    // The first storage is of 12 floats; its count stands in the pickle and before the numbers.
    let numbers: Vec<u8> = (0..12u8).flat_map(|x| f32::from(x).to_le_bytes()).collect();
    let at = find(&bytes, &numbers).unwrap();
    for count in [11u64, 13, 1 << 40, u64::MAX] {
        let mut bytes = bytes.clone();
        bytes[at - 8..at].copy_from_slice(&count.to_le_bytes());
        let error = Value::from_bytes(bytes).unwrap_err().to_string();
        assert!(error.contains("storage"), "{error}");
    }
    // The transposed weight is [4, 3] with strides 1 and 4: K\x04 K\x03 in a tuple.
    let shape = find(&bytes, b"K\x04K\x03\x86").unwrap();
    for (from, to) in [(1, 5u8), (3, 200)] {
        let mut bytes = bytes.clone();
        bytes[shape + from] = to;
        let error = Value::from_bytes(bytes).unwrap_err().to_string();
        assert!(error.contains("as_strided"), "{error}");
    }
}

/// What is said of a file is short, however long what it holds.
#[test]
fn messages_are_short() {
    let text = [
        &b"\x80\x02X"[..],
        &(1u32 << 20).to_le_bytes(),
        &vec![b'a'; 1 << 20],
        b".",
    ]
    .concat();
    let value = Value::from_bytes(legacy(&text)).unwrap();
    let error = value.into_state_dict().unwrap_err().to_string();
    assert!(
        error.contains("aaa") && error.len() < 200,
        "{} bytes",
        error.len()
    );
}

/// EfficientNet-Lite0 as published: a legacy file in which 50 tensors are not contiguous.
#[test]
fn strides_are_honoured() {
    let cache = std::env::var_os("GRADUS_DATA_CACHE").map(PathBuf::from);
    let cache =
        cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/gradus-data")));
    let path = cache.map(|c| c.join("efficientnet-lite0/efficientnet-lite0-57934424.pth"));
    let Some(path) = path.filter(|path| path.is_file()) else {
        println!("skipped: no efficientnet-lite0 in GRADUS_DATA_CACHE");
        return;
    };
    let weights = load(path).unwrap();
    let odd = weights.values().filter(|x| !x.is_contiguous()).count();
    assert_eq!((weights.len(), odd), (296, 50));
}

/// A legacy file around a pickle, with no storages.
fn legacy(pickle: &[u8]) -> Vec<u8> {
    let magic: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
    let version = b"\x80\x02M\xe9\x03.";
    let facts = b"\x80\x02}.";
    [magic, version, facts, pickle, b"\x80\x02]."].concat()
}

/// The published CIFAR ResNets: the legacy file and its safetensors copy hold the same weights.
#[test]
fn published_checkpoints() {
    let Some(data) = std::env::var_os("GRADUS_DATA") else {
        println!("skipped: no GRADUS_DATA");
        return;
    };
    let folder = Path::new(&data).join("pretrained/cifar10-resnet");
    for (legacy, copy) in [
        ("resnet20-12fca82f.th", "resnet20.safetensors"),
        ("resnet56-4bfd9763.th", "resnet56.safetensors"),
    ] {
        let weights = without_prefix(load(folder.join(legacy)).unwrap(), "module.");
        let copy = without_prefix(safetensors::load(folder.join(copy)).unwrap(), "module.");
        assert!(copy.keys().all(|name| weights.contains_key(name)));
        for (name, tensor) in &copy {
            let bits = |x: &Tensor| x.to_dtype(DType::F64).unwrap().to_vec::<f64>().unwrap();
            assert_eq!(bits(tensor), bits(&weights[name]), "{name}");
        }
    }
}
