//! Convolutions over one, two and three spatial dimensions, and all their gradients.
//!
//! What it is: `f32` and `f64`, PyTorch's layout (B, C, …) and (O, C / groups, …), stride, zero padding, dilation and groups.
//! Read `im2col` for how a convolution becomes a product without its matrix ever being stored, `direct` for how it need not even be
//! packed, `batch_last` for small images, [`conv`] for the forward pass,
//! `backward_data` (which is the transposed convolution) and `backward_weight` for the gradients, `depthwise` for what is no
//! product, `winograd` for 3 × 3 kernels by fewer multiplications, and `reference` for the loop nest that all must equal.
//! What it is not: FFT.
//!
//! Results are the same, bit for bit, for any number of threads.

mod backward_data;
mod backward_weight;
mod batch_last;
mod depthwise;
mod direct;
mod direct_tiles;
mod forward;
mod geometry;
mod im2col;
mod planes;
pub mod reference;
#[cfg(test)]
mod tests;
mod weight_product;
mod weight_shifted;
mod weight_tiles;
mod winograd;

use std::borrow::Cow;
use std::ops::Range;

use gradus_simd::{Float, current};

pub(crate) use geometry::Geometry;
pub use geometry::{Conv1dParams, Conv2dParams, Conv3dParams, ConvParams};
pub use winograd::{enabled as winograd_enabled, set_enabled as set_winograd};

use crate::error::check_len;
use crate::gemm::{Bias, Epilogue, Kept, MatRef};
use crate::walk::gather;
use crate::{Error, Result, View};

/// `y = act(conv(x, weight) + bias + residual)`: `x` (B, C, …), `weight` (O, C / groups, …), `y` (B, O, …) row-major.
///
/// The epilogue's bias is [`Bias::Row`], one an output channel; its residual is laid out as `y`. What is computed is
/// PyTorch's `conv1d`, `conv2d` or `conv3d`, a cross-correlation.
///
/// ```
/// use gradus_cpu::View;
/// use gradus_cpu::conv::{Conv1dParams, conv};
/// use gradus_cpu::gemm::Epilogue;
///
/// let x = View::contiguous(&[1.0f32, 2.0, 3.0, 4.0], &[1, 1, 4])?; // (B, C, T)
/// let weight = View::contiguous(&[-1.0, 0.0, 1.0], &[1, 1, 3])?; // (O, C, K)
/// let mut y = [0.0; 4];
/// let params = Conv1dParams { padding: [1], ..Default::default() };
/// conv(x, weight, &Epilogue::default(), &params, &mut y)?;
/// assert_eq!(y, [2.0, 2.0, 2.0, -3.0]);
/// # Ok::<(), gradus_cpu::Error>(())
/// ```
///
/// # Errors
/// As [`ConvParams::output_shape`]; if `y`, bias or residual do not have the output's size.
#[inline(never)]
pub fn conv<T: Float, const D: usize>(
    x: View<'_, T>,
    weight: View<'_, T>,
    epilogue: &Epilogue<'_, T>,
    params: &ConvParams<D>,
    y: &mut [T],
) -> Result<()> {
    conv_keeping(x, weight, None, epilogue, params, y)
}

/// [`conv`] with a weight that does not change from one call to the next: what is packed of it is kept there, and must be cleared before
/// it changes.
///
/// # Errors
/// As [`conv`].
#[inline(never)]
pub fn conv_keeping<T: Float, const D: usize>(
    x: View<'_, T>,
    weight: View<'_, T>,
    kept: Option<&Kept>,
    epilogue: &Epilogue<'_, T>,
    params: &ConvParams<D>,
    y: &mut [T],
) -> Result<()> {
    let g = Geometry::new("conv", x.shape(), weight.shape(), params)?;
    check_len("conv", "the output", y.len(), g.lens().2)?;
    match epilogue.bias {
        Bias::None => {}
        Bias::Row(bias) => check_len("conv", "the bias", bias.len(), g.groups * g.outputs)?,
        Bias::Column(_) => {
            return Err(Error::shape(
                "conv",
                "the bias of a convolution is one a row (output channel)",
            ));
        }
    }
    if let Some(residual) = epilogue.residual {
        check_len("conv", "the residual", residual.len(), y.len())?;
    }
    let all = contiguous(&weight);
    let weights = Weights {
        all: &all,
        kept: kept.filter(|_| matches!(all, Cow::Borrowed(_))),
    };
    forward::run(current(), &g, &contiguous(&x), weights, epilogue, y);
    Ok(())
}

/// The weights (O, C / groups, …) of a convolution, and where what is packed of them is kept, if it is.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a, T> {
    pub all: &'a [T],
    pub kept: Option<&'a Kept>,
}

impl<'a, T: Float> Weights<'a, T> {
    /// Some of them.
    pub fn part(self, range: Range<usize>) -> Self {
        Self {
            all: &self.all[range],
            ..self
        }
    }

    /// As a matrix with these many rows and columns, which is all of them.
    pub fn matrix(self, rows: usize, cols: usize) -> MatRef<'a, T> {
        let matrix = MatRef::row_major(self.all, rows, cols).expect("the slice was cut to size");
        match self.kept {
            Some(kept) => matrix.keeping(kept),
            None => matrix,
        }
    }
}

