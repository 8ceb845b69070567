//! Looking inside a classifier: which part of a picture its answer hangs on, and what its layers make of it.
//!
//! | question | answer | source |
//! |---|---|---|
//! | Which pixels move the score at once? | [`saliency`] | Simonyan, Vedaldi and Zisserman 2013 (arXiv:1312.6034) |
//! | What share of the score is each pixel's? | [`integrated_gradients`] | Sundararajan, Taly and Yan 2017 (arXiv:1703.01365) |
//! | Where did the last maps see the class? | [`grad_cam`] | Selvaraju et al. 2016 (arXiv:1610.02391) |
//! | What does a layer look for, what does it see? | [`sheet::filters`], [`sheet::maps`] | Zeiler and Fergus 2013 (arXiv:1311.2901) |
//!
//! All take a model in evaluation mode, an image (C, H, W) as the model takes it, and a class, and give numbers; [`paint`] makes colours of
//! numbers and lays them over the picture. A model needs nothing of its own for it: gradients by the input come from the graph, outputs of
//! layers from [`gradus_nn::record`]. Not here: explanations that train a second model, and texts.
//!
//! ```
//! use gradus_nn::Module;
//! use gradus_tensor::{DType, Tensor, random::Rng};
//! use gradus_vision::explain::{grad_cam, integrated_gradients, saliency};
//! use gradus_vision::models::{Options, build};
//! # fn main() -> gradus_tensor::Result<()> {
//! let mut model = build("cifar_resnet20", &Options::default())?;
//! model.eval();
//! let image = Tensor::randn([3, 32, 32], DType::F32, &mut Rng::new(1))?;
//! let black = Tensor::zeros([3, 32, 32], DType::F32)?;
//! assert_eq!(saliency(&model, &image, 3)?.dims(), [32, 32]);
//! let parts = integrated_gradients(&model, &image, &black, 3, 64)?;
//! assert!(parts.error() < 0.1); // the shares add up to what the score gained over the black picture
//! let cam = grad_cam(&model, &image, 3, Some("layer3"))?;
//! assert_eq!((cam.layer.as_str(), cam.map.dims()), ("layer3", &[8, 8][..]));
//! # Ok(())
//! # }
//! ```

mod grad_cam;
mod integrated;
pub mod paint;
mod saliency;
pub mod sheet;

pub use grad_cam::{Cam, grad_cam};
pub use integrated::{Integrated, integrated_gradients};
pub use saliency::saliency;

use gradus_autograd::{Var, grad};
use gradus_nn::Layer;
use gradus_tensor::{Error, Result, Tensor};

/// Is it an image (C, H, W) of floats?
fn check_image(op: &'static str, image: &Tensor) -> Result<()> {
    if image.rank() != 3 || !image.dtype().is_float() {
        let text = format!(
            "the image is {} {}; (C, H, W) of floats is expected",
            image.dtype(),
            image.shape()
        );
        return Err(Error::shape(op, text));
    }
    Ok(())
}

/// Each image's score (B) of a class, from logits (B, classes).
fn score(op: &'static str, logits: &Var, class: usize) -> Result<Var> {
    match *logits.dims() {
        [_, classes] if class < classes => logits.select(1, class as i64),
        [_, classes] => {
            let text = format!("there is no class {class}; the model has {classes}");
            Err(Error::value(op, text))
        }
        _ => {
            let text = format!("the model gives {}, not (B, classes)", logits.shape());
            Err(Error::shape(op, text))
        }
    }
}

/// The scores (B) of a class and the gradient of each by its image: `images` (B, C, H, W).
fn scores_and_gradients(
    op: &'static str,
    model: &dyn Layer,
    images: Tensor,
    class: usize,
) -> Result<(Tensor, Tensor)> {
    let x = Var::leaf(images)?; // (B, C, H, W)
    let scores = score(op, &model.forward(&x)?, class)?; // (B)
    let gradient = grad(&[&scores.sum(.., false)?], &[&x], None, false)?.remove(0);
    let gradient = match gradient {
        Some(gradient) => gradient.into_value(),
        None => x.value().zeros_like()?,
    };
    Ok((scores.into_value(), gradient))
}
