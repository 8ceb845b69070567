//! From the host to the device without anybody waiting: page-locked memory that copies go through, and a second stream for copies.
//!
//! Of ordinary memory the driver copies itself, piece by piece, and the caller waits for it. So data is copied into page-locked blocks first,
//! which the device reads by itself; a block goes back to its pool with a mark, and is written again when the device has passed it.
//!
//! [`Device::upload_ahead`] copies on the second stream, beside the kernels (PyTorch's `pin_memory` and `non_blocking`). Two orders must
//! then be kept, since a block of the pool is only in order with the first stream:
//! * the kernels that read the copy come after it: a buffer whose copy is under way carries a mark, and the first stream waits for it before
//!   anybody learns the buffer's address ([`Buffer::address`], which all work goes through);
//! * the copy comes after the kernels that read what was there before: its memory never comes from what the first stream gave back, but from
//!   blocks of its own, each with a mark put on the first stream when its buffer was dropped; the copy waits for that mark.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, Ordering};

use cudarc::driver::{result, sys};

use crate::device::{check, lock};
use crate::event::Mark;
use crate::memory::Home;
use crate::{Buffer, Device, Element, Error, Result};

/// Copies of fewer bytes are left to the driver, which takes as much at once and lets the caller go.
const STAGED: usize = 64 << 10;
/// The most bytes copied by way of one block.
const PIECE: usize = 4 << 20;
/// The most bytes of blocks: from there on, whoever wants one waits for the oldest.
const MOST: usize = 64 << 20;

/// A page-locked block of host memory. Dropped, it goes back to the pool.
pub(crate) struct PinnedBlock {
    device: Device,
    memory: Memory,
}

/// Its memory, and the mark behind the last copy from it.
struct Memory {
    start: NonNull<u8>,
    size: usize,
    busy: Option<Mark>,
}

// SAFETY: the memory is owned, and marks may be used from any thread.
unsafe impl Send for Memory {}
// SAFETY: as above; it is written through `&mut` only.
unsafe impl Sync for Memory {}

/// Blocks that are not in anybody's hands; the device may still read some.
#[derive(Default)]
pub(crate) struct Pinned {
    free: Vec<Memory>,
    /// Bytes of all blocks, also of those that are out.
    total: usize,
}

impl Pinned {
    /// Gives all free blocks back to the driver, which waits for what reads them.
    pub(crate) fn trim(&mut self) {
        for memory in self.free.drain(..) {
            self.total -= memory.size;
            // SAFETY: had from `malloc_host`, and in nobody's hands.
            let _ = unsafe { result::free_host(memory.start.as_ptr().cast()) };
        }
    }
}

impl PinnedBlock {
    /// A block of at least `bytes` bytes. The context is bound.
    pub(crate) fn take(device: &Device, bytes: usize) -> Result<Self> {
        let size = bytes.max(STAGED).next_power_of_two();
        let mut pinned = lock(&device.0.pinned);
        let fits = |m: &Memory| m.size == size;
        let idle = |m: &Memory| fits(m) && m.busy.as_ref().is_none_or(Mark::is_over);
        let mut found = pinned.free.iter().position(idle);
        if found.is_none() && pinned.total + size > MOST {
            found = pinned.free.iter().position(fits); // the one that was given back first
        }
        let memory = match found {
            Some(at) => pinned.free.remove(at),
            None => {
                // SAFETY: of more than 0 bytes, written before it is read.
                let start = check("cuMemHostAlloc", unsafe { result::malloc_host(size, 0) })?;
                let start = NonNull::new(start.cast::<u8>());
                pinned.total += size;
                Memory {
                    start: start
                        .ok_or_else(|| Error::shape("cuMemHostAlloc", "no memory was given"))?,
                    size,
                    busy: None,
                }
            }
        };
        drop(pinned);
        let device = device.clone();
        let mut block = Self { device, memory };
        if let Some(busy) = block.memory.busy.take()
            && !busy.is_over()
        {
            busy.synchronize()?;
        }
        Ok(block)
    }

    pub(crate) fn size(&self) -> usize {
        self.memory.size
    }

    /// Writes `bytes` at an offset, from where they may be copied until `self` is dropped.
    pub(crate) fn put(&mut self, at: usize, bytes: &[u8]) -> &[u8] {
        assert!(at <= self.memory.size && bytes.len() <= self.memory.size - at);
        // SAFETY: within the block, which `self` owns; the device reads it no more (`take`), or reads other bytes of it (`Arena`).
        unsafe {
            let to = self.memory.start.as_ptr().add(at);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
            std::slice::from_raw_parts(to, bytes.len())
        }
    }

