//! Losses of classification: one right class among C.

use gradus_tensor::{CrossEntropyOptions, DType, Error, Result, Tensor};

use super::loss::Reduction;
use crate::autocast::raise;
use crate::op::Op;
use crate::recompute::recompute;
use crate::var::Var;

/// Optional arguments of [`cross_entropy`] and [`nll_loss`].
#[derive(Clone, Debug)]
pub struct CrossEntropy {
    /// A weight for each class: (C).
    pub weight: Option<Tensor>,
    /// Targets of this value do not count (−100).
    pub ignore_index: i64,
    /// Mean of those that count (weighted, if there are weights), sum, or none.
    pub reduction: Reduction,
    /// This much of the target is spread evenly over the classes (0); only for [`cross_entropy`].
    pub label_smoothing: f64,
}

impl Default for CrossEntropy {
    fn default() -> CrossEntropy {
        CrossEntropy {
            weight: None,
            ignore_index: -100,
            reduction: Reduction::Mean,
            label_smoothing: 0.0,
        }
    }
}

/// The cross-entropy of `softmax(logits)`: logits (B, C), (C) or (B, C, …); the target is class numbers (B), () or (B, …),
/// or probabilities of the logits' shape.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let logits = Var::from(Tensor::from_slice(&[2.0, 0.0, 0.0, 0.0, 1.0, 0.0], [2, 3])?);
/// let classes = Tensor::from_slice(&[0i64, 2], 2)?;
/// let y = F::cross_entropy(&logits, &classes, &F::CrossEntropy::default())?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.895495], 1)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit or a class is out of range.
pub fn cross_entropy(logits: &Var, target: &Tensor, options: &CrossEntropy) -> Result<Var> {
    let logits = &raise(logits)?;
    if !(0.0..=1.0).contains(&options.label_smoothing) {
        return Err(Error::value(
            "cross_entropy",
            format!(
                "label_smoothing {} is not in 0..=1",
                options.label_smoothing
            ),
        ));
    }
    if target.dtype().is_float() && target.dims() != logits.dims() {
        let message = format!(
            "logits {} and target {} {}: class numbers are whole (convert with to_dtype(DType::I64)), probabilities have the \
             logits' shape",
            logits.shape(),
            target.dtype(),
            target.shape()
        );
        return Err(Error::dtype("cross_entropy", message));
    }
    if target.dtype().is_float() {
        return cross_entropy_soft(logits, &Var::from(target), options);
    }
    // The kernel does it all in one pass, and its gradient in another; a gradient to be differentiated again is composed.
    let kernel = CrossEntropyOptions {
        weight: options.weight.clone(),
        ignore_index: options.ignore_index,
        label_smoothing: options.label_smoothing,
        reduction: match options.reduction {
            Reduction::None => gradus_tensor::Reduction::None,
            Reduction::Mean => gradus_tensor::Reduction::Mean,
            Reduction::Sum => gradus_tensor::Reduction::Sum,
            Reduction::BatchMean => return composed(logits, target, options),
        },
    };
    let forward = logits.value().cross_entropy(target, &kernel)?;
    let y = forward.loss.clone();
    let (target, options) = (target.clone(), options.clone());
    Op::new("cross_entropy")
        .inputs(&[logits])
        .saves(0)
        .record(y, move |ctx, dy| {
            if ctx.create_graph() {
                return recompute(ctx, dy, &[], |v| composed(&v[0], &target, &options));
            }
            let logits = ctx.input(0)?.value();
            let dx = dy
                .value()
                .cross_entropy_backward(logits, &target, &kernel, &forward)?;
            Ok(vec![Some(Var::from(dx))])
        })
}

/// [`cross_entropy`] of class numbers by other operations: the definition.
fn composed(logits: &Var, target: &Tensor, options: &CrossEntropy) -> Result<Var> {
    let classes = class_dim("cross_entropy", logits)?;
    let log_p = logits.log_softmax(classes)?;
    let chosen = negative_log("cross_entropy", &log_p, target, options)?;
    let smoothing = options.label_smoothing;
    if smoothing == 0.0 {
        return chosen.reduced(options.reduction);
    }
    // (1 − s) of the chosen class, and s spread over all.
    let count = logits.dim(classes)? as f64;
    let all = match &options.weight {
        Some(weight) => log_p.mul(&Var::from(along(weight, classes, logits.rank())?))?,
        None => log_p,
    };
    let all = all
        .sum(classes, false)?
        .neg()?
        .masked_fill(&chosen.ignored, 0)?;
    let losses = chosen
        .losses
        .mul_scalar(1.0 - smoothing)?
        .add(&all.mul_scalar(smoothing / count)?)?;
    Chosen { losses, ..chosen }.reduced(options.reduction)
}

