//! Two small networks for 28 x 28 digits: the one every introduction builds, and a modern one of about the same cost.

use gradus_autograd::Var;
use gradus_nn::{BatchNorm2d, Conv2d, Dropout, Layer, Linear, MaxPool2d, Module, named};
use gradus_tensor::{Result, ResultExt};
use gradus_train::error::invalid;

/// The name of [`Article`] on the command line and in checkpoints.
pub const ARTICLE: &str = "article";
/// The name of [`Small`] on the command line and in checkpoints.
pub const SMALL: &str = "small";
/// The names [`digit_model`] knows, the default first.
pub const DIGIT_MODELS: [&str; 2] = [SMALL, ARTICLE];

/// Conv 32@3x3, ReLU, max-pool 2, flatten, dense 10: 54,410 parameters, the "98 %" network of many articles.
///
/// Input (B, 1, 28, 28), output logits (B, 10).
#[derive(Module)]
pub struct Article {
    conv: Conv2d,
    pool: MaxPool2d,
    fc: Linear,
}

impl Article {
    /// With PyTorch's default initialisation, from the thread's default generator.
    pub fn new() -> Result<Self> {
        Ok(Self {
            conv: Conv2d::new(1, 32, 3)?,
            pool: MaxPool2d::new(2),
            fc: Linear::new(32 * 13 * 13, 10)?,
        })
    }
}

impl Layer for Article {
    fn forward(&self, x: &Var) -> Result<Var> {
        let h = named("conv", || self.conv.forward(x)?.relu())?; // (B, 32, 26, 26)
        let h = named("pool", || self.pool.forward(&h))?; // (B, 32, 13, 13)
        named("fc", || self.fc.forward(&h.flatten(1, -1)?)) // (B, 5408) to (B, 10)
    }
}

/// Two blocks of convolution, max-pool, batch norm and ReLU, then two dense layers, each after dropout.
///
/// Input (B, 1, 28, 28), output logits (B, 10).
#[derive(Module)]
pub struct Small {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    pool: MaxPool2d,
    drop: Dropout,
    fc1: Linear,
    fc2: Linear,
}

impl Small {
    /// With PyTorch's default initialisation, from the thread's default generator.
    pub fn new() -> Result<Self> {
        Ok(Self {
            conv1: Conv2d::builder(1, 24, 3).padding(1).bias(false).build()?,
            bn1: BatchNorm2d::new(24)?,
            conv2: Conv2d::builder(24, 48, 3).padding(1).bias(false).build()?,
            bn2: BatchNorm2d::new(48)?,
            pool: MaxPool2d::new(2),
            drop: Dropout::new(0.3),
            fc1: Linear::new(48 * 7 * 7, 128)?,
            fc2: Linear::new(128, 10)?,
        })
    }
}

impl Layer for Small {
    fn forward(&self, x: &Var) -> Result<Var> {
        let h = named("conv1", || self.conv1.forward(x))?; // (B, 24, 28, 28)
        let h = self.pool.forward(&h).in_layer("pool")?; // (B, 24, 14, 14)
        let h = named("bn1", || self.bn1.forward(&h)?.relu())?;
        let h = named("conv2", || self.conv2.forward(&h))?; // (B, 48, 14, 14)
        let h = self.pool.forward(&h).in_layer("pool")?; // (B, 48, 7, 7)
        let h = named("bn2", || self.bn2.forward(&h)?.relu())?;
        let h = self.drop.forward(&h.flatten(1, -1)?)?; // (B, 2352)
        let h = named("fc1", || self.fc1.forward(&h)?.relu())?; // (B, 128)
        named("fc2", || self.fc2.forward(&self.drop.forward(&h)?)) // (B, 10)
    }
}

/// A new digit network by its name.
///
/// Errors when there is no such name; the message lists those there are.
pub fn digit_model(name: &str) -> Result<Box<dyn Layer>> {
    match name {
        ARTICLE => Ok(Box::new(Article::new()?)),
        SMALL => Ok(Box::new(Small::new()?)),
        _ => Err(invalid(format!(
            "there is no model {name:?}; there are: {}",
            DIGIT_MODELS.join(", ")
        ))),
    }
}
