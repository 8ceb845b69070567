//! A stretch of work recorded once and launched again as one: CUDA graphs.
//!
//! [`Device::capture`] runs a closure whose work the driver records in place of doing it; [`Graph::replay`] does it, as often as one likes, for
//! the price of one launch. Every replay reads and writes the same memory, so what changes from one to the next lies in memory that is
//! written before. The idea and its rules are PyTorch's `torch.cuda.CUDAGraph`.
//!
//! **Memory.** What the closure asks for comes from an arena that the graph owns: reused within the recording as the closure drops it, and
//! by nobody else before the graph and the last buffer of it are gone. Memory from outside that the work uses stays too, whoever drops it.
//! Data from the host is copied to page-locked memory of the arena and uploaded anew by each replay.
//!
//! **What cannot be recorded** (reading a result, waiting, marks of time) is [`Error::Capture`], and so is then the capture, even if the closure goes on:
//! nothing of it has run, and the stream is as it was. Kernels that were never used are compiled and loaded on the way, which the
//! relaxed mode of captures allows; a run of the work before (a warm-up, as PyTorch advises) has that behind it, and finds the
//! memory that is allocated once. Other threads wait for a capture to end before they put work on the device.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use cudarc::driver::{result, sys};

use crate::device::{Inner, check, lock};
use crate::memory::Home;
use crate::pool::Free;
use crate::staging::PinnedBlock;
use crate::{Device, Error, Result};

/// Recorded work. Replays must not change what is in use: a graph writes its memory whoever looks at it.
///
/// ```
/// # use gradus_cuda::{Device, Error, manifest::BinaryOp, ops::elementwise::binary};
/// # fn main() -> Result<(), Error> {
/// # let Ok(device) = Device::new(0) else { return Ok(()) };
/// let mut x = device.upload(&[1.0f32, 2.0])?;
/// let (y, graph) = device.capture(|| {
///     let mut y = device.uninit::<f32>(2)?;
///     binary(BinaryOp::Add, &x.view(&[2])?, &x.view(&[2])?, &mut y)?;
///     Ok::<_, Error>(y)
/// })?;
/// graph.replay()?;
/// assert_eq!(y.download()?, [2.0, 4.0]);
/// x.write(&[5.0, 6.0])?;
/// graph.replay()?;
/// assert_eq!(y.download()?, [10.0, 12.0]);
/// # Ok(())
/// # }
/// ```
pub struct Graph {
    device: Device,
    executable: sys::CUgraphExec,
    arena: Arc<Arena>,
}

// SAFETY: the driver's graphs may be used from any thread; launches go to one stream.
unsafe impl Send for Graph {}
// SAFETY: as above.
unsafe impl Sync for Graph {}

impl Graph {
    /// Puts the work on the device's stream; nobody waits.
    ///
    /// # Errors
    /// [`Error::Driver`].
    pub fn replay(&self) -> Result<()> {
        let _bound = self.device.0.bind()?;
        if self.arena.faults.load(Ordering::Relaxed) {
            self.device.0.may_fault.store(true, Ordering::Relaxed);
        }
        // SAFETY: made by `capture`; all memory it uses is kept by the arena.
        check("cuGraphLaunch", unsafe {
            result::graph::launch(self.executable, self.device.0.stream)
        })
    }

    /// The device it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Bytes of device memory it keeps.
    pub fn bytes(&self) -> usize {
        let blocks = lock(&self.arena.blocks);
        blocks.own.iter().map(|(_, size)| size).sum()
    }
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Graph({}, {} bytes)", self.device, self.bytes())
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        if self.device.0.bind_now().is_ok() {
            // SAFETY: made by `capture`, and destroyed here only; launches under way are finished by the driver.
            let _ = unsafe { result::graph::exec_destroy(self.executable) };
        }
    }
}

/// What is recorded now.
pub(crate) struct Capture {
    arena: Arc<Arena>,
    /// The first thing that could not be recorded.
    failed: Option<Error>,
}

/// The memory of a graph's work.
pub(crate) struct Arena {
    device: Device,
    blocks: Mutex<Blocks>,
    /// Whether kernels of it count faults.
    faults: AtomicBool,
}

#[derive(Default)]
struct Blocks {
    /// All there are.
    own: Vec<(sys::CUdeviceptr, usize)>,
    /// Those that the recording may reuse.
    free: Free,
    /// Data from the host, the last block filled up to `filled`.
    pinned: Vec<PinnedBlock>,
    filled: usize,
}

impl Arena {
    pub(crate) fn allocate(&self, bytes: usize) -> Result<(sys::CUdeviceptr, usize)> {
        let mut pool = lock(&self.device.0.pool);
        let mut blocks = lock(&self.blocks);
        if let Some(found) = blocks.free.take(pool.rounded(bytes)) {
            return Ok(found);
        }
        let (block, size) = pool.allocate(bytes)?;
        blocks.own.push((block, size));
        Ok((block, size))
    }

