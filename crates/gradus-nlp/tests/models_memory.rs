//! Training an encoder must not grow: alone in its process, so that the pool's counters are this test's own.

use gradus_autograd::functional::{CrossEntropy, cross_entropy};
use gradus_nlp::models::{BertConfig, BertForSequenceClassification, Pretrained, TextInput};
use gradus_nn::optim::{AdamW, Optimizer};
use gradus_tensor::{Result, Tensor, pool_stats};

#[test]
fn two_hundred_steps_keep_memory_flat() -> Result<()> {
    let config = BertConfig {
        vocab_size: 97,
        hidden_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        intermediate_size: 64,
        ..BertConfig::default()
    };
    let mut model = BertForSequenceClassification::new(&config)?;
    let ids: Vec<i64> = (0..28).map(|i| 1 + i * 3).collect();
    let mut mask = vec![1_i64; 28];
    mask[26..].fill(0);
    let input = TextInput::new(Tensor::from_vec(ids, [4, 7])?)
        .with_attention_mask(Tensor::from_vec(mask, [4, 7])?);
    let labels = Tensor::from_slice(&[0_i64, 1, 1, 0], [4])?;
    let mut optimizer = AdamW::new(1e-3);
    let mut system = 0;
    for step in 0..200 {
        let loss = cross_entropy(&model.forward(&input)?, &labels, &CrossEntropy::default())?;
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
