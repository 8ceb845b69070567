//! What object detectors pool and convolve with: means and maxima over regions of interest, and the columns of
//! deformable convolutions; the gradients beside them. The operations by their names are in `gradus-vision`.

use gradus_cpu::deform;
use gradus_cpu::fold::FoldParams;
use gradus_cpu::roi::{self, RoiParams};

use super::{dispatch_native, is_half, same_float, wide};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

impl Tensor {
    /// The mean over each bin of each region: `(B, C, H, W)` and regions `(K, 5)` to `(K, C', PH, PW)`. A region is the
    /// number of its sample, then x1, y1, x2, y2.
    ///
    /// ```
    /// # use gradus_tensor::*;
    /// let x = Tensor::from_slice(&[1f32, 2.0, 3.0, 6.0], [1, 1, 2, 2])?;
    /// let rois = Tensor::from_slice(&[0f32, 0.0, 0.0, 1.0, 1.0], [1, 5])?;
    /// let mode = RoiMode::Align { aligned: false, sampling_ratio: 1, position_sensitive: false };
    /// let params = RoiParams { mode, output_size: [1, 1], spatial_scale: 1.0 };
    /// assert_eq!(x.roi_mean(&rois, &params)?.item::<f32>()?, 3.0); // the sample in the middle
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, an output size is 0, or a region names no sample of the batch.
    pub fn roi_mean(&self, rois: &Tensor, params: &RoiParams) -> Result<Tensor> {
        let op = "roi_align";
        self.only_on_cpu(op)?;
        let dtype = same_float(op, &[("the input", self), ("the boxes", rois)])?;
        if is_half(dtype) {
            return wide(self)?.roi_mean(&wide(rois)?, params)?.to_dtype(dtype);
        }
        let shape = params.output_shape(self.dims(), rois.dims())?;
        dispatch_native!(op, dtype, T => {
            let (x, rois) = (self.kernel_view::<T>()?, rois.kernel_view::<T>()?);
            Tensor::try_build::<T>(op, &shape[..], |y| Ok(roi::roi_mean(x, rois, params, y)?))
        })
    }

    /// The gradient of [`Tensor::roi_mean`]'s input of shape `x_shape`, from that of its output (`self`).
    ///
    /// ```
    /// # use gradus_tensor::*;
    /// let dy = Tensor::ones([1, 1, 1, 1], DType::F32)?;
    /// let rois = Tensor::from_slice(&[0f32, 0.0, 0.0, 1.0, 1.0], [1, 5])?;
    /// let mode = RoiMode::Align { aligned: false, sampling_ratio: 1, position_sensitive: false };
    /// let params = RoiParams { mode, output_size: [1, 1], spatial_scale: 1.0 };
    /// assert_eq!(dy.roi_mean_backward(&rois, &params, &[1, 1, 2, 2])?.to_vec::<f32>()?, [0.25; 4]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::roi_mean`].
    pub fn roi_mean_backward(
        &self,
        rois: &Tensor,
        params: &RoiParams,
        x_shape: &[usize],
    ) -> Result<Tensor> {
        let op = "roi_align_backward";
        self.only_on_cpu(op)?;
        let dtype = same_float(op, &[("the gradient", self), ("the boxes", rois)])?;
        if is_half(dtype) {
            return wide(self)?
                .roi_mean_backward(&wide(rois)?, params, x_shape)?
                .to_dtype(dtype);
        }
        dispatch_native!(op, dtype, T => {
            let (dy, rois) = (self.kernel_view::<T>()?, rois.kernel_view::<T>()?);
            Tensor::try_build::<T>(op, x_shape, |dx| Ok(roi::roi_mean_backward(dy, rois, params, x_shape, dx)?))
        })
    }

