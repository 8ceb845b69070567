//! Learns to make up names, by counting and by gradient descent, and draws some from each.
//!
//!     cargo run --release -p gradus-nlp --example names [FILE with one name a line]

use gradus_autograd::functional::one_hot;
use gradus_nlp::{CountBigram, Names, NeuralBigram};
use gradus_tensor::random::TorchRng;
use gradus_tensor::{DType, Result};

const A_FEW: &str = "emma olivia ava isabella sophia charlotte mia amelia harper evelyn abigail emily ella elizabeth camila luna \
    sofia avery mila aria scarlett penelope layla chloe victoria madison eleanor grace nora riley zoey hannah hazel lily ellie \
    liam noah william james logan benjamin mason elijah oliver jacob lucas michael alexander ethan daniel matthew aiden henry \
    joseph jackson samuel sebastian david carter wyatt jayden john owen dylan luke gabriel anthony isaac grayson jack julian";

fn main() -> Result<()> {
    let names = match std::env::args().nth(1) {
        Some(path) => Names::read(path)?,
        None => Names::from_text(&A_FEW.replace(' ', "\n"))?,
    };
    let (first, second) = names.bigrams()?; // (N), (N)
    println!(
        "{} names, {} characters, {} pairs",
        names.len(),
        names.vocabulary(),
        first.numel()
    );

    let counted = CountBigram::fit(&names, 1.0)?;
    println!(
        "by counting: negative log-likelihood {:.6}",
        counted.nll(&names)?
    );

    let mut rng = TorchRng::manual_seed(2147483647);
    let mut network = NeuralBigram::new(names.vocabulary(), &mut rng)?;
    let ones = one_hot(&first, names.vocabulary())?.to_dtype(DType::F32)?; // (N, V)
    for step in 0..100 {
        let loss = network.step(&ones, &second, 50.0, 0.01)?;
        if step % 20 == 0 || step == 99 {
            println!("by gradient descent: step {step:2}, loss {loss:.6}");
        }
    }
    for _ in 0..8 {
        println!(
            "{:24} {}",
            counted.sample(&names, &mut rng)?,
            network.sample(&names, &mut rng)?
        );
    }
    Ok(())
}
