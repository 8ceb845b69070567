//! Typed buffers of device memory, from the pool (`pool.rs`), from the copies ahead (`staging.rs`) or from a graph's arena (`graph.rs`).

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use cudarc::driver::{result, sys};

use crate::device::{check, lock};
use crate::event::Mark;
use crate::graph::Arena;
use crate::pool::MemoryStats;
use crate::view::{View, numel};
use crate::{Device, Element, Error, Result};

/// Why a capture refuses it.
const READS: &str = "it reads a result, and waits for the device";

/// Where a buffer's block goes when it is dropped.
#[derive(Debug)]
pub(crate) enum Home {
    /// To the device's pool.
    Pool,
    /// To those of [`Device::upload_ahead`].
    Ahead,
    /// To what a graph's work uses.
    Arena(Arc<Arena>),
}

/// Elements of device memory. Dropped, it goes back to the device's pool.
///
/// A [`Buffer<u8>`] may also be looked at as elements of another type ([`typed`](Buffer::typed)): memory of a type known at run time.
#[derive(Debug)]
#[repr(C)] // so that buffers of all types lie alike
pub struct Buffer<T> {
    pub(crate) device: Device,
    pub(crate) block: sys::CUdeviceptr,
    /// Bytes of the block; 0 if there is none.
    pub(crate) size: usize,
    /// Bytes that are used.
    pub(crate) bytes: usize,
    pub(crate) home: Home,
    /// The mark behind a copy to it that nobody waited for yet, or null.
    pub(crate) under_way: AtomicPtr<sys::CUevent_st>,
    pub(crate) element: PhantomData<T>,
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        if self.size > 0 && self.device.0.bind_now().is_ok() {
            let mark = self.take_under_way();
            let home = std::mem::replace(&mut self.home, Home::Pool);
            self.device.give_back(self.block, self.size, home, mark);
        }
    }
}

impl Device {
    /// What the allocator has and gave.
    pub fn memory_stats(&self) -> MemoryStats {
        lock(&self.0.pool).stats()
    }

    /// Gives memory that is kept for reuse back to the driver.
    ///
    /// # Errors
    /// [`Error::Driver`].
    pub fn trim(&self) -> Result<()> {
        let _bound = self.0.bind()?;
        lock(&self.0.pool).trim();
        Ok(())
    }

    /// `len` elements whose values are whatever was there.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], [`Error::Driver`].
    pub fn uninit<T: Element>(&self, len: usize) -> Result<Buffer<T>> {
        self.buffer(len, self.0.recording())
    }

    /// The same from outside of what is recorded: for what is written between replays. Of a graph's own memory it might be what other work of the
    /// graph uses before.
    pub(crate) fn uninit_outside<T: Element>(&self, len: usize) -> Result<Buffer<T>> {
        self.buffer(len, None)
    }

    fn buffer<T: Element>(&self, len: usize, arena: Option<Arc<Arena>>) -> Result<Buffer<T>> {
        let bytes = len
            .checked_mul(size_of::<T>())
            .filter(|&b| isize::try_from(b).is_ok());
        let bytes = bytes.ok_or_else(|| {
            Error::shape("Device::uninit", format!("{len} elements are too many"))
        })?;
        let _bound = self.0.bind()?;
        let (block, size, home) = match arena {
            _ if bytes == 0 => (0, 0, Home::Pool),
            Some(arena) => {
                let (block, size) = arena.allocate(bytes)?;
                (block, size, Home::Arena(arena))
            }
            None => {
                let (block, size) = lock(&self.0.pool).allocate(bytes)?;
                (block, size, Home::Pool)
            }
        };
        Ok(Buffer {
            device: self.clone(),
            block,
            size,
            bytes,
            home,
            under_way: AtomicPtr::default(),
            element: PhantomData,
        })
    }

