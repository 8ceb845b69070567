//! Activations by the names configurations give them. Source: `ACT2FN` in Hugging Face's `activations.py`; those with parameters of
//! their own (`prelu`, `xielu`) are left out.

use std::fmt;
use std::str::FromStr;

use gradus_autograd::Var;
use gradus_nn::{Part, PartMut, Path, Visit};
use gradus_tensor::{Error, Result};

/// A function of one number, applied to each.
///
/// ```
/// use gradus_nlp::models::Activation;
/// let activation: Activation = "gelu_new".parse()?;
/// assert_eq!(activation, Activation::GeluTanh);
/// assert!("gelo".parse::<Activation>().unwrap_err().to_string().contains("gelu_new"));
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x Φ(x)`: `gelu`, `gelu_python`.
    Gelu,
    /// Its approximation by tanh: `gelu_new`, `gelu_pytorch_tanh`, `gelu_fast`, `gelu_accurate`, `gelu_python_tanh`.
    GeluTanh,
    /// `gelu_10`: GELU held within ±10.
    Gelu10,
    /// `quick_gelu`: `x · sigmoid(1.702 x)`.
    QuickGelu,
    /// `relu`.
    Relu,
    /// `relu2`: the square of `max(x, 0)`.
    Relu2,
    /// `relu6`.
    Relu6,
    /// `leaky_relu`, of slope 0.01.
    LeakyRelu,
    /// `silu`, `swish`.
    Silu,
    /// `mish`.
    Mish,
    /// `sigmoid`.
    Sigmoid,
    /// `tanh`.
    Tanh,
    /// `hardswish`.
    Hardswish,
    /// `sqrtsoftplus`: the square root of `log(1 + exp(x))`.
    SqrtSoftplus,
    /// `laplace`: the distribution function of a normal with mean √½ and deviation √(1/4π).
    Laplace,
    /// `linear`: the number itself.
    Linear,
}

/// Names, the first of each being its own.
const NAMES: [(&str, Activation); 22] = [
    ("gelu", Activation::Gelu),
    ("gelu_python", Activation::Gelu),
    ("gelu_new", Activation::GeluTanh),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
    ("gelu_python_tanh", Activation::GeluTanh),
    ("gelu_fast", Activation::GeluTanh),
    ("gelu_accurate", Activation::GeluTanh),
    ("gelu_10", Activation::Gelu10),
    ("quick_gelu", Activation::QuickGelu),
    ("relu", Activation::Relu),
    ("relu2", Activation::Relu2),
    ("relu6", Activation::Relu6),
    ("leaky_relu", Activation::LeakyRelu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("mish", Activation::Mish),
    ("sigmoid", Activation::Sigmoid),
    ("tanh", Activation::Tanh),
    ("hardswish", Activation::Hardswish),
    ("sqrtsoftplus", Activation::SqrtSoftplus),
    ("laplace", Activation::Laplace),
    ("linear", Activation::Linear),
];

impl Activation {
    /// The function's values; the shape stays.
    ///
    /// # Errors
    /// When memory cannot be had.
    pub fn forward(self, x: &Var) -> Result<Var> {
        match self {
            Self::Gelu => x.gelu(),
            Self::GeluTanh => x.gelu_tanh(),
            Self::Gelu10 => x.gelu()?.clamp(Some(-10.0), Some(10.0)),
            Self::QuickGelu => x.mul(&x.mul_scalar(1.702)?.sigmoid()?),
            Self::Relu => x.relu(),
            Self::Relu2 => x.relu()?.square(),
            Self::Relu6 => x.relu6(),
            Self::LeakyRelu => x.leaky_relu(0.01),
            Self::Silu => x.silu(),
            Self::Mish => x.mish(),
            Self::Sigmoid => x.sigmoid(),
            Self::Tanh => x.tanh(),
            Self::Hardswish => x.hardswish(),
            Self::SqrtSoftplus => x.softplus(1.0, 20.0)?.sqrt(),
            Self::Laplace => {
                // The reference's rounded constants.
                #[allow(clippy::approx_constant)] // to as many digits as the reference has it
                let (mean, deviation) = (0.707107, 0.282095);
                let z = x
                    .sub_scalar(mean)?
                    .div_scalar(deviation * std::f64::consts::SQRT_2)?;
                z.erf()?.add_scalar(1.0)?.mul_scalar(0.5)
            }
            Self::Linear => Ok(x.clone()),
        }
    }
}

impl FromStr for Activation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match NAMES.iter().find(|(name, _)| *name == text) {
            Some((_, activation)) => Ok(*activation),
            None => {
                let known = NAMES.map(|(name, _)| name).join(", ");
                let text = format!("there is no activation {text:?}; there are: {known}");
                Err(Error::value("", text))
            }
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = NAMES.iter().find(|(_, activation)| activation == self);
        f.write_str(own.map_or("", |(name, _)| name))
    }
}

/// A setting: a module may have one as a field, and the walk finds nothing in it.
impl Visit for Activation {
    fn visit<'a>(&'a self, _: &mut Path, _: &mut dyn FnMut(&Path, Part<'a>)) {}
    fn visit_mut<'a>(&'a mut self, _: &mut Path, _: &mut dyn FnMut(&Path, PartMut<'a>)) {}
}
