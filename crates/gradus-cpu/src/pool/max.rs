//! Max pooling: the largest element of each window and where it was; backward, its gradient goes there.

use std::sync::atomic::{AtomicBool, Ordering};

use gradus_simd::{Float, dispatch};

use super::max_rows::{Along, Rows};
use super::window::{Layout, Window, Windows};
use super::{PLANES, contiguous};
use crate::error::check_len;
use crate::parallel::{self, SharedMut};
use crate::{Error, Result, View};

/// The arguments of max pooling over `D` dimensions; PyTorch's names and meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPoolParams<const D: usize> {
    /// The size of a window.
    pub kernel: [usize; D],
    /// Steps between windows (PyTorch's default is the kernel).
    pub stride: [usize; D],
    /// −∞ on both sides of the input; at most half the kernel.
    pub padding: [usize; D],
    /// Steps between the elements of a window.
    pub dilation: [usize; D],
    /// Whether a last window may stand out beyond the padding.
    pub ceil_mode: bool,
}

/// Over images.
pub type MaxPool2dParams = MaxPoolParams<2>;

impl<const D: usize> MaxPoolParams<D> {
    /// Windows side by side: stride = kernel, no padding.
    pub fn new(kernel: [usize; D]) -> Self {
        Self {
            kernel,
            stride: kernel,
            padding: [0; D],
            dilation: [1; D],
            ceil_mode: false,
        }
    }

    fn layout(&self) -> Layout<D> {
        let Self {
            kernel,
            stride,
            padding,
            dilation,
            ceil_mode,
        } = *self;
        Layout {
            kernel,
            stride,
            padding,
            dilation,
            ceil_mode,
        }
    }

    /// The sizes of the output's last `D` dimensions; the others are the input's.
    ///
    /// # Errors
    /// If the input has fewer dimensions, a size or step is 0, the padding is more than half the kernel, no window fits or a size
    /// overflows.
    pub fn output_size(&self, x_shape: &[usize]) -> Result<[usize; D]> {
        let (_, _, output) = self.layout().output("max_pool", x_shape)?;
        let mut sizes = [0; D];
        sizes.copy_from_slice(&output[3 - D..]);
        Ok(sizes)
    }
}

/// The largest element of each window: `x` (…, H, W), `y` (…, OH, OW) row-major.
///
/// `indices`, if wanted, are those elements' row-major positions in their plane of `x`, as PyTorch gives them: of equal elements
/// the first; NaN is larger than everything, and of several the last counts. A window that has no element (dilation can step over
/// a small input) is −∞ with the index −1.
///
/// ```
/// use gradus_cpu::View;
/// use gradus_cpu::pool::{MaxPool2dParams, max_pool};
///
/// let x = View::contiguous(&[1.0f32, 5.0, 2.0, 0.0, 3.0, 4.0, 9.0, 9.0], &[1, 1, 2, 4])?;
/// let (mut y, mut indices) = ([0.0; 2], [0; 2]);
/// max_pool(x, &MaxPool2dParams::new([2, 2]), &mut y, Some(&mut indices))?;
/// assert_eq!((y, indices), ([5.0, 9.0], [1, 6]));
/// # Ok::<(), gradus_cpu::Error>(())
/// ```
///
/// # Errors
/// As [`MaxPoolParams::output_size`]; if `y` or `indices` do not have the output's size.
#[inline(never)]
pub fn max_pool<T: Float, const D: usize>(
    x: View<'_, T>,
    params: &MaxPoolParams<D>,
    y: &mut [T],
    indices: Option<&mut [i64]>,
) -> Result<()> {
    let op = "max_pool";
    let windows = params.layout().windows(op, x.shape(), y.len())?;
    if let Some(indices) = &indices {
        check_len(op, "the indices", indices.len(), y.len())?;
    }
    if y.is_empty() {
        return Ok(());
    }
    let x = contiguous(&x);
    let (plane, pixels) = (windows.plane(), windows.pixels());
    let group = (PLANES / plane.max(1)).max(1);
    let by_rows = Along::of(&windows, params);
    let y = SharedMut::new(y);
    let indices = indices.map(SharedMut::new);
    parallel::for_each_chunk(windows.planes, group, |range| {
        let x = &x[range.start * plane..range.end * plane];
        let out = range.start * pixels..range.end * pixels;
        // SAFETY: the planes of different tasks do not overlap.
        let (y, indices) = unsafe {
            (
                y.slice(out.clone()),
                indices.as_ref().map(|indices| indices.slice(out)),
            )
        };
        match by_rows {
            Some(along) => dispatch(Rows {
                windows: &windows,
                along,
                x,
                y,
                indices,
            }),
            None => any(&windows, x, y, indices),
        }
    });
    Ok(())
}

