//! Windows of images and volumes as columns and back on a GPU, by views that show an element as often as windows hold it; and
//! convolutions over volumes, which are products of columns. Copies and products do the work: there, but not fast.

use gradus_cpu::conv::ConvParams;
use gradus_cpu::fold::FoldParams;

use super::together;
use crate::error::Result;
use crate::layout::Layout;
use crate::ops::parts::PadMode;
use crate::shape::{Shape, Small};
use crate::tensor::Tensor;

/// Where windows lie: of each axis that has windows, their size, steps, padding and number.
struct Windows {
    kernel: Vec<usize>,
    stride: Vec<usize>,
    padding: Vec<usize>,
    dilation: Vec<usize>,
    output: Vec<usize>,
}

impl Windows {
    fn of_fold(params: &FoldParams, output: [usize; 2]) -> Self {
        Self {
            kernel: params.kernel.to_vec(),
            stride: params.stride.to_vec(),
            padding: params.padding.to_vec(),
            dilation: params.dilation.to_vec(),
            output: output.to_vec(),
        }
    }

    fn of_conv<const D: usize>(params: &ConvParams<D>, weight: &[usize], y: &[usize]) -> Self {
        Self {
            kernel: weight[2..].to_vec(),
            stride: params.stride.to_vec(),
            padding: params.padding.to_vec(),
            dilation: params.dilation.to_vec(),
            output: y[2..].to_vec(),
        }
    }

    /// (B, C, kernel.., output..) of a padded (B, C, ..).
    fn view(&self, padded: &Tensor) -> Tensor {
        let layout = &padded.layout;
        let (mut shape, mut strides) = (padded.dims()[..2].to_vec(), layout.strides[..2].to_vec());
        for (sizes, steps) in [(&self.kernel, &self.dilation), (&self.output, &self.stride)] {
            shape.extend(sizes);
            let steps = steps.iter().zip(&layout.strides[2..]);
            strides.extend(steps.map(|(&step, &stride)| step as isize * stride));
        }
        padded.with_layout(Layout {
            shape: Shape::from(shape),
            strides: Small::new(&strides),
            offset: layout.offset,
        })
    }

    /// (B, C·K, L): the windows of `x` (B, C, ..) as columns.
    fn columns(&self, x: &Tensor) -> Result<Tensor> {
        let pad = self.padding.iter().rev().flat_map(|&p| [p as isize; 2]);
        let padded = x.pad(&pad.collect::<Vec<_>>(), PadMode::Constant(0.into()))?;
        let (b, rows) = (
            x.dims()[0],
            x.dims()[1] * self.kernel.iter().product::<usize>(),
        );
        let columns = self.output.iter().product::<usize>();
        super::copy::copy(&self.view(&padded))?.reshape([b, rows, columns])
    }

    /// Columns added up where their windows are in (B, C, ..).
    fn added_back(&self, columns: &Tensor, x_shape: &[usize]) -> Result<Tensor> {
        let mut padded = x_shape.to_vec();
        let sizes = padded[2..].iter_mut().zip(&self.padding);
        sizes.for_each(|(n, &p)| *n += 2 * p);
        let zeros = Tensor::zeros(padded, columns)?;
        let shape = [&x_shape[..2], &self.kernel, &self.output].concat();
        let src = columns.reshape_to(&Shape::from(shape))?;
        let mut y = zeros.add_to_view_(|x| Ok(self.view(x)), &src)?;
        for (d, (&p, &n)) in self.padding.iter().zip(&x_shape[2..]).enumerate() {
            y = y.narrow(d as isize + 2, p as i64, n)?;
        }
        y.contiguous()
    }
}

/// The windows of images as columns.
pub(crate) fn im2col(x: &Tensor, params: &FoldParams, output: [usize; 2]) -> Result<Tensor> {
    Windows::of_fold(params, output).columns(x)
}

/// Columns added up where their windows are.
pub(crate) fn col2im(
    columns: &Tensor,
    params: &FoldParams,
    output: [usize; 2],
    shape: &[usize],
) -> Result<Tensor> {
    Windows::of_fold(params, output).added_back(columns, shape)
}

/// (B, groups, rows of a group, L).
fn grouped(x: &Tensor, groups: usize) -> Result<Tensor> {
    let &[b, rows, l] = x.dims() else {
        return Ok(x.clone());
    };
    x.reshape([b, groups, rows / groups, l])
}

/// (groups, O / groups, C / groups · K) of a weight.
fn matrices(weight: &Tensor, groups: usize) -> Result<Tensor> {
    let outputs = weight.dims()[0];
    let inner = weight.dims()[1..].iter().product::<usize>();
    weight.reshape([groups, outputs / groups.max(1), inner])
}

/// (B, channels, L) of a result (B, channels, ..).
fn flat(y: &Tensor) -> Result<Tensor> {
    let (b, c) = (y.dims()[0], y.dims()[1]);
    y.reshape([b, c, y.dims()[2..].iter().product::<usize>()])
}

/// A convolution over any number of axes.
pub(crate) fn conv<const D: usize>(
    op: &'static str,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    params: &ConvParams<D>,
    shape: &Shape,
) -> Result<Tensor> {
    let mut all = vec![x, weight];
    all.extend(bias);
    together(op, &all)?;
    let windows = Windows::of_conv(params, weight.dims(), shape);
    let columns = grouped(&windows.columns(x)?, params.groups)?; // (B, G, C/G·K, L)
    let y = matrices(weight, params.groups)?.matmul(&columns)?; // (B, G, O/G, L)
    let y = y.reshape_to(shape)?;
    let Some(bias) = bias else { return Ok(y) };
    let mut line = vec![bias.numel()];
    line.resize(D + 1, 1);
    y.add_(&bias.reshape(line)?)
}

/// Its gradient by the input.
pub(crate) fn conv_backward_data<const D: usize>(
    op: &'static str,
    dy: &Tensor,
    weight: &Tensor,
    params: &ConvParams<D>,
    x_shape: &[usize],
) -> Result<Tensor> {
    together(op, &[dy, weight])?;
    let windows = Windows::of_conv(params, weight.dims(), dy.dims());
    let dy = grouped(&flat(dy)?, params.groups)?; // (B, G, O/G, L)
    let columns = matrices(weight, params.groups)?
        .transpose(1, 2)?
        .matmul(&dy)?; // (B, G, C/G·K, L)
    windows.added_back(&columns, x_shape)
}

/// Its gradient by the weight.
pub(crate) fn conv_backward_weight<const D: usize>(
    op: &'static str,
    x: &Tensor,
    dy: &Tensor,
    params: &ConvParams<D>,
    weight_shape: &[usize],
) -> Result<Tensor> {
    together(op, &[x, dy])?;
    let windows = Windows::of_conv(params, weight_shape, dy.dims());
    let columns = grouped(&windows.columns(x)?, params.groups)?; // (B, G, C/G·K, L)
    let dy = grouped(&flat(dy)?, params.groups)?; // (B, G, O/G, L)
    let all = dy.matmul(&columns.transpose(2, 3)?)?; // (B, G, O/G, C/G·K)
    all.sum(0, false)?.reshape_to(&Shape::from(weight_shape))
}
