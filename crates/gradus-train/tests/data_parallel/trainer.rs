//! The trainer on several ranks: one history for all, a stop that all make, checkpoints that rank 0 writes and all resume from,
//! bit for bit, with dropout of every rank's own.

use std::path::Path;
use std::sync::Arc;

use gradus_autograd::Var;
use gradus_nn::optim::AdamW;
use gradus_nn::schedule::OneCycleLR;
use gradus_nn::{BatchNorm1d, Dropout, GradScaler, Layer, Linear, ReLU, Sequential};
use gradus_tensor::{DType, Result, Tensor, random};
use gradus_train::distributed::{Communicator as _, DataParallelOptions, DistributedSampler, Solo};
use gradus_train::{
    Checkpoint, DataLoader, Dataset, Dice, End, Outcome, Report, Saving, StopFlag, Trainer,
    callback,
};

use crate::ranks::{Threads, ranks};

/// Points on a parabola, as many as one says.
struct Parabola(usize);

impl Dataset for Parabola {
    type Batch = (Tensor, Tensor);

    fn len(&self) -> usize {
        self.0
    }

    fn batch(&self, indices: &[usize], dice: Dice) -> Result<Self::Batch> {
        let n = indices.len();
        let x: Vec<f32> = indices.iter().map(|&i| i as f32 / 25.0 - 1.0).collect();
        let noise = indices.iter().map(|&i| dice.sample(i).range(-0.1, 0.1));
        let y: Vec<f32> = x.iter().zip(noise).map(|(x, n)| x * x + n).collect();
        Ok((Tensor::from_vec(x, [n, 1])?, Tensor::from_vec(y, [n, 1])?)) // (B, 1), (B, 1)
    }
}

fn squared_error(model: &Sequential, (x, y): &(Tensor, Tensor)) -> Result<Outcome> {
    let y = Var::from(y.clone());
    let error = model
        .forward(&Var::from(x.clone()))?
        .to_dtype(DType::F32)?
        .sub(&y)?; // (B, 1)
    Ok(Outcome {
        loss: error.square()?.mean(.., false)?,
        correct: None,
        samples: y.numel() as u64,
    })
}

/// Sets the flag after a step.
struct StopAt(u64, StopFlag);

impl callback::Callback for StopAt {
    fn on_step(&mut self, step: &callback::Step) -> Result<callback::Control> {
        if step.step == self.0 {
            self.1.set();
        }
        Ok(callback::Control::Continue)
    }
}

/// Three epochs of 49 points on this rank; Ctrl-C reaches only the last rank, after step `stop_at`.
fn train(r: Arc<Threads>, folder: &Path, resume: bool, stop_at: u64) -> Result<Report> {
    let (rank, world) = (r.rank(), r.world_size());
    random::manual_seed(if resume { 999 } else { 7 + rank as u64 });
    let mut model = Sequential::new()
        .then(Linear::new(1, 16)?)
        .then(BatchNorm1d::new(16)?)
        .then(ReLU)
        .then(Dropout::new(0.2))
        .then(Linear::new(16, 1)?);
    let share = DistributedSampler::new(49, world, rank)?.seed(3);
    let train = DataLoader::new(Parabola(49), 7)?.seed(3).sampler(share)?; // 25 samples, 4 batches
    let validation = DataLoader::new(Parabola(49), 49)?;
    let stop = StopFlag::default();
    let at = if rank + 1 == world { stop_at } else { u64::MAX };
    Trainer::new(3)
        .schedule(OneCycleLR::new(0.05, 12))
        .autocast(DType::F16)
        .grad_scaler(GradScaler::new())
        .distributed(r, DataParallelOptions::default())
        .save(Saving::new(folder))
        .resume(resume)
        .stop_on(stop.clone())
        .callback(StopAt(at, stop))
        .fit(
            &mut model,
            &mut AdamW::new(0.05),
            &squared_error,
            &train,
            Some(&validation),
        )
}

/// All of a checkpoint but the seconds.
fn bits(folder: &Path, file: &str) -> Vec<(String, Vec<u64>)> {
    let c = Checkpoint::load(folder.join(file)).unwrap();
    let rngs = c.rngs.clone().map(|t| ("rngs".to_owned(), t));
    let states = [&c.model, &c.optimizer, &c.scaler];
    let tensors = states
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.clone(), v.clone()));
    let mut all: Vec<_> = tensors
        .chain(rngs)
        .map(|(name, tensor)| {
            let values = tensor
                .to_dtype(DType::F64)
                .unwrap()
                .to_vec::<f64>()
                .unwrap();
            (name, values.into_iter().map(f64::to_bits).collect())
        })
        .collect();
    for row in &c.progress.history.rows {
        let values = row.values();
        let values = values[..7].iter().map(|v| v.to_bits());
        all.push(("row".into(), values.collect()));
    }
    all
}

