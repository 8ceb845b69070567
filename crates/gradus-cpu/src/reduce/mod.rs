//! Reductions over any set of axes; cumulative ones, arg-reductions and sorting over one axis.
//!
//! Inputs are views, outputs contiguous slices of the kept axes in their order. `f16`, `bf16` and `f32` are accumulated
//! in `f32`, integers and `bool` in `i64`. Results are bitwise the same for any number of threads, any strides and any
//! instruction set.

mod accumulator;
mod arg;
mod fold;
mod scan;
mod sort;
mod statistics;

pub use accumulator::Accumulator;
pub use arg::{argmax, argmin, max_with_index, min_with_index};
pub use fold::FoldOp;
pub use scan::{cummax, cummin, cumprod, cumsum, logcumsumexp};
pub use sort::{kthvalue, sort, topk};
pub(crate) use statistics::moments;
pub use statistics::{logsumexp, mean, norm, var};

use crate::{Element, Error, Result, View, cast, error::check_len};
use fold::{axis_mask, fold, kept_len};

/// A view with the reduced axes last, as rows: the shape and strides, the number of rows and their length.
struct Rows {
    shape: Vec<usize>,
    strides: Vec<isize>,
    kept: usize,
    count: usize,
    n: usize,
}

/// Moves the axes of `mask` behind the others.
fn as_rows<T>(x: &View<'_, T>, mask: &[bool]) -> Rows {
    let order: Vec<usize> = (0..x.rank())
        .filter(|&d| !mask[d])
        .chain((0..x.rank()).filter(|&d| mask[d]))
        .collect();
    let count = kept_len(x.shape(), mask);
    let reduced: Vec<bool> = mask.iter().map(|m| !m).collect();
    Rows {
        shape: order.iter().map(|&d| x.shape()[d]).collect(),
        strides: order.iter().map(|&d| x.stride(d)).collect(),
        kept: mask.iter().filter(|&&m| !m).count(),
        count,
        n: kept_len(x.shape(), &reduced),
    }
}

impl Rows {
    /// The axes that are reduced, after the move.
    fn mask(&self) -> Vec<bool> {
        (0..self.shape.len()).map(|d| d >= self.kept).collect()
    }

    fn view<'a, T>(&'a self, x: &View<'a, T>) -> Result<View<'a, T>> {
        let (data, offset) = x.origin();
        View::new(data, offset as usize, &self.shape, &self.strides)
    }
}

fn run<T: Element>(
    name: &'static str,
    op: FoldOp,
    x: View<'_, T>,
    axes: &[usize],
    y: &mut [impl Element],
) -> Result<()> {
    fold_with(
        name,
        op,
        x,
        axes,
        &|_, x, y| cast::cast_slice::<T, T::Acc>(x, y),
        true,
        y,
    )
}

/// Folds what `load` makes of the elements, and casts the result.
fn fold_with<T: Element, A: Accumulator, B: Element>(
    name: &'static str,
    op: FoldOp,
    x: View<'_, T>,
    axes: &[usize],
    load: &fold::Load<'_, T, A>,
    native: bool,
    y: &mut [B],
) -> Result<()> {
    let mask = axis_mask(name, x.shape(), axes)?;
    check_len(name, "the output", y.len(), kept_len(x.shape(), &mask))?;
    if let Some(y) = cast::same::<B, A>(y) {
        return fold(op, x, &mask, load, native, y);
    }
    let mut out = vec![A::ZERO; y.len()];
    fold(op, x, &mask, load, native, &mut out)?;
    cast::cast_slice(&out, y);
    Ok(())
}

/// The sum over `axes`: of integers and `bool` in `i64`, wrapping.
///
/// # Errors
/// If an axis is out of range or named twice, or `y` has not the shape of the other axes.
///
/// ```
/// use gradus_cpu::{View, reduce};
/// let x = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]; // (2, 3)
/// let mut y = [0.0; 3];
/// reduce::sum(View::contiguous(&x, &[2, 3])?, &[0], &mut y)?;
/// assert_eq!(y, [5.0, 7.0, 9.0]);
/// # Ok::<(), gradus_cpu::Error>(())
/// ```
#[inline(never)]
pub fn sum<T: Element>(x: View<'_, T>, axes: &[usize], y: &mut [T::Sum]) -> Result<()> {
    run("sum", FoldOp::Sum, x, axes, y)
}

/// The product over `axes`: of integers and `bool` in `i64`, wrapping.
///
/// # Errors
/// As [`sum`].
#[inline(never)]
pub fn prod<T: Element>(x: View<'_, T>, axes: &[usize], y: &mut [T::Sum]) -> Result<()> {
    run("prod", FoldOp::Prod, x, axes, y)
}

fn nonempty<T>(name: &'static str, x: &View<'_, T>, y: usize) -> Result<()> {
    if x.is_empty() && y > 0 {
        return Err(Error::shape(
            name,
            format!("no elements to choose from in shape {:?}", x.shape()),
        ));
    }
    Ok(())
}

/// The largest element over `axes` (`torch.amax`); NaN if there is one.
///
/// # Errors
/// As [`sum`], and if there are no elements to reduce.
#[inline(never)]
pub fn max<T: Element>(x: View<'_, T>, axes: &[usize], y: &mut [T]) -> Result<()> {
    nonempty("max", &x, y.len())?;
    run("max", FoldOp::Max, x, axes, y)
}

/// The smallest element over `axes` (`torch.amin`); NaN if there is one.
///
/// # Errors
/// As [`max`].
#[inline(never)]
pub fn min<T: Element>(x: View<'_, T>, axes: &[usize], y: &mut [T]) -> Result<()> {
    nonempty("min", &x, y.len())?;
    run("min", FoldOp::Min, x, axes, y)
}

fn load_nonzero<T: Element>(_: usize, x: &[T], y: &mut [i64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = i64::from(*x != T::ZERO);
    }
}

/// Whether any element over `axes` is not 0 (NaN is not 0).
///
/// # Errors
/// As [`sum`].
#[inline(never)]
pub fn any<T: Element>(x: View<'_, T>, axes: &[usize], y: &mut [bool]) -> Result<()> {
    let mut count = vec![0i64; y.len()];
    count_nonzero(x, axes, &mut count)?;
    cast::cast_slice(&count, y);
    Ok(())
}

/// Whether all elements over `axes` are not 0 (NaN is not 0).
///
/// # Errors
/// As [`sum`].
#[inline(never)]
pub fn all<T: Element>(x: View<'_, T>, axes: &[usize], y: &mut [bool]) -> Result<()> {
    fold_with("all", FoldOp::Min, x, axes, &load_nonzero::<T>, false, y)
}

/// How many elements over `axes` are not 0 (NaN is not 0).
///
/// # Errors
/// As [`sum`].
#[inline(never)]
pub fn count_nonzero<T: Element>(x: View<'_, T>, axes: &[usize], y: &mut [i64]) -> Result<()> {
    fold_with(
        "count_nonzero",
        FoldOp::Sum,
        x,
        axes,
        &load_nonzero::<T>,
        false,
        y,
    )
}
