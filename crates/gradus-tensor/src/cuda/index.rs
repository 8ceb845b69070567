//! Rows and elements by index on a GPU, and their gradients. An index out of range reads nothing and writes nothing; it is reported
//! at the next reading of a result, because the host does not wait to look.

use gradus_cuda::manifest::ReduceOp;
use gradus_cuda::ops::{embedding, scatter as kernel};

use super::{build, solid, tensor, together};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::ops::scatter::{ScatterReduce, extreme};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// Indices as the kernels take them.
fn whole(op: &'static str, index: &Tensor) -> Result<Tensor> {
    index.expect_whole(op)?;
    solid(&index.to_dtype(DType::I64)?)
}

/// Rows of a table (rows, width) by index: (index.., width).
pub(crate) fn embedding(table: &Tensor, index: &Tensor, shape: &Shape) -> Result<Tensor> {
    let op = "embedding";
    let gpu = together(op, &[table, index])?;
    let (rows, width) = (table.dims()[0], table.dims()[1]);
    let (table, index) = (solid(table)?, whole(op, index)?);
    dispatch_cuda!(op, table.dtype(), T => {
        let (table_rows, index) = (table.cuda_solid::<T>()?, index.cuda_solid::<i64>()?);
        build::<T>(&gpu, shape, table.dtype(), |y| embedding::gather_rows(table_rows, rows, width, index, y))
    })
}

/// A table (rows, width) of zeros with the rows of `dy` added where `index` says, added up in f32.
pub(crate) fn embedding_backward(
    op: &'static str,
    dy: &Tensor,
    index: &Tensor,
    rows: usize,
) -> Result<Tensor> {
    let gpu = together(op, &[dy, index])?;
    let width = dy.dims()[dy.rank() - 1];
    if dy.dtype() == DType::F64 {
        let rows = Tensor::zeros([rows, width], dy)?;
        let index = index.reshape([index.numel(), 1])?;
        let index = index.broadcast_to([index.numel(), width])?;
        return rows.scatter_add(0, &index, &dy.reshape([index.dims()[0], width])?);
    }
    let (dy, index) = (solid(dy)?, whole(op, index)?);
    let shape = Shape::from([rows, width]);
    let mut table = gpu.zeros::<f32>(shape.numel()?)?;
    dispatch_cuda!(float op, dy.dtype(), T => {
        let (dy, index) = (dy.cuda_solid::<T>()?, index.cuda_solid::<i64>()?);
        Ok(embedding::scatter_add_rows(dy, index, rows, width, &mut table)?)
    })?;
    tensor(table, &shape, DType::F32).to_dtype(dy.dtype())
}

/// Slices of `x` along `d` by a vector of indices.
pub(crate) fn index_select(
    op: &'static str,
    x: &Tensor,
    d: usize,
    index: &Tensor,
) -> Result<Tensor> {
    together(op, &[x, index])?;
    let front = x.movedim(d as isize, 0)?;
    let mut shape = front.shape().clone();
    let width = front.dims()[1..].iter().product::<usize>();
    let table = front.reshape([front.dims()[0], width])?;
    shape.0[0] = index.numel();
    let flat = embedding(
        &table,
        &index.flatten(0, -1)?,
        &Shape::from([index.numel(), width]),
    )
    .map_err(|e| e.in_op(op))?;
    flat.reshape_to(&shape)?.movedim(0, d as isize)
}

/// Elements of a flat tensor by index, negative ones counted from the back.
pub(crate) fn take(x: &Tensor, index: &Tensor) -> Result<Tensor> {
    let op = "take";
    together(op, &[x, index])?;
    let at = wrapped(op, index, x.numel())?;
    let y = x.flatten(0, -1)?.gather(0, &at);
    y.map_err(|e| e.in_op(op))?.reshape_to(index.shape())
}

