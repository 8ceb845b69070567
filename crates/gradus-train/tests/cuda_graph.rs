//! Training steps from a CUDA graph: the bits of steps that are run, with dropout, a changing rate, running statistics, clipping; what cannot be
//! recorded says so. Where there is no GPU, it is gradus-cuda's stand-in.

use std::path::Path;

use gradus_autograd::Var;
use gradus_autograd::functional::{CrossEntropy, cross_entropy};
use gradus_nn::optim::{Adagrad, AdamW, Optimizer, RMSprop, SGD, SgdOptions};
use gradus_nn::schedule::LambdaLR;
use gradus_nn::{
    BatchNorm2d, Conv2d, Dropout, Dropout2d, Flatten, GradScaler, Layer, Linear, MaxPool2d, Module,
    ReLU, Sequential, clip_grad_norm_,
};
use gradus_tensor::random::{self, Rng, RngState, default_state};
use gradus_tensor::{DType, Device, Result, Tensor};
use gradus_train::{Classification, DataLoader, Dataset, Dice, GraphedStep, History, Trainer};

type Batch = (Tensor, Tensor);

fn gpu() -> Option<Device> {
    gradus_tensor::standin::device(Path::new(env!("CARGO_TARGET_TMPDIR")))?;
    Some(Device::cuda(0).unwrap())
}

fn mlp() -> Result<Sequential> {
    Ok(Sequential::new()
        .then(Linear::new(10, 33)?)
        .then(ReLU)
        .then(Dropout::new(0.3))
        .then(Linear::new(33, 17)?)
        .then(Dropout::new(0.5))
        .then(Linear::new(17, 3)?))
}

fn cnn() -> Result<Sequential> {
    Ok(Sequential::new()
        .then(Conv2d::new(2, 5, 3)?)
        .then(BatchNorm2d::new(5)?)
        .then(ReLU)
        .then(Dropout2d::new(0.2))
        .then(MaxPool2d::new(2))
        .then(Flatten::default())
        .then(Linear::new(5 * 3 * 3, 3)?))
}

fn make(model: fn() -> Result<Sequential>, device: &Device) -> Result<Sequential> {
    random::manual_seed(7);
    let mut model = model()?;
    model.to_device(device)?;
    random::manual_seed(11);
    Ok(model)
}

/// Batch `i`: inputs of `shape`, and classes.
fn batch(i: u64, shape: &[usize]) -> Result<Batch> {
    let mut rng = Rng::new(100 + i);
    let x = Tensor::randn(shape, DType::F32, &mut rng)?;
    let y = Tensor::randint(0, 3, shape[0], DType::I64, &mut rng)?;
    Ok((x, y))
}

fn step(
    model: &mut Sequential,
    optimizer: &mut dyn Optimizer,
    (x, y): &Batch,
) -> Result<Vec<Tensor>> {
    let logits = model.forward(&Var::from(x.clone()))?;
    let loss = cross_entropy(&logits, y, &CrossEntropy::default())?;
    let value = loss.value().clone();
    let mut gradients = loss.backward_once()?;
    let norm = clip_grad_norm_(&mut gradients, 0.5, 2.0)?;
    optimizer.step(model, &gradients)?;
    Ok(vec![value, norm])
}

/// All bits there are: losses and norms of each step, the state of model and optimiser, where the generator stands.
#[derive(Debug, PartialEq)]
struct Outcome {
    numbers: Vec<f64>,
    state: Vec<(String, Vec<u8>)>,
    generator: RngState,
}

fn bits(name: &str, x: &Tensor) -> Result<(String, Vec<u8>)> {
    let x = x.to_device(&Device::Cpu)?;
    let bytes = match x.dtype() {
        DType::F32 => x
            .to_vec::<f32>()?
            .iter()
            .flat_map(|x| x.to_bits().to_le_bytes())
            .collect(),
        DType::F64 => x
            .to_vec::<f64>()?
            .iter()
            .flat_map(|x| x.to_bits().to_le_bytes())
            .collect(),
        _ => x
            .to_dtype(DType::I64)?
            .to_vec::<i64>()?
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect(),
    };
    Ok((name.to_owned(), bytes))
}

