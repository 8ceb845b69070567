//! Reductions, scans and sorts, by PyTorch's names.

use gradus_autograd::{Var, functional as f};
use gradus_tensor::{Dims, Result, Tensor};

use super::args::{Args, Ran, not_applicable};
use super::registry::{Outputs, Registry};

pub fn register(r: &mut Registry) {
    sums(r);
    extremes(r);
    scans(r);
    orders(r);
}

/// `(dim, correction)` of `var` and `std`: `correction` wins over the older `unbiased`; the default is 1.
fn moments(a: &Args) -> Ran<(Dims, f64, bool)> {
    let dims = a.dims(1, "dim")?;
    let unbiased = if a.bool(2, "unbiased", true)? {
        1.0
    } else {
        0.0
    };
    Ok((
        dims,
        a.f64(3, "correction", unbiased)?,
        a.bool(4, "keepdim", false)?,
    ))
}

/// The two-argument form `var(x, unbiased)`.
fn biased(a: &Args) -> Ran<f64> {
    Ok(if a.bool(1, "unbiased", true)? {
        1.0
    } else {
        0.0
    })
}

/// `dtype=float64` is the precision the f64 run has anyway; of the f32 run only the type is compared.
fn cast(a: &Args, x: Var) -> Ran<Var> {
    Ok(match a.dtype(9, "dtype")? {
        Some(dtype) if dtype.is_float() => x.to_dtype(dtype)?,
        Some(_) => return not_applicable("a Var has a float dtype"),
        None => x,
    })
}

fn sums(r: &mut Registry) {
    r.op("sum", |a| {
        Ok(a.var(0)?
            .sum(a.dims(1, "dim")?, a.bool(2, "keepdim", false)?)?)
    });
    r.op("mean", |a| {
        Ok(cast(a, a.var(0)?)?.mean(a.dims(1, "dim")?, a.bool(2, "keepdim", false)?)?)
    });
    r.op("prod", |a| {
        Ok(cast(a, a.var(0)?)?.prod(a.dims(1, "dim")?, a.bool(2, "keepdim", false)?)?)
    });
    r.op("var", |a| {
        let (d, c, k) = moments(a)?;
        Ok(a.var(0)?.var(d, c, k)?)
    });
    r.op("std", |a| {
        let (d, c, k) = moments(a)?;
        Ok(a.var(0)?.std(d, c, k)?)
    });
    r.op("var.unbiased", |a| {
        Ok(a.var(0)?.var(.., biased(a)?, false)?)
    });
    r.op("std.unbiased", |a| {
        Ok(a.var(0)?.std(.., biased(a)?, false)?)
    });
    r.op("var_mean", |a| {
        let (d, c, k) = moments(a)?;
        Ok(a.var(0)?.var_mean(d, c, k)?)
    });
    r.op("nansum", |a| {
        Ok(a.var(0)?
            .nansum(a.dims(1, "dim")?, a.bool(2, "keepdim", false)?)?)
    });
    r.op("nanmean", |a| {
        Ok(a.var(0)?
            .nanmean(a.dims(1, "dim")?, a.bool(2, "keepdim", false)?)?)
    });
    r.op("logsumexp", |a| {
        Ok(a.var(0)?
            .logsumexp(a.dims(1, "dim")?, a.bool(2, "keepdim", false)?)?)
    });
    r.op("softmax", |a| {
        Ok(cast(a, a.var(0)?)?.softmax(a.dim(1, "dim")?)?)
    });
    r.op("log_softmax", |a| {
        Ok(cast(a, a.var(0)?)?.log_softmax(a.dim(1, "dim")?)?)
    });
    r.op("nn.functional.softmin", |a| {
        Ok(f::softmin(&cast(a, a.var(0)?)?, a.dim(1, "dim")?)?)
    });
    r.op("norm", |a| {
        Ok(a.var(0)?.norm(
            a.f64(1, "p", 2.0)?,
            a.dims(2, "dim")?,
            a.bool(3, "keepdim", false)?,
        )?)
    });
    r.op("linalg.vector_norm", |a| {
        Ok(a.var(0)?.norm(
            a.f64(1, "ord", 2.0)?,
            a.dims(2, "dim")?,
            a.bool(3, "keepdim", false)?,
        )?)
    });
    r.op("dist", |a| {
        Ok(a.var(0)?.dist(&a.var(1)?, a.f64(2, "p", 2.0)?)?)
    });
    r.op("trace", |a| Ok(a.var(0)?.trace()?));
    r.op("all", |a| {
        Ok(a.tensor(0)?
            .all(a.dims(1, "dim")?, a.bool(2, "keepdim", false)?)?)
    });
    r.op("any", |a| {
        Ok(a.tensor(0)?
            .any(a.dims(1, "dim")?, a.bool(2, "keepdim", false)?)?)
    });
    r.op("count_nonzero", |a| {
        Ok(a.tensor(0)?.count_nonzero(a.dims(1, "dim")?)?)
    });
}

