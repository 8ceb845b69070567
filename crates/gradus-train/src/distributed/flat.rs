//! Many tensors as one flat buffer, and back; the same tensors on every rank.

use gradus_nn::Module;
use gradus_tensor::{DType, Device, Tensor};

use super::{Communicator, ReduceOp};
use crate::error::{Result, ResultExt as _, invalid};

/// Bytes that are broadcast at once, as in DDP.
const BROADCAST_BYTES: usize = 250 << 20;

/// The elements of all tensors, one after the other.
pub(super) fn flatten(tensors: &[Tensor]) -> Result<Tensor> {
    let flat = tensors.iter().map(|t| t.reshape([-1]));
    Tensor::cat(&flat.collect::<Result<Vec<_>>>()?, 0)
}

/// Parts of a flat buffer, in the shapes of `like`; views of it.
pub(super) fn unflatten(flat: &Tensor, like: &[Tensor]) -> Result<Vec<Tensor>> {
    let mut start = 0;
    let part = |t: &Tensor| {
        let part = flat.narrow(0, start as i64, t.numel())?.reshape(t.shape());
        start += t.numel();
        part
    };
    like.iter().map(part).collect()
}

/// The tensors of rank `root`, on every rank, in few exchanges.
fn broadcast_all(ranks: &dyn Communicator, tensors: &[Tensor], root: usize) -> Result<Vec<Tensor>> {
    let mut found: Vec<Option<Tensor>> = vec![None; tensors.len()];
    let kind = |t: &Tensor| (t.dtype(), t.device());
    let mut kinds: Vec<(DType, Device)> = Vec::new();
    for tensor in tensors {
        if !kinds.contains(&kind(tensor)) {
            kinds.push(kind(tensor));
        }
    }
    for wanted in kinds {
        let all: Vec<usize> = (0..tensors.len())
            .filter(|&i| kind(&tensors[i]) == wanted)
            .collect();
        let mut rest = &all[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let within = |&&i: &&usize| {
                bytes += tensors[i].numel() * wanted.0.size();
                bytes <= BROADCAST_BYTES
            };
            let (now, later) = rest.split_at(rest.iter().take_while(within).count().max(1));
            let parts: Vec<Tensor> = now.iter().map(|&i| tensors[i].clone()).collect();
            let flat = ranks.broadcast(flatten(&parts)?, root)?;
            for (&i, tensor) in now.iter().zip(unflatten(&flat, &parts)?) {
                found[i] = Some(tensor.copy()?); // of its own memory, so that a step can change it in place
            }
            rest = later;
        }
    }
    Ok(found.into_iter().flatten().collect())
}

/// Rank 0's parameters, on every rank.
pub(super) fn broadcast_parameters(ranks: &dyn Communicator, model: &mut dyn Module) -> Result<()> {
    let mut parameters = model.named_parameters_mut();
    let values: Vec<Tensor> = parameters.iter().map(|(_, p)| p.data().clone()).collect();
    let values = broadcast_all(ranks, &values, 0)?;
    if ranks.rank() != 0 {
        for ((name, param), value) in parameters.iter_mut().zip(values) {
            param.set(value).in_layer(name.as_str())?;
        }
    }
    Ok(())
}

/// Rank 0's buffers (running statistics), on every rank.
pub(super) fn broadcast_buffers(ranks: &dyn Communicator, model: &dyn Module) -> Result<()> {
    let buffers = model.named_buffers();
    if ranks.world_size() == 1 || buffers.is_empty() {
        return Ok(());
    }
    let values: Vec<Tensor> = buffers.iter().map(|(_, buffer)| buffer.get()).collect();
    let values = broadcast_all(ranks, &values, 0)?;
    if ranks.rank() != 0 {
        for ((_, buffer), value) in buffers.iter().zip(values) {
            buffer.set(value);
        }
    }
    Ok(())
}

/// Do all ranks have these lines? If not, every rank gets an error, and those that differ say in which line.
///
/// The exchange is itself safe: rank 0 says the length of its text first.
pub(super) fn verify_same(ranks: &dyn Communicator, what: &str, lines: &[String]) -> Result<()> {
    let (rank, world) = (ranks.rank(), ranks.world_size());
    if world == 1 {
        return Ok(());
    }
    let own = lines.join("\n");
    let count = Tensor::from_slice(&[own.len() as i64], 1)?;
    let count = ranks.broadcast(count, 0)?.to_vec::<i64>()?[0];
    let mut bytes = own.clone().into_bytes();
    bytes.resize(count as usize, 0);
    let length = bytes.len();
    let bytes = Tensor::from_vec(bytes, length)?;
    let zero = String::from_utf8_lossy(&ranks.broadcast(bytes, 0)?.to_vec::<u8>()?).into_owned();

    let mut differs = vec![0f32; world]; // by rank
    differs[rank] = f32::from(own != zero);
    let differs = Tensor::from_vec(differs, world)?;
    let differs = ranks.all_reduce(differs, ReduceOp::Sum)?.to_vec::<f32>()?;
    if own != zero {
        let mut pairs = own.lines().zip(zero.lines()).enumerate();
        let Some((i, (here, there))) = pairs.find(|(_, (a, b))| a != b) else {
            return Err(invalid(format!(
                "rank {rank} has {} {what}, rank 0 {}",
                own.lines().count(),
                zero.lines().count()
            )));
        };
        return Err(invalid(format!(
            "the {what} differ between ranks: number {i} is {here} on rank {rank}, {there} on rank 0"
        )));
    }
    let others: Vec<String> = (0..world)
        .filter(|&r| differs[r] != 0.0)
        .map(|r| r.to_string())
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(invalid(format!(
        "the {what} differ between ranks: rank {} has others than rank {rank}; its own error says which",
        others.join(", ")
    )))
}
