//! Layer and RMS normalisation: the last `n` elements share their statistics, and each has its weight and bias.

use super::kernels::{InputGrad, Moments, Normalise, Param, ParamGrads, Sums};
use super::{Affine, Gradients, rstd_of};
use crate::parallel::{GRAIN, SharedMut, for_each_chunk};
use crate::rows::{Operand, widened, write};
use crate::{Element, Error, FloatElement, Result, View, error::check_len, reduce};
use gradus_simd::dispatch;

/// The number of rows of `n` elements.
fn rows_of<T>(op: &'static str, x: &View<'_, T>, n: usize) -> Result<usize> {
    if n == 0 || !x.len().is_multiple_of(n) {
        return Err(Error::shape(
            op,
            format!(
                "{n} normalised elements do not divide the shape {:?}",
                x.shape()
            ),
        ));
    }
    Ok(x.len() / n)
}

fn forward<T: FloatElement>(
    op: &'static str,
    x: View<'_, T>,
    n: usize,
    affine: Affine<'_, T>,
    eps: f64,
    y: &mut [T],
    mean: Option<&mut [T::Compute]>,
    rstd: &mut [T::Compute],
) -> Result<()> {
    let rows = rows_of(op, &x, n)?;
    affine.check(op, n)?;
    check_len(op, "the output", y.len(), x.len())?;
    check_len(op, "rstd", rstd.len(), rows)?;
    let centre = mean.is_some();
    let mut unused = vec![T::Compute::default(); if centre { 0 } else { rows }];
    let mean = mean.unwrap_or(&mut unused);
    check_len(op, "the mean", mean.len(), rows)?;
    let (w, b) = (affine.weight.map(widened), affine.bias.map(widened));
    let w = Param::each(w.as_deref(), <T::Compute as Element>::ONE);
    let b = Param::each(b.as_deref(), <T::Compute as Element>::ZERO);
    let x = Operand::new(x)?;
    let (y, mean, rstd) = (
        SharedMut::new(y),
        SharedMut::new(mean),
        SharedMut::new(rstd),
    );
    for_each_chunk(rows, (GRAIN / n).max(1), |range| {
        let (mut scratch, mut out) = (Vec::new(), Vec::new());
        for row in range {
            let x = x.get(row * n, n, &mut scratch);
            let (mu, var) = dispatch(Moments { x, centre });
            let r = rstd_of::<T>(var, eps);
            // SAFETY: rows do not overlap.
            let y = unsafe {
                mean.slice(row..row + 1)[0] = mu;
                rstd.slice(row..row + 1)[0] = r;
                y.slice(row * n..(row + 1) * n)
            };
            let (mean, rstd) = (Param::One(mu), Param::One(r));
            write::<T>(y, &mut out, |y| {
                dispatch(Normalise {
                    x,
                    mean,
                    rstd,
                    w,
                    b,
                    y,
                });
            });
        }
    });
    Ok(())
}

fn backward<T: FloatElement>(
    op: &'static str,
    dy: View<'_, T>,
    x: View<'_, T>,
    n: usize,
    weight: Option<&[T]>,
    mean: Option<&[T::Compute]>,
    rstd: &[T::Compute],
    mut out: Gradients<'_, T>,
) -> Result<()> {
    let rows = rows_of(op, &x, n)?;
    if dy.shape() != x.shape() {
        return Err(Error::shape(
            op,
            format!("shapes {:?} and {:?} differ", dy.shape(), x.shape()),
        ));
    }
    Affine { weight, bias: None }.check(op, n)?;
    check_len(op, "rstd", rstd.len(), rows)?;
    if let Some(mean) = mean {
        check_len(op, "the mean", mean.len(), rows)?;
    }
    out.check(op, x.len(), n)?;
    let zero = <T::Compute as Element>::ZERO;
    let count = <T::Compute as Element>::from_f64(n as f64);
    let w = weight.map(widened);
    let w = Param::each(w.as_deref(), <T::Compute as Element>::ONE);
    let params = out.dweight.is_some() || out.dbias.is_some();
    // Pieces of rows, each with its own sums for weight and bias, which are then added up.
    let per_piece = (4 * GRAIN / n).max(1);
    let pieces = rows.div_ceil(per_piece);
    let partial = if params { pieces * n } else { 0 };
    let (mut dw, mut db) = (vec![zero; partial], vec![zero; partial]);
    let (dw_parts, db_parts) = (SharedMut::new(&mut dw), SharedMut::new(&mut db));
    let (dy, x) = (Operand::new(dy)?, Operand::new(x)?);
    let dx = SharedMut::new(out.dx);
    for_each_chunk(rows, per_piece, |range| {
        let (mut dy_scratch, mut x_scratch, mut dx_scratch) = (Vec::new(), Vec::new(), Vec::new());
        let piece = range.start / per_piece;
        for row in range {
            let dy = dy.get(row * n, n, &mut dy_scratch);
            let x = x.get(row * n, n, &mut x_scratch);
            let (mu, r) = (mean.map_or(zero, |m| m[row]), rstd[row]);
            let (sum, dot) = dispatch(Sums {
                dy,
                x,
                mean: mu,
                rstd: r,
                w,
            });
            let c1 = Param::One(if mean.is_some() { sum / count } else { zero });
            let c2 = Param::One(dot / count);
            let (mu, r) = (Param::One(mu), Param::One(r));
            // SAFETY: rows, and the sums of different pieces, do not overlap.
            let dx = unsafe { dx.slice(row * n..(row + 1) * n) };
            write::<T>(dx, &mut dx_scratch, |dx| {
                dispatch(InputGrad {
                    dy,
                    x,
                    mean: mu,
                    rstd: r,
                    w,
                    c1,
                    c2,
                    dx,
                });
            });
            if params {
                // SAFETY: as above.
                let (dw, db) = unsafe {
                    (
                        dw_parts.slice(piece * n..(piece + 1) * n),
                        db_parts.slice(piece * n..(piece + 1) * n),
                    )
                };
                dispatch(ParamGrads {
                    dy,
                    x,
                    mean: mu,
                    rstd: r,
                    dw,
                    db,
                });
            }
        }
    });
    if params {
        let (mut dw_sum, mut db_sum) = (vec![zero; n], vec![zero; n]);
        reduce::sum(View::contiguous(&dw, &[pieces, n])?, &[0], &mut dw_sum)?;
        reduce::sum(View::contiguous(&db, &[pieces, n])?, &[0], &mut db_sum)?;
        out.dx = &mut [];
        out.store(&dw_sum, &db_sum);
    }
    Ok(())
}

