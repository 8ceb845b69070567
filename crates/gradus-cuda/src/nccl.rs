//! NCCL: sums over the GPUs of several ranks. The library is opened when first needed: `libnccl.so.2` of the folder that `GRADUS_NCCL` names
//! (the one of its PyPI wheel, say), else the system's. Types are cudarc's, the opening is not: cudarc looks for `libnccl.so` alone, which
//! wheels and run-time packages do not have, and panics without it.
//!
//! Exchanges run on a stream of their own, so they overlap with kernels: an exchange waits for what was put on the device's stream
//! before it, and the device's stream waits for the exchange where its result is wanted. The host waits for neither. How ranks find each
//! other is the caller's: one makes an [`unique_id`] and tells it to the others.
//!
//! Status: compiled, and run on a stand-in for the library (`emulation/nccl.cpp`); not yet run on hardware.

use std::ffi::{c_int, c_void};
use std::mem::ManuallyDrop;
use std::path::PathBuf;
use std::sync::OnceLock;

use cudarc::driver::{result as driver, sys as cuda};
use cudarc::nccl::sys;

use crate::device::check;
use crate::event::Mark;
use crate::{Buffer, Device, Error, Result};

/// Bytes of an [`unique_id`].
pub const ID_BYTES: usize = 128;

/// What the bytes of a buffer are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Bytes.
    U8,
    /// Whole numbers of 32 bits.
    I32,
    /// Whole numbers of 64 bits.
    I64,
    /// IEEE half precision.
    F16,
    /// bfloat16.
    BF16,
    /// Single precision.
    F32,
    /// Double precision, which only NCCL has here.
    F64,
}

impl Number {
    fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F16 | Self::BF16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    fn nccl(self) -> sys::ncclDataType_t {
        use sys::ncclDataType_t as T;
        match self {
            Self::U8 => T::ncclUint8,
            Self::I32 => T::ncclInt32,
            Self::I64 => T::ncclInt64,
            Self::F16 => T::ncclFloat16,
            Self::BF16 => T::ncclBfloat16,
            Self::F32 => T::ncclFloat32,
            Self::F64 => T::ncclFloat64,
        }
    }
}

/// What is called of the library, with the signatures of `nccl.h`.
struct Library {
    get_unique_id: unsafe extern "C" fn(*mut sys::ncclUniqueId) -> sys::ncclResult_t,
    comm_init_rank: unsafe extern "C" fn(
        *mut sys::ncclComm_t,
        c_int,
        sys::ncclUniqueId,
        c_int,
    ) -> sys::ncclResult_t,
    all_reduce: unsafe extern "C" fn(
        *const c_void,
        *mut c_void,
        usize,
        sys::ncclDataType_t,
        sys::ncclRedOp_t,
        sys::ncclComm_t,
        sys::cudaStream_t,
    ) -> sys::ncclResult_t,
    broadcast: unsafe extern "C" fn(
        *const c_void,
        *mut c_void,
        usize,
        sys::ncclDataType_t,
        c_int,
        sys::ncclComm_t,
        sys::cudaStream_t,
    ) -> sys::ncclResult_t,
    comm_destroy: unsafe extern "C" fn(sys::ncclComm_t) -> sys::ncclResult_t,
    comm_abort: unsafe extern "C" fn(sys::ncclComm_t) -> sys::ncclResult_t,
}

/// The library, opened once and never closed.
fn library() -> Result<&'static Library> {
    static OPENED: OnceLock<Result<Library>> = OnceLock::new();
    OPENED.get_or_init(open).as_ref().map_err(Clone::clone)
}

