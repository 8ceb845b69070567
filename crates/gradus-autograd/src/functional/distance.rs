//! Distances, similarities, and division by a norm.

use gradus_tensor::{Error, Result, Scalar, Tensor};

use crate::var::Var;

/// `x1 · x2 / (max(‖x1‖, eps) max(‖x2‖, eps))` along `dim`, broadcast (dim 1, eps 1e-8).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let a = Var::from(Tensor::from_slice(&[1.0, 0.0], [1, 2])?);
/// let b = Var::from(Tensor::from_slice(&[3.0, 4.0], [1, 2])?);
/// let y = F::cosine_similarity(&a, &b, 1, 1e-8)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.6], 1)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not broadcast or there is no such dimension.
pub fn cosine_similarity(x1: &Var, x2: &Var, dim: isize, eps: f64) -> Result<Var> {
    let all = Var::broadcast_tensors(&[x1, x2])?;
    let [a, b] = &all[..] else {
        return Err(Error::value("cosine_similarity", "two operands"));
    };
    let held = |x: &Var| -> Result<Var> {
        let norm = x.norm(2.0, dim, true)?;
        // PyTorch holds the value above eps but lets the gradient through.
        norm.add(&Var::from(
            norm.value().clamp(eps, None)?.sub_(norm.value())?,
        ))
    };
    a.div(&held(a)?)?.mul(&b.div(&held(b)?)?)?.sum(dim, false)
}

/// `‖x1 − x2 + eps‖` over the last dimension (p 2, eps 1e-6).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let a = Var::from(Tensor::from_slice(&[1.0, 0.0], [1, 2])?);
/// let b = Var::from(Tensor::from_slice(&[3.0, 4.0], [1, 2])?);
/// assert_eq!(F::pairwise_distance(&a, &b, 1.0, 0.0, false)?.value().to_vec::<f64>()?, [6.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not broadcast.
pub fn pairwise_distance(x1: &Var, x2: &Var, p: f64, eps: f64, keepdim: bool) -> Result<Var> {
    x1.sub(x2)?.add_scalar(eps)?.norm(p, -1, keepdim)
}

/// `x / max(‖x‖, eps)` along `dim` (p 2, dim 1, eps 1e-12).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[3.0, 4.0], [1, 2])?);
/// let y = F::normalize(&x, 2.0, 1, 1e-12)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.6, 0.8], 2)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If there is no such dimension.
pub fn normalize(x: &Var, p: f64, dim: isize, eps: f64) -> Result<Var> {
    x.div(&x.norm(p, dim, true)?.clamp(Some(eps), None)?)
}

/// Channels to space: (…, C r², H, W) to (…, C, H r, W r).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [1, 4, 1, 1])?);
/// assert_eq!(F::pixel_shuffle(&x, 2)?.value().to_vec::<f64>()?, [1.0, 2.0, 3.0, 4.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the channels do not divide by r².
pub fn pixel_shuffle(x: &Var, upscale_factor: usize) -> Result<Var> {
    let r = upscale_factor as isize;
    let [lead @ .., c, h, w] = &super::super::ops::sizes(x.dims())[..] else {
        return Err(Error::shape(
            "pixel_shuffle",
            format!("{} has fewer than 3 dimensions", x.shape()),
        ));
    };
    if r == 0 || c % (r * r) != 0 {
        return Err(Error::shape(
            "pixel_shuffle",
            format!("{c} channels do not divide by {upscale_factor} squared"),
        ));
    }
    let n = lead.len() as isize;
    let split: Vec<isize> = lead
        .iter()
        .copied()
        .chain([c / (r * r), r, r, *h, *w])
        .collect();
    let order: Vec<isize> = (0..n).chain([n, n + 3, n + 1, n + 4, n + 2]).collect();
    let out: Vec<isize> = lead
        .iter()
        .copied()
        .chain([c / (r * r), h * r, w * r])
        .collect();
    x.reshape(split)?.permute(&order)?.reshape(out)
}

/// Space to channels: (…, C, H r, W r) to (…, C r², H, W).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [1, 1, 2, 2])?);
/// assert_eq!(F::pixel_unshuffle(&x, 2)?.value().to_vec::<f64>()?, [1.0, 2.0, 3.0, 4.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If height or width do not divide by r.
pub fn pixel_unshuffle(x: &Var, downscale_factor: usize) -> Result<Var> {
    let r = downscale_factor as isize;
    let [lead @ .., c, h, w] = &super::super::ops::sizes(x.dims())[..] else {
        return Err(Error::shape(
            "pixel_unshuffle",
            format!("{} has fewer than 3 dimensions", x.shape()),
        ));
    };
    if r == 0 || h % r != 0 || w % r != 0 {
        return Err(Error::shape(
            "pixel_unshuffle",
            format!("{h} x {w} does not divide by {downscale_factor}"),
        ));
    }
    let n = lead.len() as isize;
    let split: Vec<isize> = lead
        .iter()
        .copied()
        .chain([*c, h / r, r, w / r, r])
        .collect();
    let order: Vec<isize> = (0..n).chain([n, n + 2, n + 4, n + 1, n + 3]).collect();
    let out: Vec<isize> = lead
        .iter()
        .copied()
        .chain([c * r * r, h / r, w / r])
        .collect();
    x.reshape(split)?.permute(&order)?.reshape(out)
}

/// Channels (B, C, …) in `groups`, dealt out one from each group in turn.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [1, 4, 1, 1])?);
/// assert_eq!(F::channel_shuffle(&x, 2)?.value().to_vec::<f64>()?, [1.0, 3.0, 2.0, 4.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the groups do not divide the channels.
pub fn channel_shuffle(x: &Var, groups: usize) -> Result<Var> {
    let [b, c, rest @ ..] = &super::super::ops::sizes(x.dims())[..] else {
        return Err(Error::shape(
            "channel_shuffle",
            format!("{} has no channels", x.shape()),
        ));
    };
    let g = groups as isize;
    if g == 0 || c % g != 0 || rest.is_empty() {
        return Err(Error::shape(
            "channel_shuffle",
            format!(
                "{} by {groups} groups: it takes (B, C, …), C divisible",
                x.shape()
            ),
        ));
    }
    let split: Vec<isize> = [*b, g, c / g]
        .into_iter()
        .chain(rest.iter().copied())
        .collect();
    let out: Vec<isize> = [*b, *c].into_iter().chain(rest.iter().copied()).collect();
    x.reshape(split)?.transpose(1, 2)?.reshape(out)
}

/// 1 at the class, 0 elsewhere: class numbers (…) to (…, num_classes), i64.
///
/// ```
/// # use gradus_autograd::functional as F;
/// # use gradus_tensor::Tensor;
/// let classes = Tensor::from_slice(&[2i64, 0], 2)?;
/// assert_eq!(F::one_hot(&classes, 3)?.to_vec::<i64>()?, [0, 0, 1, 1, 0, 0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If a class is out of range.
pub fn one_hot(classes: &Tensor, num_classes: usize) -> Result<Tensor> {
    let mut shape = classes.dims().to_vec();
    shape.push(num_classes);
    let zeros = Tensor::zeros(shape, gradus_tensor::DType::I64)?;
    zeros
        .scatter_value(
            -1,
            &classes.to_dtype(gradus_tensor::DType::I64)?.unsqueeze(-1)?,
            Scalar::Int(1),
        )
        .map_err(|e| e.in_op("one_hot"))
}
