//! Training a network must not grow: alone in its process, so that the pool's counters are this test's own.

use gradus_autograd::Var;
use gradus_autograd::functional::{CrossEntropy, cross_entropy};
use gradus_nn::Layer;
use gradus_nn::optim::{Optimizer, SGD};
use gradus_tensor::random::Rng;
use gradus_tensor::{DType, Result, Tensor, pool_stats};
use gradus_vision::models::{Options, build};

#[test]
fn two_hundred_steps_keep_memory_flat() -> Result<()> {
    let mut model = build("cifar_resnet20", &Options::default())?;
    let x = Var::from(Tensor::randn([4, 3, 16, 16], DType::F32, &mut Rng::new(0))?);
    let labels = Tensor::from_slice(&[0_i64, 1, 2, 3], [4])?;
    let mut optimizer = SGD::new(0.01);
    let mut system = 0;
    for step in 0..200 {
        let loss = cross_entropy(&model.forward(&x)?, &labels, &CrossEntropy::default())?;
        let gradients = loss.backward_once()?;
        optimizer.step(&mut model, &gradients)?;
        // Once every size has been asked for, each buffer comes from an earlier one.
        let misses = pool_stats().misses;
        if step == 20 {
            system = misses;
        }
        assert!(
            step <= 20 || misses == system,
            "step {step}: {misses} buffers from the system, {system} at first"
        );
    }
    Ok(())
}
