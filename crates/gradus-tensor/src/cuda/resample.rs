//! Axes resampled on a GPU: interpolation, and averages over windows the image kernels do not have; each is a table by axis, and its
//! gradient the table transposed. In f32 for 16-bit floats, rounded once.

use gradus_cpu::pool::AvgPoolParams;
use gradus_cpu::resample::AxisMap;
use gradus_cuda::ops::resample::{self as kernel, Taps};

use super::{build, compute, no_kernel, together};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// The last axes of `x`, each by its table; those that shrink first.
fn resampled(op: &'static str, x: &Tensor, tables: &[Taps]) -> Result<Tensor> {
    let gpu = together(op, &[x])?;
    let first = x.rank() - tables.len();
    let ratio = |d: &usize| tables[*d].outputs() as f64 / tables[*d].inputs().max(1) as f64;
    let mut order: Vec<usize> = (0..tables.len()).collect();
    order.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
    let mut y = x.to_dtype(compute(x.dtype()))?;
    for d in order {
        let (axis, taps) = (first + d, &tables[d]);
        let mut shape = y.shape().clone();
        shape.0[axis] = taps.outputs();
        y = match y.dtype() {
            DType::F32 => {
                let v = y.cuda_view::<f32>()?;
                build::<f32>(&gpu, &shape, y.dtype(), |z| {
                    kernel::along(&v, axis, taps, z)
                })?
            }
            DType::F64 => {
                let v = y.cuda_view::<f64>()?;
                build::<f64>(&gpu, &shape, y.dtype(), |z| {
                    kernel::along(&v, axis, taps, z)
                })?
            }
            dtype => return Err(no_kernel(op, dtype)),
        };
    }
    y.to_dtype(x.dtype())
}

/// The tables of the gradient.
fn transposed(tables: &[Taps]) -> Result<Vec<Taps>> {
    let all = tables.iter().map(Taps::transposed);
    all.collect::<gradus_cuda::Result<_>>().map_err(Error::from)
}

/// `x` (.., sizes) by the maps of its last axes.
pub(crate) fn interpolate(op: &'static str, x: &Tensor, maps: &[AxisMap]) -> Result<Tensor> {
    let table = |map: &AxisMap| Taps::new(map.inputs(), (0..map.outputs()).map(|o| map.row(o)));
    let tables = maps
        .iter()
        .map(table)
        .collect::<gradus_cuda::Result<Vec<_>>>()?;
    resampled(op, x, &tables)
}

/// The windows of an average, by axis: `sizes` of the input, `outputs` of the result.
fn windows<const D: usize>(
    params: &AvgPoolParams<D>,
    sizes: &[usize],
    outputs: &[usize],
) -> Result<Vec<Taps>> {
    let axis = |d: usize| {
        let (pad, n) = (params.padding[d], sizes[d]);
        let row = |o: usize| {
            // From here on padding counts: the input is at pad..pad + n.
            let from = o * params.stride[d];
            let to = (from + params.kernel[d]).min(n + 2 * pad);
            let (start, end) = (from.max(pad), to.min(n + pad));
            let size = if params.count_include_pad {
                to - from
            } else {
                end.saturating_sub(start)
            };
            let weight = match params.divisor_override {
                Some(divisor) if d == 0 => 1.0 / divisor as f64,
                Some(_) => 1.0,
                None => 1.0 / size as f64,
            };
            (start..end).map(move |i| (i - pad, weight))
        };
        Taps::new(n, (0..outputs[d]).map(row))
    };
    let all = (0..D).map(axis).collect::<gradus_cuda::Result<_>>();
    all.map_err(Error::from)
}

/// The mean of each window, over any number of axes.
pub(crate) fn avg_pool<const D: usize>(
    op: &'static str,
    x: &Tensor,
    params: &AvgPoolParams<D>,
    shape: &[usize],
) -> Result<Tensor> {
    let from = x.rank() - D;
    resampled(op, x, &windows(params, &x.dims()[from..], &shape[from..])?)
}

/// Its gradient.
pub(crate) fn avg_pool_backward<const D: usize>(
    op: &'static str,
    dy: &Tensor,
    params: &AvgPoolParams<D>,
    x_shape: &[usize],
) -> Result<Tensor> {
    let from = dy.rank() - D;
    let tables = windows(params, &x_shape[from..], &dy.dims()[from..])?;
    resampled(op, dy, &transposed(&tables)?)
}

/// Windows as even as possible.
fn even(sizes: &[usize], outputs: &[usize]) -> Result<Vec<Taps>> {
    let axis = |(&n, &m): (&usize, &usize)| {
        let row = |o: usize| {
            let (start, end) = (o * n / m, ((o + 1) * n).div_ceil(m));
            (start..end).map(move |i| (i, 1.0 / (end - start) as f64))
        };
        Taps::new(n, (0..m).map(row))
    };
    let all = sizes.iter().zip(outputs).map(axis);
    all.collect::<gradus_cuda::Result<_>>().map_err(Error::from)
}

/// Means over parts as even as possible, over any number of axes.
pub(crate) fn adaptive_avg_pool(op: &'static str, x: &Tensor, sizes: &[usize]) -> Result<Tensor> {
    let from = x.rank() - sizes.len();
    resampled(op, x, &even(&x.dims()[from..], sizes)?)
}

/// Their gradient.
pub(crate) fn adaptive_avg_pool_backward(
    op: &'static str,
    dy: &Tensor,
    x_shape: &[usize],
    axes: usize,
) -> Result<Tensor> {
    let from = dy.rank() - axes;
    let tables = even(&x_shape[from..], &dy.dims()[from..])?;
    resampled(op, dy, &transposed(&tables)?)
}
