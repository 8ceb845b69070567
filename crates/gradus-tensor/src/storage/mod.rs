//! Storage: 64-byte-aligned, always initialised bytes, taken from a reuse pool and given back on drop.
//!
//! All of the crate's raw memory is here. Bytes are zeroed once, when they first come from the system, and reused as
//! they are: every byte of every buffer is initialised, so a slice of numbers over it is sound. `bool` is the
//! exception (only 0 and 1 are values), so bool buffers are cleared before they are handed out.

mod pool;
mod segments;

use std::any::Any;
use std::ptr::NonNull;
use std::sync::Arc;

use gradus_cpu::gemm::Kept;

pub use gradus_cpu::gemm::kept::{set_limit as set_kept_limit, used as kept_bytes};
pub use pool::{
    PoolStats, clear as clear_pool, set_largest as set_allocation_limit,
    set_limit as set_pool_limit, stats as pool_stats,
};
pub(crate) use pool::{check_fits, try_vec};

use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Error, Result};

/// Memory of a tensor, by device. An op with an arm for a device says so at its top, in its own file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Storage {
    /// Host memory.
    Cpu(CpuBuffer),
    /// Memory of an NVIDIA GPU: bytes, whatever the dtype.
    #[cfg(feature = "cuda")]
    Cuda(gradus_cuda::Buffer<u8>),
}

impl Storage {
    /// Where products keep what they packed of it, in host memory.
    pub(crate) fn kept(&self) -> Option<&Kept> {
        match self {
            Self::Cpu(buffer) => Some(&buffer.kept),
            #[cfg(feature = "cuda")]
            Self::Cuda(_) => None,
        }
    }
}

/// Host bytes: from the pool, or lent by someone else (a memory map, an `ndarray`).
pub struct CpuBuffer {
    ptr: NonNull<u8>,
    len: usize, // bytes
    owner: Owner,
    /// What products have packed of it, as long as it is not written.
    kept: Kept,
}

enum Owner {
    Pool(pool::Block),
    // Never read: dropping it frees the bytes.
    Foreign {
        _owner: Box<dyn Any + Send + Sync>,
        writable: bool,
    },
}

// SAFETY: the bytes belong to this buffer alone (pool block or foreign owner, which is itself Send + Sync);
// shared access only reads, writes need `&mut self`.
unsafe impl Send for CpuBuffer {}
// SAFETY: see above.
unsafe impl Sync for CpuBuffer {}

impl CpuBuffer {
    /// `len` elements of `dtype`: zero when asked (always for bool), else whatever they were before.
    pub(crate) fn new(op: &'static str, len: usize, dtype: DType, zeroed: bool) -> Result<Self> {
        let bytes = len
            .checked_mul(dtype.size())
            .filter(|&n| n <= isize::MAX as usize - 4096)
            .ok_or_else(|| {
                Error::memory(
                    op,
                    format!("{len} elements of {dtype} do not fit in memory"),
                )
            })?;
        let block = pool::take(bytes, zeroed || dtype == DType::Bool).map_err(|e| e.in_op(op))?;
        Ok(Self {
            ptr: block.ptr(),
            len: bytes,
            owner: Owner::Pool(block),
            kept: Kept::new(),
        })
    }

    /// Bytes `at..at + len` of a shared owner (a memory map, a file read whole), read-only and without a copy.
    /// `None` when they are not there or not aligned to `align`.
    pub(crate) fn shared(
        owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
        at: usize,
        len: usize,
        align: usize,
    ) -> Option<Self> {
        let bytes = (*owner).as_ref().get(at..at.checked_add(len)?)?;
        if !(bytes.as_ptr() as usize).is_multiple_of(align) {
            return None;
        }
        let ptr = NonNull::from(bytes).cast::<u8>();
        // SAFETY: the crate lends only memory maps and vectors here: they give the same bytes each time and never move
        // them, and are kept alive by `owner`. (Another process changing a mapped file is the documented caveat of maps.)
        Some(unsafe { Self::foreign(ptr, len, Box::new(owner), false) })
    }

