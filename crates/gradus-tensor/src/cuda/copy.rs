//! Moving elements on a GPU: row-major copies, parts that are overwritten, casts, fills.

use std::sync::Arc;

use gradus_cuda::ops::copy;

use super::order::Order;
use super::{build, device, tensor, together, view};
use crate::device::Device;
use crate::dtype::DType;
use crate::element::Element as _;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::scalar::Scalar;
use crate::shape::Shape;
use crate::storage::Storage;
use crate::tensor::Tensor;

/// A row-major copy in storage of its own.
pub(crate) fn copy(x: &Tensor) -> Result<Tensor> {
    let gpu = together("copy", &[x])?;
    dispatch_cuda!("copy", x.dtype(), T => {
        let v = x.cuda_view::<T>()?;
        build::<T>(&gpu, x.shape(), x.dtype(), |y| copy::copy(&v, y))
    })
}

/// The elements of `out` that `layout` shows become those of `src`, which broadcasts to it. `out` is new or just copied.
pub(crate) fn write_view(
    op: &'static str,
    out: &mut Tensor,
    layout: &Layout,
    src: &Tensor,
) -> Result<()> {
    let src = like(op, out, src)?.to_dtype(out.dtype())?;
    let from = src
        .layout
        .broadcast_to(&layout.shape)
        .map_err(|e| e.in_op(op))?;
    if layout.numel() == 0 {
        return Ok(());
    }
    let dtype = out.dtype();
    let Some(Storage::Cuda(buffer)) = Arc::get_mut(&mut out.storage) else {
        return Err(Error::memory(op, "the result's storage is shared"));
    };
    dispatch_cuda!(op, dtype, T => {
        let x = view::<T>(&src, &from)?;
        Ok(copy::paste(&x, buffer.typed_mut::<T>()?, layout.offset, &layout.strides)?)
    })
}

/// Overwrites all of a tensor that is its memory's only holder with one of the CPU of the same shape and dtype; false for any other two.
pub(crate) fn write_host(out: &mut Tensor, src: &Tensor) -> Result<bool> {
    let whole = out.is_contiguous() && out.storage_bytes() == out.numel() * out.dtype().size();
    if src.is_cuda() || src.dtype() != out.dtype() || !whole {
        return Ok(false);
    }
    let Some(Storage::Cuda(buffer)) = Arc::get_mut(&mut out.storage) else {
        return Ok(false);
    };
    buffer.write(super::host_bytes(&src.contiguous()?)?)?;
    Ok(true)
}

/// The elements in another dtype.
pub(crate) fn cast(x: &Tensor, dtype: DType) -> Result<Tensor> {
    let op = "to_dtype";
    let gpu = together(op, &[x])?;
    let order = Order::of(&[&x.layout]);
    let look = order.look(&x.layout)?;
    dispatch_cuda!(op, x.dtype(), A => {
        let v = view::<A>(x, &look)?;
        dispatch_cuda!(op, dtype, B => order.build::<B>(&gpu, x.shape(), dtype, |y| copy::cast(&v, y)))
    })
}

/// Every element `value`.
pub(crate) fn full(
    op: &'static str,
    shape: &Shape,
    value: Scalar,
    dtype: DType,
    index: usize,
) -> Result<Tensor> {
    let gpu = device(op, index)?;
    dispatch_cuda!(op, dtype, T => build::<T>(&gpu, shape, dtype, |y| copy::fill(T::from_scalar(value), y)))
}

/// Every element 0.
pub(crate) fn zeros(shape: &Shape, dtype: DType, index: usize) -> Result<Tensor> {
    let gpu = device("zeros", index)?;
    let bytes = shape.numel()?.checked_mul(dtype.size());
    let bytes = bytes.ok_or_else(|| Error::memory("zeros", "the size overflows"))?;
    let flat = tensor(gpu.zeros::<u8>(bytes)?, &Shape::from(bytes), DType::U8);
    Ok(Tensor {
        storage: flat.storage,
        layout: Layout::contiguous(shape.clone()),
        dtype,
    })
}

/// `x` where `model` is. A number (rank 0) of the CPU comes along, as in PyTorch; anything else must be there already.
pub(crate) fn like(op: &'static str, model: &Tensor, x: &Tensor) -> Result<Tensor> {
    match (model.device(), x.device()) {
        (a, b) if a == b => Ok(x.clone()),
        (Device::Cuda(index), Device::Cpu) if x.rank() == 0 => {
            let value = x.to_scalar()?;
            full(op, x.shape(), value, x.dtype(), index)
        }
        _ => Err(super::apart(op, &[model, x])),
    }
}
