//! ResNets for 32 x 32 images: three stages of 16, 32 and 64 channels, and shortcuts that have no parameters where the shape changes
//! (every other pixel, zeros for the new channels: the paper's option A). 0.27 to 1.7 million parameters.
//! Source: He, Zhang, Ren and Sun 2015 (arXiv:1512.03385), section 4.2; names and first weights as in akamaster's
//! pytorch_resnet_cifar10, whose published weights load without mapping.

use gradus_autograd::Var;
use gradus_nn::init::Fan;
use gradus_nn::{AdaptiveAvgPool2d, BatchNorm2d, Flatten, Layer, Linear, Module, ReLU, Sequential};
use gradus_tensor::{PadMode, Result, Scalar};

use super::blocks::conv;
use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::resnet::BasicBlock;
use super::weights::{Draw, Weights};

pub(super) const MEMBERS: &[Member] = &[
    ("cifar_resnet20", |a| cifar_resnet(a, 3)),
    ("cifar_resnet32", |a| cifar_resnet(a, 5)),
    ("cifar_resnet44", |a| cifar_resnet(a, 7)),
    ("cifar_resnet56", |a| cifar_resnet(a, 9)),
    ("cifar_resnet110", |a| cifar_resnet(a, 18)),
];

/// Every other pixel, and as many zero channels before and after as double the channels: (B, C, H, W) to (B, 2C, H/2, W/2).
#[derive(Module)]
struct Shortcut {
    inputs: usize,
}

impl Layer for Shortcut {
    fn forward(&self, x: &Var) -> Result<Var> {
        let x = x.slice(2, None, None, 2)?.slice(3, None, None, 2)?; // (B, C, H/2, W/2)
        let more = (self.inputs / 2) as isize;
        x.pad(&[0, 0, 0, 0, more, more], PadMode::Constant(Scalar::Int(0))) // (B, 2C, H/2, W/2)
    }
}

/// So many blocks in each of the three stages.
fn cifar_resnet(a: &Arguments, depth: usize) -> Result<Classifier> {
    let classes = a.num_classes(10)?;
    let mut body = Sequential::new()
        .then_named("conv1", conv(3, 16, 3, 1)?)
        .then_named("bn1", BatchNorm2d::new(16)?)
        .then_named("relu", ReLU); // (B, 16, H, W)
    let mut inputs = 16;
    for (i, outputs) in [16, 32, 64].into_iter().enumerate() {
        let mut stage = Sequential::new();
        for _ in 0..depth {
            let grows = inputs != outputs;
            let shortcut = grows.then(|| Box::new(Shortcut { inputs }) as Box<dyn Layer>);
            let stride = if grows { 2 } else { 1 };
            stage.push(BasicBlock::new(inputs, outputs, stride, shortcut)?);
            inputs = outputs;
        }
        body = body.then_named(format!("layer{}", i + 1), stage); // (B, outputs, H / 2^i, W / 2^i)
    }
    let head = Sequential::new()
        .then_named("avgpool", AdaptiveAvgPool2d::new(1))
        .then_named("flatten", Flatten::new()) // (B, 64)
        .then_named("linear", Linear::new(64, classes)?);
    let weights = Weights {
        conv: Draw::KaimingNormal(Fan::In),
        linear: Draw::KaimingNormal(Fan::In),
        ..Weights::DEFAULT
    };
    Classifier::new(body, head, "linear").finish(a, &weights)
}
