//! Max and average pooling over images (the last two dimensions), and their gradients. Meanings are PyTorch's.

use super::{Dense, int};
use crate::error::check_len;
use crate::manifest::{self, Ptr};
use crate::view::{numel, same_device};
use crate::{Buffer, Error, FloatElement, MemoryFormat, Result, View};

/// Where windows lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool2dParams {
    /// A window's size.
    pub kernel: [usize; 2],
    /// Steps between windows.
    pub stride: [usize; 2],
    /// Padding on both sides: at most half the kernel.
    pub padding: [usize; 2],
    /// Steps between a window's elements (max pooling only).
    pub dilation: [usize; 2],
    /// Windows may stand out of the padded input, if they begin inside.
    pub ceil_mode: bool,
    /// Averages: whether padding counts.
    pub count_include_pad: bool,
    /// Averages: what sums are divided by, in place of a count.
    pub divisor_override: Option<usize>,
}

impl Pool2dParams {
    /// Windows side by side: stride = kernel, no padding.
    pub fn new(kernel: [usize; 2]) -> Self {
        Self {
            kernel,
            stride: kernel,
            padding: [0; 2],
            dilation: [1; 2],
            ceil_mode: false,
            count_include_pad: true,
            divisor_override: None,
        }
    }

    /// The output's last two sizes for an input (…, H, W).
    ///
    /// # Errors
    /// If the input has fewer dimensions, a size or step is 0, the padding is more than half the kernel, or no window fits.
    pub fn output_size(&self, x_shape: &[usize]) -> Result<[usize; 2]> {
        let g = self.geometry("pool2d", x_shape)?;
        Ok(g.output.map(|n| n as usize))
    }

    fn geometry(&self, op: &'static str, x: &[usize]) -> Result<manifest::Pool> {
        let (planes, sizes) = planes(op, x)?;
        let mut g = manifest::Pool {
            planes,
            inner: 1,
            include_padding: i32::from(self.count_include_pad),
            divisor: self.divisor_override.map_or(0.0, |d| d as f32),
            ..Default::default()
        };
        for d in 0..2 {
            let (k, s, p, dilation, n) = (
                self.kernel[d],
                self.stride[d],
                self.padding[d],
                self.dilation[d],
                sizes[d],
            );
            let count = || {
                let reach = k.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
                let padded = p.checked_mul(2)?.checked_add(n)?;
                i32::try_from(padded.checked_add(reach)?.checked_add(s)?).ok()?;
                (n > 0 && s > 0 && dilation > 0 && p <= reach / 2).then_some(())?;
                let extra = if self.ceil_mode { s - 1 } else { 0 };
                let count = (padded + extra).checked_sub(reach)? / s + 1;
                // The last window must begin inside the input or its left padding.
                Some(if self.ceil_mode && (count - 1) * s >= n + p {
                    count - 1
                } else {
                    count
                })
                .filter(|&c| c > 0)
            };
            let Some(out) = count() else {
                let what = "sizes and steps must not be 0, padding at most half the kernel, and a window must fit";
                return Err(Error::shape(op, format!("input {x:?}, {self:?}: {what}")));
            };
            (g.input[d], g.output[d], g.kernel[d]) = (n as i32, out as i32, k as i32);
            (g.stride[d], g.padding[d], g.dilation[d]) = (s as i32, p as i32, dilation as i32);
        }
        if self.divisor_override == Some(0) {
            return Err(Error::shape(op, "the divisor is 0"));
        }
        Ok(g)
    }
}

/// The product of all but the last two sizes, and these.
fn planes(op: &'static str, x: &[usize]) -> Result<(i32, [usize; 2])> {
    let [front @ .., h, w] = x else {
        return Err(Error::shape(
            op,
            format!("input {x:?} has fewer than two dimensions"),
        ));
    };
    numel(op, x)?;
    int(op, h.saturating_mul(*w))?;
    Ok((int(op, numel(op, front)?)?, [*h, *w]))
}

