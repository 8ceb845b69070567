//! Functions with chance in them: dropout and its kin, and ReLU with random slopes. They draw from the thread's default generator.

use gradus_tensor::{Error, Result, Tensor, random};

use crate::var::Var;

/// Each element 0 with probability `p`, the others divided by `1 − p`, while training; `x` itself otherwise. Draws from
/// the thread's default generator.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::{DType, Tensor};
/// let x = Var::from(Tensor::ones(1000, DType::F64)?);
/// let y = F::dropout(&x, 0.5, true)?.value().to_vec::<f64>()?;
/// assert!(y.iter().all(|&y| y == 0.0 || y == 2.0)); // the mean stays
/// assert_eq!(F::dropout(&x, 0.5, false)?.value().to_vec::<f64>()?, vec![1.0; 1000]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
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
    let kept = random::with_default(|rng| Tensor::bernoulli(1.0 - p, x.shape(), x, rng))?;
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
        return x.leaky_relu(f64::midpoint(lower, upper));
    }
    let draw = |rng: &mut random::Rng| Tensor::uniform(lower, upper, x.shape(), x, rng);
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
    let kept = random::with_default(|rng| Tensor::bernoulli(1.0 - p, shape, x, rng))?;
    let scale = 1.0 / ((1.0 - p) * (1.0 + p * LIMIT * LIMIT)).sqrt();
    let dropped = kept.rsub_scalar(1)?.mul_scalar_(LIMIT * scale)?;
    let shift = dropped.add_scalar_(-LIMIT * scale * p)?;
    x.mul(&Var::from(kept.mul_scalar_(scale)?))?
        .add(&Var::from(shift))
}
