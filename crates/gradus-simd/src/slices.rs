//! Slice helpers: a lane function over whole slices, tails included.
//!
//! What it is: the loop every element-wise kernel shares. Full vectors first, then one masked vector that goes through
//! the same lane function, so that an element's result does not depend on its position.
//! What it is not: threading or striding; gradus-cpu does those and hands contiguous chunks down.

use crate::float::Float;
use crate::isa::{FloatVec, Isa};

/// `y[i] = f(x[i])`.
///
/// # Panics
/// If the lengths differ.
#[inline(always)]
pub fn map<S: Isa, T: Float>(isa: S, x: &[T], y: &mut [T], f: impl Fn(T::V<S>) -> T::V<S>) {
    assert_eq!(x.len(), y.len(), "map: input and output lengths");
    let lanes = T::V::<S>::LANES;
    let mut i = 0;
    while i + lanes <= x.len() {
        // SAFETY: i + LANES <= len of both slices.
        unsafe { f(T::V::<S>::load_ptr(isa, x.as_ptr().add(i))).store_ptr(y.as_mut_ptr().add(i)) }
        i += lanes;
    }
    if i < x.len() {
        f(T::V::<S>::load_tail(isa, &x[i..], T::ONE)).store_tail(&mut y[i..]);
    }
}

/// `x[i] = f(x[i])`.
#[inline(always)]
pub fn map_in_place<S: Isa, T: Float>(isa: S, x: &mut [T], f: impl Fn(T::V<S>) -> T::V<S>) {
    let lanes = T::V::<S>::LANES;
    let mut i = 0;
    while i + lanes <= x.len() {
        // SAFETY: i + LANES <= len.
        unsafe {
            let p = x.as_mut_ptr().add(i);
            f(T::V::<S>::load_ptr(isa, p)).store_ptr(p);
        }
        i += lanes;
    }
    if i < x.len() {
        f(T::V::<S>::load_tail(isa, &x[i..], T::ONE)).store_tail(&mut x[i..]);
    }
}

/// `y[i] = f(a[i], b[i])`.
///
/// # Panics
/// If the lengths differ.
#[inline(always)]
pub fn zip_map<S: Isa, T: Float>(
    isa: S,
    a: &[T],
    b: &[T],
    y: &mut [T],
    f: impl Fn(T::V<S>, T::V<S>) -> T::V<S>,
) {
    assert!(
        a.len() == y.len() && b.len() == y.len(),
        "zip_map: lengths {}, {}, {}",
        a.len(),
        b.len(),
        y.len()
    );
    let lanes = T::V::<S>::LANES;
    let mut i = 0;
    while i + lanes <= y.len() {
        // SAFETY: i + LANES <= len of the three slices.
        unsafe {
            let (a, b) = (
                T::V::<S>::load_ptr(isa, a.as_ptr().add(i)),
                T::V::<S>::load_ptr(isa, b.as_ptr().add(i)),
            );
            f(a, b).store_ptr(y.as_mut_ptr().add(i));
        }
        i += lanes;
    }
    if i < y.len() {
        let (a, b) = (
            T::V::<S>::load_tail(isa, &a[i..], T::ONE),
            T::V::<S>::load_tail(isa, &b[i..], T::ONE),
        );
        f(a, b).store_tail(&mut y[i..]);
    }
}

/// `y[i] = f(y[i], b[i])`.
///
/// # Panics
/// If the lengths differ.
#[inline(always)]
pub fn zip_map_in_place<S: Isa, T: Float>(
    isa: S,
    y: &mut [T],
    b: &[T],
    f: impl Fn(T::V<S>, T::V<S>) -> T::V<S>,
) {
    assert_eq!(b.len(), y.len(), "zip_map_in_place: lengths");
    let lanes = T::V::<S>::LANES;
    let mut i = 0;
    while i + lanes <= y.len() {
        // SAFETY: i + LANES <= len of both slices.
        unsafe {
            let p = y.as_mut_ptr().add(i);
            f(
                T::V::<S>::load_ptr(isa, p),
                T::V::<S>::load_ptr(isa, b.as_ptr().add(i)),
            )
            .store_ptr(p);
        }
        i += lanes;
    }
    if i < y.len() {
        let b = T::V::<S>::load_tail(isa, &b[i..], T::ONE);
        f(T::V::<S>::load_tail(isa, &y[i..], T::ONE), b).store_tail(&mut y[i..]);
    }
}

/// Folds a slice lane by lane from `start`, then combines the lanes by [`FloatVec::reduce`]'s tree: `lane` combines
/// vectors, `element` the last few lanes; both must do the same. Lanes past the end are filled with `start`, which must be
/// neutral. The order of combination depends on the ISA's lane count: for sums that must agree between ISAs, block first.
#[inline(always)]
pub fn fold<S: Isa, T: Float>(
    isa: S,
    x: &[T],
    start: T,
    lane: impl Fn(T::V<S>, T::V<S>) -> T::V<S>,
    element: impl Fn(T, T) -> T,
) -> T {
    let lanes = T::V::<S>::LANES;
    let mut acc = T::V::<S>::splat(isa, start);
    let mut i = 0;
    while i + lanes <= x.len() {
        // SAFETY: i + LANES <= len.
        acc = lane(acc, unsafe { T::V::<S>::load_ptr(isa, x.as_ptr().add(i)) });
        i += lanes;
    }
    if i < x.len() {
        acc = lane(acc, T::V::<S>::load_tail(isa, &x[i..], start));
    }
    acc.reduce(element)
}
