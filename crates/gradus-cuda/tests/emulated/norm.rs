//! Layer, RMS and batch normalisation.

use gradus_cpu::norm as cpu;
use gradus_cuda::Device;
use gradus_cuda::ops::norm;

use crate::standin::orders;
use crate::support::{Numbers, Real, close, each_float, garbage, largest};

/// Places of f32 and of the halves in which results may differ: an f32 sum in another order; one rounding.
fn ulps<T: Real>() -> f32 {
    if T::EPSILON > 1e-5 { 1.0 } else { 48.0 }
}

fn rows<T: Real>(device: &Device) {
    for (count, n, affine, centred) in [
        (5, 300, true, true),
        (70, 33, true, false),
        (3, 1, false, true),
        (1, 517, false, false),
    ] {
        let shape = [count, n];
        let mut numbers = Numbers::new(8);
        let x: Vec<T> = numbers
            .floats::<T>(count * n, 2.0)
            .iter()
            .map(|x| T::of(x.real() + 3.0))
            .collect();
        let (dy, w, b) = (
            numbers.floats::<T>(count * n, 1.0),
            numbers.floats::<T>(n, 1.0),
            numbers.floats::<T>(n, 1.0),
        );
        let (weight, bias) = (
            affine.then_some(&w[..]),
            (affine && centred).then_some(&b[..]),
        );
        let mut want = vec![T::of(0.0); count * n];
        let (mut mean, mut rstd) = (vec![0f32; count], vec![0f32; count]);
        let xv = gradus_cpu::View::contiguous(&x, &shape).unwrap();
        let dyv = gradus_cpu::View::contiguous(&dy, &shape).unwrap();
        if centred {
            cpu::layer_norm(
                xv,
                n,
                cpu::Affine { weight, bias },
                1e-5,
                &mut want,
                &mut mean,
                &mut rstd,
            )
            .unwrap();
        } else {
            cpu::rms_norm(xv, n, weight, 1e-5, &mut want, &mut rstd).unwrap();
        }
        let up = |x: &[T]| device.upload(x).unwrap();
        let (x_d, dy_d, w_d, b_d) = (up(&x), up(&dy), up(&w), up(&b));
        let (weight_d, bias_d) = (weight.map(|_| &w_d), bias.map(|_| &b_d));
        let mut y = garbage::<T>(device, count * n);
        let (mut mean_d, mut rstd_d) = (device.zeros(count).unwrap(), device.zeros(count).unwrap());
        let on_device = x_d.view(&shape).unwrap();
        if centred {
            let affine = norm::Affine {
                weight: weight_d,
                bias: bias_d,
            };
            norm::layer_norm(
                &on_device,
                n,
                affine,
                1e-5,
                &mut y,
                &mut mean_d,
                &mut rstd_d,
            )
            .unwrap();
            close("mean", &mean_d.download().unwrap(), &mean, 16.0, 1.0);
        } else {
            norm::rms_norm(&on_device, n, weight_d, 1e-5, &mut y, &mut rstd_d).unwrap();
        }
        close("rstd", &rstd_d.download().unwrap(), &rstd, 32.0, 1e-3);
        close(
            &format!("norm {shape:?}"),
            &y.download().unwrap(),
            &want,
            ulps::<T>(),
            1.0,
        );

        let (mut dx, mut dw, mut db) = (want.clone(), w.clone(), b.clone());
        let out = cpu::Gradients {
            dx: &mut dx,
            dweight: Some(&mut dw),
            dbias: Some(&mut db),
        };
        if centred {
            cpu::layer_norm_backward(dyv, xv, n, weight, &mean, &rstd, out).unwrap();
        } else {
            cpu::rms_norm_backward(dyv, xv, n, weight, &rstd, out).unwrap();
        }
        let (mut dx_d, mut dw_d, mut db_d) = (
            garbage(device, count * n),
            garbage(device, n),
            garbage(device, n),
        );
        let out = norm::Gradients {
            dx: &mut dx_d,
            dweight: Some(&mut dw_d),
            dbias: Some(&mut db_d),
        };
        let mean_d = centred.then_some(&mean_d);
        norm::layer_norm_backward(
            &dy_d.view(&shape).unwrap(),
            &on_device,
            n,
            weight_d,
            mean_d,
            &rstd_d,
            out,
        )
        .unwrap();
        for (what, got, want) in [("dx", dx_d, dx), ("dw", dw_d, dw), ("db", db_d, db)] {
            let floor = largest(&want).max(1.0);
            close(
                &format!("{what} of norm {shape:?}"),
                &got.download().unwrap(),
                &want,
                ulps::<T>(),
                floor,
            );
        }
    }
}

