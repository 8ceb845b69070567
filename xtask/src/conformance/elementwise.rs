//! Elementwise ops, by PyTorch's names.

use gradus_autograd::Var;
use gradus_tensor::{Result, Tensor};

use super::args::{Args, Ran, unsupported};
use super::registry::Registry;

/// The second operand; a plain number is a tensor of rank 0 here.
fn second(a: &Args) -> Ran<Var> {
    if a.is_number(1, "other") {
        let number = Tensor::scalar_of(a.scalar(1, "other")?, a.var(0)?.dtype())?;
        return Ok(Var::from(number));
    }
    a.var(1)
}

/// `f(x, y)`, where `y` may be a number.
fn with_number(r: &mut Registry, name: &'static str, f: fn(&Var, &Var) -> Result<Var>) {
    r.op(name, move |a| Ok(f(&a.var(0)?, &second(a)?)?));
}

/// `f(x, y)` of tensors, where `y` may be a number.
fn compared(r: &mut Registry, name: &'static str, f: fn(&Tensor, &Tensor) -> Result<Tensor>) {
    r.op(name, move |a| Ok(f(&a.tensor(0)?, second(a)?.value())?));
}

/// `div` with its rounding mode, which the three registered names share.
fn div(a: &Args) -> Ran<Var> {
    let (x, y) = (a.var(0)?, second(a)?);
    Ok(match a.str(2, "rounding_mode", "")? {
        "" => x.div(&y)?,
        "floor" => x.floor_divide(&y)?,
        "trunc" => x.trunc_divide(&y)?,
        _ => return unsupported("rounding mode"),
    })
}

pub fn register(r: &mut Registry) {
    arithmetic(r);
    functions(r);
    comparisons(r);
}

fn arithmetic(r: &mut Registry) {
    r.op("add", |a| {
        Ok(a.var(0)?.add_scaled(&second(a)?, a.f64(2, "alpha", 1.0)?)?)
    });
    r.op("sub", |a| {
        Ok(a.var(0)?.sub_scaled(&second(a)?, a.f64(2, "alpha", 1.0)?)?)
    });
    with_number(r, "mul", Var::mul);
    with_number(r, "true_divide", Var::div);
    r.op("div.no_rounding_mode", div);
    r.op("div.floor_rounding", div);
    r.op("div.trunc_rounding", div);
    with_number(r, "floor_divide", Var::floor_divide);
    r.op("rsub", |a| match a.f64(2, "alpha", 1.0)? {
        1.0 => Ok(a.var(0)?.rsub(&second(a)?)?),
        alpha => Ok(second(a)?.sub_scaled(&a.var(0)?, alpha)?),
    });
    // The gradient's x^(y - 1) multiplies the rounding of y - 1 by y ln x.
    r.op("pow", |a| Ok(a.var(0)?.pow(&second(a)?)?)).slack(4.0);
    with_number(r, "float_power", Var::float_power);
    with_number(r, "fmod", Var::fmod);
    with_number(r, "remainder", Var::remainder);
    r.binary("maximum", Var::maximum);
    r.binary("minimum", Var::minimum);
    r.binary("max.binary", Var::maximum);
    r.binary("min.binary", Var::minimum);
    r.binary("fmax", Var::fmax);
    r.binary("fmin", Var::fmin);
    r.binary("atan2", Var::atan2);
    r.binary("hypot", Var::hypot);
    with_number(r, "xlogy", Var::xlogy);
    r.binary("logaddexp", Var::logaddexp);
    with_number(r, "copysign", Var::copysign);
    r.op("lerp", |a| match a.is_tensor(2, "weight") {
        true => Ok(a.var(0)?.lerp(&a.var(1)?, &a.var(2)?)?),
        false => Ok(a
            .var(0)?
            .lerp_scalar(&a.var(1)?, a.f64(2, "weight", 0.0)?)?),
    });
    r.op("addcmul", |a| {
        Ok(a.var(0)?
            .addcmul(&a.var(1)?, &a.var(2)?, a.f64(3, "value", 1.0)?)?)
    });
    r.op("addcdiv", |a| {
        Ok(a.var(0)?
            .addcdiv(&a.var(1)?, &a.var(2)?, a.f64(3, "value", 1.0)?)?)
    });
    r.op("clamp", |a| {
        Ok(a.var(0)?
            .clamp_tensor(a.var_opt(1, "min")?.as_ref(), a.var_opt(2, "max")?.as_ref())?)
    });
    r.op("clamp_min", |a| {
        Ok(a.var(0)?.clamp_tensor(Some(&a.var(1)?), None)?)
    });
    r.op("clamp_max", |a| {
        Ok(a.var(0)?.clamp_tensor(None, Some(&a.var(1)?))?)
    });
    // PyTorch's method form: x.where(condition, other).
    r.op("where", |a| {
        Ok(Var::where_(&a.tensor(1)?, &a.var(0)?, &a.var(2)?)?)
    });
    r.op("masked_fill", |a| match a.is_tensor(2, "value") {
        true => Ok(a.var(0)?.masked_fill_var(&a.tensor(1)?, &a.var(2)?)?),
        false => Ok(a
            .var(0)?
            .masked_fill(&a.tensor(1)?, a.scalar(2, "value")?)?),
    });
}

