//! Normalisations in bytes read and written per second: `norm/OP/SHAPE`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gradus_cpu::View;
use gradus_cpu::norm::{
    Affine, Gradients, batch_norm, batch_norm_backward, batch_norm_stats, layer_norm,
    layer_norm_backward,
};
use std::hint::black_box;

fn layer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("norm");
    let (rows, n) = (1576usize, 768usize);
    let shape = [rows, n];
    let data: Vec<f32> = (0..rows * n).map(|i| (i % 997) as f32 / 100.0).collect();
    let (w, mut mean, mut rstd) = (vec![1f32; n], vec![0f32; rows], vec![0f32; rows]);
    let (mut y, mut dw, mut db) = (vec![0f32; data.len()], vec![0f32; n], vec![0f32; n]);
    let x = View::contiguous(&data, &shape).expect("dense");
    let affine = Affine {
        weight: Some(&w[..]),
        bias: Some(&w[..]),
    };
    group.throughput(Throughput::Bytes(8 * data.len() as u64));
    group.bench_function(format!("layer_norm/{rows}x{n}"), |b| {
        b.iter(|| {
            layer_norm(black_box(x), n, affine, 1e-5, &mut y, &mut mean, &mut rstd)
                .expect("the shapes fit");
        });
    });
    group.throughput(Throughput::Bytes(12 * data.len() as u64));
    group.bench_function(format!("layer_norm_backward/{rows}x{n}"), |b| {
        b.iter(|| {
            let out = Gradients {
                dx: &mut y,
                dweight: Some(&mut dw),
                dbias: Some(&mut db),
            };
            layer_norm_backward(black_box(x), x, n, Some(&w), &mean, &rstd, out)
                .expect("the shapes fit");
        });
    });
    group.finish();
}

fn batch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("norm");
    for shape in [[32usize, 64, 56 * 56], [32, 512, 49], [256, 1024, 1]] {
        let [n, c, s] = shape;
        let id = format!("{n}x{c}x{s}");
        let data: Vec<f32> = (0..n * c * s).map(|i| (i % 997) as f32 / 100.0).collect();
        let (w, mut mean, mut var) = (vec![1f32; c], vec![0f32; c], vec![0f32; c]);
        let (mut y, mut dw, mut db) = (vec![0f32; data.len()], vec![0f32; c], vec![0f32; c]);
        let x = View::contiguous(&data, &shape).expect("dense");
        let affine = Affine {
            weight: Some(&w[..]),
            bias: Some(&w[..]),
        };
        group.throughput(Throughput::Bytes(12 * data.len() as u64));
        group.bench_function(format!("batch_norm/{id}"), |b| {
            b.iter(|| {
                batch_norm_stats(black_box(x), &mut mean, &mut var)?;
                let rstd: Vec<f32> = var.iter().map(|v| 1.0 / (v + 1e-5).sqrt()).collect();
                batch_norm(x, &mean, &rstd, affine, &mut y)
            });
        });
        group.throughput(Throughput::Bytes(20 * data.len() as u64));
        group.bench_function(format!("batch_norm_backward/{id}"), |b| {
            b.iter(|| {
                let out = Gradients {
                    dx: &mut y,
                    dweight: Some(&mut dw),
                    dbias: Some(&mut db),
                };
                batch_norm_backward(black_box(x), x, &mean, &var, Some(&w), true, out)
                    .expect("the shapes fit");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, layer, batch);
criterion_main!(benches);