fn open() -> Result<Library> {
    let names = ["libnccl.so.2", "libnccl.so"].map(PathBuf::from);
    let folder = std::env::var_os("GRADUS_NCCL").map(PathBuf::from);
    let there = folder.iter().flat_map(|f| names.iter().map(|n| f.join(n)));
    let paths: Vec<PathBuf> = there.chain(names.clone()).collect();
    // SAFETY: the initialisers of NVIDIA's library have no requirements.
    let library = paths
        .iter()
        .find_map(|path| unsafe { libloading::Library::new(path) }.ok());
    let Some(library) = library else {
        return Err(lacking(
            "libnccl.so.2 was not found; `pip install nvidia-nccl-cu13` and set GRADUS_NCCL to its folder with libnccl.so.2",
        ));
    };
    // It stays open as long as the process, and so its functions.
    let library: &'static libloading::Library = Box::leak(Box::new(library));
    macro_rules! function {
        ($name:literal) => {
            // SAFETY: NCCL's function of this name has the signature of the field it is put into.
            *unsafe { library.get($name) }.map_err(|e| lacking(&e.to_string()))?
        };
    }
    Ok(Library {
        get_unique_id: function!(b"ncclGetUniqueId"),
        comm_init_rank: function!(b"ncclCommInitRank"),
        all_reduce: function!(b"ncclAllReduce"),
        broadcast: function!(b"ncclBroadcast"),
        comm_destroy: function!(b"ncclCommDestroy"),
        comm_abort: function!(b"ncclCommAbort"),
    })
}

fn lacking(what: &str) -> Error {
    Error::Driver {
        call: "NCCL".into(),
        code: what.into(),
    }
}

/// NCCL's answer to `call`.
fn nccl(call: &str, status: sys::ncclResult_t) -> Result<()> {
    if status == sys::ncclResult_t::ncclSuccess {
        return Ok(());
    }
    Err(Error::Driver {
        call: call.into(),
        code: format!("{status:?}"),
    })
}

/// What one rank makes and tells the others, so that they find each other.
///
/// # Errors
/// When NCCL is not there, or refuses.
pub fn unique_id() -> Result<[u8; ID_BYTES]> {
    let library = library()?;
    let mut id = sys::ncclUniqueId {
        internal: [0; ID_BYTES],
    };
    // SAFETY: a place for an id.
    nccl("ncclGetUniqueId", unsafe {
        (library.get_unique_id)(&raw mut id)
    })?;
    Ok(id.internal.map(|byte| byte as u8))
}

/// A rank's place among others, on its device.
pub struct Comm {
    library: &'static Library,
    handle: sys::ncclComm_t,
    device: Device,
    stream: cuda::CUstream,
    world_size: usize,
}

// SAFETY: NCCL's communicators may be used from any thread, by one at a time: whoever shares a `Comm` sees to that (`&mut self`).
unsafe impl Send for Comm {}

impl Comm {
    /// Joins the ranks that have this id; waits until all have come. Each has a device of its own.
    ///
    /// # Errors
    /// When NCCL is not there, or refuses.
    pub fn new(
        device: &Device,
        id: &[u8; ID_BYTES],
        world_size: usize,
        rank: usize,
    ) -> Result<Self> {
        let library = library()?;
        let _bound = device.0.bind()?;
        let stream = check(
            "cuStreamCreate",
            driver::stream::create(driver::stream::StreamKind::NonBlocking),
        )?;
        let id = sys::ncclUniqueId {
            internal: id.map(|byte| byte as _),
        };
        let mut handle = std::ptr::null_mut();
        // SAFETY: `handle` is a place for a pointer; the device's context is bound.
        let joined = unsafe {
            (library.comm_init_rank)(&raw mut handle, world_size as c_int, id, rank as c_int)
        };
        if let Err(error) = nccl("ncclCommInitRank", joined) {
            // SAFETY: made above, and used by nobody.
            let _ = unsafe { driver::stream::destroy(stream) };
            return Err(error);
        }
        Ok(Self {
            library,
            handle,
            device: device.clone(),
            stream,
            world_size,
        })
    }

