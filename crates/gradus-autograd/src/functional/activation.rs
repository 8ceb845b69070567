//! Activations, element by element or along a dimension.

use gradus_tensor::{Error, Result};

use crate::var::Var;

/// `max(x, 0)`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// assert_eq!(F::relu(&x)?.value().to_vec::<f64>()?, [0.0, 0.5, 3.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn relu(x: &Var) -> Result<Var> {
    x.relu()
}

/// `min(max(x, 0), 6)`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// assert_eq!(F::relu6(&x)?.value().to_vec::<f64>()?, [0.0, 0.5, 3.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn relu6(x: &Var) -> Result<Var> {
    x.relu6()
}

/// `x` above 0, `negative_slope · x` below (PyTorch's default: 0.01).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// assert_eq!(F::leaky_relu(&x, 0.5)?.value().to_vec::<f64>()?, [-1.0, 0.5, 3.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn leaky_relu(x: &Var, negative_slope: f64) -> Result<Var> {
    x.leaky_relu(negative_slope)
}

/// `x` above 0, `weight · x` below; one weight, or one for each channel (dimension 1; dimension 0 of a vector).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let w = Var::from(Tensor::from_slice(&[0.25], 1)?);
/// assert_eq!(F::prelu(&x, &w)?.value().to_vec::<f64>()?, [-0.5, 0.5, 3.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the weight has neither one element nor one for each channel.
pub fn prelu(x: &Var, weight: &Var) -> Result<Var> {
    let weight = if weight.numel() == 1 {
        weight.reshape(vec![1isize; x.rank()])?
    } else {
        let dim = usize::from(x.rank() > 1);
        if weight.rank() != 1 || x.dims().get(dim) != Some(&weight.numel()) {
            return Err(Error::shape(
                "prelu",
                format!(
                    "weight {} for an input of shape {}: one number, or one for each channel",
                    weight.shape(),
                    x.shape()
                ),
            ));
        }
        let mut shape = vec![1isize; x.rank()];
        shape[dim] = -1;
        weight.reshape(shape)?
    };
    // Masked before the product, whose gradient would be 0 · ∞ where x is ∞.
    let up = x.value().gt_scalar(0)?;
    Var::where_(&up, x, &x.masked_fill(&up, 0)?.mul(&weight)?)
}

/// `x` above 0, `alpha (eˣ − 1)` below (1).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::elu(&x, 1.0)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-0.864665, 0.5, 3.0], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn elu(x: &Var, alpha: f64) -> Result<Var> {
    x.elu(alpha)
}

/// The scaled exponential unit, which keeps mean and variance.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::selu(&x)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-1.520166, 0.52535, 3.152103], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn selu(x: &Var) -> Result<Var> {
    x.selu()
}

/// `max(x, 0) + min(alpha (e^(x/alpha) − 1), 0)` (1).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::celu(&x, 2.0)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-1.264241, 0.5, 3.0], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn celu(x: &Var, alpha: f64) -> Result<Var> {
    x.celu(alpha)
}

/// `x Φ(x)`; with `tanh`, PyTorch's `approximate="tanh"`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::gelu(&x, false)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-0.0455, 0.345731, 2.99595], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn gelu(x: &Var, tanh: bool) -> Result<Var> {
    if tanh { x.gelu_tanh() } else { x.gelu() }
}

/// `x · sigmoid(x)`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::silu(&x)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-0.238406, 0.31123, 2.857722], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn silu(x: &Var) -> Result<Var> {
    x.silu()
}

/// `x · tanh(softplus(x))`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::mish(&x)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-0.252501, 0.375245, 2.986535], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn mish(x: &Var) -> Result<Var> {
    x.mish()
}

/// `ln(1 + e^(beta x))/beta`, `x` itself where `beta x` is above the threshold (1, 20).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::softplus(&x, 1.0, 20.0)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.126928, 0.974077, 3.048587], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn softplus(x: &Var, beta: f64, threshold: f64) -> Result<Var> {
    x.softplus(beta, threshold)
}

/// `x/(1 + |x|)`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::softsign(&x)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-0.666667, 0.333333, 0.75], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn softsign(x: &Var) -> Result<Var> {
    x.softsign()
}

/// `x` held between two values (−1, 1).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// assert_eq!(F::hardtanh(&x, -1.0, 1.0)?.value().to_vec::<f64>()?, [-1.0, 0.5, 1.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; an error if `min_val` is above `max_val`.
pub fn hardtanh(x: &Var, min_val: f64, max_val: f64) -> Result<Var> {
    x.hardtanh(min_val, max_val)
}