/// [`cross_entropy`] with probabilities that may have a gradient.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let logits = Var::from(Tensor::from_slice(&[2.0, 0.0, 0.0, 0.0, 1.0, 0.0], [2, 3])?);
/// let target = Var::from(Tensor::from_slice(&[1.0, 0.0, 0.0, 0.5, 0.5, 0.0], [2, 3])?);
/// let y = F::cross_entropy_soft(&logits, &target, &F::CrossEntropy::default())?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.645495], 1)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes differ.
pub fn cross_entropy_soft(logits: &Var, target: &Var, options: &CrossEntropy) -> Result<Var> {
    if logits.dims() != target.dims() {
        let message = format!(
            "logits {} and target probabilities {} must have one shape",
            logits.shape(),
            target.shape()
        );
        return Err(Error::shape("cross_entropy", message));
    }
    let classes = class_dim("cross_entropy", logits)?;
    let count = logits.dim(classes)?;
    let target = if options.label_smoothing > 0.0 {
        target
            .mul_scalar(1.0 - options.label_smoothing)?
            .add_scalar(options.label_smoothing / count as f64)?
    } else {
        target.clone()
    };
    let mut losses = logits.log_softmax(classes)?.mul(&target)?;
    if let Some(weight) = &options.weight {
        check_weight("cross_entropy", weight, count)?;
        losses = losses.mul(&Var::from(along(weight, classes, logits.rank())?))?;
    }
    options.reduction.apply(&losses.sum(classes, false)?.neg()?)
}

/// Minus the log-probability of the target class: log-probabilities (B, C), (C) or (B, C, …), class numbers (B), () or (B, …).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let log_p = Var::from(Tensor::from_slice(&[-0.5, -1.0, -2.0, -0.25], [2, 2])?);
/// let classes = Tensor::from_slice(&[1i64, 0], 2)?;
/// assert_eq!(F::nll_loss(&log_p, &classes, &F::CrossEntropy::default())?.value().to_vec::<f64>()?, [1.5]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit or a class is out of range.
pub fn nll_loss(log_p: &Var, target: &Tensor, options: &CrossEntropy) -> Result<Var> {
    class_dim("nll_loss", log_p)?;
    negative_log("nll_loss", log_p, target, options)?.reduced(options.reduction)
}

/// The losses of the targets, before they are reduced.
struct Chosen {
    losses: Var,
    /// Targets that do not count.
    ignored: Tensor,
    /// What the mean divides by.
    total: Tensor,
}

impl Chosen {
    fn reduced(self, reduction: Reduction) -> Result<Var> {
        match reduction {
            Reduction::Mean => self.losses.sum(.., false)?.div(&Var::from(self.total)),
            other => other.apply(&self.losses),
        }
    }
}

fn negative_log(
    op: &'static str,
    log_p: &Var,
    target: &Tensor,
    options: &CrossEntropy,
) -> Result<Chosen> {
    let classes = class_dim(op, log_p)?;
    let count = log_p.dim(classes)?;
    let mut shape = log_p.dims().to_vec();
    shape.remove(classes as usize);
    if target.dims() != shape {
        let message = format!(
            "input {} and target {}: the target has no class dimension, so {shape:?}",
            log_p.shape(),
            target.shape()
        );
        return Err(Error::shape(op, message));
    }
    if !target.dtype().is_int() {
        return Err(Error::dtype(
            op,
            format!("the targets are {}; class numbers are i64", target.dtype()),
        ));
    }
    let target = target.to_dtype(DType::I64)?;
    let ignored = target.eq_scalar(options.ignore_index)?;
    let safe = target.masked_fill(&ignored, 0)?;
    let wrong = safe.lt_scalar(0)?.logical_or(&safe.ge_scalar(count)?)?;
    if safe.numel() > 0 && wrong.any(.., false)?.item::<bool>()? {
        let bad = safe
            .masked_fill(&wrong.logical_not()?, 0)?
            .to_vec::<i64>()?;
        let bad = bad
            .into_iter()
            .find(|&c| c < 0 || c >= count as i64)
            .unwrap_or(0);
        return Err(Error::index(
            op,
            format!(
                "target {bad} is not one of {count} classes (0..={})",
                count.saturating_sub(1)
            ),
        ));
    }
    let counted = ignored.logical_not()?.to_dtype(log_p.dtype())?;
    let weight = match &options.weight {
        Some(weight) => {
            check_weight(op, weight, count)?;
            weight
                .to_dtype(log_p.dtype())?
                .take(&safe)?
                .mul_(&counted)?
        }
        None => counted,
    };
    let picked = if count == 0 {
        log_p.sum(classes, false)?
    } else {
        log_p
            .gather(classes, &safe.unsqueeze(classes)?)?
            .squeeze(classes)?
    };
    let losses = picked.neg()?.masked_fill(&ignored, 0)?;
    let losses = if options.weight.is_some() {
        losses.mul(&Var::from(&weight))?
    } else {
        losses
    };
    let total = weight.sum(.., false)?;
    Ok(Chosen {
        losses,
        ignored,
        total,
    })
}

/// Which dimension the classes are: 0 of (C), else 1.
fn class_dim(op: &'static str, x: &Var) -> Result<isize> {
    match x.rank() {
        0 => Err(Error::shape(
            op,
            "a single number has no classes; it takes (B, C), (C) or (B, C, …)",
        )),
        1 => Ok(0),
        _ => Ok(1),
    }
}

fn check_weight(op: &'static str, weight: &Tensor, count: usize) -> Result<()> {
    if weight.dims() == [count] {
        return Ok(());
    }
    Err(Error::shape(
        op,
        format!("{} class weights for {count} classes", weight.shape()),
    ))
}

/// A vector along `dim` of a tensor of this rank.
fn along(v: &Tensor, dim: isize, rank: usize) -> Result<Tensor> {
    let mut shape = vec![1isize; rank];
    shape[dim as usize] = -1;
    v.reshape(shape)
}
