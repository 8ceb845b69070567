//! EfficientNet-Lite: EfficientNet without squeeze-and-excitation and with ReLU6, for devices that compute in whole numbers. Source: Tan
//! and Le 2019 (arXiv:1905.11946) and TensorFlow's `efficientnet/lite`. The published PyTorch weights came from there, so they load by
//! their names (`_conv_stem`, `_blocks.0._depthwise_conv`, …), and padding is TensorFlow's "same": one row more below and to the right
//! where it cannot be even. First weights are drawn as EfficientNet's.

use gradus_autograd::Var;
use gradus_nn::{
    AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Flatten, Layer, Linear, Module, Sequential,
};
use gradus_tensor::{Error, PadMode, Result, Scalar};

use super::blocks::{Activation, Residual, make_divisible, norm_options};
use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::weights::{Draw, Weights};

pub(super) const MEMBERS: &[Member] = &[
    ("efficientnet_lite0", |a| {
        efficientnet_lite(a, 1.0, 1.0, 0.2)
    }),
    ("efficientnet_lite1", |a| {
        efficientnet_lite(a, 1.0, 1.1, 0.2)
    }),
    ("efficientnet_lite2", |a| {
        efficientnet_lite(a, 1.1, 1.2, 0.3)
    }),
    ("efficientnet_lite3", |a| {
        efficientnet_lite(a, 1.2, 1.4, 0.3)
    }),
    ("efficientnet_lite4", |a| {
        efficientnet_lite(a, 1.4, 1.8, 0.3)
    }),
];

/// Of each stage: blocks, kernel, stride of the first, expansion, outputs.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];

/// A convolution whose output has a size of input / stride, rounded up, whatever the kernel.
#[derive(Module)]
struct SameConv {
    #[module(flatten)]
    conv: Conv2d,
}

impl SameConv {
    fn new(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        groups: usize,
    ) -> Result<Self> {
        let conv = Conv2d::builder(inputs, outputs, kernel)
            .stride(stride)
            .groups(groups);
        Ok(Self {
            conv: conv.bias(false).build()?,
        })
    }
}

impl Layer for SameConv {
    fn forward(&self, x: &Var) -> Result<Var> {
        let (&[_, _, height, width], &[_, _, kernel, _]) =
            (x.dims(), &self.conv.weight.shape()[..])
        else {
            return Err(Error::shape(
                "conv2d",
                format!("{} is not (B, C, H, W)", x.shape()),
            ));
        };
        let stride = self.conv.params.stride[0];
        let missing = |size: usize| {
            let reached = size.div_ceil(stride).saturating_sub(1) * stride + kernel;
            reached.saturating_sub(size)
        };
        let (h, w) = (missing(height), missing(width));
        let mut params = self.conv.params;
        if h.is_multiple_of(2) && w.is_multiple_of(2) {
            params.padding = [h / 2, w / 2];
            return x.conv2d(self.conv.weight.var(), None, &params);
        }
        let around = [w / 2, w - w / 2, h / 2, h - h / 2].map(|n| n as isize);
        let x = x.pad(&around, PadMode::Constant(Scalar::Int(0)))?;
        x.conv2d(self.conv.weight.var(), None, &params)
    }
}

fn norm(channels: usize) -> Result<BatchNorm2d> {
    BatchNorm2d::with(channels, norm_options(0.001, 0.01))
}

/// (B, inputs, H, W) to (B, outputs, H/stride, W/stride).
fn block(
    [inputs, outputs]: [usize; 2],
    kernel: usize,
    stride: usize,
    expansion: usize,
    p: f64,
) -> Result<Residual> {
    let middle = inputs * expansion;
    let mut row = Sequential::new();
    if expansion != 1 {
        row = row
            .then_named("_expand_conv", SameConv::new(inputs, middle, 1, 1, 1)?)
            .then_named("_bn0", norm(middle)?)
            .then_named("relu0", Activation::ReLU6); // (B, middle, H, W)
    }
    let row = row
        .then_named(
            "_depthwise_conv",
            SameConv::new(middle, middle, kernel, stride, middle)?,
        )
        .then_named("_bn1", norm(middle)?)
        .then_named("relu1", Activation::ReLU6)
        .then_named("_project_conv", SameConv::new(middle, outputs, 1, 1, 1)?)
        .then_named("_bn2", norm(outputs)?);
    Ok(Residual::new("", row, stride == 1 && inputs == outputs, p))
}

fn efficientnet_lite(a: &Arguments, width: f64, depth: f64, dropout: f64) -> Result<Classifier> {
    let (classes, dropout) = (a.num_classes(1000)?, a.probability("dropout", dropout)?);
    let depth_p = a.probability("drop_connect_rate", 0.2)?;
    // Neither the stem nor the first and last stage's depth nor the last convolution grow.
    let last = STAGES.len() - 1;
    let deepened = |i: usize, blocks: usize| match i {
        i if i == 0 || i == last => blocks,
        _ => (blocks as f64 * depth).ceil() as usize,
    };
    let total: usize = STAGES
        .iter()
        .enumerate()
        .map(|(i, stage)| deepened(i, stage.0))
        .sum();
    let mut blocks = Sequential::new();
    let mut inputs = 32;
    for (i, (count, kernel, stride, expansion, outputs)) in STAGES.into_iter().enumerate() {
        let outputs = make_divisible(outputs as f64 * width, 8);
        for j in 0..deepened(i, count) {
            let p = depth_p * blocks.len() as f64 / total as f64;
            let stride = if j == 0 { stride } else { 1 };
            blocks.push(block([inputs, outputs], kernel, stride, expansion, p)?);
            inputs = outputs;
        }
    }
    let body = Sequential::new()
        .then_named("_conv_stem", SameConv::new(3, 32, 3, 2, 1)?)
        .then_named("_bn0", norm(32)?)
        .then_named("relu0", Activation::ReLU6) // (B, 32, H/2, W/2)
        .then_named("_blocks", blocks) // (B, inputs, H/32, W/32)
        .then_named("_conv_head", SameConv::new(inputs, 1280, 1, 1, 1)?)
        .then_named("_bn1", norm(1280)?)
        .then_named("relu1", Activation::ReLU6); // (B, 1280, H/32, W/32)
    let head = Sequential::new()
        .then_named("avgpool", AdaptiveAvgPool2d::new(1))
        .then_named("flatten", Flatten::new()) // (B, 1280)
        .then_named("dropout", Dropout::new(dropout))
        .then_named("_fc", Linear::new(1280, classes)?);
    let weights = Weights {
        linear: Draw::WithinOutputs,
        ..Weights::USUAL
    };
    Classifier::new(body, head, "_fc").finish(a, &weights)
}
