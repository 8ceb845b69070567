//! Teaches a small network the sine on several ranks at once, in a loop of one's own: each rank computes on its share of every batch,
//! all step by the mean of their gradients. (The same with the trainer: `Trainer::distributed`.)
//!
//! Alone, and on two processes over MPI (OpenMPI or MPICH installed, libclang to build):
//!
//!     cargo run --release -p gradus-train --example data_parallel
//!     cargo build --release -p gradus-train --features mpi --example data_parallel
//!     mpirun -n 2 target/release/examples/data_parallel
//!
//! With `--features mpi,nccl` and the argument `--nccl` MPI starts the ranks and gradients go from GPU to GPU.

use std::sync::Arc;

use gradus_autograd::Var;
use gradus_nn::optim::{Adam, Optimizer};
use gradus_nn::{Layer, Linear, Module, Sequential, Tanh};
use gradus_tensor::{Device, Result, Tensor};
use gradus_train::distributed::{
    Communicator, DistributedDataParallel, DistributedSampler, ReduceOp,
};
use gradus_train::{DataLoader, Dataset, Dice};

/// Points on the sine.
struct Sine(usize);

impl Dataset for Sine {
    type Batch = (Tensor, Tensor);

    fn len(&self) -> usize {
        self.0
    }

    fn batch(&self, indices: &[usize], _: Dice) -> Result<Self::Batch> {
        let at = |i: &usize| 6.3 * *i as f32 / self.0 as f32;
        let x: Vec<f32> = indices.iter().map(at).collect();
        let y: Vec<f32> = x.iter().map(|x| x.sin()).collect();
        let n = indices.len();
        Ok((Tensor::from_vec(x, [n, 1])?, Tensor::from_vec(y, [n, 1])?)) // (B, 1), (B, 1)
    }
}

fn train(ranks: Arc<dyn Communicator>) -> Result<()> {
    let (ranks, device) = on_gpus(ranks)?;
    let (rank, world) = (ranks.rank(), ranks.world_size());
    // 64 samples per step, whatever the number of ranks.
    let share = DistributedSampler::new(1024, world, rank)?;
    let data = DataLoader::new(Sine(1024), 64 / world.min(64))?.sampler(share)?;
    let mut net = Sequential::new()
        .then(Linear::new(1, 64)?)
        .then(Tanh)
        .then(Linear::new(64, 1)?);
    net.to_device(&device)?;
    let mut model = DistributedDataParallel::new(net, ranks.clone())?;
    let mut optimizer = Adam::new(0.01);
    for epoch in 0..60 {
        let mut sum = 0.0;
        for batch in data.epoch(epoch, 0) {
            let (x, y) = batch?;
            let (x, y) = (Var::from(x.to_device(&device)?), y.to_device(&device)?);
            let error = model.forward(&x)?.sub(&Var::from(y))?; // (B, 1)
            let loss = error.square()?.mean(.., false)?; // of this rank's share
            sum += loss.value().to_f64()?;
            let gradients = model.backward(loss)?; // of all ranks
            optimizer.step(&mut model, &gradients)?;
        }
        let mean = Tensor::from_slice(&[sum / data.batches() as f64], 1)?;
        let mean = ranks.all_reduce(mean, ReduceOp::Mean)?.to_vec::<f64>()?[0];
        if rank == 0 && epoch % 10 == 9 {
            println!("epoch {:>2}: loss {mean:.6} on {world} ranks", epoch + 1);
        }
    }

    // Every rank has the same weights: their mean is each rank's own.
    for (name, param) in model.named_parameters() {
        let own = param.data().to_device(&Device::Cpu)?;
        let mean = ranks.all_reduce(own.reshape([-1])?, ReduceOp::Mean)?;
        let same = mean
            .reshape(own.shape())?
            .allclose(&own, 1e-6, 1e-7, false)?;
        assert!(same, "rank {rank} has another {name}");
    }
    if rank == 0 {
        for i in 0..=6 {
            let x = Tensor::from_slice(&[i as f32], [1, 1])?.to_device(&device)?;
            let y = model.module().forward(&Var::from(x))?.value().to_f64()?;
            let sin = f64::from(i).sin();
            println!("sin({i}) = {sin:+.3}, the network says {y:+.3}");
        }
    }
    Ok(())
}

/// With `--nccl`, the same ranks with a GPU each, which has their number.
fn on_gpus(ranks: Arc<dyn Communicator>) -> Result<(Arc<dyn Communicator>, Device)> {
    if !std::env::args().any(|argument| argument == "--nccl") {
        return Ok((ranks, Device::Cpu));
    }
    #[cfg(feature = "nccl")]
    {
        let device = Device::cuda(ranks.rank())?;
        let over = gradus_train::distributed::nccl::Nccl::over(&*ranks, &device)?;
        Ok((Arc::new(over), device))
    }
    #[cfg(not(feature = "nccl"))]
    Err(gradus_tensor::Error::unsupported(
        "",
        "--nccl: built without the feature nccl",
    ))
}

#[cfg(feature = "mpi")]
fn main() -> Result<()> {
    gradus_train::distributed::mpi::run(train)
}

#[cfg(not(feature = "mpi"))]
fn main() -> Result<()> {
    train(Arc::new(gradus_train::distributed::Solo))
}
