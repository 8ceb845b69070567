//! ResNet and its wider relatives: blocks that add what they compute to their input, so that a hundred layers still learn.
//! Sources: He, Zhang, Ren and Sun 2015 (arXiv:1512.03385); with grouped convolutions, Xie et al. 2016 (ResNeXt, arXiv:1611.05431);
//! with wide ones, Zagoruyko and Komodakis 2016 (arXiv:1605.07146). Names, defaults and first weights are torchvision's, whose
//! bottlenecks step in the 3x3 convolution ("v1.5"). The small ones for CIFAR are in `cifar_resnet.rs`.
//!
//! Not torchvision's are the arguments `stem_kernel`, `stem_stride` and `stem_pool`: for small images the first convolution may be
//! smaller, step less, and go without the max-pool. Names stay, so all weights but the first convolution's still fit.

use gradus_autograd::Var;
use gradus_nn::init::Fan;
use gradus_nn::{
    AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Flatten, Layer, Linear, MaxPool2d, Module, ReLU,
    Sequential,
};
use gradus_tensor::{Result, ResultExt, Tensor};

use super::blocks::conv;
use super::classifier::Classifier;
use super::options::Arguments;
use super::registry::Member;
use super::weights::{Draw, Weights};

pub(super) const MEMBERS: &[Member] = &[
    ("resnet18", |a| resnet(a, &BASIC, [2, 2, 2, 2], 1, 64)),
    ("resnet34", |a| resnet(a, &BASIC, [3, 4, 6, 3], 1, 64)),
    ("resnet50", |a| resnet(a, &BOTTLENECK, [3, 4, 6, 3], 1, 64)),
    ("resnet101", |a| {
        resnet(a, &BOTTLENECK, [3, 4, 23, 3], 1, 64)
    }),
    ("resnet152", |a| {
        resnet(a, &BOTTLENECK, [3, 8, 36, 3], 1, 64)
    }),
    ("resnext50_32x4d", |a| {
        resnet(a, &BOTTLENECK, [3, 4, 6, 3], 32, 4)
    }),
    ("resnext101_32x8d", |a| {
        resnet(a, &BOTTLENECK, [3, 4, 23, 3], 32, 8)
    }),
    ("resnext101_64x4d", |a| {
        resnet(a, &BOTTLENECK, [3, 4, 23, 3], 64, 4)
    }),
    ("wide_resnet50_2", |a| {
        resnet(a, &BOTTLENECK, [3, 4, 6, 3], 1, 128)
    }),
    ("wide_resnet101_2", |a| {
        resnet(a, &BOTTLENECK, [3, 4, 23, 3], 1, 128)
    }),
];

/// Two 3x3 convolutions and a shortcut: (B, C, H, W) to (B, C', H/stride, W/stride).
#[derive(Module)]
pub(super) struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    /// Brings the input to the output's shape where they differ.
    downsample: Option<Box<dyn Layer>>,
}

impl BasicBlock {
    pub fn new(
        inputs: usize,
        outputs: usize,
        stride: usize,
        downsample: Option<Box<dyn Layer>>,
    ) -> Result<Self> {
        Ok(Self {
            conv1: conv(inputs, outputs, 3, stride)?,
            bn1: BatchNorm2d::new(outputs)?,
            conv2: conv(outputs, outputs, 3, 1)?,
            bn2: BatchNorm2d::new(outputs)?,
            downsample,
        })
    }
}

impl Layer for BasicBlock {
    fn forward(&self, x: &Var) -> Result<Var> {
        let y = self.conv1.forward(x).in_layer("conv1")?; // (B, C', H', W')
        let y = self.bn1.forward(&y).in_layer("bn1")?.relu()?;
        let y = self.conv2.forward(&y).in_layer("conv2")?;
        let y = self.bn2.forward(&y).in_layer("bn2")?;
        y.add(&self.downsample.forward(x).in_layer("downsample")?)?
            .relu()
    }
}

/// 1x1 to a small width, 3x3 there, 1x1 to four times the planes, and a shortcut.
#[derive(Module)]
struct Bottleneck {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    conv3: Conv2d,
    bn3: BatchNorm2d,
    downsample: Option<Box<dyn Layer>>,
}

impl Layer for Bottleneck {
    fn forward(&self, x: &Var) -> Result<Var> {
        let y = self.conv1.forward(x).in_layer("conv1")?; // (B, width, H, W)
        let y = self.bn1.forward(&y).in_layer("bn1")?.relu()?;
        let y = self.conv2.forward(&y).in_layer("conv2")?; // (B, width, H', W')
        let y = self.bn2.forward(&y).in_layer("bn2")?.relu()?;
        let y = self.conv3.forward(&y).in_layer("conv3")?; // (B, C', H', W')
        let y = self.bn3.forward(&y).in_layer("bn3")?;
        y.add(&self.downsample.forward(x).in_layer("downsample")?)?
            .relu()
    }
}

/// Where a block stands.
struct Place {
    inputs: usize,
    planes: usize,
    stride: usize,
    dilation: usize,
    groups: usize,
    width_per_group: usize,
    zero_init: bool,
}

