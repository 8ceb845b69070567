//! Views, indexing, joining and creation, by PyTorch's names.

use gradus_autograd::Var;
use gradus_tensor::{DType, Index, ScatterReduce, Tensor};
use serde_json::Value;

use super::args::{Arg, Args, Ran, not_applicable};
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
    // Places are counted from the start of the storage: of a contiguous input's, which PyTorch's cases are about.
    r.op("as_strided", |a| {
        let x = a.var(0)?.contiguous()?;
        let strides = a.ints(2, "stride")?;
        let start = x.value().layout().offset();
        let offset = a.usize_opt(3, "storage_offset")?.unwrap_or(0);
        Ok(x.as_strided(a.sizes(1, "size")?, &strides, Some(start + offset))?)
    });
    r.op("broadcast_tensors", |a| {
        Ok(Var::broadcast_tensors(&refs(
            &(0..a.positional.len())
                .map(|i| a.var(i))
                .collect::<Ran<Vec<_>>>()?,
        ))?)
    });
}

/// Borrows each.
fn refs(vars: &[Var]) -> Vec<&Var> {
    vars.iter().collect()
}

fn joins(r: &mut Registry) {
    r.op("cat", |a| {
        Ok(Var::cat(&refs(&a.vars(0)?), a.i64(1, "dim", 0)? as isize)?)
    });
    r.op("stack", |a| {
        Ok(Var::stack(
            &refs(&a.vars(0)?),
            a.i64(1, "dim", 0)? as isize,
        )?)
    });
    r.op("hstack", |a| Ok(Var::hstack(&refs(&a.vars(0)?))?));
    r.op("vstack", |a| Ok(Var::vstack(&refs(&a.vars(0)?))?));
    r.op("split", |a| {
        Ok(a.var(0)?
            .split(a.usize(1, "split_size", 1)?, a.i64(2, "dim", 0)? as isize)?)
    });
    r.op("split.list_args", |a| {
        Ok(a.var(0)?
            .split_sizes(&a.sizes(1, "split_sizes")?, a.i64(2, "dim", 0)? as isize)?)
    });
    r.op("chunk", |a| {
        Ok(a.var(0)?
            .chunk(a.usize(1, "chunks", 1)?, a.i64(2, "dim", 0)? as isize)?)
    });
    r.op("unbind", |a| {
        Ok(a.var(0)?.unbind(a.i64(1, "dim", 0)? as isize)?)
    });
    // Sections, or the places to cut at; a tensor holds either.
    r.op("tensor_split", |a| {
        let (x, dim) = (a.var(0)?, a.i64(2, "dim", 0)? as isize);
        let (sections, cuts) = if a.is_tensor(1, "indices") {
            let cuts = a.tensor(1)?.to_dtype(DType::I64)?;
            (cuts.rank() == 0, cuts.to_vec::<i64>()?)
        } else {
            (
                a.is_number(1, "sections"),
                a.ints(1, "sections")?.iter().map(|&i| i as i64).collect(),
            )
        };
        Ok(if sections {
            x.tensor_split(cuts[0] as usize, dim)?
        } else {
            x.tensor_split_at(&cuts, dim)?
        })
    });
    r.op("meshgrid.list_of_tensors", |a| {
        Ok(Var::meshgrid(
            &refs(&a.vars(0)?),
            a.str(1, "indexing", "ij")?,
        )?)
    });
}