/// y = (x − mean)/√(var + eps)·w + b over the last `n` elements (the product of PyTorch's `normalized_shape`); `mean` and
/// `rstd` receive the statistics, one per row, which [`layer_norm_backward`] wants.
///
/// # Errors
/// If `n` is 0 or does not divide `x`, or lengths do not fit.
///
/// ```
/// use gradus_cpu::{View, norm::{Affine, layer_norm}};
/// let x = [1.0f64, 3.0, -5.0, 5.0]; // (2, 2)
/// let (mut y, mut mean, mut rstd) = ([0.0; 4], [0.0; 2], [0.0; 2]);
/// layer_norm(View::contiguous(&x, &[2, 2])?, 2, Affine::default(), 0.0, &mut y, &mut mean, &mut rstd)?;
/// assert_eq!(y, [-1.0, 1.0, -1.0, 1.0]);
/// assert_eq!(mean, [2.0, 0.0]);
/// # Ok::<(), gradus_cpu::Error>(())
/// ```
#[inline(never)]
pub fn layer_norm<T: FloatElement>(
    x: View<'_, T>,
    n: usize,
    affine: Affine<'_, T>,
    eps: f64,
    y: &mut [T],
    mean: &mut [T::Compute],
    rstd: &mut [T::Compute],
) -> Result<()> {
    forward("layer_norm", x, n, affine, eps, y, Some(mean), rstd)
}

/// The gradients of [`layer_norm`], given its input and statistics.
///
/// # Errors
/// As [`layer_norm`].
#[inline(never)]
pub fn layer_norm_backward<T: FloatElement>(
    dy: View<'_, T>,
    x: View<'_, T>,
    n: usize,
    weight: Option<&[T]>,
    mean: &[T::Compute],
    rstd: &[T::Compute],
    out: Gradients<'_, T>,
) -> Result<()> {
    backward(
        "layer_norm_backward",
        dy,
        x,
        n,
        weight,
        Some(mean),
        rstd,
        out,
    )
}

/// y = x/√(mean(x²) + eps)·w over the last `n` elements; `rstd` receives 1/√(mean(x²) + eps), one per row.
///
/// # Errors
/// As [`layer_norm`].
#[inline(never)]
pub fn rms_norm<T: FloatElement>(
    x: View<'_, T>,
    n: usize,
    weight: Option<&[T]>,
    eps: f64,
    y: &mut [T],
    rstd: &mut [T::Compute],
) -> Result<()> {
    forward(
        "rms_norm",
        x,
        n,
        Affine { weight, bias: None },
        eps,
        y,
        None,
        rstd,
    )
}

/// The gradients of [`rms_norm`], given its input and statistics.
///
/// # Errors
/// As [`layer_norm`].
#[inline(never)]
pub fn rms_norm_backward<T: FloatElement>(
    dy: View<'_, T>,
    x: View<'_, T>,
    n: usize,
    weight: Option<&[T]>,
    rstd: &[T::Compute],
    out: Gradients<'_, T>,
) -> Result<()> {
    backward("rms_norm_backward", dy, x, n, weight, None, rstd, out)
}
