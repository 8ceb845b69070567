//! Data parallel training on ranks that are threads: the same weights as one rank with the joined batch, exchanges that begin before
//! the backward ends, buffers, unused parameters, accumulated gradients, and errors that every rank hears of.

use std::sync::Arc;

use gradus_autograd::Var;
use gradus_nn::optim::{AdamW, Optimizer, SGD, SgdOptions};
use gradus_nn::{BatchNorm1d, GradScaler, Layer, Linear, Module, ReLU, Sequential, Tanh};
use gradus_tensor::{DType, Device, Result, Tensor, random};
use gradus_train::distributed::{
    Communicator, DataParallelOptions, DistributedDataParallel, ReduceOp, Solo,
};

use crate::ranks::{Threads, ranks};

/// Weights of `seed`; without batch norm, whose statistics are of each rank's own batch.
fn network(seed: u64) -> Result<Sequential> {
    random::manual_seed(seed);
    Ok(Sequential::new()
        .then(Linear::new(6, 32)?)
        .then(Tanh)
        .then(Linear::new(32, 16)?)
        .then(ReLU)
        .then(Linear::new(16, 3)?))
}

/// Batch `step` of 12 samples: inputs (12, 6) and targets (12, 3).
fn batch(step: u64) -> Result<(Tensor, Tensor)> {
    let mut rng = random::Rng::new(100 + step);
    let x = Tensor::randn([12, 6], DType::F32, &mut rng)?;
    let y = Tensor::randn([12, 3], DType::F32, &mut rng)?;
    Ok((x, y))
}

/// The mean squared error on rows `start..start + n` of the batch.
fn loss(model: &dyn Layer, step: u64, start: usize, n: usize) -> Result<Var> {
    let (x, y) = batch(step)?;
    let rows = |t: &Tensor| t.narrow(0, start as i64, n).map(Var::from);
    let y = rows(&y)?;
    model
        .forward(&rows(&x)?)?
        .sub(&y)?
        .square()?
        .mean(.., false)
}

/// Small buckets, so that there are several.
pub fn small() -> DataParallelOptions {
    DataParallelOptions {
        bucket_cap_mb: 1e-3,
        ..DataParallelOptions::default()
    }
}

pub fn sgd() -> SGD {
    SGD::with(SgdOptions {
        lr: 0.1,
        momentum: 0.9,
        ..SgdOptions::default()
    })
}

fn weights(model: &dyn Module) -> Result<Vec<f32>> {
    let mut all = Vec::new();
    for tensor in model.state_dict().values() {
        all.extend(tensor.to_dtype(DType::F32)?.to_vec::<f32>()?);
    }
    Ok(all)
}

/// Weights after ten steps on this rank's part of each batch.
pub fn train(
    ranks: Arc<dyn Communicator>,
    seed: u64,
    optimizer: &mut dyn Optimizer,
    options: DataParallelOptions,
) -> Result<Vec<f32>> {
    let (rank, world) = (ranks.rank(), ranks.world_size());
    let mut model = DistributedDataParallel::with(network(seed)?, ranks, options)?;
    let n = 12 / world;
    for step in 0..10 {
        let loss = loss(&model, step, rank * n, n)?;
        let gradients = model.backward(loss)?;
        optimizer.step(&mut model, &gradients)?;
    }
    weights(&model)
}

#[test]
fn ranks_learn_what_one_learns_from_the_joined_batch() -> Result<()> {
    for adam in [false, true] {
        let optimizer = || -> Box<dyn Optimizer> {
            match adam {
                true => Box::new(AdamW::new(0.01)),
                false => Box::new(sgd()),
            }
        };
        let one = train(Arc::new(Solo), 1, &mut *optimizer(), small())?;
        for world in [2, 3] {
            for options in [small(), DataParallelOptions::default()] {
                // Every rank begins with weights of its own; rank 0's count.
                let all = ranks(world, |r| {
                    let seed = 1 + r.rank() as u64;
                    train(r, seed, &mut *optimizer(), options)
                });
                let all: Vec<Vec<f32>> = all.into_iter().collect::<Result<_>>()?;
                for (rank, weights) in all.iter().enumerate() {
                    assert_eq!(
                        weights, &all[0],
                        "rank {rank} of {world}: not the same bits"
                    );
                }
                // Only the order of sums differs, so each gradient by some 2^-24 of its size.
                let bound = 5e-7;
                let error = all[0].iter().zip(&one).map(|(a, b)| (a - b).abs());
                let error = error.fold(0.0, f32::max);
                println!("{world} ranks, adam {adam}: off by {error:e}");
                assert!(
                    error <= bound,
                    "{world} ranks, adam {adam}: off by {error:e}"
                );
            }
        }
    }
    Ok(())
}

