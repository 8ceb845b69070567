//! Saliency: how fast the class's score changes with each pixel. One backward pass; noisy, since it says what matters at this very
//! picture and not on the way to it.

use gradus_nn::Layer;
use gradus_tensor::{Result, Tensor};

use super::{check_image, scores_and_gradients};

/// For each pixel the largest absolute derivative of the class's score by one of its channels: image (C, H, W) to (H, W).
///
/// # Errors
/// When the image does not fit the model, or there is no such class.
pub fn saliency(model: &dyn Layer, image: &Tensor, class: usize) -> Result<Tensor> {
    check_image("saliency", image)?;
    let (_, gradient) = scores_and_gradients("saliency", model, image.unsqueeze(0)?, class)?; // (1, C, H, W)
    gradient.squeeze(0)?.abs()?.amax(0, false)
}
