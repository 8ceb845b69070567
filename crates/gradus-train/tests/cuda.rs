//! Mixed precision and data parallel training on GPUs as on the CPU: the same scales and skipped steps, the same weights but for rounding;
//! exchanges by tensor operations, and by NCCL. Where there is no GPU, it is gradus-cuda's stand-in, and one for NCCL.

#[allow(dead_code)] // its log is another test's
#[path = "data_parallel/ranks.rs"]
mod ranks;

use std::path::Path;
use std::sync::Arc;

use gradus_autograd::{Var, autocast};
use gradus_nn::optim::{Optimizer as _, SGD};
use gradus_nn::{
    BatchNorm1d, GradScaler, Layer, Linear, Module as _, ReLU, Sequential, clip_grad_norm,
};
use gradus_tensor::random::{self, Rng};
use gradus_tensor::{DType, Device, Result, Tensor};
use gradus_train::distributed::{Communicator, DataParallelOptions, DistributedDataParallel};

use ranks::ranks;

fn gpu() -> Option<Device> {
    gradus_tensor::standin::device(Path::new(env!("CARGO_TARGET_TMPDIR")))?;
    Some(Device::cuda(0).unwrap())
}

fn network(device: &Device) -> Result<Sequential> {
    random::manual_seed(1);
    let mut net = Sequential::new()
        .then(Linear::new(6, 32)?)
        .then(BatchNorm1d::new(32)?)
        .then(ReLU)
        .then(Linear::new(32, 3)?);
    net.to_device(device)?;
    Ok(net)
}

/// The mean square of what the model says to rows `start..start + 8` of batch `step`.
fn loss(model: &dyn Layer, step: u64, start: usize) -> Result<Var> {
    let x = Tensor::randn([16, 6], DType::F32, &mut Rng::new(step))?.narrow(0, start as i64, 8)?;
    let y = model.forward(&Var::from(x.to_device(&model.device())?))?;
    y.to_dtype(DType::F32)?.square()?.mean(.., false)
}

fn weights(model: &Sequential) -> Result<Vec<f64>> {
    let mut all = Vec::new();
    for tensor in model.state_dict().values() {
        all.extend(
            tensor
                .to_device(&Device::Cpu)?
                .to_dtype(DType::F64)?
                .to_vec::<f64>()?,
        );
    }
    Ok(all)
}

fn assert_near(a: &[f64], b: &[f64], bound: f64) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= bound, "{a} and {b}");
    }
}

#[test]
fn the_loss_is_scaled_and_bad_steps_skipped() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let run = |device: &Device| -> Result<(Vec<bool>, f64, Vec<f64>)> {
        let mut model = network(device)?;
        let (mut optimizer, mut scaler) = (SGD::new(0.1), GradScaler::new());
        let mut made = Vec::new();
        for step in 0..6 {
            let mut loss = autocast(DType::F16, || loss(&model, step, 0))?;
            if step == 2 || step == 3 {
                loss = loss.mul_scalar(if step == 2 { f64::NAN } else { f64::INFINITY })?;
            }
            let mut gradients = scaler.scale(&loss)?.backward_once()?;
            scaler.unscale_(&mut gradients)?;
            clip_grad_norm(&mut gradients, 1.0, 2.0)?;
            made.push(scaler.step(&mut optimizer, &mut model, &mut gradients)?);
            scaler.update(None)?;
        }
        Ok((made, scaler.get_scale(), weights(&model)?))
    };
    let (here, there) = (run(&Device::Cpu)?, run(&gpu)?);
    assert_eq!(here.0, [true, true, false, false, true, true]);
    assert_eq!((&there.0, there.1), (&here.0, here.1));
    assert_near(&there.2, &here.2, 2e-3); // products in f16
    Ok(())
}

