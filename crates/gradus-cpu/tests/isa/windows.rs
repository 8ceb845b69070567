//! Pooling and convolution over images (…, 4, n): the width is what runs along the vectors.
use crate::common::{Placed, number, same_bits, same_sums};
use gradus_cpu::conv::{
    Conv2dParams, conv, conv_backward_bias, conv2d, conv2d_backward_data, conv2d_backward_weight,
};
use gradus_cpu::elementwise::Real;
use gradus_cpu::gemm::{Activation, Bias, Epilogue};
use gradus_cpu::pool::{
    AvgPool2dParams, MaxPool2dParams, adaptive_avg_pool, adaptive_avg_pool_backward, avg_pool,
    avg_pool_backward, max_pool, max_pool_backward,
};
use gradus_cpu::{Element, FloatElement};

const EPSILON_F32: f64 = f32::EPSILON as f64;

fn epsilon<T: FloatElement>() -> f64 {
    if T::NAME == "f32" {
        EPSILON_F32
    } else {
        f64::EPSILON
    }
}

/// Images so wide that there is something to pool: (2, 3, 4, n + 3).
fn images<T: Element>(n: usize, offset: usize) -> (Placed<T>, [usize; 4]) {
    let shape = [2, 3, 4, n + 3];
    (Placed::new(shape.iter().product(), offset, number), shape)
}

fn max_pools<T: Real>() {
    let two = MaxPool2dParams::new([2, 2]);
    let three = MaxPool2dParams {
        stride: [2, 1],
        padding: [1, 1],
        ..MaxPool2dParams::new([3, 3])
    };
    for params in [two, three] {
        same_bits(
            &format!("max_pool {:?} {}", params.kernel, T::NAME),
            |n, offset| {
                let (x, shape) = images::<T>(n, offset);
                let [h, w] = params.output_size(&shape).unwrap();
                let mut y = Placed::<T>::output(6 * h * w, 5 * offset);
                let mut values = Placed::<T>::output(6 * h * w, 3 * offset);
                let mut indices = Placed::<i64>::output(6 * h * w, offset);
                max_pool(
                    x.view(&shape),
                    &params,
                    y.get_mut(),
                    Some(indices.get_mut()),
                )
                .unwrap();
                max_pool(x.view(&shape), &params, values.get_mut(), None).unwrap();
                assert_eq!(y.bits(), values.bits(), "with and without indices");
                let mut dx = Placed::<T>::output(x.get().len(), 3 * offset);
                let sizes = (shape[2] * shape[3], h * w);
                max_pool_backward(y.view(&[2, 3, h, w]), indices.get(), sizes, dx.get_mut())
                    .unwrap();
                [y.bits(), indices.bits(), dx.bits()].concat()
            },
        );
    }
}

fn avg_pools<T: Real>() {
    let two = AvgPool2dParams::new([2, 2]);
    let three = AvgPool2dParams {
        stride: [1, 2],
        padding: [1, 1],
        count_include_pad: false,
        ..AvgPool2dParams::new([3, 3])
    };
    for params in [two, three] {
        same_bits(
            &format!("avg_pool {:?} {}", params.kernel, T::NAME),
            |n, offset| {
                let (x, shape) = images::<T>(n, offset);
                let [h, w] = params.output_size(&shape).unwrap();
                let mut y = Placed::<T>::output(6 * h * w, 5 * offset);
                avg_pool(x.view(&shape), &params, y.get_mut()).unwrap();
                let mut dx = Placed::<T>::output(x.get().len(), 3 * offset);
                avg_pool_backward(y.view(&[2, 3, h, w]), &params, &shape, dx.get_mut()).unwrap();
                [y.bits(), dx.bits()].concat()
            },
        );
    }
    same_bits(&format!("adaptive_avg_pool {}", T::NAME), |n, offset| {
        let (x, shape) = images::<T>(n, offset);
        let sizes = [3, n / 2 + 1];
        let out = [2, 3, sizes[0], sizes[1]];
        let mut y = Placed::<T>::output(out.iter().product(), 5 * offset);
        adaptive_avg_pool(x.view(&shape), sizes, y.get_mut()).unwrap();
        let mut dx = Placed::<T>::output(x.get().len(), 3 * offset);
        adaptive_avg_pool_backward(y.view(&out), sizes, &shape, dx.get_mut()).unwrap();
        [y.bits(), dx.bits()].concat()
    });
}

