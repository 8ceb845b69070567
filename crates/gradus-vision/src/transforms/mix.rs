//! Mixup and CutMix: two samples of a batch become one, and so do their labels.
//!
//! Sources: Zhang et al. 2017 (arXiv:1710.09412), Yun et al. 2019 (arXiv:1905.04899), and torchvision's `v2.MixUp` and `v2.CutMix`: one
//! draw for a batch, each sample mixed with the one before it (the first with the last). Labels i64 (B) become probabilities f32
//! (B, classes), which `cross_entropy` takes as they are.

use gradus_tensor::{DType, Tensor};
use gradus_train::error::invalid;
use gradus_train::{Dataset, Dice, Draw, Result};

/// How a batch is mixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mix {
    /// Pixels are averaged: `λ x + (1 - λ) x'` with λ from Beta(α, α).
    MixUp {
        /// α: near 0 hardly mixes, 1 mixes evenly.
        alpha: f32,
    },
    /// A rectangle of the other image is pasted in; λ is what is left.
    CutMix {
        /// α, for the rectangle's part of the area.
        alpha: f32,
    },
    /// One of the two for each batch, by the toss of a coin.
    Either {
        /// α of mixup.
        mixup: f32,
        /// α of CutMix.
        cutmix: f32,
    },
}

impl Mix {
    /// Images (B, C, H, W) and labels i64 (B) to images and probabilities f32 (B, classes).
    ///
    /// ```
    /// use gradus_tensor::{DType, Tensor};
    /// use gradus_train::Draw;
    /// use gradus_vision::transforms::mix::Mix;
    /// let images = Tensor::arange(0, 4, 1, DType::F32)?.reshape([4, 1, 1, 1])?;
    /// let labels = Tensor::from_slice(&[0i64, 1, 0, 1], [4])?;
    /// let (mixed, soft) = Mix::MixUp { alpha: 1.0 }.apply(&images, &labels, 2, &mut Draw::new(7))?;
    /// assert_eq!((mixed.dims(), soft.dims()), (&[4, 1, 1, 1][..], &[4, 2][..]));
    /// assert_eq!(soft.sum(1, false)?.to_vec::<f32>()?, [1.0; 4]);
    /// # Ok::<(), gradus_train::Error>(())
    /// ```
    ///
    /// # Errors
    /// When α is not above 0, images are not (B, C, H, W), or a label is not below `classes`.
    pub fn apply(
        self,
        images: &Tensor,
        labels: &Tensor,
        classes: usize,
        draw: &mut Draw,
    ) -> Result<(Tensor, Tensor)> {
        let &[batch, _, height, width] = images.dims() else {
            let shape = images.dims();
            return Err(invalid(format!(
                "Mix: images of {shape:?} are not (B, C, H, W)"
            )));
        };
        if labels.dims() != [batch] {
            let shape = labels.dims();
            return Err(invalid(format!(
                "Mix: labels of {shape:?} for {batch} images"
            )));
        }
        let (is_mixup, alpha) = match self {
            Self::MixUp { alpha } => (true, alpha),
            Self::CutMix { alpha } => (false, alpha),
            Self::Either { mixup, cutmix } => {
                if draw.chance(0.5) {
                    (true, mixup)
                } else {
                    (false, cutmix)
                }
            }
        };
        if !(alpha.is_finite() && alpha > 0.0) {
            return Err(invalid(format!("Mix: alpha {alpha} must be above 0")));
        }
        let lambda = beta(alpha, draw);
        let hot = one_hot(labels, classes)?; // (B, classes)
        if is_mixup {
            let mixed = blend(images, lambda)?;
            return Ok((mixed, blend(&hot, lambda)?));
        }
        // A rectangle of (1 - λ) of the area about a random point, cut where it leaves the image.
        let r = 0.5 * (1.0 - lambda).sqrt();
        let side = |size: usize, draw: &mut Draw| {
            let (middle, half) = (draw.below(size as u64) as usize, (r * size as f32) as usize);
            (middle.saturating_sub(half), (middle + half).min(size))
        };
        let ((left, right), (top, bottom)) = (side(width, draw), side(height, draw));
        let area = (right - left) * (bottom - top);
        let lambda = 1.0 - area as f32 / (height * width).max(1) as f32;
        let mixed = paste(images, [top, bottom, left, right])?;
        Ok((mixed, blend(&hot, lambda)?))
    }
}

/// The batch, each sample λ of itself and the rest of the one before it.
fn blend(x: &Tensor, lambda: f32) -> Result<Tensor> {
    let rolled = x.roll(&[1], 0)?;
    let other = rolled.mul_scalar(1.0 - lambda)?;
    x.mul_scalar(lambda)?.add(&other)
}

/// The batch with a rectangle of each sample taken from the one before it.
fn paste(x: &Tensor, [top, bottom, left, right]: [usize; 4]) -> Result<Tensor> {
    let [batch, channels, height, width] = [0, 1, 2, 3].map(|d| x.dims()[d]);
    let from = x.to_vec::<f32>()?;
    let mut to = from.clone();
    let sample = channels * height * width;
    for n in 0..batch {
        let before = (n + batch - 1) % batch;
        for c in 0..channels {
            for y in top..bottom {
                let row = (c * height + y) * width;
                let (a, b) = (n * sample + row, before * sample + row);
                to[a + left..a + right].copy_from_slice(&from[b + left..b + right]);
            }
        }
    }
    Tensor::from_vec(to, x.dims())
}