/// Weights after five steps of two ranks on `device`, which talk as `connect` says.
fn train(
    device: &Device,
    connect: impl Fn(Arc<ranks::Threads>) -> Result<Arc<dyn Communicator>> + Sync,
) -> Result<Vec<f64>> {
    let all = ranks(2, |threads| {
        let rank = threads.rank();
        let talk = connect(threads)?;
        let options = DataParallelOptions {
            bucket_cap_mb: 2e-4,
            find_unused_parameters: true,
            ..DataParallelOptions::default()
        };
        let mut model = DistributedDataParallel::with(network(device)?, talk.clone(), options)?;
        assert!(model.reducer().buckets().len() >= 3);
        let mut optimizer = SGD::new(0.1);
        for step in 0..5 {
            let gradients = model.backward(loss(&model, step, 8 * rank)?)?;
            optimizer.step(&mut model, &gradients)?;
        }
        model.sync_buffers()?;
        talk.barrier()?;
        weights(model.module())
    });
    let all = all.into_iter().collect::<Result<Vec<_>>>()?;
    assert_eq!(all[0], all[1]);
    Ok(all.into_iter().next().unwrap())
}

#[test]
fn ranks_learn_on_gpus_what_they_learn_on_cpus() -> Result<()> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let here = train(&Device::Cpu, |threads| Ok(threads))?;
    let there = train(&gpu, |threads| Ok(threads))?;
    assert_near(&there, &here, 1e-5);
    if gradus_tensor::standin::has_compiler() {
        use gradus_train::distributed::nccl::Nccl;
        gradus_tensor::standin::load_nccl(Path::new(env!("CARGO_TARGET_TMPDIR")));
        let over = train(&gpu, |threads| Ok(Arc::new(Nccl::over(&*threads, &gpu)?)))?;
        assert_near(&over, &there, 1e-6); // the order of two numbers in a sum is all that differs
    }
    Ok(())
}

/// Every dtype, from the GPU and from the CPU; several exchanges under way; refusals.
#[test]
fn nccl_exchanges_every_dtype() -> Result<()> {
    use gradus_train::distributed::{ReduceOp, nccl::Nccl};
    let Some(gpu) = gpu() else { return Ok(()) };
    if !gradus_tensor::standin::has_compiler() {
        return Ok(());
    }
    gradus_tensor::standin::load_nccl(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let results = ranks(3, |threads| {
        let talk = Nccl::over(&*threads, &gpu)?;
        let rank = talk.rank() as f64;
        let all = [
            DType::F32,
            DType::F16,
            DType::BF16,
            DType::I64,
            DType::I32,
            DType::U8,
            DType::F64,
        ];
        for device in [gpu, Device::Cpu] {
            let has = |dtype: &&DType| device == Device::Cpu || **dtype != DType::F64;
            let dtypes: Vec<DType> = all.iter().filter(has).copied().collect();
            let own = |dtype| Tensor::full(5, 1.0 + rank, dtype)?.to_device(&device);
            let begin = |dtype: &DType| talk.all_reduce_async(own(*dtype)?, ReduceOp::Sum);
            let works = dtypes.iter().map(begin).collect::<Result<Vec<_>>>()?;
            for (work, dtype) in works.into_iter().zip(&dtypes) {
                let sum = work.wait()?;
                assert_eq!((sum.device(), sum.dtype()), (device, *dtype));
                let sum = sum.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
                assert_eq!(sum.to_vec::<f64>()?, [6.0; 5]);
            }
            let mean = talk.all_reduce(own(DType::F32)?, ReduceOp::Mean)?;
            assert_eq!(mean.to_vec::<f32>()?, [2.0; 5]);
            for dtype in dtypes.into_iter().chain([DType::Bool]) {
                let own = Tensor::full(3, f64::from(rank == 2.0), dtype)?.to_device(&device)?;
                let got = talk.broadcast(own.clone(), 2)?.to_device(&Device::Cpu)?;
                assert_eq!(got.to_dtype(DType::F64)?.to_vec::<f64>()?, [1.0; 3]);
                // What was given is as it was.
                let own = own.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
                assert_eq!(own.to_vec::<f64>()?, [f64::from(rank == 2.0); 3]);
            }
        }
        drop(talk.all_reduce_async(Tensor::full(5, 1.0, (DType::F32, gpu))?, ReduceOp::Sum)?); // nobody waits
        let whole = talk.all_reduce(Tensor::full(2, 1.0, DType::I64)?, ReduceOp::Mean);
        assert!(
            whole
                .unwrap_err()
                .to_string()
                .contains("only floats have one")
        );
        let far = talk
            .broadcast(Tensor::full(2, 1.0, DType::I64)?, 3)
            .unwrap_err();
        assert!(far.to_string().contains("rank 3 of 3"));
        talk.barrier()
    });
    results.into_iter().collect()
}
