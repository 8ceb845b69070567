//! Reusable, 64-byte aligned scratch memory, one small pool a thread.
//!
//! Packing buffers and column buffers are needed for microseconds, thousands of times a second. A fresh allocation
//! would pay the page faults again every time (1.7 µs a page); a thread-local pool pays them once. A buffer is
//! *taken out* of the pool while it is used, so a thread that works on another task meanwhile (work inside work) simply
//! takes another one.
//! What it is not: an allocator. What a buffer holds when taken is unspecified (but initialised) data.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
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

/// `len` elements, aligned to 64 bytes. They go back to the pool when dropped.
pub(crate) struct Buffer<T> {
    block: Option<Block>,
    len: usize,
    element: PhantomData<T>,
}

/// A buffer of `len` elements of unspecified contents.
pub(crate) fn buffer<T: Float>(len: usize) -> Buffer<T> {
    let block = (len > 0).then(|| take(len * size_of::<T>()));
    Buffer {
        block,
        len,
        element: PhantomData,
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            give_back(block);
        }
    }
}

impl<T: Float> Deref for Buffer<T> {
    type Target = [T];
    #[inline]
    fn deref(&self) -> &[T] {
        let ptr = self
            .block
            .as_ref()
            .map_or(NonNull::dangling(), |block| block.ptr.cast());
        // SAFETY: the block holds `len` elements, is aligned above T's alignment, was zeroed when allocated and only ever held
        // floats since (any bits are a float); nobody else has it while it is out of the pool.
        unsafe { std::slice::from_raw_parts(ptr.as_ptr(), self.len) }
    }
}

impl<T: Float> DerefMut for Buffer<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        let ptr = self
            .block
            .as_ref()
            .map_or(NonNull::dangling(), |block| block.ptr.cast());
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(ptr.as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_distinct_aligned_and_reused() {
        let mut a = buffer::<f32>(1000);
        a.fill(1.0);
        let mut b = buffer::<f64>(1000);
        b.fill(2.0);
        assert_eq!(
            (a.as_ptr() as usize % ALIGN, b.as_ptr() as usize % ALIGN),
            (0, 0)
        );
        assert!(a.iter().all(|&x| x == 1.0));
        let first = a.as_ptr();
        drop(a);
        let again = buffer::<f32>(900);
        assert_eq!((again.as_ptr(), again.len()), (first, 900));
        assert!(buffer::<f32>(0).is_empty());
    }
}
