//! Layers and losses as functions, by PyTorch's names.

use gradus_autograd::Var;
use gradus_autograd::functional::{
    self as f, Attention, BagMode, CrossEntropy, EmbeddingBag, Reduction, TripletMargin,
};
use gradus_tensor::{AvgPoolParams, ConvParams, MaxPoolParams, PadMode};
use serde_json::Value;

use super::args::{Arg, Args, Ran, not_applicable, unsupported};
use super::registry::{Outputs, Registry};

pub fn register(r: &mut Registry) {
    activations(r);
    linear(r);
    convolutions(r);
    pooling(r);
    norms(r);
    losses(r);
    distances(r);
    pictures(r);
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
        let rows = weight.dims()[0] as i64;
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
        let options = Attention {
            mask: a.tensor_opt(3, "attn_mask")?,
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

/// One size for every axis, or one for each.
fn each<const D: usize>(sizes: Option<Vec<usize>>, default: usize) -> Ran<[usize; D]> {
    match sizes.as_deref() {
        None | Some([]) => Ok([default; D]),
        Some([one]) => Ok([*one; D]),
        Some(sizes) => sizes
            .try_into()
            .or_else(|_| not_applicable("as many sizes as axes, by the array's type")),
    }
}

/// The input and parameters of `conv{D}d(input, weight, bias, stride, padding, dilation, groups)`. The paddings "same" and
/// "valid" are written out, as a user would.
fn conv_params<const D: usize>(a: &Args) -> Ran<(Var, ConvParams<D>)> {
    let (mut x, w) = (a.var(0)?, a.var(1)?);
    let dilation = each(a.sizes_opt(5, "dilation")?, 1)?;
    let mut padding = [0; D];
    if !a.is_string(4, "padding") {
        padding = each(a.sizes_opt(4, "padding")?, 0)?;
    } else if a.str(4, "padding", "")? == "same" {
        // The odd one goes behind; the last dimension comes first.
        let reach = (0..D)
            .rev()
            .map(|i| (dilation[i] * (w.dims()[i + 2] - 1)) as isize);
        x = f::pad(
            &x,
            &reach.flat_map(|n| [n / 2, n - n / 2]).collect::<Vec<_>>(),
            PadMode::Constant(0.0.into()),
        )?;
    }
    let stride = each(a.sizes_opt(3, "stride")?, 1)?;
    Ok((
        x,
        ConvParams {
            stride,
            padding,
            dilation,
            groups: a.usize(6, "groups", 1)?,
        },
    ))
}

/// `conv_transpose{D}d(input, weight, bias, stride, padding, output_padding, groups, dilation)`.
fn conv_params_transposed<const D: usize>(a: &Args) -> Ran<(ConvParams<D>, [usize; D])> {
    let params = ConvParams {
        stride: each(a.sizes_opt(3, "stride")?, 1)?,
        padding: each(a.sizes_opt(4, "padding")?, 0)?,
        dilation: each(a.sizes_opt(7, "dilation")?, 1)?,
        groups: a.usize(6, "groups", 1)?,
    };
    Ok((params, each(a.sizes_opt(5, "output_padding")?, 0)?))
}

fn convolutions(r: &mut Registry) {
    r.op("nn.functional.conv1d", |a| {
        let (x, p) = conv_params(a)?;
        Ok(f::conv1d(
            &x,
            &a.var(1)?,
            a.var_opt(2, "bias")?.as_ref(),
            &p,
        )?)
    });
    r.op("nn.functional.conv2d", |a| {
        let (x, p) = conv_params(a)?;
        Ok(f::conv2d(
            &x,
            &a.var(1)?,
            a.var_opt(2, "bias")?.as_ref(),
            &p,
        )?)
    });
    r.op("nn.functional.conv3d", |a| {
        let (x, p) = conv_params(a)?;
        Ok(f::conv3d(
            &x,
            &a.var(1)?,
            a.var_opt(2, "bias")?.as_ref(),
            &p,
        )?)
    });
    r.op("nn.functional.conv_transpose1d", |a| {
        let (p, o) = conv_params_transposed(a)?;
        Ok(f::conv_transpose1d(
            &a.var(0)?,
            &a.var(1)?,
            a.var_opt(2, "bias")?.as_ref(),
            &p,
            o,
        )?)
    });
    r.op("nn.functional.conv_transpose2d", |a| {
        let (p, o) = conv_params_transposed(a)?;
        Ok(f::conv_transpose2d(
            &a.var(0)?,
            &a.var(1)?,
            a.var_opt(2, "bias")?.as_ref(),
            &p,
            o,
        )?)
    });
    r.op("nn.functional.conv_transpose3d", |a| {
        let (p, o) = conv_params_transposed(a)?;
        Ok(f::conv_transpose3d(
            &a.var(0)?,
            &a.var(1)?,
            a.var_opt(2, "bias")?.as_ref(),
            &p,
            o,
        )?)
    });
    r.op("nn.functional.pad.constant", |a| {
        Ok(f::pad(
            &a.var(0)?,
            &a.ints(1, "pad")?,
            PadMode::Constant(padding_mode(a, "constant")?.into()),
        )?)
    });
    r.op("nn.functional.pad.reflect", |a| {
        padding_mode(a, "reflect")?;
        Ok(f::pad(&a.var(0)?, &a.ints(1, "pad")?, PadMode::Reflect)?)
    });
    r.op("nn.functional.pad.replicate", |a| {
        padding_mode(a, "replicate")?;
        Ok(f::pad(&a.var(0)?, &a.ints(1, "pad")?, PadMode::Replicate)?)
    });
    r.op("nn.functional.pad.circular", |a| {
        padding_mode(a, "circular")?;
        Ok(f::pad(&a.var(0)?, &a.ints(1, "pad")?, PadMode::Circular)?)
    });
}

/// The value to pad with, of a call whose mode is `mode`.
fn padding_mode(a: &Args, mode: &str) -> Ran<f64> {
    if a.str(2, "mode", "constant")? == mode {
        a.f64(3, "value", 0.0)
    } else {
        unsupported("mode")
    }
}

fn pooling(r: &mut Registry) {
    r.op("nn.functional.max_pool1d", max_pool::<1>);
    r.op("nn.functional.max_pool2d", max_pool::<2>);
    r.op("nn.functional.max_pool3d", max_pool::<3>);
    r.op("nn.functional.avg_pool1d", |a| {
        Ok(a.var(0)?.avg_pool1d(&avg_params(a)?)?)
    });
    r.op("nn.functional.avg_pool2d", |a| {
        Ok(a.var(0)?.avg_pool2d(&avg_params(a)?)?)
    });
    r.op("nn.functional.avg_pool3d", |a| {
        Ok(a.var(0)?.avg_pool3d(&avg_params(a)?)?)
    });
    r.op("nn.functional.adaptive_avg_pool1d", |a| {
        Ok(a.var(0)?.adaptive_avg_pool1d(output_size(a)?)?)
    });
    r.op("nn.functional.adaptive_avg_pool2d", |a| {
        Ok(a.var(0)?.adaptive_avg_pool2d(output_size(a)?)?)
    });
    r.op("nn.functional.adaptive_max_pool2d", |a| {
        match a.bool(2, "return_indices", false)? {
            true => unsupported("positions of an adaptive max pool"),
            false => Ok(a.var(0)?.adaptive_max_pool2d(output_size(a)?)?),
        }
    });
}

/// The kernel, and the stride, which is the kernel's size unless given.
fn window<const D: usize>(a: &Args) -> Ran<([usize; D], [usize; D])> {
    let kernel = each(a.sizes_opt(1, "kernel_size")?, 1)?;
    let stride = a.sizes_opt(2, "stride")?.filter(|s| !s.is_empty());
    Ok((
        kernel,
        if stride.is_some() {
            each(stride, 1)?
        } else {
            kernel
        },
    ))
}

/// `max_pool{D}d(input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)`.
fn max_pool<const D: usize>(a: &Args) -> Ran<Outputs> {
    let (kernel, stride) = window::<D>(a)?;
    let (padding, dilation) = (
        each(a.sizes_opt(3, "padding")?, 0)?,
        each(a.sizes_opt(4, "dilation")?, 1)?,
    );
    let params = MaxPoolParams {
        kernel,
        stride,
        padding,
        dilation,
        ceil_mode: a.bool(5, "ceil_mode", false)?,
    };
    let (values, positions) = a.var(0)?.max_pool_with_indices(&params)?;
    Ok(if a.bool(6, "return_indices", false)? {
        (values, positions).into()
    } else {
        values.into()
    })
}

/// `avg_pool{D}d(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)`.
fn avg_params<const D: usize>(a: &Args) -> Ran<AvgPoolParams<D>> {
    let (kernel, stride) = window::<D>(a)?;
    Ok(AvgPoolParams {
        kernel,
        stride,
        padding: each(a.sizes_opt(3, "padding")?, 0)?,
        ceil_mode: a.bool(4, "ceil_mode", false)?,
        count_include_pad: a.bool(5, "count_include_pad", true)?,
        divisor_override: a.i64_opt(6, "divisor_override")?,
    })
}

/// One size for every axis, or one for each; null keeps the input's.
fn output_size<const D: usize>(a: &Args) -> Ran<[usize; D]> {
    let Some(Arg::Json(Value::Array(list))) = a.get(1, "output_size") else {
        return each(a.sizes_opt(1, "output_size")?, 1);
    };
    let x = a.var(0)?;
    if list.is_empty() || x.rank() < D {
        return not_applicable("as many sizes as axes, by the array's type");
    }
    let kept = &x.dims()[x.rank() - D..];
    let size = |(i, v): (usize, &Value)| match v.as_i64() {
        None => kept.get(i).copied(),
        Some(n) => usize::try_from(n).ok(),
    };
    match list
        .iter()
        .enumerate()
        .map(size)
        .collect::<Option<Vec<usize>>>()
    {
        Some(sizes) => each(Some(sizes), 1),
        None => not_applicable("sizes are usizes"),
    }
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

/// The keyword `reduction`; a wrong word cannot be written with our type.
fn reduction(a: &Args) -> Ran<Reduction> {
    Ok(match a.str(99, "reduction", "mean")? {
        "none" => Reduction::None,
        "mean" => Reduction::Mean,
        "sum" => Reduction::Sum,
        "batchmean" => Reduction::BatchMean,
        _ => return not_applicable("the reduction is an enum"),
    })
}

fn class_options(a: &Args) -> Ran<CrossEntropy> {
    Ok(CrossEntropy {
        weight: a.tensor_opt(99, "weight")?,
        ignore_index: a.i64(99, "ignore_index", -100)?,
        reduction: reduction(a)?,
        label_smoothing: a.f64(99, "label_smoothing", 0.0)?,
    })
}

fn losses(r: &mut Registry) {
    r.op("nn.functional.cross_entropy", |a| {
        let options = class_options(a)?;
        match a.tensor(1)?.dtype().is_float() {
            true => Ok(f::cross_entropy_soft(&a.var(0)?, &a.var(1)?, &options)?),
            false => Ok(f::cross_entropy(&a.var(0)?, &a.tensor(1)?, &options)?),
        }
    });
    r.op("nn.functional.nll_loss", |a| {
        Ok(f::nll_loss(&a.var(0)?, &a.tensor(1)?, &class_options(a)?)?)
    });
    r.op("nn.functional.mse_loss", |a| {
        Ok(f::mse_loss(&a.var(0)?, &a.var(1)?, reduction(a)?)?)
    });
    r.op("nn.functional.l1_loss", |a| {
        Ok(f::l1_loss(&a.var(0)?, &a.var(1)?, reduction(a)?)?)
    });
    r.op("nn.functional.smooth_l1_loss", |a| {
        Ok(f::smooth_l1_loss(
            &a.var(0)?,
            &a.var(1)?,
            a.f64(99, "beta", 1.0)?,
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.huber_loss", |a| {
        Ok(f::huber_loss(
            &a.var(0)?,
            &a.var(1)?,
            a.f64(99, "delta", 1.0)?,
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.binary_cross_entropy", |a| {
        Ok(f::binary_cross_entropy(
            &a.var(0)?,
            &a.var(1)?,
            a.var_opt(2, "weight")?.as_ref(),
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.binary_cross_entropy_with_logits", |a| {
        let (weight, pos_weight) = (a.var_opt(2, "weight")?, a.var_opt(99, "pos_weight")?);
        Ok(f::binary_cross_entropy_with_logits(
            &a.var(0)?,
            &a.var(1)?,
            weight.as_ref(),
            pos_weight.as_ref(),
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.kl_div", |a| {
        Ok(f::kl_div(
            &a.var(0)?,
            &a.var(1)?,
            reduction(a)?,
            a.bool(99, "log_target", false)?,
        )?)
    });
    r.op("nn.functional.poisson_nll_loss", |a| {
        let (log_input, full) = (a.bool(99, "log_input", true)?, a.bool(99, "full", false)?);
        Ok(f::poisson_nll_loss(
            &a.var(0)?,
            &a.var(1)?,
            log_input,
            full,
            a.f64(99, "eps", 1e-8)?,
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.gaussian_nll_loss", |a| {
        let full = a.bool(99, "full", false)?;
        Ok(f::gaussian_nll_loss(
            &a.var(0)?,
            &a.var(1)?,
            &a.var(2)?,
            full,
            a.f64(99, "eps", 1e-6)?,
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.soft_margin_loss", |a| {
        Ok(f::soft_margin_loss(&a.var(0)?, &a.var(1)?, reduction(a)?)?)
    });
    r.op("nn.functional.margin_ranking_loss", |a| {
        Ok(f::margin_ranking_loss(
            &a.var(0)?,
            &a.var(1)?,
            &a.var(2)?,
            a.f64(99, "margin", 0.0)?,
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.hinge_embedding_loss", |a| {
        Ok(f::hinge_embedding_loss(
            &a.var(0)?,
            &a.var(1)?,
            a.f64(99, "margin", 1.0)?,
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.cosine_embedding_loss", |a| {
        Ok(f::cosine_embedding_loss(
            &a.var(0)?,
            &a.var(1)?,
            &a.tensor(2)?,
            a.f64(99, "margin", 0.0)?,
            reduction(a)?,
        )?)
    });
    r.op("nn.functional.triplet_margin_loss", |a| {
        let options = TripletMargin {
            margin: a.f64(99, "margin", 1.0)?,
            p: a.f64(99, "p", 2.0)?,
            eps: a.f64(99, "eps", 1e-6)?,
            swap: a.bool(99, "swap", false)?,
            reduction: reduction(a)?,
        };
        Ok(f::triplet_margin_loss(
            &a.var(0)?,
            &a.var(1)?,
            &a.var(2)?,
            &options,
        )?)
    });
    r.op("nn.functional.multi_margin_loss", |a| {
        let (p, weight) = (a.i64(99, "p", 1)? as u32, a.tensor_opt(99, "weight")?);
        Ok(f::multi_margin_loss(
            &a.var(0)?,
            &a.tensor(1)?,
            p,
            a.f64(99, "margin", 1.0)?,
            weight.as_ref(),
            reduction(a)?,
        )?)
    });
}

fn distances(r: &mut Registry) {
    r.op("nn.functional.cosine_similarity", |a| {
        Ok(f::cosine_similarity(
            &a.var(0)?,
            &a.var(1)?,
            a.i64(2, "dim", 1)? as isize,
            a.f64(3, "eps", 1e-8)?,
        )?)
    });
    r.op("nn.functional.pairwise_distance", |a| {
        let (p, eps) = (a.f64(2, "p", 2.0)?, a.f64(3, "eps", 1e-6)?);
        Ok(f::pairwise_distance(
            &a.var(0)?,
            &a.var(1)?,
            p,
            eps,
            a.bool(4, "keepdim", false)?,
        )?)
    });
    r.op("nn.functional.normalize", |a| {
        Ok(f::normalize(
            &a.var(0)?,
            a.f64(1, "p", 2.0)?,
            a.i64(2, "dim", 1)? as isize,
            a.f64(3, "eps", 1e-12)?,
        )?)
    });
}

fn pictures(r: &mut Registry) {
    r.op("nn.functional.pixel_shuffle", |a| {
        Ok(f::pixel_shuffle(
            &a.var(0)?,
            a.usize(1, "upscale_factor", 1)?,
        )?)
    });
    r.op("nn.functional.pixel_unshuffle", |a| {
        Ok(f::pixel_unshuffle(
            &a.var(0)?,
            a.usize(1, "downscale_factor", 1)?,
        )?)
    });
    r.op("nn.functional.channel_shuffle", |a| {
        Ok(f::channel_shuffle(&a.var(0)?, a.usize(1, "groups", 1)?)?)
    });
}
