//! VGG: nothing but 3x3 convolutions, in stages of growing width with a max-pool after each, and three dense layers; with or without
//! batch norm. Source: Simonyan and Zisserman 2014 (arXiv:1409.1556). Names, defaults and first weights are torchvision's.

use gradus_nn::{
    AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential,
};
use gradus_tensor::Result;

use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::weights::Weights;

pub(super) const MEMBERS: &[Member] = &[
    ("vgg11", |a| vgg(a, [1, 1, 2, 2, 2], false)),
    ("vgg11_bn", |a| vgg(a, [1, 1, 2, 2, 2], true)),
    ("vgg13", |a| vgg(a, [2, 2, 2, 2, 2], false)),
    ("vgg13_bn", |a| vgg(a, [2, 2, 2, 2, 2], true)),
    ("vgg16", |a| vgg(a, [2, 2, 3, 3, 3], false)),
    ("vgg16_bn", |a| vgg(a, [2, 2, 3, 3, 3], true)),
    ("vgg19", |a| vgg(a, [2, 2, 4, 4, 4], false)),
    ("vgg19_bn", |a| vgg(a, [2, 2, 4, 4, 4], true)),
];

/// So many convolutions in each of the five stages.
fn vgg(a: &Arguments, depths: [usize; 5], norm: bool) -> Result<Classifier> {
    let (classes, dropout) = (a.num_classes(1000)?, a.probability("dropout", 0.5)?);
    let weights = if a.flag("init_weights", true)? {
        Weights::USUAL
    } else {
        Weights::DEFAULT
    };
    let mut features = Sequential::new();
    let mut inputs = 3;
    for (depth, outputs) in depths.into_iter().zip([64, 128, 256, 512, 512]) {
        for _ in 0..depth {
            features.push(Conv2d::builder(inputs, outputs, 3).padding(1).build()?);
            if norm {
                features.push(BatchNorm2d::new(outputs)?);
            }
            features.push(ReLU);
            inputs = outputs;
        }
        features.push(MaxPool2d::new(2)); // (B, outputs, H / 2^stage, W / 2^stage)
    }
    let classifier = Sequential::new()
        .then(Linear::new(512 * 7 * 7, 4096)?)
        .then(ReLU)
        .then(Dropout::new(dropout))
        .then(Linear::new(4096, 4096)?)
        .then(ReLU)
        .then(Dropout::new(dropout))
        .then(Linear::new(4096, classes)?);
    let head = Sequential::new()
        .then_named("avgpool", AdaptiveAvgPool2d::new(7))
        .then_named("flatten", Flatten::new()) // (B, 25088)
        .then_named("classifier", classifier);
    let body = Sequential::new().then_named("features", features);
    Classifier::new(body, head, "classifier.6").finish(a, &weights)
}
