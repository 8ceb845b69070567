//! Convolutions and their gradients.

use gradus_cpu::conv as cpu;
use gradus_cuda::Device;
use gradus_cuda::ops::conv::{Conv2dParams, conv2d, conv2d_backward_data, conv2d_backward_weight};

use crate::standin::{device, orders};
use crate::support::{Numbers, Real, close, each_float, garbage, largest};

fn check<T: Real>(device: &Device, x_shape: [usize; 4], w_shape: [usize; 4], params: Conv2dParams) {
    let (stride, padding, dilation, groups) = (
        params.stride,
        params.padding,
        params.dilation,
        params.groups,
    );
    let of_cpu = cpu::Conv2dParams {
        stride,
        padding,
        dilation,
        groups,
    };
    let y_shape = params.output_shape(&x_shape, &w_shape).unwrap();
    assert_eq!(
        y_shape[..],
        of_cpu.output_shape(&x_shape, &w_shape).unwrap()
    );
    let count = |s: &[usize]| s.iter().product::<usize>();
    let (nx, nw, ny) = (count(&x_shape), count(&w_shape), count(&y_shape));
    let mut numbers = Numbers::new(19);
    let (x, w) = (numbers.floats::<T>(nx, 1.0), numbers.floats::<T>(nw, 1.0));
    let (dy, bias) = (
        numbers.floats::<T>(ny, 1.0),
        numbers.floats::<T>(w_shape[0], 1.0),
    );
    let f = |x: &[T]| x.iter().map(|x| x.real()).collect::<Vec<f32>>();
    let (xf, wf, dyf, bf) = (f(&x), f(&w), f(&dy), f(&bias));
    let xv = gradus_cpu::View::contiguous(&xf, &x_shape).unwrap();
    let wv = gradus_cpu::View::contiguous(&wf, &w_shape).unwrap();
    let dyv = gradus_cpu::View::contiguous(&dyf, &y_shape).unwrap();
    let (mut y, mut dx, mut dw) = (vec![0f32; ny], vec![0f32; nx], vec![0f32; nw]);
    cpu::conv2d(xv, wv, Some(&bf), &of_cpu, &mut y).unwrap();
    cpu::conv2d_backward_data(dyv, wv, &of_cpu, &x_shape, &mut dx).unwrap();
    cpu::conv2d_backward_weight(xv, dyv, &of_cpu, &w_shape, &mut dw).unwrap();

    let up = |x: &[T]| device.upload(x).unwrap();
    let (x, w, dy, bias) = (up(&x), up(&w), up(&dy), up(&bias));
    let (mut y_d, mut dx_d, mut dw_d) = (
        garbage(device, ny),
        garbage(device, nx),
        garbage(device, nw),
    );
    let (xv, wv, dyv) = (
        x.view(&x_shape).unwrap(),
        w.view(&w_shape).unwrap(),
        dy.view(&y_shape).unwrap(),
    );
    conv2d(&xv, &wv, Some(&bias), &params, &mut y_d).unwrap();
    conv2d_backward_data(&dyv, &wv, &params, &x_shape, &mut dx_d).unwrap();
    conv2d_backward_weight(&xv, &dyv, &params, &w_shape, &mut dw_d).unwrap();
    for (what, got, want) in [("y", y_d, y), ("dx", dx_d, dx), ("dw", dw_d, dw)] {
        let want: Vec<T> = want.into_iter().map(T::of).collect();
        let places = if T::EPSILON > 1e-5 { 1.0 } else { 64.0 };
        close(
            &format!("{what} of {x_shape:?} * {w_shape:?} {params:?}"),
            &got.download().unwrap(),
            &want,
            places,
            largest(&want),
        );
    }
}

fn all<T: Real>(device: &Device) {
    let plain = Conv2dParams::default();
    check::<T>(
        device,
        [2, 5, 9, 7],
        [6, 5, 3, 3],
        Conv2dParams {
            padding: [1, 1],
            ..plain
        },
    );
    let odd = Conv2dParams {
        stride: [2, 1],
        padding: [2, 0],
        dilation: [1, 2],
        groups: 2,
    };
    check::<T>(device, [1, 4, 8, 11], [6, 2, 3, 2], odd);
    check::<T>(device, [3, 3, 1, 20], [70, 3, 1, 1], plain);
}

#[test]
fn convolutions_and_their_gradients() {
    orders(|device| each_float!(all(device)));
}

#[test]
fn the_weights_sum_is_cut_into_pieces() {
    let Some(device) = device() else { return };
    let params = Conv2dParams {
        padding: [1, 1],
        ..Default::default()
    };
    check::<f32>(&device, [2, 2, 24, 24], [3, 2, 3, 3], params); // 1152 pixels: two pieces
}

#[test]
fn convolutions_that_do_not_fit_are_errors() {
    let p = Conv2dParams::default();
    assert!(p.output_shape(&[1, 3, 2, 2], &[4, 3, 3, 3]).is_err());
    assert!(p.output_shape(&[1, 3, 9, 9], &[4, 2, 3, 3]).is_err());
    assert!(
        Conv2dParams {
            stride: [0, 1],
            ..p
        }
        .output_shape(&[1, 3, 9, 9], &[4, 3, 3, 3])
        .is_err()
    );
    assert!(
        Conv2dParams {
            padding: [usize::MAX, 1],
            ..p
        }
        .output_shape(&[1, 3, 9, 9], &[4, 3, 3, 3])
        .is_err()
    );
}
