//! From an operation and an element type to the loop over one block.
//!
//! [`Kernels`] is what each element type brings: loops over raw blocks, which may be in place (`y` equal to an
//! operand). The operation is matched once per block, so that the walk over strides, the staging and the threads are
//! compiled once per element type and not once per operation.

use super::ops::{BinaryOp, CompareOp, PredicateOp, TernaryOp, UnaryOp};
use super::vector::{Binary, Ternary, Unary};
use super::{integer, scalar};
use crate::source::BLOCK;
use crate::{Element, FloatElement};
use gradus_simd::dispatch;
use half::{bf16, f16};

/// The blocks of each element type (sealed: it cannot be named outside this crate).
///
/// # Safety
/// For all methods: the pointers are valid for `n` elements; an operand and the output are equal or do not overlap.
#[allow(missing_docs, clippy::missing_safety_doc)]
pub trait Kernels: Sized {
    /// Whether the methods store past the cache if asked to by `stream`, for which `y` is whole lines, and a fence follows.
    const STREAMS: bool = false;
    fn has_unary(op: UnaryOp) -> bool;
    fn has_binary(op: BinaryOp) -> bool;
    fn has_ternary() -> bool;
    unsafe fn unary(op: UnaryOp, x: *const Self, y: *mut Self, n: usize, stream: bool);
    /// Returns false on an integer division by zero.
    unsafe fn binary(
        op: BinaryOp,
        a: *const Self,
        b: *const Self,
        y: *mut Self,
        n: usize,
        stream: bool,
    ) -> bool;
    unsafe fn ternary(
        op: TernaryOp,
        a: *const Self,
        b: *const Self,
        c: *const Self,
        y: *mut Self,
        n: usize,
        stream: bool,
    );
    unsafe fn predicate(op: PredicateOp, x: *const Self, y: *mut bool, n: usize);
}

/// `f32` or `f64`: what arithmetic is done in, with blocks in vector code.
pub trait Real:
    FloatElement<Compute = Self, Acc = Self, Sum = Self>
    + gradus_simd::Float
    + crate::reduce::Accumulator
{
}
impl Real for f32 {}
impl Real for f64 {}

/// `y[i] = f(x[i])`.
#[inline(always)]
unsafe fn map<T: Copy, U>(x: *const T, y: *mut U, n: usize, f: impl Fn(T) -> U) {
    for i in 0..n {
        // SAFETY: valid for `n` elements by the caller's promise.
        unsafe { *y.add(i) = f(*x.add(i)) };
    }
}

/// `y[i] = f(a[i], b[i])`.
#[inline(always)]
unsafe fn map2<T: Copy, U>(a: *const T, b: *const T, y: *mut U, n: usize, f: impl Fn(T, T) -> U) {
    for i in 0..n {
        // SAFETY: valid for `n` elements by the caller's promise.
        unsafe { *y.add(i) = f(*a.add(i), *b.add(i)) };
    }
}

macro_rules! native {
    ($t:ident) => {
        impl Kernels for $t {
            const STREAMS: bool = true;
            fn has_unary(op: UnaryOp) -> bool {
                scalar::has_unary(op)
            }
            fn has_binary(op: BinaryOp) -> bool {
                scalar::has_binary(op)
            }
            fn has_ternary() -> bool {
                true
            }
            unsafe fn unary(op: UnaryOp, x: *const Self, y: *mut Self, n: usize, stream: bool) {
                dispatch(Unary {
                    op,
                    x,
                    y,
                    n,
                    stream,
                });
            }
            unsafe fn binary(
                op: BinaryOp,
                a: *const Self,
                b: *const Self,
                y: *mut Self,
                n: usize,
                stream: bool,
            ) -> bool {
                dispatch(Binary {
                    op,
                    a,
                    b,
                    y,
                    n,
                    stream,
                });
                true
            }
            unsafe fn ternary(
                op: TernaryOp,
                a: *const Self,
                b: *const Self,
                c: *const Self,
                y: *mut Self,
                n: usize,
                stream: bool,
            ) {
                dispatch(Ternary {
                    op,
                    operands: [a, b, c],
                    y,
                    n,
                    stream,
                });
            }
            unsafe fn predicate(op: PredicateOp, x: *const Self, y: *mut bool, n: usize) {
                // SAFETY: the caller's.
                unsafe {
                    match op {
                        PredicateOp::IsNan => map(x, y, n, $t::is_nan),
                        PredicateOp::IsInf => map(x, y, n, $t::is_infinite),
                        PredicateOp::IsFinite => map(x, y, n, $t::is_finite),
                        PredicateOp::IsPosInf => map(x, y, n, |x| x == $t::INFINITY),
                        PredicateOp::IsNegInf => map(x, y, n, |x| x == $t::NEG_INFINITY),
                        PredicateOp::Signbit => map(x, y, n, $t::is_sign_negative),
                        PredicateOp::IsZero => map(x, y, n, |x| x == 0.0),
                        PredicateOp::IsNonzero => map(x, y, n, |x| x != 0.0),
                    }
                }
            }
        }
    };
}
native!(f32);
native!(f64);

