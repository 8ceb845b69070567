//! Elementwise ops without a kernel of their own that a few others make: in f32 for 16-bit floats, rounded once. Not fast, but there.

use gradus_cpu::elementwise::{BinaryOp, UnaryOp};

use super::compute;
use crate::error::Result;
use crate::tensor::Tensor;

/// `f` of operands in f32 (f64 of f64), back in the dtype they had.
fn in_f32(x: &Tensor, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Option<Tensor>> {
    if !x.dtype().is_float() {
        return Ok(None);
    }
    let y = f(&x.to_dtype(compute(x.dtype()))?)?;
    y.to_dtype(x.dtype()).map(Some)
}

/// An op of one operand, if it is one of these.
pub(super) fn unary(op: UnaryOp, x: &Tensor) -> Result<Option<Tensor>> {
    match op {
        UnaryOp::Celu(alpha) if alpha != 0.0 => {
            in_f32(x, |x| x.div_scalar(alpha)?.elu(1.0)?.mul_scalar_(alpha))
        }
        UnaryOp::Hardshrink(lambda) => {
            in_f32(x, |x| x.masked_fill(&x.abs()?.le_scalar(lambda)?, 0))
        }
        UnaryOp::Softshrink(lambda) => in_f32(x, |x| x.sub(&x.clamp(-lambda, lambda)?)),
        UnaryOp::Tanhshrink => in_f32(x, |x| x.sub(&x.tanh()?)),
        UnaryOp::Threshold { threshold, value } => {
            in_f32(x, |x| x.masked_fill(&x.le_scalar(threshold)?, value))
        }
        UnaryOp::Logit => in_f32(x, |x| x.div(&x.rsub_scalar(1)?)?.log_()),
        UnaryOp::NanToNum {
            nan,
            posinf,
            neginf,
        } => in_f32(x, |x| {
            let y = x.masked_fill(&x.isnan()?, nan)?;
            let y = y.masked_fill_(&x.isposinf()?, posinf)?;
            y.masked_fill_(&x.isneginf()?, neginf)
        }),
        _ => Ok(None),
    }
}

/// An op of two operands, if it is one of these.
pub(super) fn binary(op: BinaryOp, a: &Tensor, b: &Tensor) -> Result<Option<Tensor>> {
    let b = &b.to_dtype(compute(b.dtype()))?;
    match op {
        BinaryOp::TruncDiv => in_f32(a, |a| a.div(b)?.trunc_()),
        BinaryOp::Fmax | BinaryOp::Fmin => in_f32(a, |a| {
            let y = match op {
                BinaryOp::Fmax => a.maximum(b)?,
                _ => a.minimum(b)?,
            };
            let y = Tensor::where_(&a.isnan()?, b, &y)?;
            Tensor::where_(&b.isnan()?, a, &y)
        }),
        _ => Ok(None),
    }
}
