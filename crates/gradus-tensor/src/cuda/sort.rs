//! Order on a GPU: sorting along an axis, and searching in what is sorted.

use gradus_cuda::ops::sort;

use super::{build, together};
use crate::dtype::DType;
use crate::error::Result;
use crate::tensor::Tensor;

/// The first `k` (all, for `None`) elements along `d` in order, and where they were.
pub(crate) fn sorted(
    op: &'static str,
    x: &Tensor,
    d: usize,
    descending: bool,
    k: Option<usize>,
) -> Result<(Tensor, Tensor)> {
    let at = places(op, x, d, descending)?;
    let at = match k {
        Some(k) => at.narrow(d as isize, 0, k)?,
        None => at,
    };
    let values = x.gather(d as isize, &at).map_err(|e| e.in_op(op))?;
    Ok((values, at.contiguous()?))
}

/// Where the elements in order along `d` are.
fn places(op: &'static str, x: &Tensor, d: usize, descending: bool) -> Result<Tensor> {
    let gpu = together(op, &[x])?;
    let moved = x.movedim(d as isize, -1)?;
    let at = dispatch_cuda!(op, x.dtype(), T => {
        let v = moved.cuda_view::<T>()?;
        build::<i64>(&gpu, moved.shape(), DType::I64, |y| sort::argsort(&v, descending, y))
    })?;
    at.movedim(-1, d as isize)
}

/// The element at place `k` of the order along `d`, and where it was; the dimension stays, with size 1.
pub(crate) fn kth(op: &'static str, x: &Tensor, d: usize, k: usize) -> Result<(Tensor, Tensor)> {
    let at = places(op, x, d, false)?.narrow(d as isize, k as i64, 1)?;
    let values = x.gather(d as isize, &at).map_err(|e| e.in_op(op))?;
    Ok((values, at))
}

/// Where values would go into sorted rows.
pub(crate) fn search(
    op: &'static str,
    sequence: &Tensor,
    values: &Tensor,
    right: bool,
) -> Result<Tensor> {
    let gpu = together(op, &[sequence, values])?;
    dispatch_cuda!(op, sequence.dtype(), T => {
        let (s, v) = (sequence.cuda_view::<T>()?, values.cuda_view::<T>()?);
        build::<i64>(&gpu, values.shape(), DType::I64, |y| sort::search_sorted(&s, &v, right, y))
    })
}
