//! Layers as functions, by PyTorch's names: activations, linear maps, attention, norms. Windows are in `nn_spatial.rs`, losses
//! in `nn_loss.rs`.

use gradus_autograd::Var;
use gradus_autograd::functional::{self as f, Attention, BagMode, EmbeddingBag};

use super::args::{Arg, not_applicable};
use super::registry::Registry;

pub fn register(r: &mut Registry) {
    activations(r);
    linear(r);
    norms(r);
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
    r.op("nn.functional.prelu", |a| {
        Ok(f::prelu(
            &a.var(0)?,
            &a.var_opt(1, "weight")?.unwrap_or(a.var(0)?),
        )?)
    });
    r.op("nn.functional.glu", |a| {
        Ok(f::glu(&a.var(0)?, a.i64(1, "dim", -1)? as isize)?)
    });
}

fn linear(r: &mut Registry) {
    r.op("nn.functional.linear", |a| {
        Ok(f::linear(
            &a.var(0)?,
            &a.var(1)?,
            a.var_opt(2, "bias")?.as_ref(),
        )?)
    });
    r.op("nn.functional.bilinear", |a| {
        Ok(f::bilinear(
            &a.var(0)?,
            &a.var(1)?,
            &a.var(2)?,
            a.var_opt(3, "bias")?.as_ref(),
        )?)
    });
    // OpInfo gives the table first.
    r.op("nn.functional.embedding", |a| {
        Ok(f::embedding(
            &a.tensor(1)?,
            &a.var(0)?,
            a.usize_opt(2, "padding_idx")?,
        )?)
    });
    r.op("nn.functional.embedding_bag", |a| {
        let weight = a.var(0)?;
        let rows = weight.dims().first().map_or(1, |&n| n.max(1)) as i64;
        let options = EmbeddingBag {
            offsets: a.tensor_opt(9, "offsets")?,
            mode: match a.str(9, "mode", "mean")? {
                "sum" => BagMode::Sum,
                "max" => BagMode::Max,
                _ => BagMode::Mean,
            },
            per_sample_weights: a.var_opt(9, "per_sample_weights")?,
            include_last_offset: a.bool(9, "include_last_offset", false)?,
            padding_idx: a
                .i64_opt(9, "padding_idx")?
                .map(|i| i.rem_euclid(rows) as usize),
        };
        Ok(f::embedding_bag(&a.tensor(1)?, &weight, &options)?)
    });
    r.op("nn.functional.scaled_dot_product_attention", |a| {
        // What PyTorch calls a mask is a bias here when it has a gradient.
        let learned = matches!(a.get(3, "attn_mask"), Some(Arg::Var(_)));
        let options = Attention {
            mask: a.tensor_opt(3, "attn_mask")?.filter(|_| !learned),
            bias: a.var_opt(3, "attn_mask")?.filter(|_| learned),
            dropout_p: a.f64(4, "dropout_p", 0.0)?,
            is_causal: a.bool(5, "is_causal", false)?,
            scale: a.f64_opt(6, "scale")?,
            enable_gqa: a.bool(7, "enable_gqa", false)?,
        };
        Ok(f::scaled_dot_product_attention(
            &a.var(0)?,
            &a.var(1)?,
            &a.var(2)?,
            &options,
        )?)
    });
}

fn norms(r: &mut Registry) {
    r.op("nn.functional.layer_norm", |a| {
        let (w, b) = (a.var_opt(2, "weight")?, a.var_opt(3, "bias")?);
        Ok(f::layer_norm(
            &a.var(0)?,
            &a.sizes(1, "normalized_shape")?,
            w.as_ref(),
            b.as_ref(),
            a.f64(4, "eps", 1e-5)?,
        )?)
    });
    r.op("nn.functional.rms_norm", |a| {
        Ok(f::rms_norm(
            &a.var(0)?,
            &a.sizes(1, "normalized_shape")?,
            a.var_opt(2, "weight")?.as_ref(),
            a.f64_opt(3, "eps")?,
        )?)
    });
    r.op("nn.functional.group_norm", |a| {
        let (w, b) = (a.var_opt(2, "weight")?, a.var_opt(3, "bias")?);
        Ok(f::group_norm(
            &a.var(0)?,
            a.usize(1, "num_groups", 1)?,
            w.as_ref(),
            b.as_ref(),
            a.f64(4, "eps", 1e-5)?,
        )?)
    });
    r.op("nn.functional.batch_norm", |a| {
        let (mean, var) = (
            a.tensor_opt(1, "running_mean")?,
            a.tensor_opt(2, "running_var")?,
        );
        let (w, b) = (a.var_opt(3, "weight")?, a.var_opt(4, "bias")?);
        a.f64(6, "momentum", 0.1)?; // moves the running statistics, which are not an output
        let running = mean.as_ref().zip(var.as_ref());
        Ok(f::batch_norm(
            &a.var(0)?,
            running,
            w.as_ref(),
            b.as_ref(),
            a.bool(5, "training", false)?,
            a.f64(7, "eps", 1e-5)?,
        )?)
    });
    r.op("nn.functional.instance_norm", |a| {
        let (mean, var) = (
            a.tensor_opt(1, "running_mean")?,
            a.tensor_opt(2, "running_var")?,
        );
        let (w, b) = (a.var_opt(3, "weight")?, a.var_opt(4, "bias")?);
        a.f64(6, "momentum", 0.1)?;
        let running = if a.bool(5, "use_input_stats", true)? {
            None
        } else {
            mean.as_ref().zip(var.as_ref())
        };
        Ok(f::instance_norm(
            &a.var(0)?,
            running,
            w.as_ref(),
            b.as_ref(),
            a.f64(7, "eps", 1e-5)?,
        )?)
    });
    r.op("nn.functional.local_response_norm", |a| {
        Ok(f::local_response_norm(
            &a.var(0)?,
            a.usize(1, "size", 1)?,
            a.f64(2, "alpha", 1e-4)?,
            a.f64(3, "beta", 0.75)?,
            a.f64(4, "k", 1.0)?,
        )?)
    });
}
