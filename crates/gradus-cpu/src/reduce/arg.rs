//! Where the extremes are. The value is found first, by the vector fold, then its first place.

use super::fold::{axis_mask, kept_len};
use super::{FoldOp, Rows, as_rows, nonempty, run};
use crate::parallel::{GRAIN, for_each_chunk_mut};
use crate::source::{BLOCK, Source};
use crate::{Element, Result, View, error::check_len};

/// The largest elements along `axis` and the index of the first of each (NaN counts as the largest).
///
/// # Errors
/// If the axis is out of range or empty, or an output has not the shape of the other axes.
pub fn max_with_index<T: Element>(
    x: View<'_, T>,
    axis: usize,
    values: &mut [T],
    indices: &mut [i64],
) -> Result<()> {
    with_index("max", FoldOp::Max, x, &[axis], values, indices)
}

/// The smallest elements along `axis` and the index of the first of each (NaN counts as the smallest).
///
/// # Errors
/// As [`max_with_index`].
pub fn min_with_index<T: Element>(
    x: View<'_, T>,
    axis: usize,
    values: &mut [T],
    indices: &mut [i64],
) -> Result<()> {
    with_index("min", FoldOp::Min, x, &[axis], values, indices)
}

/// The index of the first largest element along `axis`, or in all of `x` in row-major order (NaN counts as the largest).
///
/// # Errors
/// As [`max_with_index`].
pub fn argmax<T: Element>(x: View<'_, T>, axis: Option<usize>, y: &mut [i64]) -> Result<()> {
    arg("argmax", FoldOp::Max, x, axis, y)
}

/// The index of the first smallest element along `axis`, or in all of `x` in row-major order (NaN counts as the smallest).
///
/// # Errors
/// As [`max_with_index`].
pub fn argmin<T: Element>(x: View<'_, T>, axis: Option<usize>, y: &mut [i64]) -> Result<()> {
    arg("argmin", FoldOp::Min, x, axis, y)
}

fn arg<T: Element>(
    name: &'static str,
    op: FoldOp,
    x: View<'_, T>,
    axis: Option<usize>,
    y: &mut [i64],
) -> Result<()> {
    let axes: Vec<usize> = axis.map_or_else(|| (0..x.rank()).collect(), |axis| vec![axis]);
    let mut values = vec![T::ZERO; y.len()];
    with_index(name, op, x, &axes, &mut values, y)
}

fn with_index<T: Element>(
    name: &'static str,
    op: FoldOp,
    x: View<'_, T>,
    axes: &[usize],
    values: &mut [T],
    indices: &mut [i64],
) -> Result<()> {
    let mask = axis_mask(name, x.shape(), axes)?;
    check_len(
        name,
        "the indices",
        indices.len(),
        kept_len(x.shape(), &mask),
    )?;
    check_len(name, "the values", values.len(), indices.len())?;
    nonempty(name, &x, indices.len())?;
    run(name, op, x, axes, values)?;
    let rows: Rows = as_rows(&x, &mask);
    let n = rows.n.max(1);
    let source = Source::new(Some(rows.view(&x)?))?;
    let values = &*values;
    let per_task = (GRAIN / n).max(1);
    for_each_chunk_mut(indices, per_task, |task, indices| {
        let mut buffer = [T::ZERO; BLOCK];
        for (i, index) in indices.iter_mut().enumerate() {
            let row = task * per_task + i;
            let value = values[row];
            *index = (0..n)
                .step_by(BLOCK)
                .find_map(|start| {
                    let block = source.read(row * n + start, &mut buffer[..BLOCK.min(n - start)]);
                    let found = if is_nan(value) {
                        block.iter().position(|&x| is_nan(x))
                    } else {
                        block.iter().position(|&x| x == value)
                    };
                    found.map(|i| (start + i) as i64)
                })
                .unwrap_or(0);
        }
    });
    Ok(())
}

/// Only NaN is not equal to itself.
#[allow(clippy::eq_op)]
pub(super) fn is_nan<T: Element>(x: T) -> bool {
    x != x
}
