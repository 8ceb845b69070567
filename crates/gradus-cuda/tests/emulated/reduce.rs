//! Reductions, softmax, and their like.

use gradus_cpu::{reduce as cpu, softmax as cpu_softmax};
use gradus_cuda::manifest::ReduceOp;
use gradus_cuda::ops::{reduce, softmax};
use gradus_cuda::{Device, Error};

use crate::standin::{device, for_orders, orders};
use crate::support::{Numbers, Real, close, each_float, garbage, largest};

fn reductions<T: Real>(device: &Device) {
    // (shape, axes): rows, the middle, the front, all, several apart, none.
    let cases: [(&[usize], &[usize]); 9] = [
        (&[5, 300], &[1]),
        (&[3, 17, 10], &[1]),
        (&[33, 40], &[0]),
        (&[7, 11], &[0, 1]),
        (&[4, 3, 5], &[0, 2]),
        (&[6, 2], &[]),
        (&[1, 1], &[1]),
        (&[2, 0, 3], &[1]),
        (&[70_001], &[0]),
    ];
    for (shape, axes) in cases {
        let n: usize = shape.iter().product();
        let x = Numbers::new(5).floats::<T>(n, 1.5);
        let kept: usize = (0..shape.len())
            .filter(|d| !axes.contains(d))
            .map(|d| shape[d])
            .product();
        let view = gradus_cpu::View::contiguous(&x, shape).unwrap();
        let on_device = device.upload(&x).unwrap();
        for &op in ReduceOp::ALL {
            let mut want = vec![T::of(0.0); kept];
            match op {
                ReduceOp::Sum => cpu::sum(view, axes, &mut want).unwrap(),
                ReduceOp::Mean => cpu::mean(view, axes, &mut want).unwrap(),
                ReduceOp::Prod => cpu::prod(view, axes, &mut want).unwrap(),
                ReduceOp::Max | ReduceOp::Min if n == 0 => continue,
                ReduceOp::Max => cpu::max(view, axes, &mut want).unwrap(),
                ReduceOp::Min => cpu::min(view, axes, &mut want).unwrap(),
                ReduceOp::SumOfSquares => {
                    let wide: Vec<f32> = x.iter().map(|x| x.real() * x.real()).collect();
                    let mut sums = vec![0f32; kept];
                    cpu::sum(
                        gradus_cpu::View::contiguous(&wide, shape).unwrap(),
                        axes,
                        &mut sums,
                    )
                    .unwrap();
                    want = sums.into_iter().map(T::of).collect();
                }
            }
            let mut y = garbage::<T>(device, kept);
            reduce::reduce(op, &on_device.view(shape).unwrap(), axes, &mut y).unwrap();
            // A sum's error is that of its terms, which may cancel.
            let floor = match op {
                ReduceOp::Sum => (n / kept.max(1)) as f32 * 0.05,
                _ => 0.05,
            };
            let ulps = if T::EPSILON > 1e-5 { 1.0 } else { 24.0 };
            close(
                &format!("{} {shape:?} {axes:?}", op.name()),
                &y.download().unwrap(),
                &want,
                ulps,
                floor,
            );
        }
    }
}

#[test]
fn reductions_over_any_axes() {
    for_orders(&["s", "we"], |device| each_float!(reductions(device)));
}

#[test]
fn strided_operands_are_reduced() {
    let Some(device) = device() else { return };
    let x: Vec<f32> = (0..24).map(|x| x as f32).collect();
    let buffer = device.upload(&x).unwrap();
    let view = gradus_cuda::View::new(&buffer, 23, &[6, 4], &[-1, -6]).unwrap();
    let mut y = device.zeros::<f32>(6).unwrap();
    reduce::reduce(ReduceOp::Sum, &view, &[1], &mut y).unwrap();
    assert_eq!(y.download().unwrap(), [56.0, 52.0, 48.0, 44.0, 40.0, 36.0]);
    assert!(matches!(
        reduce::reduce(ReduceOp::Sum, &view, &[1, 1], &mut y),
        Err(Error::Shape { .. })
    ));
    assert!(reduce::reduce(ReduceOp::Sum, &view, &[2], &mut y).is_err());
}

