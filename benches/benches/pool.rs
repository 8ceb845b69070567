//! Pooling in f32, forward and backward. Throughput is in bytes read and written, for pooling is bound by memory.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gradus_cpu::View;
use gradus_cpu::pool::{
    AvgPool2dParams, MaxPool2dParams, adaptive_avg_pool, avg_pool, avg_pool_backward, max_pool,
    max_pool_backward,
};

/// The data in this shape.
fn view<'a>(data: &'a [f32], shape: &'a [usize]) -> View<'a, f32> {
    View::contiguous(data, shape).expect("the shape fits the data")
}

fn pools(criterion: &mut Criterion) {
    // MNIST's first layer and ResNet's stem: name, shape, kernel, stride, padding.
    for (name, shape, k, s, p) in [
        ("b32c32x26_2x2", [32, 32, 26, 26], 2, 2, 0),
        ("b8c64x112_3x3s2", [8, 64, 112, 112], 3, 2, 1),
    ] {
        let x: Vec<f32> = (0..shape.iter().product())
            .map(|i: usize| (i * 7919 % 10007) as f32)
            .collect();
        let max = MaxPool2dParams {
            stride: [s; 2],
            padding: [p; 2],
            ..MaxPool2dParams::new([k; 2])
        };
        let avg = AvgPool2dParams {
            stride: [s; 2],
            padding: [p; 2],
            ..AvgPool2dParams::new([k; 2])
        };
        let [h, w] = max.output_size(&shape).expect("the windows fit");
        let y_shape = [shape[0], shape[1], h, w];
        let n: usize = y_shape.iter().product();
        let (mut y, mut indices, mut dx) = (vec![0.0; n], vec![0; n], x.clone());
        let x = view(&x, &shape);
        let mut group = criterion.benchmark_group("pool");
        group.throughput(Throughput::Bytes((4 * (dx.len() + n)) as u64));
        group.bench_function(format!("avg_{name}_fwd"), |bench| {
            bench.iter(|| avg_pool(x, &avg, &mut y));
        });
        group.bench_function(format!("avg_{name}_bwd"), |bench| {
            bench.iter(|| avg_pool_backward(view(&y, &y_shape), &avg, &shape, &mut dx));
        });
        group.bench_function(format!("global_{name}_fwd"), |bench| {
            bench.iter(|| adaptive_avg_pool(x, [1, 1], &mut y[..shape[0] * shape[1]]));
        });
        group.bench_function(format!("max_{name}_values"), |bench| {
            bench.iter(|| max_pool(x, &max, &mut y, None));
        });
        group.throughput(Throughput::Bytes((4 * (dx.len() + n) + 8 * n) as u64));
        group.bench_function(format!("max_{name}_fwd"), |bench| {
            bench.iter(|| max_pool(x, &max, &mut y, Some(&mut indices)));
        });
        group.bench_function(format!("max_{name}_bwd"), |bench| {
            let planes = (shape[2] * shape[3], h * w);
            bench.iter(|| max_pool_backward(view(&y, &y_shape), &indices, planes, &mut dx));
        });
        group.finish();
    }
}

criterion_group!(benches, pools);
criterion_main!(benches);
