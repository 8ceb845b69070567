//! Normalisations against their definitions, gradients against central differences; strides and threads.

use gradus_cpu::norm::{
    Affine, Gradients, batch_norm, batch_norm_backward, batch_norm_stats, group_norm,
    group_norm_backward, layer_norm, layer_norm_backward, rms_norm, rms_norm_backward,
};
use gradus_cpu::{FloatElement, View, bf16};

fn value(i: usize) -> f64 {
    ((i * 7919 + 13) % 2003) as f64 / 300.0 - 3.0
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Norm {
    Layer,
    Rms,
    Group(usize),
    Batch { training: bool },
}

/// What each element is normalised with: the number of its group and that of its weight.
fn place(norm: Norm, shape: &[usize], i: usize) -> (usize, usize) {
    let (c, s) = (shape[1], shape[2..].iter().product::<usize>());
    let (sample, channel) = (i / (c * s), i / s % c);
    match norm {
        Norm::Layer | Norm::Rms => (sample, i % (c * s)),
        Norm::Group(g) => (sample * g + channel / (c / g), channel),
        Norm::Batch { .. } => (channel, channel),
    }
}

const EPS: f64 = 1e-5;

/// The definition.
fn naive(norm: Norm, shape: &[usize], x: &[f64], w: &[f64], b: &[f64]) -> Vec<f64> {
    let groups = (0..x.len())
        .map(|i| place(norm, shape, i).0)
        .max()
        .unwrap_or(0)
        + 1;
    let mut members = vec![Vec::new(); groups];
    for (i, &x) in x.iter().enumerate() {
        members[place(norm, shape, i).0].push(x);
    }
    let stats: Vec<(f64, f64)> = members
        .iter()
        .enumerate()
        .map(|(g, m)| {
            if norm == (Norm::Batch { training: false }) {
                return (value(g), 1.5 + g as f64);
            }
            let mean = if norm == Norm::Rms {
                0.0
            } else {
                m.iter().sum::<f64>() / m.len() as f64
            };
            (
                mean,
                m.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / m.len() as f64,
            )
        })
        .collect();
    (0..x.len())
        .map(|i| {
            let (g, p) = place(norm, shape, i);
            (x[i] - stats[g].0) / (stats[g].1 + EPS).sqrt() * w[p]
                + if norm == Norm::Rms { 0.0 } else { b[p] }
        })
        .collect()
}

/// The output, and the gradients by input, weight and bias.
fn run<T: FloatElement>(
    norm: Norm,
    x: View<'_, T>,
    dy: View<'_, T>,
    w: &[T],
    b: &[T],
) -> [Vec<T>; 4] {
    let (shape, len) = (x.shape(), x.len());
    let affine = Affine {
        weight: Some(w),
        bias: Some(b),
    };
    let (mut y, mut dx, mut dw, mut db) = (
        vec![T::ZERO; len],
        vec![T::ZERO; len],
        vec![T::ZERO; w.len()],
        vec![T::ZERO; w.len()],
    );
    let out = Gradients {
        dx: &mut dx,
        dweight: Some(&mut dw),
        dbias: Some(&mut db),
    };
    let stats = match norm {
        Norm::Layer | Norm::Rms => shape[0],
        Norm::Group(g) => shape[0] * g,
        Norm::Batch { .. } => shape[1],
    };
    let (mut mean, mut rstd) = (
        vec![T::Compute::default(); stats],
        vec![T::Compute::default(); stats],
    );
    let n = w.len();
    match norm {
        Norm::Layer => {
            layer_norm(x, n, affine, EPS, &mut y, &mut mean, &mut rstd).unwrap();
            layer_norm_backward(dy, x, n, Some(w), &mean, &rstd, out).unwrap();
        }
        Norm::Rms => {
            rms_norm(x, n, Some(w), EPS, &mut y, &mut rstd).unwrap();
            rms_norm_backward(dy, x, n, Some(w), &rstd, out).unwrap();
        }
        Norm::Group(g) => {
            group_norm(x, g, affine, EPS, &mut y, &mut mean, &mut rstd).unwrap();
            group_norm_backward(dy, x, g, Some(w), &mean, &rstd, out).unwrap();
        }
        Norm::Batch { training } => {
            batch_norm_stats(x, &mut mean, &mut rstd).unwrap();
            for (c, (mean, rstd)) in mean.iter_mut().zip(&mut rstd).enumerate() {
                use gradus_cpu::Element;
                if !training {
                    *mean = T::Compute::from_f64(value(c));
                    *rstd = T::Compute::from_f64(1.5 + c as f64);
                }
                *rstd = T::Compute::from_f64(1.0 / (rstd.cast::<f64>() + EPS).sqrt());
            }
            batch_norm(x, &mean, &rstd, affine, &mut y).unwrap();
            batch_norm_backward(dy, x, &mean, &rstd, Some(w), training, out).unwrap();
        }
    }
    [y, dx, dw, db]
}

fn params(norm: Norm, shape: &[usize]) -> usize {
    match norm {
        Norm::Layer | Norm::Rms => shape[1..].iter().product(),
        _ => shape[1],
    }
}

const NORMS: [Norm; 5] = [
    Norm::Layer,
    Norm::Rms,
    Norm::Group(2),
    Norm::Batch { training: true },
    Norm::Batch { training: false },
];

#[test]
fn outputs_and_gradients() {
    for shape in [
        vec![3, 4, 5],
        vec![5, 6, 1],
        vec![2, 2, 19],
        vec![4, 34, 2],
        vec![1, 2, 3],
    ] {
        let len: usize = shape.iter().product();
        let x: Vec<f64> = (0..len).map(value).collect();
        let dy: Vec<f64> = (0..len).map(|i| value(i * 5 + 1)).collect();
        let (c, s) = (shape[1], shape[2]);
        // The same tensor, channels last in memory.
        let strides = [(c * s) as isize, 1, c as isize];
        let mut last = vec![0.0; len];
        for i in 0..len {
            last[i / (c * s) * c * s + i % s * c + i / s % c] = x[i];
        }
        for norm in NORMS {
            let n = params(norm, &shape);
            let w: Vec<f64> = (0..n).map(|i| 1.0 + value(i) / 5.0).collect();
            let b: Vec<f64> = (0..n).map(|i| value(i + 50)).collect();
            let (vx, vdy) = (
                View::contiguous(&x, &shape).unwrap(),
                View::contiguous(&dy, &shape).unwrap(),
            );
            let got = run(norm, vx, vdy, &w, &b);
            assert!(
                got == run(
                    norm,
                    View::new(&last, 0, &shape, &strides).unwrap(),
                    vdy,
                    &w,
                    &b
                ),
                "{norm:?} {shape:?} strided"
            );
            let want = naive(norm, &shape, &x, &w, &b);
            for (got, want) in got[0].iter().zip(&want) {
                assert!(
                    (got - want).abs() < 1e-12 * want.abs().max(1.0),
                    "{norm:?} {shape:?}: {got} {want}"
                );
            }
            let dot = |y: Vec<f64>| y.iter().zip(&dy).map(|(y, d)| y * d).sum::<f64>();
            let slope = |f: &dyn Fn(f64) -> Vec<f64>| (dot(f(1e-5)) - dot(f(-1e-5))) / 2e-5;
            let moved = |v: &[f64], i: usize, h: f64| {
                let mut v = v.to_vec();
                v[i] += h;
                v
            };
            for i in 0..len {
                let want = slope(&|h| naive(norm, &shape, &moved(&x, i, h), &w, &b));
                assert!(
                    (got[1][i] - want).abs() < 1e-6 * want.abs().max(1.0),
                    "{norm:?} {shape:?} dx: {} {want}",
                    got[1][i]
                );
            }
            for i in 0..n {
                let want = slope(&|h| naive(norm, &shape, &x, &moved(&w, i, h), &b));
                assert!(
                    (got[2][i] - want).abs() < 1e-6 * want.abs().max(1.0),
                    "{norm:?} {shape:?} dw: {} {want}",
                    got[2][i]
                );
                let want = slope(&|h| naive(norm, &shape, &x, &w, &moved(&b, i, h)));
                assert!(
                    norm == Norm::Rms || (got[3][i] - want).abs() < 1e-6 * want.abs().max(1.0),
                    "{norm:?} {shape:?} db"
                );
            }
        }
    }
}

#[test]
fn half_precision_and_threads() {
    for shape in [vec![64usize, 32, 49], vec![3000, 64, 1]] {
        let len: usize = shape.iter().product();
        let x: Vec<f32> = (0..len).map(|i| value(i) as f32).collect();
        let dy: Vec<f32> = (0..len).map(|i| value(i * 5 + 1) as f32).collect();
        let (vx, vdy) = (
            View::contiguous(&x, &shape).unwrap(),
            View::contiguous(&dy, &shape).unwrap(),
        );
        for norm in NORMS {
            let n = params(norm, &shape);
            let (w, b) = (vec![1.5f32; n], vec![0.5f32; n]);
            let want = run(norm, vx, vdy, &w, &b);
            for threads in [1, 2, 3, 8] {
                assert!(
                    gradus_cpu::parallel::with_threads(threads, || run(norm, vx, vdy, &w, &b))
                        == want,
                    "{norm:?} {threads} threads"
                );
            }
            let (hx, hdy) = (
                x.iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>(),
                dy.iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>(),
            );
            let (hw, hb) = (vec![bf16::from_f32(1.5); n], vec![bf16::from_f32(0.5); n]);
            let half = run(
                norm,
                View::contiguous(&hx, &shape).unwrap(),
                View::contiguous(&hdy, &shape).unwrap(),
                &hw,
                &hb,
            );
            for (h, f) in half[0].iter().zip(&want[0]) {
                assert!(
                    (h.to_f32() - f).abs() < 0.03 * f.abs().max(1.0),
                    "{norm:?}: {h} {f}"
                );
            }
        }
    }
}

#[test]
fn bad_sizes_are_errors() {
    let x = [0f32; 12];
    let view = View::contiguous(&x, &[2, 6]).unwrap();
    let (mut y, mut m, mut r) = ([0f32; 12], [0f32; 2], [0f32; 2]);
    assert!(layer_norm(view, 0, Affine::default(), EPS, &mut y, &mut m, &mut r).is_err());
    assert!(layer_norm(view, 5, Affine::default(), EPS, &mut y, &mut m, &mut r).is_err());
    assert!(
        layer_norm(
            view,
            6,
            Affine {
                weight: Some(&[1.0]),
                bias: None
            },
            EPS,
            &mut y,
            &mut m,
            &mut r
        )
        .is_err()
    );
    assert!(layer_norm(view, 6, Affine::default(), EPS, &mut y, &mut m[..1], &mut r).is_err());
    assert!(group_norm(view, 0, Affine::default(), EPS, &mut y, &mut m, &mut r).is_err());
    assert!(group_norm(view, 4, Affine::default(), EPS, &mut y, &mut m, &mut r).is_err());
    assert!(batch_norm_stats(view, &mut m, &mut r).is_err());
    assert!(batch_norm_stats(View::contiguous(&x, &[12]).unwrap(), &mut m, &mut r).is_err());
    let empty = View::contiguous(&x[..0], &[0, 6]).unwrap();
    let (mut m, mut r) = ([0f32; 6], [0f32; 6]);
    batch_norm_stats(empty, &mut m, &mut r).unwrap();
    batch_norm(empty, &m, &r, Affine::default(), &mut []).unwrap();
}