    /// Bytes that somebody else owns; `owner` is dropped with the buffer.
    ///
    /// # Safety
    /// `ptr` points to `len` initialised bytes that stay where they are, valid and unchanged (by anyone else)
    /// until `owner` is dropped; when `writable`, nobody else reads them either. For a bool tensor each byte is 0 or 1.
    pub(crate) unsafe fn foreign(
        ptr: NonNull<u8>,
        len: usize,
        owner: Box<dyn Any + Send + Sync>,
        writable: bool,
    ) -> Self {
        Self {
            ptr,
            len,
            owner: Owner::Foreign {
                _owner: owner,
                writable,
            },
            kept: Kept::new(),
        }
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `ptr` points to `len` initialised bytes (module invariant).
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    /// May these bytes be written (a memory map may not)?
    #[inline]
    pub(crate) fn is_writable(&self) -> bool {
        !matches!(
            self.owner,
            Owner::Foreign {
                writable: false,
                ..
            }
        )
    }

    /// The buffer as elements. `Element::DTYPE` must be the tensor's dtype, or a plain number of the same size.
    #[inline]
    pub(crate) fn as_slice<T: Element>(&self) -> &[T] {
        // SAFETY: initialised, and every bit pattern is a value of T (see `cast` for bool).
        unsafe { self.cast::<T>() }
    }

    /// The buffer as elements to write.
    #[inline]
    pub(crate) fn as_mut_slice<T: Element>(&mut self) -> &mut [T] {
        debug_assert!(self.is_writable());
        self.kept.clear();
        let (ptr, len) = (self.ptr.as_ptr(), self.len / size_of::<T>());
        assert!(
            (ptr as usize).is_multiple_of(align_of::<T>()),
            "unaligned buffer"
        );
        // SAFETY: aligned (checked), initialised, unique through `&mut self`; bool bytes are 0 or 1 (module invariant).
        unsafe { std::slice::from_raw_parts_mut(ptr.cast::<T>(), len) }
    }

    /// The buffer as plain words (u8, f16, i32, i64), for moving elements without knowing their type.
    #[inline]
    pub(crate) fn words<W: Word>(&self) -> &[W] {
        // SAFETY: any initialised bytes are words.
        unsafe { self.cast::<W>() }
    }

    /// The buffer as plain words to write. For bool storage the caller writes only words read from bool storage.
    #[inline]
    pub(crate) fn words_mut<W: Word>(&mut self) -> &mut [W] {
        self.kept.clear();
        let (ptr, len) = (self.ptr.as_ptr(), self.len / size_of::<W>());
        assert!(
            (ptr as usize).is_multiple_of(align_of::<W>()),
            "unaligned buffer"
        );
        // SAFETY: aligned (checked), initialised, unique through `&mut self`.
        unsafe { std::slice::from_raw_parts_mut(ptr.cast::<W>(), len) }
    }

    /// # Safety
    /// The bytes must be valid values of `T`.
    #[inline]
    unsafe fn cast<T>(&self) -> &[T] {
        let ptr = self.ptr.as_ptr();
        assert!(
            (ptr as usize).is_multiple_of(align_of::<T>()),
            "unaligned buffer"
        );
        // SAFETY: aligned (checked), within the buffer, initialised; valid by the caller's promise.
        unsafe { std::slice::from_raw_parts(ptr.cast::<T>(), self.len / size_of::<T>()) }
    }
}

impl Drop for CpuBuffer {
    fn drop(&mut self) {
        if let Owner::Pool(block) = &mut self.owner {
            pool::give(block.take());
        }
    }
}

impl std::fmt::Debug for CpuBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let from = if matches!(self.owner, Owner::Pool(_)) {
            "pool"
        } else {
            "foreign"
        };
        write!(f, "CpuBuffer({} bytes, {from})", self.len)
    }
}

mod sealed {
    pub trait Sealed {}
}

/// Stand-ins for ops that only move elements: one copy of the code per size, not per dtype.
pub(crate) trait Word: gradus_cpu::Element + sealed::Sealed {}
macro_rules! words {
    ($($t:ty)*) => {$(
        impl sealed::Sealed for $t {}
        impl Word for $t {}
    )*};
}
words!(u8 half::f16 i32 i64);

/// Runs `$body` with `$W` naming the stand-in of the dtype's size. (Moving a float moves its bits unchanged.)
macro_rules! dispatch_size {
    ($dtype:expr, $W:ident => $body:expr) => {
        match $dtype.size() {
            1 => {
                type $W = u8;
                $body
            }
            2 => {
                type $W = half::f16;
                $body
            }
            4 => {
                type $W = i32;
                $body
            }
            _ => {
                type $W = i64;
                $body
            }
        }
    };
}
pub(crate) use dispatch_size;
