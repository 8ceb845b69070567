//! Kernels of networks: empty filters, zero strides and groups, paddings, dilations, kernels and outputs beyond reason, gradients
//! that do not belong to their forward, labels out of range.

use gradus_tensor::{
    AvgPoolParams, ConvParams, CrossEntropyOptions, CrossEntropyOutput, MaxPoolParams, Normalized,
    Reduction, Tensor,
};

use crate::draw::Draw;
use crate::look::look;
use crate::table::Op;

fn conv_params<const D: usize>(g: &Draw) -> ConvParams<D> {
    ConvParams {
        stride: g.window(),
        padding: g.window(),
        dilation: g.window(),
        groups: if g.odds(70) { 1 } else { g.size() },
    }
}

fn max_params<const D: usize>(g: &Draw) -> MaxPoolParams<D> {
    MaxPoolParams {
        kernel: g.window(),
        stride: g.window(),
        padding: if g.flag() { [0; D] } else { g.window() },
        dilation: if g.flag() { [1; D] } else { g.window() },
        ceil_mode: g.flag(),
    }
}

fn avg_params<const D: usize>(g: &Draw) -> AvgPoolParams<D> {
    AvgPoolParams {
        kernel: g.window(),
        stride: g.window(),
        padding: if g.flag() { [0; D] } else { g.window() },
        ceil_mode: g.flag(),
        count_include_pad: g.flag(),
        divisor_override: g.maybe(|| g.int()),
    }
}

/// (B, C, sizes…) or (C, sizes…), mostly.
fn image(g: &Draw, dims: usize) -> Tensor {
    if g.odds(6) {
        return g.x();
    }
    let mut shape: Vec<usize> = (0..dims).map(|_| g.below(7)).collect();
    shape.insert(0, g.pick(&[1, 2, 2, 4, 4, 0, 3]));
    if g.odds(80) {
        shape.insert(0, g.pick(&[1, 2, 2, 3, 0]));
    }
    g.of(g.float_dtype(), &shape)
}

/// A filter that goes with the channels of `x`, mostly.
fn filter(g: &Draw, x: &Tensor, dims: usize, groups: usize, transposed: bool) -> Tensor {
    if g.odds(6) {
        return g.float();
    }
    let channels = x
        .rank()
        .checked_sub(dims + 1)
        .map_or(1, |d| x.dims()[d])
        .min(9);
    let per_group = channels / groups.clamp(1, 9);
    let mut shape: Vec<usize> = (0..dims)
        .map(|_| g.pick(&[1, 1, 2, 2, 3, 3, 4, 0]))
        .collect();
    if transposed {
        shape.insert(0, g.below(4));
        shape.insert(0, channels);
    } else {
        shape.insert(0, per_group);
        shape.insert(0, groups.clamp(1, 9) * g.below(4));
    }
    g.of(x.dtype(), &shape)
}

fn bias(g: &Draw, w: &Tensor) -> Option<Tensor> {
    g.maybe(|| {
        let n = w.dims().first().copied().unwrap_or(1).min(99);
        if g.odds(85) {
            g.of(w.dtype(), &[n])
        } else {
            g.like(w)
        }
    })
}

fn conv<const D: usize>(g: &Draw) -> bool {
    let (x, p) = (image(g, D), conv_params::<D>(g));
    let w = filter(g, &x, D, p.groups, false);
    look(x.conv(&w, bias(g, &w).as_ref(), &p))
}

fn conv_keeping<const D: usize>(g: &Draw) -> bool {
    let (x, p) = (image(g, D), conv_params::<D>(g));
    let w = filter(g, &x, D, p.groups, false);
    // Twice, with what the first has kept.
    let first = x.conv_keeping(&w, bias(g, &w).as_ref(), &p).is_ok();
    look(x.conv_keeping(&w, bias(g, &w).as_ref(), &p)) && first
}

macro_rules! conv_of {
    ($name:ident, $D:literal) => {
        Op {
            name: stringify!($name),
            call: |g| {
                let (x, p) = (image(g, $D), conv_params::<$D>(g));
                let w = filter(g, &x, $D, p.groups, false);
                look(x.$name(&w, bias(g, &w).as_ref(), &p))
            },
        }
    };
}

