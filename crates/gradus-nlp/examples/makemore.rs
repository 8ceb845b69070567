//! Learns to make up names with the networks of "makemore": a perceptron with a batch norm, a tree, a recurrent network and a small GPT,
//! and draws some names from each.
//!
//!     cargo run --release -p gradus-nlp --example makemore [FILE with one name a line] [STEPS]

use gradus_autograd::Var;
use gradus_autograd::functional::{CrossEntropy, cross_entropy};
use gradus_nlp::Names;
use gradus_nlp::characters::{
    Cell, CharMlp, CharMlpOptions, CharRnn, CharRnnOptions, CharWaveNet, CharWaveNetOptions,
};
use gradus_nlp::generate::{CausalLm, Generation, generate};
use gradus_nlp::models::{GPT2Config, GPT2LMHeadModel, Pretrained};
use gradus_nn::Module;
use gradus_nn::optim::{AdamW, Optimizer};
use gradus_tensor::random::TorchRng;
use gradus_tensor::{Result, Tensor};

const A_FEW: &str = "emma olivia ava isabella sophia charlotte mia amelia harper evelyn abigail emily ella elizabeth camila luna \
    sofia avery mila aria scarlett penelope layla chloe victoria madison eleanor grace nora riley zoey hannah hazel lily ellie \
    liam noah william james logan benjamin mason elijah oliver jacob lucas michael alexander ethan daniel matthew aiden henry";

/// The characters a network sees before it guesses.
const BLOCK: usize = 8;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let names = match arguments.next() {
        Some(path) => Names::read(path)?,
        None => Names::from_text(&A_FEW.replace(' ', "\n"))?,
    };
    let steps = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(300);
    let v = names.vocabulary();
    let rng = &mut TorchRng::manual_seed(2147483647);

    let options = CharMlpOptions {
        block_size: BLOCK,
        ..CharMlpOptions::new(v)
    };
    learn(
        "MLP",
        CharMlp::new(options, rng)?,
        CharMlp::forward,
        &names,
        steps,
    )?;

    let tree = CharWaveNet::new(CharWaveNetOptions::new(v), rng)?;
    learn("WaveNet", tree, CharWaveNet::forward, &names, steps)?;

    let options = CharRnnOptions {
        cell: Cell::Gru,
        hidden_size: 64,
        num_layers: 1,
        ..CharRnnOptions::new(v)
    };
    learn(
        "GRU",
        CharRnn::new(options)?,
        |model, x| model.forward(x)?.select(1, -1),
        &names,
        steps,
    )?;

    let config = GPT2Config {
        vocab_size: v,
        n_positions: BLOCK,
        n_embd: 32,
        n_layer: 2,
        n_head: 4,
        ..GPT2Config::default()
    };
    let gpt = GPT2LMHeadModel::new(&config)?;
    learn(
        "GPT",
        gpt,
        |model, x| model.forward(x)?.select(1, -1),
        &names,
        steps,
    )
}

/// Learns what follows each window of characters, i64 (N, T) to logits (N, V), and draws five names.
fn learn<M: Module + CausalLm>(
    name: &str,
    mut model: M,
    forward: impl Fn(&M, &Tensor) -> Result<Var>,
    names: &Names,
    steps: usize,
) -> Result<()> {
    let (x, y) = names.contexts(BLOCK)?; // (N, T), (N)
    let rng = &mut TorchRng::manual_seed(1);
    let mut optimizer = AdamW::new(3e-3);
    let mut mean = 0.0;
    for step in 0..steps {
        let batch = rng.randint(0, y.numel() as i64, [32])?;
        let (x, y) = (x.index_select(0, &batch)?, y.index_select(0, &batch)?);
        let loss = cross_entropy(&forward(&model, &x)?, &y, &CrossEntropy::default())?;
        if step + 50 >= steps {
            mean += f64::from(loss.item::<f32>()?) / steps.min(50) as f64;
        }
        let gradients = loss.backward_once()?;
        optimizer.step(&mut model, &gradients)?;
    }
    model.eval();
    print!("{name}: {} parameters, loss {mean:.3}:", model.num_params());
    for seed in 0..5 {
        let options = Generation {
            do_sample: true,
            seed,
            eos_token_id: vec![0],
            context_shift: true,
            ..Generation::default()
        };
        let ids = generate(&model, &[0; BLOCK], &options)?;
        let letters: Vec<usize> = ids
            .iter()
            .map(|&id| id as usize)
            .take_while(|&id| id > 0)
            .collect();
        print!(" {}", names.decode(&letters).unwrap_or_default());
    }
    println!();
    Ok(())
}
