//! Integrated gradients: the class's score, shared out among the pixels. Gradients are averaged along the straight way from a baseline
//! to the image; by the fundamental theorem of calculus the shares add up to what the score gained on it ("completeness").

use gradus_autograd::{Var, no_grad};
use gradus_nn::Layer;
use gradus_tensor::{DType, Error, Result, Tensor};

use super::{check_image, score, scores_and_gradients};

const OP: &str = "integrated_gradients";
/// Steps of the way that go through the model together.
const TOGETHER: usize = 16;

/// What each pixel had in the score.
#[derive(Clone, Debug)]
pub struct Integrated {
    /// Each value's share of the gain, negative where it spoke against the class: (C, H, W).
    pub shares: Tensor,
    /// The class's score of the image less that of the baseline.
    pub gain: f64,
    /// The sum of the shares: the gain, but for the steps' size.
    pub sum: f64,
}

impl Integrated {
    /// How far the shares are from adding up, as a part of the gain. More steps make it smaller.
    pub fn error(&self) -> f64 {
        (self.sum - self.gain).abs() / self.gain.abs().max(f64::MIN_POSITIVE)
    }

    /// The share of each pixel, all its channels together: (H, W).
    ///
    /// # Errors
    /// There is none.
    pub fn pixels(&self) -> Result<Tensor> {
        self.shares.sum(0, false)
    }
}

/// The shares of `image` (C, H, W) in the class's score over that of `baseline` (the same shape: often a black picture, as the model
/// takes it), by the midpoint rule with so many `steps`. 64 do for most pictures.
///
/// # Errors
/// When image or baseline do not fit the model or each other, there is no such class, or no step.
pub fn integrated_gradients(
    model: &dyn Layer,
    image: &Tensor,
    baseline: &Tensor,
    class: usize,
    steps: usize,
) -> Result<Integrated> {
    check_image(OP, image)?;
    if baseline.dims() != image.dims() {
        let text = format!(
            "the image is {}, the baseline {}",
            image.shape(),
            baseline.shape()
        );
        return Err(Error::shape(OP, text));
    }
    if steps == 0 {
        return Err(Error::value(OP, "0 steps; give 64 or more"));
    }
    let way = image.sub(baseline)?; // (C, H, W)
    let mut sum = Tensor::zeros(image.dims(), image.dtype())?;
    for first in (0..steps).step_by(TOGETHER) {
        let places = (first..steps.min(first + TOGETHER)).map(|i| (i as f64 + 0.5) / steps as f64);
        let places: Vec<f64> = places.collect();
        let places =
            Tensor::from_slice(&places, [places.len(), 1, 1, 1])?.to_dtype(image.dtype())?; // (B, 1, 1, 1)
        let points = way.mul(&places)?.add(baseline)?; // (B, C, H, W)
        let (_, gradients) = scores_and_gradients(OP, model, points, class)?;
        sum = sum.add(&gradients.sum(0, false)?)?;
    }
    let shares = sum.mul_scalar(1.0 / steps as f64)?.mul(&way)?;
    let ends = Tensor::stack(&[image, baseline], 0)?; // (2, C, H, W)
    let ends = no_grad(|| score(OP, &model.forward(&Var::from(ends))?, class))?; // (2)
    let ends = ends.value().to_dtype(DType::F64)?.to_vec::<f64>()?;
    let sum = shares.to_dtype(DType::F64)?.sum(.., false)?.item::<f64>()?;
    Ok(Integrated {
        shares,
        gain: ends[0] - ends[1],
        sum,
    })
}
