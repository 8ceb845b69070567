//! Normalisation over features: [`LayerNorm`], [`RMSNorm`], [`GroupNorm`], [`LocalResponseNorm`]. They keep no statistics; those that
//! do are in `batch_norm.rs` and `instance_norm.rs`. Names and defaults are `torch.nn`'s.

use gradus_autograd::{Var, functional as F};
use gradus_tensor::{DType, Error, Result, Tensor};

use crate::layer::Layer;
use crate::module::{Module, Param};

fn filled(shape: &[usize], value: f64) -> Result<Param> {
    Param::new(Tensor::full(shape, value, DType::F32)?)
}

/// Mean 0 and variance 1 over the last dimensions, then scaled and shifted (Ba, Kiros and Hinton 2016, arXiv:1607.06450).
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Layer, LayerNorm};
/// use gradus_tensor::Tensor;
/// # fn main() -> gradus_tensor::Result<()> {
/// let norm = LayerNorm::new([2])?;
/// let y = norm.forward(&Var::from(Tensor::from_slice(&[1.0_f32, 3.0], [1, 2])?))?;
/// let y = y.value().to_vec::<f32>()?;
/// assert!((y[0] + 1.0).abs() < 1e-4 && (y[1] - 1.0).abs() < 1e-4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Module)]
pub struct LayerNorm {
    /// The normalised shape, ones at first.
    pub weight: Option<Param>,
    /// The normalised shape, zeros at first.
    pub bias: Option<Param>,
    /// The last dimensions, those that are normalised.
    pub normalized_shape: Vec<usize>,
    /// Added to the variance (1e-5).
    pub eps: f64,
}

impl LayerNorm {
    /// Over the last dimensions, which have this shape; with weight and bias.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(normalized_shape: impl Into<Vec<usize>>) -> Result<Self> {
        Self::with(normalized_shape, 1e-5, true, true)
    }

    /// With this `eps`, with or without weight (`affine`) and, if with, with or without bias.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn with(
        normalized_shape: impl Into<Vec<usize>>,
        eps: f64,
        affine: bool,
        bias: bool,
    ) -> Result<Self> {
        let shape = normalized_shape.into();
        let weight = if affine {
            Some(filled(&shape, 1.0)?)
        } else {
            None
        };
        let bias = if affine && bias {
            Some(filled(&shape, 0.0)?)
        } else {
            None
        };
        Ok(Self {
            weight,
            bias,
            normalized_shape: shape,
            eps,
        })
    }
}

impl Layer for LayerNorm {
    fn forward(&self, x: &Var) -> Result<Var> {
        let (weight, bias) = (
            self.weight.as_ref().map(Param::var),
            self.bias.as_ref().map(Param::var),
        );
        F::layer_norm(x, &self.normalized_shape, weight, bias, self.eps)
    }
}

/// Divided by the root mean square over the last dimensions, then scaled (Zhang and Sennrich 2019, arXiv:1910.07467).
#[derive(Clone, Debug, Module)]
pub struct RMSNorm {
    /// The normalised shape, ones at first.
    pub weight: Option<Param>,
    /// The last dimensions, those that are normalised.
    pub normalized_shape: Vec<usize>,
    /// Added to the mean square; `None` is the dtype's epsilon, as in PyTorch.
    pub eps: Option<f64>,
}

impl RMSNorm {
    /// Over the last dimensions, which have this shape; with a weight, and the dtype's epsilon.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(normalized_shape: impl Into<Vec<usize>>) -> Result<Self> {
        Self::with(normalized_shape, None, true)
    }

    /// With this `eps`, with or without weight.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn with(
        normalized_shape: impl Into<Vec<usize>>,
        eps: Option<f64>,
        affine: bool,
    ) -> Result<Self> {
        let shape = normalized_shape.into();
        let weight = if affine {
            Some(filled(&shape, 1.0)?)
        } else {
            None
        };
        Ok(Self {
            weight,
            normalized_shape: shape,
            eps,
        })
    }
}

impl Layer for RMSNorm {
    fn forward(&self, x: &Var) -> Result<Var> {
        F::rms_norm(
            x,
            &self.normalized_shape,
            self.weight.as_ref().map(Param::var),
            self.eps,
        )
    }
}

/// Mean 0 and variance 1 over groups of channels of each sample (B, C, …) (Wu and He 2018, arXiv:1803.08494).
#[derive(Clone, Debug, Module)]
pub struct GroupNorm {
    /// (C), ones at first.
    pub weight: Option<Param>,
    /// (C), zeros at first.
    pub bias: Option<Param>,
    /// How many groups the channels make.
    pub num_groups: usize,
    /// Added to the variance (1e-5).
    pub eps: f64,
}

impl GroupNorm {
    /// `num_channels` in `num_groups` groups, with weight and bias.
    ///
    /// # Errors
    /// When the groups do not divide the channels, or the memory cannot be had.
    pub fn new(num_groups: usize, num_channels: usize) -> Result<Self> {
        Self::with(num_groups, num_channels, 1e-5, true)
    }

    /// With this `eps`, with or without weight and bias.
    ///
    /// # Errors
    /// As [`GroupNorm::new`].
    pub fn with(num_groups: usize, num_channels: usize, eps: f64, affine: bool) -> Result<Self> {
        if num_groups == 0 || !num_channels.is_multiple_of(num_groups) {
            return Err(Error::value(
                "GroupNorm",
                format!(
                    "{num_channels} channels do not divide into {num_groups} groups; choose num_groups that divides them"
                ),
            ));
        }
        let weight = if affine {
            Some(filled(&[num_channels], 1.0)?)
        } else {
            None
        };
        let bias = if affine {
            Some(filled(&[num_channels], 0.0)?)
        } else {
            None
        };
        Ok(Self {
            weight,
            bias,
            num_groups,
            eps,
        })
    }
}

impl Layer for GroupNorm {
    fn forward(&self, x: &Var) -> Result<Var> {
        let (weight, bias) = (
            self.weight.as_ref().map(Param::var),
            self.bias.as_ref().map(Param::var),
        );
        F::group_norm(x, self.num_groups, weight, bias, self.eps)
    }
}

/// Divided by a power of the mean square over neighbouring channels: (B, C, …) (Krizhevsky, Sutskever and Hinton 2012).
#[derive(Clone, Copy, Debug, PartialEq, Module)]
pub struct LocalResponseNorm {
    /// How many channels count.
    pub size: usize,
    /// 1e-4.
    pub alpha: f64,
    /// 0.75.
    pub beta: f64,
    /// 1.
    pub k: f64,
}

impl LocalResponseNorm {
    /// Over this many channels, with PyTorch's defaults.
    pub fn new(size: usize) -> Self {
        Self {
            size,
            alpha: 1e-4,
            beta: 0.75,
            k: 1.0,
        }
    }
}

impl Layer for LocalResponseNorm {
    fn forward(&self, x: &Var) -> Result<Var> {
        F::local_response_norm(x, self.size, self.alpha, self.beta, self.k)
    }
}
