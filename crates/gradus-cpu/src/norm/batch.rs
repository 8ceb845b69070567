//! Batch normalisation of (N, C, …): each channel has its statistics over the batch (training) or from before
//! (evaluation).

use super::kernels::{InputGrad, Normalise, Param, ParamGrads, Sums};
use super::{Affine, Gradients, channels};
use crate::parallel::{GRAIN, SharedMut, for_each_chunk};
use crate::rows::{Operand, widened, write};
use crate::{Element, Error, FloatElement, Result, View, error::check_len, reduce};
use gradus_simd::dispatch;

/// The mean and the (population's) variance of each channel of `x` (N, C, …).
///
/// # Errors
/// If the rank is below 2 or the outputs do not have C elements.
#[inline(never)]
pub fn batch_norm_stats<T: FloatElement>(
    x: View<'_, T>,
    mean: &mut [T::Compute],
    var: &mut [T::Compute],
) -> Result<()> {
    let op = "batch_norm";
    let (_, c, _) = channels(op, &x)?;
    check_len(op, "the mean", mean.len(), c)?;
    check_len(op, "the variance", var.len(), c)?;
    let mask: Vec<bool> = (0..x.rank()).map(|d| d != 1).collect();
    reduce::moments(x, &mask, 0.0, mean, var)
}

/// Segments that share what they are normalised with: planes of one channel, or whole rows of channels if there is only
/// one element to a channel.
struct Segments {
    count: usize,
    len: usize,
    channels: usize,
    by_row: bool,
}

impl Segments {
    fn new(n: usize, c: usize, s: usize) -> Self {
        let by_row = s == 1;
        Self {
            count: if by_row { n } else { n * c },
            len: if by_row { c } else { s },
            channels: c,
            by_row,
        }
    }

    fn param<'a, T: Copy>(&self, i: usize, values: &'a [T]) -> Param<'a, T> {
        if self.by_row {
            Param::Each(values)
        } else {
            Param::One(values[i % self.channels])
        }
    }
}

