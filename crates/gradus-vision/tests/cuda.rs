//! Networks learn on a GPU as on the CPU: the same losses, step by step. Where there is no GPU, it is gradus-cuda's stand-in.

use std::path::Path;

use gradus_autograd::functional::{CrossEntropy, cross_entropy};
use gradus_autograd::{Var, autocast};
use gradus_nn::optim::{
    Adagrad, Adam, AdamOptions, AdamW, AdamWOptions, Optimizer, RMSprop, RMSpropOptions, SGD,
    SgdOptions,
};
use gradus_nn::{Layer, Module, clip_grad_norm};
use gradus_tensor::random::{self, Rng};
use gradus_tensor::{DType, Device, Result, Tensor};
use gradus_vision::models::{Options, SMALL, build, digit_model};

/// The device to test on, if there is one.
fn gpu() -> Option<Device> {
    gradus_tensor::standin::device(Path::new(env!("CARGO_TARGET_TMPDIR")))?;
    Some(Device::cuda(0).unwrap())
}

/// The losses of some steps on random pictures.
fn losses<M: Layer>(
    model: &mut M,
    optimizer: &mut dyn Optimizer,
    device: Device,
    shape: [usize; 4],
    steps: usize,
) -> Result<Vec<f64>> {
    losses_of(model, optimizer, device, shape, steps, Ok)
}

/// [`losses`], where `lay` says how the pictures lie in memory.
fn losses_of<M: Layer>(
    model: &mut M,
    optimizer: &mut dyn Optimizer,
    device: Device,
    shape: [usize; 4],
    steps: usize,
    lay: fn(Tensor) -> Result<Tensor>,
) -> Result<Vec<f64>> {
    model.to_device(&device)?;
    assert_eq!(model.device(), device);
    random::manual_seed(1);
    let mut all = Vec::new();
    for step in 0..steps {
        let x = Tensor::randn(shape, (DType::F32, device), &mut Rng::new(step as u64))?;
        let labels = Tensor::arange(0, shape[0] as i64, 1, (DType::I64, device))?;
        let logits = model.forward(&Var::from(lay(x)?))?;
        let loss = cross_entropy(&logits, &labels, &CrossEntropy::default())?;
        all.push(loss.value().to_f64()?);
        let mut gradients = loss.backward_once()?;
        clip_grad_norm(&mut gradients, 1.0, 2.0)?;
        optimizer.step(model, &gradients)?;
    }
    model.eval();
    let x = Tensor::randn(shape, (DType::F32, device), &mut Rng::new(99))?;
    all.push(
        model
            .forward(&Var::from(lay(x)?))?
            .value()
            .square()?
            .mean(.., false)?
            .to_f64()?,
    );
    Ok(all)
}

fn alike(here: &[f64], there: &[f64], bound: f64) {
    for (a, b) in here.iter().zip(there) {
        assert!((a - b).abs() <= bound * a.abs(), "{here:?}\n{there:?}");
    }
}

#[test]
fn the_network_of_the_digits() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let run = |device| {
        random::manual_seed(7);
        let mut model = digit_model(SMALL)?;
        let options = AdamWOptions {
            lr: 1e-3,
            ..AdamWOptions::default()
        };
        losses(
            &mut model,
            &mut AdamW::with(options),
            device,
            [4, 1, 28, 28],
            3,
        )
    };
    alike(&run(Device::Cpu)?, &run(gpu)?, 1e-4);
    Ok(())
}

/// A step of a ResNet on two small pictures.
fn resnet(
    name: &str,
    options: Options,
    device: Device,
    size: usize,
    lay: fn(Tensor) -> Result<Tensor>,
) -> Result<Vec<f64>> {
    random::manual_seed(7);
    let mut model = build(name, &options)?;
    let options = SgdOptions {
        lr: 0.01,
        momentum: 0.9,
        nesterov: true,
        weight_decay: 5e-4,
        ..SgdOptions::default()
    };
    let mut optimizer = SGD::with(options);
    let shape = [2, 3, size, size];
    losses_of(&mut model, &mut optimizer, device, shape, 1, lay)
}

#[test]
fn a_resnet_18() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let run = |device| {
        // Without the first pooling, so that the last norms have more than two numbers to take a variance of.
        let options = Options {
            num_classes: Some(5),
            ..Options::default()
        };
        let options = options.with("stem_pool", false);
        resnet("resnet18", options, device, 32, Ok)
    };
    alike(&run(Device::Cpu)?, &run(gpu)?, 1e-4);
    Ok(())
}

/// With channels last; in bf16 all its convolutions but the first are the tensor cores'.
#[test]
fn a_small_resnet_with_channels_last() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let run = |dtype, device, lay| {
        let options = Options::default();
        autocast(dtype, || resnet("cifar_resnet20", options, device, 16, lay))
    };
    let as_it_is: fn(Tensor) -> Result<Tensor> = Ok;
    for (dtype, bound) in [(DType::F32, 1e-4), (DType::BF16, 0.05)] {
        let here = run(dtype, Device::Cpu, as_it_is)?;
        alike(&here, &run(dtype, gpu, |x| x.channels_last())?, bound);
    }
    Ok(())
}

/// Every optimiser that has a kernel: all parameters in one launch, with the state each keeps.
#[test]
fn optimisers_step_alike() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let all: [(&str, fn() -> Box<dyn Optimizer>); 5] = [
        ("SGD", || Box::new(SGD::new(0.01))),
        ("Adam with amsgrad", || {
            Box::new(Adam::with(AdamOptions {
                amsgrad: true,
                ..AdamOptions::default()
            }))
        }),
        ("RMSprop", || Box::new(RMSprop::new(1e-3))),
        ("RMSprop, centred, with momentum", || {
            Box::new(RMSprop::with(RMSpropOptions {
                lr: 1e-3,
                centered: true,
                momentum: 0.9,
                ..RMSpropOptions::default()
            }))
        }),
        ("Adagrad", || Box::new(Adagrad::new(1e-2))),
    ];
    for (name, optimizer) in all {
        let run = |device| {
            random::manual_seed(7);
            let mut model = digit_model(SMALL)?;
            let mut optimizer = optimizer();
            losses(&mut model, &mut *optimizer, device, [2, 1, 28, 28], 2)
        };
        println!("{name}");
        alike(&run(Device::Cpu)?, &run(gpu)?, 2e-4);
    }
    Ok(())
}

#[test]
fn weights_go_there_and_back() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let mut model = digit_model(SMALL)?;
    let before = model.state_dict();
    model.to_device(&gpu)?;
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("there-and-back.safetensors");
    let state = model.state_dict();
    assert!(state.values().all(|x| x.device() == gpu));
    gradus_tensor::safetensors::save(
        &file,
        state.iter().map(|(k, v)| (k.as_str(), v)),
        &Default::default(),
    )?;
    // Weights of the CPU go where the model is.
    model.load_state_dict(&before, true)?;
    assert_eq!(model.device(), gpu);
    model.to_device(&Device::Cpu)?;
    let read = gradus_tensor::weights::load(&file)?;
    for (name, tensor) in model.state_dict() {
        assert!(
            tensor.equal(&before[&name])? && tensor.equal(&read[&name])?,
            "{name}"
        );
    }
    Ok(())
}
