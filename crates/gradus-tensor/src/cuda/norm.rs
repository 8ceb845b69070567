//! Normalisations on a GPU, each beside its gradients. Statistics are f32.

use gradus_cuda::Buffer;
use gradus_cuda::ops::norm::{self, Affine, Gradients};

use super::order::Order;
use super::{build, solid, solid_option, tensor, together, view};
use crate::dtype::DType;
use crate::error::Result;
use crate::layout::Layout;
use crate::ops::nn::norm::{NormGradients, Normalized};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// All operands of a normalisation, for [`together`].
fn operands<'a>(first: &[&'a Tensor], rest: &[Option<&'a Tensor>]) -> Vec<&'a Tensor> {
    first
        .iter()
        .copied()
        .chain(rest.iter().flatten().copied())
        .collect()
}

/// Layer norm over the last `n` elements of `count` rows; RMS norm without the mean.
pub(crate) fn rows(
    op: &'static str,
    x: &Tensor,
    (n, count): (usize, usize),
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
    centred: bool,
) -> Result<Normalized> {
    let gpu = together(op, &operands(&[x], &[weight, bias]))?;
    let (w, b) = (solid_option(weight)?, solid_option(bias)?);
    let stats = Shape::from(if centred { count } else { 0 });
    let mut mean = gpu.uninit::<f32>(stats.numel()?)?;
    let mut rstd = gpu.uninit::<f32>(count)?;
    let y = dispatch_cuda!(float op, x.dtype(), T => {
        let v = x.cuda_view::<T>()?;
        let weight = w.as_ref().map(Tensor::cuda_solid::<T>).transpose()?;
        let bias = b.as_ref().map(Tensor::cuda_solid::<T>).transpose()?;
        build::<T>(&gpu, x.shape(), x.dtype(), |y| {
            if centred {
                norm::layer_norm(&v, n, Affine { weight, bias }, eps as f32, y, &mut mean, &mut rstd)
            } else {
                norm::rms_norm(&v, n, weight, eps as f32, y, &mut rstd)
            }
        })
    })?;
    Ok(Normalized {
        y,
        mean: tensor(mean, &stats, DType::F32),
        rstd: tensor(rstd, &Shape::from(count), DType::F32),
    })
}

/// Runs a backward kernel with buffers for the gradients: that of `x` in `order`, those of the parameters `n` long.
fn gradients<T: gradus_cuda::Element>(
    gpu: &gradus_cuda::Device,
    x: &Tensor,
    order: &Order,
    n: usize,
    shape: &Shape,
    with_bias: bool,
    kernel: impl FnOnce(Gradients<'_, T>) -> gradus_cuda::Result<()>,
) -> Result<NormGradients> {
    let mut dweight: Buffer<T> = gpu.uninit(n)?;
    let mut dbias: Option<Buffer<T>> = if with_bias {
        Some(gpu.uninit(n)?)
    } else {
        None
    };
    let dx = order.build::<T>(gpu, x.shape(), x.dtype(), |dx| {
        kernel(Gradients {
            dx,
            dweight: Some(&mut dweight),
            dbias: dbias.as_mut(),
        })
    })?;
    Ok(NormGradients {
        dx,
        dweight: Some(tensor(dweight, shape, x.dtype())),
        dbias: dbias.map(|b| tensor(b, shape, x.dtype())),
    })
}

/// The gradients of [`rows`].
pub(crate) fn rows_backward(
    op: &'static str,
    dy: &Tensor,
    x: &Tensor,
    n: usize,
    shape: &Shape,
    weight: Option<&Tensor>,
    forward: &Normalized,
    centred: bool,
) -> Result<NormGradients> {
    let gpu = together(
        op,
        &operands(&[dy, x, &forward.mean, &forward.rstd], &[weight]),
    )?;
    let (w, mean, rstd) = (
        solid_option(weight)?,
        solid(&forward.mean)?,
        solid(&forward.rstd)?,
    );
    dispatch_cuda!(float op, x.dtype(), T => {
        let (g, v) = (dy.cuda_view::<T>()?, x.cuda_view::<T>()?);
        let weight = w.as_ref().map(Tensor::cuda_solid::<T>).transpose()?;
        let mean = if centred { Some(mean.cuda_solid::<f32>()?) } else { None };
        let rstd = rstd.cuda_solid::<f32>()?;
        gradients::<T>(&gpu, x, &Order::ROWS, n, shape, centred, |out| norm::layer_norm_backward(&g, &v, n, weight, mean, rstd, out))
    })
}

/// Group norm: rows of a group, then the channels' weights by broadcasting.
pub(crate) fn group_norm(
    op: &'static str,
    x: &Tensor,
    groups: usize,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Normalized> {
    let count = x.dims()[0] * groups;
    if groups == 0 || !x.dims()[1].is_multiple_of(groups) || count == 0 || x.numel() == 0 {
        let message = format!("the input {} in {groups} groups", x.shape());
        return Err(crate::error::Error::shape(op, message));
    }
    let n = x.numel() / count;
    let mut out = rows(op, x, (n, count), None, None, eps, true)?;
    for (p, scale) in [(weight, true), (bias, false)] {
        let Some(p) = p else { continue };
        let p = channel_line(p, x.rank())?;
        out.y = if scale {
            out.y.mul(&p)?
        } else {
            out.y.add(&p)?
        };
    }
    Ok(out)
}

/// One number for each channel, to broadcast with (B, C, …).
fn channel_line(p: &Tensor, rank: usize) -> Result<Tensor> {
    let mut line = vec![1; rank - 1];
    line[0] = p.numel();
    p.reshape(line)
}

/// The gradients of [`group_norm`].
pub(crate) fn group_norm_backward(
    op: &'static str,
    dy: &Tensor,
    x: &Tensor,
    groups: usize,
    weight: Option<&Tensor>,
    forward: &Normalized,
) -> Result<NormGradients> {
    together(
        op,
        &operands(&[dy, x, &forward.mean, &forward.rstd], &[weight]),
    )?;
    let count = x.dims()[0] * groups;
    let n = x.numel() / count.max(1);
    let scaled = match weight {
        Some(w) => dy.mul(&channel_line(w, x.rank())?)?,
        None => dy.clone(),
    };
    let shape = Shape::from(n);
    let inner = rows_backward(op, &scaled, x, n, &shape, None, forward, true)?;
    // The parameters' gradients by channel: Σ dy·x̂ and Σ dy.
    let line = [x.dims()[0] as isize, groups as isize, -1];
    let of_group = |s: &Tensor| s.reshape([x.dims()[0], groups, 1]);
    let wide = x.to_dtype(DType::F32)?.reshape(&line[..])?;
    let hat = wide
        .sub(&of_group(&forward.mean)?)?
        .mul_(&of_group(&forward.rstd)?)?;
    let hat = hat.reshape_to(x.shape())?;
    let dy = dy.to_dtype(DType::F32)?;
    let dims: Vec<isize> = (0..x.rank() as isize).filter(|&d| d != 1).collect();
    Ok(NormGradients {
        dx: inner.dx,
        dweight: Some(dy.mul(&hat)?.sum(&dims[..], false)?.to_dtype(x.dtype())?),
        dbias: Some(dy.sum(&dims[..], false)?.to_dtype(x.dtype())?),
    })
}

/// The layout in which a batch norm's kernels see images of this order: as they are, or with channels last as rows of channels.
fn pixels(x: &Tensor, order: &Order) -> Layout {
    if order.is_rows() {
        return x.layout.clone();
    }
    let channels = x.dims()[1];
    let rows = x.numel() / channels.max(1);
    let mut layout = Layout::contiguous(Shape::from([rows, channels]));
    layout.offset = x.layout.offset;
    layout
}

/// Mean and variance of each channel.
pub(crate) fn batch_norm_stats(x: &Tensor, channels: usize) -> Result<(Tensor, Tensor)> {
    let op = "batch_norm";
    let gpu = together(op, &[x])?;
    let (mut mean, mut var) = (gpu.uninit::<f32>(channels)?, gpu.uninit::<f32>(channels)?);
    let look = pixels(x, &Order::of_images(x));
    dispatch_cuda!(float op, x.dtype(), T => {
        Ok(norm::batch_norm_stats(&view::<T>(x, &look)?, &mut mean, &mut var)?)
    })?;
    let shape = Shape::from(channels);
    Ok((
        tensor(mean, &shape, DType::F32),
        tensor(var, &shape, DType::F32),
    ))
}

/// Normalised by given statistics.
pub(crate) fn batch_norm(
    x: &Tensor,
    mean: &Tensor,
    rstd: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    let op = "batch_norm";
    let gpu = together(op, &operands(&[x, mean, rstd], &[weight, bias]))?;
    let (w, b, mean, rstd) = (
        solid_option(weight)?,
        solid_option(bias)?,
        wide(mean)?,
        wide(rstd)?,
    );
    let order = Order::of_images(x);
    let look = pixels(x, &order);
    dispatch_cuda!(float op, x.dtype(), T => {
        let v = view::<T>(x, &look)?;
        let affine = Affine {
            weight: w.as_ref().map(Tensor::cuda_solid::<T>).transpose()?,
            bias: b.as_ref().map(Tensor::cuda_solid::<T>).transpose()?,
        };
        let (mean, rstd) = (mean.cuda_solid::<f32>()?, rstd.cuda_solid::<f32>()?);
        order.build::<T>(&gpu, x.shape(), x.dtype(), |y| norm::batch_norm(&v, mean, rstd, affine, y))
    })
}

/// Statistics as the kernels take them.
fn wide(x: &Tensor) -> Result<Tensor> {
    solid(&x.to_dtype(DType::F32)?)
}

/// The gradients of [`batch_norm`].
pub(crate) fn batch_norm_backward(
    dy: &Tensor,
    x: &Tensor,
    mean: &Tensor,
    rstd: &Tensor,
    weight: Option<&Tensor>,
    training: bool,
) -> Result<NormGradients> {
    let op = "batch_norm_backward";
    let gpu = together(op, &operands(&[dy, x, mean, rstd], &[weight]))?;
    let (w, mean, rstd) = (solid_option(weight)?, wide(mean)?, wide(rstd)?);
    let c = x.dims()[1];
    let order = Order::of_images(x);
    let dy = match order.is_rows() {
        true => dy.clone(),
        false => order.solid(dy)?,
    };
    let (look, look_dy) = (pixels(x, &order), pixels(&dy, &order));
    dispatch_cuda!(float op, x.dtype(), T => {
        let (g, v) = (view::<T>(&dy, &look_dy)?, view::<T>(x, &look)?);
        let weight = w.as_ref().map(Tensor::cuda_solid::<T>).transpose()?;
        let (mean, rstd) = (mean.cuda_solid::<f32>()?, rstd.cuda_solid::<f32>()?);
        gradients::<T>(&gpu, x, &order, c, &Shape::from(c), true, |out| norm::batch_norm_backward(&g, &v, mean, rstd, weight, training, out))
    })
}