/// y = (x − mean)·rstd·w + b, channel by channel, of `x` (N, C, …); `rstd` is 1/√(var + eps).
///
/// # Errors
/// If the rank is below 2 or lengths do not fit.
#[inline(never)]
pub fn batch_norm<T: FloatElement>(
    x: View<'_, T>,
    mean: &[T::Compute],
    rstd: &[T::Compute],
    affine: Affine<'_, T>,
    y: &mut [T],
) -> Result<()> {
    let op = "batch_norm";
    let (n, c, s) = channels(op, &x)?;
    affine.check(op, c)?;
    check_len(op, "the mean", mean.len(), c)?;
    check_len(op, "rstd", rstd.len(), c)?;
    check_len(op, "the output", y.len(), x.len())?;
    if x.is_empty() {
        return Ok(());
    }
    let w = affine
        .weight
        .map_or_else(|| vec![<T::Compute as Element>::ONE; c].into(), widened);
    let b = affine
        .bias
        .map_or_else(|| vec![<T::Compute as Element>::ZERO; c].into(), widened);
    let segments = Segments::new(n, c, s);
    let len = segments.len;
    let x = Operand::new(x)?;
    let y = SharedMut::new(y);
    for_each_chunk(segments.count, (GRAIN / len).max(1), |range| {
        let (mut scratch, mut out) = (Vec::new(), Vec::new());
        for i in range {
            let x = x.get(i * len, len, &mut scratch);
            // SAFETY: segments do not overlap.
            let y = unsafe { y.slice(i * len..(i + 1) * len) };
            let (mean, rstd) = (segments.param(i, mean), segments.param(i, rstd));
            let (w, b) = (segments.param(i, &w), segments.param(i, &b));
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

/// The gradients of [`batch_norm`]; with `training` the statistics are those of `x` itself and depend on it.
///
/// # Errors
/// As [`batch_norm`].
#[inline(never)]
pub fn batch_norm_backward<T: FloatElement>(
    dy: View<'_, T>,
    x: View<'_, T>,
    mean: &[T::Compute],
    rstd: &[T::Compute],
    weight: Option<&[T]>,
    training: bool,
    mut out: Gradients<'_, T>,
) -> Result<()> {
    let op = "batch_norm_backward";
    let (n, c, s) = channels(op, &x)?;
    if dy.shape() != x.shape() {
        return Err(Error::shape(
            op,
            format!("shapes {:?} and {:?} differ", dy.shape(), x.shape()),
        ));
    }
    Affine { weight, bias: None }.check(op, c)?;
    check_len(op, "the mean", mean.len(), c)?;
    check_len(op, "rstd", rstd.len(), c)?;
    out.check(op, x.len(), c)?;
    let (zero, one) = (<T::Compute as Element>::ZERO, <T::Compute as Element>::ONE);
    let (mut dw, mut db) = (vec![zero; c], vec![zero; c]);
    if x.is_empty() {
        out.store(&dw, &db);
        return Ok(());
    }
    let w = weight.map_or_else(|| vec![one; c].into(), widened);
    let segments = Segments::new(n, c, s);
    let len = segments.len;
    let (dy, x) = (Operand::new(dy)?, Operand::new(x)?);

    // Σ dy·x̂ and Σ dy of each channel: in pieces of the batch, then over the pieces.
    let per_piece = if segments.by_row {
        (4 * GRAIN / len).max(1)
    } else {
        c
    };
    let pieces = segments.count.div_ceil(per_piece);
    let (mut dw_parts, mut db_parts) = (vec![zero; pieces * c], vec![zero; pieces * c]);
    let (dw_out, db_out) = (SharedMut::new(&mut dw_parts), SharedMut::new(&mut db_parts));
    for_each_chunk(segments.count, per_piece, |range| {
        let (mut dy_scratch, mut x_scratch) = (Vec::new(), Vec::new());
        let piece = range.start / per_piece;
        // SAFETY: pieces do not overlap.
        let (dw, db) = unsafe {
            (
                dw_out.slice(piece * c..(piece + 1) * c),
                db_out.slice(piece * c..(piece + 1) * c),
            )
        };
        for i in range {
            let dy = dy.get(i * len, len, &mut dy_scratch);
            let x = x.get(i * len, len, &mut x_scratch);
            if segments.by_row {
                dispatch(ParamGrads {
                    dy,
                    x,
                    mean: Param::Each(mean),
                    rstd: Param::Each(rstd),
                    dw: &mut *dw,
                    db: &mut *db,
                });
            } else {
                let k = i % c;
                (db[k], dw[k]) = dispatch(Sums {
                    dy,
                    x,
                    mean: mean[k],
                    rstd: rstd[k],
                    w: Param::One(one),
                });
            }
        }
    });
    reduce::sum(View::contiguous(&dw_parts, &[pieces, c])?, &[0], &mut dw)?;
    reduce::sum(View::contiguous(&db_parts, &[pieces, c])?, &[0], &mut db)?;

    // dx = rstd·(w·dy − c1 − x̂·c2); the statistics' share is 0 in evaluation.
    let count = <T::Compute as Element>::from_f64((n * s) as f64);
    let share = |sums: &[T::Compute]| -> Vec<T::Compute> {
        sums.iter()
            .zip(&*w)
            .map(|(&sum, &w)| if training { w * sum / count } else { zero })
            .collect()
    };
    let (c1, c2) = (share(&db), share(&dw));
    let dx = SharedMut::new(&mut *out.dx);
    for_each_chunk(segments.count, (GRAIN / len).max(1), |range| {
        let (mut dy_scratch, mut x_scratch, mut dx_scratch) = (Vec::new(), Vec::new(), Vec::new());
        for i in range {
            let dy = dy.get(i * len, len, &mut dy_scratch);
            // In evaluation x has no say: c2 is 0, and 0 times what may be NaN there is not.
            let x = if training {
                x.get(i * len, len, &mut x_scratch)
            } else {
                dy
            };
            // SAFETY: segments do not overlap.
            let dx = unsafe { dx.slice(i * len..(i + 1) * len) };
            let (mean, rstd) = (segments.param(i, mean), segments.param(i, rstd));
            let (w, c1, c2) = (
                segments.param(i, &w),
                segments.param(i, &c1),
                segments.param(i, &c2),
            );
            write::<T>(dx, &mut dx_scratch, |dx| {
                dispatch(InputGrad {
                    dy,
                    x,
                    mean,
                    rstd,
                    w,
                    c1,
                    c2,
                    dx,
                });
            });
        }
    });
    out.store(&dw, &db);
    Ok(())
}
