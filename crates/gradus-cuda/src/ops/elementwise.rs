//! Operations element by element, comparisons and choices; operands broadcast by strides of 0.

use crate::error::check_len;
use crate::manifest::{self, BinaryOp, CompareOp, TernaryOp, UnaryOp};
use crate::view::{layout, same, same_device};
use crate::{Buffer, DType, Element, Error, FloatElement, Result, View};

/// y = op(x); the constants of an operation that has some are in [`unary_with`].
///
/// # Errors
/// If the lengths differ or the devices do.
pub fn unary<T: FloatElement>(op: UnaryOp, x: &View<'_, T>, y: &mut Buffer<T>) -> Result<()> {
    unary_with(op, [0.0; 2], x, y)
}

/// y = op(x) with the constants `p` and `q` of [`UnaryOp`].
///
/// # Errors
/// As [`unary`].
///
/// ```
/// # use gradus_cuda::{Device, manifest::UnaryOp, ops::elementwise::unary_with};
/// # fn main() -> Result<(), gradus_cuda::Error> {
/// # let Ok(device) = Device::new(0) else { return Ok(()) };
/// let x = device.upload(&[-2.0f32, 3.0])?;
/// let mut y = device.uninit(2)?;
/// unary_with(UnaryOp::LeakyRelu, [0.1, 0.0], &x.view(&[2])?, &mut y)?;
/// assert_eq!(y.download()?, [-0.2, 3.0]);
/// # Ok(())
/// # }
/// ```
pub fn unary_with<T: FloatElement>(
    op: UnaryOp,
    [p, q]: [f64; 2],
    x: &View<'_, T>,
    y: &mut Buffer<T>,
) -> Result<()> {
    let n = x.len();
    check_len(op.name(), "the output", y.len(), n)?;
    same_device(op.name(), x.buffer(), y)?;
    let device = x.buffer().device();
    let code = op as i32;
    if x.is_contiguous() {
        let kernel = manifest::unary {
            x: x.ptr(),
            y: y.into(),
            n: n as i64,
            op: code,
            p,
            q,
        };
        let per_thread = 16 / size_of::<T>();
        let grid = (device.blocks(n.div_ceil(per_thread), 256), 1, 1);
        // SAFETY: `x` views, and `y` has, `n` elements; `y` is borrowed exclusively.
        return unsafe { device.launch(&kernel, T::DTYPE, grid, 0) };
    }
    let layout = layout(op.name(), x.shape(), &[x.strides()])?;
    let kernel = manifest::unary_strided {
        x: x.ptr(),
        y: y.into(),
        n: n as i64,
        layout,
        op: code,
        p,
        q,
    };
    // SAFETY: as above; the view's elements lie in its buffer.
    unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(n, 256), 1, 1), 0) }
}

/// y = op(a, b); the views have one shape.
///
/// # Errors
/// If shapes, lengths or devices differ, or the operation is not defined for the type.
pub fn binary<T: Element>(
    op: BinaryOp,
    a: &View<'_, T>,
    b: &View<'_, T>,
    y: &mut Buffer<T>,
) -> Result<()> {
    let name = op.name();
    same(name, a, b)?;
    same_device(name, a.buffer(), y)?;
    let n = a.len();
    check_len(name, "the output", y.len(), n)?;
    if T::DTYPE == DType::Bool || !DType::FLOATS.contains(&T::DTYPE) && !op.has_integers() {
        return Err(Error::dtype(name, T::DTYPE));
    }
    let device = a.buffer().device();
    let code = op as i32;
    if a.is_contiguous() && b.is_contiguous() {
        let kernel = manifest::binary {
            a: a.ptr(),
            b: b.ptr(),
            y: y.into(),
            n: n as i64,
            op: code,
        };
        let per_thread = 16 / size_of::<T>();
        let grid = (device.blocks(n.div_ceil(per_thread), 256), 1, 1);
        // SAFETY: all three have `n` elements; `y` is borrowed exclusively.
        return unsafe { device.launch(&kernel, T::DTYPE, grid, 0) };
    }
    let layout = layout(name, a.shape(), &[a.strides(), b.strides()])?;
    let kernel = manifest::binary_strided {
        a: a.ptr(),
        b: b.ptr(),
        y: y.into(),
        n: n as i64,
        layout,
        op: code,
    };
    // SAFETY: as above; the views' elements lie in their buffers.
    unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(n, 256), 1, 1), 0) }
}

