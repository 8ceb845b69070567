//! Teaches a small network the sine, with validation, a schedule and early stop; run it twice to see it resume.
//!
//!     cargo run --release -p gradus-train --example sine

use gradus_autograd::Var;
use gradus_nn::optim::Adam;
use gradus_nn::schedule::CosineAnnealingLR;
use gradus_nn::{Layer, Linear, Sequential, Tanh};
use gradus_tensor::{Result, Tensor};
use gradus_train::callback::Console;
use gradus_train::{DataLoader, Dataset, Dice, Outcome, Saving, Trainer};

/// Points on the sine; those with odd numbers are noisy by the sample's own dice.
struct Sine(usize);

impl Dataset for Sine {
    type Batch = (Tensor, Tensor);

    fn len(&self) -> usize {
        self.0
    }

    fn batch(&self, indices: &[usize], dice: Dice) -> Result<Self::Batch> {
        let x: Vec<f32> = indices
            .iter()
            .map(|&i| 6.3 * i as f32 / self.0 as f32)
            .collect();
        let noisy = |(x, &i): (&f32, &usize)| {
            x.sin()
                + if i % 2 == 1 {
                    dice.sample(i).range(-0.05, 0.05)
                } else {
                    0.0
                }
        };
        let y: Vec<f32> = x.iter().zip(indices).map(noisy).collect();
        let n = indices.len();
        Ok((Tensor::from_vec(x, [n, 1])?, Tensor::from_vec(y, [n, 1])?)) // (B, 1), (B, 1)
    }
}

fn main() -> Result<()> {
    let train = DataLoader::new(Sine(1000), 50)?.shuffle(true).seed(1);
    let validation = DataLoader::new(Sine(77), 77)?;
    let mut model = Sequential::new()
        .then(Linear::new(1, 32)?)
        .then(Tanh)
        .then(Linear::new(32, 1)?);
    let mut optimizer = Adam::new(0.01);

    // A task is any function of model and batch.
    let squared_error = |model: &Sequential, (x, y): &(Tensor, Tensor)| {
        let error = model
            .forward(&Var::from(x.clone()))?
            .sub(&Var::from(y.clone()))?; // (B, 1)
        let loss = error.square()?.mean(.., false)?;
        Ok(Outcome {
            loss,
            correct: None,
            samples: y.numel() as u64,
        })
    };
    let saving = Saving::new("runs/sine");
    let report = Trainer::new(30)
        .schedule(CosineAnnealingLR {
            t_max: 30 * train.batches(),
            eta_min: 0.0,
        })
        .resume(saving.last().exists())
        .save(saving)
        .callback(Console::new("points"))
        .fit(
            &mut model,
            &mut optimizer,
            &squared_error,
            &train,
            Some(&validation),
        )?;

    for i in 0..=6 {
        let x = Tensor::from_slice(&[i as f32], [1, 1])?;
        let y = model.forward(&Var::from(x))?.item::<f32>()?;
        println!(
            "sin({i}) = {:+.3}, the network says {y:+.3}",
            (i as f32).sin()
        );
    }
    println!(
        "{} epochs, best {:?}",
        report.history.rows.len(),
        report.best.map(|best| best.value)
    );
    Ok(())
}
