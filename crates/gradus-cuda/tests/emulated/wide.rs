//! The kernels for f64.

use gradus_cpu::elementwise as cpu;
use gradus_cpu::{View, reduce as cpu_reduce, softmax as cpu_softmax};
use gradus_cuda::Device;
use gradus_cuda::manifest::{ReduceOp, ScanOp, UnaryOp};
use gradus_cuda::ops::{copy, elementwise, gemm, reduce, scan, softmax, sort};

use crate::elementwise::{BINARY, on_cpu};
use crate::standin::for_orders;
use crate::support::Numbers;

/// Each within some parts of the larger of the expected and 1e-3.
#[track_caller]
fn close(what: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        let same = g == w || g.is_nan() && w.is_nan() || (g - w).abs() <= 1e-13 * w.abs().max(1e-2);
        assert!(same, "{what}: element {i} is {g:e}, expected {w:e}");
    }
}

/// Numbers no f32 holds.
fn numbers(seed: u64, n: usize, scale: f64) -> Vec<f64> {
    let mut numbers = Numbers::new(seed);
    let mut one = || f64::from(numbers.unit()) + 1e-9 * f64::from(numbers.unit());
    (0..n).map(|_| scale * one()).collect()
}

fn elements(device: &Device) {
    let mut x = numbers(61, 99, 3.0);
    x.extend([
        0.0,
        -0.0,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        300.0,
        1e-200,
    ]);
    let n = x.len();
    let shape = [n];
    let other = numbers(62, n, 2.0);
    let (x_d, other_d) = (device.upload(&x).unwrap(), device.upload(&other).unwrap());
    let mut y = device.upload(&vec![f64::NAN; n]).unwrap();
    for &op in UnaryOp::ALL {
        let (c, constants) = on_cpu(op);
        let mut want = vec![0.0; n];
        cpu::unary(c, View::contiguous(&x, &shape).unwrap(), &mut want).unwrap();
        elementwise::unary_with(op, constants, &x_d.view(&shape).unwrap(), &mut y).unwrap();
        close(op.name(), &y.download().unwrap(), &want);
    }
    for (op, c) in BINARY {
        let mut want = vec![0.0; n];
        let (a, b) = (
            View::contiguous(&x, &shape).unwrap(),
            View::contiguous(&other, &shape).unwrap(),
        );
        cpu::binary(c, a, b, &mut want).unwrap();
        let (a, b) = (x_d.view(&shape).unwrap(), other_d.view(&shape).unwrap());
        elementwise::binary(op, &a, &b, &mut y).unwrap();
        close(op.name(), &y.download().unwrap(), &want);
    }
    let mut half = device.zeros::<gradus_cuda::bf16>(n).unwrap();
    copy::cast(&x_d.view(&shape).unwrap(), &mut half).unwrap();
    copy::cast(&half.view(&shape).unwrap(), &mut y).unwrap();
    let want: Vec<f64> = x
        .iter()
        .map(|&x| gradus_cuda::bf16::from_f32(x as f32).into())
        .collect();
    close("by way of bf16", &y.download().unwrap(), &want);
    let mut whole = device.zeros::<i64>(n).unwrap();
    copy::cast(&x_d.view(&shape).unwrap(), &mut whole).unwrap();
    let want: Vec<i64> = x.iter().map(|&x| x as i64).collect();
    assert_eq!(whole.download().unwrap(), want);
}

#[test]
fn elements_of_f64() {
    for_orders(&["f"], elements);
}

fn rows(device: &Device) {
    let shape = [7, 301];
    let n = 7 * 301;
    let x = numbers(63, n, 2.0);
    let view = View::contiguous(&x, &shape).unwrap();
    let x_d = device.upload(&x).unwrap();
    let on_device = x_d.view(&shape).unwrap();
    for axes in [&[1][..], &[0], &[0, 1]] {
        for op in [ReduceOp::Sum, ReduceOp::Mean, ReduceOp::Max] {
            let kept = n / axes.iter().map(|&d| shape[d]).product::<usize>();
            let mut want = vec![0.0; kept];
            match op {
                ReduceOp::Sum => cpu_reduce::sum(view, axes, &mut want).unwrap(),
                ReduceOp::Mean => cpu_reduce::mean(view, axes, &mut want).unwrap(),
                _ => cpu_reduce::max(view, axes, &mut want).unwrap(),
            }
            let mut y = device.zeros(kept).unwrap();
            reduce::reduce(op, &on_device, axes, &mut y).unwrap();
            let got = y.download().unwrap();
            for (g, w) in got.iter().zip(&want) {
                assert!((g - w).abs() < 1e-12, "{} {axes:?}: {g} {w}", op.name());
            }
        }
    }
    let (mut want, mut y) = (vec![0.0; n], device.zeros(n).unwrap());
    cpu_softmax::softmax(view, 1, &mut want).unwrap();
    softmax::softmax(&on_device, 1, false, &mut y).unwrap();
    close("softmax", &y.download().unwrap(), &want);
    let mut dx = device.zeros(n).unwrap();
    softmax::softmax_backward(&on_device, &y.view(&shape).unwrap(), 1, false, &mut dx).unwrap();
    let mut want_dx = vec![0.0; n];
    cpu_softmax::softmax_backward(
        view,
        View::contiguous(&want, &shape).unwrap(),
        1,
        &mut want_dx,
    )
    .unwrap();
    close("softmax backward", &dx.download().unwrap(), &want_dx);
    cpu_reduce::cumsum(view, 1, &mut want).unwrap();
    scan::scan(ScanOp::Sum, &on_device, 1, &mut y).unwrap();
    for (g, w) in y.download().unwrap().iter().zip(&want) {
        assert!((g - w).abs() < 1e-12);
    }
    let (mut values, mut want, mut at) = (x.clone(), vec![0i64; n], device.zeros(n).unwrap());
    cpu_reduce::sort(view, 1, true, &mut values, &mut want).unwrap();
    sort::argsort(&on_device, true, &mut at).unwrap();
    assert_eq!(at.download().unwrap(), want);
}

#[test]
fn rows_of_f64() {
    for_orders(&["s", "we"], rows);
}

#[test]
fn a_product_of_f64() {
    for_orders(&["f"], |device| {
        let (m, n, k) = (5, 19, 33);
        let (a, b) = (numbers(64, m * k, 1.0), numbers(65, k * n, 1.0));
        let want: Vec<f64> = (0..m * n)
            .map(|i| (0..k).map(|p| a[i / n * k + p] * b[p * n + i % n]).sum())
            .collect();
        let (a, b) = (device.upload(&a).unwrap(), device.upload(&b).unwrap());
        let mut y = device.zeros(m * n).unwrap();
        let (a, b) = (a.view(&[m, k]).unwrap(), b.view(&[k, n]).unwrap());
        gemm::matmul(&a, &b, &gemm::Epilogue::default(), &mut y).unwrap();
        for (g, w) in y.download().unwrap().iter().zip(&want) {
            assert!((g - w).abs() < 1e-13, "{g} {w}");
        }
    });
}
