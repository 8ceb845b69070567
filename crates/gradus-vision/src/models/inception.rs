//! Inception v3: modules of branches whose large windows are taken apart into 1xn and nx1 ones, and one auxiliary head. Made for
//! 299 x 299 images; the smallest it takes are 75 x 75. Source: Szegedy et al. 2015 (arXiv:1512.00567). Names, defaults and first
//! weights are torchvision's.

use gradus_nn::{AdaptiveAvgPool2d, AvgPool2d, Dropout, Flatten, Linear, MaxPool2d, Sequential};
use gradus_tensor::Result;

use super::blocks::Concat;
use super::classifier::Classifier;
use super::googlenet::{TransformInput, basic_conv};
use super::options::Arguments;
use super::registry::Member;
use super::weights::{Draw, Weights};

pub(super) const MEMBERS: &[Member] = &[("inception_v3", inception_v3)];

/// A convolution of a branch: name, outputs, kernel, stride, padding.
type Conv = (&'static str, usize, [usize; 2], usize, [usize; 2]);

const fn one(name: &'static str, outputs: usize) -> Conv {
    (name, outputs, [1, 1], 1, [0, 0])
}

/// Keeps the size.
const fn same(name: &'static str, outputs: usize, [h, w]: [usize; 2]) -> Conv {
    (name, outputs, [h, w], 1, [h / 2, w / 2])
}

/// Halves the size.
const fn half(name: &'static str, outputs: usize) -> Conv {
    (name, outputs, [3, 3], 2, [0, 0])
}

/// Convolutions one after the other.
fn row(mut inputs: usize, convs: &[Conv]) -> Result<Sequential> {
    let mut row = Sequential::new();
    for &(name, outputs, kernel, stride, padding) in convs {
        row = row.then_named(name, basic_conv(inputs, outputs, kernel, stride, padding)?);
        inputs = outputs;
    }
    Ok(row)
}

/// Rows of convolutions and a last row side by side, all in the module's own names.
fn module(inputs: usize, rows: &[&[Conv]], last: Sequential) -> Result<Concat> {
    let mut branches = Sequential::new();
    for convs in rows {
        branches = branches.then_named("", row(inputs, convs)?);
    }
    Ok(Concat::new(branches.then_named("", last)))
}

/// The mean of each window, then 1x1 to so many channels.
fn pooled(inputs: usize, outputs: usize) -> Result<Sequential> {
    Ok(Sequential::new()
        .then_named("pool", AvgPool2d::new(3).stride(1).padding(1))
        .then_named("branch_pool", basic_conv(inputs, outputs, 1, 1, 0)?))
}

fn max_pooled() -> Sequential {
    Sequential::new().then_named("pool", MaxPool2d::new(3).stride(2))
}

fn inception_a(inputs: usize, pool: usize) -> Result<Concat> {
    let rows: [&[Conv]; 3] = [
        &[one("branch1x1", 64)],
        &[one("branch5x5_1", 48), same("branch5x5_2", 64, [5, 5])],
        &[
            one("branch3x3dbl_1", 64),
            same("branch3x3dbl_2", 96, [3, 3]),
            same("branch3x3dbl_3", 96, [3, 3]),
        ],
    ];
    module(inputs, &rows, pooled(inputs, pool)?) // (B, 224 + pool, H, W)
}

fn inception_b(inputs: usize) -> Result<Concat> {
    let rows: [&[Conv]; 2] = [
        &[half("branch3x3", 384)],
        &[
            one("branch3x3dbl_1", 64),
            same("branch3x3dbl_2", 96, [3, 3]),
            half("branch3x3dbl_3", 96),
        ],
    ];
    module(inputs, &rows, max_pooled()) // (B, 480 + inputs, H/2, W/2)
}

fn inception_c(inputs: usize, c: usize) -> Result<Concat> {
    let rows: [&[Conv]; 3] = [
        &[one("branch1x1", 192)],
        &[
            one("branch7x7_1", c),
            same("branch7x7_2", c, [1, 7]),
            same("branch7x7_3", 192, [7, 1]),
        ],
        &[
            one("branch7x7dbl_1", c),
            same("branch7x7dbl_2", c, [7, 1]),
            same("branch7x7dbl_3", c, [1, 7]),
            same("branch7x7dbl_4", c, [7, 1]),
            same("branch7x7dbl_5", 192, [1, 7]),
        ],
    ];
    module(inputs, &rows, pooled(inputs, 192)?) // (B, 768, H, W)
}

fn inception_d(inputs: usize) -> Result<Concat> {
    let rows: [&[Conv]; 2] = [
        &[one("branch3x3_1", 192), half("branch3x3_2", 320)],
        &[
            one("branch7x7x3_1", 192),
            same("branch7x7x3_2", 192, [1, 7]),
            same("branch7x7x3_3", 192, [7, 1]),
            half("branch7x7x3_4", 192),
        ],
    ];
    module(inputs, &rows, max_pooled()) // (B, 512 + inputs, H/2, W/2)
}

fn inception_e(inputs: usize) -> Result<Concat> {
    // Two branches part again at their ends.
    let fork = |a, b| -> Result<Concat> {
        let ends = Sequential::new()
            .then_named("", row(384, &[same(a, 384, [1, 3])])?)
            .then_named("", row(384, &[same(b, 384, [3, 1])])?);
        Ok(Concat::new(ends)) // (B, 768, H, W)
    };
    let single = row(inputs, &[one("branch3x3_1", 384)])?
        .then_named("", fork("branch3x3_2a", "branch3x3_2b")?);
    let double = [
        one("branch3x3dbl_1", 448),
        same("branch3x3dbl_2", 384, [3, 3]),
    ];
    let double = row(inputs, &double)?.then_named("", fork("branch3x3dbl_3a", "branch3x3dbl_3b")?);
    let branches = Sequential::new()
        .then_named("", row(inputs, &[one("branch1x1", 320)])?)
        .then_named("", single)
        .then_named("", double)
        .then_named("", pooled(inputs, 192)?);
    Ok(Concat::new(branches)) // (B, 2048, H, W)
}

fn inception_v3(a: &Arguments) -> Result<Classifier> {
    let classes = a.num_classes(1000)?;
    let with_auxiliary = a.flag("aux_logits", true)?;
    let transform_input = a.flag("transform_input", false)?;
    let init_weights = a.flag("init_weights", true)?;
    let dropout = a.probability("dropout", 0.5)?;

    let mut body = Sequential::new();
    if transform_input {
        body = body.then_named("transform_input", TransformInput);
    }
    // The sizes are those of 299 x 299 images.
    body = body
        .then_named("Conv2d_1a_3x3", basic_conv(3, 32, 3, 2, 0)?) // (B, 32, 149, 149)
        .then_named("Conv2d_2a_3x3", basic_conv(32, 32, 3, 1, 0)?) // (B, 32, 147, 147)
        .then_named("Conv2d_2b_3x3", basic_conv(32, 64, 3, 1, 1)?)
        .then_named("maxpool1", MaxPool2d::new(3).stride(2)) // (B, 64, 73, 73)
        .then_named("Conv2d_3b_1x1", basic_conv(64, 80, 1, 1, 0)?)
        .then_named("Conv2d_4a_3x3", basic_conv(80, 192, 3, 1, 0)?) // (B, 192, 71, 71)
        .then_named("maxpool2", MaxPool2d::new(3).stride(2)) // (B, 192, 35, 35)
        .then_named("Mixed_5b", inception_a(192, 32)?)
        .then_named("Mixed_5c", inception_a(256, 64)?)
        .then_named("Mixed_5d", inception_a(288, 64)?)
        .then_named("Mixed_6a", inception_b(288)?) // (B, 768, 17, 17)
        .then_named("Mixed_6b", inception_c(768, 128)?)
        .then_named("Mixed_6c", inception_c(768, 160)?)
        .then_named("Mixed_6d", inception_c(768, 160)?)
        .then_named("Mixed_6e", inception_c(768, 192)?)
        .then_named("Mixed_7a", inception_d(768)?) // (B, 1280, 8, 8)
        .then_named("Mixed_7b", inception_e(1280)?)
        .then_named("Mixed_7c", inception_e(2048)?); // (B, 2048, 8, 8)
    let head = Sequential::new()
        .then_named("avgpool", AdaptiveAvgPool2d::new(1))
        .then_named("dropout", Dropout::new(dropout))
        .then_named("flatten", Flatten::new()) // (B, 2048)
        .then_named("fc", Linear::new(2048, classes)?);
    let mut model = Classifier::new(body, head, "fc");
    if with_auxiliary {
        let auxiliary = Sequential::new()
            .then_named("pool", AvgPool2d::new(5).stride(3)) // (B, 768, 5, 5)
            .then_named("conv0", basic_conv(768, 128, 1, 1, 0)?)
            .then_named("conv1", basic_conv(128, 768, 5, 1, 0)?) // (B, 768, 1, 1)
            .then_named("avgpool", AdaptiveAvgPool2d::new(1))
            .then_named("flatten", Flatten::new()) // (B, 768)
            .then_named("fc", Linear::new(768, classes)?);
        model = model.tap("Mixed_6e", "AuxLogits", auxiliary);
    }
    let weights = Weights {
        conv: Draw::Truncated(0.1),
        linear: Draw::Truncated(0.1),
        special: &[("AuxLogits.fc.weight", Draw::Truncated(0.001))],
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
