//! Cross-entropy of logits and class numbers in one pass, and its gradient.

pub use gradus_cpu::loss::Reduction;
use gradus_cpu::loss::{self, CrossEntropy};

use super::same_float;
use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// What cross-entropy depends on beside logits and targets; PyTorch's names and defaults.
#[derive(Clone, Debug)]
pub struct CrossEntropyOptions {
    /// A weight for each class, `(C)`.
    pub weight: Option<Tensor>,
    /// The target that does not count.
    pub ignore_index: i64,
    /// The share of each target spread over all classes, 0..=1.
    pub label_smoothing: f64,
    /// How the losses become one.
    pub reduction: Reduction,
}

impl Default for CrossEntropyOptions {
    fn default() -> Self {
        Self {
            weight: None,
            ignore_index: -100,
            label_smoothing: 0.0,
            reduction: Reduction::Mean,
        }
    }
}

/// A loss and what its gradient needs.
#[derive(Clone, Debug)]
pub struct CrossEntropyOutput {
    /// The loss: rank 0, or of the target's shape with [`Reduction::None`].
    pub loss: Tensor,
    /// ln Σ eˣ of each row of logits.
    pub lse: Tensor,
    /// The sum of the targets' weights.
    pub total_weight: Tensor,
}

/// Logits as rows of classes, targets and weights as the kernel takes them.
struct Rows {
    logits: Tensor, // (N·.., C)
    target: Tensor,
    weight: Option<Tensor>,
    shape: Shape, // of the result without reduction
    channels_inside: bool,
}

impl Rows {
    fn new(
        op: &'static str,
        logits: &Tensor,
        target: &Tensor,
        options: &CrossEntropyOptions,
    ) -> Result<Rows> {
        let fail = |why: &str| {
            Error::shape(
                op,
                format!(
                    "logits {} and target {}: {why}",
                    logits.shape(),
                    target.shape()
                ),
            )
        };
        let mut operands = vec![("the logits", logits)];
        operands.extend(options.weight.as_ref().map(|w| ("the weight", w)));
        same_float(op, &operands)?;
        let d = match logits.rank() {
            0 => {
                return Err(fail(
                    "the logits take at least 1 dimension (C), (N, C) or (N, C, ..)",
                ));
            }
            1 => 0,
            _ => 1,
        };
        let mut shape = logits.shape().clone();
        let classes = shape.0.remove(d);
        if *target.shape() != shape {
            let hint = if logits.rank() == 2 && target.shape() == logits.shape() {
                "class numbers are expected, one for each row; for probabilities use their own form"
            } else {
                "the target takes the logits' shape without the class dimension"
            };
            return Err(fail(hint));
        }
        if !(0.0..=1.0).contains(&options.label_smoothing) {
            return Err(Error::value(
                op,
                format!(
                    "label_smoothing {} is outside 0..=1",
                    options.label_smoothing
                ),
            ));
        }
        if let Some(w) = &options.weight
            && w.dims() != [classes]
        {
            return Err(fail(&format!(
                "the weight has shape {} but there are {classes} classes",
                w.shape()
            )));
        }
        let channels_inside = logits.rank() > 2;
        let rows = if channels_inside {
            logits.movedim(1, -1)?
        } else {
            logits.clone()
        };
        let logits = rows.reshape_to(&Shape::from([shape.numel()?, classes]))?;
        let weight = options
            .weight
            .as_ref()
            .map(Tensor::contiguous)
            .transpose()?;
        Ok(Rows {
            logits,
            target: target.clone(),
            weight,
            shape,
            channels_inside,
        })
    }

    fn options<'a, T: Element>(
        &'a self,
        op: &'static str,
        o: &CrossEntropyOptions,
    ) -> Result<CrossEntropy<'a, T>> {
        let weight = self.weight.as_ref().map(|w| w.data::<T>(op)).transpose()?;
        Ok(CrossEntropy {
            weight,
            ignore_index: o.ignore_index,
            label_smoothing: o.label_smoothing,
            reduction: o.reduction,
        })
    }
}

