//! Reductions, the places of extremes, softmax on a GPU.

use gradus_cuda::manifest::ReduceOp;
use gradus_cuda::ops::{reduce, softmax as kernel};

use super::{build, compute, no_kernel, together};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// `op` over `axes`, of floats or i64.
fn over(
    op: ReduceOp,
    name: &'static str,
    x: &Tensor,
    axes: &[usize],
    shape: &Shape,
) -> Result<Tensor> {
    let gpu = together(name, &[x])?;
    dispatch_cuda!(sums name, x.dtype(), T => {
        let v = x.cuda_view::<T>()?;
        build::<T>(&gpu, shape, x.dtype(), |y| reduce::reduce(op, &v, axes, y))
    })
}

/// A reduction by the name it has in `reduce.rs` and `extreme.rs`.
pub(crate) fn reduction(
    name: &'static str,
    x: &Tensor,
    axes: &[usize],
    shape: &Shape,
) -> Result<Tensor> {
    let holds = |dtype| x.to_dtype(DType::Bool)?.to_dtype(dtype);
    let whole = |op| over(op, name, &x.to_dtype(DType::I64)?, axes, shape);
    let is_whole = !x.dtype().is_float();
    match name {
        "count_nonzero" => over(ReduceOp::Sum, name, &holds(DType::I64)?, axes, shape),
        // Of nothing, every element holds and none does: the product and the sum of nothing.
        "all" => {
            over(ReduceOp::Prod, name, &holds(DType::F32)?, axes, shape)?.to_dtype(DType::Bool)
        }
        "any" => over(ReduceOp::Sum, name, &holds(DType::F32)?, axes, shape)?.to_dtype(DType::Bool),
        "sum" if is_whole => whole(ReduceOp::Sum),
        "prod" if is_whole => whole(ReduceOp::Prod),
        "amax" if is_whole => whole(ReduceOp::Max)?.to_dtype(x.dtype()),
        "amin" if is_whole => whole(ReduceOp::Min)?.to_dtype(x.dtype()),
        _ if is_whole => Err(no_kernel(name, x.dtype())),
        "sum" => over(ReduceOp::Sum, name, x, axes, shape),
        "prod" => over(ReduceOp::Prod, name, x, axes, shape),
        "mean" => over(ReduceOp::Mean, name, x, axes, shape),
        "amax" => over(ReduceOp::Max, name, x, axes, shape),
        "amin" => over(ReduceOp::Min, name, x, axes, shape),
        _ => Err(super::not_here(name, x.device())),
    }
}

/// The variance over `axes`, by the mean of the squares of what is left when the mean is taken off. In f32 for 16-bit floats.
pub(crate) fn var(x: &Tensor, axes: &[usize], correction: f64, shape: &Shape) -> Result<Tensor> {
    let dims: Vec<isize> = axes.iter().map(|&d| d as isize).collect();
    let wide = x.to_dtype(compute(x.dtype()))?;
    let n = axes.iter().map(|&d| x.dims()[d]).product::<usize>() as f64;
    let mean = wide.mean(&dims[..], true)?;
    let y = wide.sub(&mean)?.square_()?.sum(&dims[..], false)?;
    y.div_scalar_((n - correction).max(0.0))?
        .to_dtype(x.dtype())?
        .reshape_to(shape)
}

/// The p-norm over `axes`, in f32 for 16-bit floats.
pub(crate) fn norm(x: &Tensor, axes: &[usize], p: f64, shape: &Shape) -> Result<Tensor> {
    let op = "norm";
    let dims: Vec<isize> = axes.iter().map(|&d| d as isize).collect();
    let wide = x.to_dtype(compute(x.dtype()))?;
    let y = if p == 2.0 {
        over(ReduceOp::SumOfSquares, op, &wide, axes, shape)?.sqrt_()?
    } else if p == f64::INFINITY {
        wide.abs()?.amax(&dims[..], false)?
    } else if p == f64::NEG_INFINITY {
        wide.abs()?.amin(&dims[..], false)?
    } else if p == 0.0 {
        let other = wide.ne_scalar(0)?.to_dtype(wide.dtype())?;
        over(ReduceOp::Sum, op, &other, axes, shape)?
    } else {
        let sum = wide.abs()?.pow_scalar_(p)?.sum(&dims[..], false)?;
        sum.pow_scalar_(1.0 / p)?
    };
    y.to_dtype(x.dtype())?.reshape_to(shape)
}

