//! Max and average pooling over the last one to three dimensions, and their gradients.
//!
//! Input `(B, C, ..)` or `(C, ..)` as in PyTorch; every leading dimension is a batch. 16-bit floats are computed in f32.

use gradus_cpu::pool::{self, AvgPoolParams, MaxPoolParams};

use super::{dispatch_native, is_half, same_float, wide};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// Checks the rank (D + 1 or D + 2) and gives the output's shape.
fn output<const D: usize>(op: &'static str, x: &Tensor, sizes: &[usize; D]) -> Result<Shape> {
    if x.rank() != D + 1 && x.rank() != D + 2 {
        return Err(Error::shape(
            op,
            format!(
                "the input {} takes {} dimensions (B, C, ..) or {} (C, ..)",
                x.shape(),
                D + 2,
                D + 1
            ),
        ));
    }
    let mut shape = x.dims()[..x.rank() - D].to_vec();
    shape.extend_from_slice(sizes);
    Ok(Shape::from(shape))
}

/// As `output`, before the sizes are known.
fn check<const D: usize>(op: &'static str, x: &Tensor) -> Result<DType> {
    output(op, x, &[0; D])?;
    same_float(op, &[("the input", x)])
}

/// As `check`, of an input that windows slide over: only its batch may be empty.
fn check_windows<const D: usize>(op: &'static str, x: &Tensor) -> Result<DType> {
    let dtype = check::<D>(op, x)?;
    if x.dims()[x.rank() - D - 1..].contains(&0) {
        let message = format!(
            "the input {} is empty; only the batch, the first of {} dimensions, may have size 0",
            x.shape(),
            D + 2
        );
        return Err(Error::shape(op, message));
    }
    Ok(dtype)
}

impl Tensor {
    /// The largest element of each window: `(B, C, ..) -> (B, C, ..)`.
    ///
    /// ```
    /// # use gradus_tensor::{MaxPoolParams, Tensor};
    /// let x = Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], 4)?.reshape([1, 1, 4])?; // (B, C, T)
    /// let params = MaxPoolParams { kernel: [2], stride: [2], padding: [0], dilation: [1], ceil_mode: false };
    /// assert_eq!(x.max_pool(&params)?.to_vec::<f64>()?, [3.0, 4.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The rank does not fit, a size or step is 0, the padding is more than half the kernel, or no window fits.
    pub fn max_pool<const D: usize>(&self, params: &MaxPoolParams<D>) -> Result<Tensor> {
        let op = "max_pool";
        let dtype = check_windows::<D>(op, self)?;
        let shape = output(op, self, &params.output_size(self.dims())?)?;
        on_cuda!([self] => Ok(cuda::pool::max_pool(self, params, &shape, false)?.0));
        if is_half(dtype) {
            return wide(self)?.max_pool(params)?.to_dtype(dtype);
        }
        dispatch_native!(op, dtype, T => {
            let x = self.kernel_view::<T>()?;
            Tensor::try_build::<T>(op, shape, |y| Ok(pool::max_pool(x, params, y, None)?))
        })
    }

    /// [`Tensor::max_pool`] and where each element was: its row-major position among the last `D` dimensions; i64.
    ///
    /// ```
    /// # use gradus_tensor::{MaxPoolParams, Tensor};
    /// let x = Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], 4)?.reshape([1, 1, 4])?; // (B, C, T)
    /// let params = MaxPoolParams { kernel: [2], stride: [2], padding: [0], dilation: [1], ceil_mode: false };
    /// let (y, at) = x.max_pool_with_indices(&params)?;
    /// assert_eq!(y.to_vec::<f64>()?, [3.0, 4.0]);
    /// assert_eq!(at.to_vec::<i64>()?, [1, 3]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::max_pool`].
    pub fn max_pool_with_indices<const D: usize>(
        &self,
        params: &MaxPoolParams<D>,
    ) -> Result<(Tensor, Tensor)> {
        let op = "max_pool";
        let dtype = check_windows::<D>(op, self)?;
        let shape = output(op, self, &params.output_size(self.dims())?)?;
        on_cuda!([self] => match cuda::pool::max_pool(self, params, &shape, true)? {
            (y, Some(indices)) => Ok((y, indices)),
            (_, None) => Err(Error::unsupported(op, "no indices")),
        });
        if is_half(dtype) {
            let (y, indices) = wide(self)?.max_pool_with_indices(params)?;
            return Ok((y.to_dtype(dtype)?, indices));
        }
        dispatch_native!(op, dtype, T => {
            let x = self.kernel_view::<T>()?;
            crate::ops::reduce::pair::<T>(op, &shape, |y, indices| Ok(pool::max_pool(x, params, y, Some(indices))?))
        })
    }

