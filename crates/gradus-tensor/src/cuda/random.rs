//! Random numbers on a GPU: those the CPU draws from the same generator.

use gradus_cuda::ops::random::{self as kernel, Stream};

use super::{device, graph};
use crate::dtype::DType;
use crate::error::Result;
use crate::random::Rng;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// True with probability `p`.
pub(crate) fn bernoulli(p: f64, shape: &Shape, index: usize, rng: &mut Rng) -> Result<Tensor> {
    let op = "bernoulli";
    let mut y = device(op, index)?.uninit::<bool>(shape.numel()?)?;
    let (state, blocks) = (rng.state(), y.len().div_ceil(4));
    let stream = |offset| Stream {
        seed: state.seed,
        offset,
    };
    if graph::is_capturing() {
        graph::draw(op, state, blocks as u64, |base, place| {
            kernel::bernoulli(p, stream(place), Some(base), &mut y)
        })?;
    } else {
        kernel::bernoulli(p, stream(state.offset), None, &mut y)?;
    }
    rng.advance(blocks);
    Ok(super::tensor(y, shape, DType::Bool))
}
