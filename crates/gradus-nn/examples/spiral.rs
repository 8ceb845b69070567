//! Two spirals, told apart by a small network, and drawn in the terminal: `cargo run --release --example spiral -p gradus-nn`.

use std::f32::consts::PI;

use gradus_autograd::Var;
use gradus_nn::optim::{AdamW, Optimizer};
use gradus_nn::schedule::{CosineAnnealingLR, LrScheduler};
use gradus_nn::{Layer, Linear, Module, Sequential, Tanh};
use gradus_tensor::{DType, Result, Tensor};

const STEPS: usize = 400;

/// `n` points of each arm: coordinates (2n, 2) and which arm, 0 or 1, (2n, 1).
fn spirals(n: usize) -> Result<(Tensor, Tensor)> {
    let (mut points, mut arms) = (Vec::new(), Vec::new());
    for arm in [0.0, 1.0_f32] {
        for i in 0..n {
            let t = i as f32 / n as f32;
            let angle = 3.0 * PI * t + PI * arm;
            points.extend([t * angle.cos(), t * angle.sin()]);
            arms.push(arm);
        }
    }
    Ok((
        Tensor::from_vec(points, [2 * n, 2])?,
        Tensor::from_vec(arms, [2 * n, 1])?,
    ))
}

/// `max(x, 0) - x y + log(1 + exp(-|x|))`, averaged: the loss of a logit `x` for a truth `y` of 0 or 1.
fn loss(logits: &Var, truth: &Var) -> Result<Var> {
    let one_sided = truth.neg()?.add_scalar(1.0)?.mul(logits)?;
    one_sided.sub(&logits.logsigmoid()?)?.mean(.., false)
}

fn main() -> Result<()> {
    gradus_tensor::random::manual_seed(1);
    let (x, y) = spirals(150)?;
    let (x, y) = (Var::from(x), Var::from(y));
    let mut model = Sequential::new()
        .then(Linear::new(2, 32)?)
        .then(Tanh)
        .then(Linear::new(32, 32)?)
        .then(Tanh)
        .then(Linear::new(32, 1)?);
    print!("{}", model.summary());

    let mut optimizer = AdamW::new(0.02);
    let mut scheduler = LrScheduler::new(
        CosineAnnealingLR {
            t_max: STEPS,
            eta_min: 0.0,
        },
        &mut optimizer,
    );
    for step in 0..=STEPS {
        let loss = loss(&model.forward(&x)?, &y)?;
        if step % 100 == 0 {
            println!("step {step:4}   loss {:.4}", loss.item::<f32>()?);
        }
        let gradients = loss.backward_once()?;
        optimizer.step(&mut model, &gradients)?;
        scheduler.step(&mut optimizer);
    }

    model.eval();
    let (width, height) = (64, 30);
    for row in 0..height {
        let across = |column: usize| {
            [
                2.2 * column as f32 / width as f32 - 1.1,
                1.1 - 2.2 * row as f32 / height as f32,
            ]
        };
        let points: Vec<f32> = (0..width).flat_map(across).collect();
        let logits = model.forward(&Var::from(Tensor::from_vec(points, [width, 2])?))?; // (width, 1)
        let line: String = logits
            .value()
            .to_vec::<f32>()?
            .iter()
            .map(|&x| if x > 0.0 { '#' } else { '.' })
            .collect();
        println!("{line}");
    }
    let right = model
        .forward(&x)?
        .value()
        .gt_scalar(0.0)?
        .eq(&y.value().to_dtype(DType::Bool)?)?;
    println!(
        "accuracy: {:.2} %",
        100.0 * right.to_dtype(DType::F32)?.mean(.., false)?.item::<f32>()?
    );
    Ok(())
}
