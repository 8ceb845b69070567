//! Grad-CAM: where a layer's maps saw the class. Each map counts by the mean of the score's gradient over it; what speaks for the class
//! is kept. Of a vision transformer the maps are its tokens, in the places of their patches.

use gradus_autograd::{Var, grad};
use gradus_nn::{Layer, record};
use gradus_tensor::{Error, Result, Tensor};

use super::{check_image, score};

const OP: &str = "grad_cam";

/// A class activation map.
#[derive(Clone, Debug)]
pub struct Cam {
    /// The layer whose output was looked at.
    pub layer: String,
    /// How much each place speaks for the class, from 0 up: (h, w) of the layer.
    pub map: Tensor,
}

/// The map of a class at a layer of that name, or else at the last layer whose output still has places and reaches the score.
///
/// # Errors
/// When the image does not fit the model, there is no such class, or no such layer; the message lists those there are.
pub fn grad_cam(
    model: &dyn Layer,
    image: &Tensor,
    class: usize,
    layer: Option<&str>,
) -> Result<Cam> {
    check_image(OP, image)?;
    let x = Var::leaf(image.unsqueeze(0)?)?; // (1, C, H, W)
    let (logits, outputs) = record(|| model.forward(&x));
    let score = score(OP, &logits?, class)?; // (1)
    // From the last to the first: those with places, that depend on the input.
    let candidates: Vec<&(String, Var)> = outputs
        .iter()
        .rev()
        .filter(|(name, output)| {
            output.id().is_some()
                && places(output.dims()).is_some()
                && layer.is_none_or(|layer| layer == name)
        })
        .collect();
    let inputs: Vec<&Var> = candidates.iter().map(|(_, output)| output).collect();
    let gradients = grad(&[&score.sum(.., false)?], &inputs, None, false)?;
    for ((name, output), gradient) in candidates.into_iter().zip(gradients) {
        let Some(gradient) = gradient else { continue };
        let (maps, gradient) = (maps(output.value())?, maps(gradient.value())?); // (C, h, w)
        if layer.is_none() && gradient.abs()?.amax(.., false)?.to_f64()? == 0.0 {
            continue; // from here on the class token alone is looked at
        }
        let weights = gradient.mean([1, 2], true)?; // (C, 1, 1)
        let map = maps.mul(&weights)?.sum(0, false)?.relu()?; // (h, w)
        return Ok(Cam {
            layer: name.clone(),
            map,
        });
    }
    let known = outputs.iter().filter(|(_, o)| places(o.dims()).is_some());
    let known: Vec<&str> = known.map(|(name, _)| name.as_str()).collect();
    Err(Error::value(
        OP,
        match layer {
            Some(layer) => format!("no layer {layer:?} with maps; there are: {}", known.join(", ")),
            None => "no layer of the model tells of maps; run its layers in a Sequential or with gradus_nn::named".into(),
        },
    ))
}

/// Rows and columns of an output: of maps (1, C, h, w), or of tokens (1, 1 + h w, C) that make a square.
pub(super) fn places(dims: &[usize]) -> Option<(usize, usize)> {
    match *dims {
        [1, _, h, w] if h * w > 1 => Some((h, w)),
        [1, tokens, _] => {
            let side = tokens.saturating_sub(1).isqrt();
            (side > 1 && side * side + 1 == tokens).then_some((side, side))
        }
        _ => None,
    }
}

/// The output as maps (C, h, w).
pub(super) fn maps(output: &Tensor) -> Result<Tensor> {
    match (output.rank(), places(output.dims())) {
        (3, Some((h, w))) => {
            let patches = output.squeeze(0)?.narrow(0, 1, h * w)?; // (h w, C), without the class token
            let channels = patches.dims()[1];
            patches.transpose(0, 1)?.reshape([channels, h, w])
        }
        _ => output.squeeze(0),
    }
}