    /// The gradient of max pooling's input of shape `x_shape`, from that of its output (`self`) and the indices:
    /// `dx`, for pooling over `D` dimensions.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (dy, at) = (Tensor::from_slice(&[5.0, 7.0], 2)?.reshape([1, 1, 2])?, Tensor::from_slice(&[1i64, 3], 2)?.reshape([1, 1, 2])?);
    /// assert_eq!(dy.max_pool_backward::<1>(&at, &[1, 1, 4])?.to_vec::<f64>()?, [0.0, 5.0, 0.0, 7.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes do not fit, or an index lies outside its plane.
    pub fn max_pool_backward<const D: usize>(
        &self,
        indices: &Tensor,
        x_shape: &[usize],
    ) -> Result<Tensor> {
        let op = "max_pool_backward";
        let dtype = check::<D>(op, self)?;
        if indices.shape() != self.shape()
            || x_shape.len() != self.rank()
            || x_shape[..x_shape.len() - D] != self.dims()[..x_shape.len() - D]
        {
            return Err(Error::shape(
                op,
                format!(
                    "gradient {}, indices {}, input {x_shape:?} do not belong together",
                    self.shape(),
                    indices.shape()
                ),
            ));
        }
        on_cuda!([self, indices] => cuda::pool::max_pool_backward::<D>(self, indices, x_shape));
        if is_half(dtype) {
            return wide(self)?
                .max_pool_backward::<D>(indices, x_shape)?
                .to_dtype(dtype);
        }
        let size = |dims: &[usize]| dims[dims.len() - D..].iter().product::<usize>();
        let sizes = (size(x_shape), size(self.dims()));
        let indices = indices.to_dtype(DType::I64)?.contiguous()?;
        dispatch_native!(op, dtype, T => {
            let dy = self.kernel_view::<T>()?;
            let indices = indices.data::<i64>(op)?;
            Tensor::try_build::<T>(op, x_shape, |dx| Ok(pool::max_pool_backward(dy, indices, sizes, dx)?))
        })
    }

    /// The average of each window: `(B, C, ..) -> (B, C, ..)`.
    ///
    /// ```
    /// # use gradus_tensor::{AvgPoolParams, Tensor};
    /// let x = Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], 4)?.reshape([1, 1, 4])?; // (B, C, T)
    /// let params = AvgPoolParams { kernel: [2], stride: [2], padding: [0], ceil_mode: false, count_include_pad: true, divisor_override: None };
    /// assert_eq!(x.avg_pool(&params)?.to_vec::<f64>()?, [2.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::max_pool`], or the divisor is 0.
    pub fn avg_pool<const D: usize>(&self, params: &AvgPoolParams<D>) -> Result<Tensor> {
        let op = "avg_pool";
        let dtype = check_windows::<D>(op, self)?;
        let shape = output(op, self, &params.output_size(self.dims())?)?;
        on_cuda!([self] => cuda::pool::avg_pool(self, params, &shape));
        if is_half(dtype) {
            return wide(self)?.avg_pool(params)?.to_dtype(dtype);
        }
        dispatch_native!(op, dtype, T => {
            let x = self.kernel_view::<T>()?;
            Tensor::try_build::<T>(op, shape, |y| Ok(pool::avg_pool(x, params, y)?))
        })
    }

    /// The gradient of average pooling's input of shape `x_shape`, from that of its output (`self`): `dx`.
    ///
    /// ```
    /// # use gradus_tensor::{AvgPoolParams, Tensor};
    /// let dy = Tensor::from_slice(&[4.0, 6.0], 2)?.reshape([1, 1, 2])?;
    /// let params = AvgPoolParams { kernel: [2], stride: [2], padding: [0], ceil_mode: false, count_include_pad: true, divisor_override: None };
    /// assert_eq!(dy.avg_pool_backward(&params, &[1, 1, 4])?.to_vec::<f64>()?, [2.0, 2.0, 3.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes do not fit.
    pub fn avg_pool_backward<const D: usize>(
        &self,
        params: &AvgPoolParams<D>,
        x_shape: &[usize],
    ) -> Result<Tensor> {
        let op = "avg_pool_backward";
        let dtype = check::<D>(op, self)?;
        on_cuda!([self] => cuda::pool::avg_pool_backward(self, params, x_shape));
        if is_half(dtype) {
            return wide(self)?
                .avg_pool_backward(params, x_shape)?
                .to_dtype(dtype);
        }
        dispatch_native!(op, dtype, T => {
            let dy = self.kernel_view::<T>()?;
            Tensor::try_build::<T>(op, x_shape, |dx| Ok(pool::avg_pool_backward(dy, params, x_shape, dx)?))
        })
    }