/// Three layers whose values in between can be had.
#[derive(Module)]
struct Tower {
    first: Linear,
    second: Linear,
    third: Linear,
}

#[test]
fn exchanges_begin_before_the_backward_ends() -> Result<()> {
    let logs = ranks(2, |r: Arc<Threads>| {
        let tower = Tower {
            first: Linear::new(6, 32)?,
            second: Linear::new(32, 16)?,
            third: Linear::new(16, 3)?,
        };
        let model = DistributedDataParallel::with(tower, r.clone(), small())?;
        let buckets = model.reducer().buckets();
        // In reverse, each full at a thousandth of a MiB, 1049 bytes.
        let wanted: [&[&str]; 3] = [
            &["third.bias", "third.weight", "second.bias", "second.weight"],
            &["first.bias", "first.weight"],
            &[],
        ];
        assert!(
            buckets.iter().zip(wanted).all(|(a, b)| a == b),
            "{buckets:?}"
        );
        let (x, _) = batch(0)?;
        let Tower {
            first,
            second,
            third,
        } = model.module();
        // Its gradient is there before the first layer's weights have theirs.
        let hidden = first.forward(&Var::from(x))?.tanh()?;
        let noted = r.clone();
        hidden.register_hook(move |_| {
            noted.note("backward is in the first layer");
            Ok(None)
        })?;
        let y = third.forward(&second.forward(&hidden)?)?;
        r.note("backward");
        model.backward(y.square()?.mean(.., false)?)?;
        Ok(r.log())
    });
    for log in logs {
        let log = log?;
        let at = |line: &str| log.iter().position(|l| l == line).unwrap();
        let (begin, end) = (at("backward"), at("backward is in the first layer"));
        let early = log[begin..end]
            .iter()
            .filter(|l| l.starts_with("all_reduce Mean"));
        let late = log[end..]
            .iter()
            .filter(|l| l.starts_with("all_reduce Mean"));
        assert_eq!((early.count(), late.count()), (1, 1), "{log:#?}");
    }
    Ok(())
}

#[test]
fn buckets_are_as_ddps() -> Result<()> {
    // 1 MiB closes the first bucket, 25 MiB the others; a parameter is never split.
    let mut model = Sequential::new();
    for _ in 0..4 {
        model = model.then(Linear::new(2048, 1024)?); // 8 MiB and 4 KiB
    }
    let model = DistributedDataParallel::new(model, Arc::new(Solo))?;
    let buckets = model.reducer().buckets();
    assert_eq!(buckets[0], ["3.bias", "3.weight"]);
    assert_eq!(buckets[1].len(), 6); // 24 MiB and 12 KiB are not 25 yet
    assert_eq!(buckets.len(), 2);
    Ok(())
}

#[test]
fn buffers_are_rank_0s() -> Result<()> {
    let statistics = ranks(3, |r| {
        random::manual_seed(1);
        let net = Sequential::new()
            .then(Linear::new(6, 4)?)
            .then(BatchNorm1d::new(4)?);
        let mut model = DistributedDataParallel::new(net, r.clone())?;
        let mut own = Vec::new();
        for step in 0..3 {
            let (x, _) = batch(step)?;
            let x = Var::from(x.narrow(0, 4 * r.rank() as i64, 4)?);
            let loss = model.forward(&x)?.square()?.mean(.., false)?;
            let gradients = model.backward(loss)?;
            sgd().step(&mut model, &gradients)?;
            own.push(model.state_dict()["1.running_mean"].to_vec::<f32>()?);
        }
        model.sync_buffers()?;
        let state = model.state_dict();
        assert_eq!(state["1.num_batches_tracked"].to_f64()?, 3.0);
        Ok((
            own,
            state["1.running_mean"].to_vec::<f32>()?,
            weights(&model)?,
        ))
    });
    let all = statistics.into_iter().collect::<Result<Vec<_>>>()?;
    // Each rank's are of its own batch until the next forward makes them rank 0's.
    assert_ne!(all[0].0, all[1].0);
    for (_, mean, weights) in &all {
        assert_eq!(mean, &all[0].0[2]);
        assert_eq!(weights, &all[0].2);
    }
    Ok(())
}

