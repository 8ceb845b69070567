//! Functions of one number, arithmetic of two, choices.

use gradus_autograd::Var;
use gradus_tensor::{DType, Device, Result, Tensor};

use super::sample::Case;

/// An operation of one operand, with numbers between `low` and `high`: a matrix, a single number, nothing.
fn unary(name: &'static str, low: f64, high: f64, f: fn(&Var) -> Result<Var>) -> Vec<Case> {
    let case =
        |shape: &[usize]| Case::new(name, &[(shape, low, high)], move |v| f(&v[0])).elementwise();
    vec![case(&[2, 3]), case(&[]), case(&[0, 2])]
}

/// An operation of two operands that broadcast.
fn binary(
    name: &'static str,
    a: (f64, f64),
    b: (f64, f64),
    f: fn(&Var, &Var) -> Result<Var>,
) -> Vec<Case> {
    let case = |x: &[usize], y: &[usize]| {
        Case::new(name, &[(x, a.0, a.1), (y, b.0, b.1)], move |v| {
            f(&v[0], &v[1])
        })
        .elementwise()
    };
    vec![
        case(&[2, 3], &[2, 3]),
        case(&[2, 1, 3], &[4, 1]),
        case(&[], &[3]),
        case(&[2], &[]),
        case(&[2, 0], &[1, 1]),
    ]
}

fn mask(dims: &[usize]) -> Result<Tensor> {
    let n = dims.iter().product::<usize>();
    Tensor::from_vec((0..n).map(|i| i % 3 == 1).collect::<Vec<bool>>(), dims)
}

