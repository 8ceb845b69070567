//! Instance normalisation: mean 0 and variance 1 of each channel of each sample; by PyTorch's defaults without weight, bias and
//! running statistics. Names and the rule of the running statistics are `torch.nn`'s.
//! Source: Ulyanov, Vedaldi and Lempitsky 2016 (arXiv:1607.08022).

use gradus_autograd::{Var, functional as F};
use gradus_tensor::{DType, Error, Result, Tensor};

use super::batch_norm::follow;
use crate::layer::Layer;
use crate::module::{Buffer, Mode, Module, Param};

/// Options of an instance norm; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InstanceNormOptions {
    /// Added to the variance (1e-5).
    pub eps: f64,
    /// How much of the running statistics each batch replaces (0.1).
    pub momentum: f64,
    /// With weight and bias (no).
    pub affine: bool,
    /// Keep running statistics, and use them in evaluation (no).
    pub track_running_stats: bool,
}

impl Default for InstanceNormOptions {
    fn default() -> Self {
        Self {
            eps: 1e-5,
            momentum: 0.1,
            affine: false,
            track_running_stats: false,
        }
    }
}

/// One layer for each number of dimensions; they differ in what they accept.
macro_rules! instance_norms {
    ($($(#[$doc:meta])* $name:ident, $rank:literal, $accepts:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Module)]
        pub struct $name {
            /// (C), ones at first.
            pub weight: Option<Param>,
            /// (C), zeros at first.
            pub bias: Option<Param>,
            /// (C), zeros at first.
            pub running_mean: Option<Buffer>,
            /// (C), ones at first; unbiased.
            pub running_var: Option<Buffer>,
            /// i64; PyTorch keeps it at 0.
            pub num_batches_tracked: Option<Buffer>,
            /// C
            pub num_features: usize,
            /// Added to the variance.
            pub eps: f64,
            /// How much of the running statistics each batch replaces.
            pub momentum: f64,
            mode: Mode,
        }

        impl $name {
            /// For this many channels, with or without weight and bias, without running statistics, in f32.
            ///
            /// # Errors
            /// When the memory cannot be had.
            pub fn new(num_features: usize, affine: bool) -> Result<Self> {
                Self::with(num_features, InstanceNormOptions { affine, ..InstanceNormOptions::default() })
            }

            /// With a choice of options.
            ///
            /// # Errors
            /// When the memory cannot be had.
            pub fn with(num_features: usize, options: InstanceNormOptions) -> Result<Self> {
                let full = |value: f64| Tensor::full([num_features], value, DType::F32);
                let param = |value: f64| options.affine.then(|| Param::new(full(value)?)).transpose();
                let tracks = options.track_running_stats;
                let buffer = |value: f64| tracks.then(|| full(value).map(Buffer::new)).transpose();
                let count = || Tensor::zeros((), DType::I64).map(Buffer::new);
                Ok(Self {
                    weight: param(1.0)?,
                    bias: param(0.0)?,
                    running_mean: buffer(0.0)?,
                    running_var: buffer(1.0)?,
                    num_batches_tracked: tracks.then(count).transpose()?,
                    num_features,
                    eps: options.eps,
                    momentum: options.momentum,
                    mode: Mode::Training,
                })
            }
        }

        impl Layer for $name {
            fn forward(&self, x: &Var) -> Result<Var> {
                let batched = match x.rank() {
                    $rank => x.unsqueeze(0)?,
                    rank if rank == $rank + 1 => x.clone(),
                    _ => return Err(Error::shape(stringify!($name), format!("{} is not {}", x.shape(), $accepts))),
                };
                let channels = batched.dims()[1];
                if channels != self.num_features {
                    let message = format!("{} has {channels} channels, the layer {}; it takes {}",
                        x.shape(), self.num_features, $accepts);
                    return Err(Error::shape(stringify!($name), message));
                }
                let (weight, bias) = (self.weight.as_ref().map(Param::var), self.bias.as_ref().map(Param::var));
                let running = self.running_mean.as_ref().zip(self.running_var.as_ref());
                let y = match running {
                    Some((mean, var)) if !self.mode.is_training() => {
                        F::instance_norm(&batched, Some((&mean.get(), &var.get())), weight, bias, self.eps)?
                    }
                    _ => F::instance_norm(&batched, None, weight, bias, self.eps)?,
                };
                if let (Some((mean, var)), true) = (running, self.mode.is_training()) {
                    let each = batched.value().flatten(2, -1)?; // (B, C, …)
                    follow(mean, &each.mean(-1, false)?.mean(0, false)?, self.momentum)?;
                    follow(var, &each.var(-1, 1.0, false)?.mean(0, false)?, self.momentum)?;
                }
                if x.rank() == $rank { y.squeeze(0) } else { Ok(y) }
            }
        }
    )*};
}

instance_norms! {
    /// Instance norm of (B, C, L) or (C, L).
    InstanceNorm1d, 2, "(B, C, L) or (C, L)";
    /// Instance norm of (B, C, H, W) or (C, H, W).
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_nn::{InstanceNorm2d, Layer};
    /// use gradus_tensor::Tensor;
    /// # fn main() -> gradus_tensor::Result<()> {
    /// let x = Var::from(Tensor::from_slice(&[1f32, 3.0, 10.0, 30.0], [1, 2, 1, 2])?);
    /// let y = InstanceNorm2d::new(2, false)?.forward(&x)?.value().to_vec::<f32>()?;
    /// assert!(y.iter().zip([-1.0, 1.0, -1.0, 1.0]).all(|(y, e): (&f32, f32)| (y - e).abs() < 1e-4));
    /// # Ok(())
    /// # }
    /// ```
    InstanceNorm2d, 3, "(B, C, H, W) or (C, H, W)";
    /// Instance norm of (B, C, D, H, W) or (C, D, H, W).
    InstanceNorm3d, 4, "(B, C, D, H, W) or (C, D, H, W)";
}
