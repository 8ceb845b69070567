//! First weights by kind of layer: the loops over `self.modules()` at the end of torchvision's constructors, as data. Norms
//! start as ones and zeros anyway. What is not named here keeps PyTorch's defaults.

use std::collections::HashMap;

use gradus_nn::init::{self, Fan, Nonlinearity};
use gradus_nn::{Module, Param, Part, Path};
use gradus_tensor::{Result, ResultExt, Shape, Tensor};

/// How a tensor is drawn.
#[derive(Clone, Copy)]
pub(super) enum Draw {
    /// As the layer did.
    Keep,
    /// All 0.
    Zeros,
    /// Normal with this deviation.
    Normal(f64),
    /// Normal with this deviation, within ±2.
    Truncated(f64),
    /// Normal with variance `1/inputs`, within ±2.
    TruncatedByInputs,
    /// He's normal for what ReLU follows.
    KaimingNormal(Fan),
    /// He's uniform.
    KaimingUniform(Fan, Nonlinearity),
    /// Glorot's uniform.
    XavierUniform,
    /// Uniform within `1/sqrt(outputs)`.
    WithinOutputs,
}

impl Draw {
    fn tensor(self, now: &Param) -> Result<Option<Tensor>> {
        let (shape, dtype) = (now.shape(), now.dtype());
        let outputs = |shape: &Shape| shape.first().map_or(1, |&n| n.max(1)) as f64;
        Ok(Some(match self {
            Self::Keep => return Ok(None),
            Self::Zeros => Tensor::zeros(shape, dtype)?,
            Self::Normal(std) => init::normal(shape, 0.0, std, dtype)?,
            Self::Truncated(std) => init::trunc_normal(shape, 0.0, std, -2.0, 2.0, dtype)?,
            Self::TruncatedByInputs => {
                let std = 1.0 / (init::fans(shape)?.0.max(1) as f64).sqrt();
                init::trunc_normal(shape, 0.0, std, -2.0, 2.0, dtype)?
            }
            Self::KaimingNormal(fan) => {
                init::kaiming_normal(shape, fan, Nonlinearity::ReLU, dtype)?
            }
            Self::KaimingUniform(fan, after) => init::kaiming_uniform(shape, fan, after, dtype)?,
            Self::XavierUniform => init::xavier_uniform(shape, 1.0, dtype)?,
            Self::WithinOutputs => {
                let bound = 1.0 / outputs(shape).sqrt();
                init::uniform(shape, -bound, bound, dtype)?
            }
        }))
    }
}

/// The first weights of a network.
pub(super) struct Weights {
    /// Of convolutions.
    pub conv: Draw,
    /// Of their biases.
    pub conv_bias: Draw,
    /// Of linear layers.
    pub linear: Draw,
    /// Of their biases.
    pub linear_bias: Draw,
    /// Of parameters whose name ends so, whatever they are; the last that fits counts.
    pub special: &'static [(&'static str, Draw)],
}

impl Weights {
    /// PyTorch's defaults.
    pub const DEFAULT: Self = Self {
        conv: Draw::Keep,
        conv_bias: Draw::Keep,
        linear: Draw::Keep,
        linear_bias: Draw::Keep,
        special: &[],
    };

    /// He's normal by the outputs for convolutions, linear layers normal with deviation 0.01, biases 0: what most of
    /// torchvision's networks start with.
    pub const USUAL: Self = Self {
        conv: Draw::KaimingNormal(Fan::Out),
        conv_bias: Draw::Zeros,
        linear: Draw::Normal(0.01),
        linear_bias: Draw::Zeros,
        special: &[],
    };

    /// Draws them.
    pub fn draw<M: Module>(&self, model: &mut M) -> Result<()> {
        let mut kinds: HashMap<String, &'static str> = HashMap::new();
        model.visit(&mut Path::default(), &mut |path, part| {
            if let Part::Module(kind) = part {
                kinds.insert(path.to_string(), kind);
            }
        });
        for (name, param) in model.named_parameters_mut() {
            let (module, field) = name.rsplit_once('.').unwrap_or(("", &name));
            let usual = match (kinds.get(module).copied(), field) {
                (Some("Conv2d"), "weight") => self.conv,
                (Some("Conv2d"), "bias") => self.conv_bias,
                (Some("Linear"), "weight") => self.linear,
                (Some("Linear"), "bias") => self.linear_bias,
                _ => Draw::Keep,
            };
            let special = self
                .special
                .iter()
                .rev()
                .find(|(end, _)| name.ends_with(end));
            let draw = special.map_or(usual, |(_, draw)| *draw);
            if let Some(tensor) = draw.tensor(param).in_layer(name.as_str())? {
                param.set(tensor).in_layer(name.as_str())?;
            }
        }
        Ok(())
    }
}