/// ln Σ eˣ over `axes`, from the largest on. In f32 for 16-bit floats.
pub(crate) fn logsumexp(x: &Tensor, axes: &[usize], shape: &Shape) -> Result<Tensor> {
    let dims: Vec<isize> = axes.iter().map(|&d| d as isize).collect();
    let wide = x.to_dtype(compute(x.dtype()))?;
    if axes.iter().any(|&d| x.dims()[d] == 0) {
        let sum = wide.sum(&dims[..], false)?.log_()?;
        return sum.to_dtype(x.dtype())?.reshape_to(shape);
    }
    let max = wide.amax(&dims[..], true)?;
    // Where the largest is infinite, nothing is taken off.
    let finite = Tensor::where_(&max.isfinite()?, &max, &max.zeros_like()?)?;
    let sum = wide.sub(&finite)?.exp_()?.sum(&dims[..], true)?.log_()?;
    sum.add_(&finite)?.to_dtype(x.dtype())?.reshape_to(shape)
}

/// The place of the first extreme along an axis, or of all elements.
pub(crate) fn arg(
    op: &'static str,
    x: &Tensor,
    axis: Option<usize>,
    shape: &Shape,
    largest: bool,
) -> Result<Tensor> {
    let flat = match axis {
        Some(_) => x.clone(),
        None => x.flatten(0, -1)?,
    };
    if flat.numel() == 0 && shape.numel()? > 0 {
        return Err(Error::shape(op, "there are no elements to choose from"));
    }
    let flat = match flat.dtype().is_float() {
        true => flat,
        false => flat.to_dtype(DType::I64)?,
    };
    let gpu = together(op, &[&flat])?;
    dispatch_cuda!(sums op, flat.dtype(), T => {
        let v = flat.cuda_view::<T>()?;
        let axis = axis.unwrap_or(0);
        build::<i64>(&gpu, shape, DType::I64, |y| if largest { reduce::argmax(&v, axis, y) } else { reduce::argmin(&v, axis, y) })
    })
}

/// The extreme along an axis and its place.
pub(crate) fn extreme(
    op: &'static str,
    x: &Tensor,
    axis: usize,
    shape: &Shape,
    largest: bool,
) -> Result<(Tensor, Tensor)> {
    let mut kept = x.shape().clone();
    kept.0[axis] = 1;
    let at = arg(op, x, Some(axis), &kept, largest)?;
    let values = x.gather(axis as isize, &at)?;
    Ok((values.reshape_to(shape)?, at.reshape_to(shape)?))
}

/// Softmax or its logarithm along an axis.
pub(crate) fn softmax(op: &'static str, x: &Tensor, axis: usize, log: bool) -> Result<Tensor> {
    let gpu = together(op, &[x])?;
    dispatch_cuda!(float op, x.dtype(), T => {
        let v = x.cuda_view::<T>()?;
        build::<T>(&gpu, x.shape(), x.dtype(), |y| kernel::softmax(&v, axis, log, y))
    })
}

/// Its gradient, from the gradient of the output and the output.
pub(crate) fn softmax_backward(
    op: &'static str,
    dy: &Tensor,
    y: &Tensor,
    axis: usize,
    log: bool,
) -> Result<Tensor> {
    let gpu = together(op, &[dy, y])?;
    dispatch_cuda!(float op, y.dtype(), T => {
        let (g, v) = (dy.cuda_view::<T>()?, y.cuda_view::<T>()?);
        build::<T>(&gpu, y.shape(), y.dtype(), |dx| kernel::softmax_backward(&g, &v, axis, log, dx))
    })
}
