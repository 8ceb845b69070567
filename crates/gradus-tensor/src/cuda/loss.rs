//! Cross-entropy on a GPU. A target that is no class makes the loss NaN and is reported at the next reading of a result: the host
//! does not wait to look.

use gradus_cuda::ops::loss::{self, CrossEntropy, Saved};

use super::{build, solid, solid_option, tensor, together};
use crate::dtype::DType;
use crate::error::Result;
use crate::ops::nn::loss::{CrossEntropyOptions, CrossEntropyOutput, Reduction};
use crate::shape::Shape;
use crate::tensor::Tensor;

fn reduction(of: Reduction) -> loss::Reduction {
    match of {
        Reduction::None => loss::Reduction::None,
        Reduction::Mean => loss::Reduction::Mean,
        Reduction::Sum => loss::Reduction::Sum,
    }
}

/// Class numbers as the kernel takes them.
fn classes(op: &'static str, target: &Tensor) -> Result<Tensor> {
    target.expect_whole(op)?;
    solid(&target.to_dtype(DType::I64)?)
}

/// The options as the kernel takes them, with the weights of the classes.
fn options<'a, T: gradus_cuda::Element>(
    o: &CrossEntropyOptions,
    weight: Option<&'a Tensor>,
) -> Result<CrossEntropy<'a, T>> {
    Ok(CrossEntropy {
        weight: weight.map(Tensor::cuda_solid::<T>).transpose()?,
        ignore_index: o.ignore_index,
        label_smoothing: o.label_smoothing as f32,
        reduction: reduction(o.reduction),
    })
}

/// The loss of `logits` (rows, classes).
pub(crate) fn cross_entropy(
    logits: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    o: &CrossEntropyOptions,
    shape: &Shape,
) -> Result<CrossEntropyOutput> {
    let op = "cross_entropy";
    let mut all = vec![logits, target];
    all.extend(weight);
    let gpu = together(op, &all)?;
    let (weight, target) = (solid_option(weight)?, classes(op, target)?);
    let mut saved = None;
    let loss = dispatch_cuda!(float op, logits.dtype(), T => {
        let v = logits.cuda_view::<T>()?;
        let options = options::<T>(o, weight.as_ref())?;
        let target = target.cuda_solid::<i64>()?;
        build::<T>(&gpu, shape, logits.dtype(), |y| {
            saved = Some(loss::cross_entropy(&v, target, &options, y)?);
            Ok(())
        })
    })?;
    let Some(Saved { lse, total_weight }) = saved else {
        return Err(super::not_here(op, logits.device()));
    };
    Ok(CrossEntropyOutput {
        loss,
        lse: tensor(lse, &Shape::from(target.numel()), DType::F32),
        total_weight: tensor(total_weight, &Shape::from(()), DType::F32),
    })
}

/// The gradient by the logits.
pub(crate) fn cross_entropy_backward(
    dy: &Tensor,
    logits: &Tensor,
    target: &Tensor,
    weight: Option<&Tensor>,
    o: &CrossEntropyOptions,
    forward: &CrossEntropyOutput,
) -> Result<Tensor> {
    let op = "cross_entropy_backward";
    let mut all = vec![dy, logits, target, &forward.lse, &forward.total_weight];
    all.extend(weight);
    let gpu = together(op, &all)?;
    let (weight, target, dy) = (solid_option(weight)?, classes(op, target)?, solid(dy)?);
    let (lse, total) = (solid(&forward.lse)?, solid(&forward.total_weight)?);
    dispatch_cuda!(float op, logits.dtype(), T => {
        let v = logits.cuda_view::<T>()?;
        let options = options::<T>(o, weight.as_ref())?;
        let (target, dy) = (target.cuda_solid::<i64>()?, dy.cuda_solid::<T>()?);
        let (lse, total_weight) = (lse.cuda_solid::<f32>()?, total.cuda_solid::<f32>()?);
        build::<T>(&gpu, logits.shape(), logits.dtype(), |dx| {
            loss::cross_entropy_backward(dy, &v, target, &options, (lse, total_weight), dx)
        })
    })
}
