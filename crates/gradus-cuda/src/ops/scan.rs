//! Running results along an axis, and where elements are true.

use super::{Dense, around};
use crate::error::check_len;
use crate::manifest::{self, Layout, ScanOp};
use crate::view::{numel, same_device};
use crate::{Buffer, DType, Element, Error, Result, View};

/// A view with an axis moved to the end, and the way back for a result of that layout.
fn last<'a, T: Element>(x: &View<'a, T>, axis: usize) -> (View<'a, T>, Vec<usize>) {
    let order: Vec<usize> = (0..x.rank()).filter(|&d| d != axis).chain([axis]).collect();
    let mut back = vec![0; order.len()];
    for (to, &from) in order.iter().enumerate() {
        back[from] = to;
    }
    (x.permuted(&order), back)
}

/// y = what was computed with the axis last, in the order of the view's own axes.
fn put_back<T: Element>(
    result: &Buffer<T>,
    moved: &View<'_, impl Element>,
    back: &[usize],
    y: &mut Buffer<T>,
) -> Result<()> {
    super::copy::copy(&result.view(moved.shape())?.permuted(back), y)
}

/// y = op over the elements up to each along `axis`: floats are computed in f32 (f64 in f64), i64 wraps.
///
/// # Errors
/// If the axis is out of range, lengths or devices differ, or there is no kernel for the type: there is for floats and i64.
///
/// ```
/// # use gradus_cuda::{Device, manifest::ScanOp, ops::scan::scan};
/// # fn main() -> Result<(), gradus_cuda::Error> {
/// # let Ok(device) = Device::new(0) else { return Ok(()) };
/// let x = device.upload(&[1i64, 2, 3, 4, 5, 6])?; // (2, 3)
/// let mut y = device.uninit(6)?;
/// scan(ScanOp::Sum, &x.view(&[2, 3])?, 1, &mut y)?;
/// assert_eq!(y.download()?, [1, 3, 6, 4, 9, 15]);
/// # Ok(())
/// # }
/// ```
pub fn scan<T: Element>(op: ScanOp, x: &View<'_, T>, axis: usize, y: &mut Buffer<T>) -> Result<()> {
    let name = op.name();
    let (outer, n, inner) = around(name, x.shape(), axis)?;
    check_len(name, "the output", y.len(), x.len())?;
    same_device(name, x.buffer(), y)?;
    if T::DTYPE == DType::I64 && op == ScanOp::LogSumExp {
        return Err(Error::dtype(name, T::DTYPE));
    }
    if x.is_empty() {
        return Ok(());
    }
    let device = y.device().clone();
    let (moved, back) = last(x, axis);
    let rows = outer * inner;
    let dense = Dense::new(&moved)?;
    let mut apart = (inner > 1)
        .then(|| device.uninit::<T>(x.len()))
        .transpose()?;
    let kernel = manifest::scan_rows {
        x: dense.ptr(),
        y: apart.as_mut().map_or_else(|| (&mut *y).into(), Into::into),
        rows: rows as i64,
        columns: n as i64,
        op: op as i32,
    };
    // SAFETY: x and the output are (rows, n); the output is borrowed exclusively, or ours.
    unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(rows, 1), 1, 1), 0) }?;
    match &apart {
        Some(result) => put_back(result, &moved, &back, y),
        None => Ok(()),
    }
}

/// The largest (or smallest) up to each element along `axis`, and the place of its last occurrence; NaN from the first NaN on.
///
/// # Errors
/// As [`scan`].
pub fn scan_extremes<T: Element>(
    x: &View<'_, T>,
    axis: usize,
    smallest: bool,
    y: &mut Buffer<T>,
    places: &mut Buffer<i64>,
) -> Result<()> {
    let name = if smallest { "cummin" } else { "cummax" };
    let (outer, n, inner) = around(name, x.shape(), axis)?;
    check_len(name, "the output", y.len(), x.len())?;
    check_len(name, "the places", places.len(), x.len())?;
    same_device(name, x.buffer(), y)?;
    same_device(name, x.buffer(), places)?;
    if x.is_empty() {
        return Ok(());
    }
    let device = y.device().clone();
    let (moved, back) = last(x, axis);
    let rows = outer * inner;
    let dense = Dense::new(&moved)?;
    let (mut values, mut at) = (device.uninit::<T>(x.len())?, device.uninit::<i64>(x.len())?);
    let kernel = manifest::scan_extremes {
        x: dense.ptr(),
        y: (&mut values).into(),
        places: (&mut at).into(),
        rows: rows as i64,
        columns: n as i64,
        smallest: i32::from(smallest),
    };
    // SAFETY: x and both outputs are (rows, n), and the outputs are ours.
    unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(rows, 1), 1, 1), 0) }?;
    put_back(&values, &moved, &back, y)?;
    put_back(&at, &moved, &back, places)
}

/// y (count, rank): the coordinates in `shape` of the elements of a row-major mask that hold, given how many hold up to each
/// ([`scan`] of the mask as i64), the last of which is the count.
///
/// # Errors
/// If lengths or devices do not fit, or there are more than eight dimensions.
pub fn nonzero(
    mask: &View<'_, bool>,
    sums: &Buffer<i64>,
    shape: &[usize],
    y: &mut Buffer<i64>,
) -> Result<()> {
    let op = "nonzero";
    let n = mask.len();
    check_len(op, "the shape", numel(op, shape)?, n)?;
    check_len(op, "the sums", sums.len(), n)?;
    same_device(op, mask.buffer(), sums)?;
    same_device(op, sums, y)?;
    if shape.len() > 8 || shape.iter().any(|&d| u32::try_from(d).is_err()) {
        let message =
            format!("shape {shape:?}: the kernel walks at most eight dimensions of at most 2^32");
        return Err(Error::shape(op, message));
    }
    let mut layout = Layout {
        rank: shape.len() as i32,
        ..Layout::default()
    };
    for (size, &d) in layout.sizes.iter_mut().zip(shape) {
        *size = d as u32;
    }
    let (mask, device) = (Dense::new(mask)?, sums.device());
    let kernel = manifest::nonzero_write {
        mask: mask.ptr(),
        sums: sums.into(),
        y: y.into(),
        n: n as i64,
        layout,
    };
    // SAFETY: mask and sums have `n` elements; the sums say how many rows are written, and y, borrowed exclusively, has them by contract.
    unsafe { device.launch(&kernel, DType::I64, (device.blocks(n, 256), 1, 1), 0) }
}
