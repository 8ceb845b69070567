//! Normalisations: mean 0 and variance 1 over some dimensions, then a scale and a shift.

use gradus_tensor::{DType, Error, NormGradients, Normalized, Result, Tensor};

use crate::autocast::raise;
use crate::op::Op;
use crate::recompute::recompute;
use crate::var::Var;

/// `(x − mean)/√(var + eps)` over `dims`, var divided by n.
fn standardize(x: &Var, dims: &[isize], eps: f64) -> Result<Var> {
    let centred = x.sub(&x.mean(dims, true)?)?;
    let var = centred.square()?.mean(dims, true)?;
    centred.mul(&var.add_scalar(eps)?.rsqrt()?)
}

/// `x · weight + bias`, each if given.
fn affine(x: Var, weight: Option<&Var>, bias: Option<&Var>) -> Result<Var> {
    let x = match weight {
        Some(weight) => x.mul(weight)?,
        None => x,
    };
    match bias {
        Some(bias) => x.add(bias),
        None => Ok(x),
    }
}

/// The last dimensions, which must have the sizes of `shape`.
fn last_dims(
    op: &'static str,
    x: &Var,
    shape: &[usize],
    others: &[Option<&Var>],
) -> Result<Vec<isize>> {
    let fits = !shape.is_empty() && x.dims().ends_with(shape);
    if !fits || others.iter().flatten().any(|v| v.dims() != shape) {
        let given: Vec<String> = others
            .iter()
            .flatten()
            .map(|v| v.shape().to_string())
            .collect();
        let given = if given.is_empty() {
            "none".into()
        } else {
            given.join(" and ")
        };
        return Err(Error::shape(
            op,
            format!(
                "normalized_shape {shape:?} must be the last sizes of the input {} and the shape of weight and bias ({given})",
                x.shape()
            ),
        ));
    }
    Ok((1..=shape.len() as isize).rev().map(|d| -d).collect())
}

/// A normalisation with fused kernels: `backward` gives all gradients at once, `composed` says the same by other
/// operations, for gradients that are to be differentiated again.
fn fused(
    op: &'static str,
    inputs: (&Var, Option<&Var>, Option<&Var>),
    y: Tensor,
    backward: impl Fn(&Tensor, &Tensor, Option<&Tensor>) -> Result<NormGradients>
    + Send
    + Sync
    + 'static,
    composed: impl Fn(&Var, Option<&Var>, Option<&Var>) -> Result<Var> + Send + Sync + 'static,
) -> Result<Var> {
    let (x, weight, bias) = inputs;
    let (has_weight, has_bias) = (weight.is_some(), bias.is_some());
    let inputs: Vec<&Var> = [x].into_iter().chain(weight).chain(bias).collect();
    Op::new(op)
        .inputs(&inputs)
        .saves(0)
        .saves(1)
        .saves(2)
        .record(y, move |ctx, dy| {
            if ctx.create_graph() {
                return recompute(ctx, dy, &[], |v| {
                    composed(
                        &v[0],
                        has_weight.then(|| &v[1]),
                        has_bias.then(|| &v[v.len() - 1]),
                    )
                });
            }
            let weight = if has_weight {
                Some(ctx.input(1)?.value())
            } else {
                None
            };
            let g = backward(dy.value(), ctx.input(0)?.value(), weight)?;
            let mut grads = vec![Some(Var::from(g.dx))];
            if has_weight {
                grads.push(g.dweight.map(Var::from));
            }
            if has_bias {
                grads.push(g.dbias.map(Var::from));
            }
            Ok(grads)
        })
}

/// The kernels take operands of one dtype, and something to work on.
fn kernel_takes(x: &Var, others: &[Option<&Var>]) -> bool {
    x.numel() > 0 && others.iter().flatten().all(|v| v.dtype() == x.dtype())
}

