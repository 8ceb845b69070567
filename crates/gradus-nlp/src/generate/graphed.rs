//! Single tokens read by replaying a CUDA graph: a small model's step is hundreds of kernels, each over before the host has launched the next.
//!
//! The graph reads the token's id and its place from memory of the GPU, writes keys and values at that place and attends to all of the caches' memory,
//! with a mask of what has been written. The idea is Hugging Face's static cache.

use gradus_tensor::{CudaGraph, DType, Device, Error, Result, Tensor};

use super::KvCache;
use super::cache::Place;

/// What a session keeps of its graph.
#[derive(Default)]
pub(super) struct Graphed {
    recorded: Option<Recorded>,
}

struct Recorded {
    graph: CudaGraph,
    ids: Tensor, // i64 (B, 1)
    place: Place,
    logits: Tensor, // (B, V)
    /// Where the caches lay.
    memory: Vec<Option<[usize; 2]>>,
}

fn memory(caches: &[KvCache]) -> Vec<Option<[usize; 2]>> {
    caches.iter().map(KvCache::places).collect()
}

/// Whether these ids can be read by a graph: one for each text, after others, with room for it.
pub(super) fn can_read(ids: &Tensor, caches: &[KvCache]) -> Result<bool> {
    let Some((len, (room, device))) = caches.first().and_then(|c| Some((c.len(), c.room()?)))
    else {
        return Ok(false);
    };
    if device == Device::Cpu {
        let why = "the model is on the CPU, which has no graphs; move it to a GPU";
        return Err(Error::value("Session::use_graph", why));
    }
    Ok(ids.dims()[1] == 1 && len < room)
}

impl Graphed {
    /// Reads ids (B, 1) by the graph, or records it: `read` gives logits (B, V).
    pub fn read(
        &mut self,
        ids: &Tensor,
        caches: &mut [KvCache],
        read: impl Fn(&Tensor, &mut [KvCache]) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let at = Tensor::from_vec(vec![caches[0].len() as i64], 1)?;
        let logits = match &mut self.recorded {
            Some(recorded) if recorded.memory == memory(caches) => {
                recorded.ids.copy_(ids)?;
                recorded.place.at.copy_(&at)?;
                recorded.graph.replay()?;
                recorded.logits.copy()? // the next replay writes them
            }
            _ => {
                let (recorded, logits) = record(ids, &at, caches, read)?;
                self.recorded = Some(recorded);
                logits
            }
        };
        caches.iter_mut().for_each(KvCache::grow);
        Ok(logits)
    }
}

/// Reads ids once, so that kernels and tables are there, and then records how; the recording does not run.
fn record(
    ids: &Tensor,
    at: &Tensor,
    caches: &mut [KvCache],
    read: impl Fn(&Tensor, &mut [KvCache]) -> Result<Tensor>,
) -> Result<(Recorded, Tensor)> {
    let op = "Session::use_graph";
    let Some((room, device)) = caches.first().and_then(KvCache::room) else {
        return Err(Error::value(op, "nothing was read yet"));
    };
    let place = Place {
        at: at.to_device(&device)?,
        columns: Tensor::arange(0, room as i64, 1, DType::I64)?.to_device(&device)?,
        kept: std::sync::Arc::default(),
    };
    let ids = ids.to_dtype(DType::I64)?.to_device(&device)?.copy()?;
    let mut there = |ids: &Tensor| {
        for cache in caches.iter_mut() {
            cache.set_place(Some(place.clone()));
        }
        let logits = read(ids, caches);
        caches.iter_mut().for_each(|cache| cache.set_place(None));
        logits
    };
    let logits = there(&ids)?;
    let (graph, recorded) = CudaGraph::capture(&device, || there(&ids)?.copy())?;
    let memory = memory(caches);
    Ok((
        Recorded {
            graph,
            ids,
            place,
            logits: recorded,
            memory,
        },
        logits,
    ))
}
