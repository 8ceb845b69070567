//! Convolutions on tensor cores: the launches of `conv_mma.cu`. Images go in and out with channels last; what lies otherwise is
//! transposed on the way in. Of one pixel and steps of one, a convolution is a product of matrices, and is computed as one.

use crate::manifest::{self, Ptr};
use crate::ops::Dense;
use crate::ops::gemm::{self, Bias, Epilogue};
use crate::{Buffer, DType, Error, FloatElement, Result, View};

/// Dynamic shared memory: three stages of two tiles.
const SHARED: u32 = 48 * 1024;

/// Whether the kernels can do it, where a chunk of 16 bytes is to be of `channels` alone.
pub(super) fn fits<T: FloatElement>(g: &manifest::Conv, channels: i32) -> bool {
    let count = |n: &[i32]| n.iter().try_fold(1i32, |p, &n| p.checked_mul(n));
    // Pixels and the depth of a sum are counted in 32 bits; a grid has at most 65535 rows.
    g.groups == 1
        && channels > 0
        && (channels as usize).is_multiple_of(16 / size_of::<T>())
        && count(&[g.batch, g.input[0], g.input[1]]).is_some()
        && count(&[g.batch, g.output[0], g.output[1]]).is_some_and(|n| n < i32::MAX - 128)
        && count(&[g.kernel[0], g.kernel[1], g.channels.max(g.outputs)])
            .is_some_and(|n| n < i32::MAX - 128)
        && count(&[g.stride[0], g.stride[1]]).is_some_and(|n| n <= 65535)
}

/// Images, or a weight, with channels last: where they lie, or transposed. Chunks of 16 bytes begin at multiples of 16.
fn channels_last<'a, T: FloatElement>(x: &'a View<'a, T>) -> Result<Dense<'a, T>> {
    if x.is_contiguous() && !x.ptr().0.is_multiple_of(16) {
        let mut y = x.buffer().device().uninit(x.len())?;
        crate::ops::copy::copy(x, &mut y)?;
        return Ok(Dense::Owned(y));
    }
    Dense::new(x)
}

const LAST: [usize; 4] = [0, 2, 3, 1];

/// The number of blocks for `rows` by `columns` of the result, in one dimension.
fn blocks(op: &'static str, rows: usize, columns: usize) -> Result<u32> {
    let blocks = rows.div_ceil(128) * columns.div_ceil(128);
    if i32::try_from(blocks).is_err() {
        let message = format!("{rows} pixels of {columns} channels are too many for a launch");
        return Err(Error::shape(op, message));
    }
    Ok(blocks as u32)
}

/// Whether each pixel of y is made of the one pixel of x in the same place.
fn is_pointwise(g: &manifest::Conv) -> bool {
    g.kernel == [1; 2] && g.stride == [1; 2] && g.padding == [0; 2]
}

/// A product of matrices, with tensor cores of f32 as well.
fn product<T: FloatElement>(
    a: &View<'_, T>,
    b: &View<'_, T>,
    epilogue: &Epilogue<'_, T>,
    c: &mut Buffer<T>,
) -> Result<()> {
    if T::DTYPE == DType::F32 {
        return gemm::matmul_on(gemm::Rung::Mma, a, b, epilogue, c);
    }
    gemm::matmul(a, b, epilogue, c)
}