/// `x · relu6(x + 3)/6`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::hardswish(&x)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-0.333333, 0.291667, 3.0], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn hardswish(x: &Var) -> Result<Var> {
    x.hardswish()
}

/// `relu6(x + 3)/6`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::hardsigmoid(&x)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.166667, 0.583333, 1.0], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn hardsigmoid(x: &Var) -> Result<Var> {
    x.hardsigmoid()
}

/// 0 within `lambda` of 0, `x` outside (0.5).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// assert_eq!(F::hardshrink(&x, 1.0)?.value().to_vec::<f64>()?, [-2.0, 0.0, 3.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn hardshrink(x: &Var, lambda: f64) -> Result<Var> {
    x.hardshrink(lambda)
}

/// 0 within `lambda` of 0, `x` moved by `lambda` towards 0 outside (0.5).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// assert_eq!(F::softshrink(&x, 1.0)?.value().to_vec::<f64>()?, [-1.0, 0.0, 2.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If `lambda` is negative, or the dtype is not a float.
pub fn softshrink(x: &Var, lambda: f64) -> Result<Var> {
    if lambda < 0.0 {
        return Err(Error::value(
            "softshrink",
            format!("lambda {lambda} must not be negative"),
        ));
    }
    x.softshrink(lambda)
}

/// `x − tanh(x)`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::tanhshrink(&x)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-1.035972, 0.037883, 2.004945], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn tanhshrink(x: &Var) -> Result<Var> {
    x.tanhshrink()
}

/// `x` above the threshold, `value` elsewhere.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// assert_eq!(F::threshold(&x, 1.0, 9.0)?.value().to_vec::<f64>()?, [9.0, 9.0, 3.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn threshold(x: &Var, threshold: f64, value: f64) -> Result<Var> {
    x.threshold(threshold, value)
}

/// `1/(1 + e⁻ˣ)`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::sigmoid(&x)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.119203, 0.622459, 0.952574], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn sigmoid(x: &Var) -> Result<Var> {
    x.sigmoid()
}

/// `ln(sigmoid(x))`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::logsigmoid(&x)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-2.126928, -0.474077, -0.048587], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn logsigmoid(x: &Var) -> Result<Var> {
    x.logsigmoid()
}

/// The hyperbolic tangent.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::tanh(&x)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-0.964028, 0.462117, 0.995055], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// Any shape; a float dtype, or an error that names it.
pub fn tanh(x: &Var) -> Result<Var> {
    x.tanh()
}

/// One half along `dim` times the sigmoid of the other (−1).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[2.0, 4.0, 0.0, 0.0], 4)?);
/// assert_eq!(F::glu(&x, 0)?.value().to_vec::<f64>()?, [1.0, 2.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If there is no such dimension or its size is odd.
pub fn glu(x: &Var, dim: isize) -> Result<Var> {
    let n = x.dim(dim)?;
    if n % 2 != 0 {
        return Err(Error::shape(
            "glu",
            format!("dimension {dim} of {} is not even", x.shape()),
        ));
    }
    x.narrow(dim, 0, n / 2)?
        .mul(&x.narrow(dim, n as i64 / 2, n / 2)?.sigmoid()?)
}

/// `eˣ / Σ eˣ` along `dim`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::softmax(&x, 0)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.006188, 0.075389, 0.918423], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If there is no such dimension, or the dtype is not a float.
pub fn softmax(x: &Var, dim: isize) -> Result<Var> {
    x.softmax(dim)
}

/// The logarithm of the softmax.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::log_softmax(&x, 0)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[-5.085097, -2.585097, -0.085097], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If there is no such dimension, or the dtype is not a float.
pub fn log_softmax(x: &Var, dim: isize) -> Result<Var> {
    x.log_softmax(dim)
}

/// The softmax of `−x`.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[-2.0, 0.5, 3.0], 3)?);
/// let y = F::softmin(&x, 0)?.value().flatten(0, -1)?;
/// assert!(y.allclose(&Tensor::from_slice(&[0.918423, 0.075389, 0.006188], 3)?, 1e-5, 1e-6, false)?);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If there is no such dimension, or the dtype is not a float.
pub fn softmin(x: &Var, dim: isize) -> Result<Var> {
    x.neg()?.softmax(dim)
}
