//! Training must not grow: alone in its process, so that the pool's counters are this test's own.

use gradus_autograd::Var;
use gradus_tensor::{DType, Result, Tensor, pool_stats};

#[test]
fn a_thousand_training_steps_keep_memory_flat() -> Result<()> {
    let data = Tensor::ones([16, 8], DType::F32)?;
    let mut w = Tensor::full([8, 8], 0.1, DType::F32)?;
    let mut system = 0;
    for step in 0..1000 {
        let leaf = Var::leaf(w.clone())?;
        let h = Var::from(&data).matmul(&leaf)?.tanh()?.matmul(&leaf)?;
        let loss = h.mul(&h)?.mean(.., false)?;
        // Either way of going back, and a graph that is dropped unwalked.
        let grads = if step % 2 == 0 {
            loss.backward()?
        } else {
            loss.clone().backward_once()?
        };
        let _unused = loss.exp()?;
        w = w.sub(&grads.get(&leaf).unwrap().mul_scalar(0.01)?)?;
        // Once every size has been asked for, each buffer comes from an earlier one: nothing is left behind.
        let misses = pool_stats().misses;
        if step == 10 {
            system = misses;
        }
        assert!(
            step <= 10 || misses == system,
            "step {step}: {misses} buffers from the system, {system} at first"
        );
    }
    Ok(())
}
