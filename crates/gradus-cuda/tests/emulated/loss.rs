//! Cross-entropy.

use gradus_cpu::loss as cpu;
use gradus_cuda::Device;
use gradus_cuda::ops::loss::{CrossEntropy, Reduction, cross_entropy, cross_entropy_backward};

use crate::standin::{device, for_orders};
use crate::support::{Numbers, Real, close, each_float, garbage, largest};

fn against_cpu<T: Real>(device: &Device) {
    let (rows, classes) = (13, 301);
    let shape = [rows, classes];
    let mut numbers = Numbers::new(10);
    let (x, w) = (
        numbers.floats::<T>(rows * classes, 6.0),
        numbers.floats::<T>(classes, 1.0),
    );
    let w: Vec<T> = w.iter().map(|w| T::of(w.real() + 1.5)).collect();
    let mut target: Vec<i64> = (0..rows).map(|_| numbers.below(classes) as i64).collect();
    (target[3], target[10]) = (-100, -100);
    let view = gradus_cpu::View::contiguous(&x, &shape).unwrap();
    let (x_d, w_d, t_d) = (
        device.upload(&x).unwrap(),
        device.upload(&w).unwrap(),
        device.upload(&target).unwrap(),
    );
    let on_device = x_d.view(&shape).unwrap();
    for (reduction, of_cpu) in [
        (Reduction::Mean, cpu::Reduction::Mean),
        (Reduction::Sum, cpu::Reduction::Sum),
        (Reduction::None, cpu::Reduction::None),
    ] {
        for (weighted, smoothing) in [(false, 0.0f32), (true, 0.0), (false, 0.1), (true, 0.25)] {
            let options = cpu::CrossEntropy {
                weight: weighted.then_some(&w[..]),
                label_smoothing: f64::from(smoothing),
                reduction: of_cpu,
                ..Default::default()
            };
            let n = if reduction == Reduction::None {
                rows
            } else {
                1
            };
            let (mut want, mut lse) = (vec![T::of(0.0); n], vec![0f32; rows]);
            let total = cpu::cross_entropy(view, &target, &options, &mut want, &mut lse).unwrap();
            let mut dx = vec![T::of(0.0); rows * classes];
            let dy: Vec<T> = (0..n).map(|i| T::of(1.0 - i as f32 * 0.01)).collect();
            cpu::cross_entropy_backward(&dy, view, &target, &options, &lse, total, &mut dx)
                .unwrap();

            let options = CrossEntropy {
                weight: weighted.then_some(&w_d),
                label_smoothing: smoothing,
                reduction,
                ..Default::default()
            };
            let mut y = garbage::<T>(device, n);
            let saved = cross_entropy(&on_device, &t_d, &options, &mut y).unwrap();
            let places = |f32s: f32| if T::EPSILON > 1e-5 { 1.0 } else { f32s };
            close(
                "cross entropy",
                &y.download().unwrap(),
                &want,
                places(32.0),
                1.0,
            );
            close("lse", &saved.lse.download().unwrap(), &lse, 8.0, 1.0);
            close(
                "total",
                &saved.total_weight.download().unwrap(),
                &[total as f32],
                32.0,
                1.0,
            );
            let mut dx_d = garbage::<T>(device, rows * classes);
            cross_entropy_backward(
                &device.upload(&dy).unwrap(),
                &on_device,
                &t_d,
                &options,
                (&saved.lse, &saved.total_weight),
                &mut dx_d,
            )
            .unwrap();
            close(
                "its gradient",
                &dx_d.download().unwrap(),
                &dx,
                places(32.0),
                largest(&dx),
            );
        }
    }
}

#[test]
fn cross_entropy_and_its_gradient() {
    for_orders(&["f", "we"], |device| each_float!(against_cpu(device)));
}

#[test]
fn arguments_that_do_not_fit_are_errors() {
    let Some(device) = device() else { return };
    let logits = device.zeros::<f32>(3 * 4).unwrap();
    let view = logits.view(&[3, 4]).unwrap();
    let options = CrossEntropy {
        reduction: Reduction::None,
        ..Default::default()
    };
    let target = device.upload(&[1, 3, 0]).unwrap();
    let short = device.upload(&[1]).unwrap();
    assert!(cross_entropy(&view, &short, &options, &mut device.zeros(3).unwrap()).is_err());
    let options = CrossEntropy {
        label_smoothing: 1.5,
        ..options
    };
    assert!(cross_entropy(&view, &target, &options, &mut device.zeros(3).unwrap()).is_err());
}
