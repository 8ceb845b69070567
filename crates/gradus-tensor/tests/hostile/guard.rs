//! An allocator that refuses what no call may ask for, and says which operation asked.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write;

/// More than any call here needs: tensors are limited to [`TENSOR`] bytes, and nothing beside them should be larger.
const LIMIT: usize = 256 << 20;

/// The limit given to `set_allocation_limit`.
pub const TENSOR: usize = 4 << 20;

thread_local! {
    /// The operation this thread is calling.
    pub static CALLING: Cell<&'static str> = const { Cell::new("an unknown operation") };
}

struct Guard;

#[global_allocator]
static GUARD: Guard = Guard;

fn refuse(bytes: usize) -> bool {
    if bytes <= LIMIT {
        return false;
    }
    let name = CALLING.try_with(Cell::get).unwrap_or("a thread's end");
    let mut err = std::io::stderr();
    for part in [name, ": asked for more memory than any call may\n"] {
        let _ = err.write_all(part.as_bytes());
    }
    let _ = writeln!(err, "{}", std::backtrace::Backtrace::force_capture());
    true
}

// SAFETY: the system's allocator, or null, which every caller must expect.
unsafe impl GlobalAlloc for Guard {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if refuse(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: passed on as it came.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if refuse(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: passed on as it came.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if refuse(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: passed on as it came.
        unsafe { System.realloc(ptr, layout, size) }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: passed on as it came.
        unsafe { System.dealloc(ptr, layout) }
    }
}
