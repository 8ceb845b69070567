//! Layer, RMS and batch normalisation, and their gradients. Statistics are `f32`; formulas are PyTorch's.

use super::{Dense, int};
use crate::error::check_len;
use crate::manifest::{self, Ptr, ReduceOp};
use crate::view::{same, same_device};
use crate::{Buffer, DType, Device, Error, FloatElement, Result, View};

/// What a normalisation is multiplied by and what is added, one value for each element of a row or for each channel.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a, T> {
    /// w, 1 if there is none.
    pub weight: Option<&'a Buffer<T>>,
    /// b, 0 if there is none.
    pub bias: Option<&'a Buffer<T>>,
}

impl<T> Default for Affine<'_, T> {
    fn default() -> Self {
        Self {
            weight: None,
            bias: None,
        }
    }
}

/// Where gradients go; those by weight and bias may be left out.
#[derive(Debug)]
pub struct Gradients<'a, T> {
    /// By the input, of its shape.
    pub dx: &'a mut Buffer<T>,
    /// By the weight.
    pub dweight: Option<&'a mut Buffer<T>>,
    /// By the bias.
    pub dbias: Option<&'a mut Buffer<T>>,
}

fn optional<T: FloatElement>(
    op: &'static str,
    what: &str,
    buffer: Option<&Buffer<T>>,
    n: usize,
) -> Result<Ptr> {
    match buffer {
        Some(buffer) => {
            check_len(op, what, buffer.len(), n)?;
            Ok(buffer.into())
        }
        None => Ok(Ptr::NULL),
    }
}

impl<T: FloatElement> Affine<'_, T> {
    fn pointers(&self, op: &'static str, n: usize) -> Result<(Ptr, Ptr)> {
        Ok((
            optional(op, "the weight", self.weight, n)?,
            optional(op, "the bias", self.bias, n)?,
        ))
    }
}

impl<T: FloatElement> Gradients<'_, T> {
    fn check(&self, op: &'static str, len: usize, n: usize) -> Result<()> {
        check_len(op, "dx", self.dx.len(), len)?;
        optional(op, "dweight", self.dweight.as_deref(), n)?;
        optional(op, "dbias", self.dbias.as_deref(), n)?;
        Ok(())
    }

    /// Stores the sums, f32, where they are wanted.
    fn store(self, dw: &Buffer<f32>, db: &Buffer<f32>) -> Result<()> {
        for (out, sums) in [(self.dweight, dw), (self.dbias, db)] {
            if let Some(out) = out {
                super::copy::cast(&sums.view(&[sums.len()])?, out)?;
            }
        }
        Ok(())
    }
}

fn rows_of<T: FloatElement>(op: &'static str, x: &View<'_, T>, n: usize) -> Result<usize> {
    if n == 0 || !x.len().is_multiple_of(n) {
        let message = format!(
            "{n} normalised elements do not divide the shape {:?}",
            x.shape()
        );
        return Err(Error::shape(op, message));
    }
    Ok(x.len() / n)
}

/// y = (x − mean)·rstd·w + b over the last `n` elements; `mean` and `rstd` = 1/√(var + eps) receive each row's statistics.
///
/// # Errors
/// If `n` is 0 or does not divide `x`, or lengths or devices do not fit.
pub fn layer_norm<T: FloatElement>(
    x: &View<'_, T>,
    n: usize,
    affine: Affine<'_, T>,
    eps: f32,
    y: &mut Buffer<T>,
    mean: &mut Buffer<f32>,
    rstd: &mut Buffer<f32>,
) -> Result<()> {
    rows("layer_norm", x, n, affine, eps, y, Some(mean), rstd)
}

