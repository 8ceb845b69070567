//! Elementwise kernels in bytes read and written per second: `elementwise/OP/SIZE`, and layouts of one operation.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gradus_cpu::elementwise::{BinaryOp, UnaryOp, binary, unary};
use gradus_cpu::{View, copy};
use std::hint::black_box;

const SIZES: [usize; 3] = [1 << 10, 1 << 17, 1 << 23];

fn unary_ops(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("elementwise");
    for n in SIZES {
        let shape = [n];
        let data: Vec<f32> = (0..n).map(|i| (i % 1000) as f32 / 250.0 - 2.0).collect();
        let mut y = vec![0f32; n];
        group.throughput(Throughput::Bytes(8 * n as u64));
        for op in [
            UnaryOp::Relu,
            UnaryOp::Exp,
            UnaryOp::Log,
            UnaryOp::Tanh,
            UnaryOp::Sigmoid,
            UnaryOp::Gelu,
            UnaryOp::Sin,
        ] {
            let x = View::contiguous(&data, &shape).expect("one dimension");
            group.bench_function(format!("{}/{n}", op.name()), |b| {
                b.iter(|| unary(op, black_box(x), &mut y).expect("equal lengths"));
            });
        }
    }
    group.finish();
}

fn layouts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("elementwise");
    let (rows, cols) = (4096usize, 1024usize);
    let data: Vec<f32> = (0..rows * cols).map(|i| i as f32).collect();
    let other: Vec<f32> = data.iter().rev().copied().collect();
    let shape = [rows, cols];
    let mut y = vec![0f32; data.len()];
    let a = View::contiguous(&data, &shape).expect("dense");
    let layouts: [(&str, u64, [isize; 2]); 4] = [
        ("same", 12, [cols as isize, 1]),
        ("row", 8, [0, 1]),
        ("column", 8, [1, 0]),
        ("transposed", 12, [1, rows as isize]),
    ];
    for (name, bytes, strides) in layouts {
        let b = View::new(&other, 0, &shape, &strides).expect("in bounds");
        group.throughput(Throughput::Bytes(bytes * data.len() as u64));
        group.bench_function(format!("add_{name}/{}", data.len()), |bench| {
            bench.iter(|| binary(BinaryOp::Add, black_box(a), b, &mut y).expect("equal shapes"));
        });
    }
    group.throughput(Throughput::Bytes(8 * data.len() as u64));
    let transposed = [1, rows as isize];
    let x = View::new(&data, 0, &shape, &transposed).expect("in bounds");
    group.bench_function(format!("transpose/{}", data.len()), |bench| {
        bench.iter(|| copy::copy(black_box(x), &mut y).expect("equal lengths"));
    });
    group.finish();
}

criterion_group!(benches, unary_ops, layouts);
criterion_main!(benches);
