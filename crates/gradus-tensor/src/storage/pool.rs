//! The reuse pool: freed blocks wait in lists by size class, so a training step allocates nothing after the first.
//!
//! Classes are 1, 1¼, 1½ and 1¾ times each power of two (at most a fifth is wasted). Each class has its own lock,
//! so threads rarely meet. The pool holds at most [`set_limit`] bytes; what does not fit goes back to the system.
//! Not a general allocator: only tensor buffers come here. The idea is PyTorch's caching allocator.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::error::{Error, Result};

/// Every buffer starts on a cache line, and on an AVX-512 vector.
const ALIGN: usize = 64;
/// What `alloc_zeroed` aligns to while still using the system's lazily zeroed pages.
const SYSTEM_ALIGN: usize = 16;
const CLASSES: usize = 4 * usize::BITS as usize;

static LISTS: [Mutex<Vec<Block>>; CLASSES] = [const { Mutex::new(Vec::new()) }; CLASSES];
static CACHED: AtomicUsize = AtomicUsize::new(0);
static LIMIT: AtomicUsize = AtomicUsize::new(1 << 30);
static LARGEST: AtomicUsize = AtomicUsize::new(usize::MAX);
static HITS: AtomicU64 = AtomicU64::new(0);
static MISSES: AtomicU64 = AtomicU64::new(0);

/// A block of initialised bytes, 64-byte aligned inside a slightly larger allocation. Length 0: no allocation.
pub(super) struct Block {
    base: NonNull<u8>,
    size: usize, // usable bytes: the size of its class, or what was asked for if `exact`
    exact: bool, // made while the pool was off: its allocation ends where it ends, and it never enters a list
}

// SAFETY: a block is plain memory with one owner.
unsafe impl Send for Block {}

impl Block {
    const EMPTY: Block = Block {
        base: NonNull::dangling(),
        size: 0,
        exact: false,
    };

    pub(super) fn ptr(&self) -> NonNull<u8> {
        if self.size == 0 {
            // Never read, but slices of length 0 still want an aligned address.
            return NonNull::new(std::ptr::without_provenance_mut(ALIGN))
                .unwrap_or(NonNull::dangling());
        }
        let skip = self.base.align_offset(ALIGN);
        // SAFETY: `skip` < ALIGN bytes, and the allocation has ALIGN bytes more than `size`; an exact one is aligned and `skip` 0.
        unsafe { self.base.add(skip) }
    }

    pub(super) fn take(&mut self) -> Block {
        std::mem::replace(self, Block::EMPTY)
    }

    fn layout(size: usize, exact: bool) -> Option<Layout> {
        if exact {
            return Layout::from_size_align(size, ALIGN).ok();
        }
        Layout::from_size_align(size.checked_add(ALIGN)?, SYSTEM_ALIGN).ok()
    }

    fn free(self) {
        if let (true, Some(layout)) = (self.size > 0, Block::layout(self.size, self.exact)) {
            // SAFETY: allocated in `take` with this layout.
            unsafe { dealloc(self.base.as_ptr(), layout) }
        }
    }
}

/// Class number and the class's size for a number of bytes.
fn class(bytes: usize) -> (usize, usize) {
    let bytes = bytes.max(ALIGN);
    let power = usize::BITS as usize - 1 - bytes.leading_zeros() as usize; // 2^power <= bytes
    let quarter = 1usize << (power - 2);
    let steps = (bytes - (1 << power)).div_ceil(quarter); // 0..=4
    (
        (power * 4 + steps).min(CLASSES - 1),
        (1usize << power) + steps * quarter,
    )
}

/// The largest single buffer worth asking for: all of the machine's memory, when it can be known, or less if so set.
fn largest() -> usize {
    static BYTES: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    let machine = *BYTES.get_or_init(|| {
        let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kib = info.lines().find_map(|l| {
            l.strip_prefix("MemTotal:")?
                .trim()
                .strip_suffix(" kB")?
                .parse::<usize>()
                .ok()
        });
        // A container may be given less than the machine has.
        let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
            .ok()
            .and_then(|s| s.trim().parse().ok());
        kib.and_then(|k| k.checked_mul(1024))
            .map_or(isize::MAX as usize / 2, |m| {
                m.min(group.unwrap_or(usize::MAX))
            })
    });
    machine.min(LARGEST.load(Relaxed))
}

/// `n` copies of a value outside the pool, for an op's own bookkeeping: an error where `vec!` would abort.
pub(crate) fn try_vec<T: Copy>(op: &'static str, value: T, n: usize) -> Result<Vec<T>> {
    let mut out = Vec::new();
    let fits = n
        .checked_mul(size_of::<T>())
        .is_some_and(|bytes| bytes <= largest());
    if !fits || out.try_reserve_exact(n).is_err() {
        return Err(Error::memory(
            op,
            format!("{n} numbers do not fit in memory"),
        ));
    }
    out.resize(n, value);
    Ok(out)
}

/// An error if so many bytes are more than one allocation may have.
pub(crate) fn check_fits(op: &'static str, bytes: usize) -> Result<()> {
    if bytes <= largest() {
        return Ok(());
    }
    Err(Error::memory(
        op,
        format!("{bytes} bytes are more memory than the machine can give"),
    ))
}