impl<'a, T> From<&'a [T]> for Weights<'a, T> {
    fn from(all: &'a [T]) -> Self {
        Self { all, kept: None }
    }
}

/// [`conv`] over images, with only a bias (O).
///
/// # Errors
/// As [`conv`].
#[inline(never)]
pub fn conv2d<T: Float>(
    x: View<'_, T>,
    weight: View<'_, T>,
    bias: Option<&[T]>,
    params: &Conv2dParams,
    y: &mut [T],
) -> Result<()> {
    let bias = bias.map_or(Bias::None, Bias::Row);
    conv(x, weight, &Epilogue::bias(bias), params, y)
}

/// The gradient of `x`: `dx`, row-major in `x_shape` (B, C, …), from `dy` (B, O, …).
///
/// This is also the transposed convolution (`conv_transpose2d`): its input is `dy`, its weight (in, out / groups, …) is
/// `weight`, its output shape is `x_shape`.
///
/// # Errors
/// As [`ConvParams::output_shape`] of `x_shape`; if `dy` or `dx` do not have the sizes that follow.
#[inline(never)]
pub fn conv_backward_data<T: Float, const D: usize>(
    dy: View<'_, T>,
    weight: View<'_, T>,
    params: &ConvParams<D>,
    x_shape: &[usize],
    dx: &mut [T],
) -> Result<()> {
    let op = "conv_backward_data";
    let g = Geometry::new(op, x_shape, weight.shape(), params)?;
    check_output::<T, D>(op, &g, &dy)?;
    check_len(op, "the gradient", dx.len(), g.lens().0)?;
    backward_data::run(current(), &g, &contiguous(&dy), &contiguous(&weight), dx);
    Ok(())
}

/// [`conv_backward_data`] over images.
///
/// # Errors
/// As [`conv_backward_data`].
#[inline(never)]
pub fn conv2d_backward_data<T: Float>(
    dy: View<'_, T>,
    weight: View<'_, T>,
    params: &Conv2dParams,
    x_shape: &[usize],
    dx: &mut [T],
) -> Result<()> {
    conv_backward_data(dy, weight, params, x_shape, dx)
}

/// The gradient of the weight: `dw`, row-major in `weight_shape` (O, C / groups, …), from `x` (B, C, …) and `dy` (B, O, …).
///
/// # Errors
/// As [`ConvParams::output_shape`]; if `dy` or `dw` do not have the sizes that follow.
#[inline(never)]
pub fn conv_backward_weight<T: Float, const D: usize>(
    x: View<'_, T>,
    dy: View<'_, T>,
    params: &ConvParams<D>,
    weight_shape: &[usize],
    dw: &mut [T],
) -> Result<()> {
    let op = "conv_backward_weight";
    let g = Geometry::new(op, x.shape(), weight_shape, params)?;
    check_output::<T, D>(op, &g, &dy)?;
    check_len(op, "the gradient", dw.len(), g.lens().1)?;
    backward_weight::run(current(), &g, &contiguous(&x), &contiguous(&dy), dw);
    Ok(())
}

/// [`conv_backward_weight`] over images.
///
/// # Errors
/// As [`conv_backward_weight`].
#[inline(never)]
pub fn conv2d_backward_weight<T: Float>(
    x: View<'_, T>,
    dy: View<'_, T>,
    params: &Conv2dParams,
    weight_shape: &[usize],
    dw: &mut [T],
) -> Result<()> {
    conv_backward_weight(x, dy, params, weight_shape, dw)
}

/// The gradient of the bias: `db` (O), the sum of `dy` (B, O, …) over all but its second dimension.
///
/// # Errors
/// If `dy` has no second dimension or `db` another size.
#[inline(never)]
pub fn conv_backward_bias<T: Float>(dy: View<'_, T>, db: &mut [T]) -> Result<()> {
    let op = "conv_backward_bias";
    let &[batch, outputs, ref rest @ ..] = dy.shape() else {
        return Err(Error::shape(
            op,
            format!("the gradient has the shape {:?}, not (B, O, …)", dy.shape()),
        ));
    };
    check_len(op, "the bias", db.len(), outputs)?;
    let pixels = if dy.is_empty() {
        0
    } else {
        rest.iter().product()
    };
    backward_weight::bias(current(), (batch, outputs, pixels), &contiguous(&dy), db);
    Ok(())
}

fn check_output<T, const D: usize>(op: &'static str, g: &Geometry, dy: &View<'_, T>) -> Result<()> {
    let wanted = [&[g.batch, g.groups * g.outputs], &g.output[3 - D..]].concat();
    if dy.shape() == wanted {
        return Ok(());
    }
    Err(Error::shape(
        op,
        format!(
            "the output's gradient has the shape {:?}, expected {wanted:?}",
            dy.shape()
        ),
    ))
}

/// The elements in row-major order: borrowed where they lie so, else copied.
pub(crate) fn contiguous<'a, T: Float>(view: &View<'a, T>) -> Cow<'a, [T]> {
    if let Some(slice) = view.as_slice() {
        return Cow::Borrowed(slice);
    }
    let mut out = vec![T::ZERO; view.len()];
    let walk = view.walk();
    let (data, origin) = view.origin();
    let (_, step) = walk.inner(0);
    walk.for_each_run(0..view.len(), |position, [at], n| {
        gather(data, origin + at, step, &mut out[position..][..n]);
    });
    Cow::Owned(out)
}
