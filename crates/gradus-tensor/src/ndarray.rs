//! To and from `ndarray`, without a copy where possible.
//!
//! An owned `ndarray` becomes a tensor by moving its memory; a tensor is seen as an `ndarray` through a borrowed view with the
//! same (possibly zero or negative) strides. <https://docs.rs/ndarray>

use std::ptr::NonNull;

use ::ndarray::{Array, ArrayD, ArrayViewD, Axis, Dimension, IxDyn, ShapeBuilder};

use crate::element::Element;
use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::shape::{Shape, Small};
use crate::storage::CpuBuffer;
use crate::tensor::Tensor;

impl Tensor {
    /// Takes over an `ndarray`'s memory and strides: nothing is copied.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from_ndarray(ndarray::array![[1f32, 2.0], [3.0, 4.0]].reversed_axes())?;
    /// assert_eq!(x.to_vec::<f32>()?, [1.0, 3.0, 2.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The strides do not stay within the array's memory (no array made by safe code).
    pub fn from_ndarray<T: Element, D: Dimension>(array: Array<T, D>) -> Result<Tensor> {
        let shape = Shape::from(array.shape());
        let strides = array.strides().to_vec();
        let (mut data, offset) = array.into_raw_vec_and_offset();
        let ptr = NonNull::new(data.as_mut_ptr())
            .unwrap_or(NonNull::dangling())
            .cast();
        let bytes = data.len() * size_of::<T>();
        let layout = if shape.contains(&0) {
            Layout::contiguous(shape)
        } else {
            Layout {
                shape,
                strides: Small::new(&strides),
                offset: offset.unwrap_or(0),
            }
        };
        if layout
            .bounds()
            .is_some_and(|(low, high)| low < 0 || high as usize >= data.len())
        {
            let message = format!(
                "shape {} with strides {strides:?} leaves the array's {} elements",
                layout.shape,
                data.len()
            );
            return Err(Error::shape("from_ndarray", message));
        }
        // SAFETY: the vector's elements are initialised values of T, do not move when the vector does, and are reached by
        // nobody else once it is boxed away as the owner.
        let buffer = unsafe { CpuBuffer::foreign(ptr, bytes, Box::new(data), true) };
        Ok(Tensor::from_buffer(buffer, layout, T::DTYPE))
    }

    /// A copy as an `ndarray`.
    ///
    /// # Errors
    /// `T` is not the dtype.
    pub fn to_ndarray<T: Element>(&self) -> Result<ArrayD<T>> {
        ArrayD::from_shape_vec(IxDyn(self.dims()), self.to_vec::<T>()?)
            .map_err(|e| fail("to_ndarray", self, &e))
    }

    /// The tensor seen as an `ndarray`, strides and all: nothing is copied.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from_vec(vec![1f32, 2.0, 3.0, 4.0], [2, 2])?;
    /// let t = x.t()?;
    /// assert_eq!(t.as_ndarray::<f32>()?.sum_axis(ndarray::Axis(0)).into_raw_vec_and_offset().0, [3.0, 7.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// `T` is not the dtype.
    pub fn as_ndarray<T: Element>(&self) -> Result<ArrayViewD<'_, T>> {
        self.expect_dtype::<T>("as_ndarray")?;
        let data = self.buffer("as_ndarray")?.as_slice::<T>();
        let Some((low, high)) = self.layout.bounds().filter(|_| self.numel() > 0) else {
            return ArrayViewD::from_shape(IxDyn(self.dims()), &[])
                .map_err(|e| fail("as_ndarray", self, &e));
        };
        let data = &data[low as usize..=high as usize];
        // ndarray takes forward strides over a slice; axes that run backwards are turned round afterwards.
        let forward: Vec<usize> = self.strides().iter().map(|s| s.unsigned_abs()).collect();
        let mut view = ArrayViewD::from_shape(IxDyn(self.dims()).strides(IxDyn(&forward)), data)
            .map_err(|e| fail("as_ndarray", self, &e))?;
        for (axis, &stride) in self.strides().iter().enumerate() {
            if stride < 0 {
                view.invert_axis(Axis(axis));
            }
        }
        Ok(view)
    }
}

fn fail(op: &'static str, x: &Tensor, e: &::ndarray::ShapeError) -> Error {
    Error::shape(
        op,
        format!("shape {} with strides {:?}: {e}", x.shape(), x.strides()),
    )
}
