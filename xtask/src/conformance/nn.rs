//! Layers and losses as functions, by PyTorch's names.

use gradus_autograd::{Var, functional as f};

use super::args::not_applicable;
use super::registry::Registry;

pub fn register(r: &mut Registry) {
    activations(r);
    layers(r);
    losses(r);
}

fn activations(r: &mut Registry) {
    r.unary("nn.functional.relu", Var::relu);
    r.unary("nn.functional.relu6", Var::relu6);
    r.op("nn.functional.leaky_relu", |a| {
        Ok(a.var(0)?.leaky_relu(a.f64(1, "negative_slope", 0.01)?)?)
    });
    r.op("nn.functional.elu", |a| {
        Ok(a.var(0)?.elu(a.f64(1, "alpha", 1.0)?)?)
    });
    r.unary("nn.functional.selu", Var::selu);
    r.op("nn.functional.celu", |a| {
        Ok(a.var(0)?.celu(a.f64(1, "alpha", 1.0)?)?)
    });
    r.op("nn.functional.gelu", |a| {
        match a.str(1, "approximate", "none")? {
            "none" => Ok(a.var(0)?.gelu()?),
            "tanh" => Ok(a.var(0)?.gelu_tanh()?),
            _ => not_applicable(
                "gelu and gelu_tanh are two functions in Rust; there is no third to name",
            ),
        }
    });
    r.unary("nn.functional.silu", Var::silu);
    r.unary("nn.functional.mish", Var::mish);
    r.op("nn.functional.softplus", |a| {
        Ok(a.var(0)?
            .softplus(a.f64(1, "beta", 1.0)?, a.f64(2, "threshold", 20.0)?)?)
    });
    r.unary("nn.functional.softsign", Var::softsign);
    r.op("nn.functional.hardtanh", |a| {
        Ok(a.var(0)?
            .hardtanh(a.f64(1, "min_val", -1.0)?, a.f64(2, "max_val", 1.0)?)?)
    });
    r.unary("nn.functional.hardswish", Var::hardswish);
    r.unary("nn.functional.hardsigmoid", Var::hardsigmoid);
    r.op("nn.functional.hardshrink", |a| {
        Ok(a.var(0)?.hardshrink(a.f64(1, "lambd", 0.5)?)?)
    });
    r.op("nn.functional.softshrink", |a| {
        Ok(a.var(0)?.softshrink(a.f64(1, "lambd", 0.5)?)?)
    });
    r.unary("nn.functional.tanhshrink", Var::tanhshrink);
    r.unary("nn.functional.logsigmoid", Var::logsigmoid);
    r.op("nn.functional.threshold", |a| {
        Ok(a.var(0)?
            .threshold(a.f64(1, "threshold", 0.0)?, a.f64(2, "value", 0.0)?)?)
    });
}

fn layers(r: &mut Registry) {
    r.op("nn.functional.linear", |a| {
        Ok(f::linear(
            &a.var(0)?,
            &a.var(1)?,
            a.var_opt(2, "bias")?.as_ref(),
        )?)
    });
}

fn losses(r: &mut Registry) {}