    /// Takes a block back; the mark is that of a copy to it that nobody waited for. The context is bound.
    pub(crate) fn give_back(
        &self,
        block: sys::CUdeviceptr,
        size: usize,
        home: Home,
        mark: Option<Mark>,
    ) {
        if let Home::Arena(arena) = home {
            return self.0.give_back_to(arena, block, size);
        }
        let capture = lock(&self.0.capture);
        let mut pool = lock(&self.0.pool);
        let watchers = pool.watchers(block);
        if let Some((first, others)) = watchers.split_first() {
            first.adopt(block, size);
            others.iter().for_each(|other| pool.watch(block, other));
        } else if matches!(home, Home::Pool) || pool.exact {
            pool.give_back(block, size);
        } else {
            // A mark would become part of what is recorded; but then the block may as well serve the first stream.
            let mark = mark.or_else(|| {
                let idle = capture.is_none();
                idle.then(|| Mark::after(self.0.stream).ok()).flatten()
            });
            match mark {
                Some(mark) => pool.give_back_ahead(block, size, mark),
                None => pool.give_back(block, size),
            }
        }
        // Whoever is the last to hold a graph's arena must not hold these locks.
        drop(pool);
        drop(capture);
        drop(watchers);
    }

    /// `len` zeros.
    ///
    /// # Errors
    /// As [`uninit`](Self::uninit).
    pub fn zeros<T: Element>(&self, len: usize) -> Result<Buffer<T>> {
        let mut buffer = self.uninit(len)?;
        buffer.set_zero()?;
        Ok(buffer)
    }

    /// A copy of `data` on the device.
    ///
    /// # Errors
    /// As [`uninit`](Self::uninit).
    ///
    /// ```
    /// # use gradus_cuda::Device;
    /// # fn main() -> Result<(), gradus_cuda::Error> {
    /// # let Ok(device) = Device::new(0) else { return Ok(()) };
    /// let x = device.upload(&[1.0f32, 2.0])?;
    /// assert_eq!(x.download()?, [1.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn upload<T: Element>(&self, data: &[T]) -> Result<Buffer<T>> {
        let mut buffer = self.uninit(data.len())?;
        buffer.write(data)?;
        Ok(buffer)
    }
}

impl<T: Element> Buffer<T> {
    /// Where it is.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.bytes / size_of::<T>()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The address of the first element, for work that is put on the device's stream now: whatever uses a buffer comes here first. A copy
    /// under way is waited for, and a graph that is recorded keeps the memory.
    pub(crate) fn address(&self) -> u64 {
        if !self.under_way.load(Ordering::Acquire).is_null() {
            self.arrive();
        }
        if self.size > 0 && self.device.0.is_recorder() {
            self.device.0.record_use(self.block, &self.home);
        }
        self.block
    }

    /// Where it lies: a number to compare.
    pub fn data_ptr(&self) -> usize {
        self.block as usize
    }

    /// The same memory as bytes.
    pub fn into_bytes(self) -> Buffer<u8> {
        let this = ManuallyDrop::new(self);
        Buffer {
            // SAFETY: `this` is neither dropped nor used again, so the handle moves.
            device: unsafe { std::ptr::read(&raw const this.device) },
            block: this.block,
            size: this.size,
            bytes: this.bytes,
            // SAFETY: as above.
            home: unsafe { std::ptr::read(&raw const this.home) },
            under_way: AtomicPtr::new(this.under_way.load(Ordering::Acquire)),
            element: PhantomData,
        }
    }