#[test]
fn layer_and_rms_norm() {
    orders(|device| each_float!(rows(device)));
}

fn batch<T: Real>(device: &Device) {
    for shape in [vec![4, 3, 5, 7], vec![37, 6], vec![150, 37], vec![1, 2, 1]] {
        let (len, c) = (shape.iter().product::<usize>(), shape[1]);
        let mut numbers = Numbers::new(9);
        let (x, dy) = (numbers.floats::<T>(len, 2.0), numbers.floats::<T>(len, 1.0));
        let (w, b) = (numbers.floats::<T>(c, 1.0), numbers.floats::<T>(c, 1.0));
        let xv = gradus_cpu::View::contiguous(&x, &shape).unwrap();
        let dyv = gradus_cpu::View::contiguous(&dy, &shape).unwrap();
        let (mut mean, mut var) = (vec![0f32; c], vec![0f32; c]);
        cpu::batch_norm_stats(xv, &mut mean, &mut var).unwrap();
        let up = |x: &[T]| device.upload(x).unwrap();
        let (x_d, dy_d, w_d, b_d) = (up(&x), up(&dy), up(&w), up(&b));
        let (x_v, dy_v) = (x_d.view(&shape).unwrap(), dy_d.view(&shape).unwrap());
        let (mut mean_d, mut var_d) = (
            device.zeros::<f32>(c).unwrap(),
            device.zeros::<f32>(c).unwrap(),
        );
        norm::batch_norm_stats(&x_v, &mut mean_d, &mut var_d).unwrap();
        close("mean", &mean_d.download().unwrap(), &mean, 16.0, 1.0);
        close("var", &var_d.download().unwrap(), &var, 16.0, 1.0);

        let rstd: Vec<f32> = var.iter().map(|v| 1.0 / (v + 1e-5).sqrt()).collect();
        let (mean_d, rstd_d) = (device.upload(&mean).unwrap(), device.upload(&rstd).unwrap());
        let (mut want, mut y) = (vec![T::of(0.0); len], garbage::<T>(device, len));
        let affine = cpu::Affine {
            weight: Some(&w[..]),
            bias: Some(&b[..]),
        };
        cpu::batch_norm(xv, &mean, &rstd, affine, &mut want).unwrap();
        let affine = norm::Affine {
            weight: Some(&w_d),
            bias: Some(&b_d),
        };
        norm::batch_norm(&x_v, &mean_d, &rstd_d, affine, &mut y).unwrap();
        close(
            &format!("batch norm {shape:?}"),
            &y.download().unwrap(),
            &want,
            ulps::<T>(),
            1.0,
        );

        for training in [true, false] {
            let (mut dx, mut dw, mut db) = (want.clone(), w.clone(), b.clone());
            let out = cpu::Gradients {
                dx: &mut dx,
                dweight: Some(&mut dw),
                dbias: Some(&mut db),
            };
            cpu::batch_norm_backward(dyv, xv, &mean, &rstd, Some(&w), training, out).unwrap();
            let (mut dx_d, mut dw_d, mut db_d) =
                (garbage(device, len), garbage(device, c), garbage(device, c));
            let out = norm::Gradients {
                dx: &mut dx_d,
                dweight: Some(&mut dw_d),
                dbias: Some(&mut db_d),
            };
            norm::batch_norm_backward(&dy_v, &x_v, &mean_d, &rstd_d, Some(&w_d), training, out)
                .unwrap();
            for (what, got, want) in [("dx", dx_d, dx), ("dw", dw_d, dw), ("db", db_d, db)] {
                // Of one element a channel, rstd is 316 and dx a difference of such.
                let floor = largest(&want).max(1.0) * if shape[0] == 1 { 400.0 } else { 1.0 };
                close(
                    &format!("{what} of batch norm {shape:?}"),
                    &got.download().unwrap(),
                    &want,
                    ulps::<T>(),
                    floor,
                );
            }
        }
    }
}

#[test]
fn batch_norm() {
    orders(|device| each_float!(batch(device)));
}
