//! Sampling at arbitrary points: PyTorch's `grid_sample`, over two and three dimensions, and its two gradients.
//!
//! What it is: `x` (B, C, sizes) read at the points of `grid` (B, points, D), whose numbers go from −1 to 1 and come in
//! the order of PyTorch: the last axis of `x` first. The points are an output's pixels, in row-major order.
//! The input's gradient is added up by planes, each in the order of the points, so threads cannot change it.
//! What it is not: interpolation to another size; that is [`resample`](crate::resample), and separable.

mod taps;
#[cfg(test)]
mod tests;

use gradus_simd::Float;

use taps::Taps;
pub use taps::{AxisTaps, GridMode, GridPadding, GridSampleParams};

use crate::conv::contiguous;
use crate::error::check_len;
use crate::parallel::{self, SharedMut};
use crate::{Error, Result, View};

/// Points of one task.
const POINTS: usize = 512;
/// Channels that one task of the input's gradient takes: the points' elements are looked up once for all of them.
const CHANNELS: usize = 8;

/// Sizes of a call.
struct Geometry<const D: usize> {
    batch: usize,
    channels: usize,
    sizes: [usize; D],
    points: usize,
}

impl<const D: usize> Geometry<D> {
    /// Of an input of `x_shape` (B, C, sizes) and a grid (B, …, D).
    fn new(op: &'static str, x_shape: &[usize], grid_shape: &[usize]) -> Result<Self> {
        let fail = |why: &str| {
            Err(Error::shape(
                op,
                format!("input {x_shape:?} and grid {grid_shape:?}: {why}"),
            ))
        };
        if x_shape.len() != D + 2 || grid_shape.len() != D + 2 {
            return fail(&format!("each takes {} dimensions", D + 2));
        }
        if x_shape[0] != grid_shape[0] {
            return fail("the batch sizes differ");
        }
        if grid_shape[D + 1] != D {
            return fail(&format!("the grid's last dimension must have size {D}"));
        }
        if x_shape[2..].contains(&0) {
            return fail("the input has an empty dimension");
        }
        crate::numel(op, x_shape)?;
        crate::numel(op, grid_shape)?;
        let points = crate::numel(op, &grid_shape[1..=D])?;
        let mut sizes = [0; D];
        sizes.copy_from_slice(&x_shape[2..]);
        Ok(Self {
            batch: x_shape[0],
            channels: x_shape[1],
            sizes,
            points,
        })
    }

    fn plane(&self) -> usize {
        self.sizes.iter().product()
    }

    fn outputs(&self, op: &'static str) -> Result<usize> {
        crate::numel(op, &[self.batch, self.channels, self.points])
    }

    /// Calls `f(batch, points)` for pieces of every sample's points.
    fn for_each_piece(&self, f: impl Fn(usize, std::ops::Range<usize>) + Sync) {
        let pieces = self.points.div_ceil(POINTS);
        parallel::for_each(self.batch * pieces, &|task| {
            let (b, first) = (task / pieces, task % pieces * POINTS);
            f(b, first..self.points.min(first + POINTS));
        });
    }
}

/// The point at `grid[at..at + D]`, in the order of the axes.
#[inline]
fn point<T: Float, const D: usize>(grid: &[T], at: usize) -> [f64; D] {
    std::array::from_fn(|d| grid[at + D - 1 - d].to_f64())
}

/// `x` (B, C, sizes) at the points of `grid` (B, …, D): `y` (B, C, …) row-major.
///
/// ```
/// use gradus_cpu::View;
/// use gradus_cpu::grid_sample::{GridSampleParams, grid_sample};
///
/// let x = View::contiguous(&[0.0f32, 1.0, 2.0, 3.0], &[1, 1, 2, 2])?;
/// let grid = View::contiguous(&[0.0f32, 0.0], &[1, 1, 1, 2])?; // the middle
/// let mut y = [0.0];
/// grid_sample::<_, 2>(x, grid, &GridSampleParams::default(), &mut y)?;
/// assert_eq!(y, [1.5]);
/// # Ok::<(), gradus_cpu::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit together, a dimension of `x` is empty, or `y` has another size.
#[inline(never)]
pub fn grid_sample<T: Float, const D: usize>(
    x: View<'_, T>,
    grid: View<'_, T>,
    params: &GridSampleParams,
    y: &mut [T],
) -> Result<()> {
    let op = "grid_sample";
    let g = Geometry::<D>::new(op, x.shape(), grid.shape())?;
    check_len(op, "the output", y.len(), g.outputs(op)?)?;
    if y.is_empty() {
        return Ok(());
    }
    let (x, grid, plane) = (contiguous(&x), contiguous(&grid), g.plane());
    let y = SharedMut::new(y);
    g.for_each_piece(|b, points| {
        let mut taps = Taps::<T, D>::new();
        for p in points {
            taps.find(
                *params,
                point::<T, D>(&grid, (b * g.points + p) * D),
                g.sizes,
            );
            for c in 0..g.channels {
                let line = b * g.channels + c;
                let x = &x[line * plane..][..plane];
                let mut sum = T::ZERO;
                for (&at, &w) in taps.at.iter().zip(&taps.weight) {
                    sum += w * x[at];
                }
                let i = line * g.points + p;
                // SAFETY: the points of different tasks differ, and so do their elements of every channel.
                let y = unsafe { y.slice(i..i + 1) };
                y[0] = sum;
            }
        }
    });
    Ok(())
}

