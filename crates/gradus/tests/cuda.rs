//! `--device`, on a machine without a GPU: one clear line; and with the stand-in for one (feature `standin`), runs that train, judge and write.

mod common;

use common::gradus;

/// The one line a command that must fail says.
fn refused(arguments: &[&str]) -> String {
    let output = gradus(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn without_a_gpu_it_says_so_in_one_line() {
    if std::env::var("GRADUS_TEST_DEVICE").is_ok_and(|v| v == "real") {
        println!("skipped: a machine with a GPU");
        return;
    }
    for arguments in [
        &["train", "mnist", "--device", "cuda"][..],
        &["eval", "--weights", "none", "--device", "cuda:0"],
        &[
            "generate",
            "--weights",
            "none",
            "--ids",
            "1",
            "--device",
            "cuda",
        ],
    ] {
        let text = refused(arguments);
        let why = [
            "the feature `cuda`",
            "no NVIDIA driver",
            "no GPU",
            "compiler",
        ];
        assert!(
            text.contains("--device cuda") && why.iter().any(|w| text.contains(w)),
            "{text}"
        );
    }
    let text = refused(&["train", "mnist", "--device", "tpu"]);
    assert!(
        text.contains("tpu") && text.contains("cpu, cuda:N"),
        "{text}"
    );
}

#[cfg(feature = "standin")]
mod standin {
    use std::path::Path;
    use std::process::Command;

    use gradus_tensor::standin::{Build, build, has_compiler};

    /// What the command prints when the stand-in is the machine's driver; `None` where it cannot be built.
    fn said(arguments: &[&str]) -> Option<String> {
        if !has_compiler() {
            return None;
        }
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (driver, nvrtc) = build(target, Build::Plain, None);
        let output = Command::new(env!("CARGO_BIN_EXE_gradus"))
            .args(arguments)
            .env(
                "LD_PRELOAD",
                format!("{}:{}", driver.display(), nvrtc.display()),
            )
            .env("GRADUS_CUDA_CACHE", target.join("cubin"))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        Some(String::from_utf8(output.stdout).unwrap())
    }

    /// A file of the IDX kind.
    fn idx(path: &Path, dims: &[u32], data: &[u8]) {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|d| bytes.extend(d.to_be_bytes()));
        bytes.extend(data);
        std::fs::write(path, bytes).unwrap();
    }

    /// A data set of stripes, as the digits lie in files: class 0 across, class 1 down.
    fn stripes(folder: &Path) {
        for (part, n) in [("train", 16u8), ("t10k", 6)] {
            let pixel = |i: u8, y: u8, x: u8| {
                let at = if i.is_multiple_of(2) { y } else { x };
                if (at / 3).is_multiple_of(2) {
                    255 - i
                } else {
                    i
                }
            };
            let images = (0..n)
                .flat_map(|i| (0..28).flat_map(move |y| (0..28).map(move |x| pixel(i, y, x))));
            let images: Vec<u8> = images.collect();
            let labels: Vec<u8> = (0..n).map(|i| i % 2).collect();
            idx(
                &folder.join(format!("{part}-images-idx3-ubyte")),
                &[n.into(), 28, 28],
                &images,
            );
            idx(
                &folder.join(format!("{part}-labels-idx1-ubyte")),
                &[n.into()],
                &labels,
            );
        }
    }

    #[test]
    fn devices_lists_the_gpu() {
        let Some(text) = said(&["devices"]) else {
            return;
        };
        assert!(
            text.contains("cuda:0") && text.contains("compute"),
            "{text}"
        );
    }

    #[test]
    fn digits_are_learnt_and_judged_alike() {
        let folder = tempfile::tempdir().unwrap();
        stripes(folder.path());
        let data = folder.path().display().to_string();
        let out = |device: &str| folder.path().join(device).display().to_string();
        let train = |device: &str| {
            said(&[
                "train",
                "mnist",
                "--data",
                &data,
                "--epochs",
                "1",
                "--batch-size",
                "8",
                "--validation",
                "0",
                "--device",
                device,
                "--out",
                &out(device),
            ])
        };
        let last = |text: &str| text.lines().last().unwrap_or_default().to_owned();
        let Some(there) = train("cuda") else { return };
        assert!(there.contains("on cuda:0"), "{there}");
        let here = train("cpu").unwrap();
        assert_eq!(last(&there), last(&here), "{there}\n{here}");
        let history = |device: &str| {
            let rows =
                std::fs::read_to_string(Path::new(&out(device)).join("history.csv")).unwrap();
            let row = rows.lines().nth(1).unwrap_or_default().to_owned();
            row.split(',')
                .nth(3)
                .and_then(|loss| loss.parse::<f64>().ok())
                .unwrap()
        };
        let (a, b) = (history("cpu"), history("cuda"));
        assert!((a - b).abs() <= 1e-4 * a.abs(), "{a} {b}");
        let eval = |device: &str| {
            said(&[
                "eval",
                "--weights",
                &out("cuda"),
                "--data",
                &data,
                "--device",
                device,
            ])
            .unwrap()
        };
        assert_eq!(last(&eval("cuda")), last(&eval("cpu")));
    }
}
