//! Rows of a table by index and elements along an axis by index, and their gradients.
//!
//! An index out of range gives NaN (all bits ones), and adds nothing: the host would have to wait to refuse it, so it is told at the next
//! download or synchronisation ([`Error::Index`](crate::Error::Index)). Gradients are added in
//! `f32` by atomics: where indices repeat, the last bit may differ between runs.

use super::{Dense, around};
use crate::device::Fault;
use crate::error::check_len;
use crate::manifest;
use crate::view::{numel, same_device};
use crate::{Buffer, Element, FloatElement, Result, View};

/// y (n, width): row `i` is row `indices[i]` of the table (rows, width).
///
/// # Errors
/// If lengths or devices do not fit.
pub fn gather_rows<T: Element>(
    table: &Buffer<T>,
    rows: usize,
    width: usize,
    indices: &Buffer<i64>,
    y: &mut Buffer<T>,
) -> Result<()> {
    let (op, n) = ("embedding", indices.len());
    check_len(op, "the table", table.len(), numel(op, &[rows, width])?)?;
    check_len(op, "the rows", y.len(), numel(op, &[n, width])?)?;
    same_device(op, table, indices)?;
    same_device(op, table, y)?;
    let device = table.device();
    let (n, rows, width) = (n as i64, rows as i64, width as i64);
    let kernel = manifest::gather_rows {
        table: table.into(),
        indices: indices.into(),
        y: y.into(),
        fault: device.fault(Fault::Row),
        n,
        rows,
        width,
    };
    // SAFETY: the lengths are checked above, indices are by the kernel; y is borrowed exclusively.
    unsafe {
        device.launch(
            &kernel,
            super::by_size(T::DTYPE),
            (device.blocks(indices.len(), 1), 1, 1),
            0,
        )
    }
}

/// table (rows, width, f32): row `indices[i]` += row `i` of x (n, width).
///
/// # Errors
/// If lengths or devices do not fit.
pub fn scatter_add_rows<T: FloatElement>(
    x: &Buffer<T>,
    indices: &Buffer<i64>,
    rows: usize,
    width: usize,
    table: &mut Buffer<f32>,
) -> Result<()> {
    let (op, n) = ("embedding_backward", indices.len());
    check_len(op, "the table", table.len(), numel(op, &[rows, width])?)?;
    check_len(op, "the rows", x.len(), numel(op, &[n, width])?)?;
    same_device(op, x, indices)?;
    same_device(op, x, table)?;
    let device = x.device();
    let (n, rows, width) = (n as i64, rows as i64, width as i64);
    let kernel = manifest::scatter_add_rows {
        x: x.into(),
        indices: indices.into(),
        table: table.into(),
        fault: device.fault(Fault::Row),
        n,
        rows,
        width,
    };
    // SAFETY: the lengths are checked above, indices are by the kernel; the table is borrowed exclusively.
    unsafe {
        device.launch(
            &kernel,
            T::DTYPE,
            (device.blocks(indices.len(), 1), 1, 1),
            0,
        )
    }
}

/// y, of the shape of `x` but `m` long along `axis`: y[o, i, k] = x[o, indices[o, i, k], k] (`torch.gather`).
///
/// # Errors
/// If the axis is out of range, or lengths or devices do not fit.
pub fn gather<T: Element>(
    x: &View<'_, T>,
    axis: usize,
    indices: &Buffer<i64>,
    m: usize,
    y: &mut Buffer<T>,
) -> Result<()> {
    let op = "gather";
    let (outer, n, inner) = around(op, x.shape(), axis)?;
    check_len(
        op,
        "the indices",
        indices.len(),
        numel(op, &[outer, m, inner])?,
    )?;
    check_len(op, "the output", y.len(), indices.len())?;
    same_device(op, x.buffer(), indices)?;
    same_device(op, x.buffer(), y)?;
    let (x, device) = (Dense::new(x)?, indices.device());
    let (outer, n, m, inner) = (outer as i64, n as i64, m as i64, inner as i64);
    let kernel = manifest::gather {
        x: x.ptr(),
        indices: indices.into(),
        y: y.into(),
        fault: device.fault(Fault::Element),
        outer,
        n,
        m,
        inner,
    };
    // SAFETY: x is (outer, n, inner), indices and y (outer, m, inner); y is borrowed exclusively.
    unsafe {
        device.launch(
            &kernel,
            super::by_size(T::DTYPE),
            (device.blocks(indices.len(), 256), 1, 1),
            0,
        )
    }
}

/// dx (outer, n, inner, f32): dx[o, indices[o, i, k], k] += dy[o, i, k] (`torch.scatter_add`); the axis is the middle one of `shape`.
///
/// # Errors
/// If lengths or devices do not fit.
pub fn scatter_add<T: FloatElement>(
    dy: &View<'_, T>,
    indices: &Buffer<i64>,
    [outer, n, inner]: [usize; 3],
    dx: &mut Buffer<f32>,
) -> Result<()> {
    let op = "scatter_add";
    check_len(op, "the indices", indices.len(), dy.len())?;
    check_len(op, "the gradient", dx.len(), numel(op, &[outer, n, inner])?)?;
    let m = dy.len() / (outer * inner).max(1);
    check_len(op, "dy", dy.len(), outer * m * inner)?;
    same_device(op, dy.buffer(), indices)?;
    same_device(op, dy.buffer(), dx)?;
    let (dy, device) = (Dense::new(dy)?, indices.device());
    let (outer, n, m, inner) = (outer as i64, n as i64, m as i64, inner as i64);
    let kernel = manifest::scatter_add {
        dy: dy.ptr(),
        indices: indices.into(),
        dx: dx.into(),
        fault: device.fault(Fault::Element),
        outer,
        n,
        m,
        inner,
    };
    // SAFETY: dx is (outer, n, inner), indices and dy (outer, m, inner); dx is borrowed exclusively.
    unsafe {
        device.launch(
            &kernel,
            T::DTYPE,
            (device.blocks(indices.len(), 256), 1, 1),
            0,
        )
    }
}
