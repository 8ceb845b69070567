//! A network of one hidden layer, trained by hand on XOR, and a picture of its graph.
//!
//!     cargo run --release -p gradus-autograd --example tiny_mlp

use gradus_autograd::{Var, draw::Drawing, functional as F};
use gradus_tensor::{DType, Result, Tensor, random::Rng};

fn main() -> Result<()> {
    let x = Var::from(Tensor::from_slice(
        &[0.0f32, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0],
        [4, 2],
    )?); // (B, 2)
    let target = Var::from(Tensor::from_slice(&[0.0f32, 1.0, 1.0, 0.0], [4, 1])?); // (B, 1)

    let rng = &mut Rng::new(1);
    let mut params = vec![
        Var::leaf(Tensor::randn([8, 2], DType::F32, rng)?)?, // hidden weight (H, 2)
        Var::leaf(Tensor::zeros([8], DType::F32)?)?,
        Var::leaf(Tensor::randn([1, 8], DType::F32, rng)?.mul_scalar(0.5)?)?, // output weight (1, H)
        Var::leaf(Tensor::zeros([1], DType::F32)?)?,
    ];
    let forward = |p: &[Var]| -> Result<Var> {
        let hidden = F::linear(&x, &p[0], Some(&p[1]))?.tanh()?; // (B, H)
        F::linear(&hidden, &p[2], Some(&p[3])) // (B, 1)
    };

    for step in 0..=500 {
        let loss = F::mse_loss(&forward(&params)?, &target, F::Reduction::Mean)?;
        if step % 100 == 0 {
            println!("step {step:3}: loss {:.6}", loss.item::<f32>()?);
        }
        let grads = loss.backward_once()?;
        for param in &mut params {
            let Some(grad) = grads.get(param) else {
                continue;
            };
            let next = param.value().sub(&grad.mul_scalar(0.2)?)?;
            *param = Var::leaf(next)?;
        }
    }
    println!("{}", forward(&params)?.value());

    let loss = F::mse_loss(&forward(&params)?, &target, F::Reduction::Mean)?;
    let mut drawing = Drawing::new(&loss)?.name(&loss, "loss");
    for (param, name) in params.iter().zip(["weight1", "bias1", "weight2", "bias2"]) {
        drawing = drawing.name(param, name);
    }
    let drawing = drawing.gradients(&loss.backward_all()?)?;
    let path = std::env::temp_dir().join("tiny_mlp.svg");
    match std::fs::write(&path, drawing.svg()) {
        Ok(()) => println!("the graph, with its gradients: {}", path.display()),
        Err(_) => println!("{}", drawing.dot()),
    }
    Ok(())
}
