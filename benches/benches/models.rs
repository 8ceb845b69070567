//! Whole training and inference steps, under the names the peers' scripts use.
//!
//! `fw/mnist_train_b32`: forward, backward and Adam step of the article's net on random digits. The net is
//! Conv 32@3x3, ReLU, max-pool 2, flatten, dense 10; random data, since the arithmetic does not depend on it.

use criterion::{Criterion, criterion_group, criterion_main};
use gradus_autograd::{Var, no_grad};
use gradus_nn::optim::{Adam, Optimizer};
use gradus_nn::{Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential, loss};
use gradus_tensor::random::Rng;
use gradus_tensor::{DType, Result, Tensor};

fn article() -> Result<Sequential> {
    Ok(Sequential::new()
        .then(Conv2d::new(1, 32, 3)?) // (B, 32, 26, 26)
        .then(ReLU)
        .then(MaxPool2d::new(2)) // (B, 32, 13, 13)
        .then(Flatten::default()) // (B, 5408)
        .then(Linear::new(5408, 10)?)) // (B, 10)
}

fn mnist(criterion: &mut Criterion, batch: usize) -> Result<()> {
    let mut rng = Rng::new(1);
    let x = Var::from(Tensor::rand([batch, 1, 28, 28], DType::F32, &mut rng)?);
    let y = Tensor::randint(0, 10, [batch], DType::I64, &mut rng)?;
    let mut net = article()?;
    let mut adam = Adam::new(1e-3);
    let mut step = || -> Result<()> {
        let gradients = loss::cross_entropy(&net.forward(&x)?, &y, &loss::CrossEntropy::default())?
            .backward_once()?;
        adam.step(&mut net, &gradients)
    };
    step()?;
    criterion.bench_function(&format!("fw/mnist_train_b{batch}"), |b| {
        b.iter(|| step().expect("it worked above"));
    });
    let forward = || no_grad(|| net.forward(&x));
    forward()?;
    criterion.bench_function(&format!("fw/mnist_fwd_b{batch}"), |b| {
        b.iter(|| forward().expect("it worked above"));
    });
    Ok(())
}

fn models(criterion: &mut Criterion) {
    for batch in [32, 128] {
        mnist(criterion, batch).expect("the article's net runs");
    }
}

criterion_group!(benches, models);
criterion_main!(benches);
