//! A run that is stopped anywhere and resumed ends with the bits of one that was not; foreign and damaged checkpoints are errors.

use std::path::Path;

use gradus_autograd::Var;
use gradus_nn::optim::AdamW;
use gradus_nn::schedule::OneCycleLR;
use gradus_nn::{
    Dropout, GradScaler, GradScalerOptions, Layer, Linear, Module as _, ReLU, Sequential,
};
use gradus_tensor::{DType, Result, Tensor, random};
use gradus_train::callback::{Callback, Control, Step};
use gradus_train::{
    Checkpoint, DataLoader, Dataset, Dice, End, Outcome, Report, Saving, StopFlag, Trainer,
};

/// Noisy points on a parabola.
struct Parabola;

impl Dataset for Parabola {
    type Batch = (Tensor, Tensor);

    fn len(&self) -> usize {
        50
    }

    fn batch(&self, indices: &[usize], dice: Dice) -> Result<Self::Batch> {
        let x: Vec<f32> = indices.iter().map(|&i| i as f32 / 25.0 - 1.0).collect();
        let noise = indices.iter().map(|&i| dice.sample(i).range(-0.1, 0.1));
        let y: Vec<f32> = x.iter().zip(noise).map(|(x, n)| x * x + n).collect();
        let n = indices.len();
        Ok((Tensor::from_vec(x, [n, 1])?, Tensor::from_vec(y, [n, 1])?)) // (B, 1), (B, 1)
    }
}

fn squared_error(model: &Sequential, (x, y): &(Tensor, Tensor)) -> Result<Outcome> {
    let error = model
        .forward(&Var::from(x.clone()))?
        .sub(&Var::from(y.clone()))?; // (B, 1)
    let loss = error.square()?.mean(.., false)?;
    Ok(Outcome {
        loss,
        correct: None,
        samples: y.numel() as u64,
    })
}

/// Sets the flag after step `at`.
struct StopAt(u64, StopFlag);

impl Callback for StopAt {
    fn on_step(&mut self, step: &Step) -> Result<Control> {
        if step.step == self.0 {
            self.1.set();
        }
        Ok(Control::Continue)
    }
}

fn train(folder: &Path, seed: u64, resume: bool, stop_at: u64) -> Result<Report> {
    train_with(folder, seed, resume, stop_at, |trainer| trainer)
}

fn train_with(
    folder: &Path,
    seed: u64,
    resume: bool,
    stop_at: u64,
    options: impl FnOnce(Trainer) -> Trainer,
) -> Result<Report> {
    random::manual_seed(if resume { 999 } else { 7 }); // a resumed run must not depend on how it is initialised
    let mut model = Sequential::new()
        .then(Linear::new(1, 16)?)
        .then(ReLU)
        .then(Dropout::new(0.2))
        .then(Linear::new(16, 1)?);
    let train = DataLoader::new(Parabola, 8)?.shuffle(true).seed(seed); // 7 batches
    let validation = DataLoader::new(Parabola, 50)?;
    let stop = StopFlag::default();
    let trainer = Trainer::new(3)
        .schedule(OneCycleLR::new(0.05, 21))
        .clip_norm(0.5)
        .save(Saving::new(folder))
        .resume(resume)
        .stop_on(stop.clone())
        .callback(StopAt(stop_at, stop));
    options(trainer).fit(
        &mut model,
        &mut AdamW::new(0.05),
        &squared_error,
        &train,
        Some(&validation),
    )
}

/// Weights, optimiser and history as bits, seconds left out.
fn bits(folder: &Path, file: &str) -> Vec<(String, Vec<u64>)> {
    let c = Checkpoint::load(folder.join(file)).unwrap();
    let mut all: Vec<(String, Vec<u64>)> = Vec::new();
    for (name, tensor) in c.model.iter().chain(&c.optimizer).chain(&c.scaler) {
        let values = tensor
            .to_dtype(DType::F64)
            .unwrap()
            .to_vec::<f64>()
            .unwrap();
        all.push((name.clone(), values.into_iter().map(f64::to_bits).collect()));
    }
    for row in &c.progress.history.rows {
        all.push((
            "row".into(),
            row.values()[..7].iter().map(|v| v.to_bits()).collect(),
        ));
    }
    all.push((
        "rng".into(),
        vec![c.rng.seed, c.rng.offset, c.progress.step],
    ));
    all
}

