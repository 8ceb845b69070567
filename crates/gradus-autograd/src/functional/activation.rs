//! Activations, element by element or along a dimension.

use gradus_tensor::Tensor;
use gradus_tensor::{Error, Result, random};

use crate::var::Var;

/// `max(x, 0)`.
pub fn relu(x: &Var) -> Result<Var> {
    x.relu()
}

/// `min(max(x, 0), 6)`.
pub fn relu6(x: &Var) -> Result<Var> {
    x.relu6()
}

/// `x` above 0, `negative_slope · x` below (PyTorch's default: 0.01).
pub fn leaky_relu(x: &Var, negative_slope: f64) -> Result<Var> {
    x.leaky_relu(negative_slope)
}

/// `x` above 0, `weight · x` below; one weight, or one for each channel (dimension 1; dimension 0 of a vector).
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
    Var::where_(&x.value().gt_scalar(0)?, x, &x.mul(&weight)?)
}

/// `x` above 0, `alpha (eˣ − 1)` below (1).
pub fn elu(x: &Var, alpha: f64) -> Result<Var> {
    x.elu(alpha)
}

/// The scaled exponential unit, which keeps mean and variance.
pub fn selu(x: &Var) -> Result<Var> {
    x.selu()
}

/// `max(x, 0) + min(alpha (e^(x/alpha) − 1), 0)` (1).
pub fn celu(x: &Var, alpha: f64) -> Result<Var> {
    x.celu(alpha)
}

/// `x Φ(x)`; with `tanh`, PyTorch's `approximate="tanh"`.
pub fn gelu(x: &Var, tanh: bool) -> Result<Var> {
    if tanh { x.gelu_tanh() } else { x.gelu() }
}

/// `x · sigmoid(x)`.
pub fn silu(x: &Var) -> Result<Var> {
    x.silu()
}

/// `x · tanh(softplus(x))`.
pub fn mish(x: &Var) -> Result<Var> {
    x.mish()
}

/// `ln(1 + e^(beta x))/beta`, `x` itself where `beta x` is above the threshold (1, 20).
pub fn softplus(x: &Var, beta: f64, threshold: f64) -> Result<Var> {
    x.softplus(beta, threshold)
}

/// `x/(1 + |x|)`.
pub fn softsign(x: &Var) -> Result<Var> {
    x.softsign()
}

/// `x` held between two values (−1, 1).
pub fn hardtanh(x: &Var, min_val: f64, max_val: f64) -> Result<Var> {
    x.hardtanh(min_val, max_val)
}

/// `x · relu6(x + 3)/6`.
pub fn hardswish(x: &Var) -> Result<Var> {
    x.hardswish()
}

/// `relu6(x + 3)/6`.
pub fn hardsigmoid(x: &Var) -> Result<Var> {
    x.hardsigmoid()
}

/// 0 within `lambda` of 0, `x` outside (0.5).
pub fn hardshrink(x: &Var, lambda: f64) -> Result<Var> {
    x.hardshrink(lambda)
}

/// 0 within `lambda` of 0, `x` moved by `lambda` towards 0 outside (0.5).
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
pub fn tanhshrink(x: &Var) -> Result<Var> {
    x.tanhshrink()
}

/// `x` above the threshold, `value` elsewhere.
pub fn threshold(x: &Var, threshold: f64, value: f64) -> Result<Var> {
    x.threshold(threshold, value)
}

/// `1/(1 + e⁻ˣ)`.
pub fn sigmoid(x: &Var) -> Result<Var> {
    x.sigmoid()
}

/// `ln(sigmoid(x))`.
pub fn logsigmoid(x: &Var) -> Result<Var> {
    x.logsigmoid()
}

/// The hyperbolic tangent.
pub fn tanh(x: &Var) -> Result<Var> {
    x.tanh()
}

/// One half along `dim` times the sigmoid of the other (−1).
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
pub fn softmax(x: &Var, dim: isize) -> Result<Var> {
    x.softmax(dim)
}

