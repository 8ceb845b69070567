//! Sampling at the points of a grid, over two and three dimensions, and the gradients of input and grid.
//!
//! Layouts are PyTorch's: input `(B, C, H, W)` with a grid `(B, OH, OW, 2)`, or one dimension more of each. 16-bit floats
//! are computed in f32.

use gradus_cpu::grid_sample::{self as kernel, GridSampleParams};

use super::{dispatch_native, is_half, same_float, wide};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// The output's shape `(B, C, ..)`.
fn output(op: &'static str, x: &[usize], grid: &Tensor) -> Result<Vec<usize>> {
    if !matches!(x.len(), 4 | 5) || grid.rank() != x.len() {
        let message = format!(
            "input {x:?} and grid {}: they take (B, C, H, W) and (B, OH, OW, 2), or one dimension more",
            grid.shape()
        );
        return Err(Error::shape(op, message));
    }
    Ok([&x[..2], &grid.dims()[1..x.len() - 1]].concat())
}

impl Tensor {
    /// The input's values at the points of `grid`, whose numbers go from −1 to 1 and come last axis first:
    /// `(B, C, H, W)` at `(B, OH, OW, 2)` gives `(B, C, OH, OW)`; `(B, C, D, H, W)` at `(B, OD, OH, OW, 3)` likewise.
    /// As PyTorch's `grid_sample`.
    ///
    /// ```
    /// # use gradus_tensor::{DType, GridSampleParams, Tensor};
    /// let x = Tensor::arange(0, 4, 1, DType::F32)?.reshape([1, 1, 2, 2])?;
    /// let middle = Tensor::zeros([1, 1, 1, 2], DType::F32)?;
    /// assert_eq!(x.grid_sample(&middle, &GridSampleParams::default())?.item::<f32>()?, 1.5);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, or the input has an empty axis.
    pub fn grid_sample(&self, grid: &Tensor, params: &GridSampleParams) -> Result<Tensor> {
        let op = "grid_sample";
        self.only_on_cpu(op)?;
        let dtype = same_float(op, &[("the input", self), ("the grid", grid)])?;
        let shape = output(op, self.dims(), grid)?;
        if is_half(dtype) {
            return wide(self)?
                .grid_sample(&wide(grid)?, params)?
                .to_dtype(dtype);
        }
        dispatch_native!(op, dtype, T => {
            let (x, grid) = (self.kernel_view::<T>()?, grid.kernel_view::<T>()?);
            Tensor::try_build::<T>(op, shape, |y| {
                match self.rank() {
                    4 => kernel::grid_sample::<T, 2>(x, grid, params, y)?,
                    _ => kernel::grid_sample::<T, 3>(x, grid, params, y)?,
                }
                Ok(())
            })
        })
    }

    /// The gradient of [`Tensor::grid_sample`]'s input of shape `x_shape`, from that of its output (`self`).
    ///
    /// ```
    /// # use gradus_tensor::*;
    /// let (dy, middle) = (Tensor::ones([1, 1, 1, 1], DType::F32)?, Tensor::zeros([1, 1, 1, 2], DType::F32)?);
    /// let dx = dy.grid_sample_backward_input(&middle, &GridSampleParams::default(), &[1, 1, 2, 2])?;
    /// assert_eq!(dx.to_vec::<f32>()?, [0.25; 4]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit.
    pub fn grid_sample_backward_input(
        &self,
        grid: &Tensor,
        params: &GridSampleParams,
        x_shape: &[usize],
    ) -> Result<Tensor> {
        let op = "grid_sample_backward_input";
        self.only_on_cpu(op)?;
        let dtype = same_float(op, &[("the gradient", self), ("the grid", grid)])?;
        belongs(op, self, x_shape, grid)?;
        if is_half(dtype) {
            return wide(self)?
                .grid_sample_backward_input(&wide(grid)?, params, x_shape)?
                .to_dtype(dtype);
        }
        dispatch_native!(op, dtype, T => {
            let (dy, grid) = (self.kernel_view::<T>()?, grid.kernel_view::<T>()?);
            Tensor::try_build::<T>(op, x_shape, |dx| {
                match x_shape.len() {
                    4 => kernel::grid_sample_backward_input::<T, 2>(dy, grid, params, x_shape, dx)?,
                    _ => kernel::grid_sample_backward_input::<T, 3>(dy, grid, params, x_shape, dx)?,
                }
                Ok(())
            })
        })
    }

    /// The gradient of [`Tensor::grid_sample`]'s grid, from that of its output (`self`).
    ///
    /// ```
    /// # use gradus_tensor::*;
    /// let (dy, middle) = (Tensor::ones([1, 1, 1, 1], DType::F32)?, Tensor::zeros([1, 1, 1, 2], DType::F32)?);
    /// let x = Tensor::from_slice(&[0f32, 1.0, 0.0, 1.0], [1, 1, 2, 2])?;
    /// let dgrid = dy.grid_sample_backward_grid(&x, &middle, &GridSampleParams::default())?;
    /// assert_eq!(dgrid.to_vec::<f32>()?, [1.0, 0.0]); // it grows to the right
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit.
    pub fn grid_sample_backward_grid(
        &self,
        x: &Tensor,
        grid: &Tensor,
        params: &GridSampleParams,
    ) -> Result<Tensor> {
        let op = "grid_sample_backward_grid";
        self.only_on_cpu(op)?;
        let operands = [("the gradient", self), ("the input", x), ("the grid", grid)];
        let dtype = same_float(op, &operands)?;
        belongs(op, self, x.dims(), grid)?;
        if is_half(dtype) {
            return wide(self)?
                .grid_sample_backward_grid(&wide(x)?, &wide(grid)?, params)?
                .to_dtype(dtype);
        }
        dispatch_native!(op, dtype, T => {
            let (dy, xv, gv) = (self.kernel_view::<T>()?, x.kernel_view::<T>()?, grid.kernel_view::<T>()?);
            Tensor::try_build::<T>(op, grid.shape(), |dg| {
                match x.rank() {
                    4 => kernel::grid_sample_backward_grid::<T, 2>(dy, xv, gv, params, dg)?,
                    _ => kernel::grid_sample_backward_grid::<T, 3>(dy, xv, gv, params, dg)?,
                }
                Ok(())
            })
        })
    }
}

/// Is `dy` of the shape that an input and a grid of these shapes give?
fn belongs(op: &'static str, dy: &Tensor, x: &[usize], grid: &Tensor) -> Result<()> {
    if dy.dims() == output(op, x, grid)? {
        return Ok(());
    }
    let message = format!(
        "the gradient {} is not of an output for input {x:?} and grid {}",
        dy.shape(),
        grid.shape()
    );
    Err(Error::shape(op, message))
}
