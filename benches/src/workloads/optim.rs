//! Optimiser steps over the parameters of GPT-2 (124M), in bytes each number would have to move once.

use crate::measure::{Work, Workload};
use gradus_autograd::Gradients;
use gradus_nn::optim::{AdamW, Optimizer, SGD, SgdOptions};
use gradus_nn::{Param, ParameterList, clip_grad_norm};
use gradus_tensor::{DType, Result, Tensor};

/// The shapes of GPT-2's parameters: embeddings, twelve blocks, the last norm.
fn shapes() -> Vec<Vec<usize>> {
    let d = 768;
    let mut all = vec![vec![50257, d], vec![1024, d]];
    for _ in 0..12 {
        for rows in [3 * d, d, 4 * d] {
            all.extend([vec![rows, d], vec![rows]]);
        }
        all.extend([vec![d, 4 * d], vec![d]]);
        all.extend([vec![d], vec![d], vec![d], vec![d]]);
    }
    all.extend([vec![d], vec![d]]);
    all
}

const PARAMETERS: f64 = 124_439_808.0;

/// Parameters and a gradient for each.
fn model() -> Result<(ParameterList, Gradients)> {
    let mut model = ParameterList::default();
    let mut gradients = Gradients::default();
    for shape in shapes() {
        let param = Param::new(Tensor::full(shape.as_slice(), 0.02, DType::F32)?)?;
        if let Some(id) = param.var().id() {
            gradients.insert_id(id, Tensor::full(shape.as_slice(), 0.01, DType::F32)?);
        }
        model.0.push(param);
    }
    Ok((model, gradients))
}

pub fn all() -> Vec<Workload> {
    let step = |name: &'static str, numbers: f64, f: fn() -> Result<crate::measure::Step>| {
        Workload::new("optim", name, Work::Bytes(4.0 * numbers * PARAMETERS), f)
    };
    vec![
        // Parameter, both averages: read and written; the gradient: read.
        step("adamw_124M_fused", 7.0, || {
            let (mut model, gradients) = model()?;
            let mut adamw = AdamW::new(1e-4);
            Ok(Box::new(move || adamw.step(&mut model, &gradients)))
        }),
        step("sgd_momentum_124M", 5.0, || {
            let (mut model, gradients) = model()?;
            let mut sgd = SGD::with(SgdOptions {
                lr: 1e-4,
                momentum: 0.9,
                ..SgdOptions::default()
            });
            Ok(Box::new(move || sgd.step(&mut model, &gradients)))
        }),
        // The norm reads all gradients; scaling reads and writes them.
        step("clip_grad_norm_124M", 3.0, || {
            let (_, mut gradients) = model()?;
            let mut norm = 1e9;
            Ok(Box::new(move || {
                norm = clip_grad_norm(&mut gradients, norm * 0.999, 2.0)?;
                Ok(())
            }))
        }),
    ]
}
