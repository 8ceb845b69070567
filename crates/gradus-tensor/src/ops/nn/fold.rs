//! Windows as columns and back: `im2col` and `col2im`, what PyTorch's `unfold` and `fold` do; each the other's gradient.

use gradus_cpu::fold::{self, FoldParams};

use super::{dispatch_native, is_half, same_float, wide};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

impl Tensor {
    /// The windows of images as columns: `(B, C, H, W) -> (B, C·KH·KW, L)`, or both without the batch dimension. As
    /// PyTorch's `nn.functional.unfold` (`Tensor::unfold` is another thing, as in PyTorch).
    ///
    /// ```
    /// # use gradus_tensor::{DType, FoldParams, Tensor};
    /// let x = Tensor::ones([1, 3, 8, 8], DType::F32)?;
    /// assert_eq!(x.im2col(&FoldParams::new([3, 3]))?.dims(), [1, 27, 36]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The rank is not 3 or 4, a dimension but the batch is empty, a kernel size, dilation or stride is 0, or no window fits.
    pub fn im2col(&self, params: &FoldParams) -> Result<Tensor> {
        let op = "unfold";
        let dtype = same_float(op, &[("the input", self)])?;
        if self.rank() == 3 {
            return self.unsqueeze(0)?.im2col(params)?.select(0, 0);
        }
        let &[batch, channels, height, width] = self.dims() else {
            let message = format!("the input {} takes (B, C, H, W) or (C, H, W)", self.shape());
            return Err(Error::shape(op, message));
        };
        if channels == 0 || height == 0 || width == 0 {
            let message = format!(
                "the input {} has an empty dimension that is not the batch",
                self.shape()
            );
            return Err(Error::shape(op, message));
        }
        let [oh, ow] = params.windows(op, [height, width])?;
        on_cuda!([self] => cuda::windows::im2col(self, params, [oh, ow]));
        if is_half(dtype) {
            return wide(self)?.im2col(params)?.to_dtype(dtype);
        }
        let product = |sizes: &[usize]| crate::Shape::new(sizes).numel().map_err(|e| e.in_op(op));
        let rows = product(&[channels, params.kernel[0], params.kernel[1]])?;
        let shape = [batch, rows, product(&[oh, ow])?];
        dispatch_native!(op, dtype, T => {
            let x = self.kernel_view::<T>()?;
            Tensor::try_build::<T>(op, &shape[..], |y| Ok(fold::unfold(x, params, y)?))
        })
    }

    /// Columns added up where their windows are in images of `output_size`: `(B, C·KH·KW, L) -> (B, C, H, W)`, or both
    /// without the batch dimension. As PyTorch's `nn.functional.fold`.
    ///
    /// ```
    /// # use gradus_tensor::*;
    /// let windows = Tensor::ones([1, 2, 2], DType::F32)?;
    /// let x = windows.col2im([1, 3], &FoldParams::new([1, 2]))?;
    /// assert_eq!(x.to_vec::<f32>()?, [1.0, 2.0, 1.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// The rank is not 2 or 3, the rows do not divide by the kernel's size, `L` is not the number of windows, or as
    /// [`Tensor::im2col`].
    pub fn col2im(&self, output_size: [usize; 2], params: &FoldParams) -> Result<Tensor> {
        let op = "fold";
        let dtype = same_float(op, &[("the input", self)])?;
        if self.rank() == 2 {
            return self.unsqueeze(0)?.col2im(output_size, params)?.select(0, 0);
        }
        let fail = |why: String| {
            Err(Error::shape(
                op,
                format!("the input {}: {why}", self.shape()),
            ))
        };
        let &[batch, rows, blocks] = self.dims() else {
            return fail("it takes (B, C·KH·KW, L) or (C·KH·KW, L)".into());
        };
        let [oh, ow] = params.windows(op, output_size)?;
        let taps = params.kernel[0].saturating_mul(params.kernel[1]);
        if rows == 0 || !rows.is_multiple_of(taps) {
            return fail(format!(
                "{rows} rows are not a multiple of the kernel's {taps} elements"
            ));
        }
        if oh.checked_mul(ow) != Some(blocks) {
            return fail(format!(
                "{output_size:?} has {oh} x {ow} windows, not {blocks}"
            ));
        }
        let shape = [batch, rows / taps, output_size[0], output_size[1]];
        on_cuda!([self] => cuda::windows::col2im(self, params, [oh, ow], &shape));
        if is_half(dtype) {
            return wide(self)?.col2im(output_size, params)?.to_dtype(dtype);
        }
        dispatch_native!(op, dtype, T => {
            let y = self.kernel_view::<T>()?;
            Tensor::try_build::<T>(op, &shape[..], |x| Ok(fold::fold(y, params, &shape, x)?))
        })
    }
}