/// The gradient of [`grid_sample`]'s input: `dx`, row-major in `x_shape`, from `dy` (B, C, …) and the grid.
///
/// # Errors
/// As [`grid_sample`].
#[inline(never)]
pub fn grid_sample_backward_input<T: Float, const D: usize>(
    dy: View<'_, T>,
    grid: View<'_, T>,
    params: &GridSampleParams,
    x_shape: &[usize],
    dx: &mut [T],
) -> Result<()> {
    let op = "grid_sample_backward_input";
    let g = Geometry::<D>::new(op, x_shape, grid.shape())?;
    check_len(op, "the output's gradient", dy.len(), g.outputs(op)?)?;
    check_len(op, "the gradient", dx.len(), crate::numel(op, x_shape)?)?;
    if dx.is_empty() {
        return Ok(());
    }
    let (dy, grid, plane) = (contiguous(&dy), contiguous(&grid), g.plane());
    let groups = g.channels.div_ceil(CHANNELS);
    let dx = SharedMut::new(dx);
    parallel::for_each(g.batch * groups, &|task| {
        let (b, first) = (task / groups, task % groups * CHANNELS);
        let channels = first..g.channels.min(first + CHANNELS);
        let line = b * g.channels + channels.start;
        // SAFETY: every task has channels of its own.
        let dx = unsafe { dx.slice(line * plane..(line + channels.len()) * plane) };
        dx.fill(T::ZERO);
        let mut taps = Taps::<T, D>::new();
        for p in 0..g.points {
            taps.find(
                *params,
                point::<T, D>(&grid, (b * g.points + p) * D),
                g.sizes,
            );
            for (c, dx) in dx.chunks_exact_mut(plane).enumerate() {
                let dy = dy[(line + c) * g.points + p];
                for (&at, &w) in taps.at.iter().zip(&taps.weight) {
                    dx[at] += w * dy;
                }
            }
        }
    });
    Ok(())
}

/// The gradient of [`grid_sample`]'s grid: `dgrid`, row-major in the grid's shape, from `dy` (B, C, …) and both inputs.
///
/// # Errors
/// As [`grid_sample`].
#[inline(never)]
pub fn grid_sample_backward_grid<T: Float, const D: usize>(
    dy: View<'_, T>,
    x: View<'_, T>,
    grid: View<'_, T>,
    params: &GridSampleParams,
    dgrid: &mut [T],
) -> Result<()> {
    let op = "grid_sample_backward_grid";
    let g = Geometry::<D>::new(op, x.shape(), grid.shape())?;
    check_len(op, "the output's gradient", dy.len(), g.outputs(op)?)?;
    check_len(op, "the gradient", dgrid.len(), grid.len())?;
    if dgrid.is_empty() {
        return Ok(());
    }
    let (dy, x, plane) = (contiguous(&dy), contiguous(&x), g.plane());
    let grid = contiguous(&grid);
    let dgrid = SharedMut::new(dgrid);
    g.for_each_piece(|b, points| {
        let mut taps = Taps::<T, D>::new();
        for p in points {
            let at = (b * g.points + p) * D;
            taps.find(*params, point::<T, D>(&grid, at), g.sizes);
            let mut sums = [0.0; D];
            for c in 0..g.channels {
                let line = b * g.channels + c;
                let x = &x[line * plane..][..plane];
                let dy = dy[line * g.points + p].to_f64();
                for (d, sum) in sums.iter_mut().enumerate() {
                    let terms = taps.at.iter().zip(&taps.slope[d]);
                    *sum += dy * terms.map(|(&at, &w)| w * x[at].to_f64()).sum::<f64>();
                }
            }
            // SAFETY: the points of different tasks differ.
            let dgrid = unsafe { dgrid.slice(at..at + D) };
            for (d, sum) in sums.into_iter().enumerate() {
                dgrid[D - 1 - d] = T::from_f64(sum);
            }
        }
    });
    Ok(())
}
