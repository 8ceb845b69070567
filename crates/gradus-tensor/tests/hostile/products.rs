//! Products: inner sizes that differ, nothing inside, ranks and dtypes that do not match.

use gradus_tensor::Tensor;

use crate::draw::Draw;
use crate::look::look;
use crate::table::{Op, op};

/// The right operand of a product with `x`, mostly.
fn right(g: &Draw, x: &Tensor) -> Tensor {
    if g.odds(20) {
        return g.like(x);
    }
    let inner = x.dims().last().copied().unwrap_or(1);
    let mut shape = vec![inner];
    if x.rank() != 1 || g.flag() {
        shape.push(g.below(5));
    }
    if shape.len() == 2 && x.rank() > 2 && g.flag() {
        let lead = x.dims()[x.rank() - 3];
        shape.insert(0, lead);
    }
    if shape.iter().any(|&n| n > 1000) {
        return g.x();
    }
    g.of(x.dtype(), &shape)
}

fn of_rank(g: &Draw, rank: usize) -> Tensor {
    if g.odds(10) {
        return g.x();
    }
    let shape: Vec<usize> = (0..rank).map(|_| g.below(5)).collect();
    g.of(g.dtype(), &shape)
}

/// A tensor with a dimension of three, mostly.
fn three(g: &Draw) -> Tensor {
    let shape = g.pick(&[&[3][..], &[2, 3], &[3, 2], &[4, 3, 2], &[2, 2]]);
    g.of(g.dtype(), shape)
}

pub fn ops() -> Vec<Op> {
    vec![
        op!(g, x: g.x() => matmul(&right(g, &x))),
        op!(g, x: of_rank(g, 2) => mm(&right(g, &x))),
        op!(g, x: of_rank(g, 3) => bmm(&right(g, &x))),
        op!(g, x: of_rank(g, 2) => mv(&g.of(x.dtype(), &x.dims()[x.rank().min(1)..x.rank().min(2)]))),
        op!(g, x: of_rank(g, 1) => dot(&g.like(&x))),
        op!(g, x: of_rank(g, 1) => outer(&g.of(x.dtype(), &[g.below(5)]))),
        op!(g, x: g.x() => inner(&g.like(&x))),
        op!(g, x: g.x() => linear(
            &g.of(x.dtype(), &[g.below(4), if g.odds(90) { x.dims().last().copied().unwrap_or(1).min(300) } else { g.below(5) }]),
            g.maybe(|| g.of(x.dtype(), &[g.below(4)])).as_ref()
        )),
        op!(g, x: g.x() => linear_keeping(
            &g.of(x.dtype(), &[g.below(99), if g.odds(90) { x.dims().last().copied().unwrap_or(1).min(300) } else { g.below(5) }]),
            None
        )),
        op!(g, x: of_rank(g, 2) => addmm(
            &g.of(x.dtype(), &[x.dims().first().copied().unwrap_or(1).min(99), 2]),
            &g.of(x.dtype(), &[2, x.dims().last().copied().unwrap_or(1).min(99)]), g.scalar(), g.scalar())),
        op!(g, x: of_rank(g, 3) => baddbmm(
            &g.of(x.dtype(), &[x.dims().first().copied().unwrap_or(1).min(99), x.dims().get(1).copied().unwrap_or(1).min(99), 2]),
            &g.of(x.dtype(), &[x.dims().first().copied().unwrap_or(1).min(99), 2, x.dims().last().copied().unwrap_or(1).min(99)]),
            g.scalar(), g.scalar())),
        op!(g, x: of_rank(g, 2) => addbmm(
            &g.of(x.dtype(), &[3, x.dims().first().copied().unwrap_or(1).min(99), 2]),
            &g.of(x.dtype(), &[g.pick(&[3, 3, 2]), 2, x.dims().last().copied().unwrap_or(1).min(99)]), g.scalar(), g.scalar())),
        op!(g, x: of_rank(g, 2) => addr(
            &g.of(x.dtype(), &[x.dims().first().copied().unwrap_or(1).min(99)]),
            &g.of(x.dtype(), &[x.dims().last().copied().unwrap_or(1).min(99)]), g.scalar(), g.scalar())),
        op!(g, x: g.x() => kron(&g.like(&x))),
        op!(g, x: g.x() => linalg_vecdot(&g.like(&x), g.dim())),
        op!(g, x: three(g) => cross(&g.like(&x), g.maybe(|| g.dim()))),
        op!(g, x: three(g) => linalg_cross(&g.like(&x), g.dim())),
        op!(g, x: g.float() => cdist(&g.like(&x), g.real())),
        op!(g, x: g.x() => tensordot(&g.like(&x), (g.dim_list(), g.dim_list()))),
        op!(g, x: g.x() => tensordot(&g.like(&x), g.size())),
        Op {
            name: "linalg_multi_dot",
            call: |g| {
                let x = g.of(g.float_dtype(), &[g.below(4), 3]);
                let (y, z) = (g.of(x.dtype(), &[3, g.below(3)]), g.like(&x));
                look(Tensor::linalg_multi_dot(&[&x, &y, &z][..g.below(4)]))
            },
        },
        Op {
            name: "einsum",
            call: |g| {
                let (x, y) = (of_rank(g, 2), of_rank(g, 2));
                let equation = g.pick(&[
                    "ij,jk->ik",
                    "ij,jk",
                    "ij->ji",
                    "ii->i",
                    "ii",
                    "...i,...i->...",
                    "ij,ij->",
                    "i j -> j i",
                    "ij,jk->il",
                    "ij->iij",
                    "",
                    "->",
                    ",",
                    "ij,",
                    "i.j->ij",
                    "....->",
                    "é,j->",
                    "ab,cd->abcd",
                    "i..., i... -> ...",
                ]);
                look(Tensor::einsum(equation, &[&x, &y][..g.below(3)]))
            },
        },
        op!(g, x: of_rank(g, 1) => addmv(
            &g.of(x.dtype(), &[x.dims().first().copied().unwrap_or(1).min(99), 3]),
            &g.of(x.dtype(), &[g.pick(&[3, 3, 3, 1, 0, 4])]), g.scalar(), g.scalar())),
    ]
}
