//! Optimiser steps in bytes read and written per second: `optim/NAME/PARAMETERS`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gradus_cpu::optim::{Adam, Sgd, adam, sgd};

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("optim");
    for n in [1usize << 10, 1 << 16, 25_600_000] {
        let grad: Vec<f32> = (0..n).map(|i| (i % 997) as f32 / 1e4).collect();
        let (mut p, mut m, mut v) = (vec![1f32; n], vec![0f32; n], vec![0f32; n]);
        let rule = Sgd {
            lr: 1e-9,
            momentum: 0.9,
            dampening: 0.0,
            weight_decay: 1e-4,
            nesterov: false,
            maximize: false,
            first: false,
        };
        group.throughput(Throughput::Bytes(20 * n as u64));
        group.bench_function(format!("sgd_momentum/{n}"), |b| {
            b.iter(|| sgd(rule, &mut p, &grad, Some(&mut m)).expect("equal lengths"));
        });
        let rule = Adam {
            lr: 1e-9,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.01,
            decoupled: true,
            maximize: false,
            step: 10,
        };
        group.throughput(Throughput::Bytes(28 * n as u64));
        group.bench_function(format!("adamw/{n}"), |b| {
            b.iter(|| adam(rule, &mut p, &grad, &mut m, &mut v, None).expect("equal lengths"));
        });
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
