//! Writing elements by index: overwriting, where the last of equal indices wins, and joining by an operation.
//!
//! An index out of range writes nothing; the host is told at the next download or synchronisation
//! ([`Error::Index`]).

use super::Dense;
use crate::device::Fault;
use crate::error::check_len;
use crate::manifest::{self, ReduceOp};
use crate::view::{numel, same_device};
use crate::{Buffer, DType, Element, Error, Result, View};

/// Checks operands of a scatter, and gives (outer, n, m, inner): indices and `src` are (outer, m, inner), y is (outer, n, inner).
fn sizes<T: Element>(
    op: &'static str,
    src: &View<'_, T>,
    indices: &Buffer<i64>,
    [outer, n, inner]: [usize; 3],
    y: &Buffer<T>,
) -> Result<[i64; 4]> {
    check_len(op, "the indices", indices.len(), src.len())?;
    check_len(op, "the output", y.len(), numel(op, &[outer, n, inner])?)?;
    let m = src.len() / (outer * inner).max(1);
    check_len(op, "the source", src.len(), outer * m * inner)?;
    same_device(op, src.buffer(), indices)?;
    same_device(op, src.buffer(), y)?;
    Ok([outer as i64, n as i64, m as i64, inner as i64])
}

/// y (outer, n, inner): `y[o, rows[i], k] = src[o, i, k]` (`torch.index_copy_`), in place; the axis is the middle one of `shape`. Of equal rows any
/// one wins.
///
/// # Errors
/// If lengths or devices do not fit.
///
/// ```
/// # use gradus_cuda::{Device, ops::scatter::write_rows};
/// # fn main() -> Result<(), gradus_cuda::Error> {
/// # let Ok(device) = Device::new(0) else { return Ok(()) };
/// let (src, rows) = (device.upload(&[1.0f32, 2.0])?, device.upload(&[2i64])?);
/// let mut y = device.zeros(6)?; // (1, 3, 2)
/// write_rows(&src.view(&[1, 1, 2])?, &rows, [1, 3, 2], &mut y)?;
/// assert_eq!(y.download()?, [0.0, 0.0, 0.0, 0.0, 1.0, 2.0]);
/// # Ok(())
/// # }
/// ```
pub fn write_rows<T: Element>(
    src: &View<'_, T>,
    rows: &Buffer<i64>,
    [outer, n, inner]: [usize; 3],
    y: &mut Buffer<T>,
) -> Result<()> {
    let (op, m) = ("index_copy", rows.len());
    check_len(op, "the source", src.len(), numel(op, &[outer, m, inner])?)?;
    check_len(op, "the output", y.len(), numel(op, &[outer, n, inner])?)?;
    same_device(op, src.buffer(), rows)?;
    same_device(op, src.buffer(), y)?;
    let (count, src, device) = (src.len(), Dense::new(src)?, rows.device());
    let kernel = manifest::write_rows {
        src: src.ptr(),
        rows: rows.into(),
        y: y.into(),
        fault: device.fault(Fault::Write),
        outer: outer as i64,
        n: n as i64,
        m: m as i64,
        inner: inner as i64,
    };
    // SAFETY: src is (outer, m, inner), y (outer, n, inner) and borrowed exclusively; rows outside are not written.
    unsafe {
        device.launch(
            &kernel,
            super::by_size(T::DTYPE),
            (device.blocks(count, 256), 1, 1),
            0,
        )
    }
}

/// y (outer, n, inner): y[o, indices[o, i, k], k] = src[o, i, k] (`torch.scatter`); the axis is the middle one of `shape`.
///
/// # Errors
/// If lengths or devices do not fit.
///
/// ```
/// # use gradus_cuda::{Device, ops::scatter::scatter};
/// # fn main() -> Result<(), gradus_cuda::Error> {
/// # let Ok(device) = Device::new(0) else { return Ok(()) };
/// let (src, indices) = (device.upload(&[1.0f32, 2.0, 3.0])?, device.upload(&[2i64, 0, 2])?);
/// let mut y = device.zeros(4)?;
/// scatter(&src.view(&[3])?, &indices, [1, 4, 1], &mut y)?;
/// assert_eq!(y.download()?, [2.0, 0.0, 3.0, 0.0]); // the last wins
/// # Ok(())
/// # }
/// ```
pub fn scatter<T: Element>(
    src: &View<'_, T>,
    indices: &Buffer<i64>,
    shape: [usize; 3],
    y: &mut Buffer<T>,
) -> Result<()> {
    let op = "scatter";
    let [outer, n, m, inner] = sizes(op, src, indices, shape, y)?;
    let (src, device) = (Dense::new(src)?, indices.device());
    let mut owner = device.zeros::<i64>(y.len())?;
    let grid = (device.blocks(indices.len(), 256), 1, 1);
    let kernel = manifest::scatter_owner {
        indices: indices.into(),
        owner: (&mut owner).into(),
        fault: device.fault(Fault::Write),
        outer,
        n,
        m,
        inner,
    };
    // SAFETY: indices are (outer, m, inner), the owners (outer, n, inner) and ours.
    unsafe { device.launch(&kernel, DType::I64, grid, 0) }?;
    let kernel = manifest::scatter_write {
        src: src.ptr(),
        indices: indices.into(),
        owner: (&owner).into(),
        y: y.into(),
        outer,
        n,
        m,
        inner,
    };
    // SAFETY: as above, src as the indices and y as the owners, borrowed exclusively.
    unsafe { device.launch(&kernel, super::by_size(T::DTYPE), grid, 0) }
}

/// y (outer, n, inner): y[o, indices[o, i, k], k] joined with src[o, i, k] by a sum, a product, a maximum or a minimum. Kernels: f32, f64, i64.
///
/// # Errors
/// If lengths or devices do not fit, or there is no kernel for the operation or the type.
pub fn scatter_join<T: Element>(
    op: ReduceOp,
    src: &View<'_, T>,
    indices: &Buffer<i64>,
    shape: [usize; 3],
    y: &mut Buffer<T>,
) -> Result<()> {
    let name = "scatter_reduce";
    if let ReduceOp::Mean | ReduceOp::SumOfSquares = op {
        let what = format!("no kernel that joins by {}", op.name());
        return Err(Error::Unsupported { op: name, what });
    }
    let [outer, n, m, inner] = sizes(name, src, indices, shape, y)?;
    let (src, device) = (Dense::new(src)?, indices.device());
    let kernel = manifest::scatter_join {
        src: src.ptr(),
        indices: indices.into(),
        y: y.into(),
        fault: device.fault(Fault::Write),
        outer,
        n,
        m,
        inner,
        op: op as i32,
    };
    // SAFETY: indices and src are (outer, m, inner), y is (outer, n, inner) and borrowed exclusively.
    unsafe {
        device.launch(
            &kernel,
            T::DTYPE,
            (device.blocks(indices.len(), 256), 1, 1),
            0,
        )
    }
}
