//! Mistakes with optimisers, data and files, and on the command line.

use super::*;

pub fn training() -> Result<Section> {
    let mut s = Section::new("Training");
    let mut model = Sequential::new().then(Linear::new(2, 1)?);
    let loss = |m: &Sequential| m.forward(&var(&[4, 2]))?.square()?.mean(.., false);
    let gradients = loss(&model)?.backward()?;
    mistake!(
        s,
        "A negative learning rate",
        ["Adam", "-0.1", "0 or more"],
        Adam::new(-0.1).step(&mut model, &gradients)
    );
    let momenta = AdamOptions {
        lr: 0.1,
        betas: (0.9, 1.0),
        ..AdamOptions::default()
    };
    mistake!(
        s,
        "A decay of 1",
        ["Adam", "betas.1", "[0, 1)"],
        Adam::with(momenta).step(&mut model, &gradients)
    );
    let mut other = Sequential::new().then(Linear::new(2, 1)?);
    mistake!(
        s,
        "Gradients of another model",
        ["SGD", "none of the 2", "this model"],
        SGD::new(0.1).step(&mut other, &gradients)
    );
    let mut clipped = loss(&model)?.backward()?;
    mistake!(
        s,
        "A negative norm to clip to",
        ["clip_grad_norm", "-1"],
        clip_grad_norm(&mut clipped, -1.0, 2.0)
    );
    let mut state = model.state_dict();
    let weight = state.remove("0.weight").unwrap();
    mistake!(
        s,
        "A key missing in a checkpoint",
        ["load_state_dict", "missing: 0.weight"],
        model.load_state_dict(&state, true)
    );
    state.insert("0.weight".into(), weight.clone());
    state.insert("1.weight".into(), weight);
    mistake!(
        s,
        "A key the model has not",
        ["load_state_dict", "unexpected: 1.weight"],
        model.load_state_dict(&state, true)
    );
    state.remove("1.weight");
    state.insert("0.weight".into(), zeros(&[1, 3]));
    mistake!(
        s,
        "A key of another shape",
        ["load_state_dict", "0.weight", "[1, 2]", "[1, 3]"],
        model.load_state_dict(&state, true)
    );
    let digits = || ImageSet::embedded_mnist(gradus::vision::datasets::Split::Test);
    mistake!(
        s,
        "Batches of nothing",
        ["batch_size", "0"],
        DataLoader::new(digits().map_err(said)?, 0)
    );
    mistake!(
        s,
        "A sample beyond the data",
        ["9999999", "2000"],
        Subset::new(digits().map_err(said)?, vec![9_999_999])
    );
    Ok(s)
}

pub fn said(e: impl Display) -> gradus::Error {
    gradus::Error::value("", e.to_string())
}

pub fn files(folder: &Path) -> Result<Section> {
    let mut s = Section::new("Files");
    let at = |name: &str| folder.join(name);
    let put = |name: &str, bytes: &[u8]| std::fs::write(at(name), bytes).unwrap();
    mistake!(
        s,
        "A file that is not there",
        ["safetensors", "none.safetensors", "No such file"],
        safetensors::load(at("none.safetensors"))
    );
    put("text.safetensors", b"these are no tensors");
    mistake!(
        s,
        "A file that is something else",
        ["safetensors", "text.safetensors"],
        safetensors::load(at("text.safetensors"))
    );
    let weights = zeros(&[4]);
    safetensors::save(
        at("cut.safetensors"),
        [("w", &weights)],
        &std::collections::BTreeMap::new(),
    )?;
    let bytes = std::fs::read(at("cut.safetensors")).unwrap();
    put("cut.safetensors", &bytes[..bytes.len() - 5]);
    mistake!(
        s,
        "A file that was cut off",
        ["safetensors", "cut.safetensors"],
        safetensors::load(at("cut.safetensors"))
    );
    mistake!(
        s,
        "Weights that are not there",
        ["none.safetensors"],
        load_weights(at("none.safetensors"))
    );
    put("digit.png", b"GIF89a");
    mistake!(
        s,
        "A picture that is not one",
        ["digit.png", "PNG"],
        gradus::vision::decode::read(at("digit.png"))
    );
    put("images.idx", &[0, 0, 8, 3, 0, 0, 0, 9]);
    mistake!(
        s,
        "A data set that was cut off",
        ["images.idx"],
        gradus::vision::idx::Idx::read(at("images.idx"))
    );
    Ok(s)
}

/// The command: its last line on standard error.
pub fn commands(folder: &Path) -> Section {
    let mut s = Section::new("The command");
    std::fs::write(folder.join("junk.safetensors"), b"junk").unwrap();
    for (title, parts, arguments) in [
        ("A command there is not", &["trian", "train"][..], "trian"),
        (
            "A data set there is not",
            &["cifar", "mnist"],
            "train cifar",
        ),
        (
            "A model there is not",
            &["resnet", "small"],
            "train --model resnet",
        ),
        (
            "A number that is none",
            &["--epochs", "many"],
            "train --epochs many",
        ),
        (
            "A learning rate of zero",
            &["--lr", "above 0"],
            "train --lr 0",
        ),
        (
            "Resuming what never began",
            &["--resume"],
            "train --resume --out runs",
        ),
        (
            "Weights that are not weights",
            &["junk.safetensors"],
            "eval --weights junk.safetensors",
        ),
        (
            "A digit without weights",
            &["train first"],
            "predict . digit.png",
        ),
        (
            "A file that is not there",
            &["none", "No such file"],
            "info none",
        ),
    ] {
        let run = Command::new(env!("CARGO_BIN_EXE_gradus"))
            .args(arguments.split(' '))
            .current_dir(folder)
            .output()
            .unwrap();
        let text = String::from_utf8(run.stderr).unwrap();
        let lines = text.lines().map(str::trim).filter(|l| !l.is_empty());
        let useful = lines.filter(|l| !l.starts_with("Usage:") && !l.starts_with("For more"));
        let text = useful.collect::<Vec<_>>().join(" ");
        let result: Result<(), String> = if run.status.success() {
            Ok(())
        } else {
            Err(text)
        };
        s.add(title, parts, &format!("gradus {arguments}"), result);
    }
    s
}
