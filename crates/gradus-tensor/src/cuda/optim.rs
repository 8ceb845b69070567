//! One step of an optimiser on a GPU, in one kernel, and the norm of gradients.

use std::sync::Arc;

use gradus_cpu::optim as cpu;
use gradus_cuda::Buffer;
use gradus_cuda::ops::optim::{self, Adam, Sgd, Step};

use super::{not_here, solid, together};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::storage::Storage;
use crate::tensor::Tensor;

/// The memory of a tensor to write, f32: its own, copied first if somebody else holds it.
fn own<'a>(op: &'static str, x: &'a mut Tensor) -> Result<&'a mut Buffer<f32>> {
    if x.dtype() != DType::F32 {
        return Err(super::no_kernel(op, x.dtype()));
    }
    *x = solid(x)?;
    if Arc::get_mut(&mut x.storage).is_none() {
        *x = super::copy::copy(x)?;
    }
    match Arc::get_mut(&mut x.storage) {
        Some(Storage::Cuda(buffer)) => Ok(buffer.typed_mut::<f32>()?),
        _ => Err(Error::memory(op, "a tensor to be written is shared")),
    }
}

/// One step of SGD.
pub(crate) fn sgd(
    options: cpu::Sgd,
    param: &mut Tensor,
    grad: &Tensor,
    velocity: Option<&mut Tensor>,
) -> Result<()> {
    let op = "sgd";
    together(op, &[param, grad])?;
    let grad = solid(grad)?;
    let first = velocity.map(|v| own(op, v)).transpose()?;
    let options = Sgd {
        lr: options.lr,
        momentum: options.momentum,
        dampening: options.dampening,
        weight_decay: options.weight_decay,
        nesterov: options.nesterov,
        maximize: options.maximize,
        first: options.first,
    };
    let step = Step {
        parameter: own(op, param)?,
        gradient: grad.cuda_solid::<f32>()?,
        first,
        second: None,
    };
    Ok(optim::sgd(options, &mut [step])?)
}

/// One step of Adam or AdamW.
pub(crate) fn adam(
    options: cpu::Adam,
    param: &mut Tensor,
    grad: &Tensor,
    exp_avg: &mut Tensor,
    exp_avg_sq: &mut Tensor,
    max: bool,
) -> Result<()> {
    let op = "adam";
    together(op, &[param, grad, exp_avg, exp_avg_sq])?;
    if max {
        return Err(not_here("adam with amsgrad", param.device()));
    }
    let grad = solid(grad)?;
    let options = Adam {
        lr: options.lr,
        betas: options.betas,
        eps: options.eps,
        weight_decay: options.weight_decay,
        decoupled: options.decoupled,
        maximize: options.maximize,
        step: options.step,
    };
    let step = Step {
        parameter: own(op, param)?,
        gradient: grad.cuda_solid::<f32>()?,
        first: Some(own(op, exp_avg)?),
        second: Some(own(op, exp_avg_sq)?),
    };
    Ok(optim::adam(options, &mut [step])?)
}