/// y = op(a, b), as `bool`.
///
/// # Errors
/// If shapes, lengths or devices differ.
pub fn compare<T: Element>(
    op: CompareOp,
    a: &View<'_, T>,
    b: &View<'_, T>,
    y: &mut Buffer<bool>,
) -> Result<()> {
    let name = op.name();
    same(name, a, b)?;
    same_device(name, a.buffer(), y)?;
    let n = a.len();
    check_len(name, "the output", y.len(), n)?;
    let dtype = if T::DTYPE == DType::Bool {
        DType::U8
    } else {
        T::DTYPE
    };
    let layout = layout(name, a.shape(), &[a.strides(), b.strides()])?;
    let device = a.buffer().device();
    let kernel = manifest::compare {
        a: a.ptr(),
        b: b.ptr(),
        y: y.into(),
        n: n as i64,
        layout,
        op: op as i32,
    };
    // SAFETY: the views' elements lie in their buffers, `y` has `n` and is borrowed exclusively; a `bool` is a byte, 0 or 1.
    unsafe { device.launch(&kernel, dtype, (device.blocks(n, 256), 1, 1), 0) }
}

/// y = op(a, b, c), with the constant `p` of [`TernaryOp`].
///
/// # Errors
/// If shapes, lengths or devices differ.
pub fn ternary<T: FloatElement>(
    op: TernaryOp,
    p: f64,
    a: &View<'_, T>,
    b: &View<'_, T>,
    c: &View<'_, T>,
    y: &mut Buffer<T>,
) -> Result<()> {
    let name = op.name();
    same(name, a, b)?;
    same(name, a, c)?;
    same_device(name, a.buffer(), y)?;
    let n = a.len();
    check_len(name, "the output", y.len(), n)?;
    let layout = layout(name, a.shape(), &[a.strides(), b.strides(), c.strides()])?;
    let device = a.buffer().device();
    let (a, b, c) = (a.ptr(), b.ptr(), c.ptr());
    let kernel = manifest::ternary {
        a,
        b,
        c,
        y: y.into(),
        n: n as i64,
        layout,
        op: op as i32,
        p,
    };
    // SAFETY: the views' elements lie in their buffers, `y` has `n` and is borrowed exclusively.
    unsafe { device.launch(&kernel, T::DTYPE, (device.blocks(n, 256), 1, 1), 0) }
}

/// y = a where `condition` holds, else b; the views have one shape.
///
/// # Errors
/// If shapes, lengths or devices differ.
pub fn where_<T: Element>(
    condition: &View<'_, bool>,
    a: &View<'_, T>,
    b: &View<'_, T>,
    y: &mut Buffer<T>,
) -> Result<()> {
    let op = "where";
    same(op, condition, a)?;
    same(op, a, b)?;
    same_device(op, a.buffer(), y)?;
    let n = a.len();
    check_len(op, "the output", y.len(), n)?;
    let dtype = if T::DTYPE == DType::Bool {
        DType::U8
    } else {
        T::DTYPE
    };
    let layout = layout(
        op,
        a.shape(),
        &[condition.strides(), a.strides(), b.strides()],
    )?;
    let device = a.buffer().device();
    let (condition, a, b) = (condition.ptr(), a.ptr(), b.ptr());
    let kernel = manifest::select {
        condition,
        a,
        b,
        y: y.into(),
        n: n as i64,
        layout,
    };
    // SAFETY: the views' elements lie in their buffers, `y` has `n` and is borrowed exclusively.
    unsafe { device.launch(&kernel, dtype, (device.blocks(n, 256), 1, 1), 0) }
}