fn functions(r: &mut Registry) {
    r.unary("abs", Var::abs);
    r.unary("neg", Var::neg);
    r.unary("exp", Var::exp);
    r.unary("exp2", Var::exp2);
    r.unary("expm1", Var::expm1);
    r.unary("log", Var::log);
    r.unary("log1p", Var::log1p);
    r.unary("log2", Var::log2);
    r.unary("log10", Var::log10);
    r.unary("sqrt", Var::sqrt);
    r.unary("rsqrt", Var::rsqrt);
    r.unary("reciprocal", Var::reciprocal);
    r.unary("square", Var::square);
    r.unary("sin", Var::sin);
    r.unary("cos", Var::cos);
    r.unary("tan", Var::tan);
    r.unary("asin", Var::asin);
    r.unary("acos", Var::acos);
    r.unary("atan", Var::atan);
    r.unary("sinh", Var::sinh);
    r.unary("cosh", Var::cosh);
    r.unary("tanh", Var::tanh);
    r.unary("asinh", Var::asinh);
    r.unary("acosh", Var::acosh);
    r.unary("atanh", Var::atanh);
    r.unary("erf", Var::erf);
    r.unary("erfc", Var::erfc);
    r.unary("erfinv", Var::erfinv);
    r.unary("sigmoid", Var::sigmoid);
    r.op("logit", |a| Ok(a.var(0)?.logit(a.f64_opt(1, "eps")?)?));
    r.unary("sign", Var::sign);
    r.unary("floor", Var::floor);
    r.unary("ceil", Var::ceil);
    r.unary("round", Var::round);
    r.unary("trunc", Var::trunc);
    r.unary("frac", Var::frac);
    r.unary("sinc", Var::sinc);
    r.unary("lgamma", Var::lgamma);
    // Left of 0 the reflection formula subtracts large terms near each pole.
    r.unary("digamma", Var::digamma).slack(4.0);
    r.unary("deg2rad", Var::deg2rad);
    r.op("nan_to_num", |a| {
        Ok(a.var(0)?.nan_to_num(
            a.f64_opt(1, "nan")?,
            a.f64_opt(2, "posinf")?,
            a.f64_opt(3, "neginf")?,
        )?)
    });
}

fn comparisons(r: &mut Registry) {
    compared(r, "eq", Tensor::eq);
    compared(r, "ne", Tensor::ne);
    compared(r, "lt", Tensor::lt);
    compared(r, "le", Tensor::le);
    compared(r, "gt", Tensor::gt);
    compared(r, "ge", Tensor::ge);
    r.tensor_unary("isnan", Tensor::isnan);
    r.tensor_unary("isinf", Tensor::isinf);
    r.tensor_unary("isfinite", Tensor::isfinite);
    r.tensor_binary("logical_and", Tensor::logical_and);
    r.tensor_binary("logical_or", Tensor::logical_or);
    r.tensor_binary("logical_xor", Tensor::logical_xor);
    r.tensor_unary("logical_not", Tensor::logical_not);
    r.tensor_binary("heaviside", Tensor::heaviside);
    r.op("isclose", |a| {
        let (rtol, atol) = (a.f64(2, "rtol", 1e-5)?, a.f64(3, "atol", 1e-8)?);
        Ok(a.tensor(0)?
            .isclose(&a.tensor(1)?, rtol, atol, a.bool(4, "equal_nan", false)?)?)
    });
}
