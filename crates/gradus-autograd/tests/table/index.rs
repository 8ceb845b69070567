//! Reading and writing by index, joining, splitting, repeating, parts.

use gradus_autograd::Var;
use gradus_tensor::{PadMode, Result, ScatterReduce, Tensor, s};

use super::sample::Case;

fn one(
    name: &'static str,
    shape: &[usize],
    f: impl Fn(&Var) -> Result<Var> + Sync + 'static,
) -> Case {
    Case::new(name, &[(shape, -2.0, 2.0)], move |v| f(&v[0])?.square())
}

fn two(
    name: &'static str,
    a: &[usize],
    b: &[usize],
    f: impl Fn(&Var, &Var) -> Result<Var> + Sync + 'static,
) -> Case {
    Case::new(name, &[(a, -2.0, 2.0), (b, -2.0, 2.0)], move |v| {
        f(&v[0], &v[1])?.square()
    })
}

fn i(values: &[i64], shape: &[usize]) -> Result<Tensor> {
    Tensor::from_slice(values, shape)
}

fn mask(dims: &[usize]) -> Result<Tensor> {
    let n = dims.iter().product::<usize>();
    Tensor::from_vec((0..n).map(|i| i % 3 == 1).collect::<Vec<bool>>(), dims)
}

/// All of a list, in one value.
fn joined(parts: Vec<Var>) -> Result<Var> {
    let flat = parts
        .iter()
        .map(|p| p.reshape([-1]))
        .collect::<Result<Vec<_>>>()?;
    Var::cat(&flat.iter().collect::<Vec<_>>(), 0)
}

