//! Convolutions, pooling and pictures, by PyTorch's names.

use gradus_autograd::Var;
use gradus_autograd::functional as f;
use gradus_tensor::{
    AvgPoolParams, ConvParams, FoldParams, GridMode, GridPadding, GridSampleParams, Interpolate,
    InterpolateMode, MaxPoolParams, PadMode, Result,
};
use serde_json::Value;

use super::args::{Arg, Args, Ran, not_applicable, unsupported};
use super::registry::{Outputs, Registry};

pub fn register(r: &mut Registry) {
    convolutions(r);
    pooling(r);
    pictures(r);
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

/// `conv{D}d(input, weight, bias, stride, padding, dilation, groups)`.
fn conv<const D: usize>(
    a: &Args,
    f: fn(&Var, &Var, Option<&Var>, &ConvParams<D>) -> Result<Var>,
) -> Ran<Var> {
    let (x, w, bias) = (a.var(0)?, a.var(1)?, a.var_opt(2, "bias")?);
    let mut params = ConvParams {
        stride: each(a.sizes_opt(3, "stride")?, 1)?,
        padding: [0; D],
        dilation: each(a.sizes_opt(5, "dilation")?, 1)?,
        groups: a.usize(6, "groups", 1)?,
    };
    if a.is_string(4, "padding") {
        return match a.str(4, "padding", "")? {
            "same" => Ok(f::conv_same(&x, &w, bias.as_ref(), &params)?),
            "valid" => Ok(f(&x, &w, bias.as_ref(), &params)?),
            _ => not_applicable("padding is a number, or the function conv_same"),
        };
    }
    params.padding = each(a.sizes_opt(4, "padding")?, 0)?;
    Ok(f(&x, &w, bias.as_ref(), &params)?)
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
    r.op("nn.functional.conv1d", |a| conv(a, f::conv1d));
    r.op("nn.functional.conv2d", |a| conv(a, f::conv2d));
    r.op("nn.functional.conv3d", |a| conv(a, f::conv3d));
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
    r.op("nn.functional.adaptive_avg_pool3d", |a| {
        Ok(a.var(0)?.adaptive_avg_pool3d(output_size(a)?)?)
    });
    r.op("nn.functional.adaptive_max_pool1d", adaptive_max_pool::<1>);
    r.op("nn.functional.adaptive_max_pool2d", adaptive_max_pool::<2>);
    r.op("nn.functional.adaptive_max_pool3d", adaptive_max_pool::<3>);
}

/// `adaptive_max_pool{D}d(input, output_size, return_indices)`.
fn adaptive_max_pool<const D: usize>(a: &Args) -> Ran<Outputs> {
    let (values, positions) = a
        .var(0)?
        .adaptive_max_pool_with_indices::<D>(output_size(a)?)?;
    Ok(if a.bool(2, "return_indices", false)? {
        (values, positions).into()
    } else {
        values.into()
    })
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
    for (name, mode) in [
        ("nn.functional.interpolate.nearest", "nearest"),
        ("nn.functional.interpolate.nearest-exact", "nearest-exact"),
        ("nn.functional.interpolate.linear", "linear"),
        ("nn.functional.interpolate.bilinear", "bilinear"),
        ("nn.functional.interpolate.trilinear", "trilinear"),
        ("nn.functional.interpolate.bicubic", "bicubic"),
        ("nn.functional.interpolate.lanczos", "lanczos"),
        ("nn.functional.interpolate.area", "area"),
    ] {
        r.op(name, move |a| interpolate(a, mode));
    }
    r.op("nn.functional.grid_sample", grid_sample);
    r.op("nn.functional.unfold", |a| {
        Ok(f::unfold(&a.var(0)?, &windows(a)?)?)
    });
}

/// `unfold(input, kernel_size, dilation, padding, stride)`.
fn windows(a: &Args) -> Ran<FoldParams> {
    Ok(FoldParams {
        kernel: each(a.sizes_opt(1, "kernel_size")?, 1)?,
        dilation: each(a.sizes_opt(2, "dilation")?, 1)?,
        padding: each(a.sizes_opt(3, "padding")?, 0)?,
        stride: each(a.sizes_opt(4, "stride")?, 1)?,
    })
}

/// `interpolate(input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias)`.
fn interpolate(a: &Args, mode: &str) -> Ran<Var> {
    let x = a.var(0)?;
    let mode = match a.str(3, "mode", mode)? {
        "nearest" => InterpolateMode::Nearest,
        "nearest-exact" => InterpolateMode::NearestExact,
        "linear" => InterpolateMode::Linear,
        "bilinear" => InterpolateMode::Bilinear,
        "trilinear" => InterpolateMode::Trilinear,
        "bicubic" => InterpolateMode::Bicubic,
        "lanczos" => InterpolateMode::Lanczos,
        "area" => InterpolateMode::Area,
        _ => return not_applicable("the mode is an enum"),
    };
    let flag = |at, name| match a.get(at, name) {
        None => Ok(None),
        Some(_) => a.bool(at, name, false).map(Some),
    };
    Ok(f::interpolate(
        &x,
        &Interpolate {
            size: a.sizes_opt(1, "size")?,
            scale_factor: a.floats_opt(2, "scale_factor")?,
            mode,
            align_corners: flag(4, "align_corners")?,
            recompute_scale_factor: a.bool(5, "recompute_scale_factor", false)?,
            antialias: a.bool(6, "antialias", false)?,
        },
    )?)
}

/// `grid_sample(input, grid, mode, padding_mode, align_corners)`.
fn grid_sample(a: &Args) -> Ran<Var> {
    let mode = match a.str(2, "mode", "bilinear")? {
        "bilinear" => GridMode::Bilinear,
        "nearest" => GridMode::Nearest,
        "bicubic" => GridMode::Bicubic,
        _ => return not_applicable("the mode is an enum"),
    };
    let padding = match a.str(3, "padding_mode", "zeros")? {
        "zeros" => GridPadding::Zeros,
        "border" => GridPadding::Border,
        "reflection" => GridPadding::Reflection,
        _ => return not_applicable("the padding mode is an enum"),
    };
    let align_corners = a.bool(4, "align_corners", false)?;
    let params = GridSampleParams {
        mode,
        padding,
        align_corners,
    };
    Ok(f::grid_sample(&a.var(0)?, &a.var(1)?, &params)?)
}
