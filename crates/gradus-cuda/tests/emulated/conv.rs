//! Convolutions and their gradients.

use gradus_cpu::conv as cpu;
use gradus_cuda::ops::conv::{
    Conv2dParams, How, Rung, conv2d_as, conv2d_backward_data_as, conv2d_backward_weight_as,
};
use gradus_cuda::{Device, Error, MemoryFormat, bf16};

use crate::standin::{device, orders};
use crate::support::{
    Numbers, Real, channels_last, close, each_float, garbage, images, largest, tf32,
};

/// Forward and both gradients, as `how` says, of images that lie as `lie` says, against the CPU's.
fn check_as<T: Real>(
    device: &Device,
    (how, lie): (How, MemoryFormat),
    x_shape: [usize; 4],
    w_shape: [usize; 4],
    params: Conv2dParams,
) {
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
    let is_tf32 = T::EPSILON < 1e-5 && how.rung == Some(Rung::Mma);
    let wide = |x: &[T], round: bool| -> Vec<f32> {
        let one = |x: &T| if round { tf32(x.real()) } else { x.real() };
        x.iter().map(one).collect()
    };
    let (xf, wf, dyf) = (wide(&x, is_tf32), wide(&w, is_tf32), wide(&dy, is_tf32));
    let bf = wide(&bias, false);
    let xv = gradus_cpu::View::contiguous(&xf, &x_shape).unwrap();
    let wv = gradus_cpu::View::contiguous(&wf, &w_shape).unwrap();
    let dyv = gradus_cpu::View::contiguous(&dyf, &y_shape).unwrap();
    let (mut y, mut dx, mut dw) = (vec![0f32; ny], vec![0f32; nx], vec![0f32; nw]);
    cpu::conv2d(xv, wv, Some(&bf), &of_cpu, &mut y).unwrap();
    cpu::conv2d_backward_data(dyv, wv, &of_cpu, &x_shape, &mut dx).unwrap();
    cpu::conv2d_backward_weight(xv, dyv, &of_cpu, &w_shape, &mut dw).unwrap();
    if how.format == MemoryFormat::ChannelsLast {
        (y, dx) = (channels_last(&y, y_shape), channels_last(&dx, x_shape));
    }

    let up = |x: &[T], shape: [usize; 4]| match lie {
        MemoryFormat::Contiguous => device.upload(x).unwrap(),
        MemoryFormat::ChannelsLast => device.upload(&channels_last(x, shape)).unwrap(),
    };
    let (x, dy) = (up(&x, x_shape), up(&dy, y_shape));
    let (w, bias) = (device.upload(&w).unwrap(), device.upload(&bias).unwrap());
    let (mut y_d, mut dx_d, mut dw_d) = (
        garbage(device, ny),
        garbage(device, nx),
        garbage(device, nw),
    );
    let (xv, wv, dyv) = (
        images(&x, x_shape, lie),
        w.view(&w_shape).unwrap(),
        images(&dy, y_shape, lie),
    );
    conv2d_as(how, &xv, &wv, Some(&bias), &params, &mut y_d).unwrap();
    conv2d_backward_data_as(how, &dyv, &wv, &params, &x_shape, &mut dx_d).unwrap();
    conv2d_backward_weight_as(how, &xv, &dyv, &params, &w_shape, &mut dw_d).unwrap();
    for (what, got, want) in [("y", y_d, y), ("dx", dx_d, dx), ("dw", dw_d, dw)] {
        let want: Vec<T> = want.into_iter().map(T::of).collect();
        let places = if T::EPSILON > 1e-5 { 1.0 } else { 64.0 };
        close(
            &format!("{what} of {x_shape:?} * {w_shape:?} {params:?} {how:?} {lie:?}"),
            &got.download().unwrap(),
            &want,
            places,
            largest(&want),
        );
    }
}

fn check<T: Real>(device: &Device, x_shape: [usize; 4], w_shape: [usize; 4], params: Conv2dParams) {
    let how = (How::default(), MemoryFormat::Contiguous);
    check_as::<T>(device, how, x_shape, w_shape, params);
}

