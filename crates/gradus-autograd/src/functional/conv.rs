//! Convolutions and padding: the functions; the operations and their rules are methods of `Var`.

use gradus_tensor::{Conv1dParams, Conv2dParams, Conv3dParams, ConvParams, PadMode, Result};

use crate::var::Var;

/// x (B, C, T), weight (O, C / groups, K), bias (O), to (B, O, T').
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [1, 1, 4])?);
/// let w = Var::from(Tensor::from_slice(&[1.0, -1.0], [1, 1, 2])?);
/// assert_eq!(F::conv1d(&x, &w, None, &Default::default())?.value().to_vec::<f64>()?, [-1.0, -1.0, -1.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If ranks or channels do not fit, groups do not divide the channels, or the kernel is larger than the padded input.
pub fn conv1d(x: &Var, weight: &Var, bias: Option<&Var>, params: &Conv1dParams) -> Result<Var> {
    x.conv1d(weight, bias, params)
}

/// x (B, C, H, W), weight (O, C / groups, KH, KW), bias (O), to (B, O, H', W').
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [1, 1, 2, 2])?);
/// assert_eq!(F::conv2d(&x, &x, None, &Default::default())?.value().to_vec::<f64>()?, [30.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If ranks or channels do not fit, groups do not divide the channels, or the kernel is larger than the padded input.
pub fn conv2d(x: &Var, weight: &Var, bias: Option<&Var>, params: &Conv2dParams) -> Result<Var> {
    x.conv2d(weight, bias, params)
}

/// x (B, C, D, H, W), weight (O, C / groups, KD, KH, KW), bias (O), to (B, O, D', H', W').
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [1, 1, 1, 2, 2])?);
/// assert_eq!(F::conv3d(&x, &x, None, &Default::default())?.value().to_vec::<f64>()?, [30.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If ranks or channels do not fit, groups do not divide the channels, or the kernel is larger than the padded input.
pub fn conv3d(x: &Var, weight: &Var, bias: Option<&Var>, params: &Conv3dParams) -> Result<Var> {
    x.conv3d(weight, bias, params)
}

/// A convolution over `D` dimensions whose output has the input's sizes: PyTorch's `padding="same"`, stride 1.
/// (`padding="valid"` is [`conv2d`] without padding.)
///
/// ```
/// use gradus_autograd::{Var, functional as f};
/// use gradus_tensor::{ConvParams, DType, Tensor};
/// let x = Var::from(Tensor::ones([1, 3, 7, 8], DType::F32)?);
/// let w = Var::from(Tensor::ones([5, 3, 4, 3], DType::F32)?);
/// let y = f::conv_same::<2>(&x, &w, None, &ConvParams::default())?;
/// assert_eq!(y.dims(), [1, 5, 7, 8]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes do not fit, a stride is not 1, or `params` has a padding of its own.
pub fn conv_same<const D: usize>(
    x: &Var,
    weight: &Var,
    bias: Option<&Var>,
    params: &ConvParams<D>,
) -> Result<Var> {
    x.conv_same(weight, bias, params)
}

/// x (B, in, T), weight (in, out / groups, K), bias (out), to (B, out, T').
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0], [1, 1, 2])?);
/// let w = Var::from(Tensor::from_slice(&[1.0, 10.0], [1, 1, 2])?);
/// assert_eq!(F::conv_transpose1d(&x, &w, None, &Default::default(), [0])?.value().to_vec::<f64>()?, [1.0, 12.0, 20.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If ranks or channels do not fit, groups do not divide the channels, or the output padding is not below stride or dilation.
pub fn conv_transpose1d(
    x: &Var,
    weight: &Var,
    bias: Option<&Var>,
    params: &Conv1dParams,
    output_padding: [usize; 1],
) -> Result<Var> {
    x.conv_transpose1d(weight, bias, params, output_padding)
}

/// x (B, in, H, W), weight (in, out / groups, KH, KW), bias (out), to (B, out, H', W').
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0], [1, 1, 1, 2])?);
/// let w = Var::from(Tensor::from_slice(&[1.0, 10.0], [1, 1, 1, 2])?);
/// assert_eq!(F::conv_transpose2d(&x, &w, None, &Default::default(), [0, 0])?.value().to_vec::<f64>()?, [1.0, 12.0, 20.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If ranks or channels do not fit, groups do not divide the channels, or the output padding is not below stride or dilation.
pub fn conv_transpose2d(
    x: &Var,
    weight: &Var,
    bias: Option<&Var>,
    params: &Conv2dParams,
    output_padding: [usize; 2],
) -> Result<Var> {
    x.conv_transpose2d(weight, bias, params, output_padding)
}

/// x (B, in, D, H, W), weight (in, out / groups, KD, KH, KW), bias (out), to (B, out, D', H', W').
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::Tensor;
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0], [1, 1, 1, 1, 2])?);
/// let w = Var::from(Tensor::from_slice(&[1.0, 10.0], [1, 1, 1, 1, 2])?);
/// assert_eq!(F::conv_transpose3d(&x, &w, None, &Default::default(), [0, 0, 0])?.value().to_vec::<f64>()?, [1.0, 12.0, 20.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If ranks or channels do not fit, groups do not divide the channels, or the output padding is not below stride or dilation.
pub fn conv_transpose3d(
    x: &Var,
    weight: &Var,
    bias: Option<&Var>,
    params: &Conv3dParams,
    output_padding: [usize; 3],
) -> Result<Var> {
    x.conv_transpose3d(weight, bias, params, output_padding)
}

/// Padded: amounts before and after the last dimension, then the one before it, and so on.
///
/// ```
/// # use gradus_autograd::{Var, functional as F};
/// # use gradus_tensor::{PadMode, Tensor};
/// let x = Var::from(Tensor::from_slice(&[1.0, 2.0], 2)?);
/// assert_eq!(F::pad(&x, &[1, 2], PadMode::Constant(0.into()))?.value().to_vec::<f64>()?, [0.0, 1.0, 2.0, 0.0, 0.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the amounts are not two for each padded dimension, or the mode reaches further than the dimension.
pub fn pad(x: &Var, pad: &[isize], mode: PadMode) -> Result<Var> {
    x.pad(pad, mode)
}
