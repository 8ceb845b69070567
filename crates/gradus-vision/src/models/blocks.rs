//! The pieces several families share: a convolution with its norm and activation, squeeze-and-excitation, stochastic depth, a
//! residual connection, branches side by side. Names inside are torchvision's (`torchvision.ops.misc`).

use gradus_autograd::Var;
use gradus_nn::{BatchNorm2d, BatchNormOptions, Conv2d, Layer, Mode, Module, Sequential};
use gradus_tensor::random::with_default;
use gradus_tensor::{Error, Result, ResultExt, Tensor};

/// An activation chosen when the network is built.
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub(super) enum Activation {
    ReLU,
    ReLU6,
    SiLU,
    Sigmoid,
    Hardswish,
    Hardsigmoid,
}

impl Layer for Activation {
    fn forward(&self, x: &Var) -> Result<Var> {
        match self {
            Self::ReLU => x.relu(),
            Self::ReLU6 => x.relu6(),
            Self::SiLU => x.silu(),
            Self::Sigmoid => x.sigmoid(),
            Self::Hardswish => x.hardswish(),
            Self::Hardsigmoid => x.hardsigmoid(),
        }
    }
}

/// Options of a batch norm with this `eps` and this share of each batch.
pub(super) fn norm_options(eps: f64, momentum: f64) -> BatchNormOptions {
    BatchNormOptions {
        eps,
        momentum: Some(momentum),
        ..BatchNormOptions::default()
    }
}

