//! Matrix products in f32 over the shapes of the peers' scripts: `gemm/sq512` ours, `matrixmultiply/sq512` the bar.
//!
//! Throughput is in floating-point operations, two a multiply-add. A suffix says how the operands lie: `TN` has A stored (K, M),
//! `NT` has B stored (N, K), as the weight of a linear layer.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gradus_cpu::View;
use gradus_cpu::gemm::{Activation, Bias, Epilogue, MatMut, MatRef, gemm, matmul};

/// Name, batch, M, N, K, A transposed, B transposed.
type Shape = (&'static str, usize, usize, usize, usize, bool, bool);

const SHAPES: [Shape; 19] = [
    ("sq64", 1, 64, 64, 64, false, false),
    ("sq128", 1, 128, 128, 128, false, false),
    ("sq256", 1, 256, 256, 256, false, false),
    ("sq512", 1, 512, 512, 512, false, false),
    ("sq1024", 1, 1024, 1024, 1024, false, false),
    ("sq2048", 1, 2048, 2048, 2048, false, false),
    ("sq512_TN", 1, 512, 512, 512, true, false),
    ("sq512_NT", 1, 512, 512, 512, false, true),
    ("sq1024_TN", 1, 1024, 1024, 1024, true, false),
    ("sq1024_NT", 1, 1024, 1024, 1024, false, true),
    ("proj128x768x768_NT", 1, 128, 768, 768, false, true),
    ("mlp128x768x3072_NT", 1, 128, 3072, 768, false, true),
    ("mlp128x3072x768_NT", 1, 128, 768, 3072, false, true),
    ("wgrad768x3072x1024_TN", 1, 768, 3072, 1024, true, false),
    ("qk_b12_512x512x64_NT", 12, 512, 512, 64, false, true),
    ("av_b12_512x64x512", 12, 512, 64, 512, false, false),
    ("gemv1x768x50257_NT", 1, 1, 50257, 768, false, true),
    ("gemv1x768x3072_NT", 1, 1, 3072, 768, false, true),
    ("lmhead64x768x50257_NT", 1, 64, 50257, 768, false, true),
];

/// Numbers in [-0.5, 0.5) that do not repeat soon.
fn numbers(n: usize) -> Vec<f32> {
    (0..n)
        .map(|i| (i * 7919 % 10007) as f32 / 10007.0 - 0.5)
        .collect()
}

fn products(criterion: &mut Criterion) {
    for (name, batch, m, n, k, ta, tb) in SHAPES {
        let (a, b) = (numbers(batch * m * k), numbers(batch * k * n));
        let mut c = vec![0.0; batch * m * n];
        // Strides of (batch, row, column).
        let strides = |rows: usize, cols: usize, transposed: bool| {
            let size = (rows * cols) as isize;
            if transposed {
                [size, 1, rows as isize]
            } else {
                [size, cols as isize, 1]
            }
        };
        let (sa, sb) = (strides(m, k, ta), strides(k, n, tb));
        let (shape_a, shape_b) = ([batch, m, k], [batch, k, n]);
        let flops = Throughput::Elements(2 * (batch * m * n * k) as u64);

        let mut group = criterion.benchmark_group("gemm");
        group.throughput(flops.clone());
        group.bench_function(name, |bench| {
            let x = View::new(&a, 0, &shape_a, &sa).expect("the shape fits the data");
            let y = View::new(&b, 0, &shape_b, &sb).expect("the shape fits the data");
            bench.iter(|| matmul(x, y, &Epilogue::default(), &mut c).expect("the shapes fit"));
        });
        group.finish();

        let mut group = criterion.benchmark_group("matrixmultiply");
        group.throughput(flops);
        group.bench_function(name, |bench| {
            bench.iter(|| {
                for i in 0..batch {
                    let (x, y) = (a[i * m * k..].as_ptr(), b[i * k * n..].as_ptr());
                    let z = c[i * m * n..].as_mut_ptr();
                    // SAFETY: each matrix of the batch lies inside its vector, with these strides.
                    unsafe {
                        matrixmultiply::sgemm(
                            m, k, n, 1.0, x, sa[1], sa[2], y, sb[1], sb[2], 0.0, z, n as isize, 1,
                        );
                    }
                }
            });
        });
        group.finish();
    }
}

/// A linear layer with its activation: what the epilogue adds to the bare product `mlp128x768x3072_NT`.
fn epilogues(criterion: &mut Criterion) {
    let (m, n, k) = (128, 3072, 768);
    let (x, w, bias) = (numbers(m * k), numbers(n * k), numbers(n));
    let mut y = vec![0.0; m * n];
    let mut group = criterion.benchmark_group("gemm_epilogue");
    group.throughput(Throughput::Elements(2 * (m * n * k) as u64));
    for (name, activation) in [
        ("bias", Activation::None),
        ("bias_relu", Activation::Relu),
        ("bias_gelu_tanh", Activation::GeluTanh),
    ] {
        let epilogue = Epilogue {
            bias: Bias::Column(&bias),
            residual: None,
            activation,
        };
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let x = MatRef::row_major(&x, m, k)?;
                let w = MatRef::row_major(&w, n, k)?.t();
                gemm(1.0, x, w, 0.0, MatMut::row_major(&mut y, m, n)?, &epilogue)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, products, epilogues);
criterion_main!(benches);
