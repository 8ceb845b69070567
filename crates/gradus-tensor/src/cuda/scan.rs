//! Running results along an axis on a GPU, and where elements are not 0.

use gradus_cuda::manifest::ScanOp;
use gradus_cuda::ops::scan;

use super::{build, solid, tensor, together};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// The kernel's number of a running sum, by its name in `ops/scan.rs`.
fn twin(name: &'static str) -> Option<ScanOp> {
    ScanOp::ALL.iter().copied().find(|op| op.name() == name)
}

/// A running sum, product or log-sum of exponentials along `d`; whole numbers add up in i64.
pub(crate) fn running(name: &'static str, x: &Tensor, d: usize, shape: &Shape) -> Result<Tensor> {
    let op = twin(name).ok_or_else(|| super::not_here(name, x.device()))?;
    let x = if x.dtype().is_float() {
        x.clone()
    } else {
        x.to_dtype(DType::I64)?
    };
    let gpu = together(name, &[&x])?;
    let y = dispatch_cuda!(sums name, x.dtype(), T => {
        let v = x.cuda_view::<T>()?;
        build::<T>(&gpu, x.shape(), x.dtype(), |y| scan::scan(op, &v, d, y))
    })?;
    y.reshape_to(shape)
}

/// The largest (or smallest) so far along `d`, and the place of its last occurrence.
pub(crate) fn extreme(
    name: &'static str,
    x: &Tensor,
    d: usize,
    shape: &Shape,
    smallest: bool,
) -> Result<(Tensor, Tensor)> {
    let dtype = x.dtype();
    let x = if dtype.is_float() {
        x.clone()
    } else {
        x.to_dtype(DType::I64)?
    };
    let gpu = together(name, &[&x])?;
    let mut at = gpu.uninit::<i64>(x.numel())?;
    let y = dispatch_cuda!(sums name, x.dtype(), T => {
        let v = x.cuda_view::<T>()?;
        build::<T>(&gpu, x.shape(), x.dtype(), |y| scan::scan_extremes(&v, d, smallest, y, &mut at))
    })?;
    let at = tensor(at, shape, DType::I64);
    Ok((y.to_dtype(dtype)?.reshape_to(shape)?, at))
}

/// The coordinates in `shape` of the elements of `x` that are not 0, a row each: i64 (count, rank). The count decides how much memory
/// the result takes, so the host waits for it; it is all that the host reads.
pub(crate) fn nonzero(op: &'static str, x: &Tensor, shape: &[usize]) -> Result<Tensor> {
    let gpu = together(op, &[x])?;
    let mask = solid(&x.to_dtype(DType::Bool)?)?;
    let rank = shape.len();
    if mask.numel() == 0 {
        return Tensor::zeros([0, rank], (DType::I64, x.device()));
    }
    let flat = mask.reshape([mask.numel()])?;
    let sums = solid(&flat.cumsum(0)?)?;
    let count = sums.select(0, -1)?.item::<i64>()?;
    let count = usize::try_from(count).map_err(|_| Error::value(op, "a negative count"))?;
    let result = Shape::from([count, rank]);
    let (view, sums) = (flat.cuda_view::<bool>()?, sums.cuda_solid::<i64>()?);
    build::<i64>(&gpu, &result, DType::I64, |y| {
        scan::nonzero(&view, sums, shape, y)
    })
}
