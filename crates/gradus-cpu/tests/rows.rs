//! Softmax, cross-entropy and the optimisers against plain loops in f64; tails, strides, threads.

use gradus_cpu::loss::{CrossEntropy, Reduction, cross_entropy, cross_entropy_backward};
use gradus_cpu::softmax::{log_softmax, log_softmax_backward, softmax, softmax_backward};
use gradus_cpu::{View, bf16, optim};

fn value(i: usize) -> f64 {
    ((i * 7919 + 13) % 2003) as f64 / 250.0 - 4.0
}

fn naive_softmax(x: &[f64]) -> Vec<f64> {
    let max = x.iter().copied().fold(f64::MIN, f64::max);
    let sum: f64 = x.iter().map(|x| (x - max).exp()).sum();
    x.iter().map(|x| (x - max).exp() / sum).collect()
}

fn assert_close(got: f64, want: f64, eps: f64, what: &str) {
    assert!(
        (got - want).abs() <= eps * want.abs().max(1e-3),
        "{what}: {got:e} {want:e}"
    );
}

#[test]
fn softmax_of_every_length() {
    for n in 1..=257usize {
        let x: Vec<f64> = (0..2 * n).map(value).collect();
        let dy: Vec<f64> = (0..2 * n).map(|i| value(i + 7)).collect();
        let single: Vec<f32> = x.iter().map(|&x| x as f32).collect();
        let half: Vec<bf16> = x.iter().map(|&x| bf16::from_f64(x)).collect();
        let shape = [2, n];
        let (mut y, mut l, mut d) = (vec![0f64; 2 * n], vec![0f64; 2 * n], vec![0f64; 2 * n]);
        let (mut y32, mut yh) = (vec![0f32; 2 * n], vec![bf16::ZERO; 2 * n]);
        let view = View::contiguous(&x, &shape).unwrap();
        softmax(view, 1, &mut y).unwrap();
        log_softmax(view, 1, &mut l).unwrap();
        softmax(View::contiguous(&single, &shape).unwrap(), 1, &mut y32).unwrap();
        softmax(View::contiguous(&half, &shape).unwrap(), 1, &mut yh).unwrap();
        for r in 0..2 {
            let want = naive_softmax(&x[r * n..][..n]);
            for i in 0..n {
                assert_close(y[r * n + i], want[i], 1e-14, "softmax");
                assert_close(l[r * n + i], want[i].ln(), 1e-13, "log_softmax");
                assert_close(y32[r * n + i].into(), want[i], 2e-6, "softmax f32");
                assert_close(yh[r * n + i].to_f64(), want[i], 6e-2, "softmax bf16");
            }
            let g = View::contiguous(&dy, &shape).unwrap();
            softmax_backward(g, View::contiguous(&y, &shape).unwrap(), 1, &mut d).unwrap();
            let dot: f64 = (0..n).map(|i| dy[r * n + i] * want[i]).sum();
            for i in 0..n {
                assert_close(
                    d[r * n + i],
                    want[i] * (dy[r * n + i] - dot),
                    1e-11,
                    "softmax_backward",
                );
            }
            log_softmax_backward(g, View::contiguous(&l, &shape).unwrap(), 1, &mut d).unwrap();
            let sum: f64 = dy[r * n..][..n].iter().sum();
            for i in 0..n {
                assert_close(
                    d[r * n + i],
                    dy[r * n + i] - want[i] * sum,
                    1e-11,
                    "log_softmax_backward",
                );
            }
        }
    }
}

#[test]
fn softmax_of_any_axis_and_strides() {
    let x: Vec<f64> = (0..5 * 40 * 3).map(value).collect();
    let shape = [5usize, 40, 3];
    for strides in [[120isize, 3, 1], [1, 5, 200], [3, 15, 1]] {
        let view = View::new(&x, 0, &shape, &strides).unwrap();
        let logical: Vec<f64> = view.iter().collect();
        for axis in 0..3 {
            let mut y = vec![0f64; x.len()];
            softmax(view, axis, &mut y).unwrap();
            let (n, inner) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
            for first in (0..x.len()).filter(|i| i / inner % n == 0) {
                let row: Vec<f64> = (0..n).map(|i| logical[first + i * inner]).collect();
                for (i, want) in naive_softmax(&row).into_iter().enumerate() {
                    assert_close(y[first + i * inner], want, 1e-13, "axis");
                }
            }
        }
    }
    assert!(
        softmax(
            View::contiguous(&x, &shape).unwrap(),
            3,
            &mut vec![0.0; 600]
        )
        .is_err()
    );
    assert!(softmax(View::contiguous(&x, &shape).unwrap(), 1, &mut [0.0; 5]).is_err());
    let mut y = [0f32; 2];
    softmax(
        View::contiguous(&[f32::NEG_INFINITY, 0.0], &[2]).unwrap(),
        0,
        &mut y,
    )
    .unwrap();
    assert_eq!(y, [0.0, 1.0]);
    softmax(
        View::contiguous(&[f32::MAX, f32::MAX], &[2]).unwrap(),
        0,
        &mut y,
    )
    .unwrap();
    assert_eq!(y, [0.5, 0.5]);
}

