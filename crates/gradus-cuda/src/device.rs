//! A GPU: what it is, its stream, the kernels that are loaded on it.
//!
//! One [`Device`] for each ordinal of a process; clones share it. All work goes to one stream, in order: a buffer that is dropped may
//! be reused at once, because whatever reads it was put on the stream before. Beside it is a stream of copies from the host (`staging.rs`),
//! and a stretch of work may be recorded and launched again as one (`graph.rs`).

use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use cudarc::driver::{result, sys};

use crate::graph::{Bound, Capture};
use crate::manifest::{Kernel, Ptr};
use crate::pool::Pool;
use crate::staging::Pinned;
use crate::{DType, Error, Result, compiler, library};

/// The oldest architecture the kernels are written for: bf16 in tensor cores, `cp.async`.
const OLDEST: (i32, i32) = (8, 0);

/// `result` of a driver call, as this crate's error.
pub(crate) fn check<T>(call: &str, result: Result<T, result::DriverError>) -> Result<T> {
    result.map_err(|e| Error::Driver {
        call: call.into(),
        code: e.error_name().map_or_else(
            |_| format!("{:?}", e.0),
            |name| name.to_string_lossy().into_owned(),
        ),
    })
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What kernels count in the fault words: indices that point outside, by the operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    Row,
    Element,
    Target,
    Write,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Row, Self::Element, Self::Target, Self::Write];

    fn op(self) -> &'static str {
        match self {
            Self::Row => "embedding",
            Self::Element => "gather",
            Self::Target => "cross_entropy",
            Self::Write => "scatter",
        }
    }
}

/// A kernel on the device.
#[derive(Clone, Copy)]
struct Function {
    handle: sys::CUfunction,
    /// The dynamic shared memory it is allowed.
    shared: u32,
}

