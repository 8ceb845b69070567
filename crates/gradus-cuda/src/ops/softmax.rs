//! Softmax and log-softmax along one axis, and their gradients.
//!
//! The last axis is fast; another one is brought to the back and its result returned to its place.

use super::{Dense, around, int};
use crate::error::check_len;
use crate::manifest;
use crate::view::{row_major, same, same_device};
use crate::{Buffer, FloatElement, Result, View};

/// y = e^x / Σ e^x along `axis`, or x − ln Σ e^x if `log`.
///
/// # Errors
/// If the axis is out of range, or lengths or devices differ.
///
/// ```
/// # use gradus_cuda::{Device, ops::softmax::softmax};
/// # fn main() -> Result<(), gradus_cuda::Error> {
/// # let Ok(device) = Device::new(0) else { return Ok(()) };
/// let x = device.zeros::<f32>(4)?;
/// let mut y = device.uninit(4)?;
/// softmax(&x.view(&[2, 2])?, 1, false, &mut y)?;
/// assert_eq!(y.download()?, [0.5; 4]);
/// # Ok(())
/// # }
/// ```
pub fn softmax<T: FloatElement>(
    x: &View<'_, T>,
    axis: usize,
    log: bool,
    y: &mut Buffer<T>,
) -> Result<()> {
    let op = "softmax";
    same_device(op, x.buffer(), y)?;
    along_rows(op, [x], axis, y, &|[x], y, rows, n| {
        let device = y.device().clone();
        let kernel = manifest::softmax {
            x,
            y: y.into(),
            rows: rows as i64,
            columns: int(op, n)?,
            log: i32::from(log),
        };
        // SAFETY: both are (rows, n); y is borrowed exclusively.
        unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(rows, 1), 1, 1), 0) }
    })
}

/// dx = y·(dy − Σ dy·y), or dy − e^y·Σ dy if `log`, given the output `y`.
///
/// # Errors
/// As [`softmax`], and if the shapes differ.
pub fn softmax_backward<T: FloatElement>(
    dy: &View<'_, T>,
    y: &View<'_, T>,
    axis: usize,
    log: bool,
    dx: &mut Buffer<T>,
) -> Result<()> {
    let op = "softmax_backward";
    same(op, dy, y)?;
    same_device(op, y.buffer(), dx)?;
    along_rows(op, [dy, y], axis, dx, &|[dy, y], dx, rows, n| {
        let device = dx.device().clone();
        let log = i32::from(log);
        let kernel = manifest::softmax_backward {
            dy,
            y,
            dx: dx.into(),
            rows: rows as i64,
            columns: int(op, n)?,
            log,
        };
        // SAFETY: all three are (rows, n); dx is borrowed exclusively.
        unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(rows, 1), 1, 1), 0) }
    })
}

/// Calls `f` with dense operands whose last axis is `axis`, and puts its result's axes in order.
fn along_rows<T: FloatElement, const K: usize>(
    op: &'static str,
    operands: [&View<'_, T>; K],
    axis: usize,
    y: &mut Buffer<T>,
    f: &dyn Fn([manifest::Ptr; K], &mut Buffer<T>, usize, usize) -> Result<()>,
) -> Result<()> {
    let shape = operands[0].shape().to_vec();
    let (outer, n, inner) = around(op, &shape, axis)?;
    let rows = outer * inner;
    check_len(op, "the output", y.len(), rows * n)?;
    if rows * n == 0 {
        return Ok(());
    }
    let order: Vec<usize> = (0..shape.len())
        .filter(|&d| d != axis)
        .chain([axis])
        .collect();
    let moved = operands.map(|x| x.permuted(&order));
    let dense = moved.iter().map(Dense::new).collect::<Result<Vec<_>>>()?;
    let pointers = std::array::from_fn(|k| dense[k].ptr());
    if inner == 1 {
        return f(pointers, y, rows, n);
    }
    let device = y.device().clone();
    let mut out = device.uninit(y.len())?;
    f(pointers, &mut out, rows, n)?;
    // `out` has the axis last: walk it in the order of `y`.
    let strides = row_major(&order.iter().map(|&d| shape[d]).collect::<Vec<_>>());
    let mut back = vec![0; shape.len()];
    for (place, &d) in order.iter().enumerate() {
        back[d] = strides[place];
    }
    super::copy::copy(&View::new(&out, 0, &shape, &back)?, y)
}
