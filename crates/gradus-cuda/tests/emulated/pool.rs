//! Pooling and its gradients.

use gradus_cpu::pool as cpu;
use gradus_cuda::ops::pool::{
    Pool2dParams, adaptive_avg_pool, adaptive_avg_pool_backward, avg_pool, avg_pool_backward,
    max_pool, max_pool_backward,
};

use gradus_cuda::{Device, MemoryFormat};

use crate::standin::{for_orders, orders};
use crate::support::{Numbers, Real, channels_last, close, each_float, garbage, images};

fn cases() -> Vec<Pool2dParams> {
    let plain = Pool2dParams::new([2, 2]);
    vec![
        plain,
        Pool2dParams {
            kernel: [3, 3],
            stride: [2, 2],
            padding: [1, 1],
            ..plain
        },
        Pool2dParams {
            kernel: [3, 2],
            stride: [1, 2],
            padding: [1, 0],
            ceil_mode: true,
            count_include_pad: false,
            ..plain
        },
        Pool2dParams {
            kernel: [4, 3],
            stride: [3, 2],
            ceil_mode: true,
            divisor_override: Some(5),
            ..plain
        },
    ]
}

fn largest_of_windows<T: Real>(device: &Device) {
    let shape = [2, 3, 9, 11];
    let n: usize = shape.iter().product();
    let mut x = Numbers::new(20).floats::<T>(n, 2.0);
    (x[5], x[6], x[40], x[41]) = (T::of(f32::NAN), T::of(f32::NAN), T::of(9.0), T::of(9.0));
    let wide: Vec<f32> = x.iter().map(|x| x.real()).collect();
    let view = gradus_cpu::View::contiguous(&wide, &shape).unwrap();
    let x_d = device.upload(&x).unwrap();
    for mut params in cases().into_iter().chain([Pool2dParams {
        dilation: [2, 3],
        ..Pool2dParams::new([3, 2])
    }]) {
        params.divisor_override = None;
        let Pool2dParams {
            kernel,
            stride,
            padding,
            dilation,
            ceil_mode,
            ..
        } = params;
        let of_cpu = cpu::MaxPool2dParams {
            kernel,
            stride,
            padding,
            dilation,
            ceil_mode,
        };
        let size = params.output_size(&shape).unwrap();
        assert_eq!(size, of_cpu.output_size(&shape).unwrap());
        let m = 6 * size[0] * size[1];
        let (mut want, mut places) = (vec![0f32; m], vec![0i64; m]);
        cpu::max_pool(view, &of_cpu, &mut want, Some(&mut places)).unwrap();
        let (mut y, mut i) = (garbage::<T>(device, m), device.zeros::<i64>(m).unwrap());
        max_pool(&x_d.view(&shape).unwrap(), &params, &mut y, Some(&mut i)).unwrap();
        let want: Vec<T> = want.into_iter().map(T::of).collect();
        close(
            &format!("{params:?}"),
            &y.download().unwrap(),
            &want,
            0.0,
            0.0,
        );
        assert_eq!(i.download().unwrap(), places, "{params:?}");
        let dy = Numbers::new(21).floats::<T>(m, 1.0);
        let dyf: Vec<f32> = dy.iter().map(|x| x.real()).collect();
        let mut dx = vec![0f32; n];
        let pixels = [m];
        let dyv = gradus_cpu::View::contiguous(&dyf, &pixels).unwrap();
        cpu::max_pool_backward(dyv, &places, (99, size[0] * size[1]), &mut dx).unwrap();
        let mut dx_d = garbage::<T>(device, n);
        let dy_d = device.upload(&dy).unwrap();
        max_pool_backward(&dy_d.view(&pixels).unwrap(), &i, &params, &shape, &mut dx_d).unwrap();
        let dx: Vec<T> = dx.into_iter().map(T::of).collect();
        close(
            &format!("dx {params:?}"),
            &dx_d.download().unwrap(),
            &dx,
            2.0,
            1.0,
        );
    }
}

