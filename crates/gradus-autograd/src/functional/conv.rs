//! Convolutions and padding: the functions; the operations and their rules are methods of `Var`.

use gradus_tensor::{Conv1dParams, Conv2dParams, Conv3dParams, PadMode, Result};

use crate::var::Var;

/// x (B, C, T), weight (O, C / groups, K), bias (O), to (B, O, T').
pub fn conv1d(x: &Var, weight: &Var, bias: Option<&Var>, params: &Conv1dParams) -> Result<Var> {
    x.conv1d(weight, bias, params)
}

/// x (B, C, H, W), weight (O, C / groups, KH, KW), bias (O), to (B, O, H', W').
pub fn conv2d(x: &Var, weight: &Var, bias: Option<&Var>, params: &Conv2dParams) -> Result<Var> {
    x.conv2d(weight, bias, params)
}

/// x (B, C, D, H, W), weight (O, C / groups, KD, KH, KW), bias (O), to (B, O, D', H', W').
pub fn conv3d(x: &Var, weight: &Var, bias: Option<&Var>, params: &Conv3dParams) -> Result<Var> {
    x.conv3d(weight, bias, params)
}

/// x (B, in, T), weight (in, out / groups, K), bias (out), to (B, out, T').
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
pub fn pad(x: &Var, pad: &[isize], mode: PadMode) -> Result<Var> {
    x.pad(pad, mode)
}
