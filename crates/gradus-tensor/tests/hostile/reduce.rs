//! Reductions, scans and order: dimensions that are not there or named twice, nothing to reduce, NaN, counts beyond the size.

use gradus_tensor::Tensor;

use crate::look::look;
use crate::table::{Op, op};

pub fn ops() -> Vec<Op> {
    vec![
        op!(g => sum(g.dims(), g.flag())),
        op!(g => prod(g.dims(), g.flag())),
        op!(g => mean(g.dims(), g.flag())),
        op!(g => var(g.dims(), g.real(), g.flag())),
        op!(g => std(g.dims(), g.real(), g.flag())),
        op!(g => var_mean(g.dims(), g.real(), g.flag())),
        op!(g => std_mean(g.dims(), g.real(), g.flag())),
        op!(g => logsumexp(g.dims(), g.flag())),
        op!(g => norm(g.real(), g.dims(), g.flag())),
        op!(g, x: g.x() => dist(&g.like(&x), g.real())),
        op!(g => nansum(g.dims(), g.flag())),
        op!(g => nanmean(g.dims(), g.flag())),
        op!(g => all(g.dims(), g.flag())),
        op!(g => any(g.dims(), g.flag())),
        op!(g => count_nonzero(g.dims())),
        op!(g => amax(g.dims(), g.flag())),
        op!(g => amin(g.dims(), g.flag())),
        op!(g => aminmax(g.maybe(|| g.dim()), g.flag())),
        op!(g => max(g.dim(), g.flag())),
        op!(g => min(g.dim(), g.flag())),
        op!(g => argmax(g.maybe(|| g.dim()), g.flag())),
        op!(g => argmin(g.maybe(|| g.dim()), g.flag())),
        op!(g => trace()),
        op!(g => cumsum(g.dim())),
        op!(g => cumprod(g.dim())),
        op!(g => cummax(g.dim())),
        op!(g => cummin(g.dim())),
        op!(g => logcumsumexp(g.dim())),
        op!(g, x: g.x() => diff(g.int(), g.dim(), g.maybe(|| g.like(&x)).as_ref(), g.maybe(|| g.like(&x)).as_ref())),
        op!(g => sort(g.dim(), g.flag())),
        op!(g => argsort(g.dim(), g.flag())),
        op!(g => msort()),
        op!(g => topk(g.size(), g.dim(), g.flag())),
        op!(g => kthvalue(g.size(), g.dim(), g.flag())),
        op!(g => median()),
        op!(g => median_dim(g.dim(), g.flag())),
        Op {
            name: "quantile",
            call: |g| {
                let x = g.float();
                let q: Vec<f64> = (0..g.below(4)).map(|_| g.real().abs()).collect();
                let q = Tensor::from_vec(q.clone(), q.len()).unwrap();
                let q = q
                    .to_dtype(if g.odds(80) { x.dtype() } else { g.dtype() })
                    .unwrap();
                let how = g.pick(&[
                    "linear", "lower", "higher", "midpoint", "nearest", "", "cubic",
                ]);
                let dim = g.maybe(|| g.dim());
                look(x.quantile(&q, dim, g.flag(), how))
            },
        },
        op!(g => unique_consecutive(g.maybe(|| g.dim()))),
        op!(g => unique()),
        op!(g, x: g.x() => searchsorted(&g.like(&x), g.flag(), g.maybe(|| g.index(&x, -1)).as_ref())),
        op!(g, x: g.x() => bucketize(&g.of(x.dtype(), &[g.below(4)]), g.flag())),
        op!(g => softmax(g.dim())),
        op!(g => log_softmax(g.dim())),
        op!(g => softmin(g.dim())),
        op!(g, x: g.float() => softmax_backward(&g.like(&x), g.dim())),
        op!(g, x: g.float() => log_softmax_backward(&g.like(&x), g.dim())),
    ]
}