    /// Keeps a block from outside that its user has dropped.
    pub(crate) fn adopt(&self, block: sys::CUdeviceptr, size: usize) {
        lock(&self.blocks).own.push((block, size));
    }

    /// Records a copy of `bytes`, which are kept, to device memory.
    pub(crate) fn copy(&self, to: sys::CUdeviceptr, bytes: &[u8]) -> Result<()> {
        let mut blocks = lock(&self.blocks);
        let room = (blocks.pinned.last()).map_or(0, |b| b.size().saturating_sub(blocks.filled));
        if room < bytes.len() {
            blocks
                .pinned
                .push(PinnedBlock::take(&self.device, bytes.len())?);
            blocks.filled = 0;
        }
        let at = blocks.filled;
        blocks.filled = (at + bytes.len()).next_multiple_of(64);
        let Some(last) = blocks.pinned.last_mut() else {
            return Ok(());
        };
        let kept = last.put(at, bytes);
        // SAFETY: the kept bytes live as long as the graph, and are not written again; the rest is the caller's.
        check("cuMemcpyHtoDAsync", unsafe {
            result::memcpy_htod_async(to, kept, self.device.0.stream)
        })
    }
}

impl std::fmt::Debug for Arena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Arena")
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let blocks = std::mem::take(&mut *lock(&self.blocks));
        if self.device.0.bind_now().is_err() {
            return;
        }
        // Whoever gets a block next is behind the last replay in the stream.
        for (block, size) in blocks.own {
            self.device.give_back(block, size, Home::Pool, None);
        }
        let capture = lock(&self.device.0.capture);
        for block in blocks.pinned {
            if let Some(other) = &*capture {
                // A mark would become part of what is recorded: it has the block in its place.
                let mut blocks = lock(&other.arena.blocks);
                blocks.pinned.insert(0, block);
            } else {
                let _ = block.give_back_after(self.device.0.stream);
            }
        }
    }
}

/// A number of the calling thread, never 0.
pub(crate) fn thread_mark() -> usize {
    thread_local!(static HERE: u8 = const { 0 });
    HERE.with(|here| std::ptr::from_ref(here) as usize)
}

thread_local! {
    /// How many [`Bound`] this thread holds.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// The calling thread is at work on a device: whoever wants to record waits until it is not.
pub(crate) struct Bound<'a> {
    inner: &'a Inner,
    counted: bool,
}

impl Drop for Bound<'_> {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
        if self.counted {
            self.inner.at_work.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Inner {
    /// Whether the calling thread records a graph.
    pub(crate) fn is_recorder(&self) -> bool {
        let recorder = self.recorder.load(Ordering::Acquire);
        recorder != 0 && recorder == thread_mark()
    }

    /// Waits until no other thread records, and keeps others from beginning while the answer is held.
    pub(crate) fn enter(&self) -> Bound<'_> {
        let depth = DEPTH.get();
        let counted = depth == 0 && !self.is_recorder();
        if counted {
            loop {
                self.at_work.fetch_add(1, Ordering::SeqCst);
                if self.recorder.load(Ordering::SeqCst) == 0 {
                    break;
                }
                self.at_work.fetch_sub(1, Ordering::SeqCst);
                self.wait_for_recorder();
            }
        }
        DEPTH.set(depth + 1);
        Bound {
            inner: self,
            counted,
        }
    }

    fn wait_for_recorder(&self) {
        let mut capture = lock(&self.capture);
        while self.recorder.load(Ordering::SeqCst) != 0 {
            let waited = self.recorded.wait(capture);
            capture = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
        }
    }

    /// The arena of what the calling thread records.
    pub(crate) fn recording(&self) -> Option<Arc<Arena>> {
        if !self.is_recorder() {
            return None;
        }
        lock(&self.capture).as_ref().map(|c| Arc::clone(&c.arena))
    }

    /// An error while the calling thread records, and the end of what is recorded.
    pub(crate) fn not_in_capture(&self, op: &'static str, what: &str) -> Result<()> {
        if !self.is_recorder() {
            return Ok(());
        }
        let error = Error::capture(op, what);
        if let Some(capture) = &mut *lock(&self.capture) {
            capture.failed.get_or_insert(error.clone());
        }
        Err(error)
    }

    /// Notes that a kernel that is recorded counts faults.
    pub(crate) fn fault_in_capture(&self) {
        if let Some(arena) = self.recording() {
            arena.faults.store(true, Ordering::Relaxed);
        }
    }

    /// Notes that what is recorded uses a block.
    pub(crate) fn record_use(&self, block: sys::CUdeviceptr, home: &Home) {
        let Some(arena) = self.recording() else {
            return;
        };
        if !matches!(home, Home::Arena(own) if Arc::ptr_eq(own, &arena)) {
            lock(&self.pool).watch(block, &arena);
        }
    }

    /// Takes a block of a graph back: the recording may reuse it, if it still goes on.
    pub(crate) fn give_back_to(&self, arena: Arc<Arena>, block: sys::CUdeviceptr, size: usize) {
        let capture = lock(&self.capture);
        let goes_on = (capture.as_ref()).is_some_and(|c| Arc::ptr_eq(&c.arena, &arena));
        if goes_on && !lock(&self.pool).exact {
            lock(&arena.blocks).free.put(block, size);
        }
        drop(capture); // before the arena, which may be the last
    }
}

