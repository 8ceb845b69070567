//! Goes on with a text: a model from a folder (Hugging Face's layout), or, without arguments, a tiny GPT that learns one sentence first.
//!
//!     cargo run --release -p gradus-nlp --example generate [FOLDER PROMPT]

use gradus_nlp::generate::{CausalLm, Generation, text};
use gradus_nlp::models::{GPT2Config, GPT2LMHeadModel, Pretrained, load_causal_lm};
use gradus_nlp::next_token_loss;
use gradus_nlp::tokenizers::Tokenizer;
use gradus_nn::Module;
use gradus_nn::optim::{AdamW, Optimizer};
use gradus_tensor::{Result, Tensor};

const SENTENCE: &str = "A journey of a thousand miles begins with a single step.";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [folder, prompt] = &arguments[..] {
        let tokenizer = Tokenizer::from_file(folder)?;
        return write(&*load_causal_lm(folder)?, &tokenizer, prompt);
    }
    let tokenizer = Tokenizer::characters(SENTENCE)?;
    let ids: Vec<i64> = tokenizer
        .encode(SENTENCE)?
        .ids
        .into_iter()
        .map(i64::from)
        .collect();
    let t = ids.len() - 1;
    let (x, y) = (
        Tensor::from_slice(&ids[..t], [1, t])?,
        Tensor::from_slice(&ids[1..], [1, t])?,
    );
    let config = GPT2Config {
        vocab_size: tokenizer.vocab_size(),
        n_positions: t + 1,
        n_embd: 32,
        n_layer: 2,
        n_head: 4,
        resid_pdrop: 0.0,
        embd_pdrop: 0.0,
        attn_pdrop: 0.0,
        ..GPT2Config::default()
    };
    let mut model = GPT2LMHeadModel::new(&config)?;
    let mut optimizer = AdamW::new(3e-3);
    for step in 0..=100 {
        let loss = next_token_loss(&model.forward(&x)?, &y)?;
        if step % 25 == 0 {
            println!("step {step:>3}: loss {:.3}", loss.item::<f32>()?);
        }
        let gradients = loss.backward_once()?;
        optimizer.step(&mut model, &gradients)?;
    }
    model.eval();
    write(&model, &tokenizer, "A journey")
}

/// The prompt and what follows it, greedily, as it comes.
fn write(model: &dyn CausalLm, tokenizer: &Tokenizer, prompt: &str) -> Result<()> {
    let options = Generation {
        max_new_tokens: 60,
        eos_token_id: model.eos_token_id(),
        ..Generation::default()
    };
    print!("{prompt}");
    for piece in text(model, tokenizer, prompt, &options, &["."])? {
        print!("{}", piece?);
    }
    println!();
    Ok(())
}
