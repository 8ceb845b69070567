//! Reductions that choose: `amax`, `max`, `argmax` and their kin. NaN counts as larger and smaller than everything, as in PyTorch.
//! Reductions that add up are `reduce.rs`.

use gradus_cpu::reduce;

use super::reduce::{pair, plan, plan_one};
use crate::error::{Error, Result};
use crate::shape::Dims;
use crate::tensor::Tensor;

/// What has no identity cannot be taken over a dimension of size 0, not even where the result is empty too.
fn need_elements(op: &'static str, x: &Tensor, axes: &[usize]) -> Result<()> {
    match axes.iter().find(|&&d| x.dims().get(d) == Some(&0)) {
        None => Ok(()),
        Some(d) => Err(Error::shape(
            op,
            format!(
                "shape {}: dimension {d} is empty, there is nothing to choose from",
                x.shape()
            ),
        )),
    }
}

impl Tensor {
    /// The largest over `dims`; NaN wins.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 7.0, 5.0, 2.0], [2, 2])?;
    /// assert_eq!(x.amax(1, false)?.to_vec::<f64>()?, [7.0, 5.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// A dimension does not exist or repeats, or there is nothing to choose from.
    pub fn amax(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Tensor> {
        // Compiled once, and not for each way to write `dims`.
        fn over(x: &Tensor, dims: &Dims, keepdim: bool) -> Result<Tensor> {
            let (axes, shape) = plan("amax", x, dims, keepdim)?;
            need_elements("amax", x, &axes)?;
            on_cuda!([x] => cuda::reduce::reduction("amax", x, &axes, &shape));
            let out = dispatch!(x.dtype(), T => {
                let v = x.kernel_view::<T>()?;
                Tensor::try_build::<T>("amax", shape, |y| Ok(reduce::max(v, &axes, y)?))
            });
            out.map_err(|e| e.in_op("amax"))
        }
        over(self, &dims.into(), keepdim)
    }

    /// The smallest over `dims`; NaN wins.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 7.0, 5.0, 2.0], [2, 2])?;
    /// assert_eq!(x.amin(.., false)?.to_vec::<f64>()?, [1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::amax`].
    pub fn amin(&self, dims: impl Into<Dims>, keepdim: bool) -> Result<Tensor> {
        // Compiled once, and not for each way to write `dims`.
        fn over(x: &Tensor, dims: &Dims, keepdim: bool) -> Result<Tensor> {
            let (axes, shape) = plan("amin", x, dims, keepdim)?;
            need_elements("amin", x, &axes)?;
            on_cuda!([x] => cuda::reduce::reduction("amin", x, &axes, &shape));
            let out = dispatch!(x.dtype(), T => {
                let v = x.kernel_view::<T>()?;
                Tensor::try_build::<T>("amin", shape, |y| Ok(reduce::min(v, &axes, y)?))
            });
            out.map_err(|e| e.in_op("amin"))
        }
        over(self, &dims.into(), keepdim)
    }

    /// The smallest and the largest over one dimension, or all (`None`).
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (least, most) = Tensor::from_slice(&[1.0, 7.0, 5.0], 3)?.aminmax(0, false)?;
    /// assert_eq!(least.to_vec::<f64>()?, [1.0]);
    /// assert_eq!(most.to_vec::<f64>()?, [7.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::amax`].
    pub fn aminmax(
        &self,
        dim: impl Into<Option<isize>>,
        keepdim: bool,
    ) -> Result<(Tensor, Tensor)> {
        let dims = Dims::from(dim.into());
        let both = self
            .amin(&dims, keepdim)
            .and_then(|min| Ok((min, self.amax(&dims, keepdim)?)));
        both.map_err(|e| e.in_op("aminmax"))
    }

    /// The largest along `dim` and the index of the first of each: `(values, i64 indices)`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (values, at) = Tensor::from_slice(&[1.0, 7.0, 5.0, 2.0], [2, 2])?.max(1, false)?;
    /// assert_eq!(values.to_vec::<f64>()?, [7.0, 5.0]);
    /// assert_eq!(at.to_vec::<i64>()?, [1, 0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such dimension, or it is empty.
    pub fn max(&self, dim: isize, keepdim: bool) -> Result<(Tensor, Tensor)> {
        let (x, d, shape) = plan_one("max", self, dim, keepdim)?;
        need_elements("max", &x, &[d])?;
        on_cuda!([x] => cuda::reduce::extreme("max", &x, d, &shape, true));
        dispatch!(x.dtype(), T => {
            let v = x.kernel_view::<T>()?;
            pair::<T>("max", &shape, |values, indices| Ok(reduce::max_with_index(v, d, values, indices)?))
        })
    }

    /// The smallest along `dim` and the index of the first of each: `(values, i64 indices)`.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let (values, at) = Tensor::from_slice(&[1.0, 7.0, 5.0, 2.0], [2, 2])?.min(1, false)?;
    /// assert_eq!(values.to_vec::<f64>()?, [1.0, 2.0]);
    /// assert_eq!(at.to_vec::<i64>()?, [0, 1]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::max`].
    pub fn min(&self, dim: isize, keepdim: bool) -> Result<(Tensor, Tensor)> {
        let (x, d, shape) = plan_one("min", self, dim, keepdim)?;
        need_elements("min", &x, &[d])?;
        on_cuda!([x] => cuda::reduce::extreme("min", &x, d, &shape, false));
        dispatch!(x.dtype(), T => {
            let v = x.kernel_view::<T>()?;
            pair::<T>("min", &shape, |values, indices| Ok(reduce::min_with_index(v, d, values, indices)?))
        })
    }

    /// The index of the first largest along `dim` (`None`: in the flattened tensor); i64.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 7.0, 5.0, 2.0], [2, 2])?;
    /// assert_eq!(x.argmax(1, false)?.to_vec::<i64>()?, [1, 0]);
    /// assert_eq!(x.argmax(None, false)?.to_vec::<i64>()?, [1]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::max`].
    pub fn argmax(&self, dim: impl Into<Option<isize>>, keepdim: bool) -> Result<Tensor> {
        self.arg("argmax", dim.into(), keepdim, true)
    }

    /// The index of the first smallest along `dim` (`None`: in the flattened tensor); i64.
    ///
    /// ```
    /// # use gradus_tensor::Tensor;
    /// let x = Tensor::from_slice(&[1.0, 7.0, 5.0, 2.0], [2, 2])?;
    /// assert_eq!(x.argmin(1, false)?.to_vec::<i64>()?, [0, 1]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::max`].
    pub fn argmin(&self, dim: impl Into<Option<isize>>, keepdim: bool) -> Result<Tensor> {
        self.arg("argmin", dim.into(), keepdim, false)
    }

    fn arg(
        &self,
        op: &'static str,
        dim: Option<isize>,
        keepdim: bool,
        largest: bool,
    ) -> Result<Tensor> {
        let (x, axis, shape) = match dim {
            Some(dim) => {
                let (x, d, shape) = plan_one(op, self, dim, keepdim)?;
                need_elements(op, &x, &[d])?;
                (x, Some(d), shape)
            }
            None => (self.clone(), None, plan(op, self, &Dims::All, keepdim)?.1),
        };
        on_cuda!([x] => cuda::reduce::arg(op, &x, axis, &shape, largest));
        dispatch!(x.dtype(), T => {
            let v = x.kernel_view::<T>()?;
            let kernel = if largest { reduce::argmax::<T> } else { reduce::argmin::<T> };
            Tensor::try_build::<i64>(op, shape, |y| Ok(kernel(v, axis, y)?))
        })
    }
}
