//! Recorded work on a GPU, and the random numbers of its replays.
//!
//! Kernels that draw read seed and place of the default generator from two words on the device, and add their own place in the recording; each
//! replay writes the words first. PyTorch's generator does the same.

use std::cell::RefCell;
use std::sync::{Mutex, PoisonError};

use gradus_cuda::{Buffer, Graph};

use crate::error::{Error, Result};
use crate::random::{RngState, default_state, set_default_state};

/// A graph with what its replays draw from.
#[derive(Debug)]
pub(crate) struct Recorded {
    graph: Graph,
    base: Mutex<Buffer<i64>>,
    /// Blocks of the generator's stream that a replay uses.
    blocks: u64,
}

/// What the thread records.
struct Recorder {
    base: Buffer<i64>,
    start: RngState,
    blocks: u64,
}

thread_local!(static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) });

/// Whether the calling thread records.
pub(crate) fn is_capturing() -> bool {
    RECORDER.with_borrow(Option::is_some)
}

/// Ends the thread's recording whatever happens in it, and puts the generator back to where it was.
struct Guard(RngState);

impl Drop for Guard {
    fn drop(&mut self) {
        RECORDER.take();
        set_default_state(self.0);
    }
}

pub(crate) fn capture<R>(index: usize, f: impl FnOnce() -> Result<R>) -> Result<(Recorded, R)> {
    let op = "CudaGraph::capture";
    let device = super::device(op, index)?;
    if is_capturing() {
        device.not_in_capture(op, "it begins a second capture")?;
    }
    let start = default_state();
    let base = device.zeros::<i64>(2)?;
    RECORDER.set(Some(Recorder {
        base,
        start,
        blocks: 0,
    }));
    let guard = Guard(start);
    let (out, graph) = device.capture(f)?;
    let (end, recorder) = (default_state(), RECORDER.take());
    drop(guard);
    let Some(Recorder { base, blocks, .. }) = recorder else {
        return Err(Error::device(op, "another capture began in it"));
    };
    if end.seed != start.seed || end.offset != start.offset.wrapping_add(blocks) {
        let why = "the default generator was drawn from or seeded on the host: each replay of the graph would use the same numbers";
        return Err(Error::device(op, why));
    }
    let base = Mutex::new(base);
    Ok((
        Recorded {
            graph,
            base,
            blocks,
        },
        out,
    ))
}

/// Takes `blocks` blocks at `state` of the default generator for a kernel that is recorded: calls `f` with the base and the place from there.
pub(crate) fn draw(
    op: &'static str,
    state: RngState,
    blocks: u64,
    f: impl FnOnce(&Buffer<i64>, u64) -> gradus_cuda::Result<()>,
) -> Result<()> {
    RECORDER.with_borrow_mut(|recorder| {
        let Some(recorder) = recorder else {
            return Ok(());
        };
        if !crate::random::is_default() {
            let why = "in a graph numbers are drawn from the default generator only (random::with_default): those of another would be the same \
                       at each replay";
            return Err(Error::device(op, why));
        }
        recorder.blocks += blocks;
        let place = state.offset.wrapping_sub(recorder.start.offset);
        Ok(f(&recorder.base, place)?)
    })
}

impl Recorded {
    pub(crate) fn replay(&self) -> Result<()> {
        if self.blocks > 0 {
            let mut base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
            let RngState { seed, offset } = default_state();
            base.write(&[seed as i64, offset as i64])?;
            let offset = offset.wrapping_add(self.blocks);
            set_default_state(RngState { seed, offset });
        }
        Ok(self.graph.replay()?)
    }
}