/// Over the last dimensions, which have the sizes of `normalized_shape` (eps 1e-5).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 5.0, 7.0], [1, 4])?);
/// let y = F::layer_norm(&x, &[4], None, None, 1e-5)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-1.341639, -0.447213, 0.447213, 1.341639], 4)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit.
pub fn layer_norm(
    x: &Var,
    normalized_shape: &[usize],
    weight: Option<&Var>,
    bias: Option<&Var>,
    eps: f64,
) -> Result<Var> {
    let x = &raise(x)?;
    let dims = last_dims("layer_norm", x, normalized_shape, &[weight, bias])?;
    if !kernel_takes(x, &[weight, bias]) {
        return affine(standardize(x, &dims, eps)?, weight, bias);
    }
    let shape = normalized_shape.to_vec();
    let mut forward =
        x.value()
            .layer_norm(&shape, weight.map(Var::value), bias.map(Var::value), eps)?;
    let y = take_output(&mut forward)?;
    fused(
        "layer_norm",
        (x, weight, bias),
        y,
        move |dy, x, w| dy.layer_norm_backward(x, &shape, w, &forward),
        move |x, w, b| affine(standardize(x, &dims, eps)?, w, b),
    )
}

/// The result, leaving only the statistics: the backward does not need it.
fn take_output(forward: &mut Normalized) -> Result<Tensor> {
    Ok(std::mem::replace(
        &mut forward.y,
        Tensor::zeros([0], &forward.rstd)?,
    ))
}

/// Divided by the root mean square over the last dimensions, then scaled (`eps` `None`: the dtype's epsilon).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 5.0, 7.0], [1, 4])?);
/// let y = F::rms_norm(&x, &[4], None, None)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.218218, 0.654654, 1.091089, 1.527525], 4)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit.
pub fn rms_norm(
    x: &Var,
    normalized_shape: &[usize],
    weight: Option<&Var>,
    eps: Option<f64>,
) -> Result<Var> {
    let x = &raise(x)?;
    let dims = last_dims("rms_norm", x, normalized_shape, &[weight])?;
    let eps = eps.unwrap_or(if x.dtype() == DType::F64 {
        f64::EPSILON
    } else {
        f64::from(f32::EPSILON)
    });
    let composed = move |x: &Var, w: Option<&Var>, _: Option<&Var>| {
        let scale = x
            .square()?
            .mean(&dims[..], true)?
            .add_scalar(eps)?
            .rsqrt()?;
        affine(x.mul(&scale)?, w, None)
    };
    if !kernel_takes(x, &[weight]) {
        return composed(x, weight, None);
    }
    let shape = normalized_shape.to_vec();
    let mut forward = x.value().rms_norm(&shape, weight.map(Var::value), eps)?;
    let y = take_output(&mut forward)?;
    fused(
        "rms_norm",
        (x, weight, None),
        y,
        move |dy, x, w| dy.rms_norm_backward(x, &shape, w, &forward),
        composed,
    )
}

/// Over groups of channels of each sample: x (B, C, …), weight and bias (C) (eps 1e-5).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 5.0, 7.0], [1, 4])?);
/// let y = F::group_norm(&x, 2, None, None, 1e-5)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-0.999995, 0.999995, -0.999995, 0.999995], 4)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the groups do not divide the channels or the shapes do not fit.
pub fn group_norm(
    x: &Var,
    num_groups: usize,
    weight: Option<&Var>,
    bias: Option<&Var>,
    eps: f64,
) -> Result<Var> {
    let x = &raise(x)?;
    let channels = channels("group_norm", x, &[weight, bias])?;
    if x.dims()[1..].contains(&0) {
        let message = format!("the input has shape {}: nothing to normalise", x.shape());
        return Err(Error::shape("group_norm", message));
    }
    if num_groups == 0 || channels % num_groups != 0 {
        return Err(Error::shape(
            "group_norm",
            format!("{channels} channels do not divide into {num_groups} groups"),
        ));
    }
    let composed = move |x: &Var, w: Option<&Var>, b: Option<&Var>| {
        let (batch, groups) = (x.dims()[0] as isize, num_groups as isize);
        let per_group = if x.numel() == 0 {
            0
        } else {
            x.numel() as isize / (batch * groups)
        };
        let grouped = x.reshape([batch, groups, per_group])?; // (B, G, C/G · …)
        scaled(
            standardize(&grouped, &[-1], eps)?.reshape(crate::ops::sizes(x.dims()))?,
            w,
            b,
        )
    };
    if !kernel_takes(x, &[weight, bias]) {
        return composed(x, weight, bias);
    }
    let mut forward = x.value().group_norm(
        num_groups,
        weight.map(Var::value),
        bias.map(Var::value),
        eps,
    )?;
    let y = take_output(&mut forward)?;
    let backward = move |dy: &Tensor, x: &Tensor, w: Option<&Tensor>| {
        dy.group_norm_backward(x, num_groups, w, &forward)
    };
    fused("group_norm", (x, weight, bias), y, backward, composed)
}

