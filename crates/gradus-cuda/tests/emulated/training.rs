//! Operations together: a small network learns on the device, step by step beside the same network on the CPU.
//!
//! x (B, 6) -> linear, GELU -> layer norm -> linear -> cross-entropy; gradients by hand, clipped, AdamW. Nothing is read from the device
//! between the steps but the loss.

use gradus_cpu::{
    View as CpuView, elementwise as cpu_elementwise, gemm as cpu_gemm, loss as cpu_loss,
    norm as cpu_norm, optim as cpu_optim,
};
use gradus_cuda::manifest::{BinaryOp, ReduceOp};
use gradus_cuda::ops::gemm::{Activation, Bias, Epilogue, matmul};
use gradus_cuda::ops::loss::{CrossEntropy, cross_entropy, cross_entropy_backward};
use gradus_cuda::ops::optim::{Adam, Kept, Step, adam, clip_gradients};
use gradus_cuda::ops::{elementwise, norm, reduce};
use gradus_cuda::{Buffer, Device, View};

use crate::standin::for_orders;
use crate::support::Numbers;

const BATCH: usize = 16;
const IN: usize = 6;
const HIDDEN: usize = 33;
const CLASSES: usize = 5;
/// w1 (HIDDEN, IN), b1, g, b (HIDDEN), w2 (CLASSES, HIDDEN), b2.
const SIZES: [usize; 6] = [
    HIDDEN * IN,
    HIDDEN,
    HIDDEN,
    HIDDEN,
    CLASSES * HIDDEN,
    CLASSES,
];
const MOST: f64 = 0.5;

fn options(step: u64) -> Adam {
    Adam {
        lr: 0.02,
        betas: (0.9, 0.99),
        eps: 1e-8,
        weight_decay: 0.01,
        decoupled: true,
        maximize: false,
        step,
    }
}

struct OnCpu {
    parameters: Vec<Vec<f32>>,
    first: Vec<Vec<f32>>,
    second: Vec<Vec<f32>>,
}

/// A row-major matrix, and its transpose.
fn rows(data: &[f32], rows: usize, columns: usize) -> cpu_gemm::MatRef<'_, f32> {
    cpu_gemm::MatRef::row_major(data, rows, columns).unwrap()
}

fn product(a: cpu_gemm::MatRef<'_, f32>, b: cpu_gemm::MatRef<'_, f32>) -> Vec<f32> {
    let mut c = vec![0.0; a.rows() * b.cols()];
    let out = cpu_gemm::MatMut::row_major(&mut c, a.rows(), b.cols()).unwrap();
    cpu_gemm::gemm(1.0, a, b, 0.0, out, &cpu_gemm::Epilogue::default()).unwrap();
    c
}

fn plus_bias(mut y: Vec<f32>, bias: &[f32]) -> Vec<f32> {
    y.chunks_mut(bias.len())
        .for_each(|row| row.iter_mut().zip(bias).for_each(|(y, b)| *y += b));
    y
}

fn column_sums(x: &[f32], columns: usize) -> Vec<f32> {
    let mut sums = vec![0.0; columns];
    let shape = [x.len() / columns, columns];
    gradus_cpu::reduce::sum(CpuView::contiguous(x, &shape).unwrap(), &[0], &mut sums).unwrap();
    sums
}

