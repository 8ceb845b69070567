//! The reuse pool: freed blocks wait in lists by size class, so a training step allocates nothing after the first.
//!
//! Classes are 1, 1¼, 1½ and 1¾ times each power of two (at most a fifth is wasted). Each class has its own lock,
//! so threads rarely meet; small blocks wait with their thread, without one. Large blocks have no classes: they are cut from
//! `segments.rs`. The pool holds at most [`set_limit`] bytes; what does not fit goes back to the system, of large blocks once nothing
//! of their segment is in use.
//! Not a general allocator: only tensor buffers come here. The idea is PyTorch's caching allocator.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::RefCell;
use std::ptr::NonNull;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::segments;
use crate::error::{Error, Result};

/// Every buffer starts on a cache line, and on an AVX-512 vector.
const ALIGN: usize = 64;
/// What `alloc_zeroed` aligns to while still using the system's lazily zeroed pages.
const SYSTEM_ALIGN: usize = 16;
/// Blocks of at least so many bytes are cut from segments.
const LARGE: usize = 256 << 10;
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
    size: usize, // usable bytes: the size of its class, whole pages if it is large, or what was asked for if `exact`
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
        // SAFETY: `skip` < `ALIGN` bytes, and the allocation has so many bytes more than `size`; exact and large ones are aligned,
        // and `skip` 0.
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

    fn is_large(&self) -> bool {
        self.size >= LARGE && !self.exact
    }

    /// Back to the system. Not for large ones, which are parts of segments.
    fn free(self) {
        debug_assert!(!self.is_large());
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
    if size >= LARGE && !exact {
        return take_large(bytes, zeroed).ok_or_else(fail);
    }
    if exact {
        size = bytes;
    }
    let near = if exact { None } else { Near::take(class, size) };
    let far = || {
        let block = lock(class).pop()?;
        HITS.fetch_add(1, Relaxed);
        CACHED.fetch_sub(block.size, Relaxed);
        Some(block)
    };
    let cached = if exact { None } else { near.or_else(far) };
    if let Some(block) = cached {
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
    let block = Block {
        base: base.ok_or_else(fail)?,
        size,
        exact,
    };
    Ok(block)
}

/// The same for a large one, of [`LARGE`] bytes at least, by which it is known; `None` if the system has no memory.
fn take_large(bytes: usize, zeroed: bool) -> Option<Block> {
    let bytes = bytes.max(LARGE);
    let piece = if let Some(piece) = segments::take(bytes) {
        HITS.fetch_add(1, Relaxed);
        piece
    } else {
        MISSES.fetch_add(1, Relaxed);
        // A pool of little room is not filled by the rest of one segment.
        let most = LIMIT.load(Relaxed) / 32;
        segments::take_new(bytes, most).or_else(|| {
            clear();
            segments::take_new(bytes, 0)
        })?
    };
    if zeroed && !piece.fresh {
        // SAFETY: the piece has at least `bytes` bytes.
        unsafe { piece.ptr.write_bytes(0, bytes) };
    }
    Some(Block {
        base: piece.ptr,
        size: piece.size,
        exact: false,
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
    if block.is_large() {
        let limit = LIMIT.load(Relaxed).saturating_sub(CACHED.load(Relaxed));
        segments::give(block.base, block.size, limit);
        return;
    }
    if let Some(block) = Near::give(block) {
        give_far(block);
    }
}

/// The same, to the lists all threads share.
fn give_far(block: Block) {
    let cached = CACHED.fetch_add(block.size, Relaxed) + block.size;
    if cached + segments::waiting() > LIMIT.load(Relaxed) {
        CACHED.fetch_sub(block.size, Relaxed);
        block.free();
        return;
    }
    lock(class(block.size).0).push(block);
}

/// Small blocks, a few of each class, that wait with the thread that gave them back: no lock, no count that threads share.
struct Near {
    lists: [Vec<Block>; NEAR_CLASSES],
    bytes: usize,
    hits: u64,
}

/// Classes up to 64 KiB.
const NEAR_CLASSES: usize = 4 * 16 + 1;
/// Blocks of a class that wait with a thread.
const NEAR_BLOCKS: usize = 8;

thread_local! {
    static NEAR: RefCell<Near> = const {
        RefCell::new(Near { lists: [const { Vec::new() }; NEAR_CLASSES], bytes: 0, hits: 0 })
    };
}

impl Near {
    /// A block of the class, if one waits here.
    fn take(class: usize, size: usize) -> Option<Block> {
        if class >= NEAR_CLASSES {
            return None;
        }
        // A thread that ends has none.
        let take = |near: &RefCell<Near>| {
            let mut near = near.borrow_mut();
            let block = near.lists[class].pop()?;
            near.bytes -= size;
            near.hits += 1;
            Some(block)
        };
        NEAR.try_with(take).ok().flatten()
    }

    /// Keeps the block, or gives it back if there is no room.
    fn give(block: Block) -> Option<Block> {
        let class = class(block.size).0;
        if class >= NEAR_CLASSES || LIMIT.load(Relaxed) == 0 {
            return Some(block);
        }
        let mut block = Some(block);
        let _ = NEAR.try_with(|near| {
            let mut near = near.borrow_mut();
            if near.lists[class].len() < NEAR_BLOCKS {
                near.bytes += block.as_ref().map_or(0, |b| b.size);
                near.lists[class].extend(block.take());
            }
        });
        block
    }

    /// Empties the lists into `to`.
    fn empty(&mut self, to: impl Fn(Block)) {
        self.bytes = 0;
        for list in &mut self.lists {
            list.drain(..).for_each(&to);
        }
    }
}

/// What waits with a thread that ends goes to those that go on.
impl Drop for Near {
    fn drop(&mut self) {
        self.empty(give_far);
    }
}

fn lock(class: usize) -> std::sync::MutexGuard<'static, Vec<Block>> {
    LISTS[class]
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What the pool did so far, for all threads; of what waits with a single thread (small blocks), for the one that asks.
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
    let (bytes, hits) = NEAR.with_borrow(|near| (near.bytes, near.hits));
    PoolStats {
        cached: CACHED.load(Relaxed) + segments::waiting() + bytes,
        hits: HITS.load(Relaxed) + hits,
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
    if stats().cached > bytes {
        clear();
    }
}

/// Gives what waits back to the system, but for small blocks that wait with other threads, and parts of segments in use.
pub fn clear() {
    segments::clear();
    NEAR.with_borrow_mut(|near| near.empty(Block::free));
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
    fn large_blocks_are_zeroed_and_cut_anew() {
        // Just under the border, classes would round up beyond it.
        let sizes = [LARGE - 4096, LARGE - 1, LARGE, LARGE + 12345];
        for size in sizes.into_iter().chain(sizes) {
            let block = take(size, true).unwrap();
            assert!(block.size >= size && block.is_large());
            assert_eq!(block.ptr().as_ptr() as usize % ALIGN, 0);
            // SAFETY: so many bytes were asked for, initialised.
            let bytes = unsafe { std::slice::from_raw_parts_mut(block.ptr().as_ptr(), size) };
            assert!(bytes.iter().all(|&b| b == 0), "{size}");
            bytes.fill(7);
            give(block);
        }
        let below = take(LARGE * 3 / 4, false).unwrap();
        assert!(!below.is_large());
        give(below);
        clear();
    }

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
