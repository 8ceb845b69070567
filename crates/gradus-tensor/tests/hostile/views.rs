//! Views: positions and lengths beyond the dimension, negative and huge steps, ranks that do not match, shapes whose product
//! overflows.

use gradus_tensor::{PadMode, Tensor};

use crate::draw::Draw;
use crate::look::look;
use crate::table::{Op, op};

/// Sizes for reshape and expand, -1 among them.
fn sizes(g: &Draw, x: &Tensor) -> Vec<isize> {
    if g.odds(30) {
        let mut flat = vec![x.numel() as isize];
        if g.flag() {
            flat.insert(g.below(2), 1);
        }
        return flat;
    }
    let mut sizes: Vec<isize> = x.dims().iter().map(|&n| n as isize).collect();
    for _ in 0..g.below(3) {
        let at = g.below(sizes.len() + 1);
        sizes.insert(at, g.dim());
    }
    if g.odds(30) && !sizes.is_empty() {
        let at = g.below(sizes.len());
        sizes[at] = g.int() as isize;
    }
    sizes
}

/// An order of the dimensions, mostly.
fn order(g: &Draw, rank: usize) -> Vec<isize> {
    let mut order: Vec<isize> = (0..rank as isize).collect();
    for i in (1..rank).rev() {
        order.swap(i, g.below(i + 1));
    }
    if g.odds(20) && rank > 0 {
        order[g.below(rank)] = g.dim();
    }
    order
}

pub fn ops() -> Vec<Op> {
    vec![
        op!(g, x: g.vast() => narrow(g.dim(), g.int(), g.size())),
        op!(g, x: g.vast() => select(g.dim(), g.int())),
        op!(g, x: g.vast() => slice(g.dim(), g.maybe(|| g.int()), g.maybe(|| g.int()), g.int())),
        op!(g, x: g.vast() => reshape(sizes(g, &x))),
        op!(g, x: g.vast() => view(sizes(g, &x))),
        op!(g, x: g.vast() => reshape_as(&g.like(&g.x()))),
        op!(g, x: g.vast() => permute(&order(g, x.rank()))),
        op!(g, x: g.vast() => transpose(g.dim(), g.dim())),
        op!(g, x: g.vast() => t()),
        op!(g, x: g.vast() => mt()),
        op!(g, x: g.vast() => movedim(g.dims(), g.dims())),
        op!(g, x: g.vast() => squeeze(g.dims())),
        op!(g, x: g.vast() => unsqueeze(g.dim())),
        op!(g, x: g.vast() => expand(sizes(g, &x))),
        op!(g, x: g.vast() => broadcast_to(g.sizes())),
        op!(g, x: g.x() => expand_as(&g.like(&x))),
        op!(g, x: g.vast() => flip(g.dims())),
        op!(g, x: g.vast() => flatten(g.dim(), g.dim())),
        op!(g, x: g.vast() => unflatten(g.dim(), sizes(g, &g.x()))),
        op!(g, x: g.vast() => unfold(g.dim(), g.size(), g.size())),
        op!(g, x: g.vast() => diagonal(g.int(), g.dim(), g.dim())),
        op!(g, x: g.vast() => as_strided(g.sizes(), &g.dim_list(), g.maybe(|| g.size()))),
        op!(g, x: g.vast() => contiguous()),
        op!(g, x: g.vast() => channels_last()),
        op!(g, x: g.vast() => copy()),
        op!(g, x: g.x() => tril(g.int())),
        op!(g, x: g.x() => triu(g.int())),
        op!(g, x: g.x() => diag(g.int())),
        op!(g, x: g.x() => diag_embed(g.int(), g.dim(), g.dim())),
        op!(g, x: g.x() => slice_scatter(&g.like(&x), g.dim(), g.maybe(|| g.int()), g.maybe(|| g.int()), g.int())),
        Op {
            name: "copy_",
            call: |g| {
                let (mut x, src) = (g.x(), g.x());
                let kept = g.flag().then(|| x.clone());
                look(x.copy_(&src).map(|()| (x, kept)))
            },
        },
        Op {
            name: "slice_scatter_",
            call: |g| {
                let x = g.x();
                let src = g.like(&x);
                let (start, end) = (g.maybe(|| g.int()), g.maybe(|| g.int()));
                look(x.slice_scatter_(&src, g.dim(), start, end, g.int()))
            },
        },
        op!(g, x: g.x() => select_scatter(&g.like(&x), g.dim(), g.int())),
        op!(g, x: g.x() => diagonal_scatter(&g.like(&x), g.int(), g.dim(), g.dim())),
        Op {
            name: "pad",
            call: |g| {
                let mode = match g.below(4) {
                    0 => PadMode::Constant(g.scalar()),
                    1 => PadMode::Reflect,
                    2 => PadMode::Replicate,
                    _ => PadMode::Circular,
                };
                let x = g.x();
                let amounts = 2 * g.below(x.rank().min(4) + 1) + usize::from(g.odds(5));
                let pad: Vec<isize> = (0..amounts)
                    .map(|_| {
                        if g.odds(90) {
                            g.below(4) as isize - 1
                        } else {
                            g.dim()
                        }
                    })
                    .collect();
                look(x.pad(&pad, mode))
            },
        },
        Op {
            name: "add_to_view_",
            call: |g| {
                let x = g.x();
                let (dim, start, len) = (g.dim(), g.int(), g.size());
                let Ok(view) = x.narrow(dim, start, len) else {
                    return false;
                };
                let src = g.like(&view);
                look(match g.below(3) {
                    // The view of another tensor, and one that shows an element twice.
                    0 => {
                        let other = g.x();
                        x.add_to_view_(|_| Ok(other.clone()), &src)
                    }
                    1 => x.add_to_view_(|x| x.narrow(dim, start, 1)?.expand_as(&view), &src),
                    _ => x.add_to_view_(|x| x.narrow(dim, start, len), &src),
                })
            },
        },
    ]
}
