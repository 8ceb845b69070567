//! Moving elements without knowing their type: strided to row-major, and row-major into a strided part.

use std::sync::Arc;

use gradus_cpu::{View, ViewMut};

use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::storage::{Storage, dispatch_size};
use crate::tensor::Tensor;

/// A row-major copy in storage of its own.
pub(crate) fn copy(x: &Tensor) -> Result<Tensor> {
    on_cuda!([x] => cuda::copy::copy(x));
    let l = &x.layout;
    dispatch_size!(x.dtype(), W => Tensor::build_words::<W>("copy", &l.shape, x.dtype(), |y| {
        Ok(gradus_cpu::copy::copy(View::new(x.words::<W>("copy")?, l.offset, &l.shape, &l.strides)?, y)?)
    }))
}

/// Overwrites the elements of `out` that `layout` (a view of `out`) shows with those of `src`, which broadcasts to it.
/// `out` is new or just copied: nobody else holds it.
pub(crate) fn write_view(
    op: &'static str,
    out: &mut Tensor,
    layout: &Layout,
    src: &Tensor,
) -> Result<()> {
    on_cuda!([out, src] => cuda::copy::write_view(op, out, layout, src));
    let src = src.to_dtype(out.dtype())?;
    let from = src
        .layout
        .broadcast_to(&layout.shape)
        .map_err(|e| e.in_op(op))?;
    if layout.numel() == 0 {
        return Ok(());
    }
    let dtype = out.dtype();
    let Some(Storage::Cpu(buffer)) = Arc::get_mut(&mut out.storage) else {
        return Err(Error::memory(op, "the result's storage is shared"));
    };
    dispatch_size!(dtype, W => {
        let from = View::new(src.words::<W>(op)?, from.offset, &from.shape, &from.strides)?;
        let to = ViewMut::new(buffer.words_mut::<W>(), layout.offset, &layout.shape, &layout.strides)?;
        Ok(gradus_cpu::copy::copy_into(from, to)?)
    })
}

/// A copy of `x` (its memory when nobody else holds it) with the part that `part` shows replaced by `src`.
pub(crate) fn replaced(
    op: &'static str,
    x: Tensor,
    src: &Tensor,
    part: impl FnOnce(&Layout) -> Result<Layout>,
) -> Result<Tensor> {
    let mut out = if x.is_exclusive() || x.is_cuda_alone() {
        x
    } else {
        copy(&x)?
    };
    let layout = part(&out.layout)?;
    if layout.shape != *src.shape() && src.numel() != 1 {
        return Err(Error::shape(
            op,
            format!(
                "the part has shape {} but the source {}",
                layout.shape,
                src.shape()
            ),
        ));
    }
    write_view(op, &mut out, &layout, src)?;
    Ok(out)
}

impl Tensor {
    /// Overwrites the elements with those of `src`, which broadcasts and is converted and moved as needed. The memory stays the same unless
    /// somebody else holds it: so a graph's input is given its next value.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let mut x = Tensor::zeros([2, 2], DType::F32)?;
    /// x.copy_(&Tensor::from_slice(&[1.0, 2.0], 2)?)?;
    /// assert_eq!(x.to_vec::<f32>()?, [1.0, 2.0, 1.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `src` does not broadcast to the shape.
    pub fn copy_(&mut self, src: &Tensor) -> Result<()> {
        let op = "copy_";
        let src = src.broadcast_to(self.shape()).map_err(|e| e.in_op(op))?;
        #[cfg(feature = "cuda")]
        if crate::cuda::copy::write_host(self, &src)? {
            return Ok(());
        }
        let src = src.to_device(&self.device())?;
        if self.is_exclusive() || self.is_cuda_alone() {
            let whole = self.layout.clone();
            return write_view(op, self, &whole, &src);
        }
        let mut own = copy(self)?;
        let whole = own.layout.clone();
        write_view(op, &mut own, &whole, &src)?;
        *self = own;
        Ok(())
    }
}
