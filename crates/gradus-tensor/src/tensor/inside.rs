//! What this crate's operations ask of a tensor: its memory in a type they know, and new tensors around what they compute.

use std::sync::Arc;

use super::Tensor;
use crate::device::Device;
use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::shape::Shape;
use crate::storage::{CpuBuffer, Storage, Word};

impl Tensor {
    /// The memory, on the CPU: what every op without an arm for the tensor's device asks for, and is refused.
    #[cfg_attr(
        not(feature = "cuda"),
        allow(unused_variables, clippy::unnecessary_wraps)
    )]
    #[inline]
    pub(crate) fn buffer(&self, op: &'static str) -> Result<&CpuBuffer> {
        match &*self.storage {
            Storage::Cpu(buffer) => Ok(buffer),
            #[cfg(feature = "cuda")]
            Storage::Cuda(_) => Err(crate::cuda::not_here(op, self.device())),
        }
    }

    /// `Err`, naming the op and the device, unless the tensor is on the CPU: the first line of ops that no other device has.
    pub(crate) fn only_on_cpu(&self, op: &'static str) -> Result<()> {
        self.buffer(op).map(|_| ())
    }

    /// On the CPU, by a copy if it is elsewhere. For reading results out, never within an op.
    pub(crate) fn on_host(&self) -> Result<Tensor> {
        on_cuda!([self] => cuda::download(self));
        Ok(self.clone())
    }

    /// Is it on a GPU?
    #[inline]
    pub(crate) fn is_cuda(&self) -> bool {
        self.device() != Device::Cpu
    }

    /// Is it on a GPU, contiguous, and in storage that is its own?
    pub(crate) fn is_cuda_alone(&self) -> bool {
        self.is_cuda() && self.is_contiguous() && Arc::strong_count(&self.storage) == 1
    }

    /// The bytes of the whole storage.
    pub(crate) fn storage_bytes(&self) -> usize {
        match &*self.storage {
            Storage::Cpu(buffer) => buffer.bytes().len(),
            #[cfg(feature = "cuda")]
            Storage::Cuda(buffer) => buffer.len(),
        }
    }

    /// The whole storage as words of the dtype's size.
    pub(crate) fn words<W: Word>(&self, op: &'static str) -> Result<&[W]> {
        debug_assert_eq!(size_of::<W>(), self.dtype.size());
        Ok(self.buffer(op)?.words::<W>())
    }

    #[inline]
    pub(crate) fn from_buffer(buffer: CpuBuffer, layout: Layout, dtype: DType) -> Tensor {
        Tensor {
            storage: Arc::new(Storage::Cpu(buffer)),
            layout,
            dtype,
        }
    }

    /// A tensor of `shape` whose elements `f` writes, all of them.
    pub(crate) fn build<T: Element>(
        op: &'static str,
        shape: impl Into<Shape>,
        f: impl FnOnce(&mut [T]),
    ) -> Result<Tensor> {
        let f = |y: &mut [T]| {
            f(y);
            Ok(())
        };
        Tensor::try_build(op, shape, f)
    }

    /// As `build`, when `f` can fail.
    pub(crate) fn try_build<T: Element>(
        op: &'static str,
        shape: impl Into<Shape>,
        f: impl FnOnce(&mut [T]) -> Result<()>,
    ) -> Result<Tensor> {
        let mut f = Some(f);
        Tensor::with_buffer(op, shape.into(), T::DTYPE, &mut |buffer| {
            f.take().map_or(Ok(()), |f| f(buffer.as_mut_slice::<T>()))
        })
    }

    /// As `build`, by words of the dtype's size; `f` writes words taken from tensors of the same dtype.
    pub(crate) fn build_words<W: Word>(
        op: &'static str,
        shape: impl Into<Shape>,
        dtype: DType,
        f: impl FnOnce(&mut [W]) -> Result<()>,
    ) -> Result<Tensor> {
        debug_assert_eq!(size_of::<W>(), dtype.size());
        let mut f = Some(f);
        Tensor::with_buffer(op, shape.into(), dtype, &mut |buffer| {
            f.take().map_or(Ok(()), |f| f(buffer.words_mut::<W>()))
        })
    }

    /// What the three above share, compiled once and not for every `f` (there are hundreds). `write` is called once.
    fn with_buffer(
        op: &'static str,
        shape: Shape,
        dtype: DType,
        write: &mut dyn FnMut(&mut CpuBuffer) -> Result<()>,
    ) -> Result<Tensor> {
        let len = shape.numel().map_err(|e| e.in_op(op))?;
        let mut buffer = CpuBuffer::new(op, len, dtype, false)?;
        write(&mut buffer)?;
        Ok(Tensor::from_buffer(
            buffer,
            Layout::contiguous(shape),
            dtype,
        ))
    }

    /// All elements of a contiguous tensor as words, in order.
    pub(crate) fn word_slice<W: Word>(&self, op: &'static str) -> Result<&[W]> {
        debug_assert!(self.is_contiguous());
        Ok(&self.words::<W>(op)?[self.layout.offset..][..self.numel()])
    }

    /// The same storage through another layout.
    pub(crate) fn with_layout(&self, layout: Layout) -> Tensor {
        debug_assert!(layout.numel() == 0 || layout.bounds().is_some_and(|(low, _)| low >= 0));
        Tensor {
            storage: Arc::clone(&self.storage),
            layout,
            dtype: self.dtype,
        }
    }

    /// The elements as a kernel's operand. The tensor's dtype must be `T`.
    pub(crate) fn kernel_view<T: Element>(&self) -> Result<gradus_cpu::View<'_, T>> {
        self.expect_dtype::<T>("view")?;
        view(self, &self.layout)
    }

    /// May this tensor's elements be overwritten in place, on the CPU?
    #[inline]
    pub(crate) fn is_exclusive(&self) -> bool {
        let writable = self
            .buffer("is_exclusive")
            .is_ok_and(CpuBuffer::is_writable);
        self.is_contiguous() && writable && Arc::strong_count(&self.storage) == 1
    }

    /// The elements of a contiguous tensor of dtype `T` (the caller has made it so).
    pub(crate) fn data<T: Element>(&self, op: &'static str) -> Result<&[T]> {
        self.expect_dtype::<T>(op)?;
        self.buffer(op)?;
        self.as_slice::<T>()
            .ok_or_else(|| Error::shape(op, format!("shape {} is not contiguous", self.shape())))
    }

    #[inline]
    pub(crate) fn expect_dtype<T: Element>(&self, op: &'static str) -> Result<()> {
        if self.dtype == T::DTYPE {
            return Ok(());
        }
        Err(self.unexpected_dtype(op, T::DTYPE))
    }

    #[cold]
    fn unexpected_dtype(&self, op: &'static str, dtype: DType) -> Error {
        let message = format!(
            "the tensor is {}, not {dtype}; convert with to_dtype(DType::{dtype:?}) first",
            self.dtype
        );
        Error::dtype(op, message)
    }
}

/// A tensor's storage as a kernel's operand, through any layout over it.
pub(crate) fn view<'a, T: Element>(
    x: &'a Tensor,
    layout: &'a Layout,
) -> Result<gradus_cpu::View<'a, T>> {
    Ok(gradus_cpu::View::new(
        x.buffer("")?.as_slice::<T>(),
        layout.offset,
        &layout.shape,
        &layout.strides,
    )?)
}
