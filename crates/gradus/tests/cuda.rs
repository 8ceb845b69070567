//! `--device`, on a machine without a GPU: one clear line; and with the stand-in for one, runs that train, judge and write.

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
        &["predict", "none", "none.png", "--device", "cuda"],
        &["explain", "none", "none.png", "--device", "cuda"],
        &["embed", "--weights", "none", "a", "--device", "cuda"],
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
    let text = refused(&["train", "mnist", "--cuda-graph"]);
    assert!(
        text.contains("--cuda-graph: the CPU has no graphs"),
        "{text}"
    );
    let text = refused(&["train", "mnist", "--device", "tpu"]);
    assert!(
        text.contains("tpu") && text.contains("cpu, cuda:N"),
        "{text}"
    );
}

mod standin {
    use std::path::Path;
    use std::process::Command;

    use gradus_nlp::models::{BertConfig, BertModel, Pretrained as _};
    use gradus_nn::Module as _;
    use gradus_tensor::random::manual_seed;
    use gradus_tensor::safetensors;
    use gradus_tensor::standin::{Build, build, has_compiler};
    use gradus_vision::decode::{self, Rgba};
    use gradus_vision::encode;
    use gradus_vision::models::{SMALL, digit_model};

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

    /// A picture of stripes.
    fn picture(path: &Path) {
        let side = 28;
        let pixel = |i: usize| {
            let on = (i / side / 3).is_multiple_of(2);
            [if on { 250 } else { 10 }; 3]
        };
        let pixels = (0..side * side).map(pixel).map(|[r, g, b]| [r, g, b, 255]);
        let picture = Rgba {
            height: side,
            width: side,
            pixels: pixels.collect(),
        };
        encode::write(&picture, path).unwrap();
    }

    #[test]
    fn pictures_are_seen_and_explained_alike() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        manual_seed(5);
        let state = digit_model(SMALL).unwrap().state_dict();
        let facts = [("gradus.model", SMALL), ("gradus.dataset", "mnist")];
        let facts = facts.map(|(key, value)| (key.to_owned(), value.to_owned()));
        safetensors::save(at("last.safetensors"), state.iter(), &facts.into()).unwrap();
        picture(&folder.path().join("digit.png"));
        let (run, image) = (at(""), at("digit.png"));
        let predict = |device| said(&["predict", &run, &image, "--device", device]);
        let Some(there) = predict("cuda") else { return };
        assert_eq!(there, predict("cpu").unwrap());

        let explain = |device| {
            let to = at(device);
            let text = said(&[
                "explain", &run, &image, "--steps", "4", "--out", &to, "--device", device,
            ]);
            let why = |text: String| text.lines().find(|l| l.contains("why")).unwrap().to_owned();
            let pictures = [
                "grad-cam",
                "integrated-gradients",
                "saliency",
                "activations",
            ];
            let pixels = pictures.map(|name| {
                decode::read(format!("{to}/digit.{name}.png"))
                    .unwrap()
                    .pixels
            });
            (why(text.unwrap()), pixels)
        };
        let (there, here) = (explain("cuda"), explain("cpu"));
        assert_eq!(there.0, here.0);
        for (there, here) in there.1.iter().zip(&here.1) {
            let far =
                |(a, b): (&[u8; 4], &[u8; 4])| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > 3);
            let far = there.iter().zip(here).filter(|&p| far(p)).count();
            assert!(
                there.len() == here.len() && far * 100 <= here.len(),
                "{far} of {} pixels",
                here.len()
            );
        }
    }

    #[test]
    fn sentences_are_embedded_alike() {
        let words = [
            "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "a", "very",
        ];
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        manual_seed(1);
        let model = BertModel::new(&BertConfig {
            vocab_size: words.len(),
            hidden_size: 16,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            intermediate_size: 24,
            max_position_embeddings: 16,
            ..BertConfig::default()
        });
        let config = r#"{"model_type": "bert", "vocab_size": 10, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
            "intermediate_size": 24, "max_position_embeddings": 16}"#;
        std::fs::write(at("config.json"), config).unwrap();
        std::fs::write(at("vocab.txt"), words.join("\n")).unwrap();
        let state = model.unwrap().state_dict();
        safetensors::save(at("model.safetensors"), &state, &Default::default()).unwrap();
        let weights = folder.path().display().to_string();
        let embed = |device| {
            let texts = ["a good film", "a very very bad film", "good"];
            said(
                &[
                    &["embed", "--weights", &weights, "--device", device][..],
                    &texts,
                ]
                .concat(),
            )
        };
        let Some(there) = embed("cuda") else { return };
        assert_eq!(there, embed("cpu").unwrap());
    }
}
