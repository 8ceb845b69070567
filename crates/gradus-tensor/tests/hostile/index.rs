//! Reading and writing by position: negative, huge and missing positions, indices of the wrong dtype, rank and length.

use gradus_tensor::{Index, ScatterReduce, Tensor};

use crate::draw::Draw;
use crate::look::look;
use crate::table::{Op, op};

/// A list of index items as `x[…]` takes them.
fn items(g: &Draw, x: &Tensor) -> Vec<Index> {
    let item = |d: usize| match g.below(9) {
        0 | 1 => Index::At(g.int()),
        2 | 3 => Index::Slice(g.maybe(|| g.int()), g.maybe(|| g.int()), g.int()),
        4 => Index::NewAxis,
        5 => Index::Ellipsis,
        6 => Index::Tensor(g.mask(x)),
        7 => Index::Tensor(g.index(x, d as isize)),
        _ => Index::Tensor(g.list(x, d as isize)),
    };
    (0..g.below(4)).map(item).collect()
}

pub fn ops() -> Vec<Op> {
    let mut all = vec![
        op!(g, x: g.x() => index(items(g, &x))),
        Op {
            name: "index",
            call: |g| {
                let at = Index::Slice(g.maybe(|| g.int()), g.maybe(|| g.int()), g.int());
                look(
                    g.vast()
                        .index(vec![Index::Ellipsis, at, Index::At(g.int())]),
                )
            },
        },
        Op {
            name: "index_put",
            call: |g| {
                let x = g.x();
                let items = items(g, &x);
                let Ok(part) = x.index(items.clone()) else {
                    return look(x.index_put(items, &g.like(&x), g.flag()));
                };
                look(x.index_put(items, &g.like(&part), g.flag()))
            },
        },
        op!(g => nonzero()),
        op!(g => nonzero_tuple()),
        op!(g, x: g.x() => masked_select(&g.mask(&x))),
        op!(g, x: g.x() => masked_scatter(&g.mask(&x), &g.like(&x))),
        op!(g, x: g.x() => take(&g.positions(x.numel(), &g.shape()))),
        Op {
            name: "put",
            call: |g| {
                let x = g.x();
                let index = g.positions(x.numel(), &g.shape());
                let source = g.of(x.dtype(), index.dims());
                look(x.put(&index, &if g.odds(85) { source } else { g.x() }, g.flag()))
            },
        },
    ];
    macro_rules! along {
        ($($name:ident($x:ident, $dim:ident, $index:ident, $g:ident) $make:ident $call:expr;)*) => {
            all.extend([$(Op {
                name: stringify!($name),
                call: |$g| {
                    let $x = $g.x();
                    let $dim = $g.dim();
                    let $index = $g.$make(&$x, $dim);
                    look($call)
                },
            }),*]);
        };
    }
    /// A source of the index's shape, mostly.
    fn source(g: &Draw, x: &Tensor, index: &Tensor) -> Tensor {
        if g.odds(70) {
            g.of(x.dtype(), index.dims())
        } else {
            g.like(x)
        }
    }
    /// `x` with the length of `index` along `dim`, mostly.
    fn rows(g: &Draw, x: &Tensor, dim: isize, index: &Tensor) -> Tensor {
        let mut shape = x.dims().to_vec();
        let d = dim.rem_euclid(x.rank().max(1) as isize) as usize;
        if let Some(s) = shape.get_mut(d) {
            *s = index.numel();
        }
        if g.odds(80) && index.numel() < 100 && x.numel() < 1000 {
            g.of(x.dtype(), &shape)
        } else {
            g.like(x)
        }
    }
    along! {
        index_select(x, dim, index, g) list x.index_select(dim, &index);
        gather(x, dim, index, g) index x.gather(dim, &index);
        scatter(x, dim, index, g) index x.scatter(dim, &index, &source(g, &x, &index));
        scatter_value(x, dim, index, g) index x.scatter_value(dim, &index, g.scalar());
        scatter_add(x, dim, index, g) index x.scatter_add(dim, &index, &source(g, &x, &index));
        index_add(x, dim, index, g) list x.index_add(dim, &index, &rows(g, &x, dim, &index), g.scalar());
        index_copy(x, dim, index, g) list x.index_copy(dim, &index, &rows(g, &x, dim, &index));
        index_copy_(x, dim, index, g) list { let source = rows(g, &x, dim, &index); x.index_copy_(dim, &index, &source) };
        index_fill(x, dim, index, g) list x.index_fill(dim, &index, g.scalar());
        take_along_dim(x, dim, index, g) index x.take_along_dim(&index, g.odds(80).then_some(dim));
        repeat_interleave_tensor(x, dim, index, g) list x.repeat_interleave_tensor(&index, g.odds(80).then_some(dim));
        scatter_reduce(x, dim, index, g) index {
            let how = g.pick(&[
                ScatterReduce::Sum,
                ScatterReduce::Prod,
                ScatterReduce::Mean,
                ScatterReduce::Amax,
                ScatterReduce::Amin,
            ]);
            x.scatter_reduce(dim, &index, &source(g, &x, &index), how, g.flag())
        };
    }
    all
}