    /// The largest element of each bin of each region, `(K, C, PH, PW)`, and where in this tensor (row-major) it is, i64;
    /// 0 and −1 for bins without elements. Regions as for [`Tensor::roi_mean`].
    ///
    /// ```
    /// # use gradus_tensor::*;
    /// let x = Tensor::from_slice(&[1f32, 2.0, 3.0, 6.0], [1, 1, 2, 2])?;
    /// let rois = Tensor::from_slice(&[0f32, 0.0, 0.0, 1.0, 1.0], [1, 5])?;
    /// let (y, at) = x.roi_max(&rois, [1, 1], 1.0)?;
    /// assert_eq!((y.item::<f32>()?, at.item::<i64>()?), (6.0, 3));
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::roi_mean`].
    pub fn roi_max(
        &self,
        rois: &Tensor,
        output_size: [usize; 2],
        spatial_scale: f64,
    ) -> Result<(Tensor, Tensor)> {
        let op = "roi_pool";
        self.only_on_cpu(op)?;
        let dtype = same_float(op, &[("the input", self), ("the boxes", rois)])?;
        if is_half(dtype) {
            let (y, at) = wide(self)?.roi_max(&wide(rois)?, output_size, spatial_scale)?;
            return Ok((y.to_dtype(dtype)?, at));
        }
        if self.rank() != 4 || rois.rank() != 2 {
            let message = format!(
                "input {} and boxes {}: they take (B, C, H, W) and (K, 5)",
                self.shape(),
                rois.shape()
            );
            return Err(Error::shape(op, message));
        }
        let shape = crate::Shape::new(&[
            rois.dims()[0],
            self.dims()[1],
            output_size[0],
            output_size[1],
        ]);
        dispatch_native!(op, dtype, T => {
            let (x, rois) = (self.kernel_view::<T>()?, rois.kernel_view::<T>()?);
            crate::ops::reduce::pair::<T>(op, &shape, |y, at| Ok(roi::roi_max(x, rois, output_size, spatial_scale, y, at)?))
        })
    }

    /// The columns of a deformable convolution: `(B, C, H, W)`, moves `(B, G·2·KH·KW, OH, OW)` (down, then across, of each
    /// element of the kernel) and factors `(B, G·KH·KW, OH, OW)` to `(B, C·KH·KW, OH·OW)`.
    ///
    /// ```
    /// # use gradus_tensor::*;
    /// let x = Tensor::from_slice(&[1f32, 3.0], [1, 1, 1, 2])?;
    /// let offset = Tensor::from_slice(&[0f32, 0.0, 0.5, 0.0], [1, 2, 1, 2])?; // down, across
    /// let window = FoldParams::new([1, 1]);
    /// assert_eq!(x.deform_columns(&offset, None, &window)?.to_vec::<f32>()?, [2.0, 3.0]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// Shapes or dtypes do not fit, or no window fits.
    pub fn deform_columns(
        &self,
        offset: &Tensor,
        mask: Option<&Tensor>,
        params: &FoldParams,
    ) -> Result<Tensor> {
        let op = "deform_conv2d";
        self.only_on_cpu(op)?;
        let dtype = operands(op, [("the input", self), ("the offset", offset)], mask)?;
        if is_half(dtype) {
            let mask = mask.map(wide).transpose()?;
            return wide(self)?
                .deform_columns(&wide(offset)?, mask.as_ref(), params)?
                .to_dtype(dtype);
        }
        let &[batch, channels, height, width] = self.dims() else {
            return Err(Error::shape(
                op,
                format!("the input {} takes (B, C, H, W)", self.shape()),
            ));
        };
        let [oh, ow] = params.windows(op, [height, width])?;
        let product = |sizes: &[usize]| crate::Shape::new(sizes).numel().map_err(|e| e.in_op(op));
        let rows = product(&[channels, params.kernel[0], params.kernel[1]])?;
        let shape = [batch, rows, product(&[oh, ow])?];
        dispatch_native!(op, dtype, T => {
            let (x, offset) = (self.kernel_view::<T>()?, offset.kernel_view::<T>()?);
            let mask = mask.map(Tensor::kernel_view::<T>).transpose()?;
            Tensor::try_build::<T>(op, &shape[..], |y| Ok(deform::deform_columns(x, offset, mask, params, y)?))
        })
    }

