//! Convolutions in f32 over the layers of the peers' scripts: `conv/c64x56_3x3_b8_fwd`, `_data` and `_weight` for the gradients
//! (the scripts' `_bwd` is the sum of the two). Throughput is in floating-point operations.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gradus_cpu::View;
use gradus_cpu::conv::{Conv2dParams, conv, conv_backward_data, conv_backward_weight};
use gradus_cpu::gemm::Epilogue;

/// Name, input and output channels, height and width, kernel, stride, padding, groups.
type Layer = (
    &'static str,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
);

const LAYERS: [Layer; 11] = [
    ("mnist_3x3", 1, 32, 28, 3, 1, 0, 1),
    ("c64x56_3x3", 64, 64, 56, 3, 1, 1, 1),
    ("c128x28_3x3", 128, 128, 28, 3, 1, 1, 1),
    ("c256x14_3x3", 256, 256, 14, 3, 1, 1, 1),
    ("c512x7_3x3", 512, 512, 7, 3, 1, 1, 1),
    ("stem7x7s2", 3, 64, 224, 7, 2, 3, 1),
    ("c64_256x56_1x1", 64, 256, 56, 1, 1, 0, 1),
    ("c512_128x28_1x1", 512, 128, 28, 1, 1, 0, 1),
    ("c64_128x56_3x3s2", 64, 128, 56, 3, 2, 1, 1),
    ("dw96x56_3x3", 96, 96, 56, 3, 1, 1, 96),
    ("dw384x14_3x3", 384, 384, 14, 3, 1, 1, 384),
];

/// Numbers in [-0.5, 0.5) that do not repeat soon.
fn numbers(shape: &[usize]) -> Vec<f32> {
    (0..shape.iter().product::<usize>())
        .map(|i| (i * 7919 % 10007) as f32 / 10007.0 - 0.5)
        .collect()
}

/// The data in this shape.
fn view<'a>(data: &'a [f32], shape: &'a [usize]) -> View<'a, f32> {
    View::contiguous(data, shape).expect("the shape fits the data")
}

fn layers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("conv");
    for (name, inputs, outputs, size, k, s, p, groups) in LAYERS {
        for batch in if name == "mnist_3x3" {
            [32, 128]
        } else {
            [1, 8]
        } {
            let params = Conv2dParams {
                stride: [s; 2],
                padding: [p; 2],
                dilation: [1; 2],
                groups,
            };
            let (x_shape, w_shape) = (
                [batch, inputs, size, size],
                [outputs, inputs / groups, k, k],
            );
            let y_shape = params
                .output_shape(&x_shape, &w_shape)
                .expect("the layer fits its input");
            let (x, w, dy) = (numbers(&x_shape), numbers(&w_shape), numbers(&y_shape));
            let (mut y, mut dx, mut dw) = (dy.clone(), x.clone(), w.clone());
            let flops = 2 * y.len() * w.len() / outputs;
            group.throughput(Throughput::Elements(flops as u64));
            group.bench_function(format!("{name}_b{batch}_fwd"), |bench| {
                let (x, w) = (view(&x, &x_shape), view(&w, &w_shape));
                bench.iter(|| conv(x, w, &Epilogue::default(), &params, &mut y));
            });
            group.bench_function(format!("{name}_b{batch}_data"), |bench| {
                let (dy, w) = (view(&dy, &y_shape), view(&w, &w_shape));
                bench.iter(|| conv_backward_data(dy, w, &params, &x_shape, &mut dx));
            });
            group.bench_function(format!("{name}_b{batch}_weight"), |bench| {
                let (x, dy) = (view(&x, &x_shape), view(&dy, &y_shape));
                bench.iter(|| conv_backward_weight(x, dy, &params, &w_shape, &mut dw));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, layers);
criterion_main!(benches);
