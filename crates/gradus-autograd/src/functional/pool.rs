//! Pooling, by PyTorch's names: the largest or the mean of windows over (B, C, …) or (C, …).

use gradus_tensor::{AvgPoolParams, Error, MaxPoolParams, Result, Tensor};

use crate::var::Var;

/// The largest of each window over one dimension: (B, C, T) to (B, C, T').
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], [1, 1, 4])?);
/// assert_eq!(F::max_pool1d(&x, 2, 2, 0, 1, false)?.value().to_vec::<f64>()?, [3.0, 4.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the rank is wrong, the window does not fit the padded input, or the padding is more than half of it.
pub fn max_pool1d(
    x: &Var,
    kernel_size: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    ceil_mode: bool,
) -> Result<Var> {
    let params = MaxPoolParams {
        kernel: [kernel_size],
        stride: [stride],
        padding: [padding],
        dilation: [dilation],
        ceil_mode,
    };
    x.max_pool1d(&params)
}

/// The largest of each window: (B, C, H, W) to (B, C, H', W').
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], [1, 1, 2, 2])?);
/// assert_eq!(F::max_pool2d(&x, [2, 2], [2, 2], [0, 0], [1, 1], false)?.value().to_vec::<f64>()?, [4.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the rank is wrong, the window does not fit the padded input, or the padding is more than half of it.
pub fn max_pool2d(
    x: &Var,
    kernel_size: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    ceil_mode: bool,
) -> Result<Var> {
    x.max_pool2d(&MaxPoolParams {
        kernel: kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode,
    })
}

/// The largest of each window: (B, C, D, H, W) to (B, C, D', H', W').
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], [1, 1, 1, 2, 2])?);
/// assert_eq!(F::max_pool3d(&x, [1, 2, 2], [1, 2, 2], [0; 3], [1; 3], false)?.value().to_vec::<f64>()?, [4.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the rank is wrong, the window does not fit the padded input, or the padding is more than half of it.
pub fn max_pool3d(
    x: &Var,
    kernel_size: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
    dilation: [usize; 3],
    ceil_mode: bool,
) -> Result<Var> {
    x.max_pool3d(&MaxPoolParams {
        kernel: kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode,
    })
}

/// The mean of each window over one dimension: (B, C, T) to (B, C, T').
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], [1, 1, 4])?);
/// assert_eq!(F::avg_pool1d(&x, 2, 2, 0, false, true)?.value().to_vec::<f64>()?, [2.0, 3.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the rank is wrong, the window does not fit the padded input, or the padding is more than half of it.
pub fn avg_pool1d(
    x: &Var,
    kernel_size: usize,
    stride: usize,
    padding: usize,
    ceil_mode: bool,
    count_include_pad: bool,
) -> Result<Var> {
    let (kernel, stride, padding) = ([kernel_size], [stride], [padding]);
    x.avg_pool1d(&AvgPoolParams {
        kernel,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override: None,
    })
}

/// The mean of each window: (B, C, H, W) to (B, C, H', W').
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], [1, 1, 2, 2])?);
/// assert_eq!(F::avg_pool2d(&x, [2, 2], [2, 2], [0, 0], false, true)?.value().to_vec::<f64>()?, [2.5]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the rank is wrong, the window does not fit the padded input, or the padding is more than half of it.
pub fn avg_pool2d(
    x: &Var,
    kernel_size: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    ceil_mode: bool,
    count_include_pad: bool,
) -> Result<Var> {
    let params = AvgPoolParams {
        kernel: kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override: None,
    };
    x.avg_pool2d(&params)
}

/// The mean of each window: (B, C, D, H, W) to (B, C, D', H', W').
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], [1, 1, 1, 2, 2])?);
/// assert_eq!(F::avg_pool3d(&x, [1, 2, 2], [1, 2, 2], [0; 3], false, true)?.value().to_vec::<f64>()?, [2.5]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the rank is wrong, the window does not fit the padded input, or the padding is more than half of it.
pub fn avg_pool3d(
    x: &Var,
    kernel_size: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
    ceil_mode: bool,
    count_include_pad: bool,
) -> Result<Var> {
    let params = AvgPoolParams {
        kernel: kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_override: None,
    };
    x.avg_pool3d(&params)
}