/// Whether `x` takes the place of `max`.
#[inline(always)]
fn beats<T: Float>(x: T, max: T) -> bool {
    x > max || x.is_nan()
}

/// Windows of any kind, one after the other: the reference of [`Rows`] too.
pub(super) fn any<T: Float>(w: &Windows, x: &[T], y: &mut [T], mut indices: Option<&mut [i64]>) {
    let [_, height, width] = w.input;
    let mut at = 0;
    for x in x.chunks_exact(w.plane()) {
        for depth in &w.axes[0] {
            for rows in &w.axes[1] {
                for cols in &w.axes[2] {
                    let mut max = -T::INFINITY;
                    // A window may have no element, where dilation steps over the whole input.
                    let empty = [depth, rows, cols].iter().any(|w| w.start >= w.end);
                    let first = (depth.start * height + rows.start) * width + cols.start;
                    let mut index = if empty { -1 } else { first as i64 };
                    for d in taps(depth, w.dilation[0]) {
                        for r in taps(rows, w.dilation[1]) {
                            for c in taps(cols, w.dilation[2]) {
                                let i = (d * height + r) * width + c;
                                if beats(x[i], max) {
                                    (max, index) = (x[i], i as i64);
                                }
                            }
                        }
                    }
                    y[at] = max;
                    if let Some(indices) = &mut indices {
                        indices[at] = index;
                    }
                    at += 1;
                }
            }
        }
    }
}

/// The positions of a window's elements.
#[inline(always)]
pub(super) fn taps(w: &Window, dilation: usize) -> impl Iterator<Item = usize> {
    (w.start..w.end).step_by(dilation)
}

/// The gradient of max pooling: each of `dy` (…, OH, OW) is added to the element of `dx` (…, H, W) that `indices` names.
///
/// The index −1 names none. `plane` is H·W, `pixels` OH·OW (of three dimensions or one, likewise).
///
/// # Errors
/// If the slices are not so many whole planes, or an index lies outside its plane.
#[inline(never)]
pub fn max_pool_backward<T: Float>(
    dy: View<'_, T>,
    indices: &[i64],
    (plane, pixels): (usize, usize),
    dx: &mut [T],
) -> Result<()> {
    let op = "max_pool_backward";
    check_len(op, "the indices", indices.len(), dy.len())?;
    let planes = dx.len().checked_div(plane).unwrap_or(0);
    if planes * plane != dx.len() || planes.checked_mul(pixels) != Some(dy.len()) {
        let message = format!(
            "{} gradients are not {pixels} for each plane of {plane} in {}",
            dy.len(),
            dx.len()
        );
        return Err(Error::shape(op, message));
    }
    let dy = contiguous(&dy);
    let wrong = AtomicBool::new(false);
    let group = (PLANES / plane.max(1)).max(1);
    parallel::for_each_chunk_mut(dx, group * plane, |i, dx| {
        let first = i * group;
        for (p, dx) in dx.chunks_exact_mut(plane).enumerate() {
            let part = (first + p) * pixels..(first + p + 1) * pixels;
            dx.fill(T::ZERO);
            for (&g, &index) in dy[part.clone()].iter().zip(&indices[part]) {
                match usize::try_from(index)
                    .ok()
                    .and_then(|index| dx.get_mut(index))
                {
                    Some(x) => *x += g,
                    None if index == -1 => {}
                    None => wrong.store(true, Ordering::Relaxed),
                }
            }
        }
    });
    if wrong.into_inner() {
        let index = indices
            .iter()
            .copied()
            .find(|&i| i < -1 || i >= plane as i64)
            .unwrap_or(-1);
        return Err(Error::Index {
            op,
            index,
            size: plane,
        });
    }
    Ok(())
}