/// Over each channel of each sample: x (B, C, …), weight and bias (C) (eps 1e-5). With `running` mean and variance,
/// those are used.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 5.0, 9.0], [1, 2, 2])?);
/// let y = F::instance_norm(&x, None, None, None, 1e-5)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-0.999995, 0.999995, -0.999999, 0.999999], 4)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit.
pub fn instance_norm(
    x: &Var,
    running: Option<(&Tensor, &Tensor)>,
    weight: Option<&Var>,
    bias: Option<&Var>,
    eps: f64,
) -> Result<Var> {
    let channels = channels("instance_norm", x, &[weight, bias])?;
    if let Some((mean, var)) = running {
        return batch_norm(x, Some((mean, var)), weight, bias, false, eps);
    }
    let spatial: usize = x.dims()[2..].iter().product();
    if spatial <= 1 {
        return Err(Error::shape(
            "instance_norm",
            format!(
                "{}: it takes more than 1 element for each channel",
                x.shape()
            ),
        ));
    }
    group_norm(x, channels, weight, bias, eps)
}

/// Over each channel of the whole batch: x (B, C, …), weight and bias (C) (eps 1e-5). Training, or without `running` mean
/// and variance, with the statistics of the batch; otherwise with the running ones, which this function does not change:
/// see [`batch_stats`].
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 10.0, 3.0, 30.0], [2, 2])?);
/// let y = F::batch_norm(&x, None, None, None, true, 1e-5)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-0.999995, -1.0, 0.999995, 1.0], 4)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit, or there is only one element for each channel in training.
pub fn batch_norm(
    x: &Var,
    running: Option<(&Tensor, &Tensor)>,
    weight: Option<&Var>,
    bias: Option<&Var>,
    training: bool,
    eps: f64,
) -> Result<Var> {
    const OP: &str = "batch_norm";
    if x.dims() == [0] {
        return Ok(x.clone()); // PyTorch lets an empty vector pass, though it has no channels
    }
    let x = &raise(x)?;
    let channels = channels(OP, x, &[weight, bias])?;
    let fixed = match running {
        Some((mean, var)) if !training => {
            if mean.dims() != [channels] || var.dims() != [channels] {
                let message = format!(
                    "running mean {} and variance {} for {channels} channels",
                    mean.shape(),
                    var.shape()
                );
                return Err(Error::shape(OP, message));
            }
            Some((mean.clone(), var.add_scalar(eps)?.rsqrt_()?))
        }
        _ if training && x.numel() <= channels => {
            let message = format!(
                "{}: training takes more than 1 element for each channel; use a larger batch, or eval()",
                x.shape()
            );
            return Err(Error::shape(OP, message));
        }
        _ => None,
    };
    let frozen = fixed.clone();
    let composed = move |x: &Var, w: Option<&Var>, b: Option<&Var>| {
        let y = match &frozen {
            Some((mean, rstd)) => {
                let mean = per_channel(&Var::from(mean), x.rank())?;
                x.sub(&mean)?
                    .mul(&per_channel(&Var::from(rstd), x.rank())?)?
            }
            None => standardize(x, &all_but_channels(x), eps)?,
        };
        scaled(y, w, b)
    };
    if !kernel_takes(x, &[weight, bias]) {
        return composed(x, weight, bias);
    }
    let of_batch = fixed.is_none();
    let (mean, rstd) = if let Some(fixed) = fixed {
        fixed
    } else {
        let (mean, var) = x.value().batch_norm_stats()?;
        (mean, var.add_scalar_(eps)?.rsqrt_()?)
    };
    let dtype = if x.dtype() == DType::F64 {
        DType::F64
    } else {
        DType::F32
    };
    let (mean, rstd) = (mean.to_dtype(dtype)?, rstd.to_dtype(dtype)?);
    let y = x
        .value()
        .batch_norm(&mean, &rstd, weight.map(Var::value), bias.map(Var::value))?;
    let backward = move |dy: &Tensor, x: &Tensor, w: Option<&Tensor>| {
        dy.batch_norm_backward(x, &mean, &rstd, w, of_batch)
    };
    fused(OP, (x, weight, bias), y, backward, composed)
}