pub fn cases() -> Vec<Case> {
    vec![
        one("index", &[4, 3], |x| x.index(s![1..3, -1])),
        one("index", &[4, 3], |x| x.index(i(&[0, 2, 2], &[3])?)),
        one("index", &[2, 3], |x| x.index(mask(&[2, 3])?)),
        two("index_put", &[4, 3], &[3], |x, v| {
            x.index_put(i(&[0, 2], &[2])?, v, false)
        }),
        two("index_put", &[4, 3], &[3, 3], |x, v| {
            x.index_put(i(&[0, 2, 2], &[3])?, v, true)
        }),
        one("index_select", &[2, 3], |x| {
            x.index_select(1, &i(&[2, 0, 2], &[3])?)
        }),
        two("index_add", &[2, 3], &[2, 2], |x, v| {
            x.index_add(1, &i(&[2, 2], &[2])?, v, 0.5)
        }),
        two("index_copy", &[2, 3], &[2, 2], |x, v| {
            x.index_copy(1, &i(&[2, 0], &[2])?, v)
        }),
        one("index_fill", &[2, 3], |x| {
            x.index_fill(1, &i(&[2], &[1])?, 3)
        }),
        one("gather", &[2, 3], |x| {
            x.gather(1, &i(&[0, 0, 2, 1], &[2, 2])?)
        }),
        one("gather", &[], |x| x.gather(0, &i(&[0], &[])?)),
        one("take_along_dim", &[2, 3], |x| {
            x.take_along_dim(&i(&[1, 0, 1], &[1, 3])?, Some(0))
        }),
        one("take_along_dim", &[2, 3], |x| {
            x.take_along_dim(&i(&[1, 5, 5], &[3])?, None)
        }),
        two("scatter", &[2, 3], &[2, 2], |x, v| {
            x.scatter(1, &i(&[0, 2, 1, 0], &[2, 2])?, v)
        }),
        two("scatter", &[2, 3], &[3, 3], |x, v| {
            x.scatter(1, &i(&[0, 2, 1, 0], &[2, 2])?, v)
        }),
        one("scatter_value", &[2, 3], |x| {
            x.scatter_value(1, &i(&[0, 2], &[2, 1])?, 4)
        }),
        two("scatter_add", &[2, 3], &[2, 2], |x, v| {
            x.scatter_add(1, &i(&[0, 0, 1, 0], &[2, 2])?, v)
        }),
        two("scatter_reduce", &[2, 3], &[2, 3], |x, v| {
            reduce(x, v, ScatterReduce::Sum, false)
        }),
        two("scatter_reduce", &[2, 3], &[2, 3], |x, v| {
            reduce(x, v, ScatterReduce::Mean, true)
        }),
        two("scatter_reduce", &[2, 3], &[2, 3], |x, v| {
            reduce(x, v, ScatterReduce::Mean, false)
        }),
        two("scatter_reduce", &[2, 3], &[2, 3], |x, v| {
            reduce(x, v, ScatterReduce::Amax, true)
        }),
        two("scatter_reduce", &[2, 3], &[2, 3], |x, v| {
            reduce(x, v, ScatterReduce::Amin, false)
        }),
        two("scatter_reduce", &[2, 3], &[2, 3], |x, v| {
            reduce(x, v, ScatterReduce::Prod, true)
        }),
        two("scatter_reduce", &[2, 3], &[2, 3], |x, v| {
            reduce(x, v, ScatterReduce::Prod, false)
        }),
        one("take", &[2, 3], |x| x.take(&i(&[5, 0, -1, 0], &[2, 2])?)),
        two("put", &[2, 3], &[2], |x, v| {
            x.put(&i(&[5, 0], &[2])?, v, false)
        }),
        two("put", &[2, 3], &[2], |x, v| {
            x.put(&i(&[5, 5], &[2])?, v, true)
        }),
        one("masked_select", &[2, 3], |x| {
            x.masked_select(&mask(&[2, 3])?)
        }),
        one("masked_select", &[2, 1], |x| x.masked_select(&mask(&[3])?)),
        two("masked_scatter", &[2, 3], &[5], |x, v| {
            x.masked_scatter(&mask(&[2, 3])?, v)
        }),
        two("cat", &[2, 3], &[2, 1], |a, b| Var::cat(&[a, b, a], 1)),
        two("cat", &[0, 3], &[2, 3], |a, b| Var::cat(&[a, b], -2)),
        two("stack", &[2, 3], &[2, 3], |a, b| Var::stack(&[a, b], -1)),
        two("stack", &[], &[], |a, b| Var::stack(&[a, b], 0)),
        two("hstack", &[2], &[3], |a, b| Var::hstack(&[a, b])),
        two("vstack", &[3], &[2, 3], |a, b| Var::vstack(&[a, b])),
        one("split", &[5, 2], |x| joined(x.split(2, 0)?)),
        one("split_sizes", &[5, 2], |x| {
            joined(x.split_sizes(&[1, 4], 0)?)
        }),
        one("chunk", &[2, 5], |x| Ok(x.chunk(3, 1)?[2].clone())),
        one("tensor_split", &[5, 2], |x| {
            Ok(x.tensor_split(3, 0)?[1].clone())
        }),
        one("tensor_split_at", &[5, 2], |x| {
            joined(x.tensor_split_at(&[1, -1], 0)?)
        }),
        one("repeat", &[2, 3], |x| x.repeat([2, 1, 2])),
        one("repeat", &[], |x| x.repeat([2])),
        one("tile", &[2, 3], |x| x.tile(&[2])),
        one("repeat_interleave", &[2, 3], |x| x.repeat_interleave(2, 1)),
        one("repeat_interleave", &[2, 3], |x| {
            x.repeat_interleave(2, None)
        }),
        one("repeat_interleave_tensor", &[2, 3], |x| {
            x.repeat_interleave_tensor(&i(&[2, 0, 1], &[3])?, 1)
        }),
        one("roll", &[2, 3], |x| x.roll(&[1, -1], [0, 1])),
        one("roll", &[2, 3], |x| x.roll(&[2], ..)),
        one("rot90", &[2, 3], |x| x.rot90(1, &[0, 1])),
        two("meshgrid", &[2], &[3], |a, b| {
            joined(Var::meshgrid(&[a, b], "ij")?)
        }),
        two("meshgrid", &[2], &[3], |a, b| {
            joined(Var::meshgrid(&[a, b], "xy")?)
        }),
        two("broadcast_tensors", &[2, 1], &[3], |a, b| {
            joined(Var::broadcast_tensors(&[a, b])?)
        }),
        one("tril", &[3, 4], |x| x.tril(1)),
        one("triu", &[2, 3, 3], |x| x.triu(0)),
        one("diag", &[3], |x| x.diag(-1)),
        one("diag", &[3, 2], |x| x.diag(0)),
        one("diag_embed", &[2, 3], |x| x.diag_embed(1, 0, -1)),
        one("trace", &[3, 2], |x| x.trace()),
        one("pad", &[2, 3], |x| {
            x.pad(&[1, 2, -1, 0], PadMode::Constant(1.5.into()))
        }),
        one("pad", &[2, 3], |x| x.pad(&[1, 2], PadMode::Reflect)),
        one("pad", &[2, 3], |x| x.pad(&[1, 2], PadMode::Replicate)),
        one("pad", &[2, 3], |x| x.pad(&[3, 2], PadMode::Circular)),
        two("slice_scatter", &[5, 2], &[2, 2], |x, v| {
            x.slice_scatter(v, 0, 1, 5, 2)
        }),
        two("select_scatter", &[3, 2], &[2], |x, v| {
            x.select_scatter(v, 0, -1)
        }),
        two("diagonal_scatter", &[3, 3], &[2], |x, v| {
            x.diagonal_scatter(v, 1, 0, 1)
        }),
    ]
}

fn reduce(x: &Var, v: &Var, how: ScatterReduce, include_self: bool) -> Result<Var> {
    x.scatter_reduce(1, &i(&[0, 0, 1, 2, 2, 2], &[2, 3])?, v, how, include_self)
}
