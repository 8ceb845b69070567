//! The `Tensor`: shared storage seen through a layout. Facts, and access to elements; `tensor/inside.rs` has what this crate's operations
//! ask of it.
//!
//! Cloning is cheap (the storage is shared, copy on write). It knows nothing of gradients: that is `gradus-autograd`'s `Var`.

mod inside;

use std::sync::Arc;

use gradus_cpu::Element as _;

use crate::device::Device;
use crate::dtype::DType;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::shape::{Shape, resolve_dim};
use crate::storage::Storage;
pub(crate) use inside::view;

/// An n-dimensional array with its dtype, rank and device known at run time.
///
/// ```
/// use gradus_tensor::Tensor;
/// let x = Tensor::from_vec(vec![1f32, 2., 3., 4., 5., 6.], [2, 3])?;
/// let y = x.t()?.contiguous()?;
/// assert_eq!(y.dims(), [3, 2]);
/// assert_eq!(y.to_vec::<f32>()?, [1., 4., 2., 5., 3., 6.]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// A number as the second operand has a method of its own: PyTorch's `x % 2` is `x.remainder_scalar(2)`. As the first one it is a tensor of
/// rank 0, whose dtype gives way: `2 % x` is `Tensor::scalar(2.0).remainder(&x)`, and so with every operation of two. What is frequent is
/// shorter: [`rsub_scalar`](Tensor::rsub_scalar), [`rdiv_scalar`](Tensor::rdiv_scalar) and [`rpow_scalar`](Tensor::rpow_scalar) are
/// `2 - x`, `2 / x` and `2 ** x`.
///
/// ```
/// # use gradus_tensor::{DType, Tensor};
/// let x = Tensor::from_slice(&[3f32, -3.0, 1.5], 3)?;
/// let y = Tensor::scalar(2.0).remainder(&x)?;
/// assert_eq!((y.dtype(), y.to_vec::<f32>()?), (DType::F32, vec![2.0, -1.0, 0.5]));
/// assert_eq!(x.rsub_scalar(2)?.to_vec::<f32>()?, [-1.0, 5.0, 0.5]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
#[derive(Clone)]
pub struct Tensor {
    pub(crate) storage: Arc<Storage>,
    pub(crate) layout: Layout,
    pub(crate) dtype: DType,
}

impl Tensor {
    /// Sizes of the dimensions.
    #[inline]
    pub fn shape(&self) -> &Shape {
        &self.layout.shape
    }

    /// Sizes of the dimensions, as a slice.
    #[inline]
    pub fn dims(&self) -> &[usize] {
        &self.layout.shape
    }

    /// The size of one dimension; -1 is the last.
    ///
    /// # Errors
    /// The tensor has no such dimension.
    pub fn dim(&self, dim: isize) -> Result<usize> {
        if self.rank() == 0 {
            return Err(Error::index(
                "dim",
                format!("dim {dim} of a rank-0 tensor: it has no dimensions"),
            ));
        }
        Ok(self.dims()[resolve_dim("dim", dim, self.shape())?])
    }

    /// Number of dimensions; 0 for a single number.
    #[inline]
    pub fn rank(&self) -> usize {
        self.layout.shape.rank()
    }

    /// Number of elements.
    pub fn numel(&self) -> usize {
        self.layout.numel()
    }

    /// Type of the elements.
    #[inline]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Where the elements are.
    pub fn device(&self) -> Device {
        match &*self.storage {
            Storage::Cpu(_) => Device::Cpu,
            #[cfg(feature = "cuda")]
            Storage::Cuda(buffer) => Device::Cuda(buffer.device().ordinal()),
        }
    }

    /// Elements to skip per step of each dimension; may be 0 or negative.
    pub fn strides(&self) -> &[isize] {
        &self.layout.strides
    }