fn outcome(numbers: Vec<f64>, model: &Sequential, optimizer: &dyn Optimizer) -> Result<Outcome> {
    let mut state = Vec::new();
    for (name, x) in model.state_dict().iter().chain(&optimizer.state_dict()?) {
        state.push(bits(name, x)?);
    }
    Ok(Outcome {
        numbers,
        state,
        generator: default_state(),
    })
}

/// Eight steps with a rate that changes, the last five of them replayed if `graph`.
fn train(
    device: &Device,
    model: fn() -> Result<Sequential>,
    optimizer: &mut dyn Optimizer,
    shape: &[usize],
    graph: bool,
) -> Result<Outcome> {
    let mut model = make(model, device)?;
    let mut numbers = Vec::new();
    let mut graphed = None;
    for i in 0..8 {
        optimizer.set_lr(0.02 / (1 + i) as f64);
        let (x, y) = batch(i, shape)?;
        let found = if graph && i >= 3 {
            if graphed.is_none() {
                let there = batch(50, shape)?;
                let before = outcome(Vec::new(), &model, optimizer)?;
                graphed = Some(GraphedStep::record(&mut model, optimizer, there, step)?);
                assert_eq!(
                    outcome(Vec::new(), &model, optimizer)?,
                    before,
                    "nothing has run"
                );
            }
            let graphed = graphed.as_mut().unwrap();
            graphed.replay(&model, optimizer, &mut (x, y))?.clone()
        } else {
            let there = (x.to_device(device)?, y.to_device(device)?);
            step(&mut model, optimizer, &there)?
        };
        for x in found {
            numbers.push(x.to_f64()?);
        }
    }
    outcome(numbers, &model, optimizer)
}

#[test]
fn replayed_steps_have_the_bits_of_steps_that_are_run() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let momentum = SgdOptions {
        momentum: 0.9,
        nesterov: true,
        weight_decay: 0.01,
        ..SgdOptions::default()
    };
    type Make<'a> = &'a dyn Fn() -> Box<dyn Optimizer>;
    let optimizers: [(&str, Make<'_>); 5] = [
        ("AdamW", &|| Box::new(AdamW::new(0.1))),
        ("SGD", &|| Box::new(SGD::new(0.1))),
        ("momentum", &|| Box::new(SGD::with(momentum.clone()))),
        ("RMSprop", &|| Box::new(RMSprop::new(0.1))),
        ("Adagrad", &|| Box::new(Adagrad::new(0.1))),
    ];
    for (name, optimizer) in optimizers {
        let run = train(&gpu, mlp, &mut *optimizer(), &[6, 10], false)?;
        let replayed = train(&gpu, mlp, &mut *optimizer(), &[6, 10], true)?;
        assert_eq!(run, replayed, "{name}");
        // As on the CPU: the same masks, but for rounding.
        let here = train(&Device::Cpu, mlp, &mut *optimizer(), &[6, 10], false)?;
        assert_eq!(here.generator, run.generator);
        for (a, b) in here.numbers.iter().zip(&run.numbers) {
            assert!(
                (a - b).abs() < 1e-4 * a.abs().max(1.0),
                "{name}: {a} and {b}"
            );
        }
    }
    for (name, optimizer) in &optimizers[..3] {
        let run = train(&gpu, cnn, &mut *optimizer(), &[4, 2, 8, 8], false)?;
        let replayed = train(&gpu, cnn, &mut *optimizer(), &[4, 2, 8, 8], true)?;
        assert_eq!(run, replayed, "{name}");
    }
    Ok(())
}

