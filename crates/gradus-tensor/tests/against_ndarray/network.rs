//! Kernels of networks, each written out as sums over indices.

use gradus_tensor::{AvgPoolParams, ConvParams, MaxPoolParams, Tensor};
use ndarray::{ArrayD, Axis, IxDyn};
use proptest::prelude::*;

use super::common::{Case, any_case, case, close};

/// Over images: sizes, and how a window moves.
#[derive(Clone, Debug)]
struct Moves {
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
}

prop_compose! {
    fn moves()(s in 1usize..4, t in 1usize..3, p in 0usize..3, q in 0usize..2, d in 1usize..3, e in 1usize..3) -> Moves {
        Moves { stride: [s, t], padding: [p, q], dilation: [d, e] }
    }
}

/// The element of an image at a position of its padded form; `outside` in the padding.
fn at(
    a: &ArrayD<f64>,
    (b, c): (usize, usize),
    y: usize,
    x: usize,
    pad: [usize; 2],
    outside: f64,
) -> f64 {
    let (Some(y), Some(x)) = (y.checked_sub(pad[0]), x.checked_sub(pad[1])) else {
        return outside;
    };
    a.get(IxDyn(&[b, c, y, x])).copied().unwrap_or(outside)
}

/// How often a window of `kernel` taps fits.
fn steps(
    input: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> Option<usize> {
    let reach = (kernel.checked_sub(1)?) * dilation + 1;
    Some((input + 2 * padding).checked_sub(reach)? / stride + 1)
}

fn naive_conv(x: &Case, w: &Case, bias: &Case, m: &Moves, groups: usize) -> Option<ArrayD<f64>> {
    let (xs, ws) = (x.a.shape(), w.a.shape());
    let size = |d: usize| {
        steps(
            xs[2 + d],
            ws[2 + d],
            m.stride[d],
            m.padding[d],
            m.dilation[d],
        )
    };
    let shape = [xs[0], ws[0], size(0)?, size(1)?];
    Some(ArrayD::from_shape_fn(IxDyn(&shape), |o| {
        let group = o[1] / (ws[0] / groups).max(1);
        let mut sum = bias.a[[o[1]]];
        for c in 0..ws[1] {
            for i in 0..ws[2] {
                for j in 0..ws[3] {
                    let (y, x_at) = (
                        o[2] * m.stride[0] + i * m.dilation[0],
                        o[3] * m.stride[1] + j * m.dilation[1],
                    );
                    sum += w.a[[o[1], c, i, j]]
                        * at(&x.a, (o[0], group * ws[1] + c), y, x_at, m.padding, 0.0);
                }
            }
        }
        sum
    }))
}

/// The transpose of `naive_conv` without a bias: every input element is spread over the window it came from.
fn naive_transposed(x: &Case, w: &Case, m: &Moves) -> Option<ArrayD<f64>> {
    let (xs, ws) = (x.a.shape(), w.a.shape());
    let size = |d: usize| {
        let full = (xs[2 + d].checked_sub(1)?) * m.stride[d]
            + m.dilation[d] * (ws[2 + d].checked_sub(1)?)
            + 1;
        full.checked_sub(2 * m.padding[d]).filter(|&n| n > 0)
    };
    let mut y = ArrayD::zeros(IxDyn(&[xs[0], ws[1], size(0)?, size(1)?]));
    for (from, value) in x.a.indexed_iter() {
        for o in 0..ws[1] {
            for i in 0..ws[2] {
                for j in 0..ws[3] {
                    let row = (from[2] * m.stride[0] + i * m.dilation[0]).checked_sub(m.padding[0]);
                    let col = (from[3] * m.stride[1] + j * m.dilation[1]).checked_sub(m.padding[1]);
                    if let (Some(row), Some(col)) = (row, col)
                        && let Some(y) = y.get_mut(IxDyn(&[from[0], o, row, col]))
                    {
                        *y += value * w.a[[from[1], o, i, j]];
                    }
                }
            }
        }
    }
    Some(y)
}

/// Each window's taps, folded: `f` is given what is inside the input, and how many taps the window has within the padding.
fn naive_pool(
    x: &Case,
    k: [usize; 2],
    m: &Moves,
    f: impl Fn(&[f64], usize) -> f64,
) -> Option<ArrayD<f64>> {
    let xs = x.a.shape();
    let size = |d: usize| steps(xs[2 + d], k[d], m.stride[d], m.padding[d], m.dilation[d]);
    Some(ArrayD::from_shape_fn(
        IxDyn(&[xs[0], xs[1], size(0)?, size(1)?]),
        |o| {
            let mut seen = Vec::new();
            for i in 0..k[0] {
                for j in 0..k[1] {
                    let (y, x_at) = (
                        o[2] * m.stride[0] + i * m.dilation[0],
                        o[3] * m.stride[1] + j * m.dilation[1],
                    );
                    let value = at(&x.a, (o[0], o[1]), y, x_at, m.padding, f64::NAN);
                    if !value.is_nan() {
                        seen.push(value);
                    }
                }
            }
            f(&seen, k[0] * k[1])
        },
    ))
}

fn mean(row: &[f64]) -> f64 {
    row.iter().sum::<f64>() / row.len() as f64
}

fn deviation(row: &[f64], eps: f64) -> f64 {
    let middle = mean(row);
    (row.iter().map(|x| (x - middle).powi(2)).sum::<f64>() / row.len() as f64 + eps).sqrt()
}

proptest! {
    #![proptest_config(super::common::config())]

    #[test]
    fn convolutions(
        (b, c, o, h, w) in (0usize..3, 1usize..3, 0usize..4, 0usize..7, 0usize..7),
        (kh, kw, groups) in (1usize..4, 1usize..4, 1usize..3), m in moves(), seed in any::<u64>(),
    ) {
        let (x, weight) = (case(&[b, c * groups, h, w], seed), case(&[o * groups, c, kh, kw], seed ^ 1));
        let bias = case(&[o * groups], seed ^ 2);
        let params = ConvParams { stride: m.stride, padding: m.padding, dilation: m.dilation, groups };
        let y = x.x.conv2d(&weight.x, Some(&bias.x), &params);
        match naive_conv(&x, &weight, &bias, &m, groups) {
            Some(expected) => close(&y.unwrap(), &expected),
            None => prop_assert!(y.is_err()),
        }
        // One dimension is a plane of height 1, three are a volume of depth 1.
        if h == 1 && kh == 1 && m.padding[0] == 0 {
            let line = ConvParams { stride: [m.stride[1]], padding: [m.padding[1]], dilation: [m.dilation[1]], groups };
            let one = x.x.squeeze(2).unwrap().conv1d(&weight.x.squeeze(2).unwrap(), Some(&bias.x), &line);
            if let Some(expected) = naive_conv(&x, &weight, &bias, &Moves { stride: [1, m.stride[1]], ..m.clone() }, groups) {
                close(&one.unwrap(), &expected.index_axis_move(Axis(2), 0));
            }
        }
        let cube = ConvParams {
            stride: [1, m.stride[0], m.stride[1]],
            padding: [0, m.padding[0], m.padding[1]],
            dilation: [1, m.dilation[0], m.dilation[1]],
            groups,
        };
        let three = x.x.unsqueeze(2).unwrap().conv3d(&weight.x.unsqueeze(2).unwrap(), Some(&bias.x), &cube);
        if let Some(expected) = naive_conv(&x, &weight, &bias, &m, groups) {
            close(&three.unwrap(), &expected.insert_axis(Axis(2)));
        }
    }

    #[test]
    fn transposed_convolutions(
        (b, c, o, h, w) in (0usize..3, 1usize..3, 1usize..3, 1usize..5, 1usize..5),
        (kh, kw) in (1usize..4, 1usize..4), m in moves(), seed in any::<u64>(),
    ) {
        let (x, weight) = (case(&[b, c, h, w], seed), case(&[c, o, kh, kw], seed ^ 1));
        let params = ConvParams { stride: m.stride, padding: m.padding, dilation: m.dilation, groups: 1 };
        if let Some(expected) = naive_transposed(&x, &weight, &m) {
            close(&x.x.conv_transpose(&weight.x, None, &params, [0, 0]).unwrap(), &expected);
        }
    }

    #[test]
    fn pools((b, c, h, w) in (0usize..3, 1usize..3, 1usize..7, 1usize..7), k in [1usize..4, 1usize..4], m in moves(), seed in any::<u64>()) {
        let x = case(&[b, c, h, w], seed);
        let padding = [m.padding[0].min(k[0] / 2), m.padding[1].min(k[1] / 2)];
        let m = Moves { padding, ..m };
        if let Some(expected) = naive_pool(&x, k, &m, |seen, _| seen.iter().copied().fold(f64::NEG_INFINITY, f64::max)) {
            let params = MaxPoolParams { kernel: k, stride: m.stride, padding, dilation: m.dilation, ceil_mode: false };
            close(&x.x.max_pool(&params).unwrap(), &expected);
        }
        let m = Moves { dilation: [1, 1], ..m };
        for count_include_pad in [false, true] {
            let divided = |seen: &[f64], all: usize| seen.iter().sum::<f64>() / if count_include_pad { all } else { seen.len() } as f64;
            if let Some(expected) = naive_pool(&x, k, &m, divided) {
                let params = AvgPoolParams { kernel: k, stride: m.stride, padding, ceil_mode: false, count_include_pad, divisor_override: None };
                close(&x.x.avg_pool(&params).unwrap(), &expected);
            }
        }
        let windows = |n: usize, parts: usize, i: usize| (i * n / parts, ((i + 1) * n).div_ceil(parts));
        let part = |o: &[usize]| {
            let ((top, bottom), (left, right)) = (windows(h, k[0], o[2]), windows(w, k[1], o[3]));
            let mut seen = Vec::new();
            for y in top..bottom {
                (left..right).for_each(|z| seen.push(x.a[[o[0], o[1], y, z]]));
            }
            seen
        };
        let adaptive = |f: fn(&[f64]) -> f64| ArrayD::from_shape_fn(IxDyn(&[b, c, k[0], k[1]]), |o| f(&part(&[o[0], o[1], o[2], o[3]])));
        close(&x.x.adaptive_avg_pool(k).unwrap(), &adaptive(mean));
        let largest: fn(&[f64]) -> f64 = |seen| seen.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        close(&x.x.adaptive_max_pool(k).unwrap().0, &adaptive(largest));
    }

    #[test]
    fn softmaxes(c in any_case(), which in any::<usize>()) {
        prop_assume!(c.x.rank() > 0);
        let d = which % c.x.rank();
        let lanes = |f: fn(f64, f64) -> f64| {
            let mut a = c.a.clone();
            a.lanes_mut(Axis(d)).into_iter().for_each(|mut lane| {
                let sum: f64 = lane.iter().map(|x| x.exp()).sum();
                lane.mapv_inplace(|x| f(x, sum));
            });
            a
        };
        close(&c.x.softmax(d as isize).unwrap(), &lanes(|x, sum| x.exp() / sum));
        close(&c.x.log_softmax(d as isize).unwrap(), &lanes(|x, sum| x - sum.ln()));
    }

    #[test]
    fn normalisations((b, groups, per, n) in (0usize..3, 1usize..3, 1usize..3, 1usize..5), seed in any::<u64>()) {
        let c = groups * per;
        let x = case(&[b, c, n], seed);
        let (w, bias) = (case(&[c], seed ^ 1), case(&[c], seed ^ 2));
        let eps = 1e-3;
        // (B, C, n) with statistics of what `of` gathers for each element.
        let normalised = |of: &dyn Fn(usize, usize) -> Vec<f64>| ArrayD::from_shape_fn(IxDyn(&[b, c, n]), |o| {
            let row = of(o[0], o[1]);
            (x.a[[o[0], o[1], o[2]]] - mean(&row)) / deviation(&row, eps) * w.a[[o[1]]] + bias.a[[o[1]]]
        });
        let group = normalised(&|i, j| {
            let first = j / per * per;
            (first..first + per).flat_map(|j| (0..n).map(move |k| (j, k))).map(|(j, k)| x.a[[i, j, k]]).collect()
        });
        close(&x.x.group_norm(groups, Some(&w.x), Some(&bias.x), eps).unwrap().y, &group);
        if b > 0 {
            let (mean_of, var_of) = x.x.batch_norm_stats().unwrap();
            let rstd = var_of.add_scalar(eps).unwrap().rsqrt().unwrap();
            let batch = normalised(&|_, j| (0..b).flat_map(|i| (0..n).map(move |k| (i, k))).map(|(i, k)| x.a[[i, j, k]]).collect());
            close(&x.x.batch_norm(&mean_of, &rstd, Some(&w.x), Some(&bias.x)).unwrap(), &batch);
        }
        // Over the last dimension: its weights are (n).
        let (w, bias) = (case(&[n], seed ^ 3), case(&[n], seed ^ 4));
        let row = |o: &IxDyn| (0..n).map(|k| x.a[[o[0], o[1], k]]).collect::<Vec<f64>>();
        let layer = ArrayD::from_shape_fn(IxDyn(&[b, c, n]), |o| {
            let row = row(&o);
            (row[o[2]] - mean(&row)) / deviation(&row, eps) * w.a[[o[2]]] + bias.a[[o[2]]]
        });
        close(&x.x.layer_norm(&[n], Some(&w.x), Some(&bias.x), eps).unwrap().y, &layer);
        let rms = ArrayD::from_shape_fn(IxDyn(&[b, c, n]), |o| {
            let row = row(&o);
            row[o[2]] / (row.iter().map(|x| x * x).sum::<f64>() / n as f64 + eps).sqrt() * w.a[[o[2]]]
        });
        close(&x.x.rms_norm(&[n], Some(&w.x), eps).unwrap().y, &rms);
    }

    #[test]
    fn classes((rows, n) in (1usize..6, 1usize..6), seed in any::<u64>()) {
        let x = case(&[rows, n], seed);
        let target: Vec<usize> = (0..rows).map(|i| (seed.rotate_left(5 * i as u32) % n as u64) as usize).collect();
        let index = Tensor::from_vec(target.iter().map(|&t| t as i64).collect(), rows).unwrap();
        let loss: f64 = target.iter().enumerate().map(|(i, &t)| {
            let sum: f64 = x.a.index_axis(Axis(0), i).iter().map(|x| x.exp()).sum();
            sum.ln() - x.a[[i, t]]
        }).sum();
        let ours = x.x.cross_entropy(&index, &gradus_tensor::CrossEntropyOptions::default()).unwrap().loss;
        close(&ours, &ArrayD::from_elem(IxDyn(&[]), loss / rows as f64));
        close(&x.x.embedding(&index.remainder_scalar(rows as i64).unwrap()).unwrap(),
            &x.a.select(Axis(0), &target.iter().map(|t| t % rows).collect::<Vec<_>>()));
    }
}