    /// Shape, strides and offset.
    #[inline]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Are the elements one row-major run?
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        self.layout.is_contiguous()
    }

    /// Do both tensors look at the same storage?
    pub fn shares_storage(&self, other: &Tensor) -> bool {
        Arc::ptr_eq(&self.storage, &other.storage)
    }

    /// The elements in row-major order.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?;
    /// assert_eq!(x.t()?.to_vec::<f64>()?, [1.0, 3.0, 2.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `T` is not the tensor's dtype (convert with `to_dtype` first).
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        self.expect_dtype::<T>("to_vec")?;
        let x = self.contiguous()?.on_host()?;
        let data = x.data::<T>("to_vec")?;
        let mut out = Vec::new();
        out.try_reserve_exact(data.len())
            .map_err(|e| Error::memory("to_vec", "the elements do not fit").with_source(e))?;
        out.extend_from_slice(data);
        Ok(out)
    }

    /// The one element of a tensor with one element.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from_slice(&[1.0, 2.0], 2)?.sum(.., false)?.item::<f64>()?, 3.0);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is not exactly one element, or `T` is not the dtype.
    pub fn item<T: Element>(&self) -> Result<T> {
        self.expect_dtype::<T>("item")?;
        self.expect_one("item")?;
        let x = self.on_host()?;
        Ok(x.buffer("item")?.as_slice::<T>()[x.layout.offset])
    }

    /// The one element as f64, whatever the dtype.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from_slice(&[3i64], 1)?.to_f64()?, 3.0);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is not exactly one element.
    pub fn to_f64(&self) -> Result<f64> {
        self.expect_one("to_f64")?;
        let x = self.on_host()?;
        dispatch!(x.dtype, T => Ok(x.buffer("to_f64")?.as_slice::<T>()[x.layout.offset].to_f64()))
    }

    /// The one element as a [`crate::Scalar`], whatever the dtype.
    ///
    /// # Errors
    /// There is not exactly one element.
    pub fn to_scalar(&self) -> Result<crate::Scalar> {
        self.expect_one("to_scalar")?;
        let x = self.on_host()?;
        dispatch!(x.dtype, T => Ok(x.buffer("to_scalar")?.as_slice::<T>()[x.layout.offset].to_scalar()))
    }

    fn expect_one(&self, op: &'static str) -> Result<()> {
        if self.numel() == 1 {
            return Ok(());
        }
        Err(Error::shape(
            op,
            format!(
                "shape {} has {} elements; it takes exactly one",
                self.shape(),
                self.numel()
            ),
        ))
    }

    /// The elements without a copy; `None` unless contiguous, of dtype `T` and on the CPU.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from_slice(&[1.0, 2.0], 2)?.as_slice::<f64>(), Some(&[1.0, 2.0][..]));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    pub fn as_slice<T: Element>(&self) -> Option<&[T]> {
        if self.dtype != T::DTYPE || !self.is_contiguous() {
            return None;
        }
        let buffer = self.buffer("as_slice").ok()?;
        Some(&buffer.as_slice::<T>()[self.layout.offset..][..self.numel()])
    }

    /// The elements to write, without a copy; `None` unless contiguous, of dtype `T`, on the CPU, writable and shared with nobody.
    pub fn as_mut_slice<T: Element>(&mut self) -> Option<&mut [T]> {
        if self.dtype != T::DTYPE || !self.is_contiguous() {
            return None;
        }
        let (offset, numel) = (self.layout.offset, self.numel());
        match Arc::get_mut(&mut self.storage)? {
            Storage::Cpu(buffer) if buffer.is_writable() => {
                Some(&mut buffer.as_mut_slice::<T>()[offset..][..numel])
            }
            _ => None,
        }
    }

    /// Writes to the elements through `f`, copying first when they are shared, strided or read-only.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let mut x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// x.with_mut_slice::<f64, _>(|x| x[0] = 9.0)?;
    /// assert_eq!(x.to_vec::<f64>()?, [9.0, 2.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `T` is not the dtype, or a copy could not be allocated.
    pub fn with_mut_slice<T: Element, R>(&mut self, f: impl FnOnce(&mut [T]) -> R) -> Result<R> {
        self.expect_dtype::<T>("with_mut_slice")?;
        self.buffer("with_mut_slice")?;
        self.make_exclusive()?;
        let data = self
            .as_mut_slice::<T>()
            .ok_or_else(|| Error::memory("with_mut_slice", "the copy is shared"))?;
        Ok(f(data))
    }

    /// Moves to storage of its own, unless it has that already.
    fn make_exclusive(&mut self) -> Result<()> {
        if !self.is_exclusive() {
            *self = self.copy()?;
        }
        Ok(())
    }

    /// Row-major; the same tensor when it already is.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0, 3.0, 4.0], [2, 2])?.t()?;
    /// assert!(!x.is_contiguous() && x.contiguous()?.is_contiguous());
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The copy could not be allocated.
    pub fn contiguous(&self) -> Result<Tensor> {
        if self.is_contiguous() {
            Ok(self.clone())
        } else {
            self.copy()
        }
    }

    /// Images (B, C, …) with the channels of a pixel side by side in memory; the shape stays, and the same tensor when it already is so.
    /// It is PyTorch's `contiguous(memory_format=torch.channels_last)`: on a GPU, convolutions in 16 bits are fastest so, and what is
    /// computed from such images lies as they do.
    ///
    /// ```
    /// # use gradus_tensor::{DType, Tensor};
    /// let x = Tensor::zeros([2, 3, 4, 5], DType::F32)?.channels_last()?;
    /// assert_eq!((x.dims(), x.strides()), (&[2, 3, 4, 5][..], &[60, 1, 15, 3][..]));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The rank is below 3; the copy could not be allocated.
    pub fn channels_last(&self) -> Result<Tensor> {
        let rank = self.rank() as isize;
        if rank < 3 {
            let message = format!("{}: images are (B, C, …), of rank 3 or more", self.shape());
            return Err(Error::shape("channels_last", message));
        }
        let last: Vec<isize> = [0].into_iter().chain(2..rank).chain([1]).collect();
        let back: Vec<isize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
        self.permute(&last[..])?.contiguous()?.permute(&back[..])
    }

    /// A row-major copy in storage of its own.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 2.0], 2)?;
    /// assert!(!x.copy()?.shares_storage(&x));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The copy could not be allocated.
    pub fn copy(&self) -> Result<Tensor> {
        crate::ops::copy::copy(self)
    }
}

impl AsRef<Tensor> for Tensor {
    fn as_ref(&self) -> &Tensor {
        self
    }
}