/// The logarithm of the softmax.
pub fn log_softmax(x: &Var, dim: isize) -> Result<Var> {
    x.log_softmax(dim)
}

/// The softmax of `−x`.
pub fn softmin(x: &Var, dim: isize) -> Result<Var> {
    x.neg()?.softmax(dim)
}

/// Each element 0 with probability `p`, the others divided by `1 − p`, while training; `x` itself otherwise. Draws from
/// the thread's default generator.
///
/// # Errors
/// If `p` is not in `0..=1`.
pub fn dropout(x: &Var, p: f64, training: bool) -> Result<Var> {
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::value(
            "dropout",
            format!("p {p} is not a probability: it must be in 0..=1"),
        ));
    }
    if !training || p == 0.0 {
        return Ok(x.clone());
    }
    if p == 1.0 {
        return x.mul_scalar(0);
    }
    let kept = random::with_default(|rng| Tensor::bernoulli(1.0 - p, x.shape(), x.dtype(), rng))?;
    x.mul(&Var::from(kept.mul_scalar_(1.0 / (1.0 - p))?))
}

/// `x` above 0, `a x` below, with a slope drawn for each element from `lower..upper` while training and the middle of the two
/// otherwise (1/8, 1/3). Draws from the thread's default generator.
///
/// ```
/// # use gradus_autograd::{Var, functional::rrelu};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[2f32, -2.0], 2)?);
/// assert_eq!(rrelu(&x, 0.25, 0.75, false)?.value().to_vec::<f32>()?, [2.0, -1.0]);
/// let y = rrelu(&x, 0.25, 0.75, true)?.value().to_vec::<f32>()?;
/// assert!(y[0] == 2.0 && (-1.5..=-0.5).contains(&y[1]));
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the bounds are no interval or the dtype is not a float.
pub fn rrelu(x: &Var, lower: f64, upper: f64, training: bool) -> Result<Var> {
    if !training {
        return x.leaky_relu((lower + upper) / 2.0);
    }
    let draw = |rng: &mut random::Rng| Tensor::uniform(lower, upper, x.shape(), x.dtype(), rng);
    let slope = Var::from(random::with_default(draw).map_err(|e| e.in_op("rrelu"))?);
    Var::where_(&x.value().gt_scalar(0)?, x, &x.mul(&slope)?)
}

/// Dropout for SELU: dropped elements become its lower limit, and a scale and a shift keep mean and variance (Klambauer et al.
/// 2017). `shape` is that of the mask, which broadcasts over `x`.
///
/// ```
/// # use gradus_autograd::{Var, functional::alpha_dropout};
/// # use gradus_tensor::{DType, Tensor};
/// let x = Var::from(Tensor::zeros(1000, DType::F64)?);
/// let y = alpha_dropout(&x, &[1000], 0.5, true)?.into_value();
/// assert!(y.mean(.., false)?.item::<f64>()?.abs() < 0.2); // still about 0
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If `p` is not in `0..=1` or the mask does not broadcast.
pub fn alpha_dropout(x: &Var, shape: &[usize], p: f64, training: bool) -> Result<Var> {
    const LIMIT: f64 = -1.758_099_340_847_376_6; // -scale · alpha of SELU
    if !(0.0..=1.0).contains(&p) {
        let message = format!("p {p} is not a probability: it must be in 0..=1");
        return Err(Error::value("alpha_dropout", message));
    }
    if !training || p == 0.0 {
        return Ok(x.clone());
    }
    if p == 1.0 {
        return x.mul_scalar(0);
    }
    let kept = random::with_default(|rng| Tensor::bernoulli(1.0 - p, shape, x.dtype(), rng))?;
    let scale = 1.0 / ((1.0 - p) * (1.0 + p * LIMIT * LIMIT)).sqrt();
    let dropped = kept.rsub_scalar(1)?.mul_scalar_(LIMIT * scale)?;
    let shift = dropped.add_scalar_(-LIMIT * scale * p)?;
    x.mul(&Var::from(kept.mul_scalar_(scale)?))?
        .add(&Var::from(shift))
}