#[test]
fn max_pooling() {
    orders(|device| each_float!(largest_of_windows(device)));
}

fn averages<T: Real>(device: &Device) {
    let shape = [2, 3, 9, 11];
    let n: usize = shape.iter().product();
    let x = Numbers::new(22).floats::<T>(n, 2.0);
    let wide: Vec<f32> = x.iter().map(|x| x.real()).collect();
    let view = gradus_cpu::View::contiguous(&wide, &shape).unwrap();
    let x_d = device.upload(&x).unwrap();
    let to = |x: Vec<f32>| x.into_iter().map(T::of).collect::<Vec<T>>();
    let dy_of = |m: usize| {
        let dy = Numbers::new(23).floats::<T>(m, 1.0);
        let dyf: Vec<f32> = dy.iter().map(|x| x.real()).collect();
        (device.upload(&dy).unwrap(), dyf)
    };
    let places = if T::EPSILON > 1e-5 { 1.0 } else { 8.0 };
    for params in cases() {
        let Pool2dParams {
            kernel,
            stride,
            padding,
            ceil_mode,
            count_include_pad,
            divisor_override,
            ..
        } = params;
        let divisor_override = divisor_override.map(|d| d as i64);
        let of_cpu = cpu::AvgPool2dParams {
            kernel,
            stride,
            padding,
            ceil_mode,
            count_include_pad,
            divisor_override,
        };
        let [h, w] = params.output_size(&shape).unwrap();
        let (m, y_shape) = (6 * h * w, [2, 3, h, w]);
        let (mut want, mut y) = (vec![0f32; m], garbage::<T>(device, m));
        cpu::avg_pool(view, &of_cpu, &mut want).unwrap();
        avg_pool(&x_d.view(&shape).unwrap(), &params, &mut y).unwrap();
        close(
            &format!("{params:?}"),
            &y.download().unwrap(),
            &to(want),
            places,
            1.0,
        );
        let (dy_d, dyf) = dy_of(m);
        let (mut dx, mut dx_d) = (vec![0f32; n], garbage::<T>(device, n));
        let dyv = gradus_cpu::View::contiguous(&dyf, &y_shape).unwrap();
        cpu::avg_pool_backward(dyv, &of_cpu, &shape, &mut dx).unwrap();
        avg_pool_backward(&dy_d.view(&y_shape).unwrap(), &params, &shape, &mut dx_d).unwrap();
        close(
            &format!("dx {params:?}"),
            &dx_d.download().unwrap(),
            &to(dx),
            places,
            1.0,
        );
    }
    for sizes in [[1, 1], [4, 5], [9, 11], [12, 3]] {
        let (m, y_shape) = (6 * sizes[0] * sizes[1], [2, 3, sizes[0], sizes[1]]);
        let (mut want, mut y) = (vec![0f32; m], garbage::<T>(device, m));
        cpu::adaptive_avg_pool(view, sizes, &mut want).unwrap();
        adaptive_avg_pool(&x_d.view(&shape).unwrap(), sizes, &mut y).unwrap();
        close(
            &format!("{sizes:?}"),
            &y.download().unwrap(),
            &to(want),
            places,
            1.0,
        );
        let (dy_d, dyf) = dy_of(m);
        let (mut dx, mut dx_d) = (vec![0f32; n], garbage::<T>(device, n));
        let dyv = gradus_cpu::View::contiguous(&dyf, &y_shape).unwrap();
        cpu::adaptive_avg_pool_backward(dyv, sizes, &shape, &mut dx).unwrap();
        adaptive_avg_pool_backward(&dy_d.view(&y_shape).unwrap(), sizes, &shape, &mut dx_d)
            .unwrap();
        close(
            &format!("dx {sizes:?}"),
            &dx_d.download().unwrap(),
            &to(dx),
            places,
            1.0,
        );
    }
}

#[test]
fn average_pooling() {
    orders(|device| each_float!(averages(device)));
}

