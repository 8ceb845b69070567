//! EfficientNet: depth, width and resolution grown together from one searched network, B0 to B7; V2 begins with whole convolutions in
//! place of depthwise ones. Sources: Tan and Le 2019 (arXiv:1905.11946) and 2021 (arXiv:2104.00298). Names, defaults and first weights
//! are torchvision's. The Lite variant is in `efficientnet_lite.rs`.

use gradus_nn::{AdaptiveAvgPool2d, BatchNormOptions, Dropout, Flatten, Linear, Sequential};
use gradus_tensor::Result;

use super::blocks::{
    Activation, ConvNorm, Residual, SqueezeExcitation, make_divisible, norm_options,
};
use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::weights::{Draw, Weights};

pub(super) const MEMBERS: &[Member] = &[
    ("efficientnet_b0", |a| version1(a, 1.0, 1.0, 0.2)),
    ("efficientnet_b1", |a| version1(a, 1.0, 1.1, 0.2)),
    ("efficientnet_b2", |a| version1(a, 1.1, 1.2, 0.3)),
    ("efficientnet_b3", |a| version1(a, 1.2, 1.4, 0.3)),
    ("efficientnet_b4", |a| version1(a, 1.4, 1.8, 0.4)),
    ("efficientnet_b5", |a| version1(a, 1.6, 2.2, 0.4)),
    ("efficientnet_b6", |a| version1(a, 1.8, 2.6, 0.5)),
    ("efficientnet_b7", |a| version1(a, 2.0, 3.1, 0.5)),
    ("efficientnet_v2_s", |a| version2(a, &V2_S, 0.2)),
    ("efficientnet_v2_m", |a| version2(a, &V2_M, 0.3)),
    ("efficientnet_v2_l", |a| version2(a, &V2_L, 0.4)),
];

/// A stage: with the depthwise convolution replaced by a whole one or not, expansion, kernel, stride of its first block, inputs,
/// outputs, blocks.
type Stage = (bool, usize, usize, usize, usize, usize, usize);

const FUSED: bool = true;
const PLAIN: bool = false;

const B0: [Stage; 7] = [
    (PLAIN, 1, 3, 1, 32, 16, 1),
    (PLAIN, 6, 3, 2, 16, 24, 2),
    (PLAIN, 6, 5, 2, 24, 40, 2),
    (PLAIN, 6, 3, 2, 40, 80, 3),
    (PLAIN, 6, 5, 1, 80, 112, 3),
    (PLAIN, 6, 5, 2, 112, 192, 4),
    (PLAIN, 6, 3, 1, 192, 320, 1),
];

const V2_S: [Stage; 6] = [
    (FUSED, 1, 3, 1, 24, 24, 2),
    (FUSED, 4, 3, 2, 24, 48, 4),
    (FUSED, 4, 3, 2, 48, 64, 4),
    (PLAIN, 4, 3, 2, 64, 128, 6),
    (PLAIN, 6, 3, 1, 128, 160, 9),
    (PLAIN, 6, 3, 2, 160, 256, 15),
];

const V2_M: [Stage; 7] = [
    (FUSED, 1, 3, 1, 24, 24, 3),
    (FUSED, 4, 3, 2, 24, 48, 5),
    (FUSED, 4, 3, 2, 48, 80, 5),
    (PLAIN, 4, 3, 2, 80, 160, 7),
    (PLAIN, 6, 3, 1, 160, 176, 14),
    (PLAIN, 6, 3, 2, 176, 304, 18),
    (PLAIN, 6, 3, 1, 304, 512, 5),
];

const V2_L: [Stage; 7] = [
    (FUSED, 1, 3, 1, 32, 32, 4),
    (FUSED, 4, 3, 2, 32, 64, 7),
    (FUSED, 4, 3, 2, 64, 96, 7),
    (PLAIN, 4, 3, 2, 96, 192, 10),
    (PLAIN, 6, 3, 1, 192, 224, 19),
    (PLAIN, 6, 3, 2, 224, 384, 25),
    (PLAIN, 6, 3, 1, 384, 640, 7),
];

