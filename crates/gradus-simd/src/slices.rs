//! Slice helpers: a lane function over whole slices, tails included.
//!
//! What it is: the loop every element-wise kernel shares. Full vectors first, then one masked vector that goes through
//! the same lane function, so that an element's result does not depend on its position.
//! Mark a large closure `#[inline(always)]`, so that it is compiled with the ISA's instructions.
//! What it is not: threading or striding; gradus-cpu does those and hands contiguous chunks down.

use crate::float::Float;
use crate::isa::{FloatVec, Isa};

/// The loop of the maps: `step(i, n)` computes the elements from `i`, a whole vector or the last `n` of fewer. One call,
/// so that a large lane function is compiled once.
#[inline(always)]
fn for_each_vector(len: usize, lanes: usize, mut step: impl FnMut(usize, usize)) {
    let mut i = 0;
    while i < len {
        step(i, lanes.min(len - i));
        i += lanes;
    }
}

/// The `n` elements at `p`, and 1 in the lanes after them.
///
/// # Safety
/// `1 <= n <= LANES` elements must be readable.
#[inline(always)]
unsafe fn load<S: Isa, T: Float>(isa: S, p: *const T, n: usize) -> T::V<S> {
    // SAFETY: the caller's promise.
    unsafe {
        if n == T::V::<S>::LANES {
            T::V::<S>::load_ptr(isa, p)
        } else {
            T::V::<S>::load_tail_ptr(isa, p, n, T::ONE)
        }
    }
}

/// Stores `n` lanes at `p`.
///
/// # Safety
/// `1 <= n <= LANES` elements must be writable.
#[inline(always)]
unsafe fn store<S: Isa, T: Float>(y: T::V<S>, p: *mut T, n: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if n == T::V::<S>::LANES {
            y.store_ptr(p);
        } else {
            y.store_tail_ptr(p, n);
        }
    }
}

/// `y[i] = f(x[i])`.
///
/// # Panics
/// If the lengths differ.
#[inline(always)]
pub fn map<S: Isa, T: Float>(isa: S, x: &[T], y: &mut [T], f: impl Fn(T::V<S>) -> T::V<S>) {
    assert_eq!(x.len(), y.len(), "map: input and output lengths");
    let (x, y) = (x, y.as_mut_ptr());
    for_each_vector(
        x.len(),
        T::V::<S>::LANES,
        #[inline(always)]
        |i, n| {
            // SAFETY: i + n <= len of both slices.
            unsafe {
                store::<S, T>(f(load::<S, T>(isa, x.as_ptr().add(i), n)), y.add(i), n);
            }
        },
    );
}

/// `x[i] = f(x[i])`.
#[inline(always)]
pub fn map_in_place<S: Isa, T: Float>(isa: S, x: &mut [T], f: impl Fn(T::V<S>) -> T::V<S>) {
    let (len, p) = (x.len(), x.as_mut_ptr());
    for_each_vector(
        len,
        T::V::<S>::LANES,
        #[inline(always)]
        |i, n| {
            // SAFETY: i + n <= len.
            unsafe {
                store::<S, T>(f(load::<S, T>(isa, p.add(i), n)), p.add(i), n);
            }
        },
    );
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
    let y = y.as_mut_ptr();
    for_each_vector(
        a.len(),
        T::V::<S>::LANES,
        #[inline(always)]
        |i, n| {
            // SAFETY: i + n <= len of the three slices.
            unsafe {
                let (a, b) = (
                    load::<S, T>(isa, a.as_ptr().add(i), n),
                    load::<S, T>(isa, b.as_ptr().add(i), n),
                );
                store::<S, T>(f(a, b), y.add(i), n);
            }
        },
    );
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
    let y = y.as_mut_ptr();
    for_each_vector(
        b.len(),
        T::V::<S>::LANES,
        #[inline(always)]
        |i, n| {
            // SAFETY: i + n <= len of both slices.
            unsafe {
                let b = load::<S, T>(isa, b.as_ptr().add(i), n);
                store::<S, T>(f(load::<S, T>(isa, y.add(i), n), b), y.add(i), n);
            }
        },
    );
}

/// Folds a slice in four vector accumulators that start from `start`, then combines them in pairs and the lanes by
/// [`FloatVec::reduce`]'s tree: `lane` combines vectors, `element` the last few lanes; both must do the same. Lanes past
/// the end are filled with `start`, which must be neutral. The order of combination depends on the ISA's lane count: for
/// sums that must agree between ISAs, block first.
#[inline(always)]
pub fn fold<S: Isa, T: Float>(
    isa: S,
    x: &[T],
    start: T,
    lane: impl Fn(T::V<S>, T::V<S>) -> T::V<S>,
    element: impl Fn(T, T) -> T,
) -> T {
    let lanes = T::V::<S>::LANES;
    let mut acc = [T::V::<S>::splat(isa, start); 4];
    let blocks = x.chunks_exact(4 * lanes);
    let rest = blocks.remainder();
    for block in blocks {
        for (i, acc) in acc.iter_mut().enumerate() {
            *acc = lane(*acc, T::V::<S>::load(isa, &block[i * lanes..]));
        }
    }
    for (x, acc) in rest.chunks(lanes).zip(&mut acc) {
        *acc = lane(*acc, T::V::<S>::load_tail(isa, x, start));
    }
    lane(lane(acc[0], acc[1]), lane(acc[2], acc[3])).reduce(element)
}
