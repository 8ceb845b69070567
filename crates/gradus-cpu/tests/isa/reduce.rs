//! Reductions, scans, sorting: over rows, over columns and over everything.
use crate::common::{Placed, number, same_bits};
use crate::ops::value;
use gradus_cpu::reduce::*;
use gradus_cpu::{Element, FloatElement, Result, View, bf16, f16};

/// A result as bits; an error (of an empty choice) as one marker.
fn outcome<T: Element>(
    len: usize,
    offset: usize,
    f: impl FnOnce(&mut [T]) -> Result<()>,
) -> Vec<u64> {
    let mut y = Placed::<T>::output(len, 5 * offset);
    match f(y.get_mut()) {
        Ok(()) => y.bits(),
        Err(_) => vec![0xBAD],
    }
}

/// As [`outcome`], of values and indices.
fn outcomes<T: Element>(
    len: usize,
    offset: usize,
    f: impl FnOnce(&mut [T], &mut [i64]) -> Result<()>,
) -> Vec<u64> {
    let mut indices = Placed::<i64>::output(len, 3 * offset);
    let mut all = outcome(len, offset, |y| f(y, indices.get_mut()));
    all.extend(indices.bits());
    all
}

const ROWS: usize = 3;

/// The ways to reduce (3, n), with the size of what is left.
fn ways(n: usize) -> [(&'static [usize], usize); 3] {
    [(&[1], ROWS), (&[0], n), (&[0, 1], 1)]
}

fn folds<T: Element>() {
    same_bits(&format!("folds of {}", T::NAME), |n, offset| {
        let shape = [ROWS, n];
        let plain = Placed::<T>::new(ROWS * n, offset, number);
        // Extremes and tests get NaN and infinities to see, too.
        let special = Placed::<T>::new(ROWS * n, offset, |i| T::from_f64(value(i)));
        let (x, s) = (plain.view(&shape), special.view(&shape));
        let mut all = Vec::new();
        for (axes, len) in ways(n) {
            all.extend(outcome::<T::Sum>(len, offset, |y| sum(x, axes, y)));
            all.extend(outcome::<T::Sum>(len, offset, |y| prod(x, axes, y)));
            for x in [x, s] {
                all.extend(outcome::<T>(len, offset, |y| max(x, axes, y)));
                all.extend(outcome::<T>(len, offset, |y| min(x, axes, y)));
            }
            all.extend(outcome::<bool>(len, offset, |y| any(s, axes, y)));
            all.extend(outcome::<bool>(len, offset, |y| {
                gradus_cpu::reduce::all(s, axes, y)
            }));
            all.extend(outcome::<i64>(len, offset, |y| count_nonzero(s, axes, y)));
        }
        all
    });
}

fn along_an_axis<T: Element>() {
    same_bits(&format!("scans and choices of {}", T::NAME), |n, offset| {
        let shape = [ROWS, n];
        let plain = Placed::<T>::new(ROWS * n, offset, number);
        let special = Placed::<T>::new(ROWS * n, offset, |i| T::from_f64(value(i)));
        let (x, s) = (plain.view(&shape), special.view(&shape));
        let mut all = Vec::new();
        for (axis, left, len) in [(1, ROWS, n), (0, n, ROWS)] {
            let len_all = ROWS * n;
            all.extend(outcome::<T::Sum>(len_all, offset, |y| cumsum(x, axis, y)));
            all.extend(outcome::<T::Sum>(len_all, offset, |y| cumprod(x, axis, y)));
            all.extend(outcomes::<T>(len_all, offset, |y, i| cummax(s, axis, y, i)));
            all.extend(outcomes::<T>(len_all, offset, |y, i| cummin(s, axis, y, i)));
            all.extend(outcomes::<T>(left, offset, |y, i| {
                max_with_index(s, axis, y, i)
            }));
            all.extend(outcomes::<T>(left, offset, |y, i| {
                min_with_index(s, axis, y, i)
            }));
            all.extend(outcome::<i64>(left, offset, |y| argmax(s, Some(axis), y)));
            all.extend(outcome::<i64>(left, offset, |y| argmin(s, Some(axis), y)));
            for down in [false, true] {
                all.extend(outcomes::<T>(len_all, offset, |y, i| {
                    sort(s, axis, down, y, i)
                }));
                let k = len.min(2);
                all.extend(outcomes::<T>(left * k, offset, |y, i| {
                    topk(s, axis, k, down, y, i)
                }));
            }
            let middle = len / 2 + 1;
            all.extend(outcomes::<T>(left, offset, |y, i| {
                kthvalue(s, axis, middle, y, i)
            }));
        }
        all.extend(outcome::<i64>(1, offset, |y| argmax(s, None, y)));
        all
    });
}

fn statistics<T: FloatElement>() {
    same_bits(&format!("statistics of {}", T::NAME), |n, offset| {
        let shape = [ROWS, n];
        let x = Placed::<T>::new(ROWS * n, offset, number);
        let x: View<'_, T> = x.view(&shape);
        let mut all = Vec::new();
        for (axes, len) in ways(n) {
            all.extend(outcome::<T>(len, offset, |y| mean(x, axes, y)));
            let mut means = Placed::<T>::output(len, 3 * offset);
            all.extend(outcome::<T>(len, offset, |y| {
                var(x, axes, 1.0, Some(means.get_mut()), y)
            }));
            all.extend(means.bits());
            for p in [0.0, 1.0, 2.0, 3.0, f64::INFINITY, f64::NEG_INFINITY] {
                all.extend(outcome::<T>(len, offset, |y| norm(x, axes, p, y)));
            }
            all.extend(outcome::<T>(len, offset, |y| logsumexp(x, axes, y)));
        }
        for axis in [0, 1] {
            all.extend(outcome::<T>(ROWS * n, offset, |y| logcumsumexp(x, axis, y)));
        }
        all
    });
}

#[test]
fn folds_of_every_type() {
    folds::<f32>();
    folds::<f64>();
    folds::<f16>();
    folds::<bf16>();
    folds::<u8>();
    folds::<i32>();
    folds::<i64>();
    folds::<bool>();
}

#[test]
fn scans_and_choices() {
    along_an_axis::<f32>();
    along_an_axis::<f64>();
    along_an_axis::<bf16>();
    along_an_axis::<i32>();
}

#[test]
fn statistics_of_every_float() {
    statistics::<f32>();
    statistics::<f64>();
    statistics::<f16>();
    statistics::<bf16>();
}
