//! Reductions in bytes read per second: `reduce/OP_AXES/SIZE`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gradus_cpu::{View, reduce};
use std::hint::black_box;

fn reductions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reduce");
    for (rows, cols) in [(1000usize, 10usize), (64, 1024), (8192, 1024)] {
        let shape = [rows, cols];
        let data: Vec<f32> = (0..rows * cols).map(|i| (i % 997) as f32).collect();
        let x = View::contiguous(&data, &shape).expect("dense");
        group.throughput(Throughput::Bytes(4 * data.len() as u64));
        for (name, axes) in [("all", &[0usize, 1][..]), ("rows", &[1]), ("columns", &[0])] {
            let mut y = vec![
                0f32;
                if axes.len() == 2 {
                    1
                } else {
                    shape[1 - axes[0]]
                }
            ];
            group.bench_function(format!("sum_{name}/{rows}x{cols}"), |b| {
                b.iter(|| reduce::sum(black_box(x), axes, &mut y).expect("the shapes fit"));
            });
            group.bench_function(format!("max_{name}/{rows}x{cols}"), |b| {
                b.iter(|| reduce::max(black_box(x), axes, &mut y).expect("the shapes fit"));
            });
            group.bench_function(format!("var_{name}/{rows}x{cols}"), |b| {
                b.iter(|| {
                    reduce::var(black_box(x), axes, 1.0, None, &mut y).expect("the shapes fit");
                });
            });
        }
        let mut best = vec![0i64; rows];
        group.bench_function(format!("argmax_rows/{rows}x{cols}"), |b| {
            b.iter(|| reduce::argmax(black_box(x), Some(1), &mut best).expect("the shapes fit"));
        });
        let mut sums = vec![0f32; data.len()];
        group.bench_function(format!("cumsum_rows/{rows}x{cols}"), |b| {
            b.iter(|| reduce::cumsum(black_box(x), 1, &mut sums).expect("the shapes fit"));
        });
    }
    group.finish();
}

criterion_group!(benches, reductions);
criterion_main!(benches);
