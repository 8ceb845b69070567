//! RegNet: networks whose widths follow one straight line, found by looking at whole populations of networks; X with plain blocks, Y
//! with squeeze-and-excitation. Source: Radosavovic et al. 2020 (arXiv:2003.13678). Names, defaults and first weights are torchvision's.

use gradus_autograd::Var;
use gradus_nn::{AdaptiveAvgPool2d, Flatten, Layer, Linear, Module, Sequential};
use gradus_tensor::{Result, ResultExt};

use super::blocks::{Activation, ConvNorm, SqueezeExcitation, make_divisible};
use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::weights::{Draw, Weights};

pub(super) const MEMBERS: &[Member] = &[
    ("regnet_x_400mf", |a| {
        regnet(a, 22, 24, 24.48, 2.54, 16, None)
    }),
    ("regnet_x_800mf", |a| {
        regnet(a, 16, 56, 35.73, 2.28, 16, None)
    }),
    ("regnet_x_1_6gf", |a| {
        regnet(a, 18, 80, 34.01, 2.25, 24, None)
    }),
    ("regnet_x_3_2gf", |a| {
        regnet(a, 25, 88, 26.31, 2.25, 48, None)
    }),
    ("regnet_x_8gf", |a| {
        regnet(a, 23, 80, 49.56, 2.88, 120, None)
    }),
    ("regnet_x_16gf", |a| {
        regnet(a, 22, 216, 55.59, 2.1, 128, None)
    }),
    ("regnet_x_32gf", |a| {
        regnet(a, 23, 320, 69.86, 2.0, 168, None)
    }),
    ("regnet_y_400mf", |a| regnet(a, 16, 48, 27.89, 2.09, 8, SE)),
    ("regnet_y_800mf", |a| regnet(a, 14, 56, 38.84, 2.4, 16, SE)),
    ("regnet_y_1_6gf", |a| regnet(a, 27, 48, 20.71, 2.65, 24, SE)),
    ("regnet_y_3_2gf", |a| regnet(a, 21, 80, 42.63, 2.66, 24, SE)),
    ("regnet_y_8gf", |a| regnet(a, 17, 192, 76.82, 2.19, 56, SE)),
    ("regnet_y_16gf", |a| {
        regnet(a, 18, 200, 106.23, 2.48, 112, SE)
    }),
    ("regnet_y_32gf", |a| {
        regnet(a, 20, 232, 115.89, 2.53, 232, SE)
    }),
    ("regnet_y_128gf", |a| {
        regnet(a, 27, 456, 160.83, 2.52, 264, SE)
    }),
];

/// Squeezed to a quarter of the block's input.
const SE: Option<f64> = Some(0.25);

/// 1x1, grouped 3x3, 1x1, beside the input or its projection: (B, C, H, W) to (B, C', H/stride, W/stride).
#[derive(Module)]
struct Block {
    proj: Option<Sequential>,
    f: Sequential,
}

impl Block {
    fn new(
        inputs: usize,
        outputs: usize,
        stride: usize,
        group_width: usize,
        squeeze: Option<f64>,
    ) -> Result<Self> {
        let differs = inputs != outputs || stride != 1;
        let proj = || {
            ConvNorm::new(inputs, outputs, 1)
                .stride(stride)
                .activation(None)
                .build()
        };
        let middle = ConvNorm::new(outputs, outputs, 3)
            .stride(stride)
            .groups(outputs / group_width);
        let mut f = Sequential::new()
            .then_named("a", ConvNorm::new(inputs, outputs, 1).build()?)
            .then_named("b", middle.build()?);
        if let Some(ratio) = squeeze {
            let squeezed = ((ratio * inputs as f64).round_ties_even() as usize).max(1);
            let (activation, scale) = (Activation::ReLU, Activation::Sigmoid);
            f = f.then_named(
                "se",
                SqueezeExcitation::new(outputs, squeezed, activation, scale)?,
            );
        }
        Ok(Self {
            proj: differs.then(proj).transpose()?,
            f: f.then_named(
                "c",
                ConvNorm::new(outputs, outputs, 1)
                    .activation(None)
                    .build()?,
            ),
        })
    }
}

impl Layer for Block {
    fn forward(&self, x: &Var) -> Result<Var> {
        let shortcut = self.proj.forward(x).in_layer("proj")?;
        shortcut.add(&self.f.forward(x).in_layer("f")?)?.relu()
    }
}

/// Width, group width and number of blocks of each stage: block `j` would like to be `first + slope j` wide, gets the nearest power
/// of `step` times `first`, to a multiple of 8, and blocks of one width make a stage. In single precision, as in the reference.
fn stages(
    depth: usize,
    first: usize,
    slope: f64,
    step: f64,
    group_width: usize,
) -> Vec<[usize; 3]> {
    let (first, slope) = (first as f32, slope as f32);
    let width = |j: usize| {
        let capacity =
            (((j as f32 * slope + first) / first).ln() / step.ln() as f32).round_ties_even();
        let width = first * (step as f32).powf(capacity) / 8.0;
        width.round_ties_even() as usize * 8
    };
    let mut stages: Vec<(usize, usize)> = Vec::new(); // width, blocks
    for j in 0..depth {
        match stages.last_mut() {
            Some((last, blocks)) if *last == width(j) => *blocks += 1,
            _ => stages.push((width(j), 1)),
        }
    }
    let compatible = |(width, blocks): (usize, usize)| {
        let group = group_width.min(width);
        [make_divisible(width as f64, group), group, blocks]
    };
    stages.into_iter().map(compatible).collect()
}

fn regnet(
    a: &Arguments,
    depth: usize,
    first: usize,
    slope: f64,
    step: f64,
    group_width: usize,
    squeeze: Option<f64>,
) -> Result<Classifier> {
    let classes = a.num_classes(1000)?;
    let mut inputs = a.size("stem_width", 32)?;
    let stem = ConvNorm::new(3, inputs, 3).stride(2).build()?; // (B, 32, H/2, W/2)
    let mut trunk = Sequential::new();
    for (i, [width, group, blocks]) in stages(depth, first, slope, step, group_width)
        .into_iter()
        .enumerate()
    {
        let (i, mut stage) = (i + 1, Sequential::new());
        for j in 0..blocks {
            let stride = if j == 0 { 2 } else { 1 };
            let block = Block::new(inputs, width, stride, group, squeeze)?;
            stage = stage.then_named(format!("block{i}-{j}"), block);
            inputs = width;
        }
        trunk = trunk.then_named(format!("block{i}"), stage); // (B, width, H/2/2^i, W/2/2^i)
    }
    let body = Sequential::new()
        .then_named("stem", stem)
        .then_named("trunk_output", trunk);
    let head = Sequential::new()
        .then_named("avgpool", AdaptiveAvgPool2d::new(1))
        .then_named("flatten", Flatten::new()) // (B, inputs)
        .then_named("fc", Linear::new(inputs, classes)?);
    let weights = Weights {
        conv_bias: Draw::Keep,
        ..Weights::USUAL
    };
    Classifier::new(body, head, "fc").finish(a, &weights)
}