impl Tensor {
    /// −ln softmax(x)`[target]`, averaged: logits `(N, C)`, `(C)` or `(N, C, ..)`, target of class numbers `(N)`, `()` or
    /// `(N, ..)`.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let logits = Tensor::zeros([2, 10], DType::F32)?;
    /// let out = logits.cross_entropy(&Tensor::from_slice(&[3i64, 7], 2)?, &Default::default())?;
    /// assert!((out.loss.item::<f32>()? - 10f32.ln()).abs() < 1e-6);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, a target is no class, or an option is out of range.
    pub fn cross_entropy(
        &self,
        target: &Tensor,
        options: &CrossEntropyOptions,
    ) -> Result<CrossEntropyOutput> {
        let op = "cross_entropy";
        let rows = Rows::new(op, self, target, options)?;
        let shape = if options.reduction == Reduction::None {
            rows.shape.clone()
        } else {
            Shape::from(())
        };
        on_cuda!([rows.logits, target] => cuda::loss::cross_entropy(&rows.logits, &rows.target, rows.weight.as_ref(), options, &shape));
        let target = rows.target.whole_numbers(op)?;
        dispatch!(float self.dtype(), T => {
            let (x, o) = (rows.logits.kernel_view::<T>()?, rows.options::<T>(op, options)?);
            let mut total_weight = 0.0;
            let mut lse = Tensor::zeros(target.len(), compute(self.dtype()))?;
            let loss = lse.with_mut_slice(|lse| Tensor::try_build::<T>(op, shape, |y| {
                total_weight = loss::cross_entropy(x, &target, &o, y, lse)?;
                Ok(())
            }))??;
            Ok(CrossEntropyOutput { loss, lse, total_weight: Tensor::scalar(total_weight) })
        }, else Err(Error::dtype(op, "not a float")))
    }

    /// The gradient of [`Tensor::cross_entropy`] by the logits, from that of the loss (`self`): of the logits' shape.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (logits, target) = (Tensor::from_slice(&[0.0, 0.0], [1, 2])?, Tensor::from_slice(&[1i64], 1)?);
    /// let forward = logits.cross_entropy(&target, &Default::default())?;
    /// let dy = Tensor::scalar(1.0);
    /// let dx = dy.cross_entropy_backward(&logits, &target, &Default::default(), &forward)?;
    /// assert_eq!(dx.to_vec::<f64>()?, [0.5, -0.5]); // softmax minus one at the target
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit.
    pub fn cross_entropy_backward(
        &self,
        logits: &Tensor,
        target: &Tensor,
        options: &CrossEntropyOptions,
        forward: &CrossEntropyOutput,
    ) -> Result<Tensor> {
        let op = "cross_entropy_backward";
        same_float(op, &[("the gradient", self), ("the logits", logits)])?;
        let rows = Rows::new(op, logits, target, options)?;
        let dy = self.contiguous()?;
        let lse = forward.lse.contiguous()?;
        let back = |dx: Tensor| {
            if !rows.channels_inside {
                return dx.reshape_to(logits.shape());
            }
            let mut moved = rows.shape.clone();
            moved.0.push(logits.dims()[1]);
            dx.reshape_to(&moved)?.movedim(-1, 1)
        };
        on_cuda!([rows.logits, dy, target] => back(cuda::loss::cross_entropy_backward(
            &dy, &rows.logits, &rows.target, rows.weight.as_ref(), options, forward,
        )?));
        let (target, total_weight) = (
            rows.target.whole_numbers(op)?,
            forward.total_weight.to_f64()?,
        );
        let dx = dispatch!(float logits.dtype(), T => {
            let (x, o) = (rows.logits.kernel_view::<T>()?, rows.options::<T>(op, options)?);
            let (dy, lse) = (dy.data::<T>(op)?, lse.data(op)?);
            Tensor::try_build::<T>(op, rows.logits.shape(), |dx| {
                Ok(loss::cross_entropy_backward(dy, x, &target, &o, lse, total_weight, dx)?)
            })
        }, else Err(Error::dtype(op, "not a float")))?;
        back(dx)
    }
}

/// What the kernel computes a float dtype in.
fn compute(dtype: DType) -> DType {
    if dtype == DType::F64 {
        DType::F64
    } else {
        DType::F32
    }
}
