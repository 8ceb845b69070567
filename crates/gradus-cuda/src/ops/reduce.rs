//! Reductions over any set of axes, and the places of extremes along one.

use super::{Dense, around};
use crate::error::check_len;
use crate::manifest::{self, Ptr, ReduceOp, UnaryOp};
use crate::view::same_device;
use crate::{Buffer, DType, Device, Element, Error, Result, View};

/// Rows of so many elements and more are each cut into pieces, if there are too few of them for the device.
const LONG: usize = 1 << 16;

/// y = op over `axes`; y has the elements of the other axes, in their order. Sums of floats are in f32 (of f64 in f64), those of whole numbers
/// wrap; means are sums divided once.
///
/// # Errors
/// If an axis is out of range or named twice, lengths or devices differ, there are no elements to choose an extreme from, or there is no
/// kernel for the type: there is for floats and i64.
///
/// ```
/// # use gradus_cuda::{Device, manifest::ReduceOp, ops::reduce::reduce};
/// # fn main() -> Result<(), gradus_cuda::Error> {
/// # let Ok(device) = Device::new(0) else { return Ok(()) };
/// let x = device.upload(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0])?; // (2, 3)
/// let mut y = device.uninit(3)?;
/// reduce(ReduceOp::Sum, &x.view(&[2, 3])?, &[0], &mut y)?;
/// assert_eq!(y.download()?, [5.0, 7.0, 9.0]);
/// # Ok(())
/// # }
/// ```
pub fn reduce<T: Element>(
    op: ReduceOp,
    x: &View<'_, T>,
    axes: &[usize],
    y: &mut Buffer<T>,
) -> Result<()> {
    let name = op.name();
    let mut reduced = vec![false; x.rank()];
    for &axis in axes {
        match reduced.get_mut(axis) {
            Some(r) if !*r => *r = true,
            _ => {
                return Err(Error::shape(
                    name,
                    format!("axes {axes:?} of shape {:?}", x.shape()),
                ));
            }
        }
    }
    let count = |wanted: bool| -> usize {
        (0..x.rank())
            .filter(|&d| reduced[d] == wanted)
            .map(|d| x.shape()[d])
            .product()
    };
    let (kept, n) = (count(false), count(true));
    check_len(name, "the output", y.len(), kept)?;
    same_device(name, x.buffer(), y)?;
    if n == 0 && kept > 0 && matches!(op, ReduceOp::Max | ReduceOp::Min) {
        return Err(Error::shape(
            name,
            format!("no elements to choose from in shape {:?}", x.shape()),
        ));
    }
    let device = y.device().clone();
    // Where the reduced axes stand together, their place says which kernel; else they are brought to the end.
    let first = reduced.iter().position(|&r| r).unwrap_or(x.rank());
    let last = reduced.iter().rposition(|&r| r).map_or(first, |d| d + 1);
    let together = x.is_contiguous() && (first..last).all(|d| reduced[d] || x.shape()[d] == 1);
    let inner: usize = if together {
        x.shape()[last..].iter().product()
    } else {
        1
    };
    if together && inner > 1 {
        let outer = kept / inner.max(1);
        let kernel = manifest::reduce_middle {
            x: x.ptr(),
            y: y.into(),
            outer: outer as i64,
            middle: n as i64,
            inner: inner as i64,
            op: op as i32,
        };
        // SAFETY: x is (outer, n, inner), y (outer, inner) and borrowed exclusively.
        return unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(kept, 256), 1, 1), 0) };
    }
    let order: Vec<usize> = (0..x.rank())
        .filter(|&d| !reduced[d])
        .chain((0..x.rank()).filter(|&d| reduced[d]))
        .collect();
    let moved = x.permuted(&order);
    let x = Dense::new(&moved)?;
    if kept == 1 && n >= LONG {
        return everything(&device, op, x.ptr(), n, y);
    }
    let kernel = manifest::reduce_rows {
        x: x.ptr(),
        y: y.into(),
        rows: kept as i64,
        columns: n as i64,
        op: op as i32,
    };
    // SAFETY: x is (kept, n), y has `kept` elements and is borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(kept, 1), 1, 1), 0) }
}

