//! Reductions, scans and sorts, by PyTorch's names.

use gradus_autograd::Var;
use gradus_tensor::{DType, Dims};

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
    // PyTorch's full reductions share the gradient among ties, as amax does.
    r.op("max.reduction_no_dim", |a| Ok(a.var(0)?.amax(.., false)?));
}

fn scans(r: &mut Registry) {}

fn orders(r: &mut Registry) {
    r.op("argsort", |a| {
        a.bool(3, "stable", true)?;
        Ok(a.tensor(0)?.argsort(
            a.i64(1, "dim", -1)? as isize,
            a.bool(2, "descending", false)?,
        )?)
    });
}
