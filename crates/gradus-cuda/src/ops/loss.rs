//! Cross-entropy of logits and class indices, fused, and its gradient: class weights, `ignore_index` and label smoothing as in PyTorch.

use super::{Dense, int};
use crate::device::Fault;
use crate::error::check_len;
use crate::manifest::{self, Ptr, ReduceOp};
use crate::view::same_device;
use crate::{Buffer, Error, FloatElement, Result, View};

/// How the losses of the rows become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// They do not: one loss a row.
    None,
    /// Their sum over the sum of the targets' weights.
    Mean,
    /// Their sum.
    Sum,
}

/// What cross-entropy depends on beside logits and targets.
#[derive(Clone, Copy, Debug)]
pub struct CrossEntropy<'a, T> {
    /// A weight for each class.
    pub weight: Option<&'a Buffer<T>>,
    /// The target of rows that do not count.
    pub ignore_index: i64,
    /// The share of the target spread over all classes.
    pub label_smoothing: f32,
    /// How the rows become one.
    pub reduction: Reduction,
}

impl<T> Default for CrossEntropy<'_, T> {
    fn default() -> Self {
        Self {
            weight: None,
            ignore_index: -100,
            label_smoothing: 0.0,
            reduction: Reduction::Mean,
        }
    }
}

/// What the forward keeps for the backward.
#[derive(Debug)]
pub struct Saved {
    /// ln Σ e^x of each row.
    pub lse: Buffer<f32>,
    /// The sum of the targets' weights: one number.
    pub total_weight: Buffer<f32>,
}

impl<T: FloatElement> CrossEntropy<'_, T> {
    /// Checks the arguments; (rows, classes).
    fn check(
        &self,
        op: &'static str,
        logits: &View<'_, T>,
        target: &Buffer<i64>,
    ) -> Result<(usize, i32)> {
        let &[rows, classes] = logits.shape() else {
            return Err(Error::shape(
                op,
                format!("the logits are (rows, classes), not {:?}", logits.shape()),
            ));
        };
        check_len(op, "the target", target.len(), rows)?;
        same_device(op, logits.buffer(), target)?;
        if let Some(weight) = self.weight {
            check_len(op, "the weight", weight.len(), classes)?;
        }
        if !(0.0..=1.0).contains(&self.label_smoothing) {
            let message = format!(
                "label_smoothing is {}, not between 0 and 1",
                self.label_smoothing
            );
            return Err(Error::shape(op, message));
        }
        Ok((rows, int(op, classes)?))
    }

    /// The sum of the classes' weights, if it is wanted: the smoothed target's.
    fn weight_sum(&self) -> Result<Option<Buffer<f32>>> {
        let Some(weight) = self.weight.filter(|_| self.label_smoothing > 0.0) else {
            return Ok(None);
        };
        let device = weight.device();
        let mut wide = device.uninit::<f32>(weight.len())?;
        super::copy::cast(&weight.view(&[weight.len()])?, &mut wide)?;
        let mut sum = device.uninit(1)?;
        super::reduce::reduce(ReduceOp::Sum, &wide.view(&[wide.len()])?, &[0], &mut sum)?;
        Ok(Some(sum))
    }

    fn weight_ptr(&self) -> Ptr {
        self.weight.map_or(Ptr::NULL, Into::into)
    }
}