/// y = x/√(mean(x²) + eps)·w over the last `n` elements; `rstd` receives the factor of each row.
///
/// # Errors
/// As [`layer_norm`].
pub fn rms_norm<T: FloatElement>(
    x: &View<'_, T>,
    n: usize,
    weight: Option<&Buffer<T>>,
    eps: f32,
    y: &mut Buffer<T>,
    rstd: &mut Buffer<f32>,
) -> Result<()> {
    rows(
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

fn rows<T: FloatElement>(
    op: &'static str,
    x: &View<'_, T>,
    n: usize,
    affine: Affine<'_, T>,
    eps: f32,
    y: &mut Buffer<T>,
    mean: Option<&mut Buffer<f32>>,
    rstd: &mut Buffer<f32>,
) -> Result<()> {
    let count = rows_of(op, x, n)?;
    let (w, b) = affine.pointers(op, n)?;
    check_len(op, "the output", y.len(), x.len())?;
    check_len(op, "rstd", rstd.len(), count)?;
    if let Some(mean) = &mean {
        check_len(op, "the mean", mean.len(), count)?;
    }
    same_device(op, x.buffer(), y)?;
    let x = Dense::new(x)?;
    let device = y.device().clone();
    let kernel = manifest::norm_rows {
        x: x.ptr(),
        w,
        b,
        y: y.into(),
        mean: mean.map_or(Ptr::NULL, Into::into),
        rstd: rstd.into(),
        rows: count as i64,
        n: int(op, n)?,
        eps,
    };
    // SAFETY: x and y are (count, n), the statistics have `count` elements, w and b have n; outputs are borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(count, 1), 1, 1), 0) }
}

/// The gradients of [`layer_norm`], given its input and statistics; of [`rms_norm`] without a mean.
///
/// # Errors
/// As [`layer_norm`].
pub fn layer_norm_backward<T: FloatElement>(
    dy: &View<'_, T>,
    x: &View<'_, T>,
    n: usize,
    weight: Option<&Buffer<T>>,
    mean: Option<&Buffer<f32>>,
    rstd: &Buffer<f32>,
    out: Gradients<'_, T>,
) -> Result<()> {
    let op = "layer_norm_backward";
    same(op, dy, x)?;
    same_device(op, x.buffer(), out.dx)?;
    let count = rows_of(op, x, n)?;
    let w = optional(op, "the weight", weight, n)?;
    let mean = optional(op, "the mean", mean, count)?;
    check_len(op, "rstd", rstd.len(), count)?;
    out.check(op, x.len(), n)?;
    let device = x.buffer().device().clone();
    let (dy, x) = (Dense::new(dy)?, Dense::new(x)?);
    let (rows, columns) = (count as i64, int(op, n)?);
    let dx = Ptr::from(&*out.dx);
    let kernel = manifest::norm_rows_backward {
        dy: dy.ptr(),
        x: x.ptr(),
        w,
        mean,
        rstd: rstd.into(),
        dx,
        rows,
        n: columns,
    };
    // SAFETY: dy, x and dx are (count, n), the statistics have `count` elements, w has n; dx is borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(count, 1), 1, 1), 0) }?;
    if out.dweight.is_none() && out.dbias.is_none() {
        return Ok(());
    }
    // Pieces of at least 32 rows, as many as fill the device; a function of the sizes and the device alone.
    let blocks = n.div_ceil(128);
    let pieces = (count / 32)
        .clamp(
            1,
            (device.multiprocessors() as usize * 8)
                .div_ceil(blocks)
                .max(1),
        )
        .min(4096);
    let (mut dw, mut db) = (
        device.uninit::<f32>(pieces * n)?,
        device.uninit::<f32>(pieces * n)?,
    );
    let kernel = manifest::norm_rows_parameters {
        dy: dy.ptr(),
        x: x.ptr(),
        mean,
        rstd: rstd.into(),
        dw: (&mut dw).into(),
        db: (&mut db).into(),
        rows,
        n: columns,
    };
    // SAFETY: as above; dw and db are (pieces, n).
    unsafe { device.launch(&kernel, T::DTYPE, (blocks as u32, pieces as u32, 1), 0) }?;
    let (dw, db) = (
        sum_pieces(&device, &dw, pieces, n)?,
        sum_pieces(&device, &db, pieces, n)?,
    );
    out.store(&dw, &db)
}

fn sum_pieces(
    device: &Device,
    parts: &Buffer<f32>,
    pieces: usize,
    n: usize,
) -> Result<Buffer<f32>> {
    let mut sums = device.uninit(n)?;
    super::reduce::reduce(ReduceOp::Sum, &parts.view(&[pieces, n])?, &[0], &mut sums)?;
    Ok(sums)
}

/// (N, C, S) of (N, C, …).
fn channels<T: FloatElement>(op: &'static str, x: &View<'_, T>) -> Result<(usize, usize, usize)> {
    match x.shape() {
        [n, c, rest @ ..] if i32::try_from(*c).is_ok() => Ok((*n, *c, rest.iter().product())),
        shape => Err(Error::shape(
            op,
            format!("the input is (N, C, …), not {shape:?}"),
        )),
    }
}

/// The mean and the (population's) variance of each channel of `x` (N, C, …).
///
/// # Errors
/// If the rank is below 2, or lengths or devices do not fit.
pub fn batch_norm_stats<T: FloatElement>(
    x: &View<'_, T>,
    mean: &mut Buffer<f32>,
    var: &mut Buffer<f32>,
) -> Result<()> {
    let op = "batch_norm_stats";
    let (n, c, s) = channels(op, x)?;
    check_len(op, "the mean", mean.len(), c)?;
    check_len(op, "the variance", var.len(), c)?;
    same_device(op, x.buffer(), mean)?;
    let x = Dense::new(x)?;
    let device = mean.device().clone();
    if s == 1 && n > 1 {
        return channel_statistics(&device, &x, [n, c], mean, var);
    }
    let kernel = manifest::batch_norm_statistics {
        x: x.ptr(),
        mean: mean.into(),
        var: var.into(),
        batch: n as i64,
        channels: c as i32,
        s: s as i64,
    };
    // SAFETY: x is (n, c, s), the outputs have c elements and are borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, (c as u32, 1, 1), 0) }
}

/// Into how many pieces the rows of (rows, C) are cut: at least 64 rows each, as many as fill the device.
fn pieces_of_rows(device: &Device, [rows, c]: [usize; 2]) -> usize {
    let wanted = (device.multiprocessors() as usize * 8).div_ceil(c.div_ceil(32).max(1));
    (rows / 64).clamp(1, wanted.clamp(1, 1024))
}

/// [`batch_norm_stats`] of `x` (rows, C), whose channels lie side by side.
fn channel_statistics<T: FloatElement>(
    device: &Device,
    x: &Dense<'_, T>,
    [rows, c]: [usize; 2],
    mean: &mut Buffer<f32>,
    var: &mut Buffer<f32>,
) -> Result<()> {
    let pieces = pieces_of_rows(device, [rows, c]);
    let mut parts = device.uninit::<f32>(2 * pieces * c)?;
    let (channels, rows) = (c as i32, rows as i64);
    let kernel = manifest::channel_statistics {
        x: x.ptr(),
        parts: (&mut parts).into(),
        rows,
        channels,
    };
    let grid = (c.div_ceil(32) as u32, pieces as u32, 1);
    // SAFETY: x is (rows, c), parts (pieces, 2, c).
    unsafe { device.launch(&kernel, T::DTYPE, grid, 0) }?;
    let join = manifest::channel_statistics_join {
        parts: (&parts).into(),
        mean: mean.into(),
        var: var.into(),
        rows,
        channels,
        pieces: pieces as i32,
    };
    // SAFETY: as above; the outputs have c elements and are borrowed exclusively.
    unsafe { device.launch(&join, DType::F32, (c.div_ceil(128) as u32, 1, 1), 0) }
}

/// y = (x − mean)·rstd·w + b, channel by channel, of `x` (N, C, …); `rstd` is 1/√(var + eps).
///
/// # Errors
/// As [`batch_norm_stats`].
pub fn batch_norm<T: FloatElement>(
    x: &View<'_, T>,
    mean: &Buffer<f32>,
    rstd: &Buffer<f32>,
    affine: Affine<'_, T>,
    y: &mut Buffer<T>,
) -> Result<()> {
    let op = "batch_norm";
    let (n, c, s) = channels(op, x)?;
    let (w, b) = affine.pointers(op, c)?;
    check_len(op, "the mean", mean.len(), c)?;
    check_len(op, "rstd", rstd.len(), c)?;
    check_len(op, "the output", y.len(), x.len())?;
    same_device(op, x.buffer(), y)?;
    let (x, device) = (Dense::new(x)?, y.device().clone());
    let blocks = device.blocks(y.len(), 256);
    let (mean, rstd) = (mean.into(), rstd.into());
    let (batch, channels, s) = (n as i64, c as i32, s as i64);
    let kernel = manifest::batch_norm {
        x: x.ptr(),
        mean,
        rstd,
        w,
        b,
        y: y.into(),
        batch,
        channels,
        s,
    };
    // SAFETY: x and y are (n, c, s), the others have c elements; y is borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, (blocks, 1, 1), 0) }
}

/// The gradients of [`batch_norm`]; with `training` the statistics are those of `x` itself and depend on it.
///
/// # Errors
/// As [`batch_norm`].
pub fn batch_norm_backward<T: FloatElement>(
    dy: &View<'_, T>,
    x: &View<'_, T>,
    mean: &Buffer<f32>,
    rstd: &Buffer<f32>,
    weight: Option<&Buffer<T>>,
    training: bool,
    out: Gradients<'_, T>,
) -> Result<()> {
    let op = "batch_norm_backward";
    same(op, dy, x)?;
    let (n, c, s) = channels(op, x)?;
    let w = optional(op, "the weight", weight, c)?;
    check_len(op, "the mean", mean.len(), c)?;
    check_len(op, "rstd", rstd.len(), c)?;
    out.check(op, x.len(), c)?;
    same_device(op, x.buffer(), out.dx)?;
    let device = x.buffer().device().clone();
    let blocks = device.blocks(x.len(), 256);
    let (dy, x) = (Dense::new(dy)?, Dense::new(x)?);
    let (mean, rstd) = (mean.into(), rstd.into());
    let (dw, db) = channel_sums(&device, [&dy, &x], mean, rstd, [n, c, s])?;
    let (batch, channels, s) = (n as i64, c as i32, s as i64);
    let kernel = manifest::batch_norm_backward {
        dy: dy.ptr(),
        x: x.ptr(),
        mean,
        rstd,
        w,
        dw: (&dw).into(),
        db: (&db).into(),
        dx: Ptr::from(&*out.dx),
        batch,
        channels,
        s,
        training: i32::from(training),
    };
    // SAFETY: as above; dx is (n, c, s) and borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, (blocks, 1, 1), 0) }?;
    out.store(&dw, &db)
}

/// Σ dy·x̂ and Σ dy of each channel of (n, c, s).
fn channel_sums<T: FloatElement>(
    device: &Device,
    [dy, x]: [&Dense<'_, T>; 2],
    mean: Ptr,
    rstd: Ptr,
    [n, c, s]: [usize; 3],
) -> Result<(Buffer<f32>, Buffer<f32>)> {
    let last = s == 1 && n > 1; // channels side by side
    let pieces = if last {
        pieces_of_rows(device, [n, c])
    } else {
        1
    };
    let (mut dw, mut db) = (
        device.uninit::<f32>(pieces * c)?,
        device.uninit::<f32>(pieces * c)?,
    );
    let (dw_out, db_out) = ((&mut dw).into(), (&mut db).into());
    if !last {
        let kernel = manifest::batch_norm_sums {
            dy: dy.ptr(),
            x: x.ptr(),
            mean,
            rstd,
            dw: dw_out,
            db: db_out,
            batch: n as i64,
            channels: c as i32,
            s: s as i64,
        };
        // SAFETY: dy and x are (n, c, s), the others have c elements.
        unsafe { device.launch(&kernel, T::DTYPE, (c as u32, 1, 1), 0) }?;
        return Ok((dw, db));
    }
    let kernel = manifest::channel_sums {
        dy: dy.ptr(),
        x: x.ptr(),
        mean,
        rstd,
        dw: dw_out,
        db: db_out,
        rows: n as i64,
        channels: c as i32,
    };
    let grid = (c.div_ceil(32) as u32, pieces as u32, 1);
    // SAFETY: dy and x are (n, c), the statistics have c elements, dw and db are (pieces, c).
    unsafe { device.launch(&kernel, T::DTYPE, grid, 0) }?;
    Ok((
        sum_pieces(device, &dw, pieces, c)?,
        sum_pieces(device, &db, pieces, c)?,
    ))
}
