//! Elementwise ops, by PyTorch's names.

use gradus_autograd::Var;
use gradus_tensor::Tensor;

use super::args::{Args, Ran, unsupported};
use super::registry::Registry;

/// `div` with its rounding mode, which the three registered names share.
fn div(a: &Args) -> Ran<Var> {
    let (x, y) = (a.var(0)?, a.var(1)?);
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
        Ok(a.var(0)?.add_scaled(&a.var(1)?, a.f64(2, "alpha", 1.0)?)?)
    });
    r.op("sub", |a| {
        Ok(a.var(0)?.sub_scaled(&a.var(1)?, a.f64(2, "alpha", 1.0)?)?)
    });
    r.binary("mul", Var::mul);
    r.binary("true_divide", Var::div);
    r.op("div.no_rounding_mode", div);
    r.op("div.floor_rounding", div);
    r.op("div.trunc_rounding", div);
    r.binary("floor_divide", Var::floor_divide);
    r.binary("rsub", Var::rsub);
    // The gradient's x^(y - 1) multiplies the rounding of y - 1 by y ln x.
    r.binary("pow", Var::pow).slack(4.0);
    r.binary("float_power", Var::float_power);
    r.binary("fmod", Var::fmod);
    r.binary("remainder", Var::remainder);
    r.binary("maximum", Var::maximum);
    r.binary("minimum", Var::minimum);
    r.binary("max.binary", Var::maximum);
    r.binary("min.binary", Var::minimum);
    r.binary("fmax", Var::fmax);
    r.binary("fmin", Var::fmin);
    r.binary("atan2", Var::atan2);
    r.binary("hypot", Var::hypot);
    r.binary("xlogy", Var::xlogy);
    r.binary("logaddexp", Var::logaddexp);
    r.binary("copysign", Var::copysign);
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
    r.tensor_binary("eq", Tensor::eq);
    r.tensor_binary("ne", Tensor::ne);
    r.tensor_binary("lt", Tensor::lt);
    r.tensor_binary("le", Tensor::le);
    r.tensor_binary("gt", Tensor::gt);
    r.tensor_binary("ge", Tensor::ge);
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
