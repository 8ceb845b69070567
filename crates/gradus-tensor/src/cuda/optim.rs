//! Steps of an optimiser on a GPU, one kernel for all parameters given, and the norm of gradients.

use std::sync::Arc;

use gradus_cpu::optim as cpu;
use gradus_cuda::Buffer;
use gradus_cuda::ops::optim::{self as kernel, Kept};

use super::{solid, together};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::nn::optim::{Rule, Step};
use crate::storage::Storage;
use crate::tensor::Tensor;

/// Makes a tensor's memory its own and f32, so that it can be written.
fn make_own(op: &'static str, x: &mut Tensor) -> Result<()> {
    if x.dtype() != DType::F32 {
        return Err(super::no_kernel(op, x.dtype()));
    }
    *x = solid(x)?;
    if Arc::get_mut(&mut x.storage).is_none() {
        *x = super::copy::copy(x)?;
    }
    Ok(())
}

/// The memory to write.
fn own<'a>(op: &'static str, x: &'a mut Tensor) -> Result<&'a mut Buffer<f32>> {
    match Arc::get_mut(&mut x.storage) {
        Some(Storage::Cuda(buffer)) => Ok(buffer.typed_mut::<f32>()?),
        _ => Err(Error::memory(op, "a tensor to be written is shared")),
    }
}

/// One step of a rule for all parameters in `steps`, which lie on one GPU and are f32, as are their states.
pub(crate) fn all(rule: &Rule, steps: &mut [Step<'_>], kept: &mut Kept) -> Result<()> {
    let op = rule.name();
    let mut gradients = Vec::with_capacity(steps.len());
    for step in steps.iter_mut() {
        together(op, &[step.param, step.grad])?;
        make_own(op, step.param)?;
        for state in step.state.iter_mut().flatten() {
            together(op, &[step.param, state])?;
            make_own(op, state)?;
        }
        gradients.push(solid(step.grad)?);
    }
    let mut ready = Vec::with_capacity(steps.len());
    for (step, gradient) in steps.iter_mut().zip(&gradients) {
        let mut states = step.state.iter_mut().map(|s| match s {
            Some(s) => own(op, s).map(Some),
            None => Ok(None),
        });
        let mut next = || states.next().transpose().map(Option::flatten);
        let (first, second, third) = (next()?, next()?, next()?);
        ready.push(kernel::Step {
            parameter: own(op, step.param)?,
            gradient: gradient.cuda_solid::<f32>()?,
            first,
            second,
            third,
        });
    }
    let ready = &mut ready[..];
    match *rule {
        Rule::Sgd(o) => kernel::sgd(sgd(o), ready, kept)?,
        Rule::Adam(o) => kernel::adam(adam(o), ready, kept)?,
        Rule::RmsProp(o) => kernel::rmsprop(rmsprop(o), ready, kept)?,
        Rule::Adagrad(o) => kernel::adagrad(adagrad(o), ready, kept)?,
    }
    Ok(())
}

/// The numbers of a recorded step's next replay.
pub(crate) fn renumber(rule: &Rule, kept: &mut Kept) -> Result<()> {
    match *rule {
        Rule::Sgd(o) => kept.renumber(sgd(o))?,
        Rule::Adam(o) => kept.renumber(adam(o))?,
        Rule::RmsProp(o) => kept.renumber(rmsprop(o))?,
        Rule::Adagrad(o) => kept.renumber(adagrad(o))?,
    }
    Ok(())
}

fn sgd(o: cpu::Sgd) -> kernel::Sgd {
    kernel::Sgd {
        lr: o.lr,
        momentum: o.momentum,
        dampening: o.dampening,
        weight_decay: o.weight_decay,
        nesterov: o.nesterov,
        maximize: o.maximize,
        first: o.first,
    }
}

fn adam(o: cpu::Adam) -> kernel::Adam {
    kernel::Adam {
        lr: o.lr,
        betas: o.betas,
        eps: o.eps,
        weight_decay: o.weight_decay,
        decoupled: o.decoupled,
        maximize: o.maximize,
        step: o.step,
    }
}

fn rmsprop(o: cpu::RmsProp) -> kernel::RmsProp {
    kernel::RmsProp {
        lr: o.lr,
        alpha: o.alpha,
        eps: o.eps,
        weight_decay: o.weight_decay,
        momentum: o.momentum,
        maximize: o.maximize,
    }
}

fn adagrad(o: cpu::Adagrad) -> kernel::Adagrad {
    kernel::Adagrad {
        lr: o.lr / (1.0 + (o.step.max(1) - 1) as f64 * o.lr_decay),
        weight_decay: o.weight_decay,
        eps: o.eps,
        maximize: o.maximize,
    }
}

/// √Σ x² over all elements of all of them, which lie on one GPU and are f32: one number there.
pub(crate) fn norm(op: &'static str, gradients: &[&Tensor]) -> Result<Tensor> {
    together(op, gradients)?;
    let solid: Vec<Tensor> = gradients.iter().map(|g| solid(g)).collect::<Result<_>>()?;
    let all = solid.iter().map(Tensor::cuda_solid::<f32>);
    let norm = kernel::gradient_norm(&all.collect::<Result<Vec<_>>>()?)?;
    Ok(super::tensor(norm, &().into(), DType::F32))
}

/// Scales them all down to a norm over all of them, which is returned as it was.
pub(crate) fn clip(op: &'static str, gradients: &mut [&mut Tensor], most: f64) -> Result<Tensor> {
    let all: Vec<&Tensor> = gradients.iter().map(|g| &**g).collect();
    together(op, &all)?;
    for gradient in gradients.iter_mut() {
        make_own(op, gradient)?;
    }
    let all = gradients.iter_mut().map(|g| own(op, g));
    let mut all = all.collect::<Result<Vec<_>>>()?;
    let norm = kernel::clip_gradients(&mut all, most as f32)?;
    Ok(super::tensor(norm, &().into(), DType::F32))
}
