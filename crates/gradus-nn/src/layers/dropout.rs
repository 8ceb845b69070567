//! Dropout: in training, some values become 0 and the others grow so that the mean stays. Draws from this thread's default
//! generator. Source: Srivastava et al. 2014; the names are `torch.nn`'s.

use gradus_autograd::{Var, functional as F};
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

/// Layers that drop whole channels, one for each number of dimensions; they differ in what they accept.
macro_rules! of_channels {
    ($($(#[$doc:meta])* $name:ident, $ranks:pat, $accepts:literal, $lead:literal, $drop:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Module)]
        pub struct $name {
            /// The probability of dropping a channel.
            pub p: f64,
            mode: Mode,
        }

        impl $name {
            /// Drops channels with probability `p`; `forward` fails unless `p` is in [0, 1].
            pub fn new(p: f64) -> Self {
                Self { p, mode: Mode::Training }
            }
        }

        impl Layer for $name {
            fn forward(&self, x: &Var) -> Result<Var> {
                if !matches!(x.rank(), $ranks) {
                    let message = format!("{} has no channels; it takes {}", x.shape(), $accepts);
                    return Err(Error::shape(stringify!($name), message));
                }
                // A mask for each channel of each sample; without a batch the channels come first.
                let lead = if x.rank() == $lead { 1 } else { 2 };
                let sizes = x.dims().iter().enumerate();
                let shape: Vec<usize> = sizes.map(|(i, &d)| if i < lead { d } else { 1 }).collect();
                $drop(x, &shape, self.p, self.mode)
            }
        }
    )*};
}

of_channels! {
    /// Zeroes whole channels of (B, C, L) or (C, L) with probability `p`.
    Dropout1d, 2..=3, "(B, C, L) or (C, L)", 2, drop;
    /// Zeroes whole channels, the first two dimensions' (B, C, …), with probability `p`.
    Dropout2d, 3.., "(B, C, H, W) or (B, C, L)", 0, drop;
    /// Zeroes whole channels of (B, C, D, H, W) or (C, D, H, W) with probability `p`.
    Dropout3d, 4..=5, "(B, C, D, H, W) or (C, D, H, W)", 4, drop;
    /// [`AlphaDropout`] of whole channels, the first two dimensions' (B, C, …).
    FeatureAlphaDropout, 2.., "(B, C, …)", 0, alpha;
}

/// Dropout that keeps mean and variance of what SELU gives (Klambauer et al. 2017, arXiv:1706.02515).
#[derive(Clone, Debug, Module)]
pub struct AlphaDropout {
    /// The probability of dropping an element.
    pub p: f64,
    mode: Mode,
}

impl AlphaDropout {
    /// Drops with probability `p`; `forward` fails unless `p` is in [0, 1].
    pub fn new(p: f64) -> Self {
        Self {
            p,
            mode: Mode::Training,
        }
    }
}

impl Layer for AlphaDropout {
    fn forward(&self, x: &Var) -> Result<Var> {
        alpha(x, x.dims(), self.p, self.mode)
    }
}

fn alpha(x: &Var, shape: &[usize], p: f64, mode: Mode) -> Result<Var> {
    F::alpha_dropout(x, shape, p, mode.is_training())
}

/// `x` times a mask of `shape`, which broadcasts over `x`: 0 with probability `p`, else `1 / (1 - p)`.
pub(crate) fn drop(x: &Var, shape: &[usize], p: f64, mode: Mode) -> Result<Var> {
    check_p("Dropout", p)?;
    if !mode.is_training() || p == 0.0 {
        return Ok(x.clone());
    }
    let keep = if p < 1.0 { 1.0 / (1.0 - p) } else { 0.0 };
    let mask = with_default(|rng| Tensor::bernoulli(1.0 - p, shape, x, rng))?;
    x.mul(&Var::from(mask.mul_scalar_(keep)?))
}

/// Refuses what is not a probability.
pub(crate) fn check_p(op: &'static str, p: f64) -> Result<()> {
    if (0.0..=1.0).contains(&p) {
        return Ok(());
    }
    let message = format!("dropout {p} is not a probability; it must be in 0..=1");
    Err(Error::value(op, message))
}
