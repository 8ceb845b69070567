//! A small GPT learns on a GPU as on the CPU, step by step. Where there is no GPU, it is gradus-cuda's stand-in.
#![cfg(feature = "standin")]

use std::path::Path;

use gradus_nlp::models::{GPT2Config, GPT2LMHeadModel, Pretrained as _};
use gradus_nlp::next_token_loss;
use gradus_nn::optim::{AdamW, AdamWOptions, Optimizer as _};
use gradus_nn::{Module as _, clip_grad_norm};
use gradus_tensor::random::{self, Rng};
use gradus_tensor::{DType, Device, Result, Tensor};

/// The losses of three steps on one random text; with dropout in both places.
fn losses(device: Device) -> Result<Vec<f64>> {
    random::manual_seed(7);
    let config = GPT2Config {
        vocab_size: 37,
        n_positions: 16,
        n_embd: 32,
        n_layer: 2,
        n_head: 4,
        resid_pdrop: 0.1,
        embd_pdrop: 0.1,
        attn_pdrop: 0.0,
        ..GPT2Config::default()
    };
    let mut model = GPT2LMHeadModel::new(&config)?;
    model.to_device(&device)?;
    let mut optimizer = AdamW::with(AdamWOptions {
        lr: 1e-2,
        ..AdamWOptions::default()
    });
    let mut all = Vec::new();
    let text = Tensor::randint(0, 37, [3, 17], (DType::I64, device), &mut Rng::new(1))?;
    for _ in 0..3 {
        let logits = model.forward(&text.narrow(1, 0, 16)?)?; // (B, T, V)
        let loss = next_token_loss(&logits, &text.narrow(1, 1, 16)?)?;
        all.push(loss.value().to_f64()?);
        let mut gradients = loss.backward_once()?;
        clip_grad_norm(&mut gradients, 1.0, 2.0)?;
        optimizer.step(&mut model, &gradients)?;
    }
    Ok(all)
}

#[test]
fn a_small_gpt() -> Result<()> {
    if gradus_tensor::standin::device(Path::new(env!("CARGO_TARGET_TMPDIR"))).is_none() {
        return Ok(());
    }
    let (here, there) = (losses(Device::Cpu)?, losses(Device::cuda(0)?)?);
    assert!(here[2] < here[0], "{here:?}");
    for (a, b) in here.iter().zip(&there) {
        assert!((a - b).abs() <= 1e-4 * a.abs(), "{here:?}\n{there:?}");
    }
    Ok(())
}
