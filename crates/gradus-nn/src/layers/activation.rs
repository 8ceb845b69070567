//! The activations, one line each: names, arguments and defaults of `torch.nn`. The functions themselves, with their
//! gradients, are `Var`'s methods.

use gradus_autograd::{Var, functional as F};
use gradus_tensor::{DType, Result, Tensor};

use crate::layer::Layer;
use crate::module::{Mode, Module, Param};

/// Activations without arguments.
macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident => $function:path;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Module)]
        pub struct $name;

        impl Layer for $name {
            fn forward(&self, x: &Var) -> Result<Var> {
                $function(x)
            }
        }
    )*};
}

plain! {
    /// `max(x, 0)`.
    ReLU => Var::relu;
    /// `min(max(x, 0), 6)`.
    ReLU6 => Var::relu6;
    /// `1 / (1 + exp(-x))`.
    Sigmoid => Var::sigmoid;
    /// The hyperbolic tangent.
    Tanh => Var::tanh;
    /// `x · sigmoid(x)`, also called swish.
    SiLU => Var::silu;
    /// `x · tanh(softplus(x))`.
    Mish => Var::mish;
    /// The scaled exponential unit, which keeps mean and variance (Klambauer et al. 2017).
    SELU => Var::selu;
    /// `log(sigmoid(x))`.
    LogSigmoid => Var::logsigmoid;
    /// `x / (1 + |x|)`.
    Softsign => Var::softsign;
    /// `x - tanh(x)`.
    Tanhshrink => Var::tanhshrink;
    /// A sigmoid of straight lines.
    Hardsigmoid => Var::hardsigmoid;
    /// `x · hardsigmoid(x)`.
    Hardswish => Var::hardswish;
}

/// Activations with numbers as arguments.
macro_rules! with_arguments {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty = $default:expr),* } => |$self_:ident, $x:ident| $forward:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Module)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }

        impl Layer for $name {
            fn forward(&self, $x: &Var) -> Result<Var> {
                let $self_ = self;
                $forward
            }
        }
    )*};
}

pub(super) use with_arguments;

with_arguments! {
    /// `x Φ(x)` with the normal distribution's Φ, or its approximation by tanh (Hendrycks and Gimpel 2016).
    GELU {
        /// Use the approximation, as GPT-2 does.
        tanh: bool = false
    } => |s, x| if s.tanh { x.gelu_tanh() } else { x.gelu() };
    /// `x` above 0, `slope · x` below.
    LeakyReLU {
        /// 0.01.
        negative_slope: f64 = 0.01
    } => |s, x| x.leaky_relu(s.negative_slope);
    /// `x` above 0, `alpha (exp(x) - 1)` below.
    ELU {
        /// 1.
        alpha: f64 = 1.0
    } => |s, x| x.elu(s.alpha);
    /// `max(x, 0) + min(alpha (exp(x / alpha) - 1), 0)`.
    CELU {
        /// 1.
        alpha: f64 = 1.0
    } => |s, x| x.celu(s.alpha);
    /// `log(1 + exp(beta x)) / beta`, and `x` itself where `beta x` is above the threshold.
    Softplus {
        /// 1.
        beta: f64 = 1.0,
        /// 20.
        threshold: f64 = 20.0
    } => |s, x| x.softplus(s.beta, s.threshold);
    /// `x` held between two values.
    Hardtanh {
        /// -1.
        min_val: f64 = -1.0,
        /// 1.
        max_val: f64 = 1.0
    } => |s, x| x.hardtanh(s.min_val, s.max_val);
    /// 0 within `lambda` of 0, `x` outside.
    Hardshrink {
        /// 0.5.
        lambda: f64 = 0.5
    } => |s, x| x.hardshrink(s.lambda);
    /// 0 within `lambda` of 0, `x` moved by `lambda` towards 0 outside.
    Softshrink {
        /// 0.5.
        lambda: f64 = 0.5
    } => |s, x| x.softshrink(s.lambda);
    /// `x` above the threshold, `value` elsewhere.
    Threshold {
        /// 0.
        threshold: f64 = 0.0,
        /// 0.
        value: f64 = 0.0
    } => |s, x| x.threshold(s.threshold, s.value);
}

/// `x` above 0; below, `x` times a slope drawn for each element in training, and the mean slope in evaluation (Xu et al. 2015).
#[derive(Clone, Copy, Debug, Module)]
pub struct RReLU {
    /// 1/8.
    pub lower: f64,
    /// 1/3.
    pub upper: f64,
    mode: Mode,
}

impl RReLU {
    /// With slopes between these two.
    pub fn new(lower: f64, upper: f64) -> Self {
        Self {
            lower,
            upper,
            mode: Mode::Training,
        }
    }
}

impl Default for RReLU {
    fn default() -> Self {
        Self::new(1.0 / 8.0, 1.0 / 3.0)
    }
}

impl Layer for RReLU {
    fn forward(&self, x: &Var) -> Result<Var> {
        F::rrelu(x, self.lower, self.upper, self.mode.is_training())
    }
}

/// `x` above 0, a learned slope below: one for all, or one for each channel (dimension 1).
#[derive(Clone, Debug, Module)]
pub struct PReLU {
    /// (1) or (C), starting at 0.25.
    pub weight: Param,
}

impl PReLU {
    /// With one slope (`num_parameters` 1) or one for each of the channels.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(num_parameters: usize) -> Result<Self> {
        Ok(Self {
            weight: Param::new(Tensor::full([num_parameters], 0.25, DType::F32)?)?,
        })
    }
}

impl Layer for PReLU {
    fn forward(&self, x: &Var) -> Result<Var> {
        F::prelu(x, self.weight.var())
    }
}
