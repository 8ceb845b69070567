//! DenseNet: each layer sees the maps of all layers before it in its block, so it need add only a few of its own.
//! Source: Huang, Liu, van der Maaten and Weinberger 2016 (arXiv:1608.06993). Names, defaults and first weights are torchvision's.

use gradus_autograd::Var;
use gradus_nn::init::Fan;
use gradus_nn::{
    AdaptiveAvgPool2d, AvgPool2d, BatchNorm2d, Conv2d, Dropout, Flatten, Layer, Linear, MaxPool2d,
    Module, ReLU, Sequential, named,
};
use gradus_tensor::{Result, ResultExt};

use super::blocks::conv;
use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::weights::{Draw, Weights};

pub(super) const MEMBERS: &[Member] = &[
    ("densenet121", |a| densenet(a, 32, [6, 12, 24, 16], 64)),
    ("densenet161", |a| densenet(a, 48, [6, 12, 36, 24], 96)),
    ("densenet169", |a| densenet(a, 32, [6, 12, 32, 32], 64)),
    ("densenet201", |a| densenet(a, 32, [6, 12, 48, 32], 64)),
];

/// Norm and ReLU before each of two convolutions, the second of which gives the new maps: (B, C, H, W) to (B, growth, H, W).
#[derive(Module)]
struct DenseLayer {
    norm1: BatchNorm2d,
    conv1: Conv2d,
    norm2: BatchNorm2d,
    conv2: Conv2d,
    drop: Dropout,
}

impl DenseLayer {
    fn new(inputs: usize, growth: usize, bottleneck: usize, dropout: f64) -> Result<Self> {
        Ok(Self {
            norm1: BatchNorm2d::new(inputs)?,
            conv1: conv(inputs, bottleneck * growth, 1, 1)?,
            norm2: BatchNorm2d::new(bottleneck * growth)?,
            conv2: conv(bottleneck * growth, growth, 3, 1)?,
            drop: Dropout::new(dropout),
        })
    }
}

impl Layer for DenseLayer {
    fn forward(&self, x: &Var) -> Result<Var> {
        let y = self.norm1.forward(x).in_layer("norm1")?.relu()?;
        let y = self.conv1.forward(&y).in_layer("conv1")?; // (B, bottleneck growth, H, W)
        let y = self.norm2.forward(&y).in_layer("norm2")?.relu()?;
        self.drop
            .forward(&self.conv2.forward(&y).in_layer("conv2")?) // (B, growth, H, W)
    }
}

/// Dense layers, each on all maps so far: (B, C, H, W) to (B, C + layers growth, H, W).
#[derive(Module)]
struct DenseBlock {
    #[module(flatten)]
    layers: Sequential,
}

impl Layer for DenseBlock {
    fn forward(&self, x: &Var) -> Result<Var> {
        let mut maps = x.clone();
        for (name, layer) in self.layers.iter() {
            let new = named(name, || layer.forward(&maps))?;
            maps = Var::cat(&[&maps, &new], 1)?;
        }
        Ok(maps)
    }
}

fn densenet(a: &Arguments, growth: usize, blocks: [usize; 4], first: usize) -> Result<Classifier> {
    let classes = a.num_classes(1000)?;
    let growth = a.size("growth_rate", growth)?;
    let blocks = a.sizes("block_config", blocks)?;
    let first = a.size("num_init_features", first)?;
    let bottleneck = a.size("bn_size", 4)?;
    let dropout = a.probability("drop_rate", 0.0)?;

    let mut features = Sequential::new()
        .then_named(
            "conv0",
            Conv2d::builder(3, first, 7)
                .stride(2)
                .padding(3)
                .bias(false)
                .build()?,
        )
        .then_named("norm0", BatchNorm2d::new(first)?)
        .then_named("relu0", ReLU) // (B, first, H/2, W/2)
        .then_named("pool0", MaxPool2d::new(3).stride(2).padding(1)); // (B, first, H/4, W/4)
    let mut channels = first;
    for (i, depth) in blocks.into_iter().enumerate() {
        let mut layers = Sequential::new();
        for j in 1..=depth {
            let layer = DenseLayer::new(channels, growth, bottleneck, dropout)?;
            layers = layers.then_named(format!("denselayer{j}"), layer);
            channels += growth;
        }
        features = features.then_named(format!("denseblock{}", i + 1), DenseBlock { layers });
        if i + 1 < blocks.len() {
            let transition = Sequential::new()
                .then_named("norm", BatchNorm2d::new(channels)?)
                .then_named("relu", ReLU)
                .then_named("conv", conv(channels, channels / 2, 1, 1)?)
                .then_named("pool", AvgPool2d::new(2)); // (B, channels / 2, H/8/2^i, W/8/2^i)
            features = features.then_named(format!("transition{}", i + 1), transition);
            channels /= 2;
        }
    }
    let body = Sequential::new()
        .then_named(
            "features",
            features.then_named("norm5", BatchNorm2d::new(channels)?),
        )
        .then_named("relu", ReLU);
    let head = Sequential::new()
        .then_named("avgpool", AdaptiveAvgPool2d::new(1))
        .then_named("flatten", Flatten::new()) // (B, channels)
        .then_named("classifier", Linear::new(channels, classes)?);
    let weights = Weights {
        conv: Draw::KaimingNormal(Fan::In),
        linear_bias: Draw::Zeros,
        ..Weights::DEFAULT
    };
    Classifier::new(body, head, "classifier").finish(a, &weights)
}
