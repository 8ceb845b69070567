//! Group normalisation (instance normalisation with as many groups as channels): the channels of a group share their
//! statistics, and each channel has its weight and bias.

use super::kernels::{InputGrad, Moments, Normalise, Param, Sums};
use super::{Affine, Gradients, channels, rstd_of};
use crate::parallel::{GRAIN, SharedMut, for_each_chunk};
use crate::rows::{Operand, widened, write};
use crate::{Element, Error, FloatElement, Result, View, error::check_len, reduce};
use gradus_simd::dispatch;

/// (N, C, S) and the elements of a group.
fn sizes<T>(
    op: &'static str,
    x: &View<'_, T>,
    groups: usize,
) -> Result<(usize, usize, usize, usize)> {
    let (n, c, s) = channels(op, x)?;
    if groups == 0 || c % groups != 0 {
        return Err(Error::shape(op, format!("{groups} groups of {c} channels")));
    }
    Ok((n, c, s, if x.is_empty() { 0 } else { c / groups * s }))
}

/// Group normalisation of `x` (N, C, …); `mean` and `rstd` (N·groups) receive the statistics.
///
/// # Errors
/// If the rank is below 2, the groups do not divide the channels, or lengths do not fit.
#[inline(never)]
pub fn group_norm<T: FloatElement>(
    x: View<'_, T>,
    groups: usize,
    affine: Affine<'_, T>,
    eps: f64,
    y: &mut [T],
    mean: &mut [T::Compute],
    rstd: &mut [T::Compute],
) -> Result<()> {
    let op = "group_norm";
    let (n, c, s, size) = sizes(op, &x, groups)?;
    affine.check(op, c)?;
    check_len(op, "the output", y.len(), x.len())?;
    check_len(op, "the mean", mean.len(), n.saturating_mul(groups))?;
    check_len(op, "rstd", rstd.len(), mean.len())?;
    if x.is_empty() {
        return Ok(());
    }
    let (w, b) = (affine.weight.map(widened), affine.bias.map(widened));
    let (w, b) = (w.as_deref(), b.as_deref());
    let x = Operand::new(x)?;
    let (y, means, rstds) = (
        SharedMut::new(y),
        SharedMut::new(mean),
        SharedMut::new(rstd),
    );
    for_each_chunk(n * groups, (GRAIN / size).max(1), |range| {
        let (mut scratch, mut out) = (Vec::new(), Vec::new());
        for row in range {
            let x = x.get(row * size, size, &mut scratch);
            let (mu, var) = dispatch(Moments { x, centre: true });
            let r = rstd_of::<T>(var, eps);
            // SAFETY: rows do not overlap.
            let y = unsafe {
                means.slice(row..row + 1)[0] = mu;
                rstds.slice(row..row + 1)[0] = r;
                y.slice(row * size..(row + 1) * size)
            };
            let first = row % groups * (c / groups);
            write::<T>(y, &mut out, |y| {
                for (i, (x, y)) in x.chunks(s).zip(y.chunks_mut(s)).enumerate() {
                    let w = Param::One(w.map_or(<T::Compute as Element>::ONE, |w| w[first + i]));
                    let b = Param::One(b.map_or(<T::Compute as Element>::ZERO, |b| b[first + i]));
                    dispatch(Normalise {
                        x,
                        mean: Param::One(mu),
                        rstd: Param::One(r),
                        w,
                        b,
                        y,
                    });
                }
            });
        }
    });
    Ok(())
}

/// The gradients of [`group_norm`], given its input and statistics.
///
/// # Errors
/// As [`group_norm`].
#[inline(never)]
pub fn group_norm_backward<T: FloatElement>(
    dy: View<'_, T>,
    x: View<'_, T>,
    groups: usize,
    weight: Option<&[T]>,
    mean: &[T::Compute],
    rstd: &[T::Compute],
    mut out: Gradients<'_, T>,
) -> Result<()> {
    let op = "group_norm_backward";
    let (n, c, s, size) = sizes(op, &x, groups)?;
    if dy.shape() != x.shape() {
        return Err(Error::shape(
            op,
            format!("shapes {:?} and {:?} differ", dy.shape(), x.shape()),
        ));
    }
    Affine { weight, bias: None }.check(op, c)?;
    check_len(op, "the mean", mean.len(), n.saturating_mul(groups))?;
    check_len(op, "rstd", rstd.len(), mean.len())?;
    out.check(op, x.len(), c)?;
    let (zero, one) = (<T::Compute as Element>::ZERO, <T::Compute as Element>::ONE);
    let count = <T::Compute as Element>::from_f64(size as f64);
    let w = weight.map(widened);
    let w = w.as_deref();
    // Σ dy·x̂ and Σ dy of every (sample, channel).
    let planes = if x.is_empty() { 0 } else { n * c };
    let (mut dw, mut db) = (vec![zero; planes], vec![zero; planes]);
    if planes > 0 {
        let (dy, x) = (Operand::new(dy)?, Operand::new(x)?);
        let (dw, db, dx) = (
            SharedMut::new(&mut dw),
            SharedMut::new(&mut db),
            SharedMut::new(&mut *out.dx),
        );
        let of_group = c / groups;
        for_each_chunk(n * groups, (GRAIN / size).max(1), |range| {
            let (mut dy_scratch, mut x_scratch, mut dx_scratch) =
                (Vec::new(), Vec::new(), Vec::new());
            for row in range {
                let dy = dy.get(row * size, size, &mut dy_scratch);
                let x = x.get(row * size, size, &mut x_scratch);
                let (mu, r) = (mean[row], rstd[row]);
                let first = row % groups * of_group;
                let weight = |i: usize| w.map_or(one, |w| w[first + i]);
                // SAFETY: rows do not overlap, nor do their channels.
                let (dw, db, dx) = unsafe {
                    let channels = row * of_group..(row + 1) * of_group;
                    (
                        dw.slice(channels.clone()),
                        db.slice(channels),
                        dx.slice(row * size..(row + 1) * size),
                    )
                };
                let (mut c1, mut c2) = (zero, zero);
                for (i, (dy, x)) in dy.chunks(s).zip(x.chunks(s)).enumerate() {
                    (db[i], dw[i]) = dispatch(Sums {
                        dy,
                        x,
                        mean: mu,
                        rstd: r,
                        w: Param::One(one),
                    });
                    c1 += db[i] * weight(i);
                    c2 += dw[i] * weight(i);
                }
                let (mean, rstd) = (Param::One(mu), Param::One(r));
                let (c1, c2) = (Param::One(c1 / count), Param::One(c2 / count));
                write::<T>(dx, &mut dx_scratch, |dx| {
                    for (i, ((dy, x), dx)) in dy
                        .chunks(s)
                        .zip(x.chunks(s))
                        .zip(dx.chunks_mut(s))
                        .enumerate()
                    {
                        let w = Param::One(weight(i));
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
                    }
                });
            }
        });
    }
    let (mut dw_sum, mut db_sum) = (vec![zero; c], vec![zero; c]);
    if planes > 0 {
        reduce::sum(View::contiguous(&dw, &[n, c])?, &[0], &mut dw_sum)?;
        reduce::sum(View::contiguous(&db, &[n, c])?, &[0], &mut db_sum)?;
    }
    out.store(&dw_sum, &db_sum);
    Ok(())
}
