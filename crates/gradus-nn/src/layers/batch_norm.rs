//! Batch normalisation: mean 0 and variance 1 of each channel over the batch, and running statistics for when there is no batch
//! to speak of. Names, defaults and the unbiased running variance are `torch.nn`'s.
//! Source: Ioffe and Szegedy 2015 (arXiv:1502.03167).

use gradus_autograd::{Var, functional as F};
use gradus_tensor::{DType, Error, Result, Tensor};

use crate::layer::Layer;
use crate::module::{Buffer, Mode, Module, Param};

/// Options of a batch norm; the defaults are PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNormOptions {
    /// Added to the variance (1e-5).
    pub eps: f64,
    /// How much of the running statistics each batch replaces (0.1); `None` is the plain mean of all batches.
    pub momentum: Option<f64>,
    /// With weight and bias (it is).
    pub affine: bool,
    /// Keep running statistics, and use them in evaluation (yes).
    pub track_running_stats: bool,
}

impl Default for BatchNormOptions {
    fn default() -> Self {
        Self {
            eps: 1e-5,
            momentum: Some(0.1),
            affine: true,
            track_running_stats: true,
        }
    }
}

/// One layer for each number of dimensions; they differ in what they accept.
macro_rules! batch_norms {
    ($($(#[$doc:meta])* $name:ident, $ranks:pat, $accepts:literal;)*) => {$(
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
            /// How many batches have been seen: i64.
            pub num_batches_tracked: Option<Buffer>,
            /// Added to the variance.
            pub eps: f64,
            /// How much of the running statistics each batch replaces.
            pub momentum: Option<f64>,
            mode: Mode,
        }

        impl $name {
            /// For this many channels, with PyTorch's defaults, in f32.
            ///
            /// # Errors
            /// When the memory cannot be had.
            pub fn new(num_features: usize) -> Result<Self> {
                Self::with(num_features, BatchNormOptions::default())
            }

            /// With a choice of options.
            ///
            /// # Errors
            /// When the memory cannot be had.
            pub fn with(num_features: usize, options: BatchNormOptions) -> Result<Self> {
                let full = |value: f64| Tensor::full([num_features], value, DType::F32);
                let param = |value: f64| options.affine.then(|| Param::new(full(value)?)).transpose();
                let buffer = |value: f64| options.track_running_stats.then(|| full(value).map(Buffer::new)).transpose();
                Ok(Self {
                    weight: param(1.0)?,
                    bias: param(0.0)?,
                    running_mean: buffer(0.0)?,
                    running_var: buffer(1.0)?,
                    num_batches_tracked: buffer(0.0)?.map(|_| Tensor::zeros((), DType::I64).map(Buffer::new)).transpose()?,
                    eps: options.eps,
                    momentum: options.momentum,
                    mode: Mode::Training,
                })
            }
        }

        impl Layer for $name {
            fn forward(&self, x: &Var) -> Result<Var> {
                if !matches!(x.rank(), $ranks) {
                    return Err(Error::shape(stringify!($name), format!("{} is not {}", x.shape(), $accepts)));
                }
                let (weight, bias) = (self.weight.as_ref().map(Param::var), self.bias.as_ref().map(Param::var));
                let running = self.running_mean.as_ref().zip(self.running_var.as_ref());
                let training = self.mode.is_training();
                let Some((mean, var)) = running else {
                    return F::batch_norm(x, None, weight, bias, training, self.eps);
                };
                if !training {
                    return F::batch_norm(x, Some((&mean.get(), &var.get())), weight, bias, false, self.eps);
                }
                let y = F::batch_norm(x, None, weight, bias, true, self.eps)?;
                let batches = count(self.num_batches_tracked.as_ref())?;
                let share = match (self.momentum, batches) {
                    (Some(share), _) => share,
                    (None, Some(batches)) => 1.0 / batches.to_f64()?, // read only here: a GPU would have to be waited for
                    (None, None) => 1.0,
                };
                let (batch_mean, batch_var) = x.value().batch_norm_stats()?; // (C) each
                let n = (x.numel() / batch_mean.numel().max(1)) as f64;
                follow(mean, &batch_mean, share)?;
                follow(var, &batch_var.mul_scalar_(n / (n - 1.0))?, share)?; // unbiased
                Ok(y)
            }
        }
    )*};
}

batch_norms! {
    /// Batch norm of (B, C) or (B, C, L).
    BatchNorm1d, 2..=3, "(B, C) or (B, C, L); for pictures (B, C, H, W) take BatchNorm2d";
    /// Batch norm of (B, C, H, W).
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_nn::{BatchNorm2d, Layer, Module};
    /// use gradus_tensor::{DType, Tensor};
    /// # fn main() -> gradus_tensor::Result<()> {
    /// let mut norm = BatchNorm2d::new(3)?;
    /// let x = Var::from(Tensor::full([2, 3, 4, 4], 5.0, DType::F32)?);
    /// assert_eq!(norm.forward(&x)?.value().to_vec::<f32>()?[0], 0.0); // by the batch's own mean
    /// norm.eval();
    /// assert!(norm.forward(&x)?.value().to_vec::<f32>()?[0] > 4.0); // by the running one, 0.5 so far
    /// # Ok(())
    /// # }
    /// ```
    BatchNorm2d, 4, "(B, C, H, W); for (B, C) or (B, C, L) take BatchNorm1d";
    /// Batch norm of (B, C, D, H, W).
    BatchNorm3d, 5, "(B, C, D, H, W); for (B, C, H, W) take BatchNorm2d";
}

/// One batch more: how many there have been.
fn count(batches: Option<&Buffer>) -> Result<Option<Tensor>> {
    let Some(batches) = batches else {
        return Ok(None);
    };
    let now = batches.get().add_scalar(1)?;
    batches.set(now.clone());
    Ok(Some(now))
}

/// Moves a running statistic towards the batch's by `share`.
pub(super) fn follow(running: &Buffer, batch: &Tensor, share: f64) -> Result<()> {
    let now = running.get();
    let batch = batch.to_dtype(now.dtype())?.mul_scalar_(share)?;
    let next = now.mul_scalar(1.0 - share)?.add_(&batch)?;
    drop(now); // the buffer is its memory's only holder again
    running.set(next);
    Ok(())
}