impl OnCpu {
    fn step(&mut self, x: &[f32], target: &[i64], step: u64) -> f32 {
        let [w1, b1, g, b, w2, b2] = &self.parameters[..] else {
            unreachable!()
        };
        let hidden = [BATCH, HIDDEN];
        let pre = plus_bias(product(rows(x, BATCH, IN), rows(w1, HIDDEN, IN).t()), b1);
        let mut act = vec![0.0; pre.len()];
        cpu_elementwise::unary(
            cpu_elementwise::UnaryOp::Gelu,
            CpuView::contiguous(&pre, &hidden).unwrap(),
            &mut act,
        )
        .unwrap();
        let (mut normed, mut mean, mut rstd) = (act.clone(), vec![0.0; BATCH], vec![0.0; BATCH]);
        let affine = cpu_norm::Affine {
            weight: Some(&g[..]),
            bias: Some(&b[..]),
        };
        let act_view = CpuView::contiguous(&act, &hidden).unwrap();
        cpu_norm::layer_norm(
            act_view,
            HIDDEN,
            affine,
            1e-5,
            &mut normed,
            &mut mean,
            &mut rstd,
        )
        .unwrap();
        let logits = plus_bias(
            product(rows(&normed, BATCH, HIDDEN), rows(w2, CLASSES, HIDDEN).t()),
            b2,
        );
        let (shape, settings) = ([BATCH, CLASSES], cpu_loss::CrossEntropy::default());
        let logits = CpuView::contiguous(&logits, &shape).unwrap();
        let (mut loss, mut lse, mut dlogits) =
            ([0.0], vec![0.0; BATCH], vec![0.0; BATCH * CLASSES]);
        let total =
            cpu_loss::cross_entropy(logits, target, &settings, &mut loss, &mut lse).unwrap();
        cpu_loss::cross_entropy_backward(
            &[1.0],
            logits,
            target,
            &settings,
            &lse,
            total,
            &mut dlogits,
        )
        .unwrap();

        let dlogits_m = rows(&dlogits, BATCH, CLASSES);
        let dnormed = product(dlogits_m, rows(w2, CLASSES, HIDDEN));
        let (mut dact, mut dg, mut db) = (act.clone(), g.clone(), b.clone());
        let out = cpu_norm::Gradients {
            dx: &mut dact,
            dweight: Some(&mut dg),
            dbias: Some(&mut db),
        };
        let dnormed = CpuView::contiguous(&dnormed, &hidden).unwrap();
        cpu_norm::layer_norm_backward(dnormed, act_view, HIDDEN, Some(g), &mean, &rstd, out)
            .unwrap();
        let mut dpre = dact.clone();
        let of = |x| CpuView::contiguous(x, &hidden).unwrap();
        cpu_elementwise::binary(
            cpu_elementwise::BinaryOp::GeluBackward,
            of(&dact),
            of(&pre),
            &mut dpre,
        )
        .unwrap();
        let mut grads = [
            product(rows(&dpre, BATCH, HIDDEN).t(), rows(x, BATCH, IN)),
            column_sums(&dpre, HIDDEN),
            dg,
            db,
            product(dlogits_m.t(), rows(&normed, BATCH, HIDDEN)),
            column_sums(&dlogits, CLASSES),
        ];
        let norm = grads
            .iter()
            .map(|g| cpu_optim::sum_of_squares(g))
            .sum::<f64>()
            .sqrt();
        let scale = (MOST / (norm + 1e-6)).min(1.0) as f32;
        grads.iter_mut().flatten().for_each(|g| *g *= scale);
        let Adam {
            lr,
            betas,
            eps,
            weight_decay,
            decoupled,
            maximize,
            ..
        } = options(step);
        for (i, g) in grads.iter().enumerate() {
            let o = cpu_optim::Adam {
                lr,
                betas,
                eps,
                weight_decay,
                decoupled,
                maximize,
                step,
            };
            cpu_optim::adam(
                o,
                &mut self.parameters[i],
                g,
                &mut self.first[i],
                &mut self.second[i],
                None,
            )
            .unwrap();
        }
        loss[0]
    }
}

struct OnDevice {
    parameters: Vec<Buffer<f32>>,
    first: Vec<Buffer<f32>>,
    second: Vec<Buffer<f32>>,
}

fn matrix(x: &Buffer<f32>, rows: usize, columns: usize) -> View<'_, f32> {
    x.view(&[rows, columns]).unwrap()
}

/// (rows, columns) seen as (columns, rows).
fn turned(x: &Buffer<f32>, rows: usize, columns: usize) -> View<'_, f32> {
    View::new(x, 0, &[columns, rows], &[1, columns as isize]).unwrap()
}