/// Mean and unbiased variance of each channel of the batch: what running statistics are updated with.
///
/// ```
/// # use gradus_autograd::functional as F;
/// # use gradus_tensor::Tensor;
/// let x = Tensor::from_slice(&[1.0, 10.0, 3.0, 30.0], [2, 2])?; // (B, C)
/// let (mean, var) = F::batch_stats(&x)?;
/// assert_eq!((mean.to_vec::<f64>()?, var.to_vec::<f64>()?), (vec![2.0, 20.0], vec![2.0, 200.0]));
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If there is no channel dimension.
pub fn batch_stats(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let v = Var::from(x);
    let channels = channels("batch_stats", &v, &[])?;
    let dims = all_but_channels(&v);
    let mean = x.mean(dims.clone(), true)?;
    let n = x.numel() / channels.max(1);
    let var = x
        .sub(&mean)?
        .square_()?
        .sum(dims, false)?
        .div_scalar_(n as f64 - 1.0)?;
    Ok((mean.reshape([channels])?, var))
}

/// Divided by a power of the mean square over `size` neighbouring channels: x (B, C, …) (alpha 1e-4, beta 0.75, k 1).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0, 3.0], [1, 3, 1])?);
/// let y = F::local_response_norm(&x, 3, 1.0, 1.0, 1.0)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.375, 0.352941, 0.5625], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the size is 0 or there is no channel dimension.
pub fn local_response_norm(x: &Var, size: usize, alpha: f64, beta: f64, k: f64) -> Result<Var> {
    if x.rank() < 3 || size == 0 {
        return Err(Error::shape(
            "local_response_norm",
            format!(
                "{} with size {size}: it takes (B, C, …) and a size above 0",
                x.shape()
            ),
        ));
    }
    if x.numel() == 0 {
        return Ok(x.clone());
    }
    let rank = x.rank();
    let mut pad = vec![0isize; 2 * (rank - 1)];
    pad[2 * (rank - 2)] = (size / 2) as isize;
    pad[2 * (rank - 2) + 1] = ((size - 1) / 2) as isize;
    let squares = x.square()?.pad(
        &pad,
        gradus_tensor::PadMode::Constant(gradus_tensor::Scalar::Int(0)),
    )?;
    let mean = squares.unfold(1, size, 1)?.mean(-1, false)?; // (B, C, …)
    x.div(&mean.mul_scalar(alpha)?.add_scalar(k)?.pow_scalar(beta)?)
}

/// The number of channels of (B, C, …), which weight and bias must have.
fn channels(op: &'static str, x: &Var, others: &[Option<&Var>]) -> Result<usize> {
    let Some(&channels) = x.dims().get(1) else {
        return Err(Error::shape(
            op,
            format!("the input has shape {}; it takes (B, C, …)", x.shape()),
        ));
    };
    if let Some(other) = others.iter().flatten().find(|v| v.dims() != [channels]) {
        return Err(Error::shape(
            op,
            format!(
                "weight or bias {} for {channels} channels of the input {}",
                other.shape(),
                x.shape()
            ),
        ));
    }
    Ok(channels)
}

fn all_but_channels(x: &Var) -> Vec<isize> {
    (0..x.rank() as isize).filter(|&d| d != 1).collect()
}

/// (C) as (1, C, 1, …).
fn per_channel(v: &Var, rank: usize) -> Result<Var> {
    let mut shape = vec![1isize; rank];
    shape[1] = -1;
    v.reshape(shape)
}

fn scaled(y: Var, weight: Option<&Var>, bias: Option<&Var>) -> Result<Var> {
    let rank = y.rank();
    let weight = weight.map(|w| per_channel(w, rank)).transpose()?;
    let bias = bias.map(|b| per_channel(b, rank)).transpose()?;
    affine(y, weight.as_ref(), bias.as_ref())
}