/// Every pooling of images that lie so, and its gradient, in that order; the indices as well.
fn of_images<T: Real>(device: &Device, format: MemoryFormat) -> (Vec<Vec<T>>, Vec<Vec<i64>>) {
    let shape = [2, 5, 9, 8];
    let lie = |x: Vec<T>, shape| match format {
        MemoryFormat::Contiguous => x,
        MemoryFormat::ChannelsLast => channels_last(&x, shape),
    };
    let n = shape.iter().product();
    let x = lie(Numbers::new(24).floats::<T>(n, 2.0), shape);
    let x = device.upload(&x).unwrap();
    let x = images(&x, shape, format);
    let (mut all, mut places) = (Vec::new(), Vec::new());
    let mut keep = |buffer: gradus_cuda::Buffer<T>| all.push(buffer.download().unwrap());
    let sizes = |[h, w]: [usize; 2]| (10 * h * w, [2, 5, h, w]);
    let dy_of = |(m, y_shape)| {
        let dy = Numbers::new(25).floats::<T>(m, 1.0);
        device.upload(&lie(dy, y_shape)).unwrap()
    };
    for params in cases() {
        let (m, y_shape) = sizes(params.output_size(&shape).unwrap());
        let dy = dy_of((m, y_shape));
        let dy = images(&dy, y_shape, format);
        let (mut y, mut dx) = (garbage(device, m), garbage(device, n));
        avg_pool(&x, &params, &mut y).unwrap();
        avg_pool_backward(&dy, &params, &shape, &mut dx).unwrap();
        keep(y);
        keep(dx);
        let params = Pool2dParams {
            divisor_override: None,
            ..params
        };
        let (mut y, mut dx) = (garbage(device, m), garbage(device, n));
        let mut indices = device.zeros::<i64>(m).unwrap();
        max_pool(&x, &params, &mut y, Some(&mut indices)).unwrap();
        max_pool_backward(&dy, &indices, &params, &shape, &mut dx).unwrap();
        keep(y);
        keep(dx);
        places.push(indices.download().unwrap());
    }
    for size in [[4, 5], [12, 3]] {
        let (m, y_shape) = sizes(size);
        let dy = dy_of((m, y_shape));
        let dy = images(&dy, y_shape, format);
        let (mut y, mut dx) = (garbage(device, m), garbage(device, n));
        adaptive_avg_pool(&x, size, &mut y).unwrap();
        adaptive_avg_pool_backward(&dy, size, &shape, &mut dx).unwrap();
        keep(y);
        keep(dx);
    }
    (all, places)
}

/// The same numbers, in the other order.
fn turned<T: Real>(device: &Device) {
    let (rows, row_places) = of_images::<T>(device, MemoryFormat::Contiguous);
    let (last, last_places) = of_images::<T>(device, MemoryFormat::ChannelsLast);
    // Results and gradients by turns; a result has as many rows and columns as its case says.
    let mut shapes: Vec<[usize; 4]> = Vec::new();
    for params in cases() {
        let [h, w] = params.output_size(&[2, 5, 9, 8]).unwrap();
        shapes.extend([[2, 5, h, w], [2, 5, 9, 8], [2, 5, h, w], [2, 5, 9, 8]]);
    }
    shapes.extend([[2, 5, 4, 5], [2, 5, 9, 8], [2, 5, 12, 3], [2, 5, 9, 8]]);
    assert_eq!((rows.len(), last.len()), (shapes.len(), shapes.len()));
    for (i, shape) in shapes.iter().enumerate() {
        let want = channels_last(&rows[i], *shape);
        close(&format!("{i}: {shape:?}"), &last[i], &want, 0.0, 0.0);
    }
    for (i, (rows, last)) in row_places.iter().zip(&last_places).enumerate() {
        assert_eq!(channels_last(rows, shapes[4 * i]), *last);
    }
}

#[test]
fn images_with_channels_last() {
    for_orders(&["f", "we"], |device| each_float!(turned(device)));
}