/// `x` cut to the sizes of `index` in every dimension but `d`.
fn cut(op: &'static str, x: &Tensor, d: usize, index: &Tensor) -> Result<Tensor> {
    let mut part = x.clone();
    if x.rank() != index.rank() {
        let message = format!(
            "{} and the index {} differ in rank",
            x.shape(),
            index.shape()
        );
        return Err(Error::shape(op, message));
    }
    for i in (0..x.rank()).filter(|&i| i != d) {
        if index.dims()[i] > x.dims()[i] {
            let message = format!(
                "the index {} is larger than {} in dimension {i}",
                index.shape(),
                x.shape()
            );
            return Err(Error::shape(op, message));
        }
        part = part.narrow(i as isize, 0, index.dims()[i])?;
    }
    Ok(part)
}

/// With at least one dimension.
fn line(x: &Tensor) -> Result<Tensor> {
    if x.rank() == 0 {
        x.unsqueeze(0)
    } else {
        Ok(x.clone())
    }
}

/// Elements along `d` by an index of the same rank.
pub(crate) fn gather(x: &Tensor, d: usize, index: &Tensor) -> Result<Tensor> {
    let op = "gather";
    let gpu = together(op, &[x, index])?;
    if index.numel() == 0 {
        return Tensor::zeros(index.shape(), x);
    }
    let at = whole(op, index)?;
    let (x, at) = (line(x)?, line(&at)?);
    let x = cut(op, &x, d, &at)?;
    let m = at.dims()[d];
    dispatch_cuda!(op, x.dtype(), T => {
        let v = x.cuda_view::<T>()?;
        let indices = at.cuda_solid::<i64>()?;
        build::<T>(&gpu, index.shape(), x.dtype(), |y| embedding::gather(&v, d, indices, m, y))
    })
}

