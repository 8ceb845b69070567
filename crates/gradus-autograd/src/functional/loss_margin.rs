//! Losses that ask for a margin.

use gradus_tensor::{DType, Error, Result, Tensor};

use super::distance::pairwise_distance;
use super::loss::Reduction;
use crate::var::Var;

/// `max(0, −t (x1 − x2) + margin)` for targets ±1 (margin 0).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let a = Var::from(Tensor::from_slice(&[1.0, 1.0], 2)?);
/// let b = Var::from(Tensor::from_slice(&[2.0, 2.0], 2)?);
/// let t = Var::from(Tensor::from_slice(&[1.0, -1.0], 2)?);
/// assert_eq!(F::margin_ranking_loss(&a, &b, &t, 0.5, F::Reduction::None)?.value().to_vec::<f64>()?, [1.5, 0.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not broadcast or a dtype is not a float.
pub fn margin_ranking_loss(
    x1: &Var,
    x2: &Var,
    target: &Var,
    margin: f64,
    reduction: Reduction,
) -> Result<Var> {
    reduction.apply(
        &target
            .neg()?
            .mul(&x1.sub(x2)?)?
            .add_scalar(margin)?
            .clamp(Some(0.0), None)?,
    )
}

/// `x` where the target is 1, `max(0, margin − x)` where it is −1 (margin 1).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[0.25, 0.25], 2)?);
/// let t = Var::from(Tensor::from_slice(&[1.0, -1.0], 2)?);
/// assert_eq!(F::hinge_embedding_loss(&x, &t, 1.0, F::Reduction::None)?.value().to_vec::<f64>()?, [0.25, 0.75]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not broadcast or a dtype is not a float.
pub fn hinge_embedding_loss(
    x: &Var,
    target: &Var,
    margin: f64,
    reduction: Reduction,
) -> Result<Var> {
    let t = target.value();
    let zero = Var::from(Tensor::zeros((), x.dtype())?);
    let far = Var::where_(
        &t.ne_scalar(1)?,
        &x.rsub_scalar(margin)?.clamp(Some(0.0), None)?,
        &zero,
    )?;
    let near = Var::where_(&t.ne_scalar(-1)?, x, &zero)?;
    reduction.apply(&far.add(&near)?)
}

/// `1 − cos(x1, x2)` where the target is 1, `max(0, cos − margin)` where it is −1 (margin 0). x1, x2 (B, C) or (C).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let a = Var::from(Tensor::from_slice(&[1.0, 0.0], [1, 2])?);
/// let b = Var::from(Tensor::from_slice(&[3.0, 4.0], [1, 2])?);
/// let t = Tensor::from_slice(&[1i64], 1)?;
/// let y = F::cosine_embedding_loss(&a, &b, &t, 0.0, F::Reduction::None)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.4], 1)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit.
pub fn cosine_embedding_loss(
    x1: &Var,
    x2: &Var,
    target: &Tensor,
    margin: f64,
    reduction: Reduction,
) -> Result<Var> {
    if x1.dims() != x2.dims() || !(1..=2).contains(&x1.rank()) || target.rank() + 1 != x1.rank() {
        let message = format!(
            "inputs {} and {}, target {}: it takes (B, C), (B, C), (B)",
            x1.shape(),
            x2.shape(),
            target.shape()
        );
        return Err(Error::shape("cosine_embedding_loss", message));
    }
    const EPS: f64 = 1e-12; // as PyTorch's, added to both squares
    let product = x1.mul(x2)?.sum(-1, false)?;
    let squares = |x: &Var| x.square()?.sum(-1, false)?.add_scalar(EPS);
    let cos = product.div(&squares(x1)?.mul(&squares(x2)?)?.sqrt()?)?;
    let zero = Var::from(Tensor::zeros((), x1.dtype())?);
    let same = Var::where_(&target.eq_scalar(1)?, &cos.rsub_scalar(1)?, &zero)?;
    let different = Var::where_(
        &target.eq_scalar(-1)?,
        &cos.sub_scalar(margin)?.clamp(Some(0.0), None)?,
        &zero,
    )?;
    reduction.apply(&same.add(&different)?)
}

/// Optional arguments of [`triplet_margin_loss`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TripletMargin {
    /// How much further the negative should be (1).
    pub margin: f64,
    /// The norm (2).
    pub p: f64,
    /// Added to the differences (1e-6).
    pub eps: f64,
    /// Also consider the distance from positive to negative, and take the smaller (false).
    pub swap: bool,
    /// What becomes of the losses.
    pub reduction: Reduction,
}