/// Half precision: through blocks of `f32`, rounded once at the end.
macro_rules! staged {
    ($t:ident) => {
        impl Kernels for $t {
            fn has_unary(op: UnaryOp) -> bool {
                scalar::has_unary(op)
            }
            fn has_binary(op: BinaryOp) -> bool {
                scalar::has_binary(op)
            }
            fn has_ternary() -> bool {
                true
            }
            unsafe fn unary(op: UnaryOp, x: *const Self, y: *mut Self, n: usize, _: bool) {
                // SAFETY: the caller's; the buffer is the operand and the output of the `f32` kernel.
                unsafe { staged(&[x], y, n, |[b, ..], n| f32::unary(op, b, b, n, false)) }
            }
            unsafe fn binary(
                op: BinaryOp,
                a: *const Self,
                b: *const Self,
                y: *mut Self,
                n: usize,
                _: bool,
            ) -> bool {
                // SAFETY: as above.
                unsafe {
                    staged(&[a, b], y, n, |[a, b, _], n| {
                        _ = f32::binary(op, a, b, a, n, false)
                    })
                };
                true
            }
            unsafe fn ternary(
                op: TernaryOp,
                a: *const Self,
                b: *const Self,
                c: *const Self,
                y: *mut Self,
                n: usize,
                _: bool,
            ) {
                // SAFETY: as above.
                unsafe {
                    staged(&[a, b, c], y, n, |[a, b, c], n| {
                        f32::ternary(op, a, b, c, a, n, false)
                    })
                }
            }
            unsafe fn predicate(op: PredicateOp, x: *const Self, y: *mut bool, n: usize) {
                // SAFETY: the caller's.
                unsafe { map(x, y, n, |x| scalar::predicate(op, x.to_f64())) }
            }
        }
    };
}
staged!(f16);
staged!(bf16);

/// Loads blocks of the operands as `f32`, runs `kernel` (which leaves its result in the first buffer), stores it.
unsafe fn staged<T: FloatElement<Compute = f32>>(
    operands: &[*const T],
    y: *mut T,
    n: usize,
    kernel: impl Fn([*mut f32; 3], usize),
) {
    let mut buffers = [[0f32; BLOCK]; 3];
    for start in (0..n).step_by(BLOCK) {
        let n = BLOCK.min(n - start);
        for (x, buffer) in operands.iter().zip(&mut buffers) {
            // SAFETY: valid for `n` elements by the caller's promise.
            T::load(
                unsafe { std::slice::from_raw_parts(x.add(start), n) },
                &mut buffer[..n],
            );
        }
        let [a, b, c] = &mut buffers;
        kernel([a.as_mut_ptr(), b.as_mut_ptr(), c.as_mut_ptr()], n);
        // SAFETY: as above; the operands of this block have been read.
        T::store(&buffers[0][..n], unsafe {
            std::slice::from_raw_parts_mut(y.add(start), n)
        });
    }
}