    /// How many ranks there are.
    pub fn world_size(&self) -> usize {
        self.world_size
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Puts the sum (or mean) of all ranks' buffers in place of this one's, once all have called this.
    ///
    /// # Errors
    /// When the buffer is no whole number of elements or of another device, or NCCL or the driver refuses.
    pub fn all_reduce(
        &mut self,
        buffer: Buffer<u8>,
        number: Number,
        mean: bool,
    ) -> Result<Exchange> {
        let op = match mean {
            true => sys::ncclRedOp_t::ncclAvg,
            false => sys::ncclRedOp_t::ncclSum,
        };
        let Self {
            library,
            handle,
            stream,
            ..
        } = *self;
        self.exchange("ncclAllReduce", buffer, number, |place, count| {
            let (kind, from) = (number.nccl(), place.cast_const());
            // SAFETY: `place` has `count` elements, and belongs to the exchange until that is over.
            unsafe { (library.all_reduce)(from, place, count, kind, op, handle, stream.cast()) }
        })
    }

    /// Puts rank `root`'s buffer in place of this one's.
    ///
    /// # Errors
    /// As [`all_reduce`](Self::all_reduce).
    pub fn broadcast(
        &mut self,
        buffer: Buffer<u8>,
        number: Number,
        root: usize,
    ) -> Result<Exchange> {
        let Self {
            library,
            handle,
            stream,
            ..
        } = *self;
        self.exchange("ncclBroadcast", buffer, number, |place, count| {
            let (kind, from, root) = (number.nccl(), place.cast_const(), root as c_int);
            // SAFETY: as in `all_reduce`.
            unsafe { (library.broadcast)(from, place, count, kind, root, handle, stream.cast()) }
        })
    }

    fn exchange(
        &mut self,
        call: &'static str,
        buffer: Buffer<u8>,
        number: Number,
        begin: impl FnOnce(*mut c_void, usize) -> sys::ncclResult_t,
    ) -> Result<Exchange> {
        if buffer.device() != &self.device {
            return Err(Error::Devices { op: call });
        }
        if !buffer.len().is_multiple_of(number.bytes()) {
            let text = format!("{} bytes are no whole number of {number:?}", buffer.len());
            return Err(Error::shape(call, text));
        }
        self.device
            .0
            .not_in_capture(call, "it is on a stream of its own")?;
        let _bound = self.device.0.bind()?;
        let place = buffer.address() as *mut c_void;
        // From here on the buffer is given back only after the exchange: `Exchange` sees to it.
        let exchange = Exchange {
            buffer: ManuallyDrop::new(buffer),
            done: Mark::new()?,
            device: self.device.clone(),
        };
        let count = exchange.buffer.len() / number.bytes();
        Mark::after(self.device.0.stream)?.hold(self.stream)?;
        nccl(call, begin(place, count))?;
        exchange.done.record(self.stream)?;
        Ok(exchange)
    }
}

impl Drop for Comm {
    fn drop(&mut self) {
        if self.device.0.bind_now().is_err() {
            return;
        }
        // SAFETY: made by `new`, and destroyed here only. After a panic the others may never come to what is under way here.
        unsafe {
            if std::thread::panicking() {
                let _ = (self.library.comm_abort)(self.handle);
            } else {
                let _ = driver::stream::synchronize(self.stream);
                let _ = (self.library.comm_destroy)(self.handle);
            }
            let _ = driver::stream::destroy(self.stream);
        }
    }
}

/// An exchange under way. Its memory is not reused before it is over, even when nobody waits for it.
pub struct Exchange {
    buffer: ManuallyDrop<Buffer<u8>>,
    done: Mark,
    device: Device,
}

impl Exchange {
    /// The result: work that is put on the device's stream from here on sees it. The host does not wait.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn wait(self) -> Result<Buffer<u8>> {
        let mut this = ManuallyDrop::new(self);
        let ordered = this.order();
        // SAFETY: `this` is not dropped, so each field is taken once.
        unsafe {
            let buffer = ManuallyDrop::take(&mut this.buffer);
            std::ptr::drop_in_place(&raw mut this.done);
            std::ptr::drop_in_place(&raw mut this.device);
            ordered.map(|()| buffer)
        }
    }

    /// Has the device's stream wait for the exchange.
    fn order(&self) -> Result<()> {
        let _bound = self.device.0.bind()?;
        self.done.hold(self.device.0.stream)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.order().is_ok() {
            // SAFETY: dropped here only. Whoever gets the memory next is behind the exchange in the stream.
            unsafe { ManuallyDrop::drop(&mut self.buffer) };
        } // else the memory is lost, and not reused under NCCL's hands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_library_it_says_so() {
        match unique_id() {
            Ok(id) => assert_ne!(id, [0; ID_BYTES]),
            Err(error) => assert!(
                error
                    .to_string()
                    .contains("NCCL: libnccl.so.2 was not found"),
                "{error}"
            ),
        }
    }
}
