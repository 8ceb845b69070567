//! Kernels of neural networks on tensors, each forward beside its gradients. No parameters and no graph here:
//! `gradus-autograd` records them, `gradus-nn` owns the weights.

mod attention;
mod clip;
mod conv;
mod embedding;
mod fold;
mod grid_sample;
pub mod interpolate;
pub mod loss;
pub mod norm;
pub mod optim;
mod pool;
mod recurrent;
mod roi;

pub use attention::{AttentionOptions, AttentionOutput};
pub use recurrent::{GruOutput, LstmOutput};

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// Checks that all operands have the first one's float dtype.
pub(crate) fn same_float(op: &'static str, operands: &[(&str, &Tensor)]) -> Result<DType> {
    let (name, first) = operands[0];
    if !first.dtype().is_float() {
        return Err(Error::dtype(
            op,
            format!(
                "{name} is {}, not a float; convert with to_dtype(DType::F32) first",
                first.dtype()
            ),
        ));
    }
    match operands.iter().find(|(_, x)| x.dtype() != first.dtype()) {
        Some((other, x)) => {
            let message = format!(
                "{name} is {} but {other} is {}; convert one with to_dtype",
                first.dtype(),
                x.dtype()
            );
            Err(Error::dtype(op, message))
        }
        None => Ok(first.dtype()),
    }
}

/// True for the dtypes that kernels compute in f32.
pub(crate) fn is_half(dtype: DType) -> bool {
    matches!(dtype, DType::F16 | DType::BF16)
}

/// `x` in f32, to compute with.
pub(crate) fn wide(x: &Tensor) -> Result<Tensor> {
    x.to_dtype(DType::F32)
}

/// Runs `$body` with `$T` naming f32 or f64 (16-bit floats have been widened before).
macro_rules! dispatch_native {
    ($op:expr, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            dtype => Err($crate::Error::dtype(
                $op,
                format!("not defined for {dtype}; convert with to_dtype(DType::F32) first"),
            )),
        }
    };
}
pub(crate) use dispatch_native;
