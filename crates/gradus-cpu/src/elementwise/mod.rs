//! Elementwise operations: views in, a contiguous slice out.
//!
//! Broadcasting is a stride of 0 in an operand's view. Contiguous operands are read where they are; any other is
//! staged, a block at a time, through a buffer that stays in L1, and takes the same kernel: the result does not depend
//! on strides. Large transposed operands are first copied in tiles.
//!
//! ```
//! use gradus_cpu::{View, elementwise::{UnaryOp, unary}};
//! let x = [1.0f32, 4.0, 9.0];
//! let mut y = [0.0; 3];
//! unary(UnaryOp::Sqrt, View::contiguous(&x, &[3])?, &mut y)?;
//! assert_eq!(y, [1.0, 2.0, 3.0]);
//! # Ok::<(), gradus_cpu::Error>(())
//! ```

mod chain;
mod integer;
mod kernels;
mod ops;
pub mod scalar;
pub mod special;
mod stream;
mod vector;

pub use chain::{Step, Value, chain};
pub use kernels::{Kernels, Real};
pub use ops::{BinaryOp, CompareOp, PredicateOp, TernaryOp, UnaryOp};

use crate::copy::copy;
use crate::parallel::{GRAIN, SharedMut, for_each_chunk};
use crate::source::{BLOCK, Source};
use crate::{Element, Error, Result, View, error::check_len};
use std::sync::atomic::{AtomicBool, Ordering};

/// A loop over one block: operands, output, number of elements, and whether to store past the cache. False reports a failure.
type Block<'a, T, U, const K: usize> =
    &'a (dyn Fn([*const T; K], *mut U, usize, bool) -> bool + Sync);

