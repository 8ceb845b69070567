//! Rows and elements by index on a GPU, and their gradients. An index out of range reads nothing and writes nothing; it is reported
//! at the next reading of a result, because the host does not wait to look.

use gradus_cuda::ops::embedding;

use super::{build, no_kernel, solid, tensor, together};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::layout::Layout;
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

/// A copy of `x` with the elements of `src` added where `index` says, added up in f32.
pub(crate) fn scatter_add(x: &Tensor, d: usize, index: &Tensor, src: &Tensor) -> Result<Tensor> {
    let op = "scatter_add";
    together(op, &[x, index, src])?;
    if !x.dtype().is_float() {
        return Err(no_kernel(op, x.dtype()));
    }
    if index.numel() == 0 {
        return x.copy();
    }
    let at = whole(op, index)?;
    let (out, at, src) = (line(x)?, line(&at)?, line(src)?);
    let part = cut(op, &out, d, &at)?;
    let src = {
        let cut = cut(op, &src, d, &at)?;
        cut.narrow(d as isize, 0, at.dims()[d])?
    };
    let sum = added(op, &part, d, &at, &src)?;
    if part.dims() == out.dims() {
        return sum.reshape_to(x.shape());
    }
    let layout = |l: &Layout| {
        let mut l = l.clone();
        for i in (0..at.rank()).filter(|&i| i != d) {
            l = l.narrow(i as isize, 0, at.dims()[i])?;
        }
        Ok(l)
    };
    crate::ops::copy::replaced(op, out.copy()?, &sum, layout)?.reshape_to(x.shape())
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

/// A copy of `x` with the elements of `source` added at positions of the flattened tensor, negative ones counted from the back.
pub(crate) fn put(x: &Tensor, index: &Tensor, source: &Tensor, accumulate: bool) -> Result<Tensor> {
    let op = "put";
    together(op, &[x, index, source])?;
    if !accumulate {
        return Err(super::not_here(op, x.device()));
    }
    let at = wrapped(op, index, x.numel())?;
    let flat = scatter_add(&x.flatten(0, -1)?, 0, &at, &source.flatten(0, -1)?);
    flat.map_err(|e| e.in_op(op))?.reshape_to(x.shape())
}

/// Indices of a flat tensor of `n` elements, as a vector: negative ones are counted from the back.
fn wrapped(op: &'static str, index: &Tensor, n: usize) -> Result<Tensor> {
    let index = whole(op, index)?.flatten(0, -1)?;
    let from_back = index.add_scalar(n as i64)?;
    Tensor::where_(&index.lt_scalar(0)?, &from_back, &index)
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
    let (outer, inner) = (
        x.dims()[..d].iter().product(),
        x.dims()[d + 1..].iter().product(),
    );
    let mut sums = gpu.zeros::<f32>(x.numel())?;
    dispatch_cuda!(float op, src.dtype(), T => {
        let v = src.cuda_view::<T>()?;
        Ok(embedding::scatter_add(&v, at.cuda_solid::<i64>()?, [outer, x.dims()[d], inner], &mut sums)?)
    })?;
    tensor(sums, x.shape(), DType::F32)
        .add_(&x.to_dtype(DType::F32)?)?
        .to_dtype(x.dtype())
}