#[test]
fn groups_have_rates_of_their_own() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let run = |graph: bool| -> Result<Outcome> {
        let options = gradus_nn::optim::AdamWOptions::default();
        let mut optimizer = AdamW::new(1e-3).group_where(|name, _| name.ends_with("bias"), options);
        let mut model = make(mlp, &gpu)?;
        let there = |i| -> Result<Batch> {
            let (x, y) = batch(i, &[5, 10])?;
            Ok((x.to_device(&gpu)?, y.to_device(&gpu)?))
        };
        for i in 0..3 {
            step(&mut model, &mut optimizer, &there(i)?)?; // both groups alike
        }
        if graph {
            let mut graphed = GraphedStep::record(&mut model, &mut optimizer, there(3)?, step)?;
            optimizer.set_lrs(&[0.1, 0.0]);
            graphed.again(&model, &mut optimizer)?;
            graphed.replay(&model, &mut optimizer, &mut batch(4, &[5, 10])?)?;
        } else {
            optimizer.set_lrs(&[0.1, 0.0]);
            step(&mut model, &mut optimizer, &there(3)?)?;
            step(&mut model, &mut optimizer, &there(4)?)?;
        }
        outcome(Vec::new(), &model, &optimizer)
    };
    assert_eq!(run(false)?, run(true)?);
    Ok(())
}

struct Points(usize);

impl Dataset for Points {
    type Batch = Batch;

    fn len(&self) -> usize {
        self.0
    }

    fn batch(&self, indices: &[usize], _: Dice) -> Result<Batch> {
        let x: Vec<f32> = indices
            .iter()
            .flat_map(|i| (0..10).map(move |k| ((i * 7 + k * k) % 11) as f32 - 5.0))
            .collect();
        let y: Vec<i64> = indices.iter().map(|i| (i % 3) as i64).collect();
        Ok((
            Tensor::from_vec(x, [indices.len(), 10])?,
            Tensor::from_vec(y, indices.len())?,
        ))
    }
}

fn fit(device: &Device, graph: bool, precision: Option<DType>) -> Result<(History, Outcome)> {
    let mut model = make(mlp, device)?;
    let mut optimizer = AdamW::new(0.01);
    // 5 batches an epoch, the last of them not full.
    let train = DataLoader::new(Points(43), 10)?.shuffle(true).seed(5);
    let validation = DataLoader::new(Points(9), 4)?;
    let mut trainer = Trainer::new(3)
        .schedule(LambdaLR(|step: usize| 1.0 / (1 + step) as f64))
        .clip_norm(0.7)
        .cuda_graph(graph);
    if let Some(dtype) = precision {
        trainer = trainer.autocast(dtype);
    }
    let report = trainer.fit(
        &mut model,
        &mut optimizer,
        &Classification::default(),
        &train,
        Some(&validation),
    )?;
    assert_eq!(report.step, 15);
    let mut history = report.history;
    for row in &mut history.rows {
        row.seconds = 0.0;
    }
    Ok((history, outcome(Vec::new(), &model, &optimizer)?))
}

#[test]
fn the_trainer_learns_the_same() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    for precision in [None, Some(DType::BF16)] {
        let (run, replayed) = (fit(&gpu, false, precision)?, fit(&gpu, true, precision)?);
        assert_eq!(run.1, replayed.1);
        assert_eq!(
            format!("{:?}", run.0.rows),
            format!("{:?}", replayed.0.rows)
        );
    }
    let error = fit(&Device::Cpu, true, None).unwrap_err().to_string();
    assert!(error.contains("CPU, which has no graphs"), "{error}");
    let train = DataLoader::new(Points(20), 10)?;
    let scaled = Trainer::new(1)
        .cuda_graph(true)
        .grad_scaler(GradScaler::new())
        .fit(
            &mut make(mlp, &gpu)?,
            &mut SGD::new(0.1),
            &Classification::default(),
            &train,
            None::<&DataLoader<Points>>,
        );
    assert!(scaled.unwrap_err().to_string().contains("scaler"));
    Ok(())
}

