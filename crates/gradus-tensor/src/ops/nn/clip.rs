//! The norm of several tensors together, and scaling them down to one: what gradient clipping is made of.

use gradus_cpu::optim;

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// √Σ x² over all elements of several tensors: on a GPU in one launch for all f32 of them, in f32; else added up in f64.
///
/// ```
/// use gradus_tensor::{Tensor, optim::norm_of_all};
/// let (a, b) = (Tensor::from_slice(&[3f32], 1)?, Tensor::from_slice(&[0f32, 4.0], 2)?);
/// assert_eq!(norm_of_all(&[&a, &b])?, 5.0);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// The elements are not floats.
pub fn norm_of_all(tensors: &[&Tensor]) -> Result<f64> {
    #[cfg(feature = "cuda")]
    if tensors
        .iter()
        .all(|x| x.is_cuda() && x.dtype() == DType::F32)
        && !tensors.is_empty()
    {
        return crate::cuda::optim::norm("norm_of_all", tensors)?.to_f64();
    }
    let mut sum = 0.0;
    for x in tensors {
        sum += sum_of_squares(x)?;
    }
    Ok(sum.sqrt())
}

/// The sum of the squares of all elements, added up in f64 whatever the dtype.
///
/// ```
/// use gradus_tensor::{Tensor, optim::sum_of_squares};
/// assert_eq!(sum_of_squares(&Tensor::from_slice(&[3f32, 4.0], 2)?)?, 25.0);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// The elements are not floats.
pub fn sum_of_squares(x: &Tensor) -> Result<f64> {
    let op = "sum_of_squares";
    on_cuda!([x] => {
        let norm = x.norm(2.0, .., false).map_err(|e| e.in_op(op))?.to_f64()?;
        Ok(norm * norm)
    });
    let x = x.contiguous()?;
    dispatch!(float x.dtype(), T => Ok(optim::sum_of_squares(x.data::<T>(op)?)), else {
        Err(Error::dtype(op, format!("{} is not a float", x.dtype())))
    })
}

/// Scales all elements of several tensors so that [`norm_of_all`] is at most `max_norm`, and returns what it was, a single number. f32
/// tensors on a GPU are scaled there, and the number stays there: the host does not wait.
///
/// ```
/// use gradus_tensor::{Tensor, optim::clip_norm_of_all};
/// let (mut a, mut b) = (Tensor::from_slice(&[3f32], 1)?, Tensor::from_slice(&[0f32, 4.0], 2)?);
/// assert_eq!(clip_norm_of_all(&mut [&mut a, &mut b], 1.0)?.to_f64()?, 5.0);
/// assert!((b.to_vec::<f32>()?[1] - 0.8).abs() < 1e-6);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// The elements are not floats.
pub fn clip_norm_of_all(tensors: &mut [&mut Tensor], max_norm: f64) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if tensors
        .iter()
        .all(|x| x.is_cuda() && x.dtype() == DType::F32)
        && !tensors.is_empty()
    {
        return crate::cuda::optim::clip("clip_norm_of_all", tensors, max_norm);
    }
    let all: Vec<&Tensor> = tensors.iter().map(|x| &**x).collect();
    let norm = norm_of_all(&all)?;
    let scale = max_norm / (norm + 1e-6);
    if scale < 1.0 || scale.is_nan() {
        for x in tensors {
            let nothing = Tensor::zeros([0], &**x)?;
            **x = std::mem::replace(&mut **x, nothing).mul_scalar_(scale)?;
        }
    }
    Tensor::full((), norm, DType::F64)
}
