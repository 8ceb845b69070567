//! Linear algebra: decompositions and what is solved with them, a value and its rule side by side.
//!
//! f32 and the halves are widened to f64, and value and gradient rounded once each. A decomposition has several outputs
//! and an operation one, so its parts are recorded on top of each other in one tensor and narrowed out of it ([`stacked`]).
//! Rules are those of PyTorch's `FunctionsManual.cpp`, which names its sources.

mod cholesky;
mod det;
mod eigh;
mod matrix_exp;
mod norm;
mod pinv;
mod qr;
mod solve;
mod svd;

use gradus_tensor::{DType, Error, Result, Tensor};

use crate::op::{Ctx, Op};
use crate::var::Var;

/// `x` in f64.
fn wide(op: &'static str, x: &Var) -> Result<Var> {
    if x.dtype().is_float() {
        return x.to_dtype(DType::F64);
    }
    Err(Error::dtype(
        op,
        format!(
            "{} is not a float; convert with to_dtype(DType::F32) first",
            x.dtype()
        ),
    ))
}

/// `f` of `x` in f64, rounded back to its dtype.
fn in_f64(op: &'static str, x: &Var, f: impl FnOnce(&Var) -> Result<Var>) -> Result<Var> {
    f(&wide(op, x)?)?.to_dtype(x.dtype())
}

/// Records the parts of a decomposition of `x`: matrices with as many columns each. `rule` turns `x`, the parts and their
/// gradients into that of `x`.
fn stacked<const N: usize>(
    op: &'static str,
    x: &Var,
    parts: [Tensor; N],
    rule: impl Fn(&Ctx, [Var; N], [Var; N]) -> Result<Var> + Send + Sync + 'static,
) -> Result<[Var; N]> {
    let record = Op::new(op)
        .inputs(std::slice::from_ref(&x))
        .saves(0)
        .saves_output();
    if !record.is_tracked() {
        return Ok(parts.map(Var::from));
    }
    let mut heights = [0; N];
    for (height, part) in heights.iter_mut().zip(&parts) {
        *height = part.dim(-2)?;
    }
    let apart = move |all: &Var| -> Result<[Var; N]> {
        let mut start = 0;
        let mut out = [(); N].map(|()| all.clone());
        for (part, &height) in out.iter_mut().zip(&heights) {
            *part = all.narrow(-2, start, height)?;
            start += height as i64;
        }
        Ok(out)
    };
    let y = record.record(Tensor::cat(&parts, -2)?, move |ctx, dy| {
        rule(ctx, apart(&ctx.output()?)?, apart(&dy)?)
    })?;
    apart(&y)
}

/// a / b, with 0/0 = 0: what is divided by a gap of 0 between two eigenvalues matters only if it is not 0.
fn safe_div(a: &Var, b: &Var) -> Result<Var> {
    let zero = b.value().eq_scalar(0)?;
    let none = a.value().eq_scalar(0)?.logical_and(&zero)?;
    let full = none.shape().clone();
    a.broadcast_to(&full)?
        .div(&b.broadcast_to(&full)?.masked_fill(&none, 1)?)?
        .masked_fill(&none, 0)
}