fn extremes<T: Real>(device: &Device) {
    let (outer, n, inner) = (3, 517, 2);
    let mut x = Numbers::new(6).floats::<T>(outer * n * inner, 4.0);
    for (i, v) in [
        (10, 9.0),
        (20, 9.0),
        (700 * 2, f32::NAN),
        (710 * 2, f32::NAN),
        (1111, f32::NEG_INFINITY),
    ] {
        x[i] = T::of(v);
    }
    let shape = [outer, n, inner];
    let view = gradus_cpu::View::contiguous(&x, &shape).unwrap();
    let on_device = device.upload(&x).unwrap();
    let mut want = vec![0i64; outer * inner];
    let mut y = device.zeros::<i64>(outer * inner).unwrap();
    cpu::argmax(view, Some(1), &mut want).unwrap();
    reduce::argmax(&on_device.view(&shape).unwrap(), 1, &mut y).unwrap();
    assert_eq!(y.download().unwrap(), want);
    cpu::argmin(view, Some(1), &mut want).unwrap();
    reduce::argmin(&on_device.view(&shape).unwrap(), 1, &mut y).unwrap();
    assert_eq!(y.download().unwrap(), want);
}

#[test]
fn places_of_extremes() {
    orders(|device| each_float!(extremes(device)));
}

fn softmaxes<T: Real>(device: &Device) {
    for (shape, axis) in [
        (vec![5, 301], 1),
        (vec![2, 33, 3], 1),
        (vec![1, 1], 0),
        (vec![4, 7], 0),
        (vec![3, 0], 1),
    ] {
        let n: usize = shape.iter().product();
        let mut numbers = Numbers::new(7);
        let mut x = numbers.floats::<T>(n, 12.0);
        if n > 1000 {
            x[3] = T::of(f32::NEG_INFINITY); // one of a row
            x[301..602].fill(T::of(f32::NEG_INFINITY)); // a whole row: NaN
            x[700] = T::of(f32::NAN);
        }
        let dy = numbers.floats::<T>(n, 1.0);
        fn over<'a, T>(x: &'a [T], shape: &'a [usize]) -> gradus_cpu::View<'a, T> {
            gradus_cpu::View::contiguous(x, shape).unwrap()
        }
        let (dx_d, x_d) = (device.upload(&dy).unwrap(), device.upload(&x).unwrap());
        for log in [false, true] {
            let (mut want, mut y) = (vec![T::of(0.0); n], garbage::<T>(device, n));
            let forward = if log {
                cpu_softmax::log_softmax
            } else {
                cpu_softmax::softmax
            };
            forward(over(&x, &shape), axis, &mut want).unwrap();
            softmax::softmax(&x_d.view(&shape).unwrap(), axis, log, &mut y).unwrap();
            let what = format!("softmax {shape:?} log {log}");
            close(
                &what,
                &y.download().unwrap(),
                &want,
                if T::EPSILON > 1e-5 { 1.0 } else { 16.0 },
                if log { 1.0 } else { 1e-5 },
            );

            let backward = if log {
                cpu_softmax::log_softmax_backward
            } else {
                cpu_softmax::softmax_backward
            };
            let (mut want_dx, mut dx) = (vec![T::of(0.0); n], garbage::<T>(device, n));
            backward(over(&dy, &shape), over(&want, &shape), axis, &mut want_dx).unwrap();
            let y = device.upload(&want).unwrap();
            softmax::softmax_backward(
                &dx_d.view(&shape).unwrap(),
                &y.view(&shape).unwrap(),
                axis,
                log,
                &mut dx,
            )
            .unwrap();
            let floor = largest(&want_dx).max(0.1);
            close(
                &format!("{what} backward"),
                &dx.download().unwrap(),
                &want_dx,
                if T::EPSILON > 1e-5 { 1.0 } else { 32.0 },
                floor,
            );
        }
    }
}

#[test]
fn softmax_and_its_gradient() {
    orders(|device| each_float!(softmaxes(device)));
}
