//! Pooling over images on a GPU, and over time as images of height 1; each beside its gradient.

use gradus_cpu::pool::{AvgPoolParams, MaxPoolParams};
use gradus_cuda::ops::embedding::scatter_add;
use gradus_cuda::ops::pool::{self, Pool2dParams};
use gradus_cuda::ops::resample::{Windows, max_pool_volume};

use super::order::Order;
use super::{resample, tensor, together, view};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// Two sizes of one or two; `None` of three.
fn two<const D: usize>(sizes: [usize; D], first: usize) -> Option<[usize; 2]> {
    match sizes[..] {
        [w] => Some([first, w]),
        [h, w] => Some([h, w]),
        _ => None,
    }
}

/// With a height of 1 before the last dimension, if only that is pooled.
fn image<const D: usize>(x: &Tensor) -> Result<Tensor> {
    if D == 1 {
        x.unsqueeze(-2)
    } else {
        Ok(x.clone())
    }
}

/// How the images lie, and so shall the result: with channels last, or row-major.
fn order<const D: usize>(x: &Tensor) -> Order {
    match x.rank() == D + 2 {
        true => Order::of_images(x),
        false => Order::ROWS,
    }
}

fn image_shape<const D: usize>(shape: &[usize]) -> Vec<usize> {
    let mut shape = shape.to_vec();
    if D == 1 {
        shape.insert(shape.len() - 1, 1);
    }
    shape
}

/// The kernel's parameters for a maximum.
fn of_max<const D: usize>(params: &MaxPoolParams<D>) -> Option<Pool2dParams> {
    Some(Pool2dParams {
        stride: two(params.stride, 1)?,
        padding: two(params.padding, 0)?,
        dilation: two(params.dilation, 1)?,
        ceil_mode: params.ceil_mode,
        ..Pool2dParams::new(two(params.kernel, 1)?)
    })
}

/// The kernel's parameters for a mean.
fn of_avg<const D: usize>(params: &AvgPoolParams<D>) -> Option<Pool2dParams> {
    let divisor_override = match params.divisor_override {
        Some(divisor) => Some(usize::try_from(divisor).ok()?),
        None => None,
    };
    Some(Pool2dParams {
        stride: two(params.stride, 1)?,
        padding: two(params.padding, 0)?,
        ceil_mode: params.ceil_mode,
        count_include_pad: params.count_include_pad,
        divisor_override,
        ..Pool2dParams::new(two(params.kernel, 1)?)
    })
}

/// The largest of each window and, if wanted, its place in the plane.
pub(crate) fn max_pool<const D: usize>(
    x: &Tensor,
    params: &MaxPoolParams<D>,
    shape: &Shape,
    with_indices: bool,
) -> Result<(Tensor, Option<Tensor>)> {
    let op = "max_pool";
    let gpu = together(op, &[x])?;
    let Some(params) = of_max(params) else {
        let windows = volumes(params, shape);
        let (y, at) = largest(op, x, &windows, shape)?;
        return Ok((y, with_indices.then_some(at)));
    };
    let (order, x) = (order::<D>(x), image::<D>(x)?);
    let mut indices = match with_indices {
        true => Some(gpu.uninit::<i64>(shape.numel()?)?),
        false => None,
    };
    let y = dispatch_cuda!(float op, x.dtype(), T => {
        let v = x.cuda_view::<T>()?;
        order.build::<T>(&gpu, shape, x.dtype(), |y| pool::max_pool(&v, &params, y, indices.as_mut()))
    })?;
    let indices = indices.map(|i| order.tensor(i, shape, DType::I64));
    Ok((y, indices.transpose()?))
}

/// The windows over volumes of `params`, in front of which axes of one element are put.
fn volumes<const D: usize>(params: &MaxPoolParams<D>, shape: &[usize]) -> Windows {
    let of = |sizes: &[usize], one: usize| {
        let mut all = [one; 3];
        all[3 - sizes.len()..].copy_from_slice(sizes);
        all
    };
    Windows {
        output: of(&shape[shape.len() - D..], 1),
        kernel: of(&params.kernel, 1),
        stride: of(&params.stride, 1),
        padding: of(&params.padding, 0),
        dilation: of(&params.dilation, 1),
        adaptive: false,
    }
}

/// The largest of windows over volumes, and their places in them.
fn largest(
    op: &'static str,
    x: &Tensor,
    windows: &Windows,
    shape: &Shape,
) -> Result<(Tensor, Tensor)> {
    let gpu = together(op, &[x])?;
    let mut indices = gpu.uninit::<i64>(shape.numel()?)?;
    let y = dispatch_cuda!(float op, x.dtype(), T => {
        let v = x.cuda_view::<T>()?;
        Order::ROWS.build::<T>(&gpu, shape, x.dtype(), |y| max_pool_volume(&v, windows, y, &mut indices))
    })?;
    Ok((y, tensor(indices, shape, DType::I64)))
}

