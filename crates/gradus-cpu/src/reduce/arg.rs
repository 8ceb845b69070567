//! Where the extremes are. The value is found first, by the vector fold, then its first place; in rows that lie together, one row
//! after the other, so that the second look finds it in L1: memory is read once (0.29 ms for 4096x1024 from L3).

use super::fold::{axis_mask, kept_len};
use super::{FoldOp, Rows, as_rows, nonempty, run};
use crate::cast::{same, same_ref};
use crate::parallel::{GRAIN, SharedMut, for_each_chunk_mut};
use crate::source::{BLOCK, Source};
use crate::{Element, Result, View, error::check_len, lanes};
use gradus_simd::{Float, FloatVec, Isa, Kernel, MaskVec, dispatch};

/// Rows longer than this are looked through by several threads.
const LONG: usize = 4 * GRAIN;

/// The largest elements along `axis` and the index of the first of each (NaN counts as the largest).
///
/// # Errors
/// If the axis is out of range or empty, or an output has not the shape of the other axes.
#[inline(never)]
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
#[inline(never)]
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
#[inline(never)]
pub fn argmax<T: Element>(x: View<'_, T>, axis: Option<usize>, y: &mut [i64]) -> Result<()> {
    arg("argmax", FoldOp::Max, x, axis, y)
}

/// The index of the first smallest element along `axis`, or in all of `x` in row-major order (NaN counts as the smallest).
///
/// # Errors
/// As [`max_with_index`].
#[inline(never)]
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
    let rows: Rows = as_rows(&x, &mask);
    let n = rows.n.max(1);
    let per_task = (GRAIN / n).max(1);
    if n <= LONG
        && let Some(x) = rows.view(&x)?.as_slice()
    {
        let max = op == FoldOp::Max;
        if let (Some(x), Some(values)) = (same_ref::<T, f32>(x), same::<T, f32>(values)) {
            in_rows(max, x, n, per_task, values, indices);
            return Ok(());
        }
        if let (Some(x), Some(values)) = (same_ref::<T, f64>(x), same::<T, f64>(values)) {
            in_rows(max, x, n, per_task, values, indices);
            return Ok(());
        }
    }
    run(name, op, x, axes, values)?;
    let source = Source::new(Some(rows.view(&x)?))?;
    let values = SharedMut::new(values);
    for_each_chunk_mut(indices, per_task, |task, indices| {
        let mut buffer = [T::ZERO; BLOCK];
        for (i, index) in indices.iter_mut().enumerate() {
            let row = task * per_task + i;
            // SAFETY: each row has a value of its own.
            let value = unsafe { &mut values.slice(row..row + 1)[0] };
            *index = (0..n)
                .step_by(BLOCK)
                .find_map(|start| {
                    let block = source.read(row * n + start, &mut buffer[..BLOCK.min(n - start)]);
                    let found = if is_nan(*value) {
                        block.iter().position(|&x| is_nan(x))
                    } else {
                        block.iter().position(|&x| x == *value)
                    };
                    found.map(|i| {
                        *value = block[i]; // of equal ones, as 0 and -0, the first
                        (start + i) as i64
                    })
                })
                .unwrap_or(0);
        }
    });
    Ok(())
}

/// Rows of floats that lie one after the other, each looked through twice while it is in L1.
fn in_rows<T: Element + Float>(
    max: bool,
    x: &[T],
    n: usize,
    per_task: usize,
    values: &mut [T],
    indices: &mut [i64],
) {
    let values = SharedMut::new(values);
    for_each_chunk_mut(indices, per_task, |task, indices| {
        for (i, index) in indices.iter_mut().enumerate() {
            let row = task * per_task + i;
            let x = &x[row * n..][..n];
            let at = dispatch(Row { max, x });
            *index = at as i64;
            // SAFETY: each row has a value of its own.
            unsafe { values.slice(row..row + 1)[0] = x[at] };
        }
    });
}

/// The place of the first largest (or smallest) number of a row, of the first NaN if there is one.
struct Row<'a, T> {
    max: bool,
    x: &'a [T],
}

impl<T: Float> Kernel for Row<'_, T> {
    type Output = usize;
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) -> usize {
        let (x, n) = (self.x.as_ptr(), self.x.len());
        // SAFETY (all loads): `i + m <= n`, the length of the row.
        let (low, high) = (-T::INFINITY, T::INFINITY);
        let extreme = if self.max {
            lanes::fold::<S, T>(
                isa,
                n,
                low,
                #[inline(always)]
                |i, m| unsafe { lanes::load::<S, T>(isa, x.add(i), m, low) },
                FloatVec::max,
                T::maximum,
            )
        } else {
            lanes::fold::<S, T>(
                isa,
                n,
                high,
                #[inline(always)]
                |i, m| unsafe { lanes::load::<S, T>(isa, x.add(i), m, high) },
                FloatVec::min,
                T::minimum,
            )
        };
        let wanted = T::V::<S>::splat(isa, extreme);
        let nan = wanted.is_nan().any();
        let step = T::V::<S>::LANES;
        let mut i = 0;
        while i < n {
            let m = step.min(n - i);
            // The lanes past the end repeat the last number of the row: it has been found before them.
            let v = unsafe { lanes::load::<S, T>(isa, x.add(i), m, *x.add(n - 1)) };
            let found = if nan { v.is_nan() } else { v.eq(wanted) }.to_bits();
            if found != 0 {
                return i + found.trailing_zeros() as usize;
            }
            i += step;
        }
        0
    }
}

/// Only NaN is not equal to itself.
#[allow(clippy::eq_op)]
pub(super) fn is_nan<T: Element>(x: T) -> bool {
    x != x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_extreme_of_every_length_on_every_instruction_set() {
        for &isa in gradus_simd::available() {
            for n in 1..200usize {
                // Every value comes up several times; one row has a NaN, one is all one number, one all -inf.
                let mut x: Vec<f32> = (0..5 * n).map(|i| (i * 7 % 11) as f32 - 5.0).collect();
                x[n + n / 2] = f32::NAN;
                x[2 * n..3 * n].fill(3.0);
                x[3 * n..4 * n].fill(f32::NEG_INFINITY);
                x[4 * n] = -0.0;
                let shape = [5, n];
                let v = View::contiguous(&x, &shape).unwrap();
                let (mut values, mut at) = (vec![0.0f32; 5], vec![0i64; 5]);
                for max in [true, false] {
                    let f = if max { max_with_index } else { min_with_index };
                    gradus_simd::with_isa(isa, || f(v, 1, &mut values, &mut at))
                        .unwrap()
                        .unwrap();
                    for (row, x) in x.chunks(n).enumerate() {
                        let better = |a: f32, b: f32| if max { a > b } else { a < b };
                        let mut want = 0;
                        for (i, &v) in x.iter().enumerate() {
                            if !x[want].is_nan() && (v.is_nan() || better(v, x[want])) {
                                want = i;
                            }
                        }
                        assert_eq!(at[row], want as i64, "{isa} {n} row {row} max {max}");
                        assert_eq!(values[row].to_bits(), x[want].to_bits());
                    }
                }
            }
        }
    }
}
