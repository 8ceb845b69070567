//! Sorting, the k largest and the k-th smallest along one axis.
//!
//! Every element type is mapped to an `i64` key of the same order (NaN the largest), so the sorting is compiled once.
//! Keys are sorted together with indices: equal elements stay in their order, which makes every result stable.

use super::fold::axis_mask;
use super::{Rows, as_rows};
use crate::parallel::{GRAIN, SharedMut, for_each_chunk};
use crate::source::Source;
use crate::{Element, Error, Result, View, error::check_len};

/// An integer with the order of the element: −∞ < … < −0 = 0 < … < ∞ < NaN.
fn key<T: Element>(x: T) -> i64 {
    if !T::KIND.is_float() {
        return x.to_i64();
    }
    let x = x.to_f64();
    if x.is_nan() {
        return i64::MAX;
    }
    let bits = (x + 0.0).to_bits() as i64; // −0 + 0 is 0
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

/// What is kept of a sorted line.
#[derive(Clone, Copy)]
enum Keep {
    All,
    First(usize),
    Only(usize),
}

/// Sorts the lines of `x` along `axis` and writes what is kept, and where it was, along that axis.
fn sorted<T: Element>(
    name: &'static str,
    x: View<'_, T>,
    axis: usize,
    descending: bool,
    keep: Keep,
    values: &mut [T],
    indices: &mut [i64],
) -> Result<()> {
    let mask = axis_mask(name, x.shape(), &[axis])?;
    let rows: Rows = as_rows(&x, &mask);
    let (n, lines) = (rows.n, rows.count);
    let k = match keep {
        Keep::All => n,
        Keep::First(k) => k,
        Keep::Only(_) => 1,
    };
    check_len(name, "the values", values.len(), lines.saturating_mul(k))?;
    check_len(name, "the indices", indices.len(), values.len())?;
    if values.is_empty() {
        return Ok(());
    }
    let inner: usize = x.shape()[axis + 1..].iter().product();
    let source = Source::new(Some(rows.view(&x)?))?;
    let (values, indices) = (SharedMut::new(values), SharedMut::new(indices));
    for_each_chunk(lines, (GRAIN / 8 / n).max(1), |range| {
        let mut buffer = vec![T::ZERO; n];
        let mut keys: Vec<(i64, usize)> = Vec::with_capacity(n);
        for line in range {
            let data = source.read(line * n, &mut buffer);
            keys.clear();
            keys.extend(
                data.iter()
                    .enumerate()
                    .map(|(i, &x)| (if descending { !key(x) } else { key(x) }, i)),
            );
            order(&mut keys, keep);
            let kept = if let Keep::Only(i) = keep {
                &keys[i..=i]
            } else {
                &keys[..k]
            };
            for (i, &(_, index)) in kept.iter().enumerate() {
                let at = (line / inner * k + i) * inner + line % inner;
                // SAFETY: each line writes its own `k` places, and both outputs hold `lines · k` elements.
                unsafe {
                    values.as_mut_ptr().add(at).write(data[index]);
                    indices.as_mut_ptr().add(at).write(index as i64);
                }
            }
        }
    });
    Ok(())
}

/// Orders what will be kept.
fn order(keys: &mut [(i64, usize)], keep: Keep) {
    match keep {
        Keep::First(k) if k < keys.len() => {
            keys.select_nth_unstable(k);
            keys[..k].sort_unstable();
        }
        Keep::All | Keep::First(_) => keys.sort_unstable(),
        Keep::Only(i) => _ = keys.select_nth_unstable(i),
    }
}

/// Sorts along `axis`, stably, NaN as the largest: the elements and the index each had.
///
/// # Errors
/// If the axis is out of range or an output is not as long as `x`.
#[inline(never)]
pub fn sort<T: Element>(
    x: View<'_, T>,
    axis: usize,
    descending: bool,
    values: &mut [T],
    indices: &mut [i64],
) -> Result<()> {
    sorted("sort", x, axis, descending, Keep::All, values, indices)
}

/// The `k` largest (or smallest) elements along `axis`, the most extreme first, and their indices.
///
/// # Errors
/// If the axis is out of range or shorter than `k`, or an output has not `k` elements along it.
#[inline(never)]
pub fn topk<T: Element>(
    x: View<'_, T>,
    axis: usize,
    k: usize,
    largest: bool,
    values: &mut [T],
    indices: &mut [i64],
) -> Result<()> {
    if x.shape().get(axis).is_some_and(|&n| k > n) {
        return Err(Error::shape(
            "topk",
            format!("k = {k} of {} elements", x.shape()[axis]),
        ));
    }
    sorted("topk", x, axis, largest, Keep::First(k), values, indices)
}

/// The `k`-th smallest element along `axis`, counted from 1, and its index.
///
/// # Errors
/// If the axis is out of range, or `k` is 0 or above its size, or an output has not the shape of the other axes.
#[inline(never)]
pub fn kthvalue<T: Element>(
    x: View<'_, T>,
    axis: usize,
    k: usize,
    values: &mut [T],
    indices: &mut [i64],
) -> Result<()> {
    if x.shape().get(axis).is_some_and(|&n| k == 0 || k > n) {
        return Err(Error::shape(
            "kthvalue",
            format!("k = {k} of {} elements, counted from 1", x.shape()[axis]),
        ));
    }
    sorted(
        "kthvalue",
        x,
        axis,
        false,
        Keep::Only(k.saturating_sub(1)),
        values,
        indices,
    )
}
