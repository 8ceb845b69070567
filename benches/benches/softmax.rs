//! Softmax and cross-entropy in bytes read and written per second: `softmax/OP/ROWSxCLASSES`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gradus_cpu::View;
use gradus_cpu::loss::{CrossEntropy, cross_entropy, cross_entropy_backward};
use gradus_cpu::softmax::{log_softmax, softmax, softmax_backward};
use std::hint::black_box;

fn rows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("softmax");
    for (rows, classes) in [(1024usize, 10usize), (1536, 197), (512, 32_000)] {
        let shape = [rows, classes];
        let data: Vec<f32> = (0..rows * classes)
            .map(|i| (i % 997) as f32 / 100.0)
            .collect();
        let target: Vec<i64> = (0..rows).map(|i| (i % classes) as i64).collect();
        let (mut y, mut d) = (vec![0f32; data.len()], vec![0f32; data.len()]);
        let x = View::contiguous(&data, &shape).expect("dense");
        group.throughput(Throughput::Bytes(8 * data.len() as u64));
        group.bench_function(format!("softmax/{rows}x{classes}"), |b| {
            b.iter(|| softmax(black_box(x), 1, &mut y).expect("the shapes fit"));
        });
        group.bench_function(format!("log_softmax/{rows}x{classes}"), |b| {
            b.iter(|| log_softmax(black_box(x), 1, &mut y).expect("the shapes fit"));
        });
        group.throughput(Throughput::Bytes(12 * data.len() as u64));
        group.bench_function(format!("softmax_backward/{rows}x{classes}"), |b| {
            let y = View::contiguous(&y, &shape).expect("dense");
            b.iter(|| softmax_backward(black_box(x), y, 1, &mut d).expect("the shapes fit"));
        });
        let options = CrossEntropy::default();
        let (mut loss, mut lse) = ([0f32], vec![0f32; rows]);
        group.throughput(Throughput::Bytes(12 * data.len() as u64));
        group.bench_function(format!("cross_entropy_fwd_bwd/{rows}x{classes}"), |b| {
            b.iter(|| {
                let total = cross_entropy(black_box(x), &target, &options, &mut loss, &mut lse)?;
                cross_entropy_backward(&[1.0], x, &target, &options, &lse, total, &mut d)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, rows);
criterion_main!(benches);