/// A block of at least `bytes`, zero if asked.
pub(super) fn take(bytes: usize, zeroed: bool) -> Result<Block> {
    if bytes == 0 {
        return Ok(Block::EMPTY);
    }
    let fail = || {
        Error::memory(
            "alloc",
            format!("cannot allocate {bytes} bytes; this is more memory than the machine can give"),
        )
    };
    if bytes > largest() {
        return Err(fail());
    }
    let exact = LIMIT.load(Relaxed) == 0;
    let (class, mut size) = class(bytes);
    if exact {
        size = bytes;
    }
    let cached = if exact { None } else { lock(class).pop() };
    if let Some(block) = cached {
        HITS.fetch_add(1, Relaxed);
        CACHED.fetch_sub(block.size, Relaxed);
        if zeroed {
            // SAFETY: the block has `size` >= `bytes` bytes from its aligned start.
            unsafe { block.ptr().write_bytes(0, bytes) };
        }
        return Ok(block);
    }
    MISSES.fetch_add(1, Relaxed);
    let layout = Block::layout(size, exact).ok_or_else(fail)?;
    // SAFETY: the layout has a size above 0.
    let mut base = NonNull::new(unsafe { alloc_zeroed(layout) });
    if base.is_none() {
        clear(); // give the pool's own hoard back and try once more
        // SAFETY: as above.
        base = NonNull::new(unsafe { alloc_zeroed(layout) });
    }
    Ok(Block {
        base: base.ok_or_else(fail)?,
        size,
        exact,
    })
}

/// Takes a block back; the pool keeps it if there is room.
pub(super) fn give(block: Block) {
    if block.size == 0 {
        return;
    }
    if block.exact {
        block.free();
        return;
    }
    if CACHED.fetch_add(block.size, Relaxed) + block.size > LIMIT.load(Relaxed) {
        CACHED.fetch_sub(block.size, Relaxed);
        block.free();
        return;
    }
    lock(class(block.size).0).push(block);
}

fn lock(class: usize) -> std::sync::MutexGuard<'static, Vec<Block>> {
    LISTS[class]
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What the pool did so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStats {
    /// Bytes waiting for reuse.
    pub cached: usize,
    /// Buffers served from the pool.
    pub hits: u64,
    /// Buffers asked from the system.
    pub misses: u64,
}

/// What the pool holds and how often it helped.
#[must_use]
pub fn stats() -> PoolStats {
    PoolStats {
        cached: CACHED.load(Relaxed),
        hits: HITS.load(Relaxed),
        misses: MISSES.load(Relaxed),
    }
}

/// Sets the largest buffer one tensor may ask for, in bytes; a larger one is an error. At first that is all of the machine's
/// memory (or the container's). A server that computes with sizes from outside wants less.
///
/// ```
/// use gradus_tensor::{DType, Tensor, set_allocation_limit};
/// set_allocation_limit(1 << 20);
/// assert!(Tensor::zeros([1 << 20], DType::F32).is_err()); // 4 MiB
/// set_allocation_limit(usize::MAX);
/// assert!(Tensor::zeros([1 << 20], DType::F32).is_ok());
/// ```
pub fn set_largest(bytes: usize) {
    LARGEST.store(bytes, Relaxed);
}

/// Sets how many bytes may wait for reuse (1 GiB at first); 0 turns the pool off. Each buffer is then an allocation of its
/// exact size, so that a memory checker sees a step beyond its end.
pub fn set_limit(bytes: usize) {
    LIMIT.store(bytes, Relaxed);
    if CACHED.load(Relaxed) > bytes {
        clear();
    }
}

/// Gives every waiting block back to the system.
pub fn clear() {
    for class in 0..CLASSES {
        let blocks = std::mem::take(&mut *lock(class));
        for block in blocks {
            CACHED.fetch_sub(block.size, Relaxed);
            block.free();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_what_they_are_asked_and_round_trip() {
        for bytes in (1..5000).chain([1 << 20, (1 << 20) + 1, usize::MAX >> 2]) {
            let (c, size) = class(bytes);
            assert!(
                size >= bytes && (bytes < 64 || size - bytes <= size / 4),
                "{bytes} -> {size}"
            );
            assert_eq!(class(size), (c, size), "{bytes}");
        }
    }

    #[test]
    fn blocks_are_aligned_zeroed_and_absurd_sizes_fail() {
        let block = take(1000, true).unwrap();
        assert_eq!(block.ptr().as_ptr() as usize % ALIGN, 0);
        // SAFETY: 1000 bytes were asked for, initialised.
        let bytes = unsafe { std::slice::from_raw_parts_mut(block.ptr().as_ptr(), 1000) };
        assert!(bytes.iter().all(|&b| b == 0));
        bytes.fill(7);
        give(block);
        assert!(take(isize::MAX as usize - 5000, false).is_err());
        // An exact block, as while the pool is off.
        let layout = Block::layout(1001, true).unwrap();
        // SAFETY: the layout has a size above 0.
        let base = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
        let block = Block {
            base,
            size: 1001,
            exact: true,
        };
        assert_eq!(block.ptr(), base);
        give(block);
    }
}
