//! Order: sorting along an axis, and searching in what is sorted. NaN is larger than everything, equal elements keep their order.

use super::{Dense, int};
use crate::error::check_len;
use crate::manifest;
use crate::view::{numel, same_device};
use crate::{Buffer, DType, Element, Error, Result, View};

/// Elements that a block sorts at once: `TILE` of sort.cu.
const TILE: usize = 1024;

/// The places that the elements of each row of a view (…, columns) come from when the row is sorted: y is row-major, of the view's shape.
///
/// # Errors
/// If lengths or devices differ, or a row has more than 2³¹ elements.
///
/// ```
/// # use gradus_cuda::{Device, ops::sort::argsort};
/// # fn main() -> Result<(), gradus_cuda::Error> {
/// # let Ok(device) = Device::new(0) else { return Ok(()) };
/// let x = device.upload(&[3.0f32, 1.0, 2.0])?;
/// let mut y = device.uninit(3)?;
/// argsort(&x.view(&[3])?, false, &mut y)?;
/// assert_eq!(y.download()?, [1, 2, 0]);
/// # Ok(())
/// # }
/// ```
pub fn argsort<T: Element>(x: &View<'_, T>, descending: bool, y: &mut Buffer<i64>) -> Result<()> {
    let op = "sort";
    check_len(op, "the places", y.len(), x.len())?;
    same_device(op, x.buffer(), y)?;
    let columns = x.shape().last().copied().unwrap_or(1);
    int(op, columns)?;
    if x.is_empty() {
        return Ok(());
    }
    let (n, rows) = (x.len(), x.len() / columns);
    let (x, device) = (Dense::new(x)?, y.device().clone());
    let (mut keys, mut places) = (device.uninit::<i64>(n)?, device.uninit::<i32>(n)?);
    let kernel = manifest::sort_keys {
        x: x.ptr(),
        keys: (&mut keys).into(),
        n: n as i64,
        descending: i32::from(descending),
    };
    // SAFETY: both have `n` elements, and the keys are ours.
    unsafe { device.launch(&kernel, keyed(T::DTYPE), (device.blocks(n, 256), 1, 1), 0) }?;
    let (rows_, columns_) = (rows as i64, columns as i64);
    let kernel = manifest::sort_tiles {
        keys: (&mut keys).into(),
        places: (&mut places).into(),
        rows: rows_,
        columns: columns_,
    };
    let tiles = rows * columns.div_ceil(TILE);
    // SAFETY: both are (rows, columns), and ours.
    unsafe { device.launch(&kernel, DType::I64, (device.blocks(tiles, 1), 1, 1), 0) }?;
    let mut run = TILE;
    while run < columns {
        let (mut merged, mut from) = (device.uninit::<i64>(n)?, device.uninit::<i32>(n)?);
        let kernel = manifest::sort_merge {
            keys: (&keys).into(),
            places: (&places).into(),
            keys_out: (&mut merged).into(),
            places_out: (&mut from).into(),
            rows: rows_,
            columns: columns_,
            run: run as i64,
        };
        // SAFETY: all are (rows, columns), and ours; the runs before this one are sorted.
        unsafe { device.launch(&kernel, DType::I64, (device.blocks(n, 256), 1, 1), 0) }?;
        (keys, places) = (merged, from);
        run *= 2;
    }
    super::copy::cast(&places.view(&[n])?, y)
}

/// Bools are sorted as the bytes they are.
fn keyed(dtype: DType) -> DType {
    if dtype == DType::Bool {
        DType::U8
    } else {
        dtype
    }
}

/// Where each of `values` (…, per) would go into the sorted rows of `sequence` (…, n), or into its one row; before equal elements or (`right`)
/// after them.
///
/// # Errors
/// If lengths or devices do not fit.
pub fn search_sorted<T: Element>(
    sequence: &View<'_, T>,
    values: &View<'_, T>,
    right: bool,
    y: &mut Buffer<i64>,
) -> Result<()> {
    let op = "searchsorted";
    let length = |x: &View<'_, T>| x.shape().last().copied().unwrap_or(1);
    let (n, per) = (length(sequence), length(values));
    check_len(op, "the output", y.len(), values.len())?;
    same_device(op, sequence.buffer(), values.buffer())?;
    same_device(op, sequence.buffer(), y)?;
    let rows = |x: &View<'_, T>| numel(op, &x.shape()[..x.rank().saturating_sub(1)]);
    let one = sequence.rank() <= 1;
    if !one && rows(sequence)? != rows(values)? {
        let message = format!("rows {:?} and {:?}", sequence.shape(), values.shape());
        return Err(Error::shape(op, message));
    }
    let (sequence, of, device) = (
        Dense::new(sequence)?,
        Dense::new(values)?,
        y.device().clone(),
    );
    let kernel = manifest::search_sorted {
        sequence: sequence.ptr(),
        values: of.ptr(),
        y: y.into(),
        count: values.len() as i64,
        n: n as i64,
        per: if one { 0 } else { per as i64 },
        right: i32::from(right),
    };
    // SAFETY: the sequence has a row of `n` for every `per` values, or one; y has an element for each value and is borrowed exclusively.
    unsafe {
        device.launch(
            &kernel,
            keyed(T::DTYPE),
            (device.blocks(values.len(), 256), 1, 1),
            0,
        )
    }
}