/// The largest of parts as even as possible, and their places.
pub(crate) fn adaptive_max_pool<const D: usize>(
    x: &Tensor,
    sizes: [usize; D],
    shape: &Shape,
) -> Result<(Tensor, Tensor)> {
    let mut output = [1; 3];
    output[3 - D..].copy_from_slice(&sizes);
    let mut volume = x.clone();
    for _ in D..3 {
        volume = volume.unsqueeze((volume.rank() - D) as isize)?;
    }
    largest(
        "adaptive_max_pool",
        &volume,
        &Windows::adaptive(output),
        shape,
    )
}

/// Gradients back to where the largest were, added up in f32 (by atomics: where windows overlap, the last bit may vary).
pub(crate) fn max_pool_backward<const D: usize>(
    dy: &Tensor,
    indices: &Tensor,
    x_shape: &[usize],
) -> Result<Tensor> {
    let op = "max_pool_backward";
    let gpu = together(op, &[dy, indices])?;
    let (front, plane) = x_shape.split_at(x_shape.len() - D);
    let (outer, n): (usize, usize) = (front.iter().product(), plane.iter().product());
    let shape = Shape::from(x_shape);
    let mut sums = gpu.zeros::<f32>(shape.numel()?)?;
    let order = order::<D>(indices);
    let indices = order.solid(&indices.to_dtype(DType::I64)?)?;
    // With channels last, the places in a plane are of elements that lie the channels apart.
    let inner = if order.is_rows() { 1 } else { front[1] };
    let sizes = [outer / inner.max(1), n, inner];
    let look = order.look(&dy.layout)?;
    dispatch_cuda!(float op, dy.dtype(), T => {
        Ok(scatter_add(&view::<T>(dy, &look)?, indices.cuda_solid::<i64>()?, sizes, &mut sums)?)
    })?;
    order.tensor(sums, &shape, DType::F32)?.to_dtype(dy.dtype())
}

/// The mean of each window.
pub(crate) fn avg_pool<const D: usize>(
    x: &Tensor,
    params: &AvgPoolParams<D>,
    shape: &Shape,
) -> Result<Tensor> {
    let op = "avg_pool";
    let gpu = together(op, &[x])?;
    let Some(params) = of_avg(params) else {
        return resample::avg_pool(op, x, params, shape);
    };
    let (order, x) = (order::<D>(x), image::<D>(x)?);
    dispatch_cuda!(float op, x.dtype(), T => {
        let v = x.cuda_view::<T>()?;
        order.build::<T>(&gpu, shape, x.dtype(), |y| pool::avg_pool(&v, &params, y))
    })
}

/// Its gradient.
pub(crate) fn avg_pool_backward<const D: usize>(
    dy: &Tensor,
    params: &AvgPoolParams<D>,
    x_shape: &[usize],
) -> Result<Tensor> {
    let op = "avg_pool_backward";
    let gpu = together(op, &[dy])?;
    let Some(params) = of_avg(params) else {
        return resample::avg_pool_backward(op, dy, params, x_shape);
    };
    let order = order::<D>(dy);
    let (dy, sizes) = (image::<D>(dy)?, image_shape::<D>(x_shape));
    dispatch_cuda!(float op, dy.dtype(), T => {
        let g = dy.cuda_view::<T>()?;
        order.build::<T>(&gpu, &Shape::from(x_shape), dy.dtype(), |dx| pool::avg_pool_backward(&g, &params, &sizes, dx))
    })
}

/// Means over parts as even as possible.
pub(crate) fn adaptive_avg_pool<const D: usize>(
    x: &Tensor,
    sizes: [usize; D],
    shape: &Shape,
) -> Result<Tensor> {
    let op = "adaptive_avg_pool";
    let gpu = together(op, &[x])?;
    let Some(sizes) = two(sizes, 1) else {
        return resample::adaptive_avg_pool(op, x, &sizes);
    };
    let (order, x) = (order::<D>(x), image::<D>(x)?);
    dispatch_cuda!(float op, x.dtype(), T => {
        let v = x.cuda_view::<T>()?;
        order.build::<T>(&gpu, shape, x.dtype(), |y| pool::adaptive_avg_pool(&v, sizes, y))
    })
}

/// Their gradient.
pub(crate) fn adaptive_avg_pool_backward<const D: usize>(
    dy: &Tensor,
    x_shape: &[usize],
) -> Result<Tensor> {
    let op = "adaptive_avg_pool_backward";
    let gpu = together(op, &[dy])?;
    let mut sizes = [0; D];
    sizes.copy_from_slice(&dy.dims()[dy.rank() - D..]);
    if x_shape.len() != dy.rank() {
        let message = format!(
            "gradient {} and input {x_shape:?} differ in rank",
            dy.shape()
        );
        return Err(Error::shape(op, message));
    }
    let Some(sizes) = two(sizes, 1) else {
        return resample::adaptive_avg_pool_backward(op, dy, x_shape, D);
    };
    let order = order::<D>(dy);
    let (dy, x_sizes) = (image::<D>(dy)?, image_shape::<D>(x_shape));
    dispatch_cuda!(float op, dy.dtype(), T => {
        let g = dy.cuda_view::<T>()?;
        order.build::<T>(&gpu, &Shape::from(x_shape), dy.dtype(), |dx| pool::adaptive_avg_pool_backward(&g, sizes, &x_sizes, dx))
    })
}