/// The means of `output_size` windows over one dimension.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], [1, 1, 4])?);
/// assert_eq!(F::adaptive_avg_pool1d(&x, 2)?.value().to_vec::<f64>()?, [2.0, 3.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the rank is wrong, or a size is 0 where there is something to pool.
pub fn adaptive_avg_pool1d(x: &Var, output_size: usize) -> Result<Var> {
    x.adaptive_avg_pool1d([output_size])
}

/// The means of windows that cut height and width into `output_size` parts.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], [1, 1, 2, 2])?);
/// assert_eq!(F::adaptive_avg_pool2d(&x, [1, 2])?.value().to_vec::<f64>()?, [1.5, 3.5]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the rank is wrong, or a size is 0 where there is something to pool.
pub fn adaptive_avg_pool2d(x: &Var, output_size: [usize; 2]) -> Result<Var> {
    x.adaptive_avg_pool2d(output_size)
}

/// The means of windows that cut depth, height and width into `output_size` parts.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::*;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], [1, 1, 2, 2, 1])?);
/// assert_eq!(F::adaptive_avg_pool3d(&x, [1, 1, 1])?.item::<f64>()?, 2.5);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the rank is too low.
pub fn adaptive_avg_pool3d(x: &Var, output_size: [usize; 3]) -> Result<Var> {
    x.adaptive_avg_pool3d(output_size)
}

/// The largest elements of windows that cut one dimension into `output_size` parts.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::*;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], [1, 1, 4])?);
/// assert_eq!(F::adaptive_max_pool1d(&x, 1)?.item::<f64>()?, 4.0);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the rank is too low, or the input is empty.
pub fn adaptive_max_pool1d(x: &Var, output_size: usize) -> Result<Var> {
    x.adaptive_max_pool1d([output_size])
}

/// The largest elements of windows that cut height and width into `output_size` parts.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], [1, 1, 2, 2])?);
/// assert_eq!(F::adaptive_max_pool2d(&x, [1, 2])?.value().to_vec::<f64>()?, [2.0, 4.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the rank is wrong, or a size is 0 where there is something to pool.
pub fn adaptive_max_pool2d(x: &Var, output_size: [usize; 2]) -> Result<Var> {
    x.adaptive_max_pool2d(output_size)
}

/// The largest elements of windows that cut depth, height and width into `output_size` parts.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::*;
/// let x = Var::from(Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], [1, 1, 2, 2, 1])?);
/// assert_eq!(F::adaptive_max_pool3d(&x, [1, 1, 1])?.item::<f64>()?, 4.0);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the rank is too low, or the input is empty.
pub fn adaptive_max_pool3d(x: &Var, output_size: [usize; 3]) -> Result<Var> {
    x.adaptive_max_pool3d(output_size)
}

/// The inverse of max pooling over one dimension: x (B, C, T) at the places that `indices` names in zeros (B, C, T').
/// `output_size` is T', by default what pooling with this window would have come from.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::*;
/// let x = Var::from(Tensor::from_slice(&[5.0], [1, 1, 1])?);
/// let at = Tensor::from_slice(&[1i64], [1, 1, 1])?;
/// let y = F::max_unpool1d(&x, &at, 2, 2, 0, None)?;
/// assert_eq!(y.value().to_vec::<f64>()?, [0.0, 5.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`max_unpool2d`].
pub fn max_unpool1d(
    x: &Var,
    indices: &Tensor,
    kernel_size: usize,
    stride: usize,
    padding: usize,
    output_size: Option<usize>,
) -> Result<Var> {
    let size = output_size.map(|n| [n]);
    max_unpool(x, indices, [kernel_size], [stride], [padding], size)
}