    /// Gives it back when what is on the stream has read it. Without a mark it is lost, rather than written under the device's hands.
    pub(crate) fn give_back_after(mut self, stream: sys::CUstream) -> Result<()> {
        match Mark::after(stream) {
            Ok(mark) => self.memory.busy = Some(mark),
            Err(error) => {
                std::mem::forget(self);
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Drop for PinnedBlock {
    fn drop(&mut self) {
        let memory = Memory {
            start: self.memory.start,
            size: self.memory.size,
            busy: self.memory.busy.take(),
        };
        let mut pinned = lock(&self.device.0.pinned);
        if memory.size <= PIECE {
            pinned.free.push(memory);
            return;
        }
        pinned.total -= memory.size;
        drop(pinned);
        if self.device.0.bind_now().is_ok() {
            // SAFETY: had from `malloc_host`; the driver waits for what reads it.
            let _ = unsafe { result::free_host(memory.start.as_ptr().cast()) };
        }
    }
}

impl Device {
    /// Puts a copy of `bytes` to `to` on a stream; they may be changed when it returns.
    ///
    /// # Safety
    /// The context is bound; `to` is device memory of as many bytes that nothing out of order with the stream uses.
    pub(crate) unsafe fn stage(
        &self,
        to: sys::CUdeviceptr,
        bytes: &[u8],
        stream: sys::CUstream,
    ) -> Result<()> {
        // SAFETY: the caller's; of ordinary memory the driver has taken its copy when the call returns.
        let copy = |to, bytes: &[u8]| unsafe { result::memcpy_htod_async(to, bytes, stream) };
        if bytes.len() < STAGED {
            return check("cuMemcpyHtoDAsync", copy(to, bytes));
        }
        for (i, piece) in bytes.chunks(PIECE).enumerate() {
            let mut block = PinnedBlock::take(self, piece.len())?;
            let copied = copy(to + (i * PIECE) as u64, block.put(0, piece));
            block.give_back_after(stream)?;
            check("cuMemcpyHtoDAsync", copied)?;
        }
        Ok(())
    }

    /// A copy of `data` on the device, made beside the work that is under way: for the next batch, while this one is computed. The first use
    /// of the buffer waits for the copy, on the device. May be called from any thread, also while another records a graph.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Driver`].
    ///
    /// ```
    /// # use gradus_cuda::Device;
    /// # fn main() -> Result<(), gradus_cuda::Error> {
    /// # let Ok(device) = Device::new(0) else { return Ok(()) };
    /// let next = device.upload_ahead(&vec![1.0f32; 1 << 20])?;
    /// // … kernels of this batch …
    /// assert_eq!(next.download()?[0], 1.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn upload_ahead<T: Element>(&self, data: &[T]) -> Result<Buffer<T>> {
        let bytes = size_of_val(data);
        if bytes == 0 {
            return self.uninit(0);
        }
        self.0.bind_now()?;
        let (block, size, last_use) = lock(&self.0.pool).allocate_ahead(bytes)?;
        let mut buffer = Buffer {
            device: self.clone(),
            block,
            size,
            bytes,
            home: Home::Ahead,
            under_way: AtomicPtr::default(),
            element: PhantomData,
        };
        if let Some(mark) = last_use {
            mark.hold(self.0.copies)?;
        }
        // SAFETY: elements are plain numbers, so their bytes are initialised.
        let raw = unsafe { std::slice::from_raw_parts(data.as_ptr().cast::<u8>(), bytes) };
        // SAFETY: the block has as many bytes; its last use is over for this stream.
        let staged = unsafe { self.stage(block, raw, self.0.copies) };
        // Also after an error: pieces before it may be under way.
        buffer.set_under_way(Mark::after(self.0.copies)?);
        staged.map(|()| buffer)
    }
}

impl<T> Buffer<T> {
    fn set_under_way(&mut self, mark: Mark) {
        *self.under_way.get_mut() = std::mem::ManuallyDrop::new(mark).0;
    }

    /// The mark of a copy under way.
    pub(crate) fn take_under_way(&mut self) -> Option<Mark> {
        let mark = std::mem::take(self.under_way.get_mut());
        (!mark.is_null()).then(|| Mark(mark))
    }

    /// Has the device's stream wait for the copy under way.
    #[cold]
    pub(crate) fn arrive(&self) {
        let device = &self.device.0;
        let Ok(_bound) = device.bind() else {
            return; // nothing can be put on the stream either
        };
        let _one = lock(&device.pinned);
        let mark = self.under_way.load(Ordering::Acquire);
        if mark.is_null() {
            return;
        }
        let mark = Mark(mark);
        // A graph would wait for it at each replay: the host waits once.
        let waits = match device.is_recorder() {
            true => mark.synchronize(),
            false => mark.hold(device.stream).or_else(|_| mark.synchronize()),
        };
        // What else fails, fails for the work that follows too.
        drop(waits);
        self.under_way
            .store(std::ptr::null_mut(), Ordering::Release);
    }
}