fn indexing(r: &mut Registry) {
    r.op("index_select", |a| {
        Ok(a.var(0)?.index_select(a.dim(1, "dim")?, &a.tensor(2)?)?)
    });
    r.op("gather", |a| {
        Ok(a.var(0)?.gather(a.dim(1, "dim")?, &a.tensor(2)?)?)
    });
    r.op("scatter", |a| match a.is_tensor(3, "src") {
        true => Ok(a
            .var(0)?
            .scatter(a.dim(1, "dim")?, &a.tensor(2)?, &a.var(3)?)?),
        false => {
            Ok(a.var(0)?
                .scatter_value(a.dim(1, "dim")?, &a.tensor(2)?, a.scalar(3, "value")?)?)
        }
    });
    r.op("scatter_add", |a| {
        Ok(a.var(0)?
            .scatter_add(a.dim(1, "dim")?, &a.tensor(2)?, &a.var(3)?)?)
    });
    r.op("index_add", |a| {
        Ok(a.var(0)?.index_add(
            a.dim(1, "dim")?,
            &a.tensor(2)?,
            &a.var(3)?,
            a.f64(4, "alpha", 1.0)?,
        )?)
    });
    r.op("index_copy", |a| {
        Ok(a.var(0)?
            .index_copy(a.dim(1, "dim")?, &a.tensor(2)?, &a.var(3)?)?)
    });
    r.op("index_fill", |a| match a.is_tensor(3, "value") {
        true => {
            // A value with a gradient is copied to every place, once: what index_copy does with the value expanded.
            let (x, dim, index) = (a.var(0)?, a.dim(1, "dim")?, a.tensor(2)?.unique()?.0);
            let mut shape: Vec<usize> = x.dims().to_vec();
            let at = if dim < 0 {
                shape.len() as isize + dim
            } else {
                dim
            } as usize;
            if let Some(size) = shape.get_mut(at) {
                *size = index.numel();
            }
            Ok(x.index_copy(dim, &index, &a.var(3)?.broadcast_to(shape)?)?)
        }
        false => {
            Ok(a.var(0)?
                .index_fill(a.dim(1, "dim")?, &a.tensor(2)?, a.scalar(3, "value")?)?)
        }
    });
    r.op("scatter_reduce.sum", |a| {
        scatter_reduce(a, "sum", ScatterReduce::Sum)
    });
    r.op("scatter_reduce.mean", |a| {
        scatter_reduce(a, "mean", ScatterReduce::Mean)
    });
    r.op("scatter_reduce.amax", |a| {
        scatter_reduce(a, "amax", ScatterReduce::Amax)
    });
    r.op("scatter_reduce.amin", |a| {
        scatter_reduce(a, "amin", ScatterReduce::Amin)
    });
    r.op("scatter_reduce.prod", |a| {
        scatter_reduce(a, "prod", ScatterReduce::Prod)
    });
    r.op("__getitem__", |a| Ok(a.var(0)?.index(index(a, 1)?)?));
    r.op("index_put", |a| {
        Ok(a.var(0)?
            .index_put(index(a, 1)?, &a.var(2)?, a.bool(3, "accumulate", false)?)?)
    });
    r.op("searchsorted", |a| {
        let right = a.bool(9, "right", false)? || a.str(9, "side", "left")? == "right";
        let sorter = a.tensor_opt(9, "sorter")?;
        let sequence = a.tensor(0)?;
        let values = if a.is_tensor(1, "input") {
            a.tensor(1)?
        } else {
            Tensor::full((), a.scalar(1, "input")?, sequence.dtype())?
        };
        narrow(a, sequence.searchsorted(&values, right, sorter.as_ref())?)
    });
    r.op("bucketize", |a| {
        let right = a.bool(9, "right", false)?;
        let values = if a.is_tensor(0, "input") {
            a.tensor(0)?
        } else {
            Tensor::full((), a.scalar(0, "input")?, DType::F64)?
        };
        narrow(a, values.bucketize(&a.tensor(1)?, right)?)
    });
    r.op("unique_consecutive", |a| {
        let (inverse, counts) = (
            a.bool(9, "return_inverse", false)?,
            a.bool(9, "return_counts", false)?,
        );
        let all = a
            .tensor(0)?
            .unique_consecutive(a.i64_opt(9, "dim")?.map(|d| d as isize))?;
        let mut out = vec![all.0];
        out.extend(inverse.then_some(all.1));
        out.extend(counts.then_some(all.2));
        Ok(out)
    });
    r.op("take", |a| Ok(a.var(0)?.take(&a.tensor(1)?)?));
    r.op("take_along_dim", |a| {
        Ok(a.var(0)?
            .take_along_dim(&a.tensor(1)?, a.i64_opt(2, "dim")?.map(|d| d as isize))?)
    });
    r.op("masked_select", |a| {
        Ok(a.var(0)?.masked_select(&a.tensor(1)?)?)
    });
    r.op("nonzero", |a| match a.bool(1, "as_tuple", false)? {
        true => Ok(Outputs::from(a.tensor(0)?.nonzero_tuple()?)),
        false => Ok(a.tensor(0)?.nonzero()?.into()),
    });
    r.op("slice_scatter", |a| {
        Ok(a.var(0)?.slice_scatter(
            &a.var(1)?,
            a.i64(2, "dim", 0)? as isize,
            a.i64_opt(3, "start")?,
            a.i64_opt(4, "end")?,
            a.i64(5, "step", 1)?,
        )?)
    });
    r.op("select_scatter", |a| {
        Ok(a.var(0)?
            .select_scatter(&a.var(1)?, a.dim(2, "dim")?, a.i64(3, "index", 0)?)?)
    });
}

fn scatter_reduce(a: &Args, name: &str, reduce: ScatterReduce) -> Ran<Var> {
    if a.str(4, "reduce", name)? != name {
        return not_applicable("another reduction");
    }
    Ok(a.var(0)?.scatter_reduce(
        a.dim(1, "dim")?,
        &a.tensor(2)?,
        &a.var(3)?,
        reduce,
        a.bool(5, "include_self", true)?,
    )?)
}

