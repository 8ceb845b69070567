//! Losses of detectors: the focal loss of RetinaNet, and losses from overlaps.

use gradus_autograd::Var;
use gradus_autograd::functional::{self as f, Reduction};
use gradus_tensor::{Error, Result};

use super::iou::Corners;
use super::{check_rows, upcast};

/// The focal loss of Lin et al. 2017: binary cross-entropy from logits in which what is already right counts little.
/// `targets` are 0 or 1, of the shape of `inputs`; `alpha` in 0..=1 weighs positives against negatives, −1 leaves that out.
/// torchvision's defaults: alpha 0.25, gamma 2, no reduction.
///
/// ```
/// use gradus_autograd::{Var, functional::Reduction};
/// use gradus_tensor::Tensor;
/// use gradus_vision::ops::sigmoid_focal_loss;
/// let logits = Var::leaf(Tensor::from_slice(&[4.0f32, 0.0], [2])?)?;
/// let targets = Var::from(Tensor::from_slice(&[1.0f32, 1.0], [2])?);
/// let loss = sigmoid_focal_loss(&logits, &targets, 0.25, 2.0, Reduction::None)?;
/// let loss = loss.value().to_vec::<f32>()?;
/// assert!(loss[0] < loss[1] / 1000.0);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes differ, `alpha` is neither in 0..=1 nor −1, or the reduction is `BatchMean`.
pub fn sigmoid_focal_loss(
    inputs: &Var,
    targets: &Var,
    alpha: f64,
    gamma: f64,
    reduction: Reduction,
) -> Result<Var> {
    let op = "sigmoid_focal_loss";
    if !(0.0..=1.0).contains(&alpha) && alpha != -1.0 {
        return Err(Error::value(
            op,
            format!("alpha {alpha} is neither in 0..=1 nor -1"),
        ));
    }
    let ce = f::binary_cross_entropy_with_logits(inputs, targets, None, None, Reduction::None)
        .map_err(|e| e.in_op(op))?;
    let p = inputs.sigmoid()?;
    // t where the target is 1, f where it is 0.
    let choose = |t: &Var, f: &Var| t.mul(targets)?.add(&f.mul(&targets.rsub_scalar(1.0)?)?);
    let right = choose(&p, &p.rsub_scalar(1.0)?)?;
    let mut loss = ce.mul(&right.rsub_scalar(1.0)?.pow_scalar(gamma)?)?;
    if alpha >= 0.0 {
        let weight = targets
            .mul_scalar(alpha)?
            .add(&targets.rsub_scalar(1.0)?.mul_scalar(1.0 - alpha)?)?;
        loss = weight.mul(&loss)?;
    }
    reduced(op, &loss, reduction)
}

fn reduced(op: &'static str, loss: &Var, reduction: Reduction) -> Result<Var> {
    match reduction {
        Reduction::None => Ok(loss.clone()),
        Reduction::Sum => loss.sum(.., false),
        // Of no boxes the loss is 0, not 0 / 0.
        Reduction::Mean if loss.numel() == 0 => loss.sum(.., false),
        Reduction::Mean => loss.mean(.., false),
        Reduction::BatchMean => Err(Error::value(op, "the reduction is None, Mean or Sum")),
    }
}

/// Both sets, box by box, in f32 or f64.
fn both(op: &'static str, boxes1: &Var, boxes2: &Var) -> Result<(Corners, Corners)> {
    check_rows(op, boxes1, 4)?;
    check_rows(op, boxes2, 4)?;
    if boxes1.dims() != boxes2.dims() {
        let message = format!(
            "boxes of shapes {} and {} are not pairs",
            boxes1.shape(),
            boxes2.shape()
        );
        return Err(Error::shape(op, message));
    }
    Ok((
        Corners::new(&upcast(boxes1)?)?,
        Corners::new(&upcast(boxes2)?)?,
    ))
}

/// Intersection over union, and the union; boxes that do not meet have no gradient through what they share.
fn iou(a: &Corners, b: &Corners, eps: f64) -> Result<(Var, Var)> {
    let [w, h] = a.shared(b)?;
    let apart = w
        .value()
        .le_scalar(0.0)?
        .logical_or(&h.value().le_scalar(0.0)?)?;
    let inter = w.mul(&h)?.masked_fill(&apart, 0.0)?;
    let union = a.area()?.add(&b.area()?)?.sub(&inter)?;
    Ok((inter.div(&union.add_scalar(eps)?)?, union))
}

