//! Joining, splitting, repeating: nothing to join, shapes that do not fit, absurd numbers of pieces and of repeats.

use gradus_tensor::Tensor;

use crate::draw::Draw;
use crate::table::{Op, op};

/// Up to three tensors that go together, mostly.
fn some(g: &Draw) -> Vec<Tensor> {
    let x = g.vast();
    let small = x.numel() < 5000;
    (0..g.below(4))
        .map(|_| if small { g.like(&x) } else { x.clone() })
        .collect()
}

pub fn ops() -> Vec<Op> {
    vec![
        op!(g => Tensor::cat(&some(g), g.dim())),
        op!(g => Tensor::stack(&some(g), g.dim())),
        op!(g => Tensor::hstack(&some(g))),
        op!(g => Tensor::vstack(&some(g))),
        op!(g => Tensor::meshgrid(&some(g), g.pick(&["ij", "xy", "yx", ""]))),
        op!(g => Tensor::broadcast_tensors(&some(g))),
        op!(g, x: g.vast() => split(g.size(), g.dim())),
        op!(g, x: g.vast() => split_sizes(&g.sizes(), g.dim())),
        op!(g, x: g.vast() => chunk(g.size(), g.dim())),
        op!(g, x: g.vast() => tensor_split(g.size(), g.dim())),
        op!(g, x: g.vast() => tensor_split_at(&g.ints(), g.dim())),
        op!(g, x: g.vast() => unbind(g.dim())),
        op!(g => repeat(g.sizes())),
        op!(g => tile(g.sizes())),
        op!(g => repeat_interleave(g.size(), g.maybe(|| g.dim()))),
        op!(g => roll(&g.ints(), g.dims())),
        op!(g => rot90(g.int(), &[g.dim(), g.dim()])),
    ]
}
