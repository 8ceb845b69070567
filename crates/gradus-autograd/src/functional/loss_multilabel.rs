//! Losses where a sample may have several right labels, or a distance of one's own. Names and arguments of `torch.nn.functional`.

use gradus_tensor::{DType, Error, Result, Tensor};

use super::loss::Reduction;
use crate::var::Var;

/// `−mean_c(y ln σ(x) + (1 − y) ln σ(−x))` for truths 0 and 1: x and target (B, C) or (C), weight (C); a loss for each sample.
///
/// ```
/// # use gradus_autograd::{Var, functional::{Reduction, multilabel_soft_margin_loss}};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[0f32, 0.0], [1, 2])?);
/// let y = Var::from(Tensor::from_slice(&[1f32, 0.0], [1, 2])?);
/// let loss = multilabel_soft_margin_loss(&x, &y, None, Reduction::Mean)?;
/// assert!((loss.item::<f32>()? - 2f32.ln()).abs() < 1e-6);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes differ or there are no classes.
pub fn multilabel_soft_margin_loss(
    x: &Var,
    target: &Var,
    weight: Option<&Tensor>,
    reduction: Reduction,
) -> Result<Var> {
    if x.dims() != target.dims() || x.rank() == 0 {
        let message = format!(
            "input {} and target {}: it takes two of one shape (B, C) or (C)",
            x.shape(),
            target.shape()
        );
        return Err(Error::shape("multilabel_soft_margin_loss", message));
    }
    let right = target.mul(&x.logsigmoid()?)?;
    let wrong = target.rsub_scalar(1)?.mul(&x.neg()?.logsigmoid()?)?;
    let mut losses = right.add(&wrong)?.neg()?; // (B, C)
    if let Some(weight) = weight {
        losses = losses.mul(&Var::from(weight))?;
    }
    reduction.apply(&losses.mean(-1, false)?)
}

/// `Σ_j Σ_i max(0, 1 − (x[y_j] − x[i])) / C` over right labels j and wrong labels i: x (B, C) or (C); target of its shape, the
/// right labels followed by −1.
///
/// ```
/// # use gradus_autograd::{Var, functional::{Reduction, multilabel_margin_loss}};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[0.1f64, 0.2, 0.4, 0.8], 4)?);
/// let y = Tensor::from_slice(&[3i64, 0, -1, 1], 4)?; // 3 and 0 are right; what follows -1 does not count
/// let loss = multilabel_margin_loss(&x, &y, Reduction::Mean)?;
/// assert!((loss.item::<f64>()? - 0.85).abs() < 1e-9);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes differ or a label is not below C.
pub fn multilabel_margin_loss(x: &Var, target: &Tensor, reduction: Reduction) -> Result<Var> {
    const OP: &str = "multilabel_margin_loss";
    if x.dims() != target.dims() || !(1..=2).contains(&x.rank()) {
        let message = format!(
            "input {} and target {}: it takes two of one shape (B, C) or (C)",
            x.shape(),
            target.shape()
        );
        return Err(Error::shape(OP, message));
    }
    if x.rank() == 1 {
        let losses =
            multilabel_margin_loss(&x.unsqueeze(0)?, &target.unsqueeze(0)?, Reduction::None)?;
        return reduction.apply(&losses.squeeze(0)?);
    }
    let classes = x.dims()[1];
    let labels = whole_numbers(OP, target)?;
    let mut right = vec![false; labels.len()]; // (B, C): is this class right?
    let mut listed = vec![false; labels.len()]; // (B, C): does this place of the target count?
    let mut index = vec![0i64; labels.len()];
    for (b, row) in labels.chunks(classes.max(1)).enumerate() {
        for (j, &label) in row.iter().enumerate().take_while(|&(_, &label)| label >= 0) {
            if label as usize >= classes {
                let message = format!("label {label} is out of range for {classes} classes");
                return Err(Error::index(OP, message));
            }
            right[b * classes + label as usize] = true;
            listed[b * classes + j] = true;
            index[b * classes + j] = label;
        }
    }
    let of_shape = |flags: Vec<bool>| Tensor::from_vec(flags, x.shape());
    let wrong = of_shape(right)?.logical_not()?.unsqueeze(1)?; // (B, 1, C)
    let counts = of_shape(listed)?.unsqueeze(2)?.logical_and(&wrong)?; // (B, C, C)
    let chosen = x.gather(1, &Tensor::from_vec(index, x.shape())?)?; // (B, C)
    let margins = x.unsqueeze(1)?.sub(&chosen.unsqueeze(2)?)?.add_scalar(1)?;
    let margins = margins.clamp(Some(0.0), None)?;
    let losses = margins.masked_fill(&counts.logical_not()?, 0)?;
    let losses = losses.sum([1, 2], false)?.div_scalar(classes as f64)?; // (B)
    reduction.apply(&losses)
}

/// `max(0, d(anchor, positive) − d(anchor, negative) + margin)` for a distance `d` of one's own; with `swap`, the negative's
/// distance to the positive counts where it is smaller.
///
/// ```
/// # use gradus_autograd::{Var, functional::{Reduction, triplet_margin_with_distance_loss}};
/// # use gradus_tensor::Tensor;
/// let [a, p, n] = [0f32, 3.0, 2.5].map(|x| Var::from(Tensor::from_slice(&[x], [1, 1]).unwrap()));
/// let taxi = |x: &Var, y: &Var| x.sub(y)?.abs()?.sum(-1, false);
/// let loss = triplet_margin_with_distance_loss(&a, &p, &n, taxi, 1.0, false, Reduction::Mean)?;
/// assert_eq!(loss.item::<f32>()?, 1.5); // 3 - 2.5 + 1
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// The distance's, or if the margin is not above 0.
pub fn triplet_margin_with_distance_loss(
    anchor: &Var,
    positive: &Var,
    negative: &Var,
    distance: impl Fn(&Var, &Var) -> Result<Var>,
    margin: f64,
    swap: bool,
    reduction: Reduction,
) -> Result<Var> {
    if margin.is_nan() || margin <= 0.0 {
        let message = format!("margin {margin} must be above 0");
        return Err(Error::value("triplet_margin_with_distance_loss", message));
    }
    let near = distance(anchor, positive)?;
    let mut far = distance(anchor, negative)?;
    if swap {
        far = far.minimum(&distance(positive, negative)?)?;
    }
    let losses = near.sub(&far)?.add_scalar(margin)?;
    reduction.apply(&losses.clamp(Some(0.0), None)?)
}

/// The labels as i64, or an error that says what they are.
fn whole_numbers(op: &'static str, labels: &Tensor) -> Result<Vec<i64>> {
    if !labels.dtype().is_int() {
        let message = format!(
            "labels are {}, but must be whole numbers; convert with to_dtype(DType::I64)",
            labels.dtype()
        );
        return Err(Error::dtype(op, message));
    }
    labels.to_dtype(DType::I64)?.to_vec::<i64>()
}