#[test]
fn stopped_anywhere_and_resumed_on_two_ranks() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let run = |folder: &Path, resume, stop_at| -> Vec<Report> {
        let reports = ranks(2, |r| train(r, folder, resume, stop_at)).into_iter();
        reports.collect::<Result<_>>().unwrap()
    };
    let reports = run(&whole, false, u64::MAX);
    let rows = |report: &Report| -> Vec<_> {
        let rows = report.history.rows.iter();
        rows.map(|row| row.values()[..7].to_vec())
            .map(|v| format!("{v:?}"))
            .collect()
    };
    assert_eq!(rows(&reports[0]), rows(&reports[1]));
    assert!(
        reports
            .iter()
            .all(|r| (r.end, r.step) == (End::Finished, 12))
    );
    let rngs = Checkpoint::load(whole.join("last.safetensors"))
        .unwrap()
        .rngs
        .unwrap();
    let rngs = rngs.to_vec::<i64>().unwrap();
    assert_eq!((rngs[0], rngs[2]), (7, 8)); // each rank its own seed
    for step in [1, 3, 4, 9] {
        let parts = folder.path().join(format!("stopped{step}"));
        for report in run(&parts, false, step) {
            assert_eq!((report.end, report.step), (End::Interrupted, step));
        }
        run(&parts, true, u64::MAX);
        for file in ["last.safetensors", "best.safetensors"] {
            assert_eq!(
                bits(&whole, file),
                bits(&parts, file),
                "{file}, step {step}"
            );
        }
    }
    // Another number of ranks would make other batches.
    for result in ranks(3, |r| train(r, &whole, true, u64::MAX)) {
        let error = result.unwrap_err().to_string();
        assert!(
            error.contains("25 samples") && error.contains("and 17"),
            "{error}"
        );
    }
    // Nor is it enough that there are as many samples.
    let mut model = Sequential::new();
    let none = None::<&DataLoader<Parabola>>;
    let train = DataLoader::new(Parabola(25), 7).unwrap().seed(3);
    let result = Trainer::new(3)
        .grad_scaler(GradScaler::new())
        .save(Saving::new(&whole))
        .resume(true);
    let mut optimizer = AdamW::new(0.05);
    let result = result.fit(&mut model, &mut optimizer, &squared_error, &train, none);
    let error = result.unwrap_err().to_string();
    assert!(
        error.contains("a run on 2 ranks; now there are 1"),
        "{error}"
    );
}

#[test]
fn one_rank_is_the_trainer_as_it_was() -> Result<()> {
    let run = |alone: bool| -> Result<Report> {
        random::manual_seed(7);
        let mut model = Sequential::new()
            .then(Linear::new(1, 16)?)
            .then(ReLU)
            .then(Linear::new(16, 1)?);
        let train = DataLoader::new(Parabola(50), 8)?.shuffle(true);
        let mut trainer = Trainer::new(2);
        if alone {
            trainer = trainer.distributed(Arc::new(Solo), DataParallelOptions::default());
        }
        let none = None::<&DataLoader<Parabola>>;
        trainer.fit(
            &mut model,
            &mut AdamW::new(0.05),
            &squared_error,
            &train,
            none,
        )
    };
    let losses = |r: Report| {
        r.history
            .rows
            .iter()
            .map(|row| row.train_loss.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(losses(run(false)?), losses(run(true)?));
    Ok(())
}

#[test]
fn a_sampler_of_other_data_is_refused() -> Result<()> {
    let share = DistributedSampler::new(50, 2, 1)?;
    let error = DataLoader::new(Parabola(49), 8)?
        .sampler(share)
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains("50 samples"), "{error}");
    // By length as well: each rank sorts its own share.
    let lengths: Vec<usize> = (0..50).map(|i| i % 7).collect();
    let loader = DataLoader::new(Parabola(50), 5)?
        .sampler(share)?
        .group_by_length(lengths);
    assert_eq!((loader.batches(), loader.samples()), (5, 25));
    Ok(())
}
