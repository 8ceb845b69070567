//! MNASNet: the blocks of MobileNet V2, arranged by a search that measured on a phone. Source: Tan et al. 2018 (arXiv:1807.11626).
//! Names, defaults and first weights are torchvision's (its second version).

use gradus_nn::init::{Fan, Nonlinearity};
use gradus_nn::{BatchNorm2d, Conv2d, Dropout, Linear, ReLU, Sequential};
use gradus_tensor::Result;

use super::blocks::{GlobalMean, Residual, conv, make_divisible, norm_options};
use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::weights::{Draw, Weights};

pub(super) const MEMBERS: &[Member] = &[
    ("mnasnet0_5", |a| mnasnet(a, 0.5)),
    ("mnasnet0_75", |a| mnasnet(a, 0.75)),
    ("mnasnet1_0", |a| mnasnet(a, 1.0)),
    ("mnasnet1_3", |a| mnasnet(a, 1.3)),
];

/// Of each stack: outputs, kernel, stride of the first block, expansion, blocks.
const STACKS: [(usize, usize, usize, usize, usize); 6] = [
    (24, 3, 2, 3, 3),
    (40, 5, 2, 3, 3),
    (80, 5, 2, 6, 3),
    (96, 3, 1, 6, 2),
    (192, 5, 2, 6, 4),
    (320, 3, 1, 6, 1),
];

/// The running statistics move slowly.
fn norm(channels: usize) -> Result<BatchNorm2d> {
    BatchNorm2d::with(channels, norm_options(1e-5, 1.0 - 0.9997))
}

fn depthwise(channels: usize, kernel: usize, stride: usize) -> Result<Conv2d> {
    Conv2d::builder(channels, channels, kernel)
        .stride(stride)
        .padding(kernel / 2)
        .groups(channels)
        .bias(false)
        .build()
}

/// (B, inputs, H, W) to (B, outputs, H/stride, W/stride).
fn block(
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    expansion: usize,
) -> Result<Residual> {
    let middle = inputs * expansion;
    let row = Sequential::new()
        .then(conv(inputs, middle, 1, 1)?)
        .then(norm(middle)?)
        .then(ReLU)
        .then(depthwise(middle, kernel, stride)?)
        .then(norm(middle)?)
        .then(ReLU)
        .then(conv(middle, outputs, 1, 1)?)
        .then(norm(outputs)?);
    let connected = stride == 1 && inputs == outputs;
    Ok(Residual::new("layers", row, connected, 0.0))
}

fn mnasnet(a: &Arguments, alpha: f64) -> Result<Classifier> {
    let (classes, dropout) = (a.num_classes(1000)?, a.probability("dropout", 0.2)?);
    let alpha = a.factor("alpha", alpha)?;
    let scaled = |channels: usize| make_divisible(channels as f64 * alpha, 8);

    let (first, mut inputs) = (scaled(32), scaled(16));
    let mut layers = Sequential::new()
        .then(conv(3, first, 3, 2)?) // (B, 32, H/2, W/2)
        .then(norm(first)?)
        .then(ReLU)
        .then(depthwise(first, 3, 1)?)
        .then(norm(first)?)
        .then(ReLU)
        .then(conv(first, inputs, 1, 1)?) // (B, 16, H/2, W/2)
        .then(norm(inputs)?);
    for (outputs, kernel, stride, expansion, depth) in STACKS {
        let outputs = scaled(outputs);
        let mut stack = Sequential::new();
        for i in 0..depth {
            let stride = if i == 0 { stride } else { 1 };
            stack.push(block(inputs, outputs, kernel, stride, expansion)?);
            inputs = outputs;
        }
        layers.push(stack);
    }
    let layers = layers
        .then(conv(inputs, 1280, 1, 1)?) // (B, 1280, H/32, W/32)
        .then(norm(1280)?)
        .then(ReLU);
    let classifier = Sequential::new()
        .then(Dropout::new(dropout))
        .then(Linear::new(1280, classes)?);
    let head = Sequential::new()
        .then_named("mean", GlobalMean) // (B, 1280)
        .then_named("classifier", classifier);
    let weights = Weights {
        linear: Draw::KaimingUniform(Fan::Out, Nonlinearity::Sigmoid),
        ..Weights::USUAL
    };
    let body = Sequential::new().then_named("layers", layers);
    Classifier::new(body, head, "classifier.1").finish(a, &weights)
}
