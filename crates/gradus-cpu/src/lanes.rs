//! Lane-wise folds whose shape does not depend on the instruction set.
//!
//! A fold runs over [`width`] virtual lanes: element `i` goes to lane `i % width`, and the lanes are combined by halves
//! at the end. An instruction set with `L` real lanes keeps `width / L` vectors, which also hides the latency of the
//! additions. So a sum is the same, bit for bit, on scalar, AVX2, AVX-512 and NEON.

use gradus_simd::{Float, FloatVec, Isa};

/// The most vectors a fold keeps (scalar, f32).
const MAX_VECTORS: usize = 64;

/// Virtual lanes: 64 of `f32`, 32 of `f64`.
pub(crate) const fn width<T>() -> usize {
    256 / size_of::<T>()
}

/// Combines `vector(i, m)` over `0..n` in steps of the lane count: `i` is the first element, `m` how many of the lanes
/// count (fewer only in the last one, whose other lanes `vector` must make neutral).
#[inline(always)]
pub(crate) fn fold<S: Isa, T: Float>(
    isa: S,
    n: usize,
    neutral: T,
    vector: impl Fn(usize, usize) -> T::V<S>,
    combine: impl Fn(T::V<S>, T::V<S>) -> T::V<S>,
    element: impl Fn(T, T) -> T,
) -> T {
    let lanes = T::V::<S>::LANES;
    let vectors = width::<T>() / lanes;
    let mut acc = [T::V::<S>::splat(isa, neutral); MAX_VECTORS];
    let mut i = 0;
    while i + width::<T>() <= n {
        for (j, acc) in acc[..vectors].iter_mut().enumerate() {
            *acc = combine(*acc, vector(i + j * lanes, lanes));
        }
        i += width::<T>();
    }
    let mut j = 0;
    while i + lanes <= n {
        acc[j] = combine(acc[j], vector(i, lanes));
        i += lanes;
        j += 1;
    }
    if i < n {
        acc[j] = combine(acc[j], vector(i, n - i));
    }
    let mut half = vectors / 2;
    while half > 0 {
        for j in 0..half {
            acc[j] = combine(acc[j], acc[j + half]);
        }
        half /= 2;
    }
    acc[0].reduce(element)
}

/// The lanes at `p`, the first `m` of them valid, the others `fill`.
///
/// # Safety
/// `p` is valid for reading `m` elements.
#[inline(always)]
pub(crate) unsafe fn load<S: Isa, T: Float>(isa: S, p: *const T, m: usize, fill: T) -> T::V<S> {
    // SAFETY: the caller's.
    unsafe {
        if m == T::V::<S>::LANES {
            T::V::<S>::load_ptr(isa, p)
        } else {
            T::V::<S>::load_tail_ptr(isa, p, m, fill)
        }
    }
}

/// Stores the first `m` lanes at `p`.
///
/// # Safety
/// `p` is valid for writing `m` elements.
#[inline(always)]
pub(crate) unsafe fn store<S: Isa, T: Float>(v: T::V<S>, p: *mut T, m: usize) {
    // SAFETY: the caller's.
    unsafe {
        if m == T::V::<S>::LANES {
            v.store_ptr(p);
        } else {
            v.store_tail_ptr(p, m);
        }
    }
}

/// Calls `f(i, m)` for vectors covering `0..n`: `i` the first element, `m` how many lanes count.
#[inline(always)]
pub(crate) fn for_each<S: Isa, T: Float>(n: usize, f: impl Fn(usize, usize)) {
    let lanes = T::V::<S>::LANES;
    let mut i = 0;
    while i + lanes <= n {
        f(i, lanes);
        i += lanes;
    }
    if i < n {
        f(i, n - i);
    }
}
