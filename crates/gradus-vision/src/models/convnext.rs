//! ConvNeXt: a ResNet brought up to date with what vision transformers taught: 7x7 depthwise convolutions, layer norm, GELU, few
//! activations. Source: Liu et al. 2022 (arXiv:2201.03545). Names, defaults and first weights are torchvision's.

use gradus_autograd::{Var, functional as F};
use gradus_nn::{
    AdaptiveAvgPool2d, Conv2d, Flatten, GELU, Layer, LayerNorm, Linear, Module, Param, Sequential,
};
use gradus_tensor::{DType, Result, ResultExt, Tensor};

use super::blocks::StochasticDepth;
use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::weights::{Draw, Weights};

pub(super) const MEMBERS: &[Member] = &[
    ("convnext_tiny", |a| convnext(a, 96, [3, 3, 9, 3], 0.1)),
    ("convnext_small", |a| convnext(a, 96, [3, 3, 27, 3], 0.4)),
    ("convnext_base", |a| convnext(a, 128, [3, 3, 27, 3], 0.5)),
    ("convnext_large", |a| convnext(a, 192, [3, 3, 27, 3], 0.5)),
];

/// Layer norm over the channels of (B, C, H, W).
#[derive(Module)]
struct LayerNorm2d {
    weight: Param,
    bias: Param,
}

impl LayerNorm2d {
    fn new(channels: usize) -> Result<Self> {
        Ok(Self {
            weight: Param::new(Tensor::ones([channels], DType::F32)?)?,
            bias: Param::new(Tensor::zeros([channels], DType::F32)?)?,
        })
    }
}

impl Layer for LayerNorm2d {
    fn forward(&self, x: &Var) -> Result<Var> {
        let x = x.permute(&[0, 2, 3, 1])?; // (B, H, W, C)
        let shape = self.weight.shape();
        let y = F::layer_norm(
            &x,
            shape,
            Some(self.weight.var()),
            Some(self.bias.var()),
            1e-6,
        )?;
        y.permute(&[0, 3, 1, 2]) // (B, C, H, W)
    }
}

/// Dimensions in another order.
#[derive(Module)]
struct Permute {
    dims: [isize; 4],
}

impl Layer for Permute {
    fn forward(&self, x: &Var) -> Result<Var> {
        x.permute(&self.dims)
    }
}

/// Depthwise 7x7, norm, four times as wide and back, each channel scaled, beside the input: (B, C, H, W) to (B, C, H, W).
#[derive(Module)]
struct Block {
    #[module(rename = "block")]
    layers: Sequential,
    /// (C, 1, 1)
    layer_scale: Param,
    stochastic_depth: StochasticDepth,
}

impl Block {
    fn new(channels: usize, scale: f64, p: f64) -> Result<Self> {
        let depthwise = Conv2d::builder(channels, channels, 7)
            .padding(3)
            .groups(channels);
        let layers = Sequential::new()
            .then(depthwise.build()?)
            .then(Permute { dims: [0, 2, 3, 1] }) // (B, H, W, C)
            .then(LayerNorm::with([channels], 1e-6, true, true)?)
            .then(Linear::new(channels, 4 * channels)?)
            .then(GELU::default())
            .then(Linear::new(4 * channels, channels)?)
            .then(Permute { dims: [0, 3, 1, 2] }); // (B, C, H, W)
        Ok(Self {
            layers,
            layer_scale: Param::new(Tensor::full([channels, 1, 1], scale, DType::F32)?)?,
            stochastic_depth: StochasticDepth::new(p),
        })
    }
}

impl Layer for Block {
    fn forward(&self, x: &Var) -> Result<Var> {
        let y = self.layers.forward(x).in_layer("block")?;
        let y = self.layer_scale.var().mul(&y)?;
        self.stochastic_depth.forward(&y)?.add(x)
    }
}

/// The width of the first stage, which doubles in each, and the blocks of each.
fn convnext(a: &Arguments, width: usize, depths: [usize; 4], p: f64) -> Result<Classifier> {
    let classes = a.num_classes(1000)?;
    let depth_p = a.probability("stochastic_depth_prob", p)?;
    let scale = a.number("layer_scale", 1e-6)?;
    let patches = Conv2d::builder(3, width, 4).stride(4).build()?; // (B, width, H/4, W/4)
    let stem = Sequential::new()
        .then(patches)
        .then(LayerNorm2d::new(width)?);
    let mut features = Sequential::new().then(stem);
    let last = depths.iter().sum::<usize>().saturating_sub(1).max(1) as f64;
    let (mut channels, mut number) = (width, 0);
    for (i, depth) in depths.into_iter().enumerate() {
        if i > 0 {
            let halve = Conv2d::builder(channels, 2 * channels, 2)
                .stride(2)
                .build()?;
            features.push(
                Sequential::new()
                    .then(LayerNorm2d::new(channels)?)
                    .then(halve),
            );
            channels *= 2;
        }
        let mut stage = Sequential::new();
        for _ in 0..depth {
            stage.push(Block::new(
                channels,
                scale,
                depth_p * f64::from(number) / last,
            )?);
            number += 1;
        }
        features.push(stage); // (B, channels, H/4/2^i, W/4/2^i)
    }
    let classifier = Sequential::new()
        .then(LayerNorm2d::new(channels)?)
        .then(Flatten::new()) // (B, channels)
        .then(Linear::new(channels, classes)?);
    let head = Sequential::new()
        .then_named("avgpool", AdaptiveAvgPool2d::new(1))
        .then_named("classifier", classifier);
    let weights = Weights {
        conv: Draw::Truncated(0.02),
        conv_bias: Draw::Zeros,
        linear: Draw::Truncated(0.02),
        linear_bias: Draw::Zeros,
        special: &[],
    };
    let body = Sequential::new().then_named("features", features);
    Classifier::new(body, head, "classifier.2").finish(a, &weights)
}
