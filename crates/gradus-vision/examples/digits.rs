//! Trains the article's network on the digits inside the library for two epochs, then looks at one digit.
//!
//!     cargo run --release -p gradus-vision --example digits

use gradus_autograd::{Var, no_grad};
use gradus_nn::optim::Adam;
use gradus_nn::{Layer, Module};
use gradus_train::callback::Console;
use gradus_train::{Classification, DataLoader, Dataset, Dice, Result, Trainer, confusion};
use gradus_vision::datasets::{ImageSet, Split};
use gradus_vision::models::Article;
use gradus_vision::transforms::Normalize;

fn main() -> Result<()> {
    let normalize = Normalize::new(&[0.1307], &[0.3081])?;
    let train = ImageSet::embedded_mnist(Split::Train)?.with_transform(normalize.clone());
    let test = ImageSet::embedded_mnist(Split::Test)?.with_transform(normalize);

    let loader = DataLoader::new(train, 32)?.shuffle(true).seed(42);
    let test_loader = DataLoader::new(test.clone(), 200)?;
    let mut model = Article::new()?;
    Trainer::new(2).callback(Console::new("images")).fit(
        &mut model,
        &mut Adam::new(1e-3),
        &Classification::default(),
        &loader,
        Some(&test_loader),
    )?;
    print!("{}", confusion(&mut model, &test_loader, test.classes())?);

    model.eval();
    let (image, label) = test.batch(&[3], Dice { seed: 0, epoch: 0 })?; // (1, 1, 28, 28), (1)
    let logits = no_grad(|| model.forward(&Var::from(image)))?; // (1, 10)
    println!(
        "it is a {}, the network says\n{}",
        label.item::<i64>()?,
        logits.value().softmax(1)?
    );
    Ok(())
}