pub(crate) struct Inner {
    ordinal: usize,
    device: sys::CUdevice,
    context: sys::CUcontext,
    pub(crate) stream: sys::CUstream,
    name: String,
    capability: (i32, i32),
    multiprocessors: u32,
    /// A word for each [`Fault`].
    faults: sys::CUdeviceptr,
    /// Whether a kernel that may count faults was launched since they were last read.
    pub(crate) may_fault: AtomicBool,
    /// Copies from the host that do not stand behind the work of `stream`.
    pub(crate) copies: sys::CUstream,
    /// Page-locked memory that copies go through.
    pub(crate) pinned: Mutex<Pinned>,
    /// What is recorded now.
    pub(crate) capture: Mutex<Option<Capture>>,
    /// The thread that records ([`thread_mark`](crate::graph::thread_mark)); 0 if none does.
    pub(crate) recorder: AtomicUsize,
    /// How many threads are at work on the stream ([`Bound`]).
    pub(crate) at_work: AtomicUsize,
    pub(crate) recorded: Condvar,
    pub(crate) memory: usize,
    pub(crate) pool: Mutex<Pool>,
    modules: Mutex<HashMap<(&'static str, bool), sys::CUmodule>>,
    functions: Mutex<HashMap<(&'static str, DType), Function>>,
}

// SAFETY: the handles are those of a thread-safe driver; every call binds the context to its thread first.
unsafe impl Send for Inner {}
// SAFETY: as above; what changes is behind mutexes.
unsafe impl Sync for Inner {}

impl Inner {
    /// Makes this device's context the calling thread's. No other thread begins to record a graph while the answer is held, and while one
    /// records this waits.
    pub(crate) fn bind(&self) -> Result<Bound<'_>> {
        let bound = self.enter();
        self.bind_now()?;
        Ok(bound)
    }

    /// Makes this device's context the calling thread's: for what does not touch the stream.
    pub(crate) fn bind_now(&self) -> Result<()> {
        // SAFETY: the primary context is retained for as long as `self` lives.
        check("cuCtxSetCurrent", unsafe {
            result::ctx::set_current(self.context)
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if self.bind_now().is_err() {
            return;
        }
        // SAFETY: nothing of this device is left: buffers hold an `Arc` of it. Errors at the end have nobody to go to.
        unsafe {
            let _ = result::stream::synchronize(self.copies);
            let _ = result::stream::synchronize(self.stream);
            lock(&self.pool).trim();
            lock(&self.pinned).trim();
            let _ = result::free_sync(self.faults);
            for module in lock(&self.modules).values() {
                let _ = result::module::unload(*module);
            }
            let _ = result::stream::destroy(self.copies);
            let _ = result::stream::destroy(self.stream);
            let _ = result::primary_ctx::release(self.device);
        }
    }
}

/// An NVIDIA GPU.
///
/// ```
/// use gradus_cuda::{Device, Error};
/// match Device::new(0) {
///     Ok(device) => println!("{device}"),
///     // On a machine without one: no driver, no device, no compiler, too old … each says so.
///     Err(error) => println!("{error}"),
/// }
/// ```
#[derive(Clone)]
pub struct Device(pub(crate) Arc<Inner>);

impl Device {
    /// How many GPUs there are.
    ///
    /// # Errors
    /// [`Error::NoDriver`], [`Error::NoDevice`].
    pub fn count() -> Result<usize> {
        library::driver()?;
        let none = Error::NoDevice {
            ordinal: 0,
            count: 0,
        };
        result::init().map_err(|_| none.clone())?;
        let n = result::device::get_count().map_err(|_| none)?;
        Ok(n.max(0) as usize)
    }

    /// The GPU with this number. Kernels are compiled when they are first needed.
    ///
    /// # Errors
    /// [`Error::NoDriver`], [`Error::NoDevice`], [`Error::NoCompiler`], [`Error::OldDriver`], [`Error::OldDevice`].
    pub fn new(ordinal: usize) -> Result<Self> {
        static DEVICES: Mutex<Vec<(usize, Weak<Inner>)>> = Mutex::new(Vec::new());
        let mut devices = lock(&DEVICES);
        devices.retain(|(_, device)| device.strong_count() > 0);
        if let Some(device) = devices
            .iter()
            .find(|(n, _)| *n == ordinal)
            .and_then(|(_, d)| d.upgrade())
        {
            return Ok(Self(device));
        }
        let device = Arc::new(Self::open(ordinal)?);
        devices.push((ordinal, Arc::downgrade(&device)));
        Ok(Self(device))
    }

    fn open(ordinal: usize) -> Result<Inner> {
        let count = Self::count()?;
        if ordinal >= count {
            return Err(Error::NoDevice { ordinal, count });
        }
        let (major, minor) = library::compiler()?;
        let mut driver = 0;
        // SAFETY: points to an integer.
        let status = unsafe { sys::cuDriverGetVersion(&raw mut driver) };
        check("cuDriverGetVersion", status.result())?;
        // Within a major version, older drivers run newer cubins.
        if driver / 1000 < major {
            let needed = major * 1000 + minor * 10;
            return Err(Error::OldDriver { driver, needed });
        }
        let device = check("cuDeviceGet", result::device::get(ordinal as i32))?;
        let name = check("cuDeviceGetName", result::device::get_name(device))?;
        let attribute = |a| {
            // SAFETY: the device exists.
            check("cuDeviceGetAttribute", unsafe {
                result::device::get_attribute(device, a)
            })
        };
        let capability = (
            attribute(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            attribute(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        );
        if capability < OLDEST {
            return Err(Error::OldDevice { name, capability });
        }
        let multiprocessors =
            attribute(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
        // SAFETY: the device exists; the context is released in `Drop`.
        let (context, memory) = unsafe {
            let context = check(
                "cuDevicePrimaryCtxRetain",
                result::primary_ctx::retain(device),
            )?;
            check("cuCtxSetCurrent", result::ctx::set_current(context))?;
            (
                context,
                check("cuDeviceTotalMem", result::device::total_mem(device))?,
            )
        };
        let new_stream = || {
            let stream = result::stream::create(result::stream::StreamKind::NonBlocking);
            check("cuStreamCreate", stream)
        };
        let (stream, copies) = (new_stream()?, new_stream()?);
        // SAFETY: the context is bound; the words are written before they are read.
        let faults = unsafe {
            let words = check("cuMemAlloc", result::malloc_sync(4 * Fault::ALL.len()))?;
            let zeroed = result::memset_d8_async(words, 0, 4 * Fault::ALL.len(), stream);
            check("cuMemsetD8Async", zeroed)?;
            words
        };
        Ok(Inner {
            ordinal,
            device,
            context,
            stream,
            name,
            capability,
            multiprocessors: multiprocessors.max(1) as u32,
            faults,
            may_fault: AtomicBool::new(false),
            copies,
            pinned: Mutex::default(),
            capture: Mutex::default(),
            recorder: AtomicUsize::new(0),
            at_work: AtomicUsize::new(0),
            recorded: Condvar::new(),
            memory,
            pool: Mutex::new(Pool::new()),
            modules: Mutex::default(),
            functions: Mutex::default(),
        })
    }

    /// Its number.
    pub fn ordinal(&self) -> usize {
        self.0.ordinal
    }

    /// What the driver calls it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its compute capability, (9, 0) for Hopper.
    pub fn capability(&self) -> (i32, i32) {
        self.0.capability
    }

    /// How many multiprocessors it has.
    pub fn multiprocessors(&self) -> u32 {
        self.0.multiprocessors
    }

    /// Bytes of memory it has.
    pub fn total_memory(&self) -> usize {
        self.0.memory
    }

    /// The architecture kernels are compiled for: `sm_80`, and `sm_90a` for Hopper, whose tensor cores need the suffix.
    pub fn arch(&self) -> String {
        match self.0.capability {
            (9, 0) => "sm_90a".into(),
            (major, minor) => format!("sm_{major}{minor}"),
        }
    }

    /// Whether it has TMA and wgmma as the Hopper kernels use them.
    pub fn is_hopper(&self) -> bool {
        self.0.capability == (9, 0)
    }

    /// Waits until all work is done; reports what went wrong in it.
    ///
    /// # Errors
    /// [`Error::Driver`] if a kernel failed, [`Error::Index`] if one met an index out of range.
    pub fn synchronize(&self) -> Result<()> {
        self.0
            .not_in_capture("synchronize", "it waits for the device")?;
        let _bound = self.0.bind()?;
        let mut counts = [0u32; Fault::ALL.len()];
        let asked = self.0.may_fault.swap(false, Ordering::Relaxed);
        if asked {
            // SAFETY: as many words, which live until the stream is waited for.
            check("cuMemcpyDtoHAsync", unsafe {
                result::memcpy_dtoh_async(&mut counts, self.0.faults, self.0.stream)
            })?;
        }
        // SAFETY: the stream is ours.
        check("cuStreamSynchronize", unsafe {
            result::stream::synchronize(self.0.stream)
        })?;
        let Some(fault) = Fault::ALL.iter().find(|&&f| counts[f as usize] > 0) else {
            return Ok(());
        };
        // SAFETY: the words are ours.
        check("cuMemsetD8Async", unsafe {
            result::memset_d8_async(self.0.faults, 0, size_of_val(&counts), self.0.stream)
        })?;
        Err(Error::Index { op: fault.op() })
    }

    /// The word that a kernel counts indices out of range in; the next [`synchronize`](Self::synchronize) reads it.
    pub(crate) fn fault(&self, fault: Fault) -> Ptr {
        self.0.may_fault.store(true, Ordering::Relaxed);
        self.0.fault_in_capture();
        Ptr(self.0.faults + 4 * fault as u64)
    }

    /// Blocks for `threads` threads, but not so many that they would only wait: the kernels loop.
    pub(crate) fn blocks(&self, threads: usize, block: u32) -> u32 {
        let needed = threads.div_ceil(block as usize);
        let most = self.0.multiprocessors as usize * (2048 / block.max(1) as usize).max(1) * 4;
        needed.min(most) as u32
    }

    /// A kernel, its file compiled and loaded if it is the first of it.
    fn function<K: Kernel>(&self, dtype: DType) -> Result<Function> {
        let info = K::INFO;
        if let Some(&function) = lock(&self.0.functions).get(&(info.name, dtype)) {
            return Ok(function);
        }
        if info.hopper && !self.is_hopper() {
            let what = format!("{} has no wgmma", self.name());
            return Err(Error::Unsupported {
                op: info.name,
                what,
            });
        }
        let Some(symbol) = info.symbol(dtype) else {
            return Err(Error::dtype(info.name, dtype));
        };
        let mut modules = lock(&self.0.modules);
        let wide = dtype == DType::F64;
        let module = match modules.get(&(info.file, wide)) {
            Some(&module) => module,
            None => {
                let cubin = compiler::cubin(info.file, &self.arch(), wide)?;
                // SAFETY: a cubin of NVRTC's, or a whole one from the cache; the driver checks it.
                let module = check("cuModuleLoadData", unsafe {
                    result::module::load_data(cubin.as_ptr().cast())
                })?;
                modules.insert((info.file, wide), module);
                module
            }
        };
        let name = CString::new(symbol).unwrap_or_default();
        // SAFETY: the module is loaded, and unloaded only with the device.
        let handle = check(info.name, unsafe {
            result::module::get_function(module, name)
        })?;
        if info.shared > 48 * 1024 {
            let attribute =
                sys::CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            // SAFETY: the function is of a loaded module.
            let set = unsafe {
                result::function::set_function_attribute(handle, attribute, info.shared as i32)
            };
            check("cuFuncSetAttribute", set)?;
        }
        let function = Function {
            handle,
            shared: info.shared,
        };
        lock(&self.0.functions).insert((info.name, dtype), function);
        Ok(function)
    }

    /// Puts a kernel on the stream. An empty grid does nothing.
    ///
    /// # Safety
    /// The pointers of `kernel` are to device memory of this device, with as many elements of the types the kernel says as it
    /// reads and writes for its other arguments; what it writes is borrowed exclusively.
    pub(crate) unsafe fn launch<K: Kernel>(
        &self,
        kernel: &K,
        dtype: DType,
        grid: (u32, u32, u32),
        shared: u32,
    ) -> Result<()> {
        if grid.0 == 0 || grid.1 == 0 || grid.2 == 0 {
            return Ok(());
        }
        let _bound = self.0.bind()?;
        let function = self.function::<K>(dtype)?;
        if shared > function.shared || grid.1 > 65535 || grid.2 > 65535 || grid.0 > i32::MAX as u32
        {
            let message = format!(
                "too large for a launch: {grid:?} blocks with {shared} bytes of shared memory"
            );
            return Err(Error::shape(K::INFO.name, message));
        }
        let mut arguments: Vec<*mut c_void> = kernel.arguments();
        let block = (K::INFO.block, 1, 1);
        // SAFETY: `arguments` points at values of the types of the kernel's parameters, in their order (both come from the manifest).
        let launched = unsafe {
            result::launch_kernel(
                function.handle,
                grid,
                block,
                shared,
                self.0.stream,
                &mut arguments,
            )
        };
        check(K::INFO.name, launched)
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Device {}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.capability();
        let gib = self.total_memory() as f64 / f64::from(1 << 30);
        write!(
            f,
            "cuda:{} {} (compute {major}.{minor}, {gib:.1} GiB)",
            self.ordinal(),
            self.name()
        )
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Device({self})")
    }
}