/// The inverse of max pooling: x (B, C, H, W) or (C, H, W) at the places that `indices` (of x's shape) names in zeros, row-major
/// in (H', W'). `output_size` is (H', W'), by default what pooling with this window would have come from.
///
/// ```
/// use gradus_autograd::{Var, functional as f};
/// use gradus_tensor::{MaxPoolParams, Tensor};
/// let x = Var::from(Tensor::from_slice(&[1.0f32, 5.0, 2.0, 0.0], [1, 2, 2])?);
/// let (y, at) = x.max_pool_with_indices(&MaxPoolParams::new([2, 2]))?;
/// let back = f::max_unpool2d(&y, &at, [2, 2], [2, 2], [0, 0], None)?;
/// assert_eq!(back.value().to_vec::<f32>()?, [0.0, 5.0, 0.0, 0.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes of x and `indices` differ, the rank does not fit, `output_size` is a stride or more away from the default, or
/// an index is outside.
pub fn max_unpool2d(
    x: &Var,
    indices: &Tensor,
    kernel_size: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    output_size: Option<[usize; 2]>,
) -> Result<Var> {
    max_unpool(x, indices, kernel_size, stride, padding, output_size)
}

/// The inverse of max pooling over three dimensions: x (B, C, D, H, W) or (C, D, H, W).
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::*;
/// let x = Var::from(Tensor::from_slice(&[5.0], [1, 1, 1, 1, 1])?);
/// let at = Tensor::from_slice(&[1i64], [1, 1, 1, 1, 1])?;
/// let y = F::max_unpool3d(&x, &at, [2, 1, 1], [2, 1, 1], [0; 3], None)?;
/// assert_eq!(y.value().to_vec::<f64>()?, [0.0, 5.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`max_unpool2d`].
pub fn max_unpool3d(
    x: &Var,
    indices: &Tensor,
    kernel_size: [usize; 3],
    stride: [usize; 3],
    padding: [usize; 3],
    output_size: Option<[usize; 3]>,
) -> Result<Var> {
    max_unpool(x, indices, kernel_size, stride, padding, output_size)
}

fn max_unpool<const D: usize>(
    x: &Var,
    indices: &Tensor,
    kernel: [usize; D],
    stride: [usize; D],
    padding: [usize; D],
    output_size: Option<[usize; D]>,
) -> Result<Var> {
    let op = ["max_unpool1d", "max_unpool2d", "max_unpool3d"][D - 1];
    let fail = |why: &str| {
        let message = format!("input {}, indices {}: {why}", x.shape(), indices.shape());
        Err(Error::shape(op, message))
    };
    if x.dims() != indices.dims() {
        return fail("their shapes must be the same");
    }
    if x.rank() != D + 1 && x.rank() != D + 2 {
        return fail(&format!(
            "they take {} dimensions (B, C, ..) or {}",
            D + 2,
            D + 1
        ));
    }
    let lead = x.rank() - D;
    let mut size = [0; D];
    for d in 0..D {
        // What pooling came from, give or take what its rounding hides.
        let n = x.dims()[lead + d] as i128;
        let default = (n - 1) * stride[d] as i128 + kernel[d] as i128 - 2 * padding[d] as i128;
        let wanted = output_size.map_or(default, |s| s[d] as i128);
        if (wanted - default).abs() >= stride[d].max(1) as i128 && wanted != default {
            return fail(&format!(
                "an output of {wanted} along axis {d} must be less than the stride {} away from {default}",
                stride[d]
            ));
        }
        match usize::try_from(wanted) {
            Ok(n) if n > 0 => size[d] = n,
            _ => {
                return fail(&format!(
                    "the output would have {wanted} elements along axis {d}"
                ));
            }
        }
    }
    let shape = [&x.dims()[..lead], &size].concat();
    let zeros = Tensor::zeros(&shape[..], x).map_err(|e| e.in_op(op))?;
    let (from, to) = (lead as isize, -1);
    Var::from(zeros.flatten(from, to)?)
        .scatter(-1, &indices.flatten(from, to)?, &x.flatten(from, to)?)
        .map_err(|e| e.in_op(op))?
        .reshape(shape)
}