/// y (B, OH, OW, O); `free` to choose the kernel.
pub(super) fn forward<T: FloatElement>(
    free: bool,
    x: &View<'_, T>,
    weight: &View<'_, T>,
    bias: Option<&Buffer<T>>,
    g: &manifest::Conv,
    y: &mut Buffer<T>,
) -> Result<()> {
    if y.is_empty() {
        return Ok(());
    }
    let (x, w) = (x.permuted(&LAST), weight.permuted(&LAST));
    let (x, w) = (channels_last(&x)?, channels_last(&w)?);
    let (pixels, outputs) = (y.len() / g.outputs as usize, g.outputs as usize);
    if free && is_pointwise(g) {
        let channels = g.channels as usize;
        let epilogue = Epilogue {
            bias: bias.map_or(Bias::None, Bias::Column),
            ..Epilogue::default()
        };
        let (x, w) = (x.flat([pixels, channels])?, w.flat([outputs, channels])?);
        return product(&x, &w.permuted(&[1, 0]), &epilogue, y);
    }
    let device = y.device().clone();
    let kernel = manifest::conv_mma_forward {
        x: x.ptr(),
        w: w.ptr(),
        bias: bias.map_or(Ptr::NULL, Into::into),
        y: y.into(),
        g: *g,
    };
    let grid = (blocks("conv2d", pixels, outputs)?, 1, 1);
    // SAFETY: x, w and y have the sizes of the geometry, x and w begin at multiples of 16 bytes; y is borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, grid, SHARED) }
}

/// dx (B, H, W, C).
pub(super) fn backward_data<T: FloatElement>(
    free: bool,
    dy: &View<'_, T>,
    weight: &View<'_, T>,
    g: &manifest::Conv,
    dx: &mut Buffer<T>,
) -> Result<()> {
    if dx.is_empty() {
        return Ok(());
    }
    let (op, device) = ("conv2d_backward_data", dx.device().clone());
    let (dy, w) = (dy.permuted(&LAST), weight.permuted(&LAST));
    let (dy, channels) = (channels_last(&dy)?, g.channels as usize);
    if free && is_pointwise(g) {
        // w as (C, O), so that both operands have the sum along memory, as the best rung wants them.
        let turned = w.permuted(&[3, 1, 2, 0]);
        let (w, outputs) = (Dense::new(&turned)?, g.outputs as usize);
        let (dy, w) = (
            dy.flat([dx.len() / channels, outputs])?,
            w.flat([channels, outputs])?,
        );
        return product(&dy, &w.permuted(&[1, 0]), &Epilogue::default(), dx);
    }
    let w = channels_last(&w)?;
    let kernel = manifest::conv_mma_data {
        dy: dy.ptr(),
        w: w.ptr(),
        dx: dx.into(),
        g: *g,
    };
    // Blocks for the largest phase, which is the first.
    let of_phase = |d: usize| (g.input[d] as usize).div_ceil(g.stride[d] as usize);
    let pixels = g.batch as usize * of_phase(0) * of_phase(1);
    let phases = (g.stride[0] * g.stride[1]) as u32;
    let grid = (blocks(op, pixels, channels)?, phases, 1);
    // SAFETY: dy, w and dx have the sizes of the geometry, dy and w begin at multiples of 16 bytes; dx is borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, grid, SHARED) }
}

/// The pieces of dw, (pieces, O, KH, KW, C).
pub(super) fn backward_weight<T: FloatElement>(
    x: &View<'_, T>,
    dy: &View<'_, T>,
    g: &manifest::Conv,
    parts: &mut Buffer<f32>,
) -> Result<()> {
    let device = parts.device().clone();
    let (x, dy) = (x.permuted(&LAST), dy.permuted(&LAST));
    let (x, dy) = (channels_last(&x)?, channels_last(&dy)?);
    let (rows, columns) = (
        g.outputs as usize,
        (g.kernel[0] * g.kernel[1] * g.channels) as usize,
    );
    let kernel = manifest::conv_mma_weight {
        x: x.ptr(),
        dy: dy.ptr(),
        parts: parts.into(),
        g: *g,
    };
    let (across, down) = (columns.div_ceil(128) as u32, rows.div_ceil(128));
    if down > 65535 {
        let message = format!("{rows} outputs are too many for a launch");
        return Err(Error::shape("conv2d_backward_weight", message));
    }
    let grid = (across, down as u32, g.pieces as u32);
    // SAFETY: x and dy have the sizes of the geometry and begin at multiples of 16 bytes, `parts` has the weight's for each piece.
    unsafe { device.launch(&kernel, T::DTYPE, grid, SHARED) }
}
