//! Logistic regression on three clouds of points, with kernels alone: no tensors, no autograd.
//!
//! `cargo run --release -p gradus-cpu --example logistic`

use gradus_cpu::gemm::{Epilogue, MatMut, MatRef, gemm};
use gradus_cpu::loss::{CrossEntropy, cross_entropy, cross_entropy_backward};
use gradus_cpu::optim::{Adam, adam};
use gradus_cpu::{Result, View, reduce};

const ROWS: usize = 300;
const CLASSES: usize = 3;

fn main() -> Result<()> {
    // Three spirals' worth of jitter around three centres, from a small congruential generator.
    let mut state = 1u32;
    let mut jitter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let centres = [[2.0f32, 0.0], [-1.0, 1.7], [-1.0, -1.7]];
    let target: Vec<i64> = (0..ROWS as i64).map(|i| i % CLASSES as i64).collect();
    let x: Vec<f32> = (target.iter())
        .flat_map(|&t| centres[t as usize])
        .map(|c| c + jitter())
        .collect(); // (ROWS, 2)

    let mut w = vec![0f32; 2 * CLASSES]; // (2, CLASSES)
    let (mut m, mut v) = (w.clone(), w.clone());
    let options = CrossEntropy::default();
    for step in 1..=100 {
        let mut logits = vec![0f32; ROWS * CLASSES];
        let x = MatRef::row_major(&x, ROWS, 2)?;
        let weights = MatRef::row_major(&w, 2, CLASSES)?;
        gemm(
            1.0,
            x,
            weights,
            0.0,
            MatMut::row_major(&mut logits, ROWS, CLASSES)?,
            &Epilogue::default(),
        )?;
        let shape = [ROWS, CLASSES];
        let view = View::contiguous(&logits, &shape)?;
        let (mut loss, mut lse) = ([0f32], vec![0f32; ROWS]);
        let total = cross_entropy(view, &target, &options, &mut loss, &mut lse)?;
        if step % 20 == 0 {
            let mut guess = vec![0i64; ROWS];
            reduce::argmax(view, Some(1), &mut guess)?;
            let right = guess.iter().zip(&target).filter(|(g, t)| g == t).count();
            println!(
                "step {step:3}  loss {:.4}  right {right} of {ROWS}",
                loss[0]
            );
        }
        let mut dlogits = vec![0f32; ROWS * CLASSES];
        cross_entropy_backward(&[1.0], view, &target, &options, &lse, total, &mut dlogits)?;
        let mut dw = vec![0f32; w.len()];
        let dlogits = MatRef::row_major(&dlogits, ROWS, CLASSES)?;
        gemm(
            1.0,
            x.t(),
            dlogits,
            0.0,
            MatMut::row_major(&mut dw, 2, CLASSES)?,
            &Epilogue::default(),
        )?;
        let rule = Adam {
            lr: 0.05,
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: 0.0,
            decoupled: false,
            maximize: false,
            step,
        };
        adam(rule, &mut w, &dw, &mut m, &mut v, None)?;
    }
    Ok(())
}
