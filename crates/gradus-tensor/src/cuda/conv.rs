//! Convolutions over images on a GPU, and over time as images of height 1; each beside its gradients.

use gradus_cpu::conv::ConvParams;
use gradus_cuda::MemoryFormat;
use gradus_cuda::ops::conv::{
    Conv2dParams, How, conv2d_as, conv2d_backward_data_as, conv2d_backward_weight,
};

use super::order::Order;
use super::{build, solid_option, together};
use crate::error::Result;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// The parameters over images: of one dimension, the height is 1. `None` of three.
fn over_images<const D: usize>(params: &ConvParams<D>) -> Option<Conv2dParams> {
    let of = |sizes: &[usize; D], one: usize| match sizes[..] {
        [w] => Some([one, w]),
        [h, w] => Some([h, w]),
        _ => None,
    };
    Some(Conv2dParams {
        stride: of(&params.stride, 1)?,
        padding: of(&params.padding, 0)?,
        dilation: of(&params.dilation, 1)?,
        groups: params.groups,
    })
}

/// A tensor of (B, C, W) as (B, C, 1, W).
fn image(x: &Tensor) -> Result<Tensor> {
    if x.rank() == 3 {
        x.unsqueeze(2)
    } else {
        Ok(x.clone())
    }
}

/// The sizes of [`image`].
fn image_shape(shape: &[usize]) -> Vec<usize> {
    match *shape {
        [b, c, w] => vec![b, c, 1, w],
        _ => shape.to_vec(),
    }
}

/// The result lies in memory as the input does: with channels last, or row-major.
fn as_it(order: &Order) -> How {
    let format = match order.is_rows() {
        true => MemoryFormat::Contiguous,
        false => MemoryFormat::ChannelsLast,
    };
    How {
        format,
        ..How::default()
    }
}

/// `x` (B, C, ..) and `weight` (O, C / groups, ..) to `shape`.
pub(crate) fn conv<const D: usize>(
    op: &'static str,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    params: &ConvParams<D>,
    shape: &Shape,
) -> Result<Tensor> {
    if D > 2 {
        return super::windows::conv(op, x, weight, bias, params, shape);
    }
    let mut all = vec![x, weight];
    all.extend(bias);
    let gpu = together(op, &all)?;
    let params = over_images(params).ok_or_else(|| super::not_here(op, x.device()))?;
    let order = Order::of_images(x);
    let (x, weight, bias) = (image(x)?, image(weight)?, solid_option(bias)?);
    dispatch_cuda!(float op, x.dtype(), T => {
        let (v, w) = (x.cuda_view::<T>()?, weight.cuda_view::<T>()?);
        let b = bias.as_ref().map(Tensor::cuda_solid::<T>).transpose()?;
        order.build::<T>(&gpu, shape, x.dtype(), |y| conv2d_as(as_it(&order), &v, &w, b, &params, y))
    })
}

/// The gradient by the input.
pub(crate) fn backward_data<const D: usize>(
    op: &'static str,
    dy: &Tensor,
    weight: &Tensor,
    params: &ConvParams<D>,
    x_shape: &[usize],
) -> Result<Tensor> {
    if D > 2 {
        return super::windows::conv_backward_data(op, dy, weight, params, x_shape);
    }
    let gpu = together(op, &[dy, weight])?;
    let params = over_images(params).ok_or_else(|| super::not_here(op, dy.device()))?;
    let order = Order::of_images(dy);
    let (dy, weight) = (image(dy)?, image(weight)?);
    let sizes = image_shape(x_shape);
    dispatch_cuda!(float op, dy.dtype(), T => {
        let (g, w) = (dy.cuda_view::<T>()?, weight.cuda_view::<T>()?);
        order.build::<T>(&gpu, &Shape::from(x_shape), dy.dtype(), |dx| {
            conv2d_backward_data_as(as_it(&order), &g, &w, &params, &sizes, dx)
        })
    })
}

/// The gradient by the weight.
pub(crate) fn backward_weight<const D: usize>(
    op: &'static str,
    x: &Tensor,
    dy: &Tensor,
    params: &ConvParams<D>,
    weight_shape: &[usize],
) -> Result<Tensor> {
    if D > 2 {
        return super::windows::conv_backward_weight(op, x, dy, params, weight_shape);
    }
    let gpu = together(op, &[x, dy])?;
    let params = over_images(params).ok_or_else(|| super::not_here(op, x.device()))?;
    let (x, dy) = (image(x)?, image(dy)?);
    let sizes = image_shape(weight_shape);
    dispatch_cuda!(float op, x.dtype(), T => {
        let (v, g) = (x.cuda_view::<T>()?, dy.cuda_view::<T>()?);
        build::<T>(&gpu, &Shape::from(weight_shape), x.dtype(), |dw| conv2d_backward_weight(&v, &g, &params, &sizes, dw))
    })
}

/// The gradient by the bias: the sum over everything but the outputs.
pub(crate) fn backward_bias(dy: &Tensor) -> Result<Tensor> {
    let dims: Vec<isize> = (0..dy.rank() as isize).filter(|&d| d != 1).collect();
    dy.sum(&dims[..], false)
        .map_err(|e| e.in_op("conv_backward_bias"))
}
