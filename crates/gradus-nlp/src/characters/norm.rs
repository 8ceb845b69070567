//! Batch normalisation as the lectures write it: the variance of a batch is the unbiased one, here and in the running statistics.
//! [`BatchNorm1d`](gradus_nn::BatchNorm1d), as PyTorch has it, divides by the biased one in training; on 32 samples the difference shows
//! in the third digit of a loss.

use gradus_autograd::Var;
use gradus_nn::{Buffer, Layer, Mode, Module, Param};
use gradus_tensor::{DType, Result, Tensor};

/// Mean 0 and variance 1 of each channel over the rest, then scaled and shifted: (…, C) to the same.
///
/// Source: `BatchNorm1d` of A. Karpathy's "makemore", parts 3 and 5 (there the batch is (N, C) or (N, L, C)).
#[derive(Clone, Debug, Module)]
pub struct CharNorm {
    /// (C), ones at first.
    pub gamma: Param,
    /// (C), zeros at first.
    pub beta: Param,
    /// (C), zeros at first.
    pub running_mean: Buffer,
    /// (C), ones at first.
    pub running_var: Buffer,
    /// Added to the variance (1e-5).
    pub eps: f64,
    /// How much of the running statistics each batch replaces.
    pub momentum: f64,
    mode: Mode,
}

impl CharNorm {
    /// For this many channels.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn new(channels: usize, momentum: f64) -> Result<Self> {
        let (zeros, ones) = (
            Tensor::zeros([channels], DType::F32)?,
            Tensor::ones([channels], DType::F32)?,
        );
        Ok(Self {
            gamma: Param::new(ones.clone())?,
            beta: Param::new(zeros.clone())?,
            running_mean: Buffer::new(zeros),
            running_var: Buffer::new(ones),
            eps: 1e-5,
            momentum,
            mode: Mode::Training,
        })
    }

    fn track(&self, running: &Buffer, now: &Var) -> Result<()> {
        let now = now.value().flatten(0, -1)?.mul_scalar_(self.momentum)?;
        running.set(running.get().mul_scalar(1.0 - self.momentum)?.add_(&now)?);
        Ok(())
    }
}

impl Layer for CharNorm {
    fn forward(&self, x: &Var) -> Result<Var> {
        let (mean, variance) = if self.mode.is_training() {
            let dims: Vec<isize> = (0..x.rank() as isize - 1).collect();
            let mean = x.mean(&dims[..], true)?; // (1, …, C)
            let variance = x.var(&dims[..], 1.0, true)?;
            self.track(&self.running_mean, &mean)?;
            self.track(&self.running_var, &variance)?;
            (mean, variance)
        } else {
            (
                Var::from(self.running_mean.get()),
                Var::from(self.running_var.get()),
            )
        };
        let deviation = variance.add_scalar(self.eps)?.sqrt()?;
        let normal = x.sub(&mean)?.div(&deviation)?;
        normal.mul(self.gamma.var())?.add(self.beta.var())
    }
}