fn conv_transpose<const D: usize>(g: &Draw) -> bool {
    let (x, p) = (image(g, D), conv_params::<D>(g));
    let w = filter(g, &x, D, p.groups, true);
    let bias = g.maybe(|| g.of(x.dtype(), &[w.dims().get(1).copied().unwrap_or(1).min(99)]));
    let extra = if g.odds(70) { [0; D] } else { g.window() };
    look(x.conv_transpose(&w, bias.as_ref(), &p, extra))
}

/// The gradients of a convolution, from a gradient of the right shape or any.
fn conv_backward<const D: usize>(g: &Draw, of_weight: bool) -> bool {
    let (x, p) = (image(g, D), conv_params::<D>(g));
    let w = filter(g, &x, D, p.groups, false);
    let dy = match x.conv(&w, None, &p) {
        Ok(y) if g.odds(90) && y.numel() < 10_000 => g.of(y.dtype(), y.dims()),
        _ => image(g, D),
    };
    let odd = g.sizes();
    let shape = |right: &Tensor| {
        if g.odds(90) {
            right.dims().to_vec()
        } else {
            odd.clone()
        }
    };
    if of_weight {
        look(x.conv_backward_weight(&dy, &p, &shape(&w)))
    } else {
        look(dy.conv_backward_data(&w, &p, &shape(&x)))
    }
}

fn pool_backward<const D: usize>(g: &Draw, max: bool) -> bool {
    let x = image(g, D);
    let shape = if g.odds(85) {
        x.dims().to_vec()
    } else {
        g.sizes()
    };
    if max {
        let Ok((y, at)) = x.max_pool_with_indices(&max_params::<D>(g)) else {
            return look(x.max_pool_backward::<D>(&g.like(&x), &shape));
        };
        let at = if g.odds(70) {
            at
        } else {
            g.positions(x.numel(), y.dims())
        };
        return look(g.like(&y).max_pool_backward::<D>(&at, &shape));
    }
    let p = avg_params::<D>(g);
    let y = x.avg_pool(&p).unwrap_or(x);
    look(g.like(&y).avg_pool_backward(&p, &shape))
}

/// A parameter of this shape, mostly.
fn parameter(g: &Draw, x: &Tensor, shape: &[usize]) -> Option<Tensor> {
    let small = shape
        .iter()
        .try_fold(1usize, |a, &b| a.checked_mul(b))
        .is_some_and(|n| n < 5000);
    g.maybe(|| {
        if g.odds(90) && small {
            g.of(x.dtype(), shape)
        } else {
            g.like(x)
        }
    })
}

/// The last dimensions of `x`, mostly.
fn normalized_shape(g: &Draw, x: &Tensor) -> Vec<usize> {
    if g.odds(15) {
        return g.sizes();
    }
    x.dims()[g.below(x.rank() + 1)..].to_vec()
}

fn channels(x: &Tensor) -> usize {
    x.dims().get(1).copied().unwrap_or(1).min(999)
}

/// Statistics that a forward pass never gave, or those it gave.
fn statistics(g: &Draw, right: Normalized) -> Normalized {
    if g.odds(70) {
        return right;
    }
    Normalized {
        y: right.y.clone(),
        mean: g.like(&right.mean),
        rstd: g.like(&right.rstd),
    }
}

fn norm_backward(g: &Draw, which: usize) -> bool {
    let x = if g.flag() { image(g, 1) } else { g.float() };
    let (shape, groups) = (normalized_shape(g, &x), g.size());
    let eps = g.real().abs();
    let forward = match which {
        0 => x.layer_norm(&shape, None, None, eps),
        1 => x.rms_norm(&shape, None, eps),
        _ => x.group_norm(groups, None, None, eps),
    };
    let fake = || Normalized {
        y: x.clone(),
        mean: g.like(&x),
        rstd: g.like(&x),
    };
    let forward = forward.map_or_else(|_| fake(), |f| statistics(g, f));
    let dy = g.like(&x);
    match which {
        0 => look(dy.layer_norm_backward(&x, &shape, parameter(g, &x, &shape).as_ref(), &forward)),
        1 => look(dy.rms_norm_backward(&x, &shape, parameter(g, &x, &shape).as_ref(), &forward)),
        _ => {
            let w = parameter(g, &x, &[channels(&x)]);
            look(dy.group_norm_backward(&x, groups, w.as_ref(), &forward))
        }
    }
}