impl OnDevice {
    fn step(&mut self, device: &Device, x: &Buffer<f32>, target: &Buffer<i64>, step: u64) -> f32 {
        let [w1, b1, g, b, w2, b2] = &self.parameters[..] else {
            unreachable!()
        };
        let new = |n: usize| device.uninit::<f32>(n).unwrap();
        let (mut pre, mut act, mut normed) = (
            new(BATCH * HIDDEN),
            new(BATCH * HIDDEN),
            new(BATCH * HIDDEN),
        );
        let (mut mean, mut rstd, mut logits) = (new(BATCH), new(BATCH), new(BATCH * CLASSES));
        let (xm, none) = (matrix(x, BATCH, IN), Epilogue::default());
        let with_bias = Epilogue {
            bias: Bias::Column(b1),
            ..none
        };
        matmul(&xm, &turned(w1, HIDDEN, IN), &with_bias, &mut pre).unwrap();
        // The product once more with its activation in the epilogue: the backward wants what was before it too.
        let fused = Epilogue {
            activation: Activation::Gelu,
            ..with_bias
        };
        matmul(&xm, &turned(w1, HIDDEN, IN), &fused, &mut act).unwrap();
        let affine = norm::Affine {
            weight: Some(g),
            bias: Some(b),
        };
        norm::layer_norm(
            &matrix(&act, BATCH, HIDDEN),
            HIDDEN,
            affine,
            1e-5,
            &mut normed,
            &mut mean,
            &mut rstd,
        )
        .unwrap();
        let with_bias = Epilogue {
            bias: Bias::Column(b2),
            ..none
        };
        matmul(
            &matrix(&normed, BATCH, HIDDEN),
            &turned(w2, CLASSES, HIDDEN),
            &with_bias,
            &mut logits,
        )
        .unwrap();
        let (settings, mut loss, mut dlogits) =
            (CrossEntropy::default(), new(1), new(BATCH * CLASSES));
        let logits = matrix(&logits, BATCH, CLASSES);
        let saved = cross_entropy(&logits, target, &settings, &mut loss).unwrap();
        let one = device.upload(&[1.0f32]).unwrap();
        cross_entropy_backward(
            &one,
            &logits,
            target,
            &settings,
            (&saved.lse, &saved.total_weight),
            &mut dlogits,
        )
        .unwrap();

        let mut grads: Vec<Buffer<f32>> = SIZES.iter().map(|&n| new(n)).collect();
        let [dw1, db1, dg, db, dw2, db2] = &mut grads[..] else {
            unreachable!()
        };
        let (mut dnormed, mut dact, mut dpre) = (
            new(BATCH * HIDDEN),
            new(BATCH * HIDDEN),
            new(BATCH * HIDDEN),
        );
        matmul(
            &matrix(&dlogits, BATCH, CLASSES),
            &matrix(w2, CLASSES, HIDDEN),
            &none,
            &mut dnormed,
        )
        .unwrap();
        matmul(
            &turned(&dlogits, BATCH, CLASSES),
            &matrix(&normed, BATCH, HIDDEN),
            &none,
            dw2,
        )
        .unwrap();
        reduce::reduce(ReduceOp::Sum, &matrix(&dlogits, BATCH, CLASSES), &[0], db2).unwrap();
        let out = norm::Gradients {
            dx: &mut dact,
            dweight: Some(dg),
            dbias: Some(db),
        };
        let (dn, am) = (matrix(&dnormed, BATCH, HIDDEN), matrix(&act, BATCH, HIDDEN));
        norm::layer_norm_backward(&dn, &am, HIDDEN, Some(g), Some(&mean), &rstd, out).unwrap();
        let (da, pm) = (matrix(&dact, BATCH, HIDDEN), matrix(&pre, BATCH, HIDDEN));
        elementwise::binary(BinaryOp::GeluBackward, &da, &pm, &mut dpre).unwrap();
        matmul(&turned(&dpre, BATCH, HIDDEN), &xm, &none, dw1).unwrap();
        reduce::reduce(ReduceOp::Sum, &matrix(&dpre, BATCH, HIDDEN), &[0], db1).unwrap();

        clip_gradients(&mut grads.iter_mut().collect::<Vec<_>>(), MOST as f32).unwrap();
        let states = self.first.iter_mut().zip(&mut self.second);
        let mut steps: Vec<Step<'_>> = (self.parameters.iter_mut().zip(&grads).zip(states))
            .map(|((parameter, gradient), (m, v))| Step {
                parameter,
                gradient,
                first: Some(m),
                second: Some(v),
                third: None,
            })
            .collect();
        adam(options(step), &mut steps, &mut Kept::default()).unwrap();
        loss.download().unwrap()[0]
    }
}

#[test]
fn a_network_learns_as_on_the_cpu() {
    for_orders(&["we"], |device| {
        let mut numbers = Numbers::new(24);
        let x = numbers.floats::<f32>(BATCH * IN, 1.0);
        let target: Vec<i64> = (0..BATCH).map(|i| (i * 7 % CLASSES) as i64).collect();
        let parameters: Vec<Vec<f32>> = SIZES.iter().map(|&n| numbers.floats(n, 0.5)).collect();
        let zeros = || {
            SIZES
                .iter()
                .map(|&n| vec![0.0; n])
                .collect::<Vec<Vec<f32>>>()
        };
        let up = |all: &[Vec<f32>]| {
            all.iter()
                .map(|x| device.upload(x).unwrap())
                .collect::<Vec<_>>()
        };
        let mut ours = OnDevice {
            parameters: up(&parameters),
            first: up(&zeros()),
            second: up(&zeros()),
        };
        let mut cpu = OnCpu {
            parameters,
            first: zeros(),
            second: zeros(),
        };
        let (x_d, t_d) = (device.upload(&x).unwrap(), device.upload(&target).unwrap());
        let mut losses = Vec::new();
        for step in 1..=40 {
            let (got, want) = (
                ours.step(device, &x_d, &t_d, step),
                cpu.step(&x, &target, step),
            );
            assert!(
                (got - want).abs() < 2e-4 * want.abs().max(0.1),
                "step {step}: {got}, on the CPU {want}"
            );
            losses.push(got);
        }
        assert!(losses[39] < 0.4 * losses[0], "{losses:?}");
    });
}
