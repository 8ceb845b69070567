//! Mean, variance, p-norm and log-sum-exp: folds of functions of the elements.

use super::fold::{Load, axis_mask, fold, kept_len};
use super::{FoldOp, as_rows};
use crate::elementwise::{Kernels, Real, UnaryOp};
use crate::{Element, FloatElement, Result, View, cast, error::check_len};

/// The mean over `axes`; NaN of no elements.
///
/// # Errors
/// As [`sum`](super::sum).
#[inline(never)]
pub fn mean<T: FloatElement>(x: View<'_, T>, axes: &[usize], y: &mut [T]) -> Result<()> {
    let mask = axis_mask("mean", x.shape(), axes)?;
    check_len("mean", "the output", y.len(), kept_len(x.shape(), &mask))?;
    let mut means = vec![T::Compute::default(); y.len()];
    means_of(x, &mask, &mut means)?;
    T::store(&means, y);
    Ok(())
}

fn means_of<T: FloatElement>(x: View<'_, T>, mask: &[bool], y: &mut [T::Compute]) -> Result<()> {
    fold(FoldOp::Sum, x, mask, &load::<T>, true, y)?;
    let n = <T::Compute as Element>::from_f64((x.len() / y.len().max(1)) as f64);
    for y in y {
        *y = *y / n;
    }
    Ok(())
}

fn load<T: FloatElement>(_: usize, x: &[T], y: &mut [T::Compute]) {
    T::load(x, y);
}

/// Applies an operation of the compute type to a block in place.
fn apply<A: Real>(op: UnaryOp, x: &mut [A]) {
    // SAFETY: one slice, as operand and output.
    unsafe { <A as Kernels>::unary(op, x.as_ptr(), x.as_mut_ptr(), x.len(), false) }
}

/// Calls `f(row, part)` for the parts of a block at `position` that belong to one row of `n`.
fn by_row<A>(position: usize, n: usize, block: &mut [A], mut f: impl FnMut(usize, &mut [A])) {
    let (mut position, mut rest) = (position, block);
    while !rest.is_empty() {
        let m = (n - position % n).min(rest.len());
        let (part, after) = rest.split_at_mut(m);
        f(position / n, part);
        position += m;
        rest = after;
    }
}

/// The variance over `axes` with `n − correction` in the denominator (1 is PyTorch's default, 0 the population's), and
/// the mean if it is asked for. Two passes: the mean, then the squared deviations from it.
///
/// # Errors
/// As [`sum`](super::sum).
#[inline(never)]
pub fn var<T: FloatElement>(
    x: View<'_, T>,
    axes: &[usize],
    correction: f64,
    mean: Option<&mut [T]>,
    y: &mut [T],
) -> Result<()> {
    let mask = axis_mask("var", x.shape(), axes)?;
    check_len("var", "the output", y.len(), kept_len(x.shape(), &mask))?;
    let (mut means, mut out) = (
        vec![T::Compute::default(); y.len()],
        vec![T::Compute::default(); y.len()],
    );
    moments(x, &mask, correction, &mut means, &mut out)?;
    if let Some(mean) = mean {
        check_len("var", "the mean", mean.len(), y.len())?;
        T::store(&means, mean);
    }
    T::store(&out, y);
    Ok(())
}

/// Mean and variance over the axes of `mask`, in the compute type.
pub(crate) fn moments<T: FloatElement>(
    x: View<'_, T>,
    mask: &[bool],
    correction: f64,
    means: &mut [T::Compute],
    vars: &mut [T::Compute],
) -> Result<()> {
    let rows = as_rows(&x, mask);
    means_of(x, mask, means)?;
    let means = &*means;
    let squares: &Load<'_, T, T::Compute> = &|position, x, y| {
        T::load(x, y);
        by_row(position, rows.n, y, |row, y| {
            apply(
                UnaryOp::Affine {
                    scale: 1.0,
                    shift: -means[row].to_f64(),
                },
                y,
            );
            apply(UnaryOp::Square, y);
        });
    };
    fold(
        FoldOp::Sum,
        rows.view(&x)?,
        &rows.mask(),
        squares,
        false,
        vars,
    )?;
    let divisor = (rows.n as f64 - correction).max(0.0);
    for var in vars {
        *var = *var / <T::Compute as Element>::from_f64(divisor);
    }
    Ok(())
}

