//! Average pooling, plain and adaptive; backward, each gradient is spread evenly over its window.

use gradus_simd::{Float, Isa, Kernel, dispatch};

use super::window::{Layout, Windows, adaptive};
use super::{PLANES, contiguous};
use crate::error::check_len;
use crate::parallel;
use crate::{Error, Result, View};

/// The arguments of average pooling over `D` dimensions; PyTorch's names and meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPoolParams<const D: usize> {
    /// The size of a window.
    pub kernel: [usize; D],
    /// Steps between windows (PyTorch's default is the kernel).
    pub stride: [usize; D],
    /// Zeros on both sides of the input; at most half the kernel.
    pub padding: [usize; D],
    /// Whether a last window may stand out beyond the padding.
    pub ceil_mode: bool,
    /// Whether padding counts in the divisor.
    pub count_include_pad: bool,
    /// A divisor instead of the number of elements; not 0.
    pub divisor_override: Option<i64>,
}

/// Over images.
pub type AvgPool2dParams = AvgPoolParams<2>;

impl<const D: usize> AvgPoolParams<D> {
    /// Windows side by side: stride = kernel, no padding.
    pub fn new(kernel: [usize; D]) -> Self {
        let (padding, ceil_mode) = ([0; D], false);
        Self {
            kernel,
            stride: kernel,
            padding,
            ceil_mode,
            count_include_pad: true,
            divisor_override: None,
        }
    }

    fn layout(&self) -> Layout<D> {
        let Self {
            kernel,
            stride,
            padding,
            ceil_mode,
            ..
        } = *self;
        Layout {
            kernel,
            stride,
            padding,
            dilation: [1; D],
            ceil_mode,
        }
    }

    fn divisor(&self, op: &'static str) -> Result<Divisor> {
        match self.divisor_override {
            Some(0) => Err(Error::shape(op, "divisor_override is 0")),
            Some(n) => Ok(Divisor::Fixed(n as f64)),
            None if self.count_include_pad => Ok(Divisor::Size),
            None => Ok(Divisor::Count),
        }
    }

    /// The sizes of the output's last `D` dimensions; the others are the input's.
    ///
    /// # Errors
    /// As [`MaxPoolParams::output_size`](super::MaxPoolParams::output_size).
    pub fn output_size(&self, x_shape: &[usize]) -> Result<[usize; D]> {
        let (_, _, output) = self.layout().output("avg_pool", x_shape)?;
        let mut sizes = [0; D];
        sizes.copy_from_slice(&output[3 - D..]);
        Ok(sizes)
    }
}

/// What a window's sum is divided by.
#[derive(Clone, Copy, Debug)]
enum Divisor {
    /// Elements and padding.
    Size,
    /// Elements.
    Count,
    Fixed(f64),
}

/// The average of each window: `x` (…, H, W), `y` (…, OH, OW) row-major.
///
/// # Errors
/// As [`AvgPoolParams::output_size`]; if the divisor is 0 or `y` does not have the output's size.
#[inline(never)]
pub fn avg_pool<T: Float, const D: usize>(
    x: View<'_, T>,
    params: &AvgPoolParams<D>,
    y: &mut [T],
) -> Result<()> {
    let op = "avg_pool";
    let windows = params.layout().windows(op, x.shape(), y.len())?;
    forward(&windows, params.divisor(op)?, &x, y);
    Ok(())
}

/// The gradient of [`avg_pool`]: `dx`, row-major in `x_shape`, from `dy`.
///
/// # Errors
/// As [`avg_pool`], for an input of `x_shape`; if `dx` does not have its size.
#[inline(never)]
pub fn avg_pool_backward<T: Float, const D: usize>(
    dy: View<'_, T>,
    params: &AvgPoolParams<D>,
    x_shape: &[usize],
    dx: &mut [T],
) -> Result<()> {
    let op = "avg_pool_backward";
    let windows = params.layout().windows(op, x_shape, dy.len())?;
    check_len(
        op,
        "the gradient",
        dx.len(),
        windows.planes * windows.plane(),
    )?;
    backward(&windows, params.divisor(op)?, &dy, dx);
    Ok(())
}

/// Averages over windows that cut each of the last `D` dimensions into `sizes` parts as even as possible, as PyTorch's
/// `adaptive_avg_pool`: `y` (…, sizes) row-major.
///
/// # Errors
/// If `x` has fewer dimensions or no elements, or `y` another size.
#[inline(never)]
pub fn adaptive_avg_pool<T: Float, const D: usize>(
    x: View<'_, T>,
    sizes: [usize; D],
    y: &mut [T],
) -> Result<()> {
    let windows = adaptive("adaptive_avg_pool", x.shape(), &sizes, y.len())?;
    forward(&windows, Divisor::Count, &x, y);
    Ok(())
}

/// The gradient of [`adaptive_avg_pool`]: `dx`, row-major in `x_shape`, from `dy` (…, sizes).
///
/// # Errors
/// As [`adaptive_avg_pool`], for an input of `x_shape`; if `dx` does not have its size.
#[inline(never)]
pub fn adaptive_avg_pool_backward<T: Float, const D: usize>(
    dy: View<'_, T>,
    sizes: [usize; D],
    x_shape: &[usize],
    dx: &mut [T],
) -> Result<()> {
    let op = "adaptive_avg_pool_backward";
    let windows = adaptive(op, x_shape, &sizes, dy.len())?;
    check_len(
        op,
        "the gradient",
        dx.len(),
        windows.planes * windows.plane(),
    )?;
    backward(&windows, Divisor::Count, &dy, dx);
    Ok(())
}

