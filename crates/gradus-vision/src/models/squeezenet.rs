//! SqueezeNet: AlexNet's accuracy with a fiftieth of its parameters, by squeezing to few channels before each 3x3 convolution and by
//! classifying with a 1x1 one. Source: Iandola et al. 2016 (arXiv:1602.07360). Names, defaults and first weights are torchvision's.

use gradus_autograd::Var;
use gradus_nn::init::{Fan, Nonlinearity};
use gradus_nn::{
    AdaptiveAvgPool2d, Conv2d, Dropout, Flatten, Layer, MaxPool2d, Module, ReLU, Sequential,
};
use gradus_tensor::{Result, ResultExt};

use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::weights::{Draw, Weights};

pub(super) const MEMBERS: &[Member] = &[
    ("squeezenet1_0", |a| squeezenet(a, 96, 7, [3, 7])),
    ("squeezenet1_1", |a| squeezenet(a, 64, 3, [2, 4])),
];

/// To few channels, and from these to many: half by 1x1, half by 3x3 convolution.
#[derive(Module)]
struct Fire {
    squeeze: Conv2d,
    expand1x1: Conv2d,
    expand3x3: Conv2d,
}

impl Fire {
    fn new(inputs: usize, squeezed: usize, expanded: usize) -> Result<Self> {
        Ok(Self {
            squeeze: Conv2d::new(inputs, squeezed, 1)?,
            expand1x1: Conv2d::new(squeezed, expanded, 1)?,
            expand3x3: Conv2d::builder(squeezed, expanded, 3).padding(1).build()?,
        })
    }
}

impl Layer for Fire {
    fn forward(&self, x: &Var) -> Result<Var> {
        let s = self.squeeze.forward(x).in_layer("squeeze")?.relu()?; // (B, squeezed, H, W)
        let a = self.expand1x1.forward(&s).in_layer("expand1x1")?.relu()?;
        let b = self.expand3x3.forward(&s).in_layer("expand3x3")?.relu()?;
        Var::cat(&[&a, &b], 1) // (B, 2 expanded, H, W)
    }
}

/// The first convolution's channels and kernel, and before which of the eight fire modules (from 0) there is another pool.
fn squeezenet(a: &Arguments, first: usize, kernel: usize, pools: [usize; 2]) -> Result<Classifier> {
    let (classes, dropout) = (a.num_classes(1000)?, a.probability("dropout", 0.5)?);
    let pool = || MaxPool2d::new(3).stride(2).ceil_mode(true);
    let mut features = Sequential::new()
        .then(Conv2d::builder(3, first, kernel).stride(2).build()?)
        .then(ReLU)
        .then(pool()); // (B, first, H/4, W/4)
    let mut inputs = first;
    for (i, (squeezed, expanded)) in [(16, 64), (32, 128), (48, 192), (64, 256)]
        .into_iter()
        .flat_map(|sizes| [sizes; 2])
        .enumerate()
    {
        if pools.contains(&i) {
            features.push(pool());
        }
        features.push(Fire::new(inputs, squeezed, expanded)?);
        inputs = 2 * expanded;
    }
    let classifier = Sequential::new()
        .then(Dropout::new(dropout))
        .then(Conv2d::new(512, classes, 1)?) // (B, classes, h, w)
        .then(ReLU)
        .then(AdaptiveAvgPool2d::new(1));
    let head = Sequential::new()
        .then_named("classifier", classifier)
        .then_named("flatten", Flatten::new()); // (B, classes)
    let weights = Weights {
        conv: Draw::KaimingUniform(Fan::In, Nonlinearity::ReLU),
        conv_bias: Draw::Zeros,
        special: &[("classifier.1.weight", Draw::Normal(0.01))],
        ..Weights::DEFAULT
    };
    let body = Sequential::new().then_named("features", features);
    Classifier::new(body, head, "classifier.1").finish(a, &weights)
}