/// A copy of `x` whose part that `index` speaks of is `f` of it: of that part, the index, and the source cut to it, each with a dimension at
/// least.
fn replaced_part(
    op: &'static str,
    x: &Tensor,
    d: usize,
    index: &Tensor,
    src: &Tensor,
    f: impl FnOnce(&Tensor, &Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    together(op, &[x, index, src])?;
    if index.numel() == 0 {
        return x.copy();
    }
    let at = whole(op, index)?;
    let (out, at, src) = (line(x)?, line(&at)?, line(src)?);
    let part = cut(op, &out, d, &at)?;
    let src = cut(op, &src, d, &at)?.narrow(d as isize, 0, at.dims()[d])?;
    let y = f(&part, &at, &src)?;
    if part.dims() == out.dims() {
        return y.reshape_to(x.shape());
    }
    let layout = |l: &Layout| {
        let mut l = l.clone();
        for i in (0..at.rank()).filter(|&i| i != d) {
            l = l.narrow(i as isize, 0, at.dims()[i])?;
        }
        Ok(l)
    };
    crate::ops::copy::replaced(op, out.copy()?, &y, layout)?.reshape_to(x.shape())
}

/// (outer, axis, inner) of a shape.
fn around(x: &Tensor, d: usize) -> [usize; 3] {
    let product = |dims: &[usize]| dims.iter().product();
    [
        product(&x.dims()[..d]),
        x.dims()[d],
        product(&x.dims()[d + 1..]),
    ]
}

/// A copy of `x` with the elements of `src` added where `index` says; floats of at most 32 bits are added up in f32.
pub(crate) fn scatter_add(x: &Tensor, d: usize, index: &Tensor, src: &Tensor) -> Result<Tensor> {
    let op = "scatter_add";
    replaced_part(op, x, d, index, src, |part, at, src| match x.dtype() {
        DType::F32 | DType::BF16 | DType::F16 => added(op, part, d, at, src),
        _ => joined(op, ReduceOp::Sum, part, d, at, src),
    })
}

/// A copy of `x` with the elements of `src` where `index` says; the last one wins.
pub(crate) fn scatter(x: &Tensor, d: usize, index: &Tensor, src: &Tensor) -> Result<Tensor> {
    let op = "scatter";
    let gpu = together(op, &[x, index, src])?;
    replaced_part(op, x, d, index, src, |part, at, src| {
        let out = super::copy::copy(part)?;
        dispatch_cuda!(op, x.dtype(), T => {
            let mut y = gpu.uninit::<T>(out.numel())?;
            gradus_cuda::ops::copy::copy(&out.cuda_view::<T>()?, &mut y)?;
            kernel::scatter(&src.cuda_view::<T>()?, at.cuda_solid::<i64>()?, around(&out, d), &mut y)?;
            Ok(tensor(y, out.shape(), x.dtype()))
        })
    })
}

/// The slices of `x` that the vector `index` names along `d` become those of `src`, in its memory if nobody else holds it.
pub(crate) fn index_copy(x: Tensor, d: usize, index: &Tensor, src: &Tensor) -> Result<Tensor> {
    let op = "index_copy";
    together(op, &[&x, index, src])?;
    let alone = x.is_cuda_alone() && x.storage_bytes() == x.numel() * x.dtype().size();
    let mut out = if alone { x } else { super::copy::copy(&x)? };
    let (rows, sizes) = (whole(op, index)?, around(&out, d));
    let Some(crate::storage::Storage::Cuda(buffer)) = std::sync::Arc::get_mut(&mut out.storage)
    else {
        return Err(Error::memory(op, "the result's storage is shared"));
    };
    dispatch_cuda!(op, src.dtype(), T => {
        Ok(kernel::write_rows(&src.cuda_view::<T>()?, rows.cuda_solid::<i64>()?, sizes, buffer.typed_mut::<T>()?)?)
    })?;
    Ok(out)
}

/// A copy of `x` joined with the elements of `src` where `index` says.
pub(crate) fn scatter_reduce(
    x: &Tensor,
    d: usize,
    index: &Tensor,
    src: &Tensor,
    reduce: ScatterReduce,
    include_self: bool,
) -> Result<Tensor> {
    let op = "scatter_reduce";
    let (twin, start) = match reduce {
        ScatterReduce::Sum | ScatterReduce::Mean => (ReduceOp::Sum, Tensor::zeros((), x.dtype())?),
        ScatterReduce::Prod => (ReduceOp::Prod, Tensor::ones((), x.dtype())?),
        ScatterReduce::Amax => (ReduceOp::Max, extreme(x.dtype(), false)?),
        ScatterReduce::Amin => (ReduceOp::Min, extreme(x.dtype(), true)?),
    };
    // Places that something lands in start from the neutral element.
    let from = if include_self {
        x.clone()
    } else {
        let start = start.to_device(&x.device())?.broadcast_to(index.shape())?;
        scatter(x, d, index, &start)?
    };
    let y = replaced_part(op, &from, d, index, src, |part, at, src| {
        joined(op, twin, part, d, at, src)
    })?;
    if reduce != ScatterReduce::Mean {
        return Ok(y);
    }
    let whole = (DType::I64, x.device());
    let counts = Tensor::full(x.shape(), i64::from(include_self), whole)?;
    let counts = scatter_add(&counts, d, index, &Tensor::ones(index.shape(), whole)?)?;
    let counts = counts.clamp_min(1)?.to_dtype(x.dtype())?;
    if x.dtype().is_float() {
        y.div(&counts)
    } else {
        y.floor_divide(&counts)
    }
}

/// `x` joined with `src` at the places `at` along `d`, in a type that the kernels have; sizes differ along `d` alone.
fn joined(
    op: &'static str,
    by: ReduceOp,
    x: &Tensor,
    d: usize,
    at: &Tensor,
    src: &Tensor,
) -> Result<Tensor> {
    let gpu = together(op, &[x, at, src])?;
    let wide = match x.dtype() {
        dtype if dtype.is_float() => super::compute(dtype),
        _ => DType::I64,
    };
    let (out, src) = (x.to_dtype(wide)?, src.to_dtype(wide)?);
    let y = dispatch_cuda!(sums op, wide, T => {
        let mut y = gpu.uninit::<T>(out.numel())?;
        gradus_cuda::ops::copy::copy(&out.cuda_view::<T>()?, &mut y)?;
        kernel::scatter_join(by, &src.cuda_view::<T>()?, at.cuda_solid::<i64>()?, around(&out, d), &mut y)?;
        Ok(tensor(y, out.shape(), wide))
    })?;
    y.to_dtype(x.dtype())
}

/// Slices of `x` along `d` by positions that the host knows.
pub(crate) fn select_rows(op: &'static str, x: &Tensor, d: usize, at: &[usize]) -> Result<Tensor> {
    let at = at.iter().map(|&i| i as i64).collect();
    index_select(op, x, d, &positions(x, at)?)
}

/// A vector of positions where `like` is.
fn positions(like: &Tensor, at: Vec<i64>) -> Result<Tensor> {
    let n = at.len();
    Tensor::from_vec(at, n)?.to_device(&like.device())
}

/// A copy of `x` with the elements of `source` written (or added) at positions of the flattened tensor, negative ones counted from the back.
pub(crate) fn put(x: &Tensor, index: &Tensor, source: &Tensor, accumulate: bool) -> Result<Tensor> {
    let op = "put";
    together(op, &[x, index, source])?;
    let at = wrapped(op, index, x.numel())?;
    let (flat, source) = (x.flatten(0, -1)?, source.flatten(0, -1)?);
    let flat = if accumulate {
        flat.scatter_add(0, &at, &source)
    } else {
        flat.scatter(0, &at, &source)
    };
    flat.map_err(|e| e.in_op(op))?.reshape_to(x.shape())
}

/// Indices of a flat tensor of `n` elements, as a vector: negative ones are counted from the back.
fn wrapped(op: &'static str, index: &Tensor, n: usize) -> Result<Tensor> {
    let index = whole(op, index)?.flatten(0, -1)?;
    let from_back = index.add_scalar(n as i64)?;
    Tensor::where_(&index.lt_scalar(0)?, &from_back, &index)
}

/// Indices of a dimension of `size`, in the shape they have: negative ones are counted from the back.
pub(crate) fn wrapped_as(op: &'static str, index: &Tensor, size: usize) -> Result<Tensor> {
    wrapped(op, index, size)?.reshape_to(index.shape())
}

/// May a layout show one place twice? (Never "no" where it does.)
pub(crate) fn overlaps(layout: &Layout) -> bool {
    let dims = layout.shape.iter().zip(layout.strides.iter());
    let mut dims: Vec<(usize, usize)> = dims
        .filter(|(size, _)| **size > 1)
        .map(|(&size, stride)| (stride.unsigned_abs(), size))
        .collect();
    dims.sort_unstable();
    let mut reach = 0; // of the dimensions with smaller steps
    dims.iter().any(|&(stride, size)| {
        let apart = stride > reach;
        reach += stride * (size - 1);
        !apart
    })
}

/// `out` with `src` added where `part` looks, perhaps several times at one place; `start` is the part's first element in `out`.
pub(crate) fn add_at(
    op: &'static str,
    out: &Tensor,
    part: &Layout,
    start: isize,
    src: &Tensor,
) -> Result<Tensor> {
    let base = part.offset as isize - start;
    let at = part
        .positions()
        .map(|p| (p as isize - base) as i64)
        .collect();
    let flat = put(out, &positions(out, at)?, &src.flatten(0, -1)?, true);
    flat.map_err(|e| e.in_op(op))
}

/// [`scatter_add`] where sizes differ along `d` alone.
fn added(op: &'static str, x: &Tensor, d: usize, at: &Tensor, src: &Tensor) -> Result<Tensor> {
    let gpu = together(op, &[x, at, src])?;
    let mut sums = gpu.zeros::<f32>(x.numel())?;
    dispatch_cuda!(float op, src.dtype(), T => {
        let v = src.cuda_view::<T>()?;
        Ok(embedding::scatter_add(&v, at.cuda_solid::<i64>()?, around(x, d), &mut sums)?)
    })?;
    tensor(sums, x.shape(), DType::F32)
        .add_(&x.to_dtype(DType::F32)?)?
        .to_dtype(x.dtype())
}
