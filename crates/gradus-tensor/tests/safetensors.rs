//! safetensors: what is saved comes back, what is hostile is an error, and what is interrupted leaves a whole file.

use gradus_tensor::safetensors::{self, Metadata, SafeTensors};
use gradus_tensor::{DType, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

fn sample() -> BTreeMap<String, Tensor> {
    let x = Tensor::arange(-6, 6, 1, DType::I64)
        .unwrap()
        .reshape([3, 4])
        .unwrap();
    let mut tensors = BTreeMap::new();
    for dtype in DType::ALL {
        tensors.insert(format!("a.{dtype}"), x.to_dtype(dtype).unwrap());
    }
    tensors.insert(
        "strided \"quoted\" \u{1F980}".into(),
        x.to_dtype(DType::F32).unwrap().t().unwrap(),
    );
    tensors.insert("empty".into(), Tensor::zeros([0, 3], DType::F32).unwrap());
    tensors.insert("scalar".into(), Tensor::scalar(2.5f64));
    tensors
}

fn same(a: &Tensor, b: &Tensor) -> bool {
    let wide = |x: &Tensor| x.to_dtype(DType::F64).unwrap().to_vec::<f64>().unwrap();
    a.dtype() == b.dtype() && a.dims() == b.dims() && wide(a) == wide(b)
}

fn names(directory: &Path) -> Vec<String> {
    std::fs::read_dir(directory)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn round_trip() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.safetensors");
    let tensors = sample();
    let metadata: Metadata = [
        ("format".into(), "pt".into()),
        ("note".into(), "a\n\"b\"".into()),
    ]
    .into();
    safetensors::save(&path, &tensors, &metadata).unwrap();
    let (back, read) = safetensors::load_with_metadata(&path).unwrap();
    assert_eq!(read, metadata);
    assert_eq!(
        back.keys().collect::<Vec<_>>(),
        tensors.keys().collect::<Vec<_>>()
    );
    for (name, x) in &tensors {
        assert!(same(x, &back[name]), "{name}");
    }
    assert_eq!(names(directory.path()), ["m.safetensors"]);
    // Equal contents, equal bytes.
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(safetensors::to_bytes(&back, &metadata).unwrap(), bytes);
    let from_memory = SafeTensors::from_bytes(bytes).unwrap();
    assert!(
        from_memory
            .tensors()
            .unwrap()
            .iter()
            .all(|(name, x)| same(x, &tensors[name]))
    );
}

#[test]
fn loaded_tensors_are_never_written_through() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.safetensors");
    let x = Tensor::ones([1000], DType::F32).unwrap();
    safetensors::save(&path, [("x", &x)], &Metadata::new()).unwrap();
    let mut loaded = safetensors::load(&path).unwrap();
    let mut x = loaded.remove("x").unwrap();
    assert!(x.as_mut_slice::<f32>().is_none());
    x.with_mut_slice::<f32, _>(|x| x.fill(7.0)).unwrap();
    assert_eq!(x.to_vec::<f32>().unwrap(), vec![7.0; 1000]);
    assert_eq!(
        safetensors::load(&path).unwrap()["x"]
            .to_vec::<f32>()
            .unwrap(),
        vec![1.0; 1000]
    );
    // A view keeps the old contents when the file is replaced, and its tensor may be saved over its own file.
    let old = safetensors::load(&path).unwrap();
    safetensors::save(&path, [("x", &x)], &Metadata::new()).unwrap();
    safetensors::save(&path, &old, &Metadata::new()).unwrap();
    assert_eq!(
        safetensors::load(&path).unwrap()["x"]
            .to_vec::<f32>()
            .unwrap(),
        vec![1.0; 1000]
    );
}

#[test]
fn errors_name_the_file_and_leave_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let x = Tensor::ones([2], DType::F32).unwrap();
    let absent = directory.path().join("absent.safetensors");
    assert!(
        safetensors::load(&absent)
            .unwrap_err()
            .to_string()
            .contains("absent.safetensors")
    );
    assert!(
        safetensors::load(directory.path())
            .unwrap_err()
            .to_string()
            .contains("regular file")
    );
    let nowhere = directory.path().join("no/such/dir.safetensors");
    assert!(
        safetensors::save(&nowhere, [("x", &x)], &Metadata::new())
            .unwrap_err()
            .to_string()
            .contains("dir.safetensors")
    );
    assert!(safetensors::save(directory.path(), [("x", &x)], &Metadata::new()).is_err());
    let path = directory.path().join("m.safetensors");
    assert!(safetensors::save(&path, [("x", &x), ("x", &x)], &Metadata::new()).is_err());
    assert!(safetensors::save(&path, [("__metadata__", &x)], &Metadata::new()).is_err());
    let failing = gradus_tensor::atomic_write(&path, |out| {
        out.write_all(b"half")?;
        Err(std::io::Error::other("disk on fire"))
    });
    assert!(failing.unwrap_err().to_string().contains("disk on fire"));
    assert_eq!(names(directory.path()), Vec::<String>::new());
}