fn adaptive(op: &'static str, x: &[usize], sizes: [usize; 2]) -> Result<manifest::Pool> {
    let (planes, input) = planes(op, x)?;
    if input.contains(&0) || sizes.contains(&0) {
        return Err(Error::shape(
            op,
            format!("input {x:?} to {sizes:?}: nothing to average"),
        ));
    }
    let output = [int(op, sizes[0])?, int(op, sizes[1])?];
    Ok(manifest::Pool {
        planes,
        input: input.map(|n| n as i32),
        output,
        inner: 1,
        adaptive: 1,
        ..Default::default()
    })
}

/// Images as the kernels read them: row-major, or as they lie where that is with channels last; then so are the results.
fn read<'a, T: FloatElement>(x: &'a View<'a, T>, g: &mut manifest::Pool) -> Result<Dense<'a, T>> {
    let images = x.shape().iter().take(2).product::<usize>() == g.planes as usize;
    if images && MemoryFormat::of(x) == Some(MemoryFormat::ChannelsLast) {
        (g.planes, g.inner) = (x.shape()[0] as i32, x.shape()[1] as i32);
        return Ok(Dense::Borrowed(x));
    }
    Dense::new(x)
}

fn pixels(g: &manifest::Pool) -> usize {
    (g.planes * g.inner) as usize * g.output[0] as usize * g.output[1] as usize
}

fn area(g: &manifest::Pool) -> usize {
    (g.planes * g.inner) as usize * g.input[0] as usize * g.input[1] as usize
}

/// The largest of each window of `x` (…, H, W); `indices`, if wanted, are their row-major places in their plane. Both lie as `x` does
/// if that is with channels last, else row-major.
///
/// Of equals the first counts; NaN is the largest, and of several the last counts.
///
/// # Errors
/// As [`Pool2dParams::output_size`]; if lengths or devices do not fit.
pub fn max_pool<T: FloatElement>(
    x: &View<'_, T>,
    params: &Pool2dParams,
    y: &mut Buffer<T>,
    indices: Option<&mut Buffer<i64>>,
) -> Result<()> {
    let op = "max_pool";
    let mut g = params.geometry(op, x.shape())?;
    check_len(op, "the output", y.len(), pixels(&g))?;
    if let Some(indices) = &indices {
        check_len(op, "the indices", indices.len(), y.len())?;
        same_device(op, y, indices)?;
    }
    same_device(op, x.buffer(), y)?;
    let (x, device) = (read(x, &mut g)?, y.device().clone());
    let blocks = device.blocks(y.len(), 256);
    let indices = indices.map_or(Ptr::NULL, Into::into);
    let kernel = manifest::max_pool {
        x: x.ptr(),
        y: y.into(),
        indices,
        g,
    };
    // SAFETY: x and y have the sizes of the geometry; outputs are borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, (blocks, 1, 1), 0) }
}

/// The gradient of [`max_pool`]: `dx`, of `x_shape`, from `dy` and the indices, which lie alike, and so does `dx`.
///
/// # Errors
/// As [`max_pool`].
pub fn max_pool_backward<T: FloatElement>(
    dy: &View<'_, T>,
    indices: &Buffer<i64>,
    params: &Pool2dParams,
    x_shape: &[usize],
    dx: &mut Buffer<T>,
) -> Result<()> {
    let op = "max_pool_backward";
    let mut g = params.geometry(op, x_shape)?;
    check_len(op, "dy", dy.len(), pixels(&g))?;
    check_len(op, "the indices", indices.len(), dy.len())?;
    check_len(op, "the gradient", dx.len(), area(&g))?;
    same_device(op, dy.buffer(), dx)?;
    same_device(op, indices, dx)?;
    let (dy, device) = (read(dy, &mut g)?, dx.device().clone());
    let blocks = device.blocks(dx.len(), 256);
    let kernel = manifest::max_pool_backward {
        dy: dy.ptr(),
        indices: indices.into(),
        dx: dx.into(),
        g,
    };
    // SAFETY: dy, indices and dx have the sizes of the geometry; dx is borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, (blocks, 1, 1), 0) }
}