pub fn cases() -> Vec<Case> {
    const R: (f64, f64) = (-2.0, 2.0);
    const P: (f64, f64) = (0.4, 2.5);
    let groups = [
        unary("neg", -2.0, 2.0, |x| x.neg()),
        unary("abs", -2.0, 2.0, |x| x.abs()),
        unary("square", -2.0, 2.0, |x| x.square()),
        unary("sqrt", 0.2, 3.0, |x| x.sqrt()),
        unary("rsqrt", 0.2, 3.0, |x| x.rsqrt()),
        unary("reciprocal", 0.3, 3.0, |x| x.reciprocal()),
        unary("exp", -2.0, 2.0, |x| x.exp()),
        unary("exp2", -2.0, 2.0, |x| x.exp2()),
        unary("expm1", -2.0, 2.0, |x| x.expm1()),
        unary("log", 0.2, 3.0, |x| x.log()),
        unary("log2", 0.2, 3.0, |x| x.log2()),
        unary("log10", 0.2, 3.0, |x| x.log10()),
        unary("log1p", -0.7, 3.0, |x| x.log1p()),
        unary("erf", -2.0, 2.0, |x| x.erf()),
        unary("erfc", -2.0, 2.0, |x| x.erfc()),
        unary("erfinv", -0.8, 0.8, |x| x.erfinv()),
        unary("lgamma", 0.3, 4.0, |x| x.lgamma()),
        unary("lgamma", -1.9, -1.1, |x| x.lgamma()),
        unary("digamma", 0.3, 4.0, |x| x.digamma()),
        unary("digamma", -1.9, -1.1, |x| x.digamma()),
        unary("logit", 0.1, 0.9, |x| x.logit(None)),
        unary("logit", 0.01, 0.99, |x| x.logit(Some(0.2))),
        unary("sinc", -2.0, 2.0, |x| x.sinc()),
        unary("sign", -2.0, 2.0, |x| x.sign()),
        unary("floor", 0.1, 0.9, |x| x.floor()),
        unary("ceil", 0.1, 0.9, |x| x.ceil()),
        unary("round", -0.4, 0.4, |x| x.round()),
        unary("trunc", 0.1, 0.9, |x| x.trunc()),
        unary("frac", 0.1, 0.9, |x| x.frac()),
        unary("deg2rad", -90.0, 90.0, |x| x.deg2rad()),
        unary("rad2deg", -2.0, 2.0, |x| x.rad2deg()),
        unary("nan_to_num", -2.0, 2.0, |x| x.nan_to_num(None, None, None)),
        unary("to_device", -2.0, 2.0, |x| x.to_device(&Device::Cpu)),
        unary("to", -2.0, 2.0, |x| {
            x.to(&Device::Cpu)?.to(DType::F32)?.to(DType::F64)
        })
        .into_iter()
        .map(Case::loose)
        .collect(),
        unary("to_dtype", -2.0, 2.0, |x| {
            x.to_dtype(DType::F32)?.to_dtype(DType::F64)
        })
        .into_iter()
        .map(Case::loose)
        .collect(),
        unary("sin", -3.0, 3.0, |x| x.sin()),
        unary("cos", -3.0, 3.0, |x| x.cos()),
        unary("tan", -1.2, 1.2, |x| x.tan()),
        unary("asin", -0.9, 0.9, |x| x.asin()),
        unary("acos", -0.9, 0.9, |x| x.acos()),
        unary("atan", -3.0, 3.0, |x| x.atan()),
        unary("sinh", -2.0, 2.0, |x| x.sinh()),
        unary("cosh", -2.0, 2.0, |x| x.cosh()),
        unary("tanh", -2.0, 2.0, |x| x.tanh()),
        unary("asinh", -3.0, 3.0, |x| x.asinh()),
        unary("acosh", 1.2, 3.0, |x| x.acosh()),
        unary("atanh", -0.9, 0.9, |x| x.atanh()),
        unary("relu", -2.0, 2.0, |x| x.relu()),
        unary("relu6", -5.0, 10.0, |x| x.relu6()),
        unary("hardtanh", -2.0, 2.0, |x| x.hardtanh(-1.0, 1.0)),
        unary("leaky_relu", -2.0, 2.0, |x| x.leaky_relu(0.1)),
        unary("elu", -2.0, 2.0, |x| x.elu(1.3)),
        unary("selu", -2.0, 2.0, |x| x.selu()),
        unary("celu", -2.0, 2.0, |x| x.celu(1.3)),
        unary("gelu", -2.0, 2.0, |x| x.gelu()),
        unary("gelu_tanh", -2.0, 2.0, |x| x.gelu_tanh()),
        unary("silu", -2.0, 2.0, |x| x.silu()),
        unary("mish", -2.0, 2.0, |x| x.mish()),
        unary("softplus", -2.0, 2.0, |x| x.softplus(1.5, 2.0)),
        unary("softsign", -2.0, 2.0, |x| x.softsign()),
        unary("hardswish", -5.0, 5.0, |x| x.hardswish()),
        unary("hardsigmoid", -5.0, 5.0, |x| x.hardsigmoid()),
        unary("hardshrink", -2.0, 2.0, |x| x.hardshrink(0.5)),
        unary("softshrink", -2.0, 2.0, |x| x.softshrink(0.5)),
        unary("tanhshrink", -2.0, 2.0, |x| x.tanhshrink()),
        unary("threshold", -2.0, 2.0, |x| x.threshold(0.3, 5.0)),
        unary("sigmoid", -3.0, 3.0, |x| x.sigmoid()),
        unary("logsigmoid", -3.0, 3.0, |x| x.logsigmoid()),
        unary("add_scalar", -2.0, 2.0, |x| x.add_scalar(3)),
        unary("sub_scalar", -2.0, 2.0, |x| x.sub_scalar(3)),
        unary("rsub_scalar", -2.0, 2.0, |x| x.rsub_scalar(3)),
        unary("mul_scalar", -2.0, 2.0, |x| x.mul_scalar(3)),
        unary("div_scalar", -2.0, 2.0, |x| x.div_scalar(3)),
        unary("rdiv_scalar", 0.3, 2.0, |x| x.rdiv_scalar(3)),
        unary("pow_scalar", 0.3, 2.0, |x| x.pow_scalar(2.5)),
        unary("pow_scalar", -2.0, 2.0, |x| x.pow_scalar(3)),
        unary("pow_scalar", -2.0, 2.0, |x| x.pow_scalar(0)),
        unary("floor_divide_scalar", 5.1, 5.4, |x| {
            x.floor_divide_scalar(2)
        }),
        unary("trunc_divide_scalar", -5.4, -5.1, |x| {
            x.trunc_divide_scalar(2)
        }),
        unary("remainder_scalar", -5.4, -5.1, |x| x.remainder_scalar(2)),
        unary("fmod_scalar", 5.1, 5.4, |x| x.fmod_scalar(2.5)),
        unary("xlogy_scalar", -2.0, 2.0, |x| x.xlogy_scalar(2.5)),
        unary("copysign_scalar", 0.5, 2.0, |x| x.copysign_scalar(-1)),
        unary("maximum_scalar", -2.0, 2.0, |x| x.maximum_scalar(0.1)),
        unary("minimum_scalar", -2.0, 2.0, |x| x.minimum_scalar(0.1)),
        unary("rpow_scalar", -2.0, 2.0, |x| x.rpow_scalar(2.5)),
        unary("clamp", -2.0, 2.0, |x| x.clamp(Some(-1.0), Some(0.5))),
        unary("clamp_min", -2.0, 2.0, |x| x.clamp_min(-0.5)),
        unary("clamp_max", -2.0, 2.0, |x| x.clamp_max(0.5)),
        unary("masked_fill_var", -2.0, 2.0, |x| {
            x.masked_fill_var(&mask(x.dims())?, &x.sum(.., false)?)
        }),
        unary("masked_fill", -2.0, 2.0, |x| {
            x.masked_fill(&mask(x.dims())?, 0.5)
        }),
        binary("add", R, R, |a, b| a.add(b)),
        binary("sub", R, R, |a, b| a.sub(b)),
        binary("rsub", R, R, |a, b| a.rsub(b)),
        binary("mul", R, R, |a, b| a.mul(b)),
        binary("div", R, P, |a, b| a.div(b)),
        binary("add_scaled", R, R, |a, b| a.add_scaled(b, 0.7)),
        binary("sub_scaled", R, R, |a, b| a.sub_scaled(b, 0.7)),
        binary("pow", P, R, |a, b| a.pow(b)),
        binary("float_power", P, R, |a, b| a.float_power(b)),
        binary("floor_divide", (0.1, 0.9), (1.1, 1.9), |a, b| {
            a.floor_divide(b)
        }),
        binary("trunc_divide", (0.1, 0.9), (1.1, 1.9), |a, b| {
            a.trunc_divide(b)
        }),
        binary("remainder", (5.1, 5.4), (1.1, 1.2), |a, b| a.remainder(b)),
        binary("fmod", (5.1, 5.4), (1.1, 1.2), |a, b| a.fmod(b)),
        binary("hypot", P, R, |a, b| a.hypot(b)),
        binary("xlogy", R, P, |a, b| a.xlogy(b)),
        binary("logaddexp", R, R, |a, b| a.logaddexp(b)),
        binary("copysign", R, R, |a, b| a.copysign(b)),
        binary("atan2", P, R, |a, b| a.atan2(b)),
        binary("maximum", R, R, |a, b| a.maximum(b)),
        binary("minimum", R, R, |a, b| a.minimum(b)),
        binary("fmax", R, R, |a, b| a.fmax(b)),
        binary("fmin", R, R, |a, b| a.fmin(b)),
        binary("where_", R, R, |a, b| Var::where_(&mask(b.dims())?, a, b)),
        binary("addcmul", R, R, |a, b| a.addcmul(b, &b.square()?, 0.5)),
        binary("addcdiv", R, P, |a, b| a.addcdiv(b, &b.exp()?, 0.5)),
        binary("lerp", R, R, |a, b| a.lerp(&a.square()?, b)),
        binary("lerp_scalar", R, R, |a, b| a.lerp_scalar(b, 0.3)),
        binary("clamp_tensor", R, (-1.0, 0.0), |a, b| {
            a.clamp_tensor(Some(b), Some(&b.add_scalar(0.8)?))
        }),
        binary("clamp_tensor", R, R, |a, b| {
            a.clamp_tensor(Some(b), Some(&b.mul_scalar(0.5)?))
        }),
        binary("clamp_tensor", R, R, |a, b| a.clamp_tensor(None, Some(b))),
    ];
    groups.into_iter().flatten().collect()
}
