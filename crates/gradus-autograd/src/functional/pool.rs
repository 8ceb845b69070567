//! Pooling, by PyTorch's names: the largest or the mean of windows over (B, C, …) or (C, …).

use gradus_tensor::{AvgPoolParams, MaxPoolParams, Result};

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