/// Cross-entropy of `logits` (rows, classes) and `target` (rows) into `y`: one element, or one a row with [`Reduction::None`].
///
/// A target that is neither a class nor `ignore_index` makes the loss NaN, and the next download or synchronisation an error.
///
/// # Errors
/// If shapes or devices do not fit.
pub fn cross_entropy<T: FloatElement>(
    logits: &View<'_, T>,
    target: &Buffer<i64>,
    options: &CrossEntropy<'_, T>,
    y: &mut Buffer<T>,
) -> Result<Saved> {
    let op = "cross_entropy";
    let (rows, classes) = options.check(op, logits, target)?;
    let each = options.reduction == Reduction::None;
    check_len(op, "the output", y.len(), if each { rows } else { 1 })?;
    let device = target.device().clone();
    let logits = Dense::new(logits)?;
    let weight_sum = options.weight_sum()?;
    let (mut losses, mut weights) = (device.uninit::<f32>(rows)?, device.uninit::<f32>(rows)?);
    let mut lse = device.uninit::<f32>(rows)?;
    let kernel = manifest::cross_entropy {
        logits: logits.ptr(),
        target: target.into(),
        weight: options.weight_ptr(),
        weight_sum: weight_sum.as_ref().map_or(Ptr::NULL, Into::into),
        losses: (&mut losses).into(),
        lse: (&mut lse).into(),
        weights: (&mut weights).into(),
        fault: device.fault(Fault::Target),
        rows: rows as i64,
        classes,
        ignore: options.ignore_index,
        smoothing: options.label_smoothing,
    };
    // SAFETY: the logits are (rows, classes), target and outputs have `rows` elements, the weight `classes`.
    unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(rows, 1), 1, 1), 0) }?;
    let mut total_weight = device.uninit::<f32>(1)?;
    let mut one = if each {
        Some(device.uninit::<T>(1)?)
    } else {
        None
    };
    let kernel = manifest::cross_entropy_total {
        losses: (&losses).into(),
        weights: (&weights).into(),
        y: one.as_mut().map_or_else(|| Ptr::from(&*y), Into::into),
        total: (&mut total_weight).into(),
        rows: rows as i64,
        mean: i32::from(options.reduction == Reduction::Mean),
    };
    // SAFETY: losses and weights have `rows` elements, the outputs one.
    unsafe { device.launch(&kernel, T::DTYPE, (1, 1, 1), 0) }?;
    if each {
        super::copy::cast(&losses.view(&[rows])?, y)?;
    }
    Ok(Saved { lse, total_weight })
}

/// The gradient of [`cross_entropy`] by the logits; `dy` has the shape of its output, `lse` and `total_weight` are what it saved.
///
/// # Errors
/// As [`cross_entropy`].
pub fn cross_entropy_backward<T: FloatElement>(
    dy: &Buffer<T>,
    logits: &View<'_, T>,
    target: &Buffer<i64>,
    options: &CrossEntropy<'_, T>,
    (lse, total_weight): (&Buffer<f32>, &Buffer<f32>),
    dx: &mut Buffer<T>,
) -> Result<()> {
    let op = "cross_entropy_backward";
    let (rows, classes) = options.check(op, logits, target)?;
    let each = options.reduction == Reduction::None;
    check_len(
        op,
        "the output's gradient",
        dy.len(),
        if each { rows } else { 1 },
    )?;
    check_len(op, "lse", lse.len(), rows)?;
    check_len(op, "the total weight", total_weight.len(), 1)?;
    check_len(op, "the gradient", dx.len(), logits.len())?;
    same_device(op, dy, dx)?;
    same_device(op, target, dx)?;
    let device = target.device().clone();
    let logits = Dense::new(logits)?;
    let weight_sum = options.weight_sum()?;
    let kernel = manifest::cross_entropy_backward {
        dy: dy.into(),
        logits: logits.ptr(),
        target: target.into(),
        weight: options.weight_ptr(),
        weight_sum: weight_sum.as_ref().map_or(Ptr::NULL, Into::into),
        lse: lse.into(),
        total: total_weight.into(),
        dx: dx.into(),
        rows: rows as i64,
        classes,
        ignore: options.ignore_index,
        smoothing: options.label_smoothing,
        reduction: match options.reduction {
            Reduction::None => 0,
            Reduction::Mean => 1,
            Reduction::Sum => 2,
        },
    };
    // SAFETY: logits and dx are (rows, classes), target and lse have `rows` elements, dy as many as the reduction leaves.
    unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(rows, 1), 1, 1), 0) }
}