impl Default for TripletMargin {
    fn default() -> TripletMargin {
        TripletMargin {
            margin: 1.0,
            p: 2.0,
            eps: 1e-6,
            swap: false,
            reduction: Reduction::Mean,
        }
    }
}

/// `max(0, ‖anchor − positive‖ − ‖anchor − negative‖ + margin)` over the last dimension.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let a = Var::from(Tensor::from_slice(&[0.0], [1, 1])?);
/// let p = Var::from(Tensor::from_slice(&[3.0], [1, 1])?);
/// let n = Var::from(Tensor::from_slice(&[2.5], [1, 1])?);
/// assert_eq!(F::triplet_margin_loss(&a, &p, &n, &F::TripletMargin::default())?.value().to_vec::<f64>()?, [1.5]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the ranks differ, the shapes do not broadcast, or the margin is not above 0.
pub fn triplet_margin_loss(
    anchor: &Var,
    positive: &Var,
    negative: &Var,
    options: &TripletMargin,
) -> Result<Var> {
    if options.margin.is_nan() || options.margin <= 0.0 {
        return Err(Error::value(
            "triplet_margin_loss",
            format!("margin {} must be above 0", options.margin),
        ));
    }
    if anchor.rank() != positive.rank() || anchor.rank() != negative.rank() {
        let message = format!(
            "{}, {} and {} must have one rank",
            anchor.shape(),
            positive.shape(),
            negative.shape()
        );
        return Err(Error::shape("triplet_margin_loss", message));
    }
    let distance = |a: &Var, b: &Var| pairwise_distance(a, b, options.p, options.eps, false);
    let near = distance(anchor, positive)?;
    let mut far = distance(anchor, negative)?;
    if options.swap {
        far = far.minimum(&distance(positive, negative)?)?;
    }
    options.reduction.apply(
        &near
            .sub(&far)?
            .add_scalar(options.margin)?
            .clamp(Some(0.0), None)?,
    )
}

/// `Σ max(0, margin − x[t] + x[i])^p / C` over the classes other than the target: x (B, C) or (C) (p 1, margin 1).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[0.25, 0.5, 0.0, 0.75], [1, 4])?);
/// let class = Tensor::from_slice(&[3i64], 1)?;
/// assert_eq!(F::multi_margin_loss(&x, &class, 1, 1.0, None, F::Reduction::Mean)?.value().to_vec::<f64>()?, [0.375]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If p is neither 1 nor 2, shapes do not fit, or a class is out of range.
pub fn multi_margin_loss(
    x: &Var,
    target: &Tensor,
    p: u32,
    margin: f64,
    weight: Option<&Tensor>,
    reduction: Reduction,
) -> Result<Var> {
    const OP: &str = "multi_margin_loss";
    if !(1..=2).contains(&p) {
        return Err(Error::value(OP, format!("p is {p}; it may be 1 or 2")));
    }
    if x.rank() == 0 {
        return multi_margin_loss(&x.unsqueeze(0)?, target, p, margin, weight, reduction);
    }
    let fits = match x.rank() {
        1 => target.numel() == 1,
        2 => target.dims() == &x.dims()[..1],
        _ => false,
    };
    if !fits || x.dims().last() == Some(&0) {
        return Err(Error::shape(
            OP,
            format!(
                "input {} and target {}: it takes (B, C) and (B)",
                x.shape(),
                target.shape()
            ),
        ));
    }
    let (single, scalar) = (x.rank() == 1, target.rank() == 0);
    let x = if single { x.unsqueeze(0)? } else { x.clone() };
    let classes = x.dims()[1];
    let target = target.to_dtype(DType::I64)?.reshape([-1, 1])?; // (B, 1)
    let right = x.gather(1, &target)?;
    let mut losses = x.sub(&right)?.add_scalar(margin)?.clamp(Some(0.0), None)?;
    if p == 2 {
        losses = losses.square()?;
    }
    if let Some(weight) = weight {
        if weight.dims() != [classes] {
            return Err(Error::shape(
                OP,
                format!("{} class weights for {classes} classes", weight.shape()),
            ));
        }
        losses = losses.mul(&Var::from(weight.take(&target)?))?;
    }
    let numbers = Tensor::arange(0, classes, 1, (DType::I64, target.device()))?.unsqueeze(0)?;
    let losses = losses
        .masked_fill(&numbers.eq(&target)?, 0)?
        .sum(1, false)?
        .div_scalar(classes as f64)?; // (B)
    let losses = if scalar { losses.squeeze(0)? } else { losses }; // one loss has the target's rank
    reduction.apply(&losses)
}