fn one_hot(labels: &Tensor, classes: usize) -> Result<Tensor> {
    let labels = labels.to_vec::<i64>()?;
    let mut hot = vec![0.0f32; labels.len() * classes];
    for (row, &label) in labels.iter().enumerate() {
        let place = usize::try_from(label).ok().filter(|&l| l < classes);
        let place = place.ok_or_else(|| {
            invalid(format!(
                "Mix: label {label} is not among the {classes} classes"
            ))
        })?;
        hot[row * classes + place] = 1.0;
    }
    Tensor::from_vec(hot, [labels.len(), classes])
}

/// A draw from Beta(α, α): what one of two gamma draws has of their sum.
fn beta(alpha: f32, draw: &mut Draw) -> f32 {
    if alpha == 1.0 {
        return draw.uniform();
    }
    let (a, b) = (gamma(alpha, draw), gamma(alpha, draw));
    if a + b > 0.0 { a / (a + b) } else { 0.5 }
}

/// A draw from Gamma(α, 1), by Marsaglia and Tsang (2000); below 1 by a draw of α + 1 and a power.
fn gamma(alpha: f32, draw: &mut Draw) -> f32 {
    if alpha < 1.0 {
        let power = (1.0 - draw.uniform()).powf(1.0 / alpha);
        return gamma(alpha + 1.0, draw) * power;
    }
    let d = alpha - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(draw);
        let v = (1.0 + c * x).powi(3);
        let u = 1.0 - draw.uniform(); // in (0, 1]
        if v > 0.0 && u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// A standard normal draw, by Box and Muller.
pub(super) fn normal(draw: &mut Draw) -> f32 {
    let (u, v) = (1.0 - draw.uniform(), draw.uniform()); // u in (0, 1]
    (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
}

/// A data set whose batches are mixed, or not.
///
/// What is drawn for a batch is drawn from the seed, the epoch and the batch's first sample.
pub struct Mixed<D> {
    data: D,
    mix: Option<Mix>,
    classes: usize,
}

impl<D: Dataset<Batch = (Tensor, Tensor)>> Mixed<D> {
    /// The batches of `data`, whose labels are below `classes`, mixed; as they are without a mix.
    pub fn new(data: D, mix: Option<Mix>, classes: usize) -> Self {
        Self { data, mix, classes }
    }
}

impl<D: Dataset<Batch = (Tensor, Tensor)>> Dataset for Mixed<D> {
    type Batch = (Tensor, Tensor);

    fn len(&self) -> usize {
        self.data.len()
    }

    fn batch(&self, indices: &[usize], dice: Dice) -> Result<Self::Batch> {
        let (images, labels) = self.data.batch(indices, dice)?;
        let Some(mix) = self.mix else {
            return Ok((images, labels));
        };
        let first = indices.first().copied().unwrap_or(0);
        // Not the sample's own dice, which its transforms have thrown.
        let mut draw = Draw::new(dice.sample(first).next_u64() ^ 0x006d_6978);
        let images = images.to_dtype(DType::F32)?;
        mix.apply(&images, &labels, self.classes, &mut draw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> (Tensor, Tensor) {
        // Sample n is filled with n.
        let pixels = (0..4 * 2 * 6 * 8).map(|i| (i / 96) as f32).collect();
        let images = Tensor::from_vec(pixels, [4, 2, 6, 8]).unwrap();
        (images, Tensor::from_slice(&[2i64, 0, 1, 2], [4]).unwrap())
    }

    #[test]
    fn labels_say_how_much_of_each_image_there_is() {
        let (images, labels) = batch();
        for seed in 0..40 {
            for mix in [Mix::MixUp { alpha: 0.4 }, Mix::CutMix { alpha: 1.0 }] {
                let (mixed, soft) = mix
                    .apply(&images, &labels, 3, &mut Draw::new(seed))
                    .unwrap();
                let soft = soft.to_vec::<f32>().unwrap();
                let mixed = mixed.to_vec::<f32>().unwrap();
                // Sample 2 (filled with 2, class 1) is mixed with sample 1 (filled with 1, class 0).
                let mean = mixed[2 * 96..3 * 96].iter().sum::<f32>() / 96.0;
                assert!(
                    (mean - (2.0 * soft[7] + soft[6])).abs() < 1e-5,
                    "{mix:?} {mean}"
                );
                assert!((soft[7] + soft[6] - 1.0).abs() < 1e-6);
                // Sample 0 (class 2) with the last (class 2).
                assert!((soft[2] - 1.0).abs() < 1e-6);
                if let Mix::CutMix { .. } = mix {
                    assert!(mixed.iter().all(|v| v.fract() == 0.0));
                }
            }
        }
        let draw = &mut Draw::new(1);
        assert!(
            Mix::MixUp { alpha: 0.0 }
                .apply(&images, &labels, 3, draw)
                .is_err()
        );
        let few = Mix::MixUp { alpha: 1.0 }.apply(&images, &labels, 2, draw);
        assert!(
            few.unwrap_err()
                .to_string()
                .contains("label 2 is not among the 2")
        );
    }

    #[test]
    fn beta_has_its_mean_and_variance() {
        for alpha in [0.2f32, 1.0, 4.0] {
            let draw = &mut Draw::new(5);
            let draws: Vec<f64> = (0..20_000).map(|_| f64::from(beta(alpha, draw))).collect();
            let mean = draws.iter().sum::<f64>() / 20_000.0;
            let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
            let want = 1.0 / (4.0 * (2.0 * f64::from(alpha) + 1.0));
            assert!((mean - 0.5).abs() < 0.01, "{alpha}: {mean}");
            assert!(
                (variance / want - 1.0).abs() < 0.05,
                "{alpha}: {variance} {want}"
            );
        }
    }
}
