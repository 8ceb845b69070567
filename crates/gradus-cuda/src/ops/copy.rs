//! Copies of any layout, fills, and casts between types.

use crate::error::check_len;
use crate::manifest;
use crate::view::{layout, same_device};
use crate::{Buffer, DType, Element, Result, View};

/// y = x, in row-major order.
///
/// # Errors
/// If lengths or devices differ.
pub fn copy<T: Element>(x: &View<'_, T>, y: &mut Buffer<T>) -> Result<()> {
    let op = "copy";
    let n = x.len();
    check_len(op, "the output", y.len(), n)?;
    same_device(op, x.buffer(), y)?;
    let device = x.buffer().device();
    let dtype = super::by_size(T::DTYPE);
    let layout = layout(op, x.shape(), &[x.strides()])?;
    // A batch of transposed matrices: [B,] C, R with strides [R·C,] 1, C.
    let (d, s) = (layout.sizes, layout.strides[0]);
    let matrix = match layout.rank {
        2 if s[0] == 1 && s[1] == i64::from(d[0]) => Some((1, d[1], d[0])),
        3 if s[1] == 1 && s[2] == i64::from(d[1]) && s[0] == i64::from(d[1]) * i64::from(d[2]) => {
            Some((d[0], d[2], d[1]))
        }
        _ => None,
    };
    if let Some((batch, rows, columns)) = matrix
        && batch <= 65535
        && rows.div_ceil(32) <= 65535
        && i32::try_from(columns).is_ok()
        && rows >= 8
        && columns >= 8
    {
        let kernel = manifest::transpose {
            x: x.ptr(),
            y: y.into(),
            rows: rows as i32,
            columns: columns as i32,
        };
        // SAFETY: x is `batch` matrices of rows × columns, and y has as many elements and is borrowed exclusively.
        return unsafe {
            device.launch(
                &kernel,
                dtype,
                (columns.div_ceil(32), rows.div_ceil(32), batch),
                0,
            )
        };
    }
    let kernel = manifest::copy {
        x: x.ptr(),
        y: y.into(),
        n: n as i64,
        layout,
    };
    // SAFETY: the view's elements lie in its buffer, `y` has `n` and is borrowed exclusively.
    unsafe { device.launch(&kernel, dtype, (device.blocks(n, 256), 1, 1), 0) }
}

/// The part of `y` that begins at `offset` and has the shape of `x` and these strides receives the elements of `x`; the rest stays.
///
/// # Errors
/// If the part lies outside of `y`, or devices differ.
///
/// ```
/// # use gradus_cuda::{Device, ops::copy::paste};
/// # fn main() -> Result<(), gradus_cuda::Error> {
/// # let Ok(device) = Device::new(0) else { return Ok(()) };
/// let x = device.upload(&[1.0f32, 2.0])?;
/// let mut y = device.zeros(6)?; // (3, 2), whose second column is
/// paste(&x.view(&[2])?, &mut y, 1, &[2])?;
/// assert_eq!(y.download()?, [0.0, 1.0, 0.0, 2.0, 0.0, 0.0]);
/// # Ok(())
/// # }
/// ```
pub fn paste<T: Element>(
    x: &View<'_, T>,
    y: &mut Buffer<T>,
    offset: usize,
    strides: &[isize],
) -> Result<()> {
    let op = "paste";
    same_device(op, x.buffer(), y)?;
    let part = View::new(y, offset, x.shape(), strides)?.ptr();
    let layout = layout(op, x.shape(), &[x.strides(), strides])?;
    let n = x.len();
    let device = y.device().clone();
    let kernel = manifest::paste {
        x: x.ptr(),
        y: part,
        n: n as i64,
        layout,
    };
    // SAFETY: both views' elements lie in their buffers; `y` is borrowed exclusively.
    unsafe {
        device.launch(
            &kernel,
            super::by_size(T::DTYPE),
            (device.blocks(n, 256), 1, 1),
            0,
        )
    }
}

/// Every element of y is `value`.
///
/// # Errors
/// [`crate::Error::Driver`].
pub fn fill<T: Element>(value: T, y: &mut Buffer<T>) -> Result<()> {
    let mut bits = [0u8; 8];
    // SAFETY: an element has at most 8 bytes, and all of them are initialised (no element type has padding).
    let bytes =
        unsafe { std::slice::from_raw_parts((&raw const value).cast::<u8>(), size_of::<T>()) };
    bits[..bytes.len()].copy_from_slice(bytes);
    let n = y.len();
    let device = y.device().clone();
    let kernel = manifest::fill {
        y: y.into(),
        n: n as i64,
        value: u64::from_le_bytes(bits),
    };
    // SAFETY: `y` has `n` elements and is borrowed exclusively.
    unsafe {
        device.launch(
            &kernel,
            super::by_size(T::DTYPE),
            (device.blocks(n, 256), 1, 1),
            0,
        )
    }
}

/// y = x in another type, by gradus-cpu's rules: integers wrap, floats are rounded once, a float becomes an integer by truncation
/// and saturates, `bool` is "is not 0".
///
/// # Errors
/// If lengths or devices differ.
pub fn cast<A: Element, B: Element>(x: &View<'_, A>, y: &mut Buffer<B>) -> Result<()> {
    let op = "cast";
    let n = x.len();
    check_len(op, "the output", y.len(), n)?;
    same_device(op, x.buffer(), y)?;
    let x = super::Dense::new(x)?;
    let device = y.device().clone();
    let to = DType::ALL.iter().position(|&d| d == B::DTYPE).unwrap_or(0) as i32;
    let kernel = manifest::cast {
        x: x.ptr(),
        y: y.into(),
        n: n as i64,
        to,
    };
    // SAFETY: x has `n` elements of `A`, y `n` of `B`, and is borrowed exclusively.
    unsafe { device.launch(&kernel, A::DTYPE, (device.blocks(n, 256), 1, 1), 0) }
}