/// A convolution without a bias, as those before a norm are; 3x3 ones are padded to keep the size.
pub(super) fn conv(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Result<Conv2d> {
    Conv2d::builder(inputs, outputs, kernel)
        .stride(stride)
        .padding(kernel / 2)
        .bias(false)
        .build()
}

/// Convolution, batch norm and activation in a row named 0, 1, 2: torchvision's `Conv2dNormActivation`.
pub(super) struct ConvNorm {
    inputs: usize,
    outputs: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
    groups: usize,
    norm: BatchNormOptions,
    activation: Option<Activation>,
}

impl ConvNorm {
    /// Stride 1, padded to keep the size, PyTorch's norm, ReLU.
    pub fn new(inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self {
            inputs,
            outputs,
            kernel,
            stride: 1,
            dilation: 1,
            groups: 1,
            norm: BatchNormOptions::default(),
            activation: Some(Activation::ReLU),
        }
    }

    pub fn stride(mut self, stride: usize) -> Self {
        self.stride = stride;
        self
    }

    pub fn dilation(mut self, dilation: usize) -> Self {
        self.dilation = dilation;
        self
    }

    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// Each channel for itself.
    pub fn depthwise(self) -> Self {
        let groups = self.inputs;
        self.groups(groups)
    }

    pub fn norm(mut self, norm: BatchNormOptions) -> Self {
        self.norm = norm;
        self
    }

    pub fn activation(mut self, activation: impl Into<Option<Activation>>) -> Self {
        self.activation = activation.into();
        self
    }

    pub fn build(self) -> Result<Sequential> {
        let conv = Conv2d::builder(self.inputs, self.outputs, self.kernel)
            .stride(self.stride)
            .padding((self.kernel - 1) / 2 * self.dilation)
            .dilation(self.dilation)
            .groups(self.groups)
            .bias(false)
            .build()?;
        let row = Sequential::new()
            .then(conv)
            .then(BatchNorm2d::with(self.outputs, self.norm)?);
        Ok(match self.activation {
            Some(activation) => row.then(activation),
            None => row,
        })
    }
}

/// Each channel times a number between 0 and 1 that depends on the means of all (Hu et al. 2017, arXiv:1709.01507).
#[derive(Module)]
pub(super) struct SqueezeExcitation {
    fc1: Conv2d,
    fc2: Conv2d,
    activation: Activation,
    scale: Activation,
}

impl SqueezeExcitation {
    pub fn new(
        channels: usize,
        squeezed: usize,
        activation: Activation,
        scale: Activation,
    ) -> Result<Self> {
        Ok(Self {
            fc1: Conv2d::new(channels, squeezed, 1)?,
            fc2: Conv2d::new(squeezed, channels, 1)?,
            activation,
            scale,
        })
    }
}

impl Layer for SqueezeExcitation {
    fn forward(&self, x: &Var) -> Result<Var> {
        let s = x.adaptive_avg_pool2d([1, 1])?; // (B, C, 1, 1)
        let s = self
            .activation
            .forward(&self.fc1.forward(&s).in_layer("fc1")?)?; // (B, squeezed, 1, 1)
        let s = self.scale.forward(&self.fc2.forward(&s).in_layer("fc2")?)?; // (B, C, 1, 1)
        x.mul(&s)
    }
}

/// In training, drops a branch for whole samples of the batch with probability `p`, and scales it up for the others
/// (Huang et al. 2016, arXiv:1603.09382; torchvision's mode "row").
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::Layer;
/// use gradus_tensor::{DType, Tensor};
/// use gradus_vision::models::StochasticDepth;
/// # fn main() -> gradus_tensor::Result<()> {
/// let x = Var::from(Tensor::ones([100, 2], DType::F32)?);
/// let y = StochasticDepth::new(0.5).forward(&x)?.value().to_vec::<f32>()?;
/// assert!(y.chunks(2).all(|sample| sample == [0.0, 0.0] || sample == [2.0, 2.0]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Module)]
pub struct StochasticDepth {
    /// The probability of being dropped.
    pub p: f64,
    mode: Mode,
}

impl StochasticDepth {
    /// Drops with probability `p`; `forward` fails unless it is in [0, 1].
    pub fn new(p: f64) -> Self {
        Self {
            p,
            mode: Mode::default(),
        }
    }
}

impl Layer for StochasticDepth {
    fn forward(&self, x: &Var) -> Result<Var> {
        if !(0.0..=1.0).contains(&self.p) {
            let message = format!("{} is not a probability", self.p);
            return Err(Error::value("StochasticDepth", message));
        }
        if !self.mode.is_training() || self.p == 0.0 {
            return Ok(x.clone());
        }
        let mut shape = vec![1; x.rank()];
        if let (Some(first), Some(&batch)) = (shape.first_mut(), x.dims().first()) {
            *first = batch; // (B, 1, ..)
        }
        let keep = 1.0 - self.p;
        let kept = with_default(|rng| Tensor::bernoulli(keep, shape, x, rng))?;
        let scale = if keep > 0.0 { 1.0 / keep } else { 0.0 };
        x.mul(&Var::from(kept.mul_scalar_(scale)?))
    }
}

/// A row of layers under a name and, when input and output are alike, the input added to what comes out of it.
#[derive(Module)]
pub(super) struct Residual {
    #[module(flatten)]
    row: Sequential,
    stochastic_depth: StochasticDepth,
    connected: bool,
}

impl Residual {
    /// Connected or not; in training the row is left out with probability `p`.
    pub fn new(name: &'static str, row: Sequential, connected: bool, p: f64) -> Self {
        Self {
            row: Sequential::new().then_named(name, row),
            stochastic_depth: StochasticDepth::new(p),
            connected,
        }
    }
}

impl Layer for Residual {
    fn forward(&self, x: &Var) -> Result<Var> {
        let y = self.row.forward(x)?;
        if self.connected {
            self.stochastic_depth.forward(&y)?.add(x)
        } else {
            Ok(y)
        }
    }
}

/// The mean of each map: (B, C, H, W) to (B, C).
#[derive(Clone, Copy, Module)]
pub(super) struct GlobalMean;

impl Layer for GlobalMean {
    fn forward(&self, x: &Var) -> Result<Var> {
        x.mean([2, 3], false)
    }
}

/// Branches side by side; what comes out of them is joined along the channels.
#[derive(Module)]
pub(super) struct Concat {
    #[module(flatten)]
    branches: Sequential,
}

impl Concat {
    pub fn new(branches: Sequential) -> Self {
        Self { branches }
    }
}

impl Layer for Concat {
    fn forward(&self, x: &Var) -> Result<Var> {
        let maps = self
            .branches
            .iter()
            .map(|(name, branch)| branch.forward(x).in_layer(name))
            .collect::<Result<Vec<Var>>>()?;
        Var::cat(&maps.iter().collect::<Vec<_>>(), 1)
    }
}

/// The multiple of `divisor` nearest to `value`, but no less than nine tenths of it: how the mobile networks round widths.
pub(super) fn make_divisible(value: f64, divisor: usize) -> usize {
    let step = divisor as f64;
    let nearest = (((value + step / 2.0) / step).floor() * step).max(step);
    let rounded = if nearest < 0.9 * value {
        nearest + step
    } else {
        nearest
    };
    rounded as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_rounded_as_the_papers_do() {
        for (value, expected) in [
            (32.0 * 1.1, 32),
            (3.0, 8),
            (11.0, 16),
            (16.0 * 1.4, 24),
            (28.0, 32),
        ] {
            assert_eq!(make_divisible(value, 8), expected, "{value}");
        }
    }

    #[test]
    fn a_residual_row_is_left_out_for_whole_samples() -> Result<()> {
        let x = Var::from(Tensor::ones([64, 1, 2, 2], gradus_tensor::DType::F32)?);
        let row = Sequential::new().then(Activation::ReLU);
        let mut block = Residual::new("block", row, true, 0.25);
        let kept = 1.0 + 1.0 / 0.75;
        let values = block.forward(&x)?.value().to_vec::<f32>()?;
        let all = |sample: &[f32], v: f32| sample.iter().all(|&s| (s - v).abs() < 1e-6);
        let dropped = values.chunks(4).filter(|s| all(s, 1.0)).count();
        assert!((4..30).contains(&dropped), "{dropped}");
        assert_eq!(
            values.chunks(4).filter(|s| all(s, kept)).count(),
            64 - dropped
        );
        block.eval();
        assert_eq!(block.forward(&x)?.value().to_vec::<f32>()?, vec![2.0; 256]);
        block.stochastic_depth.p = 2.0;
        assert!(block.forward(&x).is_err());
        Ok(())
    }
}
