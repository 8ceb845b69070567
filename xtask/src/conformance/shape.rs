//! Views, indexing, joining and creation, by PyTorch's names.

use gradus_autograd::Var;
use gradus_tensor::{DType, Tensor};

use super::args::{Args, Ran, not_applicable};
use super::registry::{Outputs, Registry};

pub fn register(r: &mut Registry) {
    views(r);
    joins(r);
    indexing(r);
    rearranging(r);
    creation(r);
}

fn views(r: &mut Registry) {
    r.op("reshape", |a| {
        Ok(a.var(0)?.reshape(&a.ints(1, "shape")?[..])?)
    });
    // Our arrangements make some inputs impossible to view; PyTorch's cases are of contiguous ones.
    r.op("view", |a| {
        Ok(a.var(0)?.contiguous()?.view(&a.ints(1, "shape")?[..])?)
    });
    r.op("permute", |a| Ok(a.var(0)?.permute(&a.ints(1, "dims")?)?));
    r.op("transpose", |a| {
        Ok(a.var(0)?.transpose(a.dim(1, "dim0")?, a.dim(2, "dim1")?)?)
    });
    r.unary("t", Var::t);
    r.op("squeeze", |a| Ok(a.var(0)?.squeeze(a.dims(1, "dim")?)?));
    r.op("squeeze.multiple", |a| {
        Ok(a.var(0)?.squeeze(&a.ints(1, "dim")?[..])?)
    });
    r.op("unsqueeze", |a| {
        Ok(a.var(0)?.unsqueeze(a.dim(1, "dim")?)?)
    });
    r.op("expand", |a| {
        Ok(a.var(0)?.expand(&a.ints(1, "size")?[..])?)
    });
    r.op("broadcast_to", |a| {
        Ok(a.var(0)?.broadcast_to(a.sizes(1, "size")?)?)
    });
    r.op("flatten", |a| {
        Ok(a.var(0)?.flatten(
            a.i64(1, "start_dim", 0)? as isize,
            a.i64(2, "end_dim", -1)? as isize,
        )?)
    });
    r.op("unflatten", |a| {
        Ok(a.var(0)?
            .unflatten(a.dim(1, "dim")?, &a.ints(2, "sizes")?[..])?)
    });
    r.op("narrow", |a| match a.is_tensor(2, "start") {
        true => Ok(a.var(0)?.narrow(
            a.dim(1, "dim")?,
            a.tensor(2)?.item::<i64>()?,
            a.usize(3, "length", 0)?,
        )?),
        false => Ok(a.var(0)?.narrow(
            a.dim(1, "dim")?,
            a.i64(2, "start", 0)?,
            a.usize(3, "length", 0)?,
        )?),
    });
    r.op("select", |a| {
        Ok(a.var(0)?.select(a.dim(1, "dim")?, a.i64(2, "index", 0)?)?)
    });
    r.op("slice", |a| {
        Ok(a.var(0)?.slice(
            a.dim(1, "dim")?,
            a.i64_opt(2, "start")?,
            a.i64_opt(3, "end")?,
            a.i64(4, "step", 1)?,
        )?)
    });
    r.op("diagonal", |a| {
        Ok(a.var(0)?.diagonal(
            a.i64(1, "offset", 0)?,
            a.i64(2, "dim1", 0)? as isize,
            a.i64(3, "dim2", 1)? as isize,
        )?)
    });
    r.op("movedim", |a| {
        Ok(a.var(0)?
            .movedim(a.ints(1, "source")?, a.ints(2, "destination")?)?)
    });
    r.op("unfold", |a| {
        Ok(a.var(0)?.unfold(
            a.dim(1, "dim")?,
            a.usize(2, "size", 0)?,
            a.usize(3, "step", 0)?,
        )?)
    });
}

fn joins(r: &mut Registry) {
    r.op("unbind", |a| {
        Ok(a.var(0)?.unbind(a.i64(1, "dim", 0)? as isize)?)
    });
}

fn indexing(r: &mut Registry) {
    r.op("nonzero", |a| match a.bool(1, "as_tuple", false)? {
        true => Ok(Outputs::from(a.tensor(0)?.nonzero_tuple()?)),
        false => Ok(a.tensor(0)?.nonzero()?.into()),
    });
}

fn rearranging(r: &mut Registry) {
    r.op("flip", |a| Ok(a.var(0)?.flip(a.dims(1, "dims")?)?));
}

fn creation(r: &mut Registry) {
    r.op("full", |a| {
        Ok(Tensor::full(
            a.sizes(0, "size")?,
            a.scalar(1, "fill_value")?,
            dtype_or(a, a.scalar(1, "fill_value")?.dtype())?,
        )?)
    });
    r.op("ones_like", |a| {
        Ok(Tensor::ones(
            a.tensor(0)?.shape(),
            dtype_or(a, a.tensor(0)?.dtype())?,
        )?)
    });
    r.op("eye", |a| {
        let n = a.usize(0, "n", 0)?;
        Ok(Tensor::eye_rect(
            n,
            a.usize(1, "m", n)?,
            dtype_or(a, DType::F32)?,
        )?)
    });
    r.op("linspace", |a| {
        Ok(Tensor::linspace(
            a.scalar(0, "start")?,
            a.scalar(1, "end")?,
            a.usize(2, "steps", 0)?,
            dtype_or(a, DType::F32)?,
        )?)
    });
    r.op("arange", |a| {
        // arange(end), arange(start, end) or arange(start, end, step).
        let step = a.scalar_or(2, "step", 1i64.into())?;
        let (start, end) = match a.get(1, "end") {
            Some(_) => (a.scalar(0, "start")?, a.scalar(1, "end")?),
            None => (0i64.into(), a.scalar(0, "end")?),
        };
        let natural = if [start, end, step].iter().any(|s| s.dtype().is_float()) {
            DType::F32
        } else {
            DType::I64
        };
        Ok(Tensor::arange(start, end, step, dtype_or(a, natural)?)?)
    });
}

/// The keyword `dtype`, or the dtype PyTorch would choose.
fn dtype_or(a: &Args, default: DType) -> Ran<DType> {
    Ok(a.dtype(9, "dtype")?.unwrap_or(default))
}
