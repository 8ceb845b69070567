//! Reusable, 64-byte aligned scratch memory, one small pool a thread.
//!
//! Packing buffers and column buffers are needed for microseconds, thousands of times a second. A fresh allocation
//! would pay the page faults again every time (1.7 µs a page); a thread-local pool pays them once. A buffer is
//! *taken out* of the pool while it is used, so a thread that works on another task meanwhile (rayon steals) simply
//! takes another one.
//! What it is not: an allocator. What a buffer holds when taken is unspecified (but initialised) data.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::ptr::NonNull;

use gradus_simd::Float;

const ALIGN: usize = 64;
/// Buffers above this many bytes go back to the system when their user is done.
const KEEP_BYTES: usize = 32 << 20;
/// Buffers kept a thread.
const KEEP: usize = 6;

struct Block {
    ptr: NonNull<u8>,
    bytes: usize,
}

impl Block {
    fn new(bytes: usize) -> Self {
        let layout = Self::layout(bytes);
        // SAFETY: `bytes` is at least ALIGN, so the layout is not empty.
        let ptr = unsafe { alloc_zeroed(layout) };
        Self {
            ptr: NonNull::new(ptr).unwrap_or_else(|| handle_alloc_error(layout)),
            bytes,
        }
    }

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, ALIGN).expect("scratch sizes are bounded by their users")
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with the same layout.
        unsafe { dealloc(self.ptr.as_ptr(), Self::layout(self.bytes)) }
    }
}

thread_local! {
    static POOL: RefCell<Vec<Block>> = const { RefCell::new(Vec::new()) };
}

fn take(bytes: usize) -> Block {
    let found = POOL.with_borrow_mut(|pool| {
        let fits = (0..pool.len())
            .filter(|&i| pool[i].bytes >= bytes)
            .min_by_key(|&i| pool[i].bytes);
        fits.map(|i| pool.swap_remove(i))
    });
    // Sizes are rounded to powers of two, so that a pool of few buffers serves many shapes.
    found.unwrap_or_else(|| Block::new(bytes.max(4096).next_power_of_two()))
}

fn give_back(block: Block) {
    if block.bytes > KEEP_BYTES {
        return;
    }
    // The thread may be shutting down: then the block is freed.
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        pool.push(block);
        if pool.len() > KEEP {
            let smallest = (0..pool.len()).min_by_key(|&i| pool[i].bytes).unwrap_or(0);
            pool.swap_remove(smallest);
        }
    });
}

/// Calls `f` with `len` elements of unspecified contents, aligned to 64 bytes.
pub(crate) fn with<T: Float, R>(len: usize, f: impl FnOnce(&mut [T]) -> R) -> R {
    let block = take(len.max(1) * size_of::<T>());
    // SAFETY: the block holds `len` elements, is aligned above T's alignment, was zeroed when allocated and only ever
    // held floats since (any bits are a float); nobody else has it while it is out of the pool.
    let slice = unsafe { std::slice::from_raw_parts_mut(block.ptr.as_ptr().cast::<T>(), len) };
    let result = f(slice);
    give_back(block);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_buffers_are_distinct_aligned_and_reused() {
        let outer = with(1000, |a: &mut [f32]| {
            a.fill(1.0);
            with(1000, |b: &mut [f64]| {
                b.fill(2.0);
                assert_eq!(b.as_ptr() as usize % ALIGN, 0);
            });
            assert!(a.iter().all(|&x| x == 1.0));
            a.as_ptr() as usize
        });
        with(500, |a: &mut [f32]| assert_eq!(a.len(), 500));
        assert_eq!(outer % ALIGN, 0);
        with(0, |a: &mut [f32]| assert!(a.is_empty()));
    }
}
