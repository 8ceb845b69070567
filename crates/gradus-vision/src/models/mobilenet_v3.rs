//! MobileNet V3: the blocks of V2 with squeeze-and-excitation and h-swish, arranged by a search for speed on phones.
//! Source: Howard et al. 2019 (arXiv:1905.02244). Names, defaults and first weights are torchvision's.

use gradus_nn::{AdaptiveAvgPool2d, Dropout, Flatten, Linear, Sequential};
use gradus_tensor::Result;

use super::blocks::{
    Activation, ConvNorm, Residual, SqueezeExcitation, make_divisible, norm_options,
};
use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::weights::Weights;

use Activation::{Hardswish as HS, ReLU as RE};

pub(super) const MEMBERS: &[Member] = &[
    ("mobilenet_v3_large", |a| mobilenet_v3(a, &LARGE, 1280)),
    ("mobilenet_v3_small", |a| mobilenet_v3(a, &SMALL, 1024)),
];

/// A block: kernel, expanded channels, outputs, with squeeze-and-excitation or not, activation, stride.
type Block = (usize, usize, usize, bool, Activation, usize);

const LARGE: [Block; 15] = [
    (3, 16, 16, false, RE, 1),
    (3, 64, 24, false, RE, 2),
    (3, 72, 24, false, RE, 1),
    (5, 72, 40, true, RE, 2),
    (5, 120, 40, true, RE, 1),
    (5, 120, 40, true, RE, 1),
    (3, 240, 80, false, HS, 2),
    (3, 200, 80, false, HS, 1),
    (3, 184, 80, false, HS, 1),
    (3, 184, 80, false, HS, 1),
    (3, 480, 112, true, HS, 1),
    (3, 672, 112, true, HS, 1),
    (5, 672, 160, true, HS, 2),
    (5, 960, 160, true, HS, 1),
    (5, 960, 160, true, HS, 1),
];

const SMALL: [Block; 11] = [
    (3, 16, 16, true, RE, 2),
    (3, 72, 24, false, RE, 2),
    (3, 88, 24, false, RE, 1),
    (5, 96, 40, true, HS, 2),
    (5, 240, 40, true, HS, 1),
    (5, 240, 40, true, HS, 1),
    (5, 120, 48, true, HS, 1),
    (5, 144, 48, true, HS, 1),
    (5, 288, 96, true, HS, 2),
    (5, 576, 96, true, HS, 1),
    (5, 576, 96, true, HS, 1),
];

fn mobilenet_v3(a: &Arguments, blocks: &[Block], last: usize) -> Result<Classifier> {
    let (classes, dropout) = (a.num_classes(1000)?, a.probability("dropout", 0.2)?);
    let width = a.factor("width_mult", 1.0)?;
    let divider = if a.flag("reduced_tail", false)? { 2 } else { 1 };
    let tail_dilation = if a.flag("dilated", false)? { 2 } else { 1 };
    let adjusted = |channels: usize| make_divisible(channels as f64 * width, 8);
    let layer = |inputs, outputs, kernel, activation: Option<Activation>| {
        ConvNorm::new(inputs, outputs, kernel)
            .norm(norm_options(0.001, 0.01))
            .activation(activation)
    };

    let mut inputs = adjusted(16);
    let mut features = Sequential::new().then(layer(3, inputs, 3, Some(HS)).stride(2).build()?); // (B, 16, H/2, W/2)
    let tail = blocks.len().saturating_sub(3);
    for (i, &(kernel, expanded, outputs, squeezes, activation, stride)) in blocks.iter().enumerate()
    {
        // The last three blocks can be made narrower, and dilated where they would step.
        let expanded = adjusted(if i > tail {
            expanded / divider
        } else {
            expanded
        });
        let outputs = adjusted(if i >= tail {
            outputs / divider
        } else {
            outputs
        });
        let dilation = if i >= tail { tail_dilation } else { 1 };
        let step = if dilation > 1 { 1 } else { stride };
        let mut row = Sequential::new();
        if expanded != inputs {
            row.push(layer(inputs, expanded, 1, Some(activation)).build()?); // (B, expanded, H, W)
        }
        let depthwise = layer(expanded, expanded, kernel, Some(activation)).depthwise();
        row.push(depthwise.stride(step).dilation(dilation).build()?); // (B, expanded, H/step, W/step)
        if squeezes {
            let squeezed = make_divisible((expanded / 4) as f64, 8);
            row.push(SqueezeExcitation::new(
                expanded,
                squeezed,
                RE,
                Activation::Hardsigmoid,
            )?);
        }
        row.push(layer(expanded, outputs, 1, None).build()?); // (B, outputs, H/step, W/step)
        let connected = stride == 1 && inputs == outputs;
        features.push(Residual::new("block", row, connected, 0.0));
        inputs = outputs;
    }
    features.push(layer(inputs, 6 * inputs, 1, Some(HS)).build()?); // (B, 6 inputs, H/32, W/32)
    let last = adjusted(last / divider);
    let classifier = Sequential::new()
        .then(Linear::new(6 * inputs, last)?)
        .then(HS)
        .then(Dropout::new(dropout))
        .then(Linear::new(last, classes)?);
    let head = Sequential::new()
        .then_named("avgpool", AdaptiveAvgPool2d::new(1))
        .then_named("flatten", Flatten::new()) // (B, 6 inputs)
        .then_named("classifier", classifier);
    let body = Sequential::new().then_named("features", features);
    Classifier::new(body, head, "classifier.3").finish(a, &Weights::USUAL)
}