fn average<T: FloatElement>(
    op: &'static str,
    mut g: manifest::Pool,
    x: &View<'_, T>,
    y: &mut Buffer<T>,
) -> Result<()> {
    check_len(op, "the output", y.len(), pixels(&g))?;
    same_device(op, x.buffer(), y)?;
    let (x, device) = (read(x, &mut g)?, y.device().clone());
    let blocks = device.blocks(y.len(), 256);
    let kernel = manifest::avg_pool {
        x: x.ptr(),
        y: y.into(),
        g,
    };
    // SAFETY: x and y have the sizes of the geometry; y is borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, (blocks, 1, 1), 0) }
}

fn average_backward<T: FloatElement>(
    op: &'static str,
    mut g: manifest::Pool,
    dy: &View<'_, T>,
    dx: &mut Buffer<T>,
) -> Result<()> {
    check_len(op, "dy", dy.len(), pixels(&g))?;
    check_len(op, "the gradient", dx.len(), area(&g))?;
    same_device(op, dy.buffer(), dx)?;
    let (dy, device) = (read(dy, &mut g)?, dx.device().clone());
    let blocks = device.blocks(dx.len(), 256);
    let kernel = manifest::avg_pool_backward {
        dy: dy.ptr(),
        dx: dx.into(),
        g,
    };
    // SAFETY: dy and dx have the sizes of the geometry; dx is borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, (blocks, 1, 1), 0) }
}

fn undilated(op: &'static str, params: &Pool2dParams) -> Result<()> {
    if params.dilation == [1; 2] {
        return Ok(());
    }
    Err(Error::shape(op, "averages have no dilation"))
}

/// The average of each window of `x` (…, H, W); it lies as [`max_pool`]'s result.
///
/// # Errors
/// As [`max_pool`]; if there is a dilation.
pub fn avg_pool<T: FloatElement>(
    x: &View<'_, T>,
    params: &Pool2dParams,
    y: &mut Buffer<T>,
) -> Result<()> {
    undilated("avg_pool", params)?;
    average("avg_pool", params.geometry("avg_pool", x.shape())?, x, y)
}

/// The gradient of [`avg_pool`]: `dx`, of `x_shape`, with channels last if `dy` has them so.
///
/// # Errors
/// As [`avg_pool`].
pub fn avg_pool_backward<T: FloatElement>(
    dy: &View<'_, T>,
    params: &Pool2dParams,
    x_shape: &[usize],
    dx: &mut Buffer<T>,
) -> Result<()> {
    let op = "avg_pool_backward";
    undilated(op, params)?;
    average_backward(op, params.geometry(op, x_shape)?, dy, dx)
}

/// Averages over windows that cut each of the last two dimensions into `sizes` parts as even as possible.
///
/// # Errors
/// If there are no elements, or lengths or devices do not fit.
pub fn adaptive_avg_pool<T: FloatElement>(
    x: &View<'_, T>,
    sizes: [usize; 2],
    y: &mut Buffer<T>,
) -> Result<()> {
    average(
        "adaptive_avg_pool",
        adaptive("adaptive_avg_pool", x.shape(), sizes)?,
        x,
        y,
    )
}

/// The gradient of [`adaptive_avg_pool`]: `dx`, of `x_shape`, with channels last if `dy` has them so.
///
/// # Errors
/// As [`adaptive_avg_pool`].
pub fn adaptive_avg_pool_backward<T: FloatElement>(
    dy: &View<'_, T>,
    sizes: [usize; 2],
    x_shape: &[usize],
    dx: &mut Buffer<T>,
) -> Result<()> {
    let op = "adaptive_avg_pool_backward";
    average_backward(op, adaptive(op, x_shape, sizes)?, dy, dx)
}
