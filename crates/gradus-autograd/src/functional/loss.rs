//! Losses between values of one shape: regression, probabilities, distributions.

use gradus_tensor::{Error, Result, ResultExt, Tensor};

use crate::autocast::raise;
use crate::op::Op;
use crate::var::Var;

/// What becomes of the losses of the elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// They are the result.
    None,
    /// Their mean (PyTorch's default).
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// Their sum over the size of the first dimension: what a KL divergence means; only for [`kl_div`].
    BatchMean,
}

impl Reduction {
    pub(crate) fn apply(self, losses: &Var) -> Result<Var> {
        match self {
            Reduction::None => Ok(losses.clone()),
            Reduction::Mean => losses.mean(.., false),
            Reduction::Sum => losses.sum(.., false),
            Reduction::BatchMean => {
                let batch = losses.dims().first().copied().unwrap_or(1);
                losses.sum(.., false)?.div_scalar(batch as f64)
            }
        }
    }
}

impl std::str::FromStr for Reduction {
    type Err = Error;
    /// PyTorch's names.
    fn from_str(s: &str) -> Result<Reduction> {
        Ok(match s {
            "none" => Reduction::None,
            "mean" => Reduction::Mean,
            "sum" => Reduction::Sum,
            "batchmean" => Reduction::BatchMean,
            _ => {
                return Err(Error::value(
                    "reduction",
                    format!("{s:?} is none of none, mean, sum, batchmean"),
                ));
            }
        })
    }
}

/// `(x − target)²`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0, 4.0], 3)?);
/// let t = Var::from(Tensor::from_slice(&[1.0, 4.0, 1.0], 3)?);
/// assert_eq!(F::mse_loss(&x, &t, F::Reduction::Sum)?.value().to_vec::<f64>()?, [13.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not broadcast or a dtype is not a float.
pub fn mse_loss(x: &Var, target: &Var, reduction: Reduction) -> Result<Var> {
    let (x, target) = (&raise(x)?, &raise(target)?);
    let d = x.sub(target).in_op("mse_loss")?;
    reduction.apply(&d.square()?)
}

/// `|x − target|`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0, 4.0], 3)?);
/// let t = Var::from(Tensor::from_slice(&[1.0, 4.0, 1.0], 3)?);
/// assert_eq!(F::l1_loss(&x, &t, F::Reduction::Sum)?.value().to_vec::<f64>()?, [5.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not broadcast or a dtype is not a float.
pub fn l1_loss(x: &Var, target: &Var, reduction: Reduction) -> Result<Var> {
    let d = x.sub(target).in_op("l1_loss")?;
    reduction.apply(&d.abs()?)
}

/// `d²/(2 beta)` where `|d| < beta`, else `|d| − beta/2`, of `d = x − target` (beta 1).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0, 4.0], 3)?);
/// let t = Var::from(Tensor::from_slice(&[1.0, 4.0, 1.0], 3)?);
/// assert_eq!(F::smooth_l1_loss(&x, &t, 1.0, F::Reduction::Sum)?.value().to_vec::<f64>()?, [4.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If beta is negative or the shapes do not broadcast.
pub fn smooth_l1_loss(x: &Var, target: &Var, beta: f64, reduction: Reduction) -> Result<Var> {
    if beta < 0.0 {
        return Err(Error::value(
            "smooth_l1_loss",
            format!("beta {beta} must not be negative"),
        ));
    }
    if beta == 0.0 {
        return l1_loss(x, target, reduction);
    }
    let d = x.sub(target)?;
    let size = d.abs()?;
    let far = size.value().ge_scalar(beta)?;
    // Masked before the square, whose gradient would be 0 · ∞ where d is ∞.
    let square = d.masked_fill(&far, 0)?.square()?.mul_scalar(0.5 / beta)?;
    reduction.apply(&Var::where_(&far, &size.sub_scalar(0.5 * beta)?, &square)?)
}

/// `d²/2` where `|d| ≤ delta`, else `delta (|d| − delta/2)`, of `d = x − target` (delta 1).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0, 4.0], 3)?);
/// let t = Var::from(Tensor::from_slice(&[1.0, 4.0, 1.0], 3)?);
/// assert_eq!(F::huber_loss(&x, &t, 1.0, F::Reduction::Sum)?.value().to_vec::<f64>()?, [4.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If delta is not positive or the shapes do not broadcast.
pub fn huber_loss(x: &Var, target: &Var, delta: f64, reduction: Reduction) -> Result<Var> {
    if delta.is_nan() || delta <= 0.0 {
        return Err(Error::value(
            "huber_loss",
            format!("delta {delta} must be above 0"),
        ));
    }
    let d = x.sub(target)?;
    let size = d.abs()?;
    let far = size.value().gt_scalar(delta)?;
    let square = d.masked_fill(&far, 0)?.square()?.mul_scalar(0.5)?;
    let line = size.sub_scalar(0.5 * delta)?.mul_scalar(delta)?;
    reduction.apply(&Var::where_(&far, &line, &square)?)
}