    /// All of it, row-major in `shape`.
    ///
    /// # Errors
    /// If it does not have exactly so many elements.
    pub fn view(&self, shape: &[usize]) -> Result<View<'_, T>> {
        crate::error::check_len("view", "the buffer", self.len(), numel("view", shape)?)?;
        View::contiguous(self, shape)
    }

    /// Overwrites it with `data`.
    ///
    /// # Errors
    /// If the lengths differ; [`Error::Driver`].
    pub fn write(&mut self, data: &[T]) -> Result<()> {
        crate::error::check_len("Buffer::write", "the data", data.len(), self.len())?;
        if self.is_empty() {
            return Ok(());
        }
        let _bound = self.device.0.bind()?;
        let (to, stream) = (self.address(), self.device.0.stream);
        // SAFETY: elements are plain numbers, so their bytes are initialised.
        let raw = unsafe { std::slice::from_raw_parts(data.as_ptr().cast::<u8>(), self.bytes) };
        if let Some(arena) = self.device.0.recording() {
            return arena.copy(to, raw);
        }
        // SAFETY: the block has as many bytes, and is in order with the stream.
        unsafe { self.device.stage(to, raw, stream) }
    }

    /// All elements to 0.
    ///
    /// # Errors
    /// [`Error::Driver`].
    pub fn set_zero(&mut self) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let _bound = self.device.0.bind()?;
        // SAFETY: the block has as many bytes, and 0 is a value of every element type.
        check("cuMemsetD8Async", unsafe {
            result::memset_d8_async(self.address(), 0, self.bytes, self.device.0.stream)
        })
    }

    /// A copy on the host; waits for all work before.
    ///
    /// # Errors
    /// [`Error::Driver`], also for a kernel that failed before.
    pub fn download(&self) -> Result<Vec<T>> {
        let mut data = vec![T::default(); self.len()];
        if self.is_empty() {
            return Ok(data);
        }
        (self.device.0).not_in_capture("Buffer::download", READS)?;
        if T::DTYPE == crate::DType::Bool {
            return self.download_bools(data);
        }
        let _bound = self.device.0.bind()?;
        // SAFETY: `data` has as many elements and lives until the stream is waited for; every bit pattern is a value of `T`.
        check("cuMemcpyDtoHAsync", unsafe {
            result::memcpy_dtoh_async(&mut data, self.address(), self.device.0.stream)
        })?;
        self.device.synchronize()?;
        Ok(data)
    }

    /// By way of bytes: memory that nobody wrote need not hold valid `bool`s.
    fn download_bools(&self, mut data: Vec<T>) -> Result<Vec<T>> {
        let mut bytes = vec![0u8; self.bytes];
        let _bound = self.device.0.bind()?;
        // SAFETY: as many bytes, waited for below.
        check("cuMemcpyDtoHAsync", unsafe {
            result::memcpy_dtoh_async(&mut bytes, self.address(), self.device.0.stream)
        })?;
        self.device.synchronize()?;
        for (out, byte) in data.iter_mut().zip(bytes) {
            let value = byte != 0;
            // SAFETY: `T` is `bool` (its dtype says so).
            *out = unsafe { std::mem::transmute_copy(&value) };
        }
        Ok(data)
    }
}

impl Buffer<u8> {
    /// The memory as elements of `T`. A byte other than 0 counts as a `bool` that holds.
    ///
    /// # Errors
    /// If the bytes are not a whole number of elements.
    ///
    /// ```
    /// # use gradus_cuda::Device;
    /// # fn main() -> Result<(), gradus_cuda::Error> {
    /// # let Ok(device) = Device::new(0) else { return Ok(()) };
    /// let bytes = device.upload(&[1.0f32, 2.0])?.into_bytes();
    /// assert_eq!((bytes.len(), bytes.typed::<f32>()?.download()?), (8, vec![1.0, 2.0]));
    /// assert!(bytes.typed::<i64>()?.len() == 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn typed<T: Element>(&self) -> Result<&Buffer<T>> {
        self.whole::<T>()?;
        // SAFETY: buffers of all types have one layout (`repr(C)`, the type is in a `PhantomData`); every bit pattern is a value
        // of every element type (for `bool` see `download`), and a block is aligned to at least 256 bytes.
        Ok(unsafe { &*std::ptr::from_ref(self).cast::<Buffer<T>>() })
    }

    /// The memory as elements of `T`, to write.
    ///
    /// # Errors
    /// As [`typed`](Self::typed).
    pub fn typed_mut<T: Element>(&mut self) -> Result<&mut Buffer<T>> {
        self.whole::<T>()?;
        // SAFETY: as above, and borrowed exclusively.
        Ok(unsafe { &mut *std::ptr::from_mut(self).cast::<Buffer<T>>() })
    }

    fn whole<T: Element>(&self) -> Result<()> {
        if self.bytes.is_multiple_of(size_of::<T>()) {
            return Ok(());
        }
        let message = format!("{} bytes are no whole number of {}", self.bytes, T::DTYPE);
        Err(Error::shape("Buffer::typed", message))
    }

    /// Copies all bytes to `out` on the host; waits for all work before.
    ///
    /// # Errors
    /// If the lengths differ; [`Error::Driver`], also for a kernel that failed before.
    pub fn download_into(&self, out: &mut [u8]) -> Result<()> {
        crate::error::check_len("Buffer::download_into", "the output", out.len(), self.bytes)?;
        if self.is_empty() {
            return Ok(());
        }
        (self.device.0).not_in_capture("Buffer::download_into", READS)?;
        let _bound = self.device.0.bind()?;
        // SAFETY: as many bytes, which live until the stream is waited for.
        check("cuMemcpyDtoHAsync", unsafe {
            result::memcpy_dtoh_async(out, self.address(), self.device.0.stream)
        })?;
        self.device.synchronize()
    }
}