#[test]
fn cross_entropy_and_its_gradient() {
    let (rows, classes) = (7usize, 19usize);
    let x: Vec<f64> = (0..rows * classes).map(value).collect();
    let weight: Vec<f64> = (0..classes).map(|i| 0.5 + i as f64 / 10.0).collect();
    let target = [3i64, 18, -100, 0, 7, 7, 2];
    let shape = [rows, classes];
    for weight in [None, Some(&weight[..])] {
        for label_smoothing in [0.0, 0.3] {
            for reduction in [Reduction::None, Reduction::Mean, Reduction::Sum] {
                let options = CrossEntropy {
                    weight,
                    ignore_index: -100,
                    label_smoothing,
                    reduction,
                };
                let outputs = if reduction == Reduction::None {
                    rows
                } else {
                    1
                };
                let loss = |x: &[f64]| {
                    let (mut y, mut lse) = (vec![0f64; outputs], vec![0f64; rows]);
                    let total = cross_entropy(
                        View::contiguous(x, &shape).unwrap(),
                        &target,
                        &options,
                        &mut y,
                        &mut lse,
                    )
                    .unwrap();
                    (y, lse, total)
                };
                let (y, lse, total) = loss(&x);
                // The definition.
                let w = |c: usize| weight.map_or(1.0, |w| w[c]);
                let (mut sum, mut norm) = (0.0, 0.0);
                for (r, &t) in target.iter().enumerate().filter(|(_, t)| **t >= 0) {
                    let p = naive_softmax(&x[r * classes..][..classes]);
                    let smooth: f64 = (0..classes).map(|c| -w(c) * p[c].ln()).sum();
                    let l = -(1.0 - label_smoothing) * w(t as usize) * p[t as usize].ln()
                        + label_smoothing / classes as f64 * smooth;
                    if reduction == Reduction::None {
                        assert_close(y[r], l, 1e-12, "loss");
                    }
                    sum += l;
                    norm += w(t as usize);
                }
                match reduction {
                    Reduction::None => assert_eq!(y[2], 0.0),
                    Reduction::Sum => assert_close(y[0], sum, 1e-12, "sum"),
                    Reduction::Mean => assert_close(y[0], sum / norm, 1e-12, "mean"),
                }
                // The gradient, by central differences.
                let dy: Vec<f64> = (0..outputs).map(|i| 1.0 + i as f64).collect();
                let mut dx = vec![0f64; x.len()];
                cross_entropy_backward(
                    &dy,
                    View::contiguous(&x, &shape).unwrap(),
                    &target,
                    &options,
                    &lse,
                    total,
                    &mut dx,
                )
                .unwrap();
                for i in 0..x.len() {
                    let at = |h: f64| {
                        let mut x = x.clone();
                        x[i] += h;
                        loss(&x).0.iter().zip(&dy).map(|(y, d)| y * d).sum::<f64>()
                    };
                    let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                    assert!((dx[i] - slope).abs() < 1e-8, "{} {slope}", dx[i]);
                }
            }
        }
    }
    let options = CrossEntropy::default();
    let view = View::contiguous(&x, &shape).unwrap();
    assert!(
        cross_entropy(
            view,
            &[0, 0, 0, 0, 0, 0, 19],
            &options,
            &mut [0.0],
            &mut vec![0.0; rows]
        )
        .is_err()
    );
    assert!(cross_entropy(view, &[0, 0, 0], &options, &mut [0.0], &mut vec![0.0; rows]).is_err());
}