/// `−(t ln x + (1 − t) ln(1 − x))` of probabilities `x`; logarithms are held above −100, as PyTorch's.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let p = Var::from(Tensor::from_slice(&[0.25, 0.5], 2)?);
/// let t = Var::from(Tensor::from_slice(&[0.0, 1.0], 2)?);
/// let y = F::binary_cross_entropy(&p, &t, None, F::Reduction::None)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.287682, 0.693147], 2)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes differ or a probability is not in `0..=1`.
pub fn binary_cross_entropy(
    x: &Var,
    target: &Var,
    weight: Option<&Var>,
    reduction: Reduction,
) -> Result<Var> {
    if x.dims() != target.dims() {
        let message = format!(
            "input {} and target {} must have one shape",
            x.shape(),
            target.shape()
        );
        return Err(Error::shape("binary_cross_entropy", message));
    }
    let outside = x
        .value()
        .lt_scalar(0)?
        .logical_or(&x.value().gt_scalar(1)?)?;
    if outside.any(.., false)?.item::<bool>()? {
        return Err(Error::value(
            "binary_cross_entropy",
            format!(
                "inputs from {} to {} are not probabilities in 0..=1; for logits use binary_cross_entropy_with_logits",
                x.value().amin(.., false)?.to_f64()?,
                x.value().amax(.., false)?.to_f64()?
            ),
        ));
    }
    let losses = probability_loss(x, target)?;
    weighted(losses, weight, reduction)
}

/// The operation of [`binary_cross_entropy`], with PyTorch's bound on the slope at 0 and 1.
fn probability_loss(x: &Var, target: &Var) -> Result<Var> {
    let held = |p: &Tensor| p.log()?.clamp(-100.0, None);
    let (xv, t) = (x.value(), target.value());
    let rest = xv.rsub_scalar(1)?;
    let y = t
        .mul(&held(xv)?)?
        .add_(&t.rsub_scalar(1)?.mul_(&held(&rest)?)?)?
        .neg_()?;
    Op::new("binary_cross_entropy")
        .inputs(&[x, target])
        .saves(0)
        .saves(1)
        .record(y, |ctx, dy| {
            let (x, t) = (ctx.input(0)?, ctx.input(1)?);
            let rest = x.rsub_scalar(1)?;
            let dx = ctx.grad(0, || {
                dy.mul(&x.sub(t)?.div(&rest.mul(x)?.clamp(Some(1e-12), None)?)?)
            })?;
            let dt = ctx.grad(1, || {
                let held = |p: &Var| p.log()?.clamp(Some(-100.0), None);
                dy.mul(&held(&rest)?.sub(&held(x)?)?)
            })?;
            Ok([dx, dt])
        })
}

/// [`binary_cross_entropy`] of `sigmoid(x)`, without overflow; `pos_weight` weighs the positive answers.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-1.0, 2.0], 2)?);
/// let t = Var::from(Tensor::from_slice(&[0.0, 1.0], 2)?);
/// let y = F::binary_cross_entropy_with_logits(&x, &t, None, None, F::Reduction::None)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.313262, 0.126928], 2)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes differ.
pub fn binary_cross_entropy_with_logits(
    x: &Var,
    target: &Var,
    weight: Option<&Var>,
    pos_weight: Option<&Var>,
    reduction: Reduction,
) -> Result<Var> {
    if x.dims() != target.dims() {
        let message = format!(
            "input {} and target {} must have one shape",
            x.shape(),
            target.shape()
        );
        return Err(Error::shape("binary_cross_entropy_with_logits", message));
    }
    let log_p = match pos_weight {
        Some(pos) => pos
            .sub_scalar(1)?
            .mul(target)?
            .add_scalar(1)?
            .mul(&x.logsigmoid()?)?,
        None => x.logsigmoid()?,
    };
    weighted(
        target.rsub_scalar(1)?.mul(x)?.sub(&log_p)?,
        weight,
        reduction,
    )
}

fn weighted(losses: Var, weight: Option<&Var>, reduction: Reduction) -> Result<Var> {
    match weight {
        Some(weight) => reduction.apply(&losses.mul(weight)?),
        None => reduction.apply(&losses),
    }
}

