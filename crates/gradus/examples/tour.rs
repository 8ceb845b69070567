//! Up the stairs: a tensor, its gradient, a layer, a training loop.
//!
//!     cargo run --release -p gradus --example tour

use gradus::nn::optim::SGD;
use gradus::nn::{Linear, ReLU, Sequential, loss};
use gradus::prelude::*;

fn main() -> Result<()> {
    // Tensors: data of any shape.
    let x = Tensor::from_slice(&[0.0f32, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [4, 2])?;
    let y = Tensor::from_slice(&[0i64, 1, 1, 0], [4])?; // exclusive or
    println!("x =\n{x}\n");

    // Gradients: of anything computed from a leaf.
    let w = Var::leaf(Tensor::from_slice(&[1.0f32, -2.0], [2, 1])?)?;
    let out = Var::from(x.clone()).matmul(&w)?.square()?.sum(.., false)?;
    println!(
        "d/dw sum((x w)²) =\n{}\n",
        out.backward()?
            .get(&w)
            .ok_or_else(|| Error::value("", "w has no gradient"))?
    );

    // Layers, a loss, an optimiser.
    gradus::tensor::random::manual_seed(3);
    let mut model = Sequential::new()
        .then(Linear::new(2, 16)?)
        .then(ReLU)
        .then(Linear::new(16, 2)?);
    let mut optimizer = SGD::new(0.5);
    for step in 0..200 {
        let loss = loss::cross_entropy(
            &model.forward(&Var::from(x.clone()))?,
            &y,
            &loss::CrossEntropy::default(),
        )?;
        if step % 50 == 0 {
            println!("step {step}: loss {:.4}", loss.item::<f32>()?);
        }
        optimizer.step(&mut model, &loss.backward_once()?)?;
    }
    let answers = model
        .forward(&Var::from(x))?
        .value()
        .argmax(Some(1), false)?;
    println!("answers: {answers}, wanted: {y}");
    Ok(())
}
