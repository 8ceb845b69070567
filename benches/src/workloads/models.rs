//! Whole models, training and inference, on random data: the arithmetic does not depend on what the numbers mean.
//!
//! `mnist_train_b32` is forward, backward and Adam step of Conv 32@3x3, ReLU, max-pool 2, flatten, dense 10. The CIFAR row
//! with the stem of 3x3 is ResNet-18 with a convolution of stride 1 and no pool in front, as is usual for small images.

use super::rand;
use crate::measure::{Step, Work, Workload};
use gradus_autograd::{Var, autocast, no_grad};
use gradus_nn::optim::{Adam, Optimizer, SGD, SgdOptions};
use gradus_nn::{
    AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Flatten, Layer, Linear, MaxPool2d, Module, ReLU,
    Sequential, loss,
};
use gradus_tensor::random::Rng;
use gradus_tensor::{DType, Result, Tensor};
use gradus_vision::models::{Options, build};

pub fn all(dtype: DType) -> Vec<Workload> {
    let mut all = Vec::new();
    let mut add = |name: String, start: Box<dyn FnOnce() -> Result<Step>>| {
        all.push(Workload::new("models", name, Work::Unsaid, start));
    };
    for batch in [32, 128] {
        add(
            format!("mnist_train_b{batch}"),
            Box::new(move || {
                let x = rand(&[batch, 1, 28, 28])?;
                classify(mnist()?, Adam::new(1e-3), dtype, x)
            }),
        );
        add(
            format!("mnist_fwd_b{batch}"),
            Box::new(move || look(mnist()?, dtype, rand(&[batch, 1, 28, 28])?)),
        );
    }
    for batch in [1, 8] {
        add(
            format!("resnet18_224_fwd_b{batch}"),
            Box::new(move || {
                let net = build("resnet18", &Options::default())?;
                look(net, dtype, rand(&[batch, 3, 224, 224])?)
            }),
        );
    }
    let sgd = || {
        SGD::with(SgdOptions {
            lr: 0.1,
            momentum: 0.9,
            weight_decay: 5e-4,
            ..SgdOptions::default()
        })
    };
    add(
        "resnet18_cifar_train_b64_stem224".into(),
        Box::new(move || {
            let net = build("resnet18", &Options::classes(10))?;
            classify(net, sgd(), dtype, rand(&[64, 3, 32, 32])?)
        }),
    );
    add(
        "resnet18_cifar_train_b64_stem3x3".into(),
        Box::new(move || classify(small_stem()?, sgd(), dtype, rand(&[64, 3, 32, 32])?)),
    );
    all
}

/// A step of training on images (B, C, H, W) of ten classes.
fn classify(
    net: impl Layer + 'static,
    optimizer: impl Optimizer + 'static,
    dtype: DType,
    x: Tensor,
) -> Result<Step> {
    let batch = x.dims()[0];
    let y = Tensor::randint(0, 10, [batch], DType::I64, &mut Rng::new(2))?;
    let x = Var::from(x);
    train(net, optimizer, dtype, move |net| {
        let logits = net.forward(&x)?; // (B, 10)
        loss::cross_entropy(&logits, &y, &loss::CrossEntropy::default())
    })
}

/// A look at images.
fn look(net: impl Layer + 'static, dtype: DType, x: Tensor) -> Result<Step> {
    let x = Var::from(x);
    infer(net, dtype, move |net| net.forward(&x))
}

/// A step of training: forward, in bf16 under `autocast`, backward and optimiser.
pub fn train<M: Module + 'static>(
    mut net: M,
    mut optimizer: impl Optimizer + 'static,
    dtype: DType,
    loss: impl Fn(&M) -> Result<Var> + 'static,
) -> Result<Step> {
    Ok(Box::new(move || {
        let loss = autocast(dtype, || loss(&net))?;
        optimizer.step(&mut net, &loss.backward_once()?)
    }))
}

/// A forward pass as for inference.
pub fn infer<M: Module + 'static>(
    mut net: M,
    dtype: DType,
    forward: impl Fn(&M) -> Result<Var> + 'static,
) -> Result<Step> {
    net.eval();
    Ok(Box::new(move || {
        no_grad(|| autocast(dtype, || forward(&net))).map(drop)
    }))
}

fn mnist() -> Result<Sequential> {
    Ok(Sequential::new()
        .then(Conv2d::new(1, 32, 3)?) // (B, 32, 26, 26)
        .then(ReLU)
        .then(MaxPool2d::new(2)) // (B, 32, 13, 13)
        .then(Flatten::default()) // (B, 5408)
        .then(Linear::new(5408, 10)?)) // (B, 10)
}

/// torchvision's basic block.
#[derive(Module)]
struct Block {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    downsample: Option<Sequential>,
}

fn conv(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Result<Conv2d> {
    Conv2d::builder(inputs, outputs, kernel)
        .stride(stride)
        .padding(kernel / 2)
        .bias(false)
        .build()
}

impl Block {
    fn new(inputs: usize, planes: usize, stride: usize) -> Result<Self> {
        let shortcut = || -> Result<Sequential> {
            Ok(Sequential::new()
                .then(conv(inputs, planes, 1, stride)?)
                .then(BatchNorm2d::new(planes)?))
        };
        let same = stride == 1 && inputs == planes;
        Ok(Self {
            conv1: conv(inputs, planes, 3, stride)?,
            bn1: BatchNorm2d::new(planes)?,
            conv2: conv(planes, planes, 3, 1)?,
            bn2: BatchNorm2d::new(planes)?,
            downsample: if same { None } else { Some(shortcut()?) },
        })
    }
}

impl Layer for Block {
    fn forward(&self, x: &Var) -> Result<Var> {
        let y = self.bn1.forward(&self.conv1.forward(x)?)?.relu()?;
        let y = self.bn2.forward(&self.conv2.forward(&y)?)?;
        y.add(&self.downsample.forward(x)?)?.relu()
    }
}

fn small_stem() -> Result<Sequential> {
    let mut net = Sequential::new()
        .then(conv(3, 64, 3, 1)?)
        .then(BatchNorm2d::new(64)?)
        .then(ReLU); // (B, 64, 32, 32)
    let mut inputs = 64;
    for (i, planes) in [64, 128, 256, 512].into_iter().enumerate() {
        net.push(Block::new(inputs, planes, if i == 0 { 1 } else { 2 })?);
        net.push(Block::new(planes, planes, 1)?);
        inputs = planes;
    }
    Ok(net
        .then(AdaptiveAvgPool2d::new(1))
        .then(Flatten::default())
        .then(Linear::new(512, 10)?))
}