/// `t (ln t − x)` of log-probabilities `x` and probabilities `t` (log-probabilities with `log_target`).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let log_p = Var::from(Tensor::from_slice(&[-0.5, -1.0], 2)?);
/// let t = Var::from(Tensor::from_slice(&[0.5, 0.5], 2)?);
/// let y = F::kl_div(&log_p, &t, F::Reduction::Sum, false)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.056853], 1)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not broadcast or a dtype is not a float.
pub fn kl_div(x: &Var, target: &Var, reduction: Reduction, log_target: bool) -> Result<Var> {
    let losses = if log_target {
        target.exp()?.mul(&target.sub(x)?)?
    } else {
        target.xlogy(target)?.sub(&target.mul(x)?)?
    };
    reduction.apply(&losses)
}

/// The negative log-likelihood of counts `t`: `eˣ − t x`, or `x − t ln(x + eps)` without `log_input`; with `full`, plus
/// Stirling's approximation of `ln t!` where `t > 1`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[0.0, 1.0], 2)?);
/// let t = Var::from(Tensor::from_slice(&[2.0, 1.0], 2)?);
/// let y = F::poisson_nll_loss(&x, &t, true, false, 1e-8, F::Reduction::None)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[1.0, 1.718282], 2)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not broadcast or a dtype is not a float.
pub fn poisson_nll_loss(
    x: &Var,
    target: &Var,
    log_input: bool,
    full: bool,
    eps: f64,
    reduction: Reduction,
) -> Result<Var> {
    let mut losses = if log_input {
        x.exp()?.sub(&target.mul(x)?)?
    } else {
        x.sub(&target.mul(&x.add_scalar(eps)?.log()?)?)?
    };
    if full {
        let small = target.value().le_scalar(1)?;
        let t = target.masked_fill(&small, 1)?;
        let half_log = t
            .mul_scalar(2.0 * std::f64::consts::PI)?
            .log()?
            .mul_scalar(0.5)?;
        let stirling = t.mul(&t.log()?)?.sub(&t)?.add(&half_log)?;
        losses = losses.add(&stirling.masked_fill(&small, 0)?)?;
    }
    reduction.apply(&losses)
}

/// `½ (ln var + (x − target)²/var)`, the variance held above `eps` (1e-6); with `full`, plus `½ ln 2π`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[0.0, 1.0], 2)?);
/// let t = Var::from(Tensor::from_slice(&[2.0, 1.0], 2)?);
/// let var = Var::from(Tensor::from_slice(&[1.0, 4.0], 2)?);
/// let y = F::gaussian_nll_loss(&x, &t, &var, false, 1e-6, F::Reduction::None)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[2.0, 0.693147], 2)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the variance is negative or has neither the input's shape nor one for each row.
pub fn gaussian_nll_loss(
    x: &Var,
    target: &Var,
    var: &Var,
    full: bool,
    eps: f64,
    reduction: Reduction,
) -> Result<Var> {
    const OP: &str = "gaussian_nll_loss";
    let var = if var.dims() == x.dims() || var.numel() == 1 {
        var.clone()
    } else if x.rank() > 0 && var.dims() == &x.dims()[..x.rank() - 1] {
        var.unsqueeze(-1)?
    } else if var.rank() == x.rank()
        && var.dims()[..x.rank() - 1] == x.dims()[..x.rank() - 1]
        && var.dims().last() == Some(&1)
    {
        var.clone()
    } else {
        return Err(Error::shape(
            OP,
            format!(
                "variance {} for an input of shape {}",
                var.shape(),
                x.shape()
            ),
        ));
    };
    let negative = var.value().lt_scalar(0)?;
    if negative.any(.., false)?.item::<bool>()? {
        return Err(Error::value(OP, "a variance is negative"));
    }
    // Held without cutting the gradient off, as PyTorch does.
    let held = var.add(&Var::from(var.value().clamp(eps, None)?.sub_(var.value())?))?;
    let mut losses = held
        .log()?
        .add(&x.sub(target)?.square()?.div(&held)?)?
        .mul_scalar(0.5)?;
    if full {
        losses = losses.add_scalar(0.5 * (2.0 * std::f64::consts::PI).ln())?;
    }
    reduction.apply(&losses)
}

/// `ln(1 + e^(−t x))` for targets ±1.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[0.0, 1.0], 2)?);
/// let t = Var::from(Tensor::from_slice(&[1.0, -1.0], 2)?);
/// let y = F::soft_margin_loss(&x, &t, F::Reduction::None)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.693147, 1.313262], 2)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not broadcast or a dtype is not a float.
pub fn soft_margin_loss(x: &Var, target: &Var, reduction: Reduction) -> Result<Var> {
    reduction.apply(&target.mul(x)?.neg()?.exp()?.log1p()?)
}
