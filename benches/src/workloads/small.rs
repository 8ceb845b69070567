//! The cost of an operation beyond its arithmetic: tiny operands with the graph on, recurrent nets, a tiny policy.
//!
//! `add16_fwdbwd_us` is a chain of 100 additions of 16x16 and its backward, in microseconds an addition.

use super::rand;
use crate::measure::{Work, Workload};
use gradus_autograd::{Var, no_grad};
use gradus_nn::optim::{Adam, Optimizer};
use gradus_nn::{LSTM, LSTMCell, Layer, Linear, Module, ReLU, Sequential};
use gradus_tensor::{DType, Result, Tensor};

/// One operation of a chain.
type Link = fn(&Var, &Var) -> Result<Var>;

fn micro(
    name: String,
    per_step: usize,
    f: impl FnOnce() -> Result<crate::measure::Step> + 'static,
) -> Workload {
    Workload {
        per_step,
        micro: true,
        ..Workload::new("small", name, Work::Unsaid, f)
    }
}

fn leaves() -> Result<(Var, Var)> {
    Ok((Var::leaf(rand(&[16, 16])?)?, Var::leaf(rand(&[16, 16])?)?))
}

/// Forward alone, 200 times.
fn forward(name: &'static str, tracked: bool, f: Link) -> Workload {
    micro(format!("{name}_fwd_us"), 200, move || {
        let (a, b) = if tracked {
            leaves()?
        } else {
            (Var::from(rand(&[16, 16])?), Var::from(rand(&[16, 16])?))
        };
        Ok(Box::new(move || {
            for _ in 0..200 {
                f(&a, &b)?;
            }
            Ok(())
        }))
    })
}

/// A chain of 100, then back through it.
fn chain(name: &'static str, f: Link) -> Workload {
    micro(format!("{name}_fwdbwd_us"), 100, move || {
        let (a, b) = leaves()?;
        let dy = Tensor::ones([16, 16], DType::F32)?;
        Ok(Box::new(move || {
            let mut x = a.clone();
            for _ in 0..100 {
                x = f(&x, &b)?;
            }
            x.backward_with(&dy).map(drop)
        }))
    })
}

fn recurrent(all: &mut Vec<Workload>, batch: usize) {
    all.push(Workload::new(
        "small",
        format!("lstmcell_h128_t50_b{batch}_fb"),
        Work::Unsaid,
        move || {
            let cell = LSTMCell::new(64, 128, true)?;
            let xs = Var::from(rand(&[50, batch, 64])?);
            Ok(Box::new(move || {
                let zero = Var::from(Tensor::zeros([batch, 128], DType::F32)?);
                let mut state = (zero.clone(), zero);
                for t in 0..50 {
                    state = cell.forward(&xs.select(0, t)?, Some(&state))?;
                }
                state.0.sum(.., false)?.backward_once().map(drop)
            }))
        },
    ));
    all.push(Workload::new(
        "small",
        format!("lstm_fused_h128_t50_b{batch}_fb"),
        Work::Unsaid,
        move || {
            let lstm = LSTM::new(64, 128)?;
            let xs = Var::from(rand(&[50, batch, 64])?);
            Ok(Box::new(move || {
                let (y, _) = lstm.forward(&xs, None)?;
                y.sum(.., false)?.backward_once().map(drop)
            }))
        },
    ));
}

fn policy() -> Result<Sequential> {
    Ok(Sequential::new()
        .then(Linear::new(4, 64)?)
        .then(ReLU)
        .then(Linear::new(64, 64)?)
        .then(ReLU)
        .then(Linear::new(64, 2)?))
}

pub fn all() -> Vec<Workload> {
    let (add, matmul): (Link, Link) = (Var::add, Var::matmul);
    let mut all = vec![
        forward("add16", true, add),
        forward("matmul16", true, matmul),
        forward("add16_nograd", false, add),
        forward("matmul16_nograd", false, matmul),
        chain("add16", add),
        chain("matmul16", matmul),
        chain("tanh16", |x, _| x.tanh()),
    ];
    for batch in [1, 32] {
        recurrent(&mut all, batch);
    }
    all.push(Workload::new(
        "small",
        "mlp4_64_64_2_fwd_b1",
        Work::Unsaid,
        || {
            let (mut net, x) = (policy()?, Var::from(rand(&[1, 4])?));
            net.eval();
            Ok(Box::new(move || no_grad(|| net.forward(&x)).map(drop)))
        },
    ));
    all.push(Workload::new(
        "small",
        "mlp4_64_64_2_train_b32_adam",
        Work::Unsaid,
        || {
            let (mut net, x) = (policy()?, Var::from(rand(&[32, 4])?));
            let mut adam = Adam::new(1e-3);
            Ok(Box::new(move || {
                let loss = net.forward(&x)?.square()?.mean(.., false)?;
                adam.step(&mut net, &loss.backward_once()?)
            }))
        },
    ));
    all
}