/// The optimisers, one element at a time, as torch/optim writes them.
#[test]
fn optimiser_steps() {
    for n in (1..70usize).chain([40_000]) {
        let grad: Vec<f64> = (0..n).map(value).collect();
        let start: Vec<f64> = (0..n).map(|i| value(i + 3)).collect();
        let sgd = optim::Sgd {
            lr: 0.1,
            momentum: 0.9,
            dampening: 0.2,
            weight_decay: 0.01,
            nesterov: true,
            maximize: true,
            first: true,
        };
        let (mut p, mut buf) = (start.clone(), vec![0f64; n]);
        let (mut q, mut b) = (start.clone(), vec![0f64; n]);
        for step in 0..3 {
            optim::sgd(
                optim::Sgd {
                    first: step == 0,
                    ..sgd
                },
                &mut p,
                &grad,
                Some(&mut buf),
            )
            .unwrap();
            for i in 0..n {
                let g = -grad[i] + 0.01 * q[i];
                b[i] = if step == 0 {
                    g
                } else {
                    0.9 * b[i] + (1.0 - 0.2) * g
                };
                q[i] -= 0.1 * (g + 0.9 * b[i]);
                assert_close(p[i], q[i], 1e-10, "sgd");
            }
        }
        for (decoupled, amsgrad) in [(false, false), (true, true)] {
            let (mut p, mut m, mut v, mut x) =
                (start.clone(), vec![0f64; n], vec![0f64; n], vec![0f64; n]);
            let mut want = vec![(0f64, 0f64, 0f64); n];
            let mut q = start.clone();
            for step in 1..4u64 {
                let adam = optim::Adam {
                    lr: 0.05,
                    betas: (0.8, 0.95),
                    eps: 1e-6,
                    weight_decay: 0.1,
                    decoupled,
                    maximize: false,
                    step,
                };
                let flip = if step == 2 { -1.0 } else { 1.0 };
                let grad: Vec<f64> = grad.iter().map(|g| g * flip / step as f64).collect();
                optim::adam(
                    adam,
                    &mut p,
                    &grad,
                    &mut m,
                    &mut v,
                    amsgrad.then_some(&mut x),
                )
                .unwrap();
                for i in 0..n {
                    let mut g = grad[i];
                    if decoupled {
                        q[i] *= 1.0 - 0.05 * 0.1;
                    } else {
                        g += 0.1 * q[i];
                    }
                    let (m, v, x) = &mut want[i];
                    *m += (1.0 - 0.8) * (g - *m);
                    *v = 0.95 * *v + (1.0 - 0.95) * g * g;
                    *x = x.max(*v);
                    let top = if amsgrad { *x } else { *v };
                    let (c1, c2) = (
                        1.0 - 0.8f64.powi(step as i32),
                        1.0 - 0.95f64.powi(step as i32),
                    );
                    q[i] -= 0.05 / c1 * *m / (top.sqrt() / c2.sqrt() + 1e-6);
                    assert_close(p[i], q[i], 1e-10, "adam");
                }
            }
        }
        let rms = optim::RmsProp {
            lr: 0.02,
            alpha: 0.99,
            eps: 1e-8,
            weight_decay: 0.01,
            momentum: 0.5,
            maximize: false,
        };
        let ada = optim::Adagrad {
            lr: 0.1,
            lr_decay: 0.01,
            weight_decay: 0.01,
            eps: 1e-10,
            maximize: false,
            step: 3,
        };
        let (mut p, mut s, mut v, mut a) = (
            start.clone(),
            vec![0.1f64; n],
            vec![0.2f64; n],
            vec![0.05f64; n],
        );
        optim::rmsprop(rms, &mut p, &grad, &mut s, Some(&mut v), Some(&mut a)).unwrap();
        let (mut z, mut sum) = (start.clone(), vec![0.1f64; n]);
        optim::adagrad(ada, &mut z, &grad, &mut sum).unwrap();
        for i in 0..n {
            let g = grad[i] + 0.01 * start[i];
            let s = 0.99 * 0.1 + (1.0 - 0.99) * g * g;
            let a = 0.05 + (1.0 - 0.99) * (g - 0.05);
            let v = 0.5 * 0.2 + g / ((s - a * a).sqrt() + 1e-8);
            if s > a * a {
                assert_close(p[i], start[i] - 0.02 * v, 1e-10, "rmsprop");
            }
            let h = 0.1 + g * g;
            assert_close(
                z[i],
                start[i] - 0.1 / (1.0 + 2.0 * 0.01) * g / (h.sqrt() + 1e-10),
                1e-12,
                "adagrad",
            );
        }
    }
    let sgd = optim::Sgd {
        lr: 0.1,
        momentum: 0.9,
        dampening: 0.0,
        weight_decay: 0.0,
        nesterov: false,
        maximize: false,
        first: true,
    };
    assert!(optim::sgd(sgd, &mut [0f32; 3], &[0.0; 2], None).is_err());
    assert!(optim::sgd(sgd, &mut [0f32; 2], &[0.0; 2], None).is_err());
}

#[cfg(feature = "threads")]
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let (rows, n) = (3000usize, 33usize);
    let x: Vec<f32> = (0..rows * n).map(|i| value(i) as f32).collect();
    let target: Vec<i64> = (0..rows).map(|i| (i * 7 % n) as i64).collect();
    let indices: Vec<i64> = (0..rows).map(|i| (i * i % 50) as i64).collect();
    let run = || {
        let shape = [rows, n];
        let view = View::contiguous(&x, &shape).unwrap();
        let (mut y, mut loss, mut lse, mut table) = (
            vec![0f32; x.len()],
            [0f32],
            vec![0f32; rows],
            vec![0f32; 50 * n],
        );
        softmax(view, 0, &mut y).unwrap();
        cross_entropy(view, &target, &CrossEntropy::default(), &mut loss, &mut lse).unwrap();
        gradus_cpu::embedding::scatter_add_rows(&x, &indices, 50, n, &mut table).unwrap();
        y.iter()
            .chain(&loss)
            .chain(&lse)
            .chain(&table)
            .map(|x| x.to_bits())
            .collect::<Vec<_>>()
    };
    let want = run();
    for threads in [1, 2, 3, 8] {
        assert!(
            gradus_cpu::parallel::with_threads(threads, run) == want,
            "{threads} threads"
        );
    }
}