/// The p-norm over `axes` (`torch.linalg.vector_norm`): Σ|x|^p to the power 1/p; p = ±∞ the largest and smallest
/// magnitude, p = 0 the number of elements that are not 0.
///
/// # Errors
/// As [`sum`](super::sum); of no elements with p = ±∞ as [`max`](super::max).
#[inline(never)]
pub fn norm<T: FloatElement>(x: View<'_, T>, axes: &[usize], p: f64, y: &mut [T]) -> Result<()> {
    let mask = axis_mask("norm", x.shape(), axes)?;
    check_len("norm", "the output", y.len(), kept_len(x.shape(), &mask))?;
    if p.is_infinite() {
        super::nonempty("norm", &x, y.len())?;
    }
    let powers: &Load<'_, T, T::Compute> = &|_, x, y| {
        T::load(x, y);
        if p == 2.0 {
            return apply(UnaryOp::Square, y);
        }
        apply(UnaryOp::Abs, y);
        if p == 0.0 {
            for y in y {
                *y = <T::Compute as Element>::from_f64(f64::from(u8::from(y.to_f64() != 0.0)));
            }
        } else if p != 1.0 && p.is_finite() {
            apply(UnaryOp::PowScalar(p), y);
        }
    };
    let op = if p == f64::INFINITY {
        FoldOp::Max
    } else if p == f64::NEG_INFINITY {
        FoldOp::Min
    } else {
        FoldOp::Sum
    };
    let mut out = vec![T::Compute::default(); y.len()];
    fold(op, x, &mask, powers, false, &mut out)?;
    if p == 2.0 {
        apply(UnaryOp::Sqrt, &mut out);
    } else if p != 0.0 && p != 1.0 && p.is_finite() {
        apply(UnaryOp::PowScalar(1.0 / p), &mut out);
    }
    T::store(&out, y);
    Ok(())
}

/// ln Σ eˣ over `axes`, without overflow; −∞ of no elements.
///
/// # Errors
/// As [`sum`](super::sum).
#[inline(never)]
pub fn logsumexp<T: FloatElement>(x: View<'_, T>, axes: &[usize], y: &mut [T]) -> Result<()> {
    let mask = axis_mask("logsumexp", x.shape(), axes)?;
    check_len(
        "logsumexp",
        "the output",
        y.len(),
        kept_len(x.shape(), &mask),
    )?;
    let rows = as_rows(&x, &mask);
    let mut shift = vec![T::Compute::default(); y.len()];
    fold(FoldOp::Max, x, &mask, &load::<T>, true, &mut shift)?;
    for m in &mut shift {
        if m.to_f64().is_infinite() {
            *m = <T::Compute as Element>::ZERO; // ∞ − ∞ would be NaN
        }
    }
    let exps: &Load<'_, T, T::Compute> = &|position, x, y| {
        T::load(x, y);
        by_row(position, rows.n, y, |row, y| {
            apply(
                UnaryOp::Affine {
                    scale: 1.0,
                    shift: -shift[row].to_f64(),
                },
                y,
            );
            apply(UnaryOp::Exp, y);
        });
    };
    let mut out = vec![T::Compute::default(); y.len()];
    fold(
        FoldOp::Sum,
        rows.view(&x)?,
        &rows.mask(),
        exps,
        false,
        &mut out,
    )?;
    apply(UnaryOp::Log, &mut out);
    for (out, shift) in out.iter_mut().zip(&shift) {
        *out += *shift;
    }
    cast::cast_slice(&out, y);
    Ok(())
}
