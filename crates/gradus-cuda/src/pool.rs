//! The device's memory: a pool that keeps what is given back.
//!
//! Asking the driver for memory takes as long as a kernel, so blocks that are dropped are kept and reused. With one stream that
//! needs no waiting: whoever gets the block puts its work behind the work of whoever had it. When the device is full, everything
//! that is kept goes back to the driver and the question is asked again (PyTorch's allocator does the same).
//! `GRADUS_CUDA_ALLOCATOR=exact` keeps nothing and rounds nothing, so that a memory checker sees every buffer's end.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use cudarc::driver::{result, sys};

use crate::device::check;
use crate::event::Mark;
use crate::graph::Arena;
use crate::{Error, Result};

/// Sizes are multiples of this, up to [`LARGE`].
const SMALL_STEP: usize = 512;
/// From here on sizes are multiples of it.
const LARGE: usize = 2 << 20;
/// So many blocks for copies ahead wait at most for what still reads them, before one of them is reused.
const AHEAD: usize = 8;

/// Blocks kept for reuse, and numbers.
pub(crate) struct Pool {
    free: Free,
    /// Blocks that `Device::upload_ahead` wrote, each with the mark behind its last use.
    ahead: Vec<(sys::CUdeviceptr, usize, Mark)>,
    /// The graphs that use blocks from outside of their arenas: these are not reused while a graph is there.
    watched: HashMap<sys::CUdeviceptr, Vec<Weak<Arena>>>,
    pub(crate) exact: bool,
    stats: MemoryStats,
}

/// What the allocator has and gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryStats {
    /// Bytes in buffers.
    pub used: usize,
    /// Bytes had from the driver: in buffers, or kept for reuse.
    pub reserved: usize,
    /// The most `used` ever was.
    pub peak: usize,
    /// Requests.
    pub requests: u64,
    /// Requests the driver was asked for; the others were served from what was kept.
    pub driver_requests: u64,
}

/// Free blocks by size.
#[derive(Debug, Default)]
pub(crate) struct Free(BTreeMap<usize, Vec<sys::CUdeviceptr>>);

impl Free {
    pub(crate) fn put(&mut self, block: sys::CUdeviceptr, size: usize) {
        self.0.entry(size).or_default().push(block);
    }

