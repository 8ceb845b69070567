//! Large outputs, stored past the cache.
//!
//! A store to a line that is not in the cache reads the line first: an addition of two arrays moves four arrays instead of
//! three, and pushes out what others need. So a block is computed into a buffer in L1, and goes from there to memory with stores
//! that ask for nothing. Roofline: y = a + b over 8M numbers moves 96 MiB instead of 128; one more pass over L1 (100 GB/s and
//! more) hides behind memory (20 GB/s).

use crate::Element;
use crate::source::BLOCK;
use gradus_simd::{Float, FloatVec, Isa, Kernel, dispatch, last_level_cache};

/// Bytes a streamed output is aligned to: the widest vector.
const ALIGN: usize = 64;

/// Outputs of at least so many bytes: a quarter of the last cache, which others use too, or more than two second-level caches hold.
fn from() -> usize {
    const LEAST: usize = 4 << 20;
    let cache = if cfg!(test) { None } else { last_level_cache() };
    LEAST.max(cache.unwrap_or(0) / 4)
}

/// Whether `y` is stored this way: large, and whole lines of 4- or 8-byte numbers, as the pool hands them out.
pub(super) fn pays<U: Element>(y: &[U]) -> bool {
    size_of_val(y) >= from()
        && matches!(size_of::<U>(), 4 | 8)
        && (y.as_ptr() as usize).is_multiple_of(ALIGN)
}

/// Runs the kernel over the `n` elements at `out`, aligned to [`ALIGN`], a block at a time by way of a buffer.
pub(super) fn blocks<T: Element, U: Element, const K: usize>(
    operands: [*const T; K],
    out: *mut U,
    n: usize,
    kernel: &dyn Fn([*const T; K], *mut U, usize) -> bool,
) -> bool {
    let mut buffer = [U::ZERO; BLOCK];
    let mut good = true;
    for start in (0..n).step_by(BLOCK) {
        let m = BLOCK.min(n - start);
        // SAFETY: `start + m <= n`, for which the pointers are valid.
        let at = operands.map(|x| unsafe { x.add(start) });
        if start + m < n {
            dispatch(Ahead(
                at.map(|x| x.wrapping_add(m).cast::<u8>()),
                m * size_of::<T>(),
            ));
        }
        good &= kernel(at, buffer.as_mut_ptr(), m);
        let words = m * size_of::<U>() / size_of::<f32>();
        dispatch(Store {
            from: buffer.as_ptr().cast(),
            // SAFETY: as above.
            to: unsafe { out.add(start) }.cast(),
            words,
        });
    }
    dispatch(Fence);
    good
}

/// Asks for the next block of each operand, so many bytes, while this one is computed.
struct Ahead<const K: usize>([*const u8; K], usize);

impl<const K: usize> Kernel for Ahead<K> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        for x in self.0 {
            for line in (0..self.1).step_by(64) {
                isa.prefetch(x.wrapping_add(line));
            }
        }
    }
}

/// Moves words of 4 bytes, whatever they mean, from a buffer to aligned memory.
struct Store {
    from: *const f32,
    to: *mut f32,
    words: usize,
}

impl Kernel for Store {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let lanes = <f32 as Float>::V::<S>::LANES;
        let mut i = 0;
        // SAFETY: `i + lanes <= words`, for which both are valid; `to` begins on a line, so every vector is aligned.
        unsafe {
            while i + lanes <= self.words {
                <f32 as Float>::V::<S>::load_ptr(isa, self.from.add(i)).stream_ptr(self.to.add(i));
                i += lanes;
            }
            let rest = self.words - i;
            if rest > 0 {
                <f32 as Float>::V::<S>::load_tail_ptr(isa, self.from.add(i), rest, 0.0)
                    .store_tail_ptr(self.to.add(i), rest);
            }
        }
    }
}

/// Makes what was stored past the cache visible before other threads are told of it.
struct Fence;

impl Kernel for Fence {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        isa.fence();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::View;
    use crate::elementwise::{BinaryOp, binary};

    fn add<T: Element>(a: &[T], b: &[T], y: &mut [T]) {
        let shape = [y.len()];
        let view = |x| View::contiguous(x, &shape).unwrap();
        binary(BinaryOp::Add, view(a), view(b), y).unwrap();
    }

    #[test]
    fn large_outputs_hold_what_small_ones_do() {
        // Long enough to be streamed, with a tail, in two types; the same sums in pieces that are not.
        fn check<T: Element>() {
            let n = from() / size_of::<T>() + 777;
            let number = |i: usize, k: usize| <T as Element>::from_f64((i * k % 1013) as f64);
            let a: Vec<T> = (0..n).map(|i| number(i, 7)).collect();
            let b: Vec<T> = (0..n).map(|i| number(i, 11)).collect();
            // A place that begins on a line, wherever the vector begins.
            let mut y = vec![T::ZERO; n + ALIGN];
            let skip = y.as_ptr().align_offset(ALIGN);
            let y = &mut y[skip..skip + n];
            assert!(pays(y));

            add(&a, &b, y);
            let mut piece = [T::ZERO; 1000];
            for start in (0..n).step_by(1000) {
                let m = 1000.min(n - start);
                let part = |x: &[T]| x[start..start + m].to_vec();
                let (a, b) = (part(&a), part(&b));
                let piece = &mut piece[..m];
                add(&a, &b, piece);
                assert!(y[start..start + m] == *piece, "from {start}");
            }
        }
        check::<f32>();
        check::<f64>();
        check::<i32>();
    }
}
