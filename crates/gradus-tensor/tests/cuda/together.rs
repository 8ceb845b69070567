//! A small network learns on the device as on the CPU, with tensors alone.

use gradus_tensor::optim::{self, Sgd};
use gradus_tensor::{DType, Device, Result, Tensor};

use crate::support::{gpu, numbers};

/// The losses of some steps of logistic regression with a hidden layer.
fn losses(device: Device) -> Result<Vec<f64>> {
    let x = numbers(1, [16, 6]).to_device(&device)?;
    let target = Tensor::arange(0, 16, 1, DType::I64)?
        .remainder_scalar(3)?
        .to_device(&device)?;
    let (mut w1, mut w2) = (
        numbers(2, [8, 6]).to_device(&device)?,
        numbers(3, [3, 8]).to_device(&device)?,
    );
    let options = Sgd {
        lr: 0.3,
        momentum: 0.0,
        dampening: 0.0,
        weight_decay: 0.0,
        nesterov: false,
        maximize: false,
        first: true,
    };
    let mut all = Vec::new();
    for _ in 0..5 {
        let hidden = x.linear(&w1, None)?;
        let active = hidden.gelu()?;
        let logits = active.linear(&w2, None)?;
        let out = logits.cross_entropy(&target, &Default::default())?;
        let dlogits = out.loss.ones_like()?.cross_entropy_backward(
            &logits,
            &target,
            &Default::default(),
            &out,
        )?;
        let dw2 = dlogits.t()?.matmul(&active)?;
        let dhidden = dlogits.matmul(&w2)?.gelu_backward(&hidden)?;
        let dw1 = dhidden.t()?.matmul(&x)?;
        optim::sgd(options, &mut w1, &dw1, None)?;
        optim::sgd(options, &mut w2, &dw2, None)?;
        all.push(out.loss.to_f64()?);
    }
    Ok(all)
}

#[test]
fn a_network_learns_alike() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let (here, there) = (losses(Device::Cpu)?, losses(gpu)?);
    assert!(here[4] < here[0]);
    for (a, b) in here.iter().zip(&there) {
        assert!((a - b).abs() < 1e-5 * a, "{here:?} {there:?}");
    }
    Ok(())
}