    /// A block of at least `size` bytes that wastes at most as much again.
    pub(crate) fn take(&mut self, size: usize) -> Option<(sys::CUdeviceptr, usize)> {
        let (&found, blocks) = self.0.range_mut(size..=size.saturating_mul(2)).next()?;
        let block = blocks.pop()?;
        if blocks.is_empty() {
            self.0.remove(&found);
        }
        Some((block, found))
    }
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self {
            free: Free::default(),
            ahead: Vec::new(),
            watched: HashMap::new(),
            exact: std::env::var_os("GRADUS_CUDA_ALLOCATOR").is_some_and(|v| v == "exact"),
            stats: MemoryStats::default(),
        }
    }

    pub(crate) fn rounded(&self, bytes: usize) -> usize {
        match bytes {
            _ if self.exact => bytes,
            0..LARGE => bytes.next_multiple_of(SMALL_STEP),
            _ => bytes.checked_next_multiple_of(LARGE).unwrap_or(bytes),
        }
    }

    /// A block of at least `bytes` bytes, and its size, in order with the device's stream. The context is bound.
    pub(crate) fn allocate(&mut self, bytes: usize) -> Result<(sys::CUdeviceptr, usize)> {
        let size = self.rounded(bytes);
        self.stats.requests += 1;
        let found = self.free.take(size);
        let (block, size) = found.map_or_else(|| self.ask(bytes, size), Ok)?;
        self.count(size);
        Ok((block, size))
    }

    /// The same for the stream of copies, which is to wait for the mark.
    pub(crate) fn allocate_ahead(
        &mut self,
        bytes: usize,
    ) -> Result<(sys::CUdeviceptr, usize, Option<Mark>)> {
        let size = self.rounded(bytes);
        self.stats.requests += 1;
        let fits = |&(_, s, _): &(_, usize, _)| (size..=size.saturating_mul(2)).contains(&s);
        let mut found = (self.ahead.iter()).position(|b| fits(b) && b.2.is_over());
        if found.is_none() && self.ahead.iter().filter(|b| fits(b)).count() >= AHEAD {
            found = self.ahead.iter().position(fits); // the oldest
        }
        let (block, size, mark) = match found.map(|at| self.ahead.remove(at)) {
            Some((block, size, mark)) => (block, size, Some(mark)),
            None => {
                let (block, size) = self.ask(bytes, size)?;
                (block, size, None)
            }
        };
        self.count(size);
        Ok((block, size, mark))
    }

    fn count(&mut self, size: usize) {
        self.stats.used += size;
        self.stats.peak = self.stats.peak.max(self.stats.used);
    }

    /// A block from the driver.
    fn ask(&mut self, bytes: usize, size: usize) -> Result<(sys::CUdeviceptr, usize)> {
        self.stats.driver_requests += 1;
        // SAFETY: the size is above 0 (the caller's), the context is bound.
        let ask = || unsafe { result::malloc_sync(size) };
        let full = |e: &result::DriverError| e.0 == sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY;
        let mut block = ask();
        if block.as_ref().is_err_and(full) && !(self.free.0.is_empty() && self.ahead.is_empty()) {
            self.trim();
            block = ask();
        }
        if block.as_ref().is_err_and(full) {
            let (free, total) = result::mem_get_info().unwrap_or((0, 0));
            return Err(Error::OutOfMemory {
                wanted: bytes,
                free,
                total,
            });
        }
        self.stats.reserved += size;
        Ok((check("cuMemAlloc", block)?, size))
    }

    /// Takes a block back.
    pub(crate) fn give_back(&mut self, block: sys::CUdeviceptr, size: usize) {
        self.stats.used -= size;
        self.free.put(block, size);
        if self.exact {
            self.trim();
        }
    }

    /// Takes a block back that the stream of copies may write again after the mark.
    pub(crate) fn give_back_ahead(&mut self, block: sys::CUdeviceptr, size: usize, mark: Mark) {
        self.stats.used -= size;
        self.ahead.push((block, size, mark));
    }

    pub(crate) fn stats(&self) -> MemoryStats {
        self.stats
    }

    /// The graphs that a block stays for, which are noted no more.
    pub(crate) fn watchers(&mut self, block: sys::CUdeviceptr) -> Vec<Arc<Arena>> {
        let watchers = self.watched.remove(&block).unwrap_or_default();
        watchers.iter().filter_map(Weak::upgrade).collect()
    }

    /// Has a block stay while this graph is there.
    pub(crate) fn watch(&mut self, block: sys::CUdeviceptr, arena: &Arc<Arena>) {
        let watchers = self.watched.entry(block).or_default();
        watchers.retain(|w| w.strong_count() > 0);
        if !watchers.iter().any(|w| w.as_ptr() == Arc::as_ptr(arena)) {
            watchers.push(Arc::downgrade(arena));
        }
    }

    /// Gives everything that is kept back to the driver, which waits for the work that uses it.
    pub(crate) fn trim(&mut self) {
        let free = std::mem::take(&mut self.free.0);
        let free = free
            .into_iter()
            .flat_map(|(size, blocks)| blocks.into_iter().map(move |b| (b, size)));
        let ahead = std::mem::take(&mut self.ahead);
        for (block, size) in free.chain(ahead.into_iter().map(|(block, size, _)| (block, size))) {
            self.stats.reserved -= size;
            // SAFETY: a free block of ours. `cuMemFree` waits for the device.
            let _ = unsafe { result::free_sync(block) };
        }
    }
}
