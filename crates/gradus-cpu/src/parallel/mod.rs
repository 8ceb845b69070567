//! Splitting work over threads: the team's (`team.rs`) with the feature `threads`, a plain loop without it.
//!
//! The split is by sizes alone, never by the number of threads, so what is computed (and in which order it is
//! combined) is the same with 1, 2 or 64 threads. The bodies are behind `dyn Fn`, so the machinery is compiled
//! once and not once per kernel.

#[cfg(feature = "threads")]
mod team;

use std::ops::Range;

/// The number of elements of one chunk of cheap elementwise work: large enough that a task's cost does not show.
pub const GRAIN: usize = 16 * 1024;

/// Runs `f(0), f(1), …, f(tasks - 1)`, in any order and possibly at the same time.
pub fn for_each(tasks: usize, f: &(dyn Fn(usize) + Sync)) {
    #[cfg(feature = "threads")]
    if tasks > 1 {
        team::run(tasks, f);
        return;
    }
    (0..tasks).for_each(f);
}

/// Calls `f` with consecutive ranges of `grain` elements (the last may be shorter) that cover `0..len`.
pub fn for_each_chunk(len: usize, grain: usize, f: impl Fn(Range<usize>) + Sync) {
    let grain = grain.max(1);
    if len <= grain {
        if len > 0 {
            f(0..len);
        }
        return;
    }
    for_each(len.div_ceil(grain), &|i| {
        f(i * grain..len.min((i + 1) * grain));
    });
}

/// Calls `f(i, chunk)` with the `i`-th chunk of `chunk` elements of `data` (the last may be shorter).
pub fn for_each_chunk_mut<T: Send>(
    data: &mut [T],
    chunk: usize,
    f: impl Fn(usize, &mut [T]) + Sync,
) {
    let chunk = chunk.max(1);
    let len = data.len();
    if len <= chunk {
        if len > 0 {
            f(0, data);
        }
        return;
    }
    let shared = SharedMut::new(data);
    for_each(len.div_ceil(chunk), &|i| {
        // SAFETY: the ranges of different `i` do not overlap and lie inside `data`, which is borrowed for the call.
        let part = unsafe { shared.slice(i * chunk..len.min((i + 1) * chunk)) };
        f(i, part);
    });
}

/// `f(0), …, f(tasks - 1)` computed in any order, the results in order.
pub fn map<R: Send + Default + Clone>(tasks: usize, f: impl Fn(usize) -> R + Sync) -> Vec<R> {
    let mut out = vec![R::default(); tasks];
    for_each_chunk_mut(&mut out, 1, |i, slot| slot[0] = f(i));
    out
}

/// The number of threads work may be spread over now (1 without the feature `threads`).
pub fn threads() -> usize {
    #[cfg(feature = "threads")]
    return team::threads();
    #[cfg(not(feature = "threads"))]
    1
}

/// Sets how many threads work is spread over, for the whole process; before the first work.
///
/// Without it there are as many as `GRADUS_NUM_THREADS` (or `RAYON_NUM_THREADS`) says, else as cores. Results do not depend
/// on the number.
///
/// # Errors
/// If work has begun with another number.
pub fn set_threads(threads: usize) -> Result<(), String> {
    #[cfg(feature = "threads")]
    return team::set_default(threads);
    #[cfg(not(feature = "threads"))]
    if threads == 1 {
        Ok(())
    } else {
        Err("built without the feature `threads`: there is one".into())
    }
}

/// Runs `f`, whose work on this thread is spread over at most so many threads: for tests, and for servers that share a
/// machine.
///
/// ```
/// use gradus_cpu::parallel::{threads, with_threads};
/// assert_eq!(with_threads(1, threads), 1);
/// ```
pub fn with_threads<R>(threads: usize, f: impl FnOnce() -> R) -> R {
    #[cfg(feature = "threads")]
    return team::with_threads(threads, f);
    #[cfg(not(feature = "threads"))]
    {
        let _ = threads;
        f()
    }
}

/// A slice several threads write to, in parts that do not overlap.
pub(crate) struct SharedMut<'a, T> {
    ptr: *mut T,
    len: usize,
    lifetime: std::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: it only hands out `&mut` to parts its users promise not to overlap (see `slice`); `T: Send` may be
// written from another thread.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    pub(crate) fn new(data: &'a mut [T]) -> Self {
        Self {
            ptr: data.as_mut_ptr(),
            len: data.len(),
            lifetime: std::marker::PhantomData,
        }
    }

    /// # Safety
    /// No two slices alive at the same time may overlap.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: inside the borrowed slice by the assert, disjoint from others by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.add(range.start), range.len()) }
    }

    pub(crate) fn as_mut_ptr(&self) -> *mut T {
        self.ptr
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_everything_once() {
        for len in [0, 1, 7, 8, 9, 100] {
            for chunk in [0, 1, 3, 8, 1000] {
                let mut data = vec![0u8; len];
                for_each_chunk_mut(&mut data, chunk, |_, part| {
                    for x in part {
                        *x += 1;
                    }
                });
                assert!(data.iter().all(|&x| x == 1), "len {len} chunk {chunk}");
                let total = std::sync::atomic::AtomicUsize::new(0);
                for_each_chunk(len, chunk, |r| {
                    total.fetch_add(r.len(), std::sync::atomic::Ordering::Relaxed);
                });
                assert_eq!(total.into_inner(), len);
            }
        }
        assert_eq!(map(5, |i| i * i), [0, 1, 4, 9, 16]);
    }
}
