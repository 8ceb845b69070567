//! [`Classifier`]: what every network of the registry is: a body that turns images into features, a head that tells classes
//! apart by them, and perhaps auxiliary heads on the way, which help the body to learn.
//!
//! It is not a trait over families: families differ in the rows of layers they give, not in what is done with them. Names are
//! torchvision's, so body and head add no level of their own.

use gradus_autograd::Var;
use gradus_nn::{Layer, Mode, Module, Sequential};
use gradus_tensor::{Result, ResultExt};

use super::options::Arguments;
use super::weights::Weights;

/// An image classifier: (B, 3, H, W) to logits (B, classes).
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Layer, Module};
/// use gradus_tensor::{DType, Tensor};
/// use gradus_vision::models::{Options, build};
/// # fn main() -> gradus_tensor::Result<()> {
/// let mut model = build("squeezenet1_1", &Options::classes(5))?;
/// model.eval();
/// let x = Var::from(Tensor::zeros([2, 3, 64, 64], DType::F32)?);
/// let features = model.features(&x)?;
/// assert_eq!(features.dims(), [2, 512, 3, 3]);
/// assert_eq!(model.classify(&features)?.dims(), [2, 5]);
/// assert_eq!(model.forward(&x)?.dims(), [2, 5]); // both at once
/// model.freeze("");
/// model.unfreeze(model.head_name()); // train the last layer only
/// assert_eq!(model.summary().trained, 512 * 5 + 5);
/// # Ok(())
/// # }
/// ```
#[derive(Module)]
pub struct Classifier {
    #[module(flatten)]
    body: Sequential,
    #[module(flatten)]
    auxiliary: Sequential,
    /// The layers of the body after which the auxiliary heads hang, in their order.
    #[module(skip)]
    taps: Vec<usize>,
    #[module(flatten)]
    head: Sequential,
    head_name: &'static str,
    mode: Mode,
}

impl Classifier {
    /// A body and a head; the last layer of the head stands under `head_name`.
    pub(super) fn new(body: Sequential, head: Sequential, head_name: &'static str) -> Self {
        Self {
            body,
            auxiliary: Sequential::new(),
            taps: Vec::new(),
            head,
            head_name,
            mode: Mode::default(),
        }
    }

    /// With an auxiliary head on what comes out of the body's layer of this name.
    pub(super) fn tap(mut self, layer: &str, name: &'static str, head: Sequential) -> Self {
        if let Some(at) = self.body.iter().position(|(name, _)| name == layer) {
            self.taps.push(at);
            self.auxiliary = self.auxiliary.then_named(name, head);
        }
        self
    }

    /// The network with its first weights, once it is sure that every argument was understood.
    pub(super) fn finish(mut self, arguments: &Arguments, weights: &Weights) -> Result<Self> {
        arguments.finish()?;
        if arguments.initialise() {
            weights.draw(&mut self)?;
        }
        Ok(self)
    }

    /// What the head looks at: maps (B, C, h, w), of a vision transformer tokens (B, T, C) with the class token first.
    ///
    /// # Errors
    /// When the images are not (B, 3, H, W), or too small for the network.
    pub fn features(&self, x: &Var) -> Result<Var> {
        self.body.forward(x)
    }

    /// Logits (B, classes) of features.
    ///
    /// # Errors
    /// When these are not such as [`features`](Self::features) gives.
    pub fn classify(&self, features: &Var) -> Result<Var> {
        self.head.forward(features)
    }

    /// The logits and, in training mode, those of each auxiliary head, nearest to the input first. GoogLeNet adds the losses
    /// of its two with weight 0.3, Inception v3 that of its one with 0.4; in most networks there is none.
    ///
    /// # Errors
    /// As [`features`](Self::features).
    pub fn forward_with_auxiliary(&self, x: &Var) -> Result<(Var, Vec<Var>)> {
        if self.taps.is_empty() || !self.mode.is_training() {
            return Ok((self.forward(x)?, Vec::new()));
        }
        let mut x = x.clone();
        let mut auxiliary = Vec::with_capacity(self.taps.len());
        for (i, (name, layer)) in self.body.iter().enumerate() {
            x = layer.forward(&x).in_layer(name)?;
            for (tap, (name, head)) in self.taps.iter().zip(self.auxiliary.iter()) {
                if *tap == i {
                    auxiliary.push(head.forward(&x).in_layer(name)?);
                }
            }
        }
        Ok((self.classify(&x)?, auxiliary))
    }

    /// The name of the last layer, whose output are the logits: `fc`, `classifier.6`, … Freeze all but it to train it alone.
    pub fn head_name(&self) -> &'static str {
        self.head_name
    }
}

impl Layer for Classifier {
    fn forward(&self, x: &Var) -> Result<Var> {
        self.classify(&self.features(x)?)
    }
}