fn forward<T: Float>(w: &Windows, divisor: Divisor, x: &View<'_, T>, y: &mut [T]) {
    if y.is_empty() {
        return;
    }
    let x = contiguous(x);
    let (plane, pixels) = (w.plane(), w.pixels());
    let group = (PLANES / plane.max(1)).max(1);
    parallel::for_each_chunk_mut(y, group * pixels, |i, y| {
        let planes = y.len() / pixels;
        let x = &x[i * group * plane..][..planes * plane];
        if w.is_two_by_two() && !matches!(divisor, Divisor::Fixed(_)) {
            dispatch(TwoByTwo { windows: w, x, y });
        } else {
            dispatch(Any {
                windows: w,
                divisor,
                x,
                y,
            });
        }
    });
}

impl Divisor {
    /// For three windows, one on each axis.
    #[inline(always)]
    fn of<T: Float>(self, axes: [&super::window::Window; 3]) -> T {
        let product = |f: fn(&super::window::Window) -> usize| {
            f(axes[0]) as f64 * f(axes[1]) as f64 * f(axes[2]) as f64
        };
        T::from_f64(match self {
            Self::Size => product(|w| w.size),
            Self::Count => product(|w| w.end - w.start),
            Self::Fixed(n) => n,
        })
    }
}

/// Windows of any kind.
struct Any<'a, T> {
    windows: &'a Windows,
    divisor: Divisor,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Float> Kernel for Any<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, _: S) {
        let w = self.windows;
        let [_, height, width] = w.input;
        let mut at = 0;
        for x in self.x.chunks_exact(w.plane().max(1)) {
            for depth in &w.axes[0] {
                for rows in &w.axes[1] {
                    for cols in &w.axes[2] {
                        let empty = depth.start >= depth.end
                            || rows.start >= rows.end
                            || cols.start >= cols.end;
                        let mut sum = T::ZERO;
                        if !empty {
                            for d in depth.start..depth.end {
                                for r in rows.start..rows.end {
                                    sum = add_row(
                                        &x[(d * height + r) * width..][cols.start..cols.end],
                                        sum,
                                    );
                                }
                            }
                        }
                        self.y[at] = if empty {
                            T::ZERO
                        } else {
                            sum / self.divisor.of([depth, rows, cols])
                        };
                        at += 1;
                    }
                }
            }
        }
    }
}

/// `sum` plus the elements of a row: short rows one by one, long ones in sixteen sums.
#[inline(always)]
fn add_row<T: Float>(row: &[T], sum: T) -> T {
    let chunks = row.chunks_exact(16);
    let mut total = chunks.remainder().iter().fold(sum, |sum, &x| sum + x);
    if row.len() >= 16 {
        let mut sums = [T::ZERO; 16];
        for chunk in chunks {
            for (sum, &x) in sums.iter_mut().zip(chunk) {
                *sum += x;
            }
        }
        let mut half = 8;
        while half > 0 {
            for i in 0..half {
                sums[i] += sums[i + half];
            }
            half /= 2;
        }
        total += sums[0];
    }
    total
}

/// Windows of 2 × 2 side by side, by whole rows.
struct TwoByTwo<'a, T> {
    windows: &'a Windows,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Float> Kernel for TwoByTwo<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, _: S) {
        let ([_, _, width], [_, rows, cols]) = (self.windows.input, self.windows.output);
        let (plane, quarter) = (self.windows.plane(), T::from_f64(0.25));
        for (row, y) in self.y.chunks_exact_mut(cols).enumerate() {
            let x = &self.x[row / rows * plane + row % rows * 2 * width..][..2 * width];
            let (top, bottom) = (&x[..2 * cols], &x[width..][..2 * cols]);
            for j in 0..cols {
                y[j] = (top[2 * j] + top[2 * j + 1] + bottom[2 * j] + bottom[2 * j + 1]) * quarter;
            }
        }
    }
}

fn backward<T: Float>(w: &Windows, divisor: Divisor, dy: &View<'_, T>, dx: &mut [T]) {
    if dx.is_empty() {
        return;
    }
    if dy.is_empty() {
        return dx.fill(T::ZERO);
    }
    let dy = contiguous(dy);
    let (plane, pixels) = (w.plane(), w.pixels());
    let [_, height, width] = w.input;
    let group = (PLANES / plane).max(1);
    parallel::for_each_chunk_mut(dx, group * plane, |i, dx| {
        dx.fill(T::ZERO);
        let mut dy = dy[i * group * pixels..].iter();
        for dx in dx.chunks_exact_mut(plane) {
            for depth in &w.axes[0] {
                for rows in &w.axes[1] {
                    for cols in &w.axes[2] {
                        let g = dy.next().copied().unwrap_or(T::ZERO);
                        if depth.start >= depth.end
                            || rows.start >= rows.end
                            || cols.start >= cols.end
                        {
                            continue;
                        }
                        let g = g / divisor.of([depth, rows, cols]);
                        for d in depth.start..depth.end {
                            for r in rows.start..rows.end {
                                for x in &mut dx[(d * height + r) * width..][cols.start..cols.end] {
                                    *x += g;
                                }
                            }
                        }
                    }
                }
            }
        }
    });
}
