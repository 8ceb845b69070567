//! ShuffleNet V2: half of the channels pass each block untouched, and a shuffle mixes the halves. Source: Ma et al. 2018
//! (arXiv:1807.11164). Names and defaults are torchvision's.

use gradus_autograd::Var;
use gradus_nn::{BatchNorm2d, Conv2d, Layer, Linear, MaxPool2d, Module, ReLU, Sequential};
use gradus_tensor::{Error, Result, ResultExt};

use super::blocks::{ConvNorm, GlobalMean, conv};
use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::weights::Weights;

pub(super) const MEMBERS: &[Member] = &[
    ("shufflenet_v2_x0_5", |a| shufflenet(a, [48, 96, 192], 1024)),
    ("shufflenet_v2_x1_0", |a| {
        shufflenet(a, [116, 232, 464], 1024)
    }),
    ("shufflenet_v2_x1_5", |a| {
        shufflenet(a, [176, 352, 704], 1024)
    }),
    ("shufflenet_v2_x2_0", |a| {
        shufflenet(a, [244, 488, 976], 2048)
    }),
];

/// With stride 2, two branches of the whole input; else one of its second half beside its first: (B, C, H, W) to (B, C', H', W').
#[derive(Module)]
struct Block {
    /// Empty without a step.
    branch1: Sequential,
    branch2: Sequential,
}

impl Block {
    fn new(inputs: usize, outputs: usize, stride: usize) -> Result<Self> {
        let half = outputs / 2;
        let depthwise = |channels: usize| {
            Conv2d::builder(channels, channels, 3)
                .stride(stride)
                .padding(1)
                .groups(channels)
                .bias(false)
                .build()
        };
        let mut branch1 = Sequential::new();
        if stride > 1 {
            branch1 = branch1
                .then(depthwise(inputs)?)
                .then(BatchNorm2d::new(inputs)?)
                .then(conv(inputs, half, 1, 1)?)
                .then(BatchNorm2d::new(half)?)
                .then(ReLU); // (B, half, H/2, W/2)
        }
        let branch2 = Sequential::new()
            .then(conv(if stride > 1 { inputs } else { half }, half, 1, 1)?)
            .then(BatchNorm2d::new(half)?)
            .then(ReLU)
            .then(depthwise(half)?)
            .then(BatchNorm2d::new(half)?)
            .then(conv(half, half, 1, 1)?)
            .then(BatchNorm2d::new(half)?)
            .then(ReLU); // (B, half, H', W')
        Ok(Self { branch1, branch2 })
    }
}

impl Layer for Block {
    fn forward(&self, x: &Var) -> Result<Var> {
        let halves = if self.branch1.is_empty() {
            x.chunk(2, 1)? // 2 of (B, C/2, H, W)
        } else {
            vec![x.clone(), x.clone()]
        };
        let [a, b] = halves.as_slice() else {
            return Err(Error::shape(
                "chunk",
                format!("{} has no two halves", x.shape()),
            ));
        };
        let a = self.branch1.forward(a).in_layer("branch1")?;
        let b = self.branch2.forward(b).in_layer("branch2")?;
        // The channels of both, one from each in turn.
        Var::stack(&[&a, &b], 2)?.flatten(1, 2) // (B, half, 2, H', W') to (B, C', H', W')
    }
}

/// Outputs of the three stages, and of the last convolution.
fn shufflenet(a: &Arguments, stages: [usize; 3], last: usize) -> Result<Classifier> {
    let classes = a.num_classes(1000)?;
    let repeats = a.sizes("stages_repeats", [4, 8, 4])?;
    let mut body = Sequential::new()
        .then_named("conv1", ConvNorm::new(3, 24, 3).stride(2).build()?) // (B, 24, H/2, W/2)
        .then_named("maxpool", MaxPool2d::new(3).stride(2).padding(1)); // (B, 24, H/4, W/4)
    let mut inputs = 24;
    for (i, (depth, outputs)) in repeats.into_iter().zip(stages).enumerate() {
        let mut stage = Sequential::new().then(Block::new(inputs, outputs, 2)?);
        for _ in 1..depth {
            stage.push(Block::new(outputs, outputs, 1)?);
        }
        body = body.then_named(format!("stage{}", i + 2), stage); // (B, outputs, H/8/2^i, W/8/2^i)
        inputs = outputs;
    }
    body = body.then_named("conv5", ConvNorm::new(inputs, last, 1).build()?); // (B, last, H/32, W/32)
    let head = Sequential::new()
        .then_named("mean", GlobalMean) // (B, last)
        .then_named("fc", Linear::new(last, classes)?);
    Classifier::new(body, head, "fc").finish(a, &Weights::DEFAULT)
}