macro_rules! integer {
    ($t:ident) => {
        impl Kernels for $t {
            fn has_unary(op: UnaryOp) -> bool {
                integer::has_unary(op)
            }
            fn has_binary(op: BinaryOp) -> bool {
                integer::has_binary(op)
            }
            fn has_ternary() -> bool {
                false
            }
            unsafe fn unary(op: UnaryOp, x: *const Self, y: *mut Self, n: usize, _: bool) {
                // SAFETY: the caller's.
                unsafe { map(x, y, n, |x| integer::unary(op, x)) }
            }
            unsafe fn binary(
                op: BinaryOp,
                a: *const Self,
                b: *const Self,
                y: *mut Self,
                n: usize,
                _: bool,
            ) -> bool {
                // The commonest ones apart, so that they become vector code.
                // SAFETY: the caller's.
                unsafe {
                    match op {
                        BinaryOp::Add => map2(a, b, y, n, $t::wrapping_add),
                        BinaryOp::Sub => map2(a, b, y, n, $t::wrapping_sub),
                        BinaryOp::Mul => map2(a, b, y, n, $t::wrapping_mul),
                        BinaryOp::Maximum => map2(a, b, y, n, Ord::max),
                        BinaryOp::Minimum => map2(a, b, y, n, Ord::min),
                        _ => {
                            for i in 0..n {
                                match integer::binary(op, *a.add(i), *b.add(i)) {
                                    Some(value) => *y.add(i) = value,
                                    None => return false,
                                }
                            }
                        }
                    }
                }
                true
            }
            unsafe fn ternary(
                _: TernaryOp,
                _: *const Self,
                _: *const Self,
                _: *const Self,
                _: *mut Self,
                _: usize,
                _: bool,
            ) {
            }
            unsafe fn predicate(op: PredicateOp, x: *const Self, y: *mut bool, n: usize) {
                // SAFETY: the caller's.
                unsafe {
                    match op {
                        PredicateOp::IsZero => map(x, y, n, |x| x == 0),
                        PredicateOp::IsNonzero => map(x, y, n, |x| x != 0),
                        PredicateOp::Signbit => map(x, y, n, |x| x < Self::ZERO),
                        PredicateOp::IsFinite => map(x, y, n, |_| true),
                        _ => map(x, y, n, |_| false),
                    }
                }
            }
        }
    };
}
integer!(u8);
integer!(i32);
integer!(i64);

impl Kernels for bool {
    fn has_unary(op: UnaryOp) -> bool {
        integer::bool_has_unary(op)
    }
    fn has_binary(op: BinaryOp) -> bool {
        integer::bool_has_binary(op)
    }
    fn has_ternary() -> bool {
        false
    }
    unsafe fn unary(op: UnaryOp, x: *const Self, y: *mut Self, n: usize, _: bool) {
        // SAFETY: the caller's.
        unsafe { map(x, y, n, |x| integer::bool_unary(op, x)) }
    }
    unsafe fn binary(
        op: BinaryOp,
        a: *const Self,
        b: *const Self,
        y: *mut Self,
        n: usize,
        _: bool,
    ) -> bool {
        // SAFETY: the caller's.
        unsafe { map2(a, b, y, n, |a, b| integer::bool_binary(op, a, b)) };
        true
    }
    unsafe fn ternary(
        _: TernaryOp,
        _: *const Self,
        _: *const Self,
        _: *const Self,
        _: *mut Self,
        _: usize,
        _: bool,
    ) {
    }
    unsafe fn predicate(op: PredicateOp, x: *const Self, y: *mut bool, n: usize) {
        // SAFETY: the caller's.
        unsafe {
            match op {
                PredicateOp::IsZero => map(x, y, n, |x: bool| !x),
                PredicateOp::IsNonzero => map(x, y, n, |x| x),
                PredicateOp::IsFinite => map(x, y, n, |_| true),
                _ => map(x, y, n, |_| false),
            }
        }
    }
}

/// `y[i] = a[i] op b[i]`, for every element type by its own order (NaN is unequal to everything).
#[allow(clippy::needless_bitwise_bool)] // no branches: this becomes vector code
pub(crate) unsafe fn compare<T: Element>(
    op: CompareOp,
    a: *const T,
    b: *const T,
    y: *mut bool,
    n: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        match op {
            CompareOp::Eq => map2(a, b, y, n, |a, b| a == b),
            CompareOp::Ne => map2(a, b, y, n, |a, b| a != b),
            CompareOp::Lt => map2(a, b, y, n, |a, b| a < b),
            CompareOp::Le => map2(a, b, y, n, |a, b| a <= b),
            CompareOp::Gt => map2(a, b, y, n, |a, b| a > b),
            CompareOp::Ge => map2(a, b, y, n, |a, b| a >= b),
            CompareOp::LogicalAnd => map2(a, b, y, n, |a, b| (a != T::ZERO) & (b != T::ZERO)),
            CompareOp::LogicalOr => map2(a, b, y, n, |a, b| (a != T::ZERO) | (b != T::ZERO)),
            CompareOp::LogicalXor => map2(a, b, y, n, |a, b| (a != T::ZERO) ^ (b != T::ZERO)),
        }
    }
}
