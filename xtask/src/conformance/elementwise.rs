//! Elementwise ops, by PyTorch's names.

use gradus_autograd::Var;
use gradus_tensor::Tensor;

use super::args::{Args, Ran};
use super::registry::Registry;

/// `other * alpha`, for `add` and `sub`.
fn scaled(a: &Args) -> Ran<Var> {
    let other = a.var(1)?;
    Ok(match a.f64_opt(2, "alpha")? {
        Some(alpha) => other.mul_scalar(alpha)?,
        None => other,
    })
}

pub fn register(r: &mut Registry) {
    r.op("add", |a| Ok(a.var(0)?.add(&scaled(a)?)?));
    r.op("sub", |a| Ok(a.var(0)?.sub(&scaled(a)?)?));
    r.binary("mul", Var::mul);
    r.unary("neg", Var::neg);
    r.unary("exp", Var::exp);
    r.tensor_binary("eq", Tensor::eq);
}