/// One long row: pieces by all multiprocessors, then the pieces' results by one block.
fn everything<T: Element>(
    device: &Device,
    op: ReduceOp,
    x: Ptr,
    n: usize,
    y: &mut Buffer<T>,
) -> Result<()> {
    match T::DTYPE {
        DType::F64 => in_parts::<T, f64>(device, op, x, n, y),
        DType::I64 => in_parts::<T, i64>(device, op, x, n, y),
        _ => in_parts::<T, f32>(device, op, x, n, y),
    }
}

/// The same, with pieces of the type in which sums are.
fn in_parts<T: Element, C: Element>(
    device: &Device,
    op: ReduceOp,
    x: Ptr,
    n: usize,
    y: &mut Buffer<T>,
) -> Result<()> {
    let blocks = device.blocks(n, 256).min(1024);
    let mut parts = device.uninit::<C>(blocks as usize)?;
    let kernel = manifest::reduce_parts {
        x,
        parts: (&mut parts).into(),
        n: n as i64,
        op: op as i32,
    };
    // SAFETY: x has `n` elements, `parts` one for each block, of the type the kernel computes in.
    unsafe { device.launch(&kernel, T::DTYPE, (blocks, 1, 1), 0) }?;
    let of_parts = match op {
        ReduceOp::Mean | ReduceOp::SumOfSquares => ReduceOp::Sum,
        other => other,
    };
    let mut result = device.uninit::<C>(1)?;
    let kernel = manifest::reduce_rows {
        x: (&parts).into(),
        y: (&mut result).into(),
        rows: 1,
        columns: i64::from(blocks),
        op: of_parts as i32,
    };
    // SAFETY: one row of `blocks` parts.
    unsafe { device.launch(&kernel, C::DTYPE, (1, 1, 1), 0) }?;
    if op == ReduceOp::Mean {
        let mut mean = device.uninit::<C>(1)?;
        let kernel = manifest::unary {
            x: (&result).into(),
            y: (&mut mean).into(),
            n: 1,
            op: UnaryOp::Affine as i32,
            p: 1.0 / n as f64,
            q: 0.0,
        };
        // SAFETY: one element of each.
        unsafe { device.launch(&kernel, C::DTYPE, (1, 1, 1), 0) }?;
        result = mean;
    }
    super::copy::cast(&result.view(&[1])?, y)
}

/// y = the index of the first largest element along `axis` (NaN counts as the largest).
///
/// # Errors
/// If the axis is out of range or empty, or lengths or devices differ.
pub fn argmax<T: Element>(x: &View<'_, T>, axis: usize, y: &mut Buffer<i64>) -> Result<()> {
    arg("argmax", false, x, axis, y)
}

/// y = the index of the first smallest element along `axis` (NaN counts as the smallest).
///
/// # Errors
/// As [`argmax`].
pub fn argmin<T: Element>(x: &View<'_, T>, axis: usize, y: &mut Buffer<i64>) -> Result<()> {
    arg("argmin", true, x, axis, y)
}

fn arg<T: Element>(
    op: &'static str,
    smallest: bool,
    x: &View<'_, T>,
    axis: usize,
    y: &mut Buffer<i64>,
) -> Result<()> {
    let (outer, n, inner) = around(op, x.shape(), axis)?;
    let rows = outer * inner;
    check_len(op, "the output", y.len(), rows)?;
    same_device(op, x.buffer(), y)?;
    if n == 0 && rows > 0 {
        return Err(Error::shape(
            op,
            format!("axis {axis} of shape {:?} is empty", x.shape()),
        ));
    }
    let order: Vec<usize> = (0..x.rank()).filter(|&d| d != axis).chain([axis]).collect();
    let moved = x.permuted(&order);
    let x = Dense::new(&moved)?;
    let device = y.device().clone();
    let kernel = manifest::arg_rows {
        x: x.ptr(),
        y: y.into(),
        rows: rows as i64,
        columns: n as i64,
        smallest: i32::from(smallest),
    };
    // SAFETY: x is (rows, n), y has `rows` elements and is borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(rows, 1), 1, 1), 0) }
}
