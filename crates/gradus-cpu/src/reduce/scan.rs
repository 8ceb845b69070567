//! Cumulative sums, products, maxima, minima and log-sum-exps along one axis. Floats are accumulated in `f64`, integers
//! in `i64`; one line is one sequence, lines are independent.

use super::arg::is_nan;
use super::fold::axis_mask;
use crate::elementwise::{BinaryOp, scalar};
use crate::parallel::{GRAIN, SharedMut, for_each_chunk};
use crate::source::{BLOCK, Source};
use crate::{Element, FloatElement, Result, View, error::check_len};

/// Columns scanned side by side where the axis is not the last.
const COLUMNS: usize = 64;

/// Walks the lines along `axis`: `step(state, x, i)` for each element of a line in turn, then `emit(position, state)`.
fn scan<T: Element, S: Copy>(
    name: &'static str,
    x: View<'_, T>,
    axis: usize,
    start: impl Fn() -> S + Sync,
    step: impl Fn(&mut S, T, usize) + Sync,
    emit: impl Fn(usize, &S) + Sync,
) -> Result<()> {
    axis_mask(name, x.shape(), &[axis])?;
    if x.is_empty() {
        return Ok(());
    }
    let product = |d: &[usize]| d.iter().product::<usize>();
    let (outer, n, inner) = (
        product(&x.shape()[..axis]),
        x.shape()[axis],
        product(&x.shape()[axis + 1..]),
    );
    let source = Source::new(Some(x))?;
    let columns = COLUMNS.min(inner);
    let strips = inner.div_ceil(columns);
    for_each_chunk(outer * strips, (GRAIN / (n * columns)).max(1), |items| {
        let mut buffer = [T::ZERO; BLOCK];
        for item in items {
            let (o, column) = (item / strips, item % strips * columns);
            if inner == 1 {
                let mut state = start();
                for first in (0..n).step_by(BLOCK) {
                    let block = source.read(o * n + first, &mut buffer[..BLOCK.min(n - first)]);
                    for (i, &x) in block.iter().enumerate() {
                        step(&mut state, x, first + i);
                        emit(o * n + first + i, &state);
                    }
                }
                continue;
            }
            let mut states = [start(); COLUMNS];
            let states = &mut states[..columns.min(inner - column)];
            for i in 0..n {
                let position = (o * n + i) * inner + column;
                let row = source.read(position, &mut buffer[..states.len()]);
                for (j, (state, &x)) in states.iter_mut().zip(row).enumerate() {
                    step(state, x, i);
                    emit(position + j, state);
                }
            }
        }
    });
    Ok(())
}

/// A slice whose elements are written one by one from several threads, each once.
struct Out<'a, T>(SharedMut<'a, T>);

impl<'a, T: Send> Out<'a, T> {
    fn new(name: &'static str, y: &'a mut [T], len: usize) -> Result<Self> {
        check_len(name, "the output", y.len(), len)?;
        Ok(Self(SharedMut::new(y)))
    }

    fn set(&self, position: usize, value: T) {
        // SAFETY: `scan` emits every position of its input once, and the output is as long (checked in `new`).
        unsafe { self.0.as_mut_ptr().add(position).write(value) };
    }
}

fn cumulate<T: Element>(
    name: &'static str,
    x: View<'_, T>,
    axis: usize,
    y: &mut [T::Sum],
    start: i64,
    float: fn(f64, f64) -> f64,
    int: fn(i64, i64) -> i64,
) -> Result<()> {
    let out = Out::new(name, y, x.len())?;
    if T::KIND.is_float() {
        let emit = |i, s: &f64| out.set(i, s.cast());
        scan(
            name,
            x,
            axis,
            || start as f64,
            |s: &mut f64, x, _| *s = float(*s, x.to_f64()),
            emit,
        )
    } else {
        let emit = |i, s: &i64| out.set(i, s.cast());
        scan(
            name,
            x,
            axis,
            || start,
            |s: &mut i64, x, _| *s = int(*s, x.to_i64()),
            emit,
        )
    }
}

/// y_i = x_0 + … + x_i along `axis`.
///
/// # Errors
/// If the axis is out of range or `y` is not as long as `x`.
#[inline(never)]
pub fn cumsum<T: Element>(x: View<'_, T>, axis: usize, y: &mut [T::Sum]) -> Result<()> {
    cumulate("cumsum", x, axis, y, 0, |a, b| a + b, i64::wrapping_add)
}

/// y_i = x_0 · … · x_i along `axis`.
///
/// # Errors
/// As [`cumsum`].
#[inline(never)]
pub fn cumprod<T: Element>(x: View<'_, T>, axis: usize, y: &mut [T::Sum]) -> Result<()> {
    cumulate("cumprod", x, axis, y, 1, |a, b| a * b, i64::wrapping_mul)
}

/// y_i = ln(e^x_0 + … + e^x_i) along `axis`.
///
/// # Errors
/// As [`cumsum`].
#[inline(never)]
pub fn logcumsumexp<T: FloatElement>(x: View<'_, T>, axis: usize, y: &mut [T]) -> Result<()> {
    let out = Out::new("logcumsumexp", y, x.len())?;
    let step = |s: &mut f64, x: T, _| *s = scalar::binary(BinaryOp::LogAddExp, *s, x.to_f64());
    scan(
        "logcumsumexp",
        x,
        axis,
        || f64::NEG_INFINITY,
        step,
        |i, s: &f64| out.set(i, s.cast()),
    )
}

/// The largest of x_0 … x_i along `axis` and the index of its last occurrence so far; NaN from the first NaN on.
///
/// # Errors
/// As [`cumsum`].
#[inline(never)]
pub fn cummax<T: Element>(
    x: View<'_, T>,
    axis: usize,
    values: &mut [T],
    indices: &mut [i64],
) -> Result<()> {
    extreme("cummax", x, axis, values, indices, |new, old| new >= old)
}

/// The smallest of x_0 … x_i along `axis` and the index of its last occurrence so far; NaN from the first NaN on.
///
/// # Errors
/// As [`cumsum`].
#[inline(never)]
pub fn cummin<T: Element>(
    x: View<'_, T>,
    axis: usize,
    values: &mut [T],
    indices: &mut [i64],
) -> Result<()> {
    extreme("cummin", x, axis, values, indices, |new, old| new <= old)
}

fn extreme<T: Element>(
    name: &'static str,
    x: View<'_, T>,
    axis: usize,
    values: &mut [T],
    indices: &mut [i64],
    better: fn(T, T) -> bool,
) -> Result<()> {
    let values = Out::new(name, values, x.len())?;
    let indices = Out::new(name, indices, x.len())?;
    let step = |s: &mut (T, usize), x: T, i: usize| {
        if i == 0 || is_nan(x) || better(x, s.0) {
            *s = (x, i);
        }
    };
    scan(
        name,
        x,
        axis,
        || (T::ZERO, 0),
        step,
        |i, s: &(T, usize)| {
            values.set(i, s.0);
            indices.set(i, s.1 as i64);
        },
    )
}