/// On tensor cores: channels in one chunk, several, and more than a tile; every size of kernel; steps of every kind.
fn by_tensor_cores<T: Real>(device: &Device) {
    let plain = Conv2dParams::default();
    let same = |kernel: usize| Conv2dParams {
        padding: [kernel / 2; 2],
        ..plain
    };
    let (last, first) = (MemoryFormat::ChannelsLast, MemoryFormat::Contiguous);
    let how = |format| How {
        rung: Some(Rung::Mma),
        format,
    };
    let check = |lie, to, x, w, params| check_as::<T>(device, (how(to), lie), x, w, params);
    check(last, last, [1, 8, 9, 7], [24, 8, 3, 3], same(3));
    check(last, first, [3, 24, 6, 5], [40, 24, 1, 1], plain);
    check(first, last, [1, 40, 7, 7], [8, 40, 5, 5], same(5));
    let strided = Conv2dParams {
        stride: [2, 2],
        ..same(3)
    };
    check(last, last, [3, 8, 11, 8], [136, 8, 3, 3], strided); // edges of two tiles of outputs
    // One by one with steps: most pixels of x meet nothing, and their gradient is 0.
    let skipping = Conv2dParams {
        stride: [2, 3],
        ..plain
    };
    check(first, first, [1, 16, 6, 7], [8, 16, 1, 1], skipping);
    let dilated = Conv2dParams {
        stride: [2, 1],
        padding: [2, 3],
        dilation: [2, 3],
        ..plain
    };
    check(last, last, [1, 24, 10, 9], [8, 24, 3, 2], dilated);
    let wide = Conv2dParams {
        stride: [4, 6],
        dilation: [2, 4],
        padding: [1, 4],
        ..plain
    };
    check(last, last, [1, 8, 13, 17], [8, 8, 3, 3], wide); // steps and taps with a common divisor
}

#[test]
fn on_tensor_cores() {
    orders(|device| each_float!(by_tensor_cores(device)));
}

#[test]
fn the_best_kernel_is_found() {
    let Some(device) = device() else { return };
    let last = MemoryFormat::ChannelsLast;
    let how = How {
        format: last,
        ..How::default()
    };
    let (plain, grouped) = (
        Conv2dParams::default(),
        Conv2dParams {
            groups: 2,
            ..Conv2dParams::default()
        },
    );
    let check = |x, w, params| check_as::<bf16>(&device, (how, last), x, w, params);
    check([2, 24, 5, 4], [16, 24, 1, 1], plain); // a product of matrices
    check([2, 24, 5, 4], [16, 24, 2, 3], plain);
    check([2, 3, 5, 4], [8, 3, 3, 3], plain); // fetched one by one, and turned
    check([2, 16, 5, 4], [16, 8, 3, 3], grouped);
    check([2, 8, 5, 4], [5, 8, 3, 3], plain); // forward by tensor cores alone
    check([2, 8, 1, 1], [1, 8, 1, 1], plain);
    let x = device.zeros::<bf16>(3 * 16).unwrap();
    let w = device.zeros::<bf16>(3 * 3).unwrap();
    let mut y = device.zeros::<bf16>(3 * 16).unwrap();
    let mma = How {
        rung: Some(Rung::Mma),
        ..How::default()
    };
    let (x, w) = (
        x.view(&[1, 3, 4, 4]).unwrap(),
        w.view(&[3, 3, 1, 1]).unwrap(),
    );
    let error = conv2d_as(mma, &x, &w, None, &plain, &mut y).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
}

#[test]
fn pieces_of_the_weights_sum_are_added_in_order() {
    let Some(device) = device() else { return };
    let params = Conv2dParams {
        padding: [1, 1],
        ..Default::default()
    };
    let how = How {
        rung: Some(Rung::Mma),
        ..How::default()
    };
    let how = (how, MemoryFormat::ChannelsLast);
    check_as::<bf16>(&device, how, [3, 8, 21, 19], [8, 8, 3, 3], params); // 1197 pixels: two pieces
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