/// Ends a capture whatever happens in it.
struct Recording<'a>(&'a Device);

impl Recording<'_> {
    /// What was recorded, and the capture.
    fn end(&self) -> (Result<sys::CUgraph>, Option<Capture>) {
        let inner = &self.0.0;
        // SAFETY: the stream is ours, and captures.
        let graph = unsafe { result::stream::end_capture(inner.stream) };
        let mut capture = lock(&inner.capture);
        inner.recorder.store(0, Ordering::Release);
        inner.recorded.notify_all();
        (check("cuStreamEndCapture", graph), capture.take())
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        if let (Ok(graph), _) = self.end() {
            destroy(graph);
        }
    }
}

fn destroy(graph: sys::CUgraph) {
    if !graph.is_null() {
        // SAFETY: of `end_capture`, and destroyed once.
        let _ = unsafe { result::graph::destroy(graph) };
    }
}

impl Device {
    /// Whether the calling thread records a graph on it.
    pub fn is_capturing(&self) -> bool {
        self.0.is_recorder()
    }

    /// An error while the calling thread records, which ends the recording: for what would be the same at each replay, and must not be.
    ///
    /// # Errors
    /// [`Error::Capture`] in a capture.
    pub fn not_in_capture(&self, op: &'static str, what: &str) -> Result<()> {
        self.0.not_in_capture(op, what)
    }

    /// Records the work that `f` puts on the device, which does not run before it is replayed; see [`Graph`]. Buffers that `f` returns
    /// are the graph's memory: each replay writes them.
    ///
    /// # Errors
    /// Those of `f`; [`Error::Capture`] if it did something that cannot be recorded, or if a capture is under way in this thread.
    pub fn capture<R, E: From<Error>>(
        &self,
        f: impl FnOnce() -> Result<R, E>,
    ) -> Result<(R, Graph), E> {
        self.0
            .not_in_capture("capture", "it begins a second capture")?;
        self.0.bind_now()?;
        let arena = Arc::new(Arena {
            device: self.clone(),
            blocks: Mutex::default(),
            faults: AtomicBool::new(false),
        });
        let recording = self.begin(&arena)?;
        let out = f();
        let (graph, capture) = recording.end();
        std::mem::forget(recording);
        let failed = capture.and_then(|c| c.failed);
        let (out, graph) = match (out, failed, graph) {
            (Ok(out), None, Ok(graph)) => (out, graph),
            (out, failed, graph) => {
                let of_driver = graph.map(destroy).err();
                return Err(match (out, failed.or(of_driver)) {
                    (Err(e), _) => e,
                    (Ok(_), Some(e)) => e.into(),
                    (Ok(_), None) => Error::capture("capture", "it failed").into(),
                });
            }
        };
        // SAFETY: a graph that was just recorded.
        let executable =
            unsafe { result::graph::instantiate(graph, sys::CUgraphInstantiate_flags(0)) };
        destroy(graph);
        let graph = Graph {
            device: self.clone(),
            executable: check("cuGraphInstantiate", executable)?,
            arena,
        };
        Ok((out, graph))
    }

    fn begin(&self, arena: &Arc<Arena>) -> Result<Recording<'_>> {
        let inner = &self.0;
        let order = Ordering::SeqCst;
        while (inner.recorder)
            .compare_exchange(0, thread_mark(), order, order)
            .is_err()
        {
            inner.wait_for_recorder();
        }
        while inner.at_work.load(Ordering::SeqCst) > 0 {
            std::thread::yield_now(); // launches of other threads, each over in a moment
        }
        *lock(&inner.capture) = Some(Capture {
            arena: Arc::clone(arena),
            failed: None,
        });
        let recording = Recording(self);
        let relaxed = sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED;
        // SAFETY: the stream is ours, and does not capture.
        let begun = unsafe { result::stream::begin_capture(inner.stream, relaxed) };
        check("cuStreamBeginCapture", begun)?; // else `recording` ends what did not begin
        Ok(recording)
    }
}