/// A kind of block.
struct Kind {
    /// Outputs for each plane.
    expansion: usize,
    is_basic: bool,
    build: fn(&Place, Option<Box<dyn Layer>>) -> Result<Box<dyn Layer>>,
}

const BASIC: Kind = Kind {
    expansion: 1,
    is_basic: true,
    build: |p, downsample| {
        let mut block = BasicBlock::new(p.inputs, p.planes, p.stride, downsample)?;
        if p.zero_init {
            silence(&mut block.bn2)?;
        }
        Ok(Box::new(block))
    },
};

const BOTTLENECK: Kind = Kind {
    expansion: 4,
    is_basic: false,
    build: |p, downsample| {
        let width = p.planes * p.width_per_group / 64 * p.groups;
        let conv2 = Conv2d::builder(width, width, 3)
            .stride(p.stride)
            .padding(p.dilation)
            .dilation(p.dilation)
            .groups(p.groups)
            .bias(false);
        let mut bn3 = BatchNorm2d::new(4 * p.planes)?;
        if p.zero_init {
            silence(&mut bn3)?;
        }
        Ok(Box::new(Bottleneck {
            conv1: conv(p.inputs, width, 1, 1)?,
            bn1: BatchNorm2d::new(width)?,
            conv2: conv2.build()?,
            bn2: BatchNorm2d::new(width)?,
            conv3: conv(width, 4 * p.planes, 1, 1)?,
            bn3,
            downsample,
        }))
    },
};

/// Lets a block start as its shortcut alone.
fn silence(norm: &mut BatchNorm2d) -> Result<()> {
    if let Some(weight) = &mut norm.weight {
        weight.set(Tensor::zeros(weight.shape(), weight.dtype())?)?;
    }
    Ok(())
}

fn resnet(
    a: &Arguments,
    kind: &Kind,
    layers: [usize; 4],
    groups: usize,
    width_per_group: usize,
) -> Result<Classifier> {
    let classes = a.num_classes(1000)?;
    let zero_init = a.flag("zero_init_residual", false)?;
    let groups = a.size("groups", groups)?;
    let width_per_group = a.size("width_per_group", width_per_group)?;
    let dilated = a.flags("replace_stride_with_dilation", [false; 3])?;
    if kind.is_basic && (groups, width_per_group, dilated) != (1, 64, [false; 3]) {
        return Err(a.error(
            "groups, width_per_group and replace_stride_with_dilation are for networks of bottlenecks, resnet50 and larger".into(),
        ));
    }

    // torchvision's stem leaves an image of 32 x 32 with 8 x 8 pixels; a smaller one lets small images be seen.
    let kernel = a.size("stem_kernel", 7)?;
    let stride = a.size("stem_stride", 2)?;
    let pool = a.flag("stem_pool", true)?;
    if kernel.is_multiple_of(2) || kernel > 15 || stride > kernel {
        return Err(a.error(format!(
            "stem_kernel {kernel} must be odd and at most 15, stem_stride {stride} no larger"
        )));
    }
    let conv1 = Conv2d::builder(3, 64, kernel)
        .stride(stride)
        .padding(kernel / 2)
        .bias(false);
    let mut body = Sequential::new()
        .then_named("conv1", conv1.build()?)
        .then_named("bn1", BatchNorm2d::new(64)?)
        .then_named("relu", ReLU); // (B, 64, H/2, W/2)
    if pool {
        body = body.then_named("maxpool", MaxPool2d::new(3).stride(2).padding(1)); // (B, 64, H/4, W/4)
    }
    let (mut inputs, mut dilation) = (64, 1);
    for (i, depth) in layers.into_iter().enumerate() {
        let (planes, mut stride, before) = (64 << i, if i == 0 { 1 } else { 2 }, dilation);
        if i > 0 && dilated[i - 1] {
            (dilation, stride) = (dilation * stride, 1);
        }
        let mut stage = Sequential::new();
        for j in 0..depth {
            let place = Place {
                inputs,
                planes,
                stride: if j == 0 { stride } else { 1 },
                dilation: if j == 0 { before } else { dilation },
                groups,
                width_per_group,
                zero_init,
            };
            stage.push((kind.build)(
                &place,
                projection(&place, planes * kind.expansion)?,
            )?);
            inputs = planes * kind.expansion;
        }
        body = body.then_named(format!("layer{}", i + 1), stage); // (B, inputs, H/4/2^i, W/4/2^i)
    }
    let head = Sequential::new()
        .then_named("avgpool", AdaptiveAvgPool2d::new(1))
        .then_named("flatten", Flatten::new()) // (B, 512 or 2048)
        .then_named("fc", Linear::new(inputs, classes)?);
    let weights = Weights {
        conv: Draw::KaimingNormal(Fan::Out),
        ..Weights::DEFAULT
    };
    Classifier::new(body, head, "fc").finish(a, &weights)
}

/// A shortcut for blocks whose output is of another shape: a 1x1 convolution and a norm.
fn projection(place: &Place, outputs: usize) -> Result<Option<Box<dyn Layer>>> {
    if place.stride == 1 && place.inputs == outputs {
        return Ok(None);
    }
    let row = Sequential::new()
        .then(conv(place.inputs, outputs, 1, place.stride)?)
        .then(BatchNorm2d::new(outputs)?);
    Ok(Some(Box::new(row)))
}