    /// The gradient of [`Tensor::deform_columns`]'s input of shape `x_shape`, from that of the columns (`self`).
    ///
    /// ```
    /// # use gradus_tensor::*;
    /// let x = Tensor::from_slice(&[1f32, 3.0], [1, 1, 1, 2])?;
    /// let offset = Tensor::from_slice(&[0f32, 0.0, 0.5, 0.0], [1, 2, 1, 2])?; // down, across
    /// let window = FoldParams::new([1, 1]);
    /// let dy = Tensor::ones([1, 1, 2], DType::F32)?;
    /// let dx = dy.deform_columns_backward_input(&offset, None, &window, x.dims())?;
    /// assert_eq!(dx.to_vec::<f32>()?, [0.5, 1.5]);
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::deform_columns`].
    pub fn deform_columns_backward_input(
        &self,
        offset: &Tensor,
        mask: Option<&Tensor>,
        params: &FoldParams,
        x_shape: &[usize],
    ) -> Result<Tensor> {
        let op = "deform_conv2d_backward_input";
        self.only_on_cpu(op)?;
        let dtype = operands(op, [("the gradient", self), ("the offset", offset)], mask)?;
        if is_half(dtype) {
            let mask = mask.map(wide).transpose()?;
            return wide(self)?
                .deform_columns_backward_input(&wide(offset)?, mask.as_ref(), params, x_shape)?
                .to_dtype(dtype);
        }
        dispatch_native!(op, dtype, T => {
            let (dy, offset) = (self.kernel_view::<T>()?, offset.kernel_view::<T>()?);
            let mask = mask.map(Tensor::kernel_view::<T>).transpose()?;
            Tensor::try_build::<T>(op, x_shape, |dx| {
                Ok(deform::deform_columns_backward_input(dy, offset, mask, params, x_shape, dx)?)
            })
        })
    }

    /// The gradients of [`Tensor::deform_columns`]'s moves and factors, from that of the columns (`self`).
    ///
    /// ```
    /// # use gradus_tensor::*;
    /// let x = Tensor::from_slice(&[1f32, 3.0], [1, 1, 1, 2])?;
    /// let offset = Tensor::from_slice(&[0f32, 0.0, 0.5, 0.0], [1, 2, 1, 2])?; // down, across
    /// let window = FoldParams::new([1, 1]);
    /// let dy = Tensor::ones([1, 1, 2], DType::F32)?;
    /// let (doffset, _) = dy.deform_columns_backward_places(&x, &offset, None, &window)?;
    /// assert_eq!(doffset.to_vec::<f32>()?[2], 2.0); // the first moves from 1 to 3
    /// # Ok::<(), gradus_tensor::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Tensor::deform_columns`].
    pub fn deform_columns_backward_places(
        &self,
        x: &Tensor,
        offset: &Tensor,
        mask: Option<&Tensor>,
        params: &FoldParams,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let op = "deform_conv2d_backward_places";
        self.only_on_cpu(op)?;
        let dtype = operands(op, [("the gradient", self), ("the offset", offset)], mask)?;
        same_float(op, &[("the gradient", self), ("the input", x)])?;
        if is_half(dtype) {
            let mask = mask.map(wide).transpose()?;
            let (doffset, dmask) = wide(self)?.deform_columns_backward_places(
                &wide(x)?,
                &wide(offset)?,
                mask.as_ref(),
                params,
            )?;
            let dmask = dmask.map(|m| m.to_dtype(dtype)).transpose()?;
            return Ok((doffset.to_dtype(dtype)?, dmask));
        }
        let mut dmask = mask.map(|m| Tensor::zeros(m.shape(), dtype)).transpose()?;
        dispatch_native!(op, dtype, T => {
            let (dy, xv, ov) = (self.kernel_view::<T>()?, x.kernel_view::<T>()?, offset.kernel_view::<T>()?);
            let mv = mask.map(Tensor::kernel_view::<T>).transpose()?;
            let doffset = Tensor::try_build::<T>(op, offset.shape(), |doffset| {
                let dmask = dmask.as_mut().and_then(Tensor::as_mut_slice::<T>);
                Ok(deform::deform_columns_backward_places(dy, xv, ov, mv, params, doffset, dmask)?)
            })?;
            Ok((doffset, dmask))
        })
    }
}

/// One float dtype for all.
fn operands(
    op: &'static str,
    two: [(&str, &Tensor); 2],
    mask: Option<&Tensor>,
) -> Result<crate::DType> {
    let all: Vec<(&str, &Tensor)> = two
        .into_iter()
        .chain(mask.map(|m| ("the mask", m)))
        .collect();
    same_float(op, &all)
}
