//! AlexNet, in the version of one GPU: five convolutions and three dense layers, the network deep learning in images took off with.
//! Source: Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks" (arXiv:1404.5997), after Krizhevsky,
//! Sutskever and Hinton 2012. Names and defaults are torchvision's.

use gradus_nn::{AdaptiveAvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential};
use gradus_tensor::Result;

use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::weights::Weights;

pub(super) const MEMBERS: &[Member] = &[("alexnet", alexnet)];

fn alexnet(a: &Arguments) -> Result<Classifier> {
    let (classes, dropout) = (a.num_classes(1000)?, a.probability("dropout", 0.5)?);
    let pool = || MaxPool2d::new(3).stride(2);
    let conv3 = |inputs, outputs| Conv2d::builder(inputs, outputs, 3).padding(1).build();
    // The sizes are those of 224 x 224 images.
    let features = Sequential::new()
        .then(Conv2d::builder(3, 64, 11).stride(4).padding(2).build()?) // (B, 64, 55, 55)
        .then(ReLU)
        .then(pool()) // (B, 64, 27, 27)
        .then(Conv2d::builder(64, 192, 5).padding(2).build()?)
        .then(ReLU)
        .then(pool()) // (B, 192, 13, 13)
        .then(conv3(192, 384)?)
        .then(ReLU)
        .then(conv3(384, 256)?)
        .then(ReLU)
        .then(conv3(256, 256)?)
        .then(ReLU)
        .then(pool()); // (B, 256, 6, 6)
    let classifier = Sequential::new()
        .then(Dropout::new(dropout))
        .then(Linear::new(256 * 6 * 6, 4096)?)
        .then(ReLU)
        .then(Dropout::new(dropout))
        .then(Linear::new(4096, 4096)?)
        .then(ReLU)
        .then(Linear::new(4096, classes)?);
    let head = Sequential::new()
        .then_named("avgpool", AdaptiveAvgPool2d::new(6))
        .then_named("flatten", Flatten::new()) // (B, 9216)
        .then_named("classifier", classifier);
    let body = Sequential::new().then_named("features", features);
    Classifier::new(body, head, "classifier.6").finish(a, &Weights::DEFAULT)
}