/// A model of two branches, of which a rank uses one.
#[derive(Module)]
struct Branches {
    trunk: Linear,
    left: Linear,
    right: Linear,
    idle: Linear,
}

fn branches() -> Result<Branches> {
    random::manual_seed(5);
    Ok(Branches {
        trunk: Linear::new(6, 8)?,
        left: Linear::new(8, 3)?,
        right: Linear::new(8, 3)?,
        idle: Linear::new(8, 3)?,
    })
}

#[test]
fn unused_parameters() -> Result<()> {
    let options = |find| DataParallelOptions {
        find_unused_parameters: find,
        ..small()
    };
    let run = |find| {
        ranks(2, |r| {
            let model = DistributedDataParallel::with(branches()?, r.clone(), options(find))?;
            let (x, _) = batch(0)?;
            let net = model.module();
            let hidden = net.trunk.forward(&Var::from(x))?;
            let branch = if r.rank() == 0 { &net.left } else { &net.right };
            let loss = branch.forward(&hidden)?.mean(.., false)?;
            let local = loss.backward()?;
            let mean = model.backward(loss)?;
            let bias = |linear: &Linear| linear.bias.as_ref().unwrap().var().clone();
            assert!(
                mean.get(&bias(&net.idle)).is_none() && mean.get(net.idle.weight.var()).is_none()
            );
            // Half of what the rank found that used it.
            let own = local.get(&bias(branch)).unwrap().to_vec::<f32>()?;
            let half = mean.get(&bias(branch)).unwrap().to_vec::<f32>()?;
            assert_eq!(half, own.iter().map(|x| x / 2.0).collect::<Vec<_>>());
            let of = |linear: &Linear| mean.get(&bias(linear)).unwrap().to_vec::<f32>();
            Ok((of(&net.left)?, of(&net.right)?))
        })
    };
    let found = run(true).into_iter().collect::<Result<Vec<_>>>()?;
    assert_eq!(found[0], found[1]);
    for result in run(false) {
        let error = result.unwrap_err().to_string();
        assert!(
            error.contains("no gradient came to idle.bias, idle.weight, ")
                || error.contains("has left"),
            "{error}"
        );
    }
    Ok(())
}

#[test]
fn gradients_of_several_backwards_are_averaged_at_the_end() -> Result<()> {
    let results = ranks(2, |r| {
        let model = DistributedDataParallel::with(network(1)?, r.clone(), small())?;
        let start = 6 * r.rank();
        let mut sum = loss(&model, 0, start, 3)?.backward_once()?;
        sum.accumulate(loss(&model, 0, start + 3, 3)?.backward_once()?)?;
        model.reducer().reduce(model.module(), &mut sum)?;
        let whole = model.backward(loss(&model, 0, start, 6)?.mul_scalar(2)?)?;
        for (_, param) in model.named_parameters() {
            let (a, b) = (
                sum.get(param.var()).unwrap(),
                whole.get(param.var()).unwrap(),
            );
            assert!(a.allclose(b, 1e-5, 1e-7, false)?);
        }
        Ok(())
    });
    results.into_iter().collect()
}

#[test]
fn an_infinite_gradient_on_one_rank_makes_all_skip_the_step() -> Result<()> {
    let results = ranks(2, |r| {
        let mut model = DistributedDataParallel::with(network(1)?, r.clone(), small())?;
        let (mut optimizer, mut scaler) = (sgd(), GradScaler::new());
        let mut made = Vec::new();
        for step in 0..3 {
            let mut loss = loss(&model, step, 6 * r.rank(), 6)?;
            if (step, r.rank()) == (1, 1) {
                loss = loss.mul_scalar(f64::INFINITY)?;
            }
            let mut gradients = model.backward(scaler.scale(&loss)?)?;
            made.push(scaler.step(&mut optimizer, &mut model, &mut gradients)?);
            scaler.update(None)?;
        }
        Ok((made, scaler.get_scale(), weights(&model)?))
    });
    let all = results.into_iter().collect::<Result<Vec<_>>>()?;
    assert_eq!((&all[0].0, all[0].1), (&vec![true, false, true], 32768.0));
    assert_eq!(all[0], all[1]);
    Ok(())
}

