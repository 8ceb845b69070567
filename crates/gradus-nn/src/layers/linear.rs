//! Affine maps: [`Linear`] of one input, [`Bilinear`] of two. Layout and default initialisation are PyTorch's.

use gradus_autograd::{Var, functional as F};
use gradus_tensor::{DType, Result};

use crate::init::default_uniform;
use crate::layer::Layer;
use crate::module::{Module, Param};

/// `y = x Wᵀ + b` over the last dimension: (.., in) to (.., out).
///
/// Weight (out, in) and bias (out) start uniform within `1/sqrt(in)`, as PyTorch's do.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Layer, Linear};
/// use gradus_tensor::{DType, Tensor};
/// # fn main() -> gradus_tensor::Result<()> {
/// let layer = Linear::new(8, 3)?;
/// let x = Var::from(Tensor::ones([5, 7, 8], DType::F32)?);
/// assert_eq!(layer.forward(&x)?.dims(), [5, 7, 3]);
/// assert!(Linear::builder(8, 3).bias(false).build()?.bias.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Module)]
pub struct Linear {
    /// (out, in)
    pub weight: Param,
    /// (out)
    pub bias: Option<Param>,
}

impl Linear {
    /// With a bias, in f32.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(in_features: usize, out_features: usize) -> Result<Self> {
        Self::builder(in_features, out_features).build()
    }

    /// With a choice of options.
    pub fn builder(in_features: usize, out_features: usize) -> LinearBuilder {
        LinearBuilder {
            in_features,
            out_features,
            bias: true,
            dtype: DType::F32,
        }
    }

    /// Size of the last dimension of its input.
    pub fn in_features(&self) -> usize {
        self.weight.shape()[1]
    }

    /// Size of the last dimension of its output.
    pub fn out_features(&self) -> usize {
        self.weight.shape()[0]
    }
}

impl Layer for Linear {
    fn forward(&self, x: &Var) -> Result<Var> {
        F::linear(x, self.weight.var(), self.bias.as_ref().map(Param::var)) // (.., out)
    }
}

/// Options of a [`Linear`].
#[derive(Clone, Debug)]
pub struct LinearBuilder {
    in_features: usize,
    out_features: usize,
    bias: bool,
    dtype: DType,
}

impl LinearBuilder {
    /// With a bias (it is) or without.
    #[must_use]
    pub fn bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Of this dtype (f32).
    #[must_use]
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = dtype;
        self
    }

    /// The layer.
    ///
    /// # Errors
    /// When the memory cannot be had or the dtype is not a float.
    pub fn build(self) -> Result<Linear> {
        let Self {
            in_features,
            out_features,
            bias,
            dtype,
        } = self;
        let weight = Param::new(default_uniform(
            [out_features, in_features],
            in_features,
            dtype,
        )?)?;
        let bias = if bias {
            Some(Param::new(default_uniform(
                [out_features],
                in_features,
                dtype,
            )?)?)
        } else {
            None
        };
        Ok(Linear { weight, bias })
    }
}

/// `y[k] = x1ᵀ A[k] x2 + b[k]`: (.., in1) and (.., in2) to (.., out).
#[derive(Clone, Debug, Module)]
pub struct Bilinear {
    /// (out, in1, in2)
    pub weight: Param,
    /// (out)
    pub bias: Option<Param>,
}

impl Bilinear {
    /// In f32; weight and bias start uniform within `1/sqrt(in1)`.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(
        in1_features: usize,
        in2_features: usize,
        out_features: usize,
        bias: bool,
    ) -> Result<Self> {
        let weight = default_uniform(
            [out_features, in1_features, in2_features],
            in1_features,
            DType::F32,
        )?;
        let bias = if bias {
            Some(Param::new(default_uniform(
                [out_features],
                in1_features,
                DType::F32,
            )?)?)
        } else {
            None
        };
        Ok(Self {
            weight: Param::new(weight)?,
            bias,
        })
    }

    /// The output for two inputs whose leading dimensions agree.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x1: &Var, x2: &Var) -> Result<Var> {
        F::bilinear(
            x1,
            x2,
            self.weight.var(),
            self.bias.as_ref().map(Param::var),
        )
    }
}
