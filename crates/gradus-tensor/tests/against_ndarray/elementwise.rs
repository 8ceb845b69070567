//! Functions of one element and of two, broadcast.

use gradus_tensor::{Result, Tensor};
use ndarray::{IxDyn, Zip};
use proptest::prelude::*;

use super::common::{any_case, any_pair, close};

type Unary = (&'static str, fn(&Tensor) -> Result<Tensor>, fn(f64) -> f64);

const UNARY: &[Unary] = &[
    ("neg", |x| x.neg(), |x| -x),
    ("abs", |x| x.abs(), f64::abs),
    ("square", |x| x.square(), |x| x * x),
    ("exp", |x| x.exp(), f64::exp),
    ("exp2", |x| x.exp2(), f64::exp2),
    ("expm1", |x| x.expm1(), f64::exp_m1),
    ("log", |x| x.log(), f64::ln),
    ("log1p", |x| x.log1p(), f64::ln_1p),
    ("log2", |x| x.log2(), f64::log2),
    ("log10", |x| x.log10(), f64::log10),
    ("sqrt", |x| x.sqrt(), f64::sqrt),
    ("rsqrt", |x| x.rsqrt(), |x| 1.0 / x.sqrt()),
    ("reciprocal", |x| x.reciprocal(), f64::recip),
    ("sin", |x| x.sin(), f64::sin),
    ("cos", |x| x.cos(), f64::cos),
    ("tan", |x| x.tan(), f64::tan),
    ("asin", |x| x.asin(), f64::asin),
    ("acos", |x| x.acos(), f64::acos),
    ("atan", |x| x.atan(), f64::atan),
    ("sinh", |x| x.sinh(), f64::sinh),
    ("cosh", |x| x.cosh(), f64::cosh),
    ("tanh", |x| x.tanh(), f64::tanh),
    ("asinh", |x| x.asinh(), f64::asinh),
    ("acosh", |x| x.acosh(), f64::acosh),
    ("atanh", |x| x.atanh(), f64::atanh),
    ("sigmoid", |x| x.sigmoid(), |x| 1.0 / (1.0 + (-x).exp())),
    ("silu", |x| x.silu(), |x| x / (1.0 + (-x).exp())),
    ("relu", |x| x.relu(), |x| x.max(0.0)),
    ("relu6", |x| x.relu6(), |x| x.clamp(0.0, 6.0)),
    (
        "leaky_relu",
        |x| x.leaky_relu(0.01),
        |x| if x > 0.0 { x } else { 0.01 * x },
    ),
    (
        "elu",
        |x| x.elu(1.5),
        |x| if x > 0.0 { x } else { 1.5 * x.exp_m1() },
    ),
    ("softplus", |x| x.softplus(1.0, 20.0), |x| x.exp().ln_1p()),
    ("softsign", |x| x.softsign(), |x| x / (1.0 + x.abs())),
    ("floor", |x| x.floor(), f64::floor),
    ("ceil", |x| x.ceil(), f64::ceil),
    ("round", |x| x.round(), f64::round_ties_even),
    ("trunc", |x| x.trunc(), f64::trunc),
    ("frac", |x| x.frac(), |x| x - x.trunc()),
    (
        "sign",
        |x| x.sign(),
        |x| if x == 0.0 { 0.0 } else { x.signum() },
    ),
    ("clamp", |x| x.clamp(-1.0, 2.0), |x| x.clamp(-1.0, 2.0)),
    ("add_scalar", |x| x.add_scalar(1.5), |x| x + 1.5),
    ("mul_scalar", |x| x.mul_scalar(-3), |x| x * -3.0),
    ("pow_scalar", |x| x.pow_scalar(3), |x| x * x * x),
    ("rdiv_scalar", |x| x.rdiv_scalar(2.0), |x| 2.0 / x),
    (
        "isnan",
        |x| x.log()?.isnan(),
        |x| f64::from(u8::from(x < 0.0)),
    ),
    (
        "gt_scalar",
        |x| x.gt_scalar(0.5),
        |x| f64::from(u8::from(x > 0.5)),
    ),
];

type Binary = (
    &'static str,
    fn(&Tensor, &Tensor) -> Result<Tensor>,
    fn(f64, f64) -> f64,
);

const BINARY: &[Binary] = &[
    ("add", |a, b| a.add(b), |a, b| a + b),
    ("sub", |a, b| a.sub(b), |a, b| a - b),
    ("mul", |a, b| a.mul(b), |a, b| a * b),
    ("div", |a, b| a.div(b), |a, b| a / b),
    ("add_", |a, b| a.copy()?.add_(b), |a, b| a + b),
    ("operator -", |a, b| Ok(a - b.copy()?), |a, b| a - b),
    (
        "floor_divide",
        |a, b| a.floor_divide(b),
        |a, b| (a / b).floor(),
    ),
    ("fmod", |a, b| a.fmod(b), |a, b| a % b),
    ("atan2", |a, b| a.atan2(b), f64::atan2),
    ("hypot", |a, b| a.hypot(b), f64::hypot),
    ("maximum", |a, b| a.maximum(b), f64::max),
    ("minimum", |a, b| a.minimum(b), f64::min),
    ("fmax", |a, b| a.fmax(b), f64::max),
    ("fmin", |a, b| a.fmin(b), f64::min),
    ("pow", |a, b| a.abs()?.pow(b), |a, b| a.abs().powf(b)),
    ("copysign", |a, b| a.copysign(b), f64::copysign),
    ("eq", |a, b| a.eq(b), |a, b| f64::from(u8::from(a == b))),
    ("lt", |a, b| a.lt(b), |a, b| f64::from(u8::from(a < b))),
    ("ge", |a, b| a.ge(b), |a, b| f64::from(u8::from(a >= b))),
    ("where_", |a, b| Tensor::where_(&a.gt(b)?, a, b), f64::max),
];

proptest! {
    #![proptest_config(super::common::config())]

    #[test]
    fn unary(c in any_case()) {
        for (name, ours, theirs) in UNARY {
            let y = ours(&c.x).unwrap_or_else(|e| panic!("{name}: {e}"));
            close(&y, &c.a.mapv(theirs));
        }
    }

    #[test]
    fn binary((p, q) in any_pair()) {
        let shape = p.x.shape().broadcast(q.x.shape()).unwrap();
        let (a, b) = (p.a.broadcast(IxDyn(&shape)).unwrap(), q.a.broadcast(IxDyn(&shape)).unwrap());
        for (name, ours, theirs) in BINARY {
            let y = ours(&p.x, &q.x).unwrap_or_else(|e| panic!("{name}: {e}"));
            close(&y, &Zip::from(&a).and(&b).map_collect(|a, b| theirs(*a, *b)));
        }
    }
}