#[test]
fn a_dtype_we_lack_is_listed_but_not_read() {
    let header = br#"{"w":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]},"x":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([1, 2, 3]);
    let file = SafeTensors::from_bytes(bytes).unwrap();
    assert_eq!(file.info("w").unwrap().dtype, "F8_E4M3");
    let error = file.tensor("w").unwrap_err().to_string();
    assert!(
        error.contains("F8_E4M3") && error.contains("\"w\""),
        "{error}"
    );
    assert_eq!(file.tensor("x").unwrap().to_vec::<u8>().unwrap(), [3]);
    assert!(file.tensor("y").is_err() && file.tensors().is_err());
}

/// The 600 hostile or odd files of the reference vectors: our verdict is the reference implementation's.
#[test]
fn bad_files() {
    let Some(vectors) = std::env::var_os("GRADUS_VECTORS") else {
        println!("skipped: no GRADUS_VECTORS");
        return;
    };
    let all = std::fs::read(Path::new(&vectors).join("bad_safetensors.bin")).unwrap();
    let list = std::fs::read(Path::new(&vectors).join("bad_safetensors.json")).unwrap();
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.safetensors");
    for file in list["files"].as_array().unwrap() {
        let at = file["at"].as_u64().unwrap() as usize;
        let bytes = &all[at..at + file["len"].as_u64().unwrap() as usize];
        std::fs::write(&path, bytes).unwrap();
        let opened = SafeTensors::open(&path);
        assert_eq!(
            opened.is_ok(),
            file["ok"].as_bool().unwrap(),
            "{}: {opened:?}",
            file["name"]
        );
        let Ok(opened) = opened else { continue };
        let Some(expected) = file["tensors"].as_array() else {
            assert_eq!(
                opened.infos().len() as u64,
                file["tensors"].as_u64().unwrap()
            );
            continue;
        };
        let mut got: Vec<serde_json::Value> = opened
            .infos()
            .map(|(name, i)| serde_json::json!([name, i.dtype, i.shape, i.bytes]))
            .collect();
        let mut expected = expected.clone();
        got.sort_by_key(ToString::to_string);
        expected.sort_by_key(ToString::to_string);
        assert_eq!(got, expected, "{}", file["name"]);
        for (name, info) in opened.infos() {
            if let Ok(x) = opened.tensor(name) {
                assert_eq!(x.dims(), info.shape);
                let _ = x.to_dtype(DType::F64).unwrap().to_vec::<f64>().unwrap();
            }
        }
    }
}

/// Version `v` of the file in the drill: three tensors that all say `v`.
fn version(v: i64) -> Vec<(&'static str, Tensor)> {
    let small = Tensor::full([7], v, DType::I64).unwrap();
    vec![
        ("a", Tensor::full([300, 100], v, DType::F32).unwrap()),
        ("b", small),
        ("c", Tensor::scalar(v)),
    ]
}

/// The child of the drill: saves versions 1, 2, 3, … until it is killed. Does nothing in an ordinary run.
#[test]
fn drill_child() {
    let Some(path) = std::env::var_os("GRADUS_SAVE_DRILL") else {
        return;
    };
    for v in 1.. {
        let tensors = version(v);
        let metadata = [("version".to_string(), v.to_string())].into();
        safetensors::save(
            Path::new(&path),
            tensors.iter().map(|(n, t)| (n, t)),
            &metadata,
        )
        .unwrap();
    }
}

/// `kill -9` at 100 random moments of a child that saves over and over: the file is always one whole version.
#[cfg(unix)]
#[test]
fn killed_while_saving() {
    use std::time::Duration;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.safetensors");
    let mut rng = gradus_tensor::random::Rng::new(1);
    let mut seen = 0;
    for _ in 0..100 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "drill_child"])
            .env("GRADUS_SAVE_DRILL", &path)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(3000 + rng.below(30_000)));
        child.kill().unwrap(); // SIGKILL
        child.wait().unwrap();
        if !path.exists() {
            continue; // killed before the first version was there
        }
        seen += 1;
        let (tensors, metadata) = safetensors::load_with_metadata(&path).unwrap();
        let v: i64 = metadata["version"].parse().unwrap();
        for (name, expected) in version(v) {
            assert!(same(&tensors[name], &expected), "{name} of version {v}");
        }
        let leftovers = names(directory.path()).len() - 1;
        assert!(
            leftovers <= 1,
            "{leftovers} temporaries: the next writer removes those of dead ones"
        );
    }
    assert!(seen > 50, "the child was killed too early, {seen} files");
    safetensors::save(
        &path,
        version(0).iter().map(|(n, t)| (n, t)),
        &Metadata::new(),
    )
    .unwrap();
    assert_eq!(names(directory.path()), ["m.safetensors"]);
}