#[test]
fn different_models_are_an_error_on_every_rank() {
    let build = |rank: usize, case: usize| -> Result<Sequential> {
        let mut net = network(1)?;
        match (rank, case) {
            (1, 0) => net = net.then(Linear::new(3, 3)?),
            (1, 1) => {
                net = Sequential::new()
                    .then(Linear::new(6, 32)?)
                    .then(Linear::new(32, 5)?);
            }
            (0, 2) => net.to_dtype(DType::F64)?,
            (2, 3) => drop(net.freeze("0.bias")),
            _ => {}
        }
        Ok(net)
    };
    for (case, said) in [
        (0, "rank 1 has 8 parameters, rank 0 6"),
        (
            1,
            "number 2 is 1.weight f32[5,32] on rank 1, 2.weight f32[16,32] on rank 0",
        ),
        (
            2,
            "number 0 is 0.weight f32[32,6] on rank 1, 0.weight f64[32,6] on rank 0",
        ),
        (
            3,
            "number 1 is 0.bias f32[32] (frozen) on rank 2, 0.bias f32[32] on rank 0",
        ),
    ] {
        let errors: Vec<String> = ranks(3, |r| {
            DistributedDataParallel::new(build(r.rank(), case)?, r.clone()).map(drop)
        })
        .into_iter()
        .map(|result| result.unwrap_err().to_string())
        .collect();
        assert!(
            errors.iter().any(|e| e.contains(said)),
            "{case}: {errors:#?}"
        );
        assert!(
            errors.iter().all(|e| e.contains("rank")),
            "{case}: {errors:#?}"
        );
    }
}

#[test]
fn a_rank_that_fails_does_not_keep_the_others_waiting() {
    for panics in [false, true] {
        let results = ranks(3, |r| {
            let model = DistributedDataParallel::with(network(1)?, r.clone(), small())?;
            for step in 0..4 {
                let loss = loss(&model, step, 4 * r.rank(), 4)?;
                if (step, r.rank()) == (2, 1) {
                    assert!(!panics, "this panic is part of the test");
                    return Err(gradus_tensor::Error::value("", "its disk is full"));
                }
                model.backward(loss)?;
            }
            Ok(())
        });
        let errors = results.into_iter().map(|r| r.unwrap_err().to_string());
        let errors: Vec<String> = errors.collect();
        assert!(
            errors[0].contains("gradient bucket 0") && errors[0].contains("rank 1 has left"),
            "{errors:?}"
        );
        assert!(errors[2].contains("rank 1 has left"), "{errors:?}");
    }
}

#[test]
fn what_changes_under_the_reducer_is_an_error() -> Result<()> {
    let mut model = DistributedDataParallel::new(network(1)?, Arc::new(Solo))?;
    model.module_mut().freeze("0");
    let error = model
        .backward(loss(&model, 0, 0, 12)?)
        .unwrap_err()
        .to_string();
    assert!(error.contains("is frozen or gone now"), "{error}");
    let mut model = {
        let mut net = network(1)?;
        net.freeze("0");
        DistributedDataParallel::new(net, Arc::new(Solo))?
    };
    model.module_mut().unfreeze("0.bias");
    let error = model
        .backward(loss(&model, 0, 0, 12)?)
        .unwrap_err()
        .to_string();
    assert!(error.contains("0.bias is trained now"), "{error}");
    let options = DataParallelOptions {
        bucket_cap_mb: 0.0,
        ..small()
    };
    let error = DistributedDataParallel::with(network(1)?, Arc::new(Solo), options).map(drop);
    assert!(error.unwrap_err().to_string().contains("above 0"));
    let solo: &dyn Communicator = &Solo;
    let x = solo.all_reduce(Tensor::from_slice(&[3f32], 1)?, ReduceOp::Mean)?;
    assert_eq!((x.to_vec::<f32>()?, x.device()), (vec![3.0], Device::Cpu));
    Ok(())
}
