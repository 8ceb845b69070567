//! Lane-wise folds whose shape does not depend on the instruction set.
//!
//! A fold runs over [`width`] virtual lanes: element `i` goes to lane `i % width`, and the lanes are combined by halves
//! at the end. An instruction set with `L` real lanes keeps `width / L` vectors, which also hides the latency of the
//! additions. So a sum is the same, bit for bit, on scalar, AVX2, AVX-512 and NEON.

use std::mem::MaybeUninit;

use gradus_simd::{Float, FloatVec, Isa};

use crate::unroll::{Registers, unroll};

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
    let neutral = T::V::<S>::splat(isa, neutral);
    let mut acc = [const { MaybeUninit::uninit() }; MAX_VECTORS];
    let mut i = match vectors {
        4 => whole::<S, T, 4>(neutral, n, &vector, &combine, &mut acc),
        8 => whole::<S, T, 8>(neutral, n, &vector, &combine, &mut acc),
        _ => {
            let mut i = 0;
            for acc in &mut acc[..vectors] {
                *acc = MaybeUninit::new(neutral);
            }
            // SAFETY: written above.
            let acc = unsafe { acc[..vectors].assume_init_mut() };
            while i + width::<T>() <= n {
                for (j, acc) in acc.iter_mut().enumerate() {
                    *acc = combine(*acc, vector(i + j * lanes, lanes));
                }
                i += width::<T>();
            }
            i
        }
    };
    // SAFETY: `vectors` of them were written.
    let acc = unsafe { acc[..vectors].assume_init_mut() };
    let mut j = 0;
    while i < n {
        let m = lanes.min(n - i);
        acc[j] = combine(acc[j], vector(i, m));
        i += lanes;
        j += 1;
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

/// The part of [`fold`] in whole rounds of N vectors, kept in registers until its end; where it ended.
#[inline(always)]
fn whole<S: Isa, T: Float, const N: usize>(
    neutral: T::V<S>,
    n: usize,
    vector: &impl Fn(usize, usize) -> T::V<S>,
    combine: &impl Fn(T::V<S>, T::V<S>) -> T::V<S>,
    acc: &mut [MaybeUninit<T::V<S>>; MAX_VECTORS],
) -> usize {
    let lanes = T::V::<S>::LANES;
    let mut sums = Registers::<T::V<S>, 1, N>::new(neutral);
    let mut i = 0;
    while i + N * lanes <= n {
        unroll!(J in 0..N (0 1 2 3 4 5 6 7) {
            sums.set(0, J, combine(sums.get(0, J), vector(i + J * lanes, lanes)));
        });
        i += N * lanes;
    }
    unroll!(J in 0..N (0 1 2 3 4 5 6 7) {
        acc[J] = MaybeUninit::new(sums.get(0, J));
    });
    i
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