fn extremes(r: &mut Registry) {
    r.op("amax", |a| {
        Ok(a.var(0)?
            .amax(a.dims(1, "dim")?, a.bool(2, "keepdim", false)?)?)
    });
    r.op("amin", |a| {
        Ok(a.var(0)?
            .amin(a.dims(1, "dim")?, a.bool(2, "keepdim", false)?)?)
    });
    r.op("aminmax", |a| {
        Ok(a.var(0)?.aminmax(
            a.i64_opt(1, "dim")?.map(|d| d as isize),
            a.bool(2, "keepdim", false)?,
        )?)
    });
    r.op("argmax", |a| {
        Ok(a.tensor(0)?.argmax(
            a.i64_opt(1, "dim")?.map(|d| d as isize),
            a.bool(2, "keepdim", false)?,
        )?)
    });
    r.op("argmin", |a| {
        Ok(a.tensor(0)?.argmin(
            a.i64_opt(1, "dim")?.map(|d| d as isize),
            a.bool(2, "keepdim", false)?,
        )?)
    });
    r.op("max.reduction_with_dim", |a| {
        Ok(a.var(0)?
            .max(a.dim(1, "dim")?, a.bool(2, "keepdim", false)?)?)
    });
    r.op("min.reduction_with_dim", |a| {
        Ok(a.var(0)?
            .min(a.dim(1, "dim")?, a.bool(2, "keepdim", false)?)?)
    });
    // PyTorch's full reductions share the gradient among ties, as amax does.
    r.op("max.reduction_no_dim", |a| Ok(a.var(0)?.amax(.., false)?));
    r.op("min.reduction_no_dim", |a| Ok(a.var(0)?.amin(.., false)?));
}

fn scans(r: &mut Registry) {
    r.op("cumsum", |a| {
        Ok(cast(a, a.var(0)?)?.cumsum(a.dim(1, "dim")?)?)
    });
    r.op("cumprod", |a| {
        Ok(cast(a, a.var(0)?)?.cumprod(a.dim(1, "dim")?)?)
    });
    r.op("cummax", |a| Ok(a.var(0)?.cummax(a.dim(1, "dim")?)?));
    r.op("cummin", |a| Ok(a.var(0)?.cummin(a.dim(1, "dim")?)?));
    // Where the exponents are in the thousands, so is what multiplies their rounding.
    r.op("logcumsumexp", |a| {
        Ok(a.var(0)?.logcumsumexp(a.dim(1, "dim")?)?)
    })
    .slack(256.0);
    r.op("diff", |a| {
        let (n, dim) = (a.i64(1, "n", 1)?, a.i64(2, "dim", -1)? as isize);
        Ok(a.var(0)?.diff(
            n,
            dim,
            a.var_opt(3, "prepend")?.as_ref(),
            a.var_opt(4, "append")?.as_ref(),
        )?)
    });
}

fn orders(r: &mut Registry) {
    // Ours is always stable, so `stable` only has to be looked at.
    r.op("sort", |a| {
        a.bool(3, "stable", true)?;
        Ok(a.var(0)?.sort(
            a.i64(1, "dim", -1)? as isize,
            a.bool(2, "descending", false)?,
        )?)
    });
    r.op("argsort", |a| {
        a.bool(3, "stable", true)?;
        Ok(a.tensor(0)?.argsort(
            a.i64(1, "dim", -1)? as isize,
            a.bool(2, "descending", false)?,
        )?)
    });
    r.op("msort", |a| Ok(a.var(0)?.sort(0, false)?.0));
    r.op("topk", |a| {
        a.bool(4, "sorted", true)?; // ours always is
        let (k, dim) = (a.usize(1, "k", 1)?, a.i64(2, "dim", -1)? as isize);
        Ok(a.var(0)?.topk(k, dim, a.bool(3, "largest", true)?)?)
    });
    r.op("kthvalue", |a| {
        Ok(a.var(0)?.kthvalue(
            a.usize(1, "k", 1)?,
            a.i64(2, "dim", -1)? as isize,
            a.bool(3, "keepdim", false)?,
        )?)
    });
    r.op("median", |a| match a.i64_opt(1, "dim")? {
        Some(dim) => Ok(Outputs::from(
            a.var(0)?
                .median_dim(dim as isize, a.bool(2, "keepdim", false)?)?,
        )),
        None => Ok(a.var(0)?.median()?.into()),
    });
    r.op("quantile", |a| quantile(a, Var::quantile));
    r.op("nanquantile", |a| quantile(a, Var::nanquantile));
}

/// `quantile(x, q, dim, keepdim, interpolation)`; q is a number or a tensor.
fn quantile(
    a: &Args,
    f: impl Fn(&Var, &Var, Option<isize>, bool, &str) -> Result<Var>,
) -> Ran<Var> {
    let x = a.var(0)?;
    let q = if a.is_tensor(1, "q") {
        a.var_opt(1, "q")?.unwrap_or(a.var(1)?)
    } else {
        Var::from(Tensor::full((), a.f64(1, "q", 0.5)?, x.dtype())?)
    };
    Ok(f(
        &x,
        &q,
        a.i64_opt(2, "dim")?.map(|d| d as isize),
        a.bool(3, "keepdim", false)?,
        a.str(4, "interpolation", "linear")?,
    )?)
}