#[test]
fn what_cannot_be_recorded_says_so() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let there = || -> Result<Batch> {
        let (x, y) = batch(0, &[5, 10])?;
        Ok((x.to_device(&gpu)?, y.to_device(&gpu)?))
    };
    let mut model = make(mlp, &gpu)?;
    let mut optimizer = AdamW::new(0.1);
    let record = |model: &mut Sequential,
                  optimizer: &mut dyn Optimizer,
                  bad: &dyn Fn(&Tensor) -> Result<()>| {
        let recorded = GraphedStep::record(
            model,
            optimizer,
            there()?,
            |model: &mut Sequential, optimizer, batch: &Batch| {
                let found = step(model, optimizer, batch)?;
                bad(&found[0])?;
                Ok(found)
            },
        );
        recorded.map(drop)
    };
    // The optimiser has no memory yet.
    let error = record(&mut model, &mut optimizer, &|_| Ok(()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("its first step"), "{error}");
    assert!(
        optimizer
            .replay()
            .unwrap_err()
            .to_string()
            .contains("no step was recorded")
    );
    step(&mut model, &mut optimizer, &there()?)?;
    type Bad<'a> = &'a dyn Fn(&Tensor) -> Result<()>;
    let cases: [(&str, Bad<'_>); 5] = [
        ("reads a result", &|loss| loss.item::<f32>().map(drop)),
        ("waits for the device", &|_| gpu.synchronize()),
        ("drawn on the host", &|loss| {
            random::with_default(|rng| Tensor::rand(3, loss, rng)).map(drop)
        }),
        ("default generator only", &|loss| {
            Tensor::bernoulli(0.5, 3, loss, &mut Rng::new(1)).map(drop)
        }),
        ("drawn from or seeded on the host", &|_| {
            random::with_default(Rng::next_f64);
            Ok(())
        }),
    ];
    let before = outcome(Vec::new(), &model, &optimizer)?;
    for (why, bad) in cases {
        let error = record(&mut model, &mut optimizer, bad)
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    // Nothing has happened, and everything still works.
    assert_eq!(outcome(Vec::new(), &model, &optimizer)?, before);
    let mut graphed = GraphedStep::record(&mut model, &mut optimizer, there()?, step)?;
    graphed.again(&model, &mut optimizer)?;
    let error = graphed
        .replay(&model, &mut optimizer, &mut batch(0, &[4, 10])?)
        .unwrap_err();
    assert!(
        error.to_string().contains("recorded with a batch"),
        "{error}"
    );
    // Somebody keeps a copy of the state, which a replay would change.
    let kept = model.state_dict();
    assert!(!graphed.is_current(&model));
    let error = graphed.again(&model, &mut optimizer).unwrap_err();
    assert!(
        error.to_string().contains("held by somebody else"),
        "{error}"
    );
    drop(kept);
    assert!(graphed.is_current(&model));
    graphed.again(&model, &mut optimizer)?;
    let memory = optimizer.state_dict()?;
    let error = graphed.again(&model, &mut optimizer).unwrap_err();
    assert!(error.to_string().contains("what it remembers"), "{error}");
    drop(memory);
    // Parameters of 16 bits are stepped in f32 and rounded into memory of their own.
    let mut half = make(mlp, &gpu)?;
    half.to_dtype(DType::BF16)?;
    let (x, y) = there()?;
    let there = || Ok::<_, gradus_tensor::Error>((x.to_dtype(DType::BF16)?, y.clone()));
    let mut other = AdamW::new(0.1);
    let plain = |model: &mut Sequential, optimizer: &mut dyn Optimizer, (x, _): &Batch| {
        let loss = model
            .forward(&Var::from(x.clone()))?
            .square()?
            .mean(.., false)?;
        optimizer.step(model, &loss.backward_once()?)
    };
    plain(&mut half, &mut other, &there()?)?;
    let refused = GraphedStep::record(&mut half, &mut other, there()?, plain);
    let error = refused.map(drop).unwrap_err().to_string();
    assert!(error.contains("cannot be recorded"), "{error}");
    Ok(())
}

#[test]
fn batches_arrive_on_the_device() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    for workers in [0, 2] {
        let loader = DataLoader::new(Points(43), 10)?
            .shuffle(true)
            .seed(5)
            .workers(workers);
        let there = loader
            .epoch_on(1, 0, &gpu)
            .collect::<Result<Vec<Batch>>>()?;
        for (a, b) in there.iter().zip(loader.epoch(1, 0)) {
            let b = b?;
            assert_eq!(
                (a.0.device(), a.1.device(), b.0.device()),
                (gpu, gpu, Device::Cpu)
            );
            assert_eq!(a.0.to_vec::<f32>()?, b.0.to_vec::<f32>()?);
            assert_eq!(a.1.to_vec::<i64>()?, b.1.to_vec::<i64>()?);
        }
        assert_eq!(there.len(), 5);
    }
    Ok(())
}