#[test]
fn stopped_after_any_step_and_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    assert_eq!(
        train(&whole, 1, false, u64::MAX).unwrap().end,
        End::Finished
    );
    for step in 1..21 {
        let parts = folder.path().join(format!("stopped{step}"));
        assert_eq!(
            train(&parts, 1, false, step).unwrap().end,
            End::Interrupted,
            "step {step}"
        );
        let report = train(&parts, 1, true, u64::MAX).unwrap();
        assert_eq!(
            (report.end, report.step, report.history.rows.len()),
            (End::Finished, 21, 3)
        );
        assert_eq!(
            bits(&whole, "last.safetensors"),
            bits(&parts, "last.safetensors"),
            "stopped after step {step}"
        );
        assert_eq!(
            bits(&whole, "best.safetensors"),
            bits(&parts, "best.safetensors"),
            "best, step {step}"
        );
    }
    // Resuming what is over changes nothing.
    let report = train(&whole, 1, true, u64::MAX).unwrap();
    assert_eq!((report.end, report.step), (End::Finished, 21));
}

/// f16 with a scale that starts far too high, so that the first steps are left out, and grows every third step.
fn in_f16(trainer: Trainer) -> Trainer {
    let scaler = GradScaler::with(GradScalerOptions {
        init_scale: 2f64.powi(24),
        growth_interval: 3,
        ..GradScalerOptions::default()
    });
    trainer.autocast(DType::F16).grad_scaler(scaler.unwrap())
}

#[test]
fn the_loss_scale_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    train_with(&whole, 1, false, u64::MAX, in_f16).unwrap();
    let end = Checkpoint::load(whole.join("last.safetensors")).unwrap();
    let steps = end.optimizer["0.weight.step"].to_f64().unwrap();
    assert!(steps > 5.0 && steps < 21.0, "{steps} of 21 steps were made");
    for step in [1, 2, 5, 7, 8, 13, 20] {
        let parts = folder.path().join(format!("stopped{step}"));
        train_with(&parts, 1, false, step, in_f16).unwrap();
        train_with(&parts, 1, true, u64::MAX, in_f16).unwrap();
        for file in ["last.safetensors", "best.safetensors"] {
            assert_eq!(
                bits(&whole, file),
                bits(&parts, file),
                "{file}, step {step}"
            );
        }
    }
    // One cannot go on without the scale, nor start to scale in the middle.
    let error = train(&whole, 1, true, u64::MAX).unwrap_err().to_string();
    assert!(error.contains("scales its losses"), "{error}");
    let plain = folder.path().join("plain");
    train(&plain, 1, false, 3).unwrap();
    let error = train_with(&plain, 1, true, u64::MAX, in_f16).unwrap_err();
    assert!(error.to_string().contains("the state is empty"), "{error}");
}

#[test]
fn foreign_and_damaged_checkpoints_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path();
    assert!(
        train(run, 1, true, 1)
            .unwrap_err()
            .to_string()
            .contains("last.safetensors")
    );
    train(run, 1, false, 3).unwrap();
    let error = train(run, 2, true, u64::MAX).unwrap_err().to_string();
    assert!(
        error.contains("seed 1") && error.contains("they are 2"),
        "{error}"
    );
    let file = run.join("last.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    for cut in (0..bytes.len()).step_by(97) {
        std::fs::write(&file, &bytes[..cut]).unwrap();
        assert!(train(run, 1, true, u64::MAX).is_err(), "cut at {cut}");
    }
    gradus_tensor::safetensors::save(&file, [("w", &Tensor::scalar(1.0f32))], &[].into()).unwrap();
    let error = train(run, 1, true, u64::MAX).unwrap_err().to_string();
    assert!(error.contains("nothing to resume"), "{error}");
}

#[test]
fn nonsense_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let loader = DataLoader::new(Parabola, 100).unwrap().drop_last(true);
    let mut model = Sequential::new().then(Linear::new(1, 1).unwrap());
    let mut optimizer = AdamW::new(0.05);
    let none = None::<&DataLoader<Parabola>>;
    let result = Trainer::new(1).fit(&mut model, &mut optimizer, &squared_error, &loader, none);
    assert!(
        result
            .unwrap_err()
            .to_string()
            .contains("nothing to train on")
    );
    let loader = DataLoader::new(Parabola, 8).unwrap();
    let nan = |model: &Sequential, batch: &(Tensor, Tensor)| {
        let outcome = squared_error(model, batch)?;
        Ok(Outcome {
            loss: outcome.loss.mul_scalar(f64::NAN)?,
            ..outcome
        })
    };
    let result = Trainer::new(1).save(Saving::new(folder.path())).fit(
        &mut model,
        &mut optimizer,
        &nan,
        &loader,
        none,
    );
    assert!(
        result
            .unwrap_err()
            .to_string()
            .contains("lower learning rate")
    );
    assert!(model.num_params() == 2);
}
