//! Gradient clipping: the norm of all gradients together, or each value, held to a limit.
//! It is not scaling for mixed precision. Source: `torch.nn.utils.clip_grad_norm_` and `clip_grad_value_`.

use gradus_autograd::Gradients;
use gradus_tensor::{DType, Device, Error, Result, Tensor};

/// The p-norm of all gradients as one vector; `f64::INFINITY` gives the largest absolute value. Summed in f64, on a GPU in f32, and NaN if
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
    let largest = p == f64::INFINITY;
    let mut total = 0.0_f64;
    let mut there: Vec<&Tensor> = Vec::new(); // on a GPU, which is read once for all of them
    for (_, grad) in gradients.iter() {
        let on_cpu = grad.device() == Device::Cpu;
        let part = match p {
            2.0 if on_cpu => gradus_tensor::optim::sum_of_squares(grad)?,
            2.0 => {
                there.push(grad);
                continue;
            }
            _ if !on_cpu => {
                let norm = grad.norm(p, .., false)?.to_f64()?;
                if largest { norm } else { norm.powf(p) }
            }
            _ => {
                let values = grad.to_dtype(DType::F64)?.contiguous()?;
                let values = values.as_slice::<f64>().unwrap_or(&[]).iter();
                let magnitudes = values.map(|x| x.abs());
                if largest {
                    magnitudes.fold(0.0, larger)
                } else {
                    magnitudes.map(|x| x.powf(p)).sum()
                }
            }
        };
        total = if largest {
            larger(total, part)
        } else {
            total + part
        };
    }
    if !there.is_empty() {
        total += gradus_tensor::optim::norm_of_all(&there)?.powi(2);
    }
    Ok(if largest { total } else { total.powf(1.0 / p) })
}

/// The larger of two; NaN if one of them is.
fn larger(a: f64, b: f64) -> f64 {
    if b > a || b.is_nan() { b } else { a }
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
    clip_grad_norm_(gradients, max_norm, p)?.to_f64()
}

/// [`clip_grad_norm`] for who need not know the norm now: f32 gradients on one GPU are scaled there, and their 2-norm is a number that stays
/// there, so the host does not wait (PyTorch's `clip_grad_norm_`, which returns a tensor). Others have theirs as f64 on the CPU.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::clip_grad_norm_;
/// use gradus_tensor::Tensor;
/// # fn main() -> gradus_tensor::Result<()> {
/// let x = Var::leaf(Tensor::from_slice(&[3.0_f32, 4.0], [2])?)?;
/// let mut gradients = x.square()?.sum(.., false)?.backward()?; // (6, 8)
/// let norm = clip_grad_norm_(&mut gradients, 5.0, 2.0)?;
/// assert_eq!(norm.to_f64()?, 10.0);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`clip_grad_norm`].
pub fn clip_grad_norm_(gradients: &mut Gradients, max_norm: f64, p: f64) -> Result<Tensor> {
    if max_norm.is_nan() || max_norm < 0.0 {
        let message = format!("max_norm is {max_norm}, and must be 0 or more");
        return Err(Error::value("clip_grad_norm", message));
    }
    let there = |x: &Tensor| x.device() != Device::Cpu && x.dtype() == DType::F32;
    if p == 2.0 && gradients.iter().next().is_some() && gradients.iter().all(|(_, x)| there(x)) {
        let mut all: Vec<&mut Tensor> = gradients.iter_mut().map(|(_, x)| x).collect();
        return gradus_tensor::optim::clip_norm_of_all(&mut all, max_norm);
    }
    let norm = grad_norm(gradients, p)?;
    let scale = max_norm / (norm + 1e-6);
    if scale < 1.0 || scale.is_nan() {
        for (_, grad) in gradients.iter_mut() {
            let nothing = Tensor::zeros([0], &*grad)?;
            *grad = std::mem::replace(grad, nothing).mul_scalar_(scale)?; // in place: nobody else holds a gradient
        }
    }
    Tensor::full((), norm, DType::F64)
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

#[cfg(test)]
mod tests {
    use super::*;
    use gradus_autograd::Var;

    /// The gradients of three leaves: these numbers, one each.
    fn of(numbers: [f64; 3]) -> Result<Gradients> {
        let mut sum = Var::from(Tensor::scalar(0.0));
        for x in numbers {
            sum = sum.add(&Var::leaf(Tensor::scalar(1.0))?.mul_scalar(x)?)?;
        }
        sum.backward_once()
    }

    #[test]
    fn norms_join_all_gradients_and_keep_nan() -> Result<()> {
        for (p, norm) in [(1.0, 9.0), (2.0, 41f64.sqrt()), (f64::INFINITY, 5.0)] {
            let got = grad_norm(&of([-4.0, 0.0, 5.0])?, p)?;
            assert!((got - norm).abs() < 1e-12, "{p}: {got}");
            // Wherever it stands, and whatever comes after it.
            for at in 0..3 {
                let mut numbers = [-4.0, 0.0, 5.0];
                numbers[at] = f64::NAN;
                assert!(grad_norm(&of(numbers)?, p)?.is_nan(), "{p}, {at}");
            }
        }
        Ok(())
    }
}
