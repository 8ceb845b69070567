//! Gradient clipping: the norm of all gradients together, or each value, held to a limit.
//! It is not scaling for mixed precision. Source: `torch.nn.utils.clip_grad_norm_` and `clip_grad_value_`.

use gradus_autograd::Gradients;
use gradus_tensor::{DType, Device, Error, Result, Tensor};

/// The p-norm of all gradients as one vector; `f64::INFINITY` gives the largest absolute value. Summed in f64, and NaN if
/// any of them is.
///
/// # Errors
/// When `p` is not positive.
pub fn grad_norm(gradients: &Gradients, p: f64) -> Result<f64> {
    if p.is_nan() || p <= 0.0 {
        return Err(Error::value(
            "grad_norm",
            format!("p is {p}, and must be positive"),
        ));
    }
    let mut total = 0.0_f64;
    let mut there: Vec<&Tensor> = Vec::new(); // on a GPU, which is read once for all of them
    for (_, grad) in gradients.iter() {
        if p == 2.0 && grad.device() != Device::Cpu {
            there.push(grad);
            continue;
        }
        if grad.device() != Device::Cpu {
            let norm = grad.norm(p, .., false)?.to_f64()?;
            total = if p == f64::INFINITY && !norm.is_nan() {
                total.max(norm)
            } else {
                total + norm.powf(p)
            };
            continue;
        }
        if p == 2.0 {
            total += gradus_tensor::optim::sum_of_squares(grad)?;
            continue;
        }
        let values = grad.to_dtype(DType::F64)?.contiguous()?;
        let values = values.as_slice::<f64>().unwrap_or(&[]);
        total = if p == f64::INFINITY {
            values.iter().fold(total, |most, x| {
                if x.abs() > most || x.is_nan() {
                    x.abs()
                } else {
                    most
                }
            })
        } else {
            total + values.iter().map(|x| x.abs().powf(p)).sum::<f64>()
        };
    }
    if !there.is_empty() {
        total += gradus_tensor::optim::norm_of_all(&there)?.powi(2);
    }
    Ok(if p == f64::INFINITY {
        total
    } else {
        total.powf(1.0 / p)
    })
}

/// Scales all gradients so that their p-norm together is at most `max_norm`; returns what it was before.
/// Where it is not finite, the gradients become NaN as in PyTorch: look at what is returned, and skip the step.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::clip_grad_norm;
/// use gradus_tensor::Tensor;
/// # fn main() -> gradus_tensor::Result<()> {
/// let x = Var::leaf(Tensor::from_slice(&[3.0_f32, 4.0], [2])?)?;
/// let mut gradients = x.square()?.sum(.., false)?.backward()?; // (6, 8)
/// assert_eq!(clip_grad_norm(&mut gradients, 5.0, 2.0)?, 10.0);
/// let clipped = gradients.get(&x).unwrap().to_vec::<f32>()?;
/// assert!((clipped[0] - 3.0).abs() < 1e-5 && (clipped[1] - 4.0).abs() < 1e-5);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When `max_norm` is negative or NaN, or `p` is not positive.
pub fn clip_grad_norm(gradients: &mut Gradients, max_norm: f64, p: f64) -> Result<f64> {
    if max_norm.is_nan() || max_norm < 0.0 {
        let message = format!("max_norm is {max_norm}, and must be 0 or more");
        return Err(Error::value("clip_grad_norm", message));
    }
    let norm = grad_norm(gradients, p)?;
    let scale = max_norm / (norm + 1e-6);
    if scale < 1.0 || scale.is_nan() {
        for (_, grad) in gradients.iter_mut() {
            let nothing = Tensor::zeros([0], &*grad)?;
            *grad = std::mem::replace(grad, nothing).mul_scalar_(scale)?; // in place: nobody else holds a gradient
        }
    }
    Ok(norm)
}

/// Holds each value of each gradient within `-limit` and `limit`.
///
/// # Errors
/// When `limit` is negative or NaN.
pub fn clip_grad_value(gradients: &mut Gradients, limit: f64) -> Result<()> {
    if limit.is_nan() || limit < 0.0 {
        return Err(Error::value(
            "clip_grad_value",
            format!("the limit is {limit}, and must be 0 or more"),
        ));
    }
    for (_, grad) in gradients.iter_mut() {
        *grad = grad.clamp(Some(-limit), Some(limit))?;
    }
    Ok(())
}