fn entropy(g: &Draw) -> (Tensor, Tensor, CrossEntropyOptions) {
    let x = if g.odds(80) {
        image(g, g.below(2))
    } else {
        g.float()
    };
    let mut shape = x.dims().to_vec();
    let d = usize::from(shape.len() > 1).min(shape.len().saturating_sub(1));
    let classes = if shape.is_empty() { 1 } else { shape.remove(d) };
    let target = g.positions(classes, &shape);
    let options = CrossEntropyOptions {
        weight: parameter(g, &x, &[classes.min(999)]),
        ignore_index: g.int(),
        label_smoothing: if g.flag() { 0.0 } else { g.real() },
        reduction: g.pick(&[Reduction::None, Reduction::Mean, Reduction::Sum]),
    };
    (x, target, options)
}

pub fn ops() -> Vec<Op> {
    let mut all = vec![
        conv_of!(conv1d, 1),
        conv_of!(conv2d, 2),
        conv_of!(conv3d, 3),
    ];
    macro_rules! dims {
        ($($name:ident($g:ident) $one:expr, $two:expr, $three:expr;)*) => {
            all.extend([$(Op {
                name: stringify!($name),
                call: |$g| match $g.below(3) {
                    0 => $one,
                    1 => $two,
                    _ => $three,
                },
            }),*]);
        };
    }
    dims! {
        conv(g) conv::<1>(g), conv::<2>(g), conv::<3>(g);
        conv_keeping(g) conv_keeping::<1>(g), conv_keeping::<2>(g), conv_keeping::<3>(g);
        conv_transpose(g) conv_transpose::<1>(g), conv_transpose::<2>(g), conv_transpose::<3>(g);
        conv_backward_data(g) conv_backward::<1>(g, false), conv_backward::<2>(g, false), conv_backward::<3>(g, false);
        conv_backward_weight(g) conv_backward::<1>(g, true), conv_backward::<2>(g, true), conv_backward::<3>(g, true);
        conv_backward_bias(g) look(image(g, 1).conv_backward_bias()), look(image(g, 2).conv_backward_bias()),
            look(g.x().conv_backward_bias());
        max_pool(g) look(image(g, 1).max_pool(&max_params::<1>(g))), look(image(g, 2).max_pool(&max_params::<2>(g))),
            look(image(g, 3).max_pool(&max_params::<3>(g)));
        max_pool_with_indices(g) look(image(g, 1).max_pool_with_indices(&max_params::<1>(g))),
            look(image(g, 2).max_pool_with_indices(&max_params::<2>(g))),
            look(image(g, 3).max_pool_with_indices(&max_params::<3>(g)));
        max_pool_backward(g) pool_backward::<1>(g, true), pool_backward::<2>(g, true), pool_backward::<3>(g, true);
        avg_pool(g) look(image(g, 1).avg_pool(&avg_params::<1>(g))), look(image(g, 2).avg_pool(&avg_params::<2>(g))),
            look(image(g, 3).avg_pool(&avg_params::<3>(g)));
        avg_pool_backward(g) pool_backward::<1>(g, false), pool_backward::<2>(g, false), pool_backward::<3>(g, false);
        adaptive_avg_pool(g) look(image(g, 1).adaptive_avg_pool(g.window::<1>())),
            look(image(g, 2).adaptive_avg_pool(g.window::<2>())), look(image(g, 3).adaptive_avg_pool(g.window::<3>()));
        adaptive_max_pool(g) look(image(g, 1).adaptive_max_pool(g.window::<1>())),
            look(image(g, 2).adaptive_max_pool(g.window::<2>())), look(image(g, 3).adaptive_max_pool(g.window::<3>()));
        adaptive_avg_pool_backward(g) {
            let x = image(g, 1);
            look(image(g, 1).adaptive_avg_pool_backward::<1>(if g.flag() { x.dims() } else { &[2, 4, 5] }))
        }, {
            let x = image(g, 2);
            let y = x.adaptive_avg_pool([2, 3]).unwrap_or_else(|_| x.clone());
            look(y.adaptive_avg_pool_backward::<2>(x.dims()))
        }, look(image(g, 2).adaptive_avg_pool_backward::<2>(&g.sizes()));
    }
    all.extend([
        Op {
            name: "layer_norm",
            call: |g| {
                let x = g.float();
                let shape = normalized_shape(g, &x);
                let (w, b) = (parameter(g, &x, &shape), parameter(g, &x, &shape));
                look(x.layer_norm(&shape, w.as_ref(), b.as_ref(), g.real()))
            },
        },
        Op {
            name: "rms_norm",
            call: |g| {
                let x = g.float();
                let shape = normalized_shape(g, &x);
                look(x.rms_norm(&shape, parameter(g, &x, &shape).as_ref(), g.real()))
            },
        },
        Op {
            name: "group_norm",
            call: |g| {
                let x = if g.flag() { image(g, 1) } else { g.float() };
                let c = [channels(&x)];
                let (w, b) = (parameter(g, &x, &c), parameter(g, &x, &c));
                look(x.group_norm(g.size(), w.as_ref(), b.as_ref(), g.real()))
            },
        },
        Op {
            name: "layer_norm_backward",
            call: |g| norm_backward(g, 0),
        },
        Op {
            name: "rms_norm_backward",
            call: |g| norm_backward(g, 1),
        },
        Op {
            name: "group_norm_backward",
            call: |g| norm_backward(g, 2),
        },
        Op {
            name: "batch_norm_stats",
            call: |g| look(g.float().batch_norm_stats()),
        },
        Op {
            name: "batch_norm",
            call: |g| {
                let x = if g.flag() { image(g, 2) } else { g.float() };
                let c = [channels(&x)];
                let some = || parameter(g, &x, &c).unwrap_or_else(|| g.of(x.dtype(), &c));
                let (mean, rstd) = (some(), some());
                let (w, b) = (parameter(g, &x, &c), parameter(g, &x, &c));
                look(x.batch_norm(&mean, &rstd, w.as_ref(), b.as_ref()))
            },
        },
        Op {
            name: "batch_norm_backward",
            call: |g| {
                let x = if g.flag() { image(g, 2) } else { g.float() };
                let c = [channels(&x)];
                let (mean, rstd) = x
                    .batch_norm_stats()
                    .unwrap_or_else(|_| (g.of(x.dtype(), &c), g.of(x.dtype(), &c)));
                let mean = if g.odds(85) { mean } else { g.like(&x) };
                let w = parameter(g, &x, &c);
                look(
                    g.like(&x)
                        .batch_norm_backward(&x, &mean, &rstd, w.as_ref(), g.flag()),
                )
            },
        },
        Op {
            name: "embedding",
            call: |g| {
                let table = g.x();
                let rows = table.dims().first().copied().unwrap_or(1);
                look(table.embedding(&g.positions(rows, &g.shape())))
            },
        },
        Op {
            name: "embedding_backward",
            call: |g| {
                let rows = g.size();
                let shape = g.shape();
                let index = g.positions(rows, &shape);
                let mut dy = index.dims().to_vec();
                dy.push(g.below(4));
                let dy = if g.odds(85) {
                    g.of(g.float_dtype(), &dy)
                } else {
                    g.x()
                };
                look(dy.embedding_backward(&index, rows, g.maybe(|| g.int())))
            },
        },
        Op {
            name: "cross_entropy",
            call: |g| {
                let (x, target, options) = entropy(g);
                look(x.cross_entropy(&target, &options))
            },
        },
        Op {
            name: "cross_entropy_backward",
            call: |g| {
                let (x, target, options) = entropy(g);
                let fake = || CrossEntropyOutput {
                    loss: g.like(&x),
                    lse: g.like(&target),
                    total_weight: Tensor::scalar(g.real()),
                };
                let forward = match x.cross_entropy(&target, &options) {
                    Ok(forward) if g.odds(85) => forward,
                    _ => fake(),
                };
                let other = if g.odds(90) { target } else { g.index(&x, 1) };
                let dy = g.like(&forward.loss);
                look(dy.cross_entropy_backward(&x, &other, &options, &forward))
            },
        },
    ]);
    all
}