/// Runs `kernel(operands, output, n)` over all blocks, in parallel. `None` as an operand is the output itself, which
/// then must be of type `T`. The kernel returns false to report a failure, and so does this function.
fn run<T: Element, U: Element, const K: usize>(
    op: &'static str,
    operands: [Option<View<'_, T>>; K],
    y: &mut [U],
    kernel: Block<'_, T, U, K>,
) -> Result<bool> {
    let mut slices: [Option<&[T]>; K] = [None; K];
    let mut contiguous = true;
    for (slice, view) in slices.iter_mut().zip(&operands) {
        match view {
            Some(view) => {
                check_len(op, "an operand", view.len(), y.len())?;
                *slice = view.as_slice();
                contiguous &= slice.is_some();
            }
            None => assert!(T::KIND == U::KIND, "in place, the types are equal"),
        }
    }
    if contiguous {
        return Ok(run_contiguous(slices, y, kernel));
    }
    run_staged(operands, y, kernel)
}

/// [`run`] for operands that are slices: nothing to stage, and small ones cost no more than their kernel.
fn run_contiguous<T: Element, U: Element, const K: usize>(
    operands: [Option<&[T]>; K],
    y: &mut [U],
    kernel: Block<'_, T, U, K>,
) -> bool {
    let len = y.len();
    // In place, the output is in the cache already when it is written.
    let fresh = operands.iter().all(Option::is_some);
    let stream = fresh && stream::pays(y);
    let y = SharedMut::new(y);
    let ok = AtomicBool::new(true);
    for_each_chunk(len, GRAIN, |range| {
        let (start, n) = (range.start, range.len());
        // SAFETY: the ranges of different chunks do not overlap.
        let out = unsafe { y.slice(range) }.as_mut_ptr();
        let at = operands.map(|x| x.map_or(out.cast_const().cast(), |x| x[start..].as_ptr()));
        let good = if stream {
            stream::all(at, out, n, kernel)
        } else {
            kernel(at, out, n, false)
        };
        if !good {
            ok.store(false, Ordering::Relaxed);
        }
    });
    ok.into_inner()
}

/// [`run`] for operands of any strides, a block at a time.
fn run_staged<T: Element, U: Element, const K: usize>(
    operands: [Option<View<'_, T>>; K],
    y: &mut [U],
    kernel: Block<'_, T, U, K>,
) -> Result<bool> {
    let mut sources: [Source<'_, T>; K] = [const { Source::Output }; K];
    for (source, view) in sources.iter_mut().zip(operands) {
        *source = Source::new(view)?;
    }
    let sources = &sources;
    let len = y.len();
    let y = SharedMut::new(y);
    let ok = AtomicBool::new(true);
    for_each_chunk(len, GRAIN, |range| {
        // Only the buffers that are used cost anything: the optimiser cannot know, so fill lazily small ones.
        let mut buffers = [[T::ZERO; BLOCK]; K];
        for (source, buffer) in sources.iter().zip(&mut buffers) {
            source.prepare(buffer);
        }
        let mut position = range.start;
        while position < range.end {
            let n = sources
                .iter()
                .fold(range.end - position, |n, source| source.block(position, n));
            // SAFETY: blocks of different positions do not overlap.
            let out = unsafe { y.slice(position..position + n) }.as_mut_ptr();
            let mut pointers = [std::ptr::null(); K];
            for ((pointer, source), buffer) in pointers.iter_mut().zip(sources).zip(&mut buffers) {
                *pointer = source.at(position, n, buffer, out.cast_const().cast());
            }
            if !kernel(pointers, out, n, false) {
                ok.store(false, Ordering::Relaxed);
            }
            position += n;
        }
    });
    Ok(ok.into_inner())
}

fn supported<T: Element>(op: &'static str, yes: bool) -> Result<()> {
    if yes {
        Ok(())
    } else {
        Err(Error::Unsupported { op, dtype: T::NAME })
    }
}

/// Checks that two views have one shape.
fn same_shape<A, B>(op: &'static str, a: &View<'_, A>, b: &View<'_, B>) -> Result<()> {
    if a.shape() == b.shape() {
        return Ok(());
    }
    Err(Error::shape(
        op,
        format!(
            "the operands' shapes {:?} and {:?} differ",
            a.shape(),
            b.shape()
        ),
    ))
}

/// `y = op(x)`.
///
/// # Errors
/// If the type does not have the operation or the lengths differ.
#[inline(never)]
pub fn unary<T: Element>(op: UnaryOp, x: View<'_, T>, y: &mut [T]) -> Result<()> {
    unary_on(op, Some(x), y)
}

/// `x = op(x)`.
///
/// # Errors
/// If the type does not have the operation.
#[inline(never)]
pub fn unary_in_place<T: Element>(op: UnaryOp, x: &mut [T]) -> Result<()> {
    unary_on(op, None, x)
}

fn unary_on<T: Element>(op: UnaryOp, x: Option<View<'_, T>>, y: &mut [T]) -> Result<()> {
    supported::<T>(op.name(), T::has_unary(op))?;
    run(op.name(), [x], y, &|[x], y, n, stream| {
        // SAFETY: `run` gives blocks of `n` elements, equal or disjoint.
        unsafe { T::unary(op, x, y, n, stream) };
        true
    })?;
    Ok(())
}

/// `y = op(a, b)`; the views have one shape (broadcast by stride 0).
///
/// # Errors
/// If the type does not have the operation, shapes or lengths differ, or an integer is divided by zero (`y` is then
/// partly written).
#[inline(never)]
pub fn binary<T: Element>(op: BinaryOp, a: View<'_, T>, b: View<'_, T>, y: &mut [T]) -> Result<()> {
    same_shape(op.name(), &a, &b)?;
    binary_on(op, Some(a), Some(b), y)
}

/// `a = op(a, b)`.
///
/// # Errors
/// As [`binary`].
#[inline(never)]
pub fn binary_in_place<T: Element>(op: BinaryOp, a: &mut [T], b: View<'_, T>) -> Result<()> {
    binary_on(op, None, Some(b), a)
}

/// `b = op(a, b)`: the right operand's memory is reused.
///
/// # Errors
/// As [`binary`].
#[inline(never)]
pub fn binary_in_place_right<T: Element>(op: BinaryOp, a: View<'_, T>, b: &mut [T]) -> Result<()> {
    binary_on(op, Some(a), None, b)
}

fn binary_on<T: Element>(
    op: BinaryOp,
    a: Option<View<'_, T>>,
    b: Option<View<'_, T>>,
    y: &mut [T],
) -> Result<()> {
    supported::<T>(op.name(), T::has_binary(op))?;
    let ok = run(op.name(), [a, b], y, &|[a, b], y, n, stream| {
        // SAFETY: `run` gives blocks of `n` elements, equal or disjoint.
        unsafe { T::binary(op, a, b, y, n, stream) }
    })?;
    if ok {
        Ok(())
    } else {
        Err(Error::DivisionByZero { op: op.name() })
    }
}

/// `y = op(a, b, c)`, floats only; the views have one shape.
///
/// # Errors
/// If the type is not a float, or shapes or lengths differ.
#[inline(never)]
pub fn ternary<T: Element>(
    op: TernaryOp,
    a: View<'_, T>,
    b: View<'_, T>,
    c: View<'_, T>,
    y: &mut [T],
) -> Result<()> {
    supported::<T>(op.name(), T::has_ternary())?;
    same_shape(op.name(), &a, &b)?;
    same_shape(op.name(), &a, &c)?;
    run(
        op.name(),
        [Some(a), Some(b), Some(c)],
        y,
        &|[a, b, c], y, n, stream| {
            // SAFETY: `run` gives blocks of `n` elements, equal or disjoint.
            unsafe { T::ternary(op, a, b, c, y, n, stream) };
            true
        },
    )?;
    Ok(())
}

/// `y = op(a, b)` as `bool`; the views have one shape.
///
/// # Errors
/// If shapes or lengths differ.
#[inline(never)]
pub fn compare<T: Element>(
    op: CompareOp,
    a: View<'_, T>,
    b: View<'_, T>,
    y: &mut [bool],
) -> Result<()> {
    same_shape(op.name(), &a, &b)?;
    run(op.name(), [Some(a), Some(b)], y, &|[a, b], y, n, _| {
        // SAFETY: `run` gives blocks of `n` elements.
        unsafe { kernels::compare(op, a, b, y, n) };
        true
    })?;
    Ok(())
}

/// `y = op(x)` as `bool`.
///
/// # Errors
/// If the lengths differ.
#[inline(never)]
pub fn predicate<T: Element>(op: PredicateOp, x: View<'_, T>, y: &mut [bool]) -> Result<()> {
    run(op.name(), [Some(x)], y, &|[x], y, n, _| {
        // SAFETY: `run` gives blocks of `n` elements.
        unsafe { T::predicate(op, x, y, n) };
        true
    })?;
    Ok(())
}

/// `y = a` where `condition` holds, else `b`; the views have one shape.
///
/// # Errors
/// If shapes or lengths differ.
#[inline(never)]
pub fn where_<T: Element>(
    condition: View<'_, bool>,
    a: View<'_, T>,
    b: View<'_, T>,
    y: &mut [T],
) -> Result<()> {
    same_shape("where", &condition, &a)?;
    same_shape("where", &a, &b)?;
    // b first, then a over it: two passes over the output, and no third kind of operand in `run`.
    copy(b, y)?;
    where_in_place(condition, a, y)
}

/// `y = a` where `condition` holds; elsewhere `y` is left (`masked_fill` with a scalar view).
///
/// # Errors
/// If shapes or lengths differ.
#[inline(never)]
pub fn where_in_place<T: Element>(
    condition: View<'_, bool>,
    a: View<'_, T>,
    y: &mut [T],
) -> Result<()> {
    same_shape("where", &condition, &a)?;
    check_len("where", "the condition", condition.len(), y.len())?;
    let condition = Source::new(Some(condition))?;
    let a = Source::new(Some(a))?;
    let len = y.len();
    let y = SharedMut::new(y);
    for_each_chunk(len, GRAIN, |range| {
        let (mut mask, mut values) = ([false; BLOCK], [T::ZERO; BLOCK]);
        condition.prepare(&mut mask);
        a.prepare(&mut values);
        let mut position = range.start;
        while position < range.end {
            let n = a.block(position, condition.block(position, range.end - position));
            // SAFETY: blocks of different positions do not overlap.
            let out = unsafe { y.slice(position..position + n) };
            // SAFETY: `at` points to `n` elements of the operand or of its buffer.
            let (mask, values) = unsafe {
                let mask = condition.at(position, n, &mut mask, std::ptr::null());
                let values = a.at(position, n, &mut values, std::ptr::null());
                (
                    std::slice::from_raw_parts(mask, n),
                    std::slice::from_raw_parts(values, n),
                )
            };
            for ((y, &mask), &a) in out.iter_mut().zip(mask).zip(values) {
                *y = if mask { a } else { *y };
            }
            position += n;
        }
    });
    Ok(())
}