/// `1 − generalized_box_iou` of each box and its partner, (.., 4) and (.., 4) to (..). torchvision's defaults: no reduction,
/// `eps` 1e-7.
///
/// ```
/// use gradus_autograd::{Var, functional::Reduction};
/// use gradus_tensor::Tensor;
/// use gradus_vision::ops::generalized_box_iou_loss;
/// let a = Var::from(Tensor::from_slice(&[0.0, 0.0, 2.0, 2.0], [1, 4])?);
/// let b = Var::from(Tensor::from_slice(&[1.0, 1.0, 3.0, 3.0], [1, 4])?);
/// let loss = generalized_box_iou_loss(&a, &b, Reduction::Mean, 1e-7)?.item::<f64>()?;
/// assert!((loss - (1.0 - (1.0 / 7.0 - 2.0 / 9.0))).abs() < 1e-6);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes differ or are not (.., 4), or the reduction is `BatchMean`.
pub fn generalized_box_iou_loss(
    boxes1: &Var,
    boxes2: &Var,
    reduction: Reduction,
    eps: f64,
) -> Result<Var> {
    let op = "generalized_box_iou_loss";
    let (a, b) = both(op, boxes1, boxes2)?;
    let (iou, union) = iou(&a, &b, eps)?;
    let [w, h] = a.around(&b)?;
    let around = w.mul(&h)?;
    let giou = iou.sub(&around.sub(&union)?.div(&around.add_scalar(eps)?)?)?;
    reduced(op, &giou.rsub_scalar(1.0)?, reduction)
}

/// `1 − distance_box_iou` of each box and its partner, (.., 4) and (.., 4) to (..). Defaults as [`generalized_box_iou_loss`].
///
/// ```
/// use gradus_autograd::{Var, functional::Reduction};
/// use gradus_tensor::Tensor;
/// use gradus_vision::ops::distance_box_iou_loss;
/// let a = Var::from(Tensor::from_slice(&[0.0, 0.0, 2.0, 2.0], [1, 4])?);
/// let b = Var::from(Tensor::from_slice(&[1.0, 1.0, 3.0, 3.0], [1, 4])?);
/// let loss = distance_box_iou_loss(&a, &b, Reduction::Mean, 1e-7)?.item::<f64>()?;
/// assert!((loss - (1.0 - (1.0 / 7.0 - 2.0 / 18.0))).abs() < 1e-6);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`generalized_box_iou_loss`].
pub fn distance_box_iou_loss(
    boxes1: &Var,
    boxes2: &Var,
    reduction: Reduction,
    eps: f64,
) -> Result<Var> {
    let op = "distance_box_iou_loss";
    let (a, b) = both(op, boxes1, boxes2)?;
    reduced(op, &diou(&a, &b, eps)?.0, reduction)
}

/// `1 − complete_box_iou` of each box and its partner, (.., 4) and (.., 4) to (..). Defaults as [`generalized_box_iou_loss`];
/// `eps` is for the proportions only, as in torchvision.
///
/// ```
/// use gradus_autograd::{Var, functional::Reduction};
/// use gradus_tensor::Tensor;
/// use gradus_vision::ops::complete_box_iou_loss;
/// let a = Var::from(Tensor::from_slice(&[0.0, 0.0, 2.0, 2.0], [1, 4])?);
/// let b = Var::from(Tensor::from_slice(&[1.0, 1.0, 3.0, 3.0], [1, 4])?);
/// let loss = complete_box_iou_loss(&a, &b, Reduction::Mean, 1e-7)?.item::<f64>()?;
/// assert!((loss - (1.0 - (1.0 / 7.0 - 2.0 / 18.0))).abs() < 1e-6);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`generalized_box_iou_loss`].
pub fn complete_box_iou_loss(
    boxes1: &Var,
    boxes2: &Var,
    reduction: Reduction,
    eps: f64,
) -> Result<Var> {
    let op = "complete_box_iou_loss";
    let (a, b) = both(op, boxes1, boxes2)?;
    let (loss, iou) = diou(&a, &b, 1e-7)?;
    let v = b.proportions(&a)?;
    let alpha = v.detach().div(
        &iou.detach()
            .rsub_scalar(1.0)?
            .add(&v.detach())?
            .add_scalar(eps)?,
    )?;
    reduced(op, &loss.add(&alpha.mul(&v)?)?, reduction)
}

/// The loss, and the intersection over union.
fn diou(a: &Corners, b: &Corners, eps: f64) -> Result<(Var, Var)> {
    let iou = iou(a, b, eps)?.0;
    let [w, h] = a.around(b)?;
    let diagonal = w.square()?.add(&h.square()?)?.add_scalar(eps)?;
    let loss = iou.rsub_scalar(1.0)?.add(&a.apart(b)?.div(&diagonal)?)?;
    Ok((loss, iou))
}