/// Convolutions that take different paths: general, strided and grouped, pointwise, depthwise.
fn convolutions() -> [([usize; 4], Conv2dParams); 4] {
    let plain = Conv2dParams {
        padding: [1, 1],
        ..Conv2dParams::default()
    };
    let strided = Conv2dParams {
        stride: [1, 2],
        dilation: [2, 1],
        ..plain
    };
    let depthwise = Conv2dParams { groups: 3, ..plain };
    [
        ([5, 3, 3, 3], plain),
        ([4, 3, 2, 3], strided),
        ([4, 3, 1, 1], Conv2dParams::default()),
        ([3, 1, 3, 3], depthwise),
    ]
}

fn convolve<T: Real>() {
    for (weight, params) in convolutions() {
        let what = format!("conv {weight:?} {}", T::NAME);
        same_bits(&what, |n, offset| {
            let (x, shape) = images::<T>(n, offset);
            let out = params.output_shape(&shape, &weight).unwrap();
            let size = out.iter().product();
            let w = Placed::<T>::new(weight.iter().product(), 3 * offset, |i| number(i + 20));
            let bias = Placed::<T>::new(weight[0], 7 * offset, |i| number(i + 40));
            let mut y = Placed::<T>::output(size, 5 * offset);
            let (vx, vw) = (x.view(&shape), w.view(&weight));
            conv2d(vx, vw, Some(bias.get()), &params, y.get_mut()).unwrap();
            let mut z = Placed::<T>::output(size, 5 * offset);
            let epilogue = Epilogue {
                bias: Bias::Row(bias.get()),
                residual: Some(y.get()),
                activation: Activation::Gelu,
            };
            conv(vx, vw, &epilogue, &params, z.get_mut()).unwrap();
            let mut dx = Placed::<T>::output(x.get().len(), 3 * offset);
            conv2d_backward_data(y.view(&out), vw, &params, &shape, dx.get_mut()).unwrap();
            [y.bits(), z.bits(), dx.bits()].concat()
        });
    }
}

/// A number, or its absolute value.
fn signed<T: Element>(i: usize, absolute: bool) -> T {
    let x: T = number(i);
    if absolute && x < T::ZERO {
        T::from_f64(-x.to_f64())
    } else {
        x
    }
}

fn weight_gradients<T: Real>() {
    for (weight, params) in convolutions() {
        let what = format!("weight's gradient {weight:?} {}", T::NAME);
        // As many products, and no more, as the output has pixels in the whole batch.
        let terms = |n: usize| 2 * 4 * (n + 3);
        same_sums(&what, epsilon::<T>(), terms, |n, offset, absolute| {
            let (x, shape) = images::<T>(n, offset);
            let x = Placed::<T>::new(x.get().len(), offset, |i| signed(i, absolute));
            let out = params.output_shape(&shape, &weight).unwrap();
            let dy = Placed::<T>::new(out.iter().product(), 3 * offset, |i| {
                signed(i + 50, absolute)
            });
            let mut dw = Placed::<T>::output(weight.iter().product(), 5 * offset);
            let mut db = Placed::<T>::output(weight[0], 7 * offset);
            let view = dy.view(&out);
            conv2d_backward_weight(x.view(&shape), view, &params, &weight, dw.get_mut()).unwrap();
            conv_backward_bias(view, db.get_mut()).unwrap();
            [dw.get(), db.get()].concat()
        });
    }
}

#[test]
fn pooling() {
    max_pools::<f32>();
    max_pools::<f64>();
    avg_pools::<f32>();
    avg_pools::<f64>();
}

#[test]
fn convolutions_and_their_gradient_by_the_input() {
    convolve::<f32>();
    convolve::<f64>();
}

#[test]
fn gradients_of_convolutions_by_weight_and_bias() {
    weight_gradients::<f32>();
    weight_gradients::<f64>();
}