    /// Averages of windows that cut the last `D` dimensions into `sizes` parts: `(B, C, ..) -> (B, C, sizes)`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], 4)?;
    /// assert_eq!(x.reshape([1, 1, 4])?.adaptive_avg_pool([2])?.to_vec::<f64>()?, [2.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The rank does not fit, or the input is empty.
    pub fn adaptive_avg_pool<const D: usize>(&self, sizes: [usize; D]) -> Result<Tensor> {
        let op = "adaptive_avg_pool";
        let dtype = check::<D>(op, self)?;
        let shape = output(op, self, &sizes)?;
        on_cuda!([self] => cuda::pool::adaptive_avg_pool(self, sizes, &shape));
        if is_half(dtype) {
            return wide(self)?.adaptive_avg_pool(sizes)?.to_dtype(dtype);
        }
        dispatch_native!(op, dtype, T => {
            let x = self.kernel_view::<T>()?;
            Tensor::try_build::<T>(op, shape, |y| Ok(pool::adaptive_avg_pool(x, sizes, y)?))
        })
    }

    /// The gradient of adaptive average pooling's input of shape `x_shape`, from that of its output (`self`): `dx`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[4.0, 6.0], 2)?;
    /// assert_eq!(x.reshape([1, 1, 2])?.adaptive_avg_pool_backward::<1>(&[1, 1, 4])?.to_vec::<f64>()?, [2.0, 2.0, 3.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes do not fit.
    pub fn adaptive_avg_pool_backward<const D: usize>(&self, x_shape: &[usize]) -> Result<Tensor> {
        let op = "adaptive_avg_pool_backward";
        let dtype = check::<D>(op, self)?;
        on_cuda!([self] => cuda::pool::adaptive_avg_pool_backward::<D>(self, x_shape));
        if is_half(dtype) {
            return wide(self)?
                .adaptive_avg_pool_backward::<D>(x_shape)?
                .to_dtype(dtype);
        }
        let mut sizes = [0; D];
        sizes.copy_from_slice(&self.dims()[self.rank() - D..]);
        dispatch_native!(op, dtype, T => {
            let dy = self.kernel_view::<T>()?;
            Tensor::try_build::<T>(op, x_shape, |dx| Ok(pool::adaptive_avg_pool_backward(dy, sizes, x_shape, dx)?))
        })
    }

    /// The largest elements of windows that cut the last `D` dimensions into `sizes` parts, and where they were (row-major
    /// among those dimensions, i64). The plain definition: windows one after the other.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (y, at) = Tensor::from_slice(&[1.0, 3.0, 2.0, 4.0], 4)?.reshape([1, 1, 4])?.adaptive_max_pool([2])?;
    /// assert_eq!(y.to_vec::<f64>()?, [3.0, 4.0]);
    /// assert_eq!(at.to_vec::<i64>()?, [1, 3]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The rank does not fit, or a pooled dimension is empty.
    pub fn adaptive_max_pool<const D: usize>(&self, sizes: [usize; D]) -> Result<(Tensor, Tensor)> {
        let op = "adaptive_max_pool";
        let dtype = check::<D>(op, self)?;
        let shape = output(op, self, &sizes)?;
        let input = &self.dims()[self.rank() - D..];
        if shape.numel()? > 0 && input.contains(&0) {
            return Err(Error::shape(
                op,
                format!("input {} has an empty pooled dimension", self.shape()),
            ));
        }
        on_cuda!([self] => cuda::pool::adaptive_max_pool(self, sizes, &shape));
        if is_half(dtype) {
            let (y, indices) = wide(self)?.adaptive_max_pool(sizes)?;
            return Ok((y.to_dtype(dtype)?, indices));
        }
        let x = self.contiguous()?;
        let (plane, pixels) = (
            input.iter().product::<usize>(),
            sizes.iter().product::<usize>(),
        );
        dispatch_native!(op, dtype, T => {
            let xs = x.data::<T>(op)?;
            crate::ops::reduce::pair::<T>(op, &shape, |y, indices| {
                for (k, (y, index)) in y.iter_mut().zip(indices).enumerate() {
                    let x = &xs[k / pixels * plane..][..plane];
                    // The window of this output, per dimension, and a walk over it.
                    let (mut rest, mut from, mut to) = (k % pixels, [0; D], [0; D]);
                    for d in (0..D).rev() {
                        let i = rest % sizes[d];
                        rest /= sizes[d];
                        (from[d], to[d]) = (i * input[d] / sizes[d], ((i + 1) * input[d]).div_ceil(sizes[d]));
                    }
                    let mut at = from;
                    let mut best = usize::MAX;
                    loop {
                        let p = (0..D).fold(0, |p, d| p * input[d] + at[d]);
                        if best == usize::MAX || x[p] > x[best] || x[p].is_nan() {
                            best = p;
                        }
                        let Some(d) = (0..D).rev().find(|&d| at[d] + 1 < to[d]) else { break };
                        at[d] += 1;
                        at[d + 1..].copy_from_slice(&from[d + 1..]);
                    }
                    (*y, *index) = (x[best], best as i64);
                }
                Ok(())
            })
        })
    }
}