/// B0 to B7: so many times as wide and as deep as B0.
fn version1(a: &Arguments, width: f64, depth: f64, dropout: f64) -> Result<Classifier> {
    let scaled = |channels: usize| make_divisible(channels as f64 * width, 8);
    let stages = B0.map(
        |(fused, expansion, kernel, stride, inputs, outputs, blocks)| {
            let blocks = (blocks as f64 * depth).ceil() as usize;
            (
                fused,
                expansion,
                kernel,
                stride,
                scaled(inputs),
                scaled(outputs),
                blocks,
            )
        },
    );
    let norm = if width >= 1.6 {
        norm_options(0.001, 0.01) // B5 and larger
    } else {
        BatchNormOptions::default()
    };
    let last = 4 * scaled(320);
    efficientnet(a, &stages, last, dropout, norm)
}

fn version2(a: &Arguments, stages: &[Stage], dropout: f64) -> Result<Classifier> {
    efficientnet(a, stages, 1280, dropout, norm_options(0.001, 0.1))
}

/// A block of a stage: (B, inputs, H, W) to (B, outputs, H/stride, W/stride).
fn block(
    (fused, expansion, kernel, stride, inputs, outputs, _): Stage,
    p: f64,
    norm: BatchNormOptions,
) -> Result<Residual> {
    let layer = |inputs, outputs, kernel, activation: Option<Activation>| {
        ConvNorm::new(inputs, outputs, kernel)
            .norm(norm)
            .activation(activation)
    };
    let silu = Some(Activation::SiLU);
    let expanded = make_divisible((inputs * expansion) as f64, 8);
    let mut row = Sequential::new();
    if fused && expanded == inputs {
        row.push(
            layer(inputs, outputs, kernel, silu)
                .stride(stride)
                .build()?,
        );
    } else if fused {
        row.push(
            layer(inputs, expanded, kernel, silu)
                .stride(stride)
                .build()?,
        );
        row.push(layer(expanded, outputs, 1, None).build()?);
    } else {
        if expanded != inputs {
            row.push(layer(inputs, expanded, 1, silu).build()?); // (B, expanded, H, W)
        }
        row.push(
            layer(expanded, expanded, kernel, silu)
                .stride(stride)
                .depthwise()
                .build()?,
        );
        let squeezed = (inputs / 4).max(1);
        let (activation, scale) = (Activation::SiLU, Activation::Sigmoid);
        row.push(SqueezeExcitation::new(
            expanded, squeezed, activation, scale,
        )?);
        row.push(layer(expanded, outputs, 1, None).build()?);
    }
    Ok(Residual::new(
        "block",
        row,
        stride == 1 && inputs == outputs,
        p,
    ))
}

fn efficientnet(
    a: &Arguments,
    stages: &[Stage],
    last: usize,
    dropout: f64,
    norm: BatchNormOptions,
) -> Result<Classifier> {
    let (classes, dropout) = (a.num_classes(1000)?, a.probability("dropout", dropout)?);
    let depth_p = a.probability("stochastic_depth_prob", 0.2)?;
    let layer = |inputs, outputs, kernel| {
        ConvNorm::new(inputs, outputs, kernel)
            .norm(norm)
            .activation(Activation::SiLU)
    };
    let total: usize = stages.iter().map(|stage| stage.6).sum();
    let mut channels = stages.first().map_or(32, |stage| stage.4);
    let mut features = Sequential::new().then(layer(3, channels, 3).stride(2).build()?); // (B, channels, H/2, W/2)
    let mut number = 0;
    for &(fused, expansion, kernel, stride, inputs, outputs, blocks) in stages {
        let mut stage = Sequential::new();
        for i in 0..blocks {
            // The deeper a block, the more often it is left out.
            let p = depth_p * f64::from(number) / total as f64;
            let (stride, inputs) = if i == 0 {
                (stride, inputs)
            } else {
                (1, outputs)
            };
            let place = (fused, expansion, kernel, stride, inputs, outputs, 1);
            stage.push(block(place, p, norm)?);
            number += 1;
        }
        features.push(stage); // (B, outputs, ..)
        channels = outputs;
    }
    features.push(layer(channels, last, 1).build()?); // (B, last, H/32, W/32)
    let classifier = Sequential::new()
        .then(Dropout::new(dropout))
        .then(Linear::new(last, classes)?);
    let head = Sequential::new()
        .then_named("avgpool", AdaptiveAvgPool2d::new(1))
        .then_named("flatten", Flatten::new()) // (B, last)
        .then_named("classifier", classifier);
    let weights = Weights {
        linear: Draw::WithinOutputs,
        ..Weights::USUAL
    };
    let body = Sequential::new().then_named("features", features);
    Classifier::new(body, head, "classifier.1").finish(a, &weights)
}
