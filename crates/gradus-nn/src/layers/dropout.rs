//! Dropout: in training, some values become 0 and the others grow so that the mean stays. Draws from this thread's default
//! generator. Source: Srivastava et al. 2014; `torch.nn.Dropout`, `Dropout2d`.

use gradus_autograd::Var;
use gradus_tensor::random::with_default;
use gradus_tensor::{Error, Result, Tensor};

use crate::layer::Layer;
use crate::module::{Mode, Module};

/// Zeroes each element with probability `p`.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Dropout, Layer, Module};
/// use gradus_tensor::{DType, Tensor};
/// # fn main() -> gradus_tensor::Result<()> {
/// let mut drop = Dropout::new(0.5);
/// let x = Var::from(Tensor::ones([1000], DType::F32)?);
/// let zeros = drop.forward(&x)?.value().to_vec::<f32>()?.iter().filter(|&&y| y == 0.0).count();
/// assert!((400..600).contains(&zeros));
/// drop.eval();
/// assert_eq!(drop.forward(&x)?.value().to_vec::<f32>()?, vec![1.0; 1000]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Module)]
pub struct Dropout {
    /// The probability of a zero.
    pub p: f64,
    mode: Mode,
}

impl Dropout {
    /// Zeroes with probability `p`; `forward` fails unless `p` is in [0, 1].
    pub fn new(p: f64) -> Self {
        Self {
            p,
            mode: Mode::Training,
        }
    }
}

impl Layer for Dropout {
    fn forward(&self, x: &Var) -> Result<Var> {
        let shape = x.dims().to_vec();
        drop(x, &shape, self.p, self.mode)
    }
}

/// Zeroes whole channels, the first two dimensions' (B, C, …), with probability `p`.
#[derive(Clone, Debug, Module)]
pub struct Dropout2d {
    /// The probability of a zero.
    pub p: f64,
    mode: Mode,
}

impl Dropout2d {
    /// Zeroes channels with probability `p`; `forward` fails unless `p` is in [0, 1].
    pub fn new(p: f64) -> Self {
        Self {
            p,
            mode: Mode::Training,
        }
    }
}

impl Layer for Dropout2d {
    fn forward(&self, x: &Var) -> Result<Var> {
        if x.rank() < 3 {
            return Err(Error::shape(
                "Dropout2d",
                format!(
                    "{} has no channels; it takes (B, C, H, W) or (B, C, L)",
                    x.shape()
                ),
            ));
        }
        let shape: Vec<usize> = x
            .dims()
            .iter()
            .enumerate()
            .map(|(i, &d)| if i < 2 { d } else { 1 })
            .collect();
        drop(x, &shape, self.p, self.mode)
    }
}

/// `x` times a mask of `shape`, which broadcasts over `x`: 0 with probability `p`, else `1 / (1 - p)`.
pub(crate) fn drop(x: &Var, shape: &[usize], p: f64, mode: Mode) -> Result<Var> {
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::value("Dropout", format!("{p} is not a probability")));
    }
    if !mode.is_training() || p == 0.0 {
        return Ok(x.clone());
    }
    let keep = if p < 1.0 { 1.0 / (1.0 - p) } else { 0.0 };
    let mut mask = Tensor::zeros(shape, gradus_tensor::DType::Bool)?;
    mask.with_mut_slice::<bool, _>(|mask| with_default(|rng| rng.fill_bernoulli(mask, 1.0 - p)))?;
    x.mul(&Var::from(mask.to_dtype(x.dtype())?.mul_scalar_(keep)?))
}