/// Positions as i64, or as i32 if asked.
fn narrow(a: &Args, positions: Tensor) -> Ran<Tensor> {
    let dtype = if a.bool(9, "out_int32", false)? {
        DType::I32
    } else {
        DType::I64
    };
    Ok(positions.to_dtype(dtype)?)
}

/// What Python writes between the brackets. A list of nothing but whole numbers is one tensor of positions; with a range, a list
/// or an ellipsis among them it is read as a tuple, as PyTorch does.
fn index(a: &Args, at: usize) -> Ran<Vec<Index>> {
    match a.get(at, "indices") {
        Some(Arg::Json(list @ Value::Array(items)))
            if !items.is_empty() && items.iter().all(Value::is_i64) =>
        {
            Ok(vec![index_item(list)?])
        }
        Some(Arg::Json(Value::Array(items))) => items.iter().map(index_item).collect(),
        Some(Arg::Json(item)) => Ok(vec![index_item(item)?]),
        Some(Arg::Tensor(t)) => Ok(vec![Index::Tensor(t.clone())]),
        Some(Arg::List(items)) => items
            .iter()
            .map(|item| match item {
                Arg::Tensor(t) => Ok(Index::Tensor(t.clone())),
                Arg::Json(item) => index_item(item),
                _ => not_applicable("an index is a whole number, a range or a tensor"),
            })
            .collect(),
        _ => not_applicable("an index is required"),
    }
}

fn index_item(item: &Value) -> Ran<Index> {
    if let Some(i) = item.as_i64() {
        return Ok(Index::At(i));
    }
    if let Some(slice) = item.get("slice") {
        return Ok(Index::Slice(
            slice[0].as_i64(),
            slice[1].as_i64(),
            slice[2].as_i64().unwrap_or(1),
        ));
    }
    if item.get("ellipsis").is_some() {
        return Ok(Index::Ellipsis);
    }
    if item.is_null() {
        return Ok(Index::NewAxis);
    }
    let list = item.as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(mask) = list
        .iter()
        .map(Value::as_bool)
        .collect::<Option<Vec<bool>>>()
        && !mask.is_empty()
    {
        let n = mask.len();
        return Ok(Index::Tensor(Tensor::from_vec(mask, n)?));
    }
    match list.iter().map(Value::as_i64).collect::<Option<Vec<i64>>>() {
        Some(positions) if item.is_array() => {
            let n = positions.len();
            Ok(Index::Tensor(Tensor::from_vec(positions, n)?))
        }
        _ => not_applicable("an index is a whole number, a range or a tensor"),
    }
}

fn rearranging(r: &mut Registry) {
    r.op("flip", |a| Ok(a.var(0)?.flip(a.dims(1, "dims")?)?));
    r.op("roll", |a| {
        let shifts: Vec<i64> = a.ints(1, "shifts")?.iter().map(|&s| s as i64).collect();
        Ok(a.var(0)?.roll(&shifts, a.dims(2, "dims")?)?)
    });
    r.op("rot90", |a| {
        Ok(a.var(0)?.rot90(
            a.i64(1, "k", 1)?,
            &a.ints_opt(2, "dims")?.unwrap_or(vec![0, 1]),
        )?)
    });
    r.op("repeat", |a| {
        Ok(a.var(0)?.repeat(&a.ints(1, "repeats")?[..])?)
    });
    r.op("tile", |a| Ok(a.var(0)?.tile(&a.ints(1, "dims")?)?));
    r.op("repeat_interleave", |a| {
        let dim = a.i64_opt(2, "dim")?.map(|d| d as isize);
        a.usize_opt(3, "output_size")?; // only spares PyTorch a look at the counts
        Ok(match a.is_tensor(1, "repeats") {
            true => a.var(0)?.repeat_interleave_tensor(
                &a.tensor_opt(1, "repeats")?.unwrap_or(a.tensor(0)?),
                dim,
            )?,
            false => a
                .var(0)?
                .repeat_interleave(a.usize(1, "repeats", 1)?, dim)?,
        })
    });
    r.op("tril", |a| Ok(a.var(0)?.tril(a.i64(1, "diagonal", 0)?)?));
    r.op("triu", |a| Ok(a.var(0)?.triu(a.i64(1, "diagonal", 0)?)?));
    r.op("diag", |a| Ok(a.var(0)?.diag(a.i64(1, "diagonal", 0)?)?));
    r.op("diag_embed", |a| {
        Ok(a.var(0)?.diag_embed(
            a.i64(1, "offset", 0)?,
            a.i64(2, "dim1", -2)? as isize,
            a.i64(3, "dim2", -1)? as isize,
        )?)
    });
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
