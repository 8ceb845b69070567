//! Matrix products in f32 over the shapes of the peers' scripts: `gemm/sq512` ours, `matrixmultiply/sq512` the bar.
//!
//! Throughput is in floating-point operations, two a multiply-add. A suffix says how the operands lie: `TN` has A stored (K, M),
//! `NT` has B stored (N, K), as the weight of a linear layer.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gradus_cpu::View;
use gradus_cpu::gemm::{Activation, Bias, Epilogue, MatMut, MatRef, gemm, matmul};

#[path = "../src/workloads/gemm_shapes.rs"]
mod gemm_shapes;

use gemm_shapes::SHAPES;

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
