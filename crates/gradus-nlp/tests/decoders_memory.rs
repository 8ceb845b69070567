//! Training a decoder must not grow, nor must writing with one: alone in their process, so that the pool's counters are their own.

use gradus_autograd::functional::{CrossEntropy, cross_entropy};
use gradus_nlp::generate::{Generation, tokens};
use gradus_nlp::models::{GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Pretrained};
use gradus_nn::Module;
use gradus_nn::optim::{AdamW, Optimizer};
use gradus_tensor::{Result, Tensor, pool_stats};

#[test]
fn two_hundred_steps_keep_memory_flat() -> Result<()> {
    let config = GPT2Config {
        vocab_size: 10,
        n_positions: 8,
        n_embd: 16,
        n_layer: 2,
        n_head: 4,
        ..GPT2Config::default()
    };
    let mut gpt2 = GPT2LMHeadModel::new(&config)?;
    let config = LlamaConfig {
        vocab_size: 10,
        hidden_size: 16,
        intermediate_size: 32,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: Some(2),
        max_position_embeddings: 256,
        ..LlamaConfig::default()
    };
    let mut llama = LlamaForCausalLM::new(&config)?;
    let x = Tensor::from_slice(&[3_i64, 1, 4, 1, 5, 9, 2, 6], [1, 8])?;
    let y = Tensor::from_slice(&[1_i64, 4, 1, 5, 9, 2, 6, 5], [8])?;
    let (mut of_gpt2, mut of_llama) = (AdamW::new(0.001), AdamW::new(0.001));
    let mut system = 0;
    for step in 0..200 {
        let loss = |logits: gradus_autograd::Var| {
            cross_entropy(&logits.flatten(0, 1)?, &y, &CrossEntropy::default())?.backward_once()
        };
        let gradients = loss(gpt2.forward(&x)?)?;
        of_gpt2.step(&mut gpt2, &gradients)?;
        let gradients = loss(llama.forward(&x)?)?;
        of_llama.step(&mut llama, &gradients)?;
        let misses = pool_stats().misses;
        if step == 20 {
            system = misses;
        }
        assert!(
            step <= 20 || misses == system,
            "step {step}: {misses} buffers from the system, {system} at first"
        );
    }
    // Two hundred tokens: as many buffers as the room for them takes, and no more with each token.
    llama.eval();
    let options = Generation {
        max_new_tokens: 220,
        ..Generation::default()
    };
    let mut written = tokens(&llama, &[1, 2, 3], &options)?;
    let mut at = Vec::new();
    for id in written.by_ref() {
        id?;
        at.push(pool_stats().misses);
    }
    assert_eq!(at.len(), 220);
    let grown = at[219] - at[20];
    assert!(grown < 40, "{grown} buffers from the system for 200 tokens");
    Ok(())
}
