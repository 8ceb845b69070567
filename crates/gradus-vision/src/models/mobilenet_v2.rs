//! MobileNet V2: blocks that are wide inside and narrow at their ends, with a cheap depthwise convolution in the middle.
//! Source: Sandler et al. 2018 (arXiv:1801.04381). Names, defaults and first weights are torchvision's.

use gradus_nn::{AdaptiveAvgPool2d, BatchNorm2d, Dropout, Flatten, Linear, Sequential};
use gradus_tensor::Result;

use super::blocks::{Activation, ConvNorm, Residual, conv, make_divisible};
use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::weights::Weights;

pub(super) const MEMBERS: &[Member] = &[("mobilenet_v2", mobilenet_v2)];

/// Of each stage: expansion, outputs, blocks, stride of the first.
const STAGES: [(usize, f64, usize, usize); 7] = [
    (1, 16.0, 1, 1),
    (6, 24.0, 2, 2),
    (6, 32.0, 3, 2),
    (6, 64.0, 4, 2),
    (6, 96.0, 3, 1),
    (6, 160.0, 3, 2),
    (6, 320.0, 1, 1),
];

/// (B, inputs, H, W) to (B, outputs, H/stride, W/stride).
fn block(inputs: usize, outputs: usize, stride: usize, expansion: usize) -> Result<Residual> {
    let relu6 = |row: ConvNorm| row.activation(Activation::ReLU6).build();
    let hidden = inputs * expansion;
    let mut row = Sequential::new();
    if expansion != 1 {
        row.push(relu6(ConvNorm::new(inputs, hidden, 1))?); // (B, hidden, H, W)
    }
    row.push(relu6(
        ConvNorm::new(hidden, hidden, 3).stride(stride).depthwise(),
    )?);
    row.push(conv(hidden, outputs, 1, 1)?);
    row.push(BatchNorm2d::new(outputs)?);
    let connected = stride == 1 && inputs == outputs;
    Ok(Residual::new("conv", row, connected, 0.0))
}

fn mobilenet_v2(a: &Arguments) -> Result<Classifier> {
    let (classes, dropout) = (a.num_classes(1000)?, a.probability("dropout", 0.2)?);
    let width = a.factor("width_mult", 1.0)?;
    let nearest = a.size("round_nearest", 8)?;
    let rounded = |channels: f64| make_divisible(channels, nearest);
    let relu6 = |row: ConvNorm| row.activation(Activation::ReLU6).build();

    let mut inputs = rounded(32.0 * width);
    let last = rounded(1280.0 * width.max(1.0));
    let mut features = Sequential::new().then(relu6(ConvNorm::new(3, inputs, 3).stride(2))?); // (B, 32, H/2, W/2)
    for (expansion, outputs, depth, stride) in STAGES {
        let outputs = rounded(outputs * width);
        for i in 0..depth {
            let stride = if i == 0 { stride } else { 1 };
            features.push(block(inputs, outputs, stride, expansion)?);
            inputs = outputs;
        }
    }
    features.push(relu6(ConvNorm::new(inputs, last, 1))?); // (B, 1280, H/32, W/32)
    let classifier = Sequential::new()
        .then(Dropout::new(dropout))
        .then(Linear::new(last, classes)?);
    let head = Sequential::new()
        .then_named("avgpool", AdaptiveAvgPool2d::new(1))
        .then_named("flatten", Flatten::new()) // (B, 1280)
        .then_named("classifier", classifier);
    let body = Sequential::new().then_named("features", features);
    Classifier::new(body, head, "classifier.1").finish(a, &Weights::USUAL)
}
