//! GoogLeNet: modules of four branches with windows of different sizes side by side, and two auxiliary heads that bring gradients to
//! the lower layers in training. Source: Szegedy et al. 2014 (arXiv:1409.4842), with batch norm; names, defaults and first weights are
//! torchvision's, and so is the 3x3 window where the paper has 5x5.

use gradus_autograd::Var;
use gradus_nn::{
    AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Flatten, IntoSize, Layer, Linear, MaxPool2d,
    Module, ReLU, Sequential,
};
use gradus_tensor::{Result, Tensor};

use super::blocks::{Concat, norm_options};
use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::weights::{Draw, Weights};

pub(super) const MEMBERS: &[Member] = &[("googlenet", googlenet)];

/// Convolution, norm with eps 0.001, ReLU; padded to keep the size unless it steps.
pub(super) fn basic_conv(
    inputs: usize,
    outputs: usize,
    kernel: impl IntoSize<2>,
    stride: usize,
    padding: impl IntoSize<2>,
) -> Result<Sequential> {
    let conv = Conv2d::builder(inputs, outputs, kernel.into_size())
        .stride(stride)
        .padding(padding.into_size())
        .bias(false)
        .build()?;
    Ok(Sequential::new()
        .then_named("conv", conv)
        .then_named("bn", BatchNorm2d::with(outputs, norm_options(0.001, 0.1))?)
        .then_named("relu", ReLU))
}

/// Images normalised with ImageNet's means and deviations to images normalised with 0.5 and 0.5, which the weights that came from
/// another framework were trained on (torchvision's `transform_input`).
#[derive(Module)]
pub(super) struct TransformInput;

impl Layer for TransformInput {
    fn forward(&self, x: &Var) -> Result<Var> {
        let per_channel = |values: [f64; 3]| {
            let values = Tensor::from_slice(&values, [1, 3, 1, 1])?; // (1, 3, 1, 1)
            values.to_dtype(x.dtype()).map(Var::from)
        };
        let scale = per_channel([0.229 / 0.5, 0.224 / 0.5, 0.225 / 0.5])?;
        let shift = per_channel([
            (0.485 - 0.5) / 0.5,
            (0.456 - 0.5) / 0.5,
            (0.406 - 0.5) / 0.5,
        ])?;
        x.mul(&scale)?.add(&shift) // (B, 3, H, W)
    }
}

/// Channels of a module's branches: 1x1; 1x1 then 3x3; 1x1 then the other 3x3; what the pooled maps are projected to.
type Branches = (usize, [usize; 2], [usize; 2], usize);

fn inception(inputs: usize, (one, [a1, a2], [b1, b2], pooled): Branches) -> Result<Concat> {
    let double = |first, second| -> Result<Sequential> {
        Ok(Sequential::new()
            .then(basic_conv(inputs, first, 1, 1, 0)?)
            .then(basic_conv(first, second, 3, 1, 1)?))
    };
    let pool = Sequential::new()
        .then(MaxPool2d::new(3).stride(1).padding(1).ceil_mode(true))
        .then(basic_conv(inputs, pooled, 1, 1, 0)?);
    Ok(Concat::new(
        Sequential::new()
            .then_named("branch1", basic_conv(inputs, one, 1, 1, 0)?)
            .then_named("branch2", double(a1, a2)?)
            .then_named("branch3", double(b1, b2)?)
            .then_named("branch4", pool),
    ))
}

fn auxiliary(inputs: usize, classes: usize, dropout: f64) -> Result<Sequential> {
    Ok(Sequential::new()
        .then_named("avgpool", AdaptiveAvgPool2d::new(4)) // (B, inputs, 4, 4)
        .then_named("conv", basic_conv(inputs, 128, 1, 1, 0)?)
        .then_named("flatten", Flatten::new()) // (B, 2048)
        .then_named("fc1", Linear::new(2048, 1024)?)
        .then_named("relu", ReLU)
        .then_named("dropout", Dropout::new(dropout))
        .then_named("fc2", Linear::new(1024, classes)?))
}

fn googlenet(a: &Arguments) -> Result<Classifier> {
    let classes = a.num_classes(1000)?;
    let with_auxiliary = a.flag("aux_logits", true)?;
    let transform_input = a.flag("transform_input", false)?;
    let init_weights = a.flag("init_weights", true)?;
    let dropout = a.probability("dropout", 0.2)?;
    let dropout_aux = a.probability("dropout_aux", 0.7)?;

    let pool = |size: usize| MaxPool2d::new(size).stride(2).ceil_mode(true);
    let mut body = Sequential::new();
    if transform_input {
        body = body.then_named("transform_input", TransformInput);
    }
    // The sizes are those of 224 x 224 images.
    body = body
        .then_named("conv1", basic_conv(3, 64, 7, 2, 3)?) // (B, 64, 112, 112)
        .then_named("maxpool1", pool(3)) // (B, 64, 56, 56)
        .then_named("conv2", basic_conv(64, 64, 1, 1, 0)?)
        .then_named("conv3", basic_conv(64, 192, 3, 1, 1)?)
        .then_named("maxpool2", pool(3)) // (B, 192, 28, 28)
        .then_named(
            "inception3a",
            inception(192, (64, [96, 128], [16, 32], 32))?,
        )
        .then_named(
            "inception3b",
            inception(256, (128, [128, 192], [32, 96], 64))?,
        )
        .then_named("maxpool3", pool(3)) // (B, 480, 14, 14)
        .then_named(
            "inception4a",
            inception(480, (192, [96, 208], [16, 48], 64))?,
        )
        .then_named(
            "inception4b",
            inception(512, (160, [112, 224], [24, 64], 64))?,
        )
        .then_named(
            "inception4c",
            inception(512, (128, [128, 256], [24, 64], 64))?,
        )
        .then_named(
            "inception4d",
            inception(512, (112, [144, 288], [32, 64], 64))?,
        )
        .then_named(
            "inception4e",
            inception(528, (256, [160, 320], [32, 128], 128))?,
        )
        .then_named("maxpool4", pool(2)) // (B, 832, 7, 7)
        .then_named(
            "inception5a",
            inception(832, (256, [160, 320], [32, 128], 128))?,
        )
        .then_named(
            "inception5b",
            inception(832, (384, [192, 384], [48, 128], 128))?,
        ); // (B, 1024, 7, 7)
    let head = Sequential::new()
        .then_named("avgpool", AdaptiveAvgPool2d::new(1))
        .then_named("flatten", Flatten::new()) // (B, 1024)
        .then_named("dropout", Dropout::new(dropout))
        .then_named("fc", Linear::new(1024, classes)?);
    let mut model = Classifier::new(body, head, "fc");
    if with_auxiliary {
        model = model
            .tap("inception4a", "aux1", auxiliary(512, classes, dropout_aux)?)
            .tap("inception4d", "aux2", auxiliary(528, classes, dropout_aux)?);
    }
    let weights = Weights {
        conv: Draw::Truncated(0.01),
        linear: Draw::Truncated(0.01),
        ..Weights::DEFAULT
    };
    model.finish(
        a,
        if init_weights {
            &weights
        } else {
            &Weights::DEFAULT
        },
    )
}
