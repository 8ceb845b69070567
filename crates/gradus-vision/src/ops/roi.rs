//! Pooling over regions of interest: means of samples (`roi_align`), maxima of elements (`roi_pool`), and the
//! position-sensitive kind, in which every bin reads channels of its own (Dai et al. 2016). The means are linear in the
//! input, so each and its gradient are each other's rules; no region has a gradient, as in torchvision.

use gradus_autograd::{Op, Var};
use gradus_tensor::{Error, Result, RoiMode, RoiParams, Tensor};

/// Regions: one tensor (K, 5) whose first column is the number of the sample, or a list with the boxes (L, 4) of each sample.
pub trait IntoRois {
    /// As one tensor (K, 5).
    ///
    /// # Errors
    /// If a shape is another.
    fn rois(&self) -> Result<Tensor>;
}

impl IntoRois for Tensor {
    fn rois(&self) -> Result<Tensor> {
        if self.rank() == 2 && self.dims()[1] == 5 {
            return Ok(self.clone());
        }
        let message = format!(
            "the boxes have shape {}; they take (K, 5): which sample, x1, y1, x2, y2",
            self.shape()
        );
        Err(Error::shape("boxes", message))
    }
}

impl IntoRois for [Tensor] {
    fn rois(&self) -> Result<Tensor> {
        let mut parts = Vec::with_capacity(self.len());
        for (i, boxes) in self.iter().enumerate() {
            if boxes.rank() != 2 || boxes.dims()[1] != 4 {
                let message = format!(
                    "the boxes of sample {i} have shape {}; they take (L, 4)",
                    boxes.shape()
                );
                return Err(Error::shape("boxes", message));
            }
            let number = Tensor::full([boxes.dims()[0], 1], i as f64, boxes.dtype())?;
            parts.push(Tensor::cat(&[&number, boxes], 1)?);
        }
        if parts.is_empty() {
            return Err(Error::shape("boxes", "the list of boxes is empty"));
        }
        Tensor::cat(&parts.iter().collect::<Vec<_>>(), 0)
    }
}

impl IntoRois for Vec<Tensor> {
    fn rois(&self) -> Result<Tensor> {
        self.as_slice().rois()
    }
}

/// The mean of bilinear samples over each bin of each region: `input` (B, C, H, W) to (K, C, PH, PW). `spatial_scale` takes boxes
/// to places in the input; `sampling_ratio` is the number of samples of a bin along an axis, 0 or less for as many as the
/// bin is long; `aligned` shifts by half an element. torchvision's defaults: 1, −1, false (He et al. 2017).
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_tensor::{DType, Tensor};
/// use gradus_vision::ops::roi_align;
/// let x = Var::leaf(Tensor::arange(0, 16, 1, DType::F32)?.reshape([1, 1, 4, 4])?)?;
/// let boxes = vec![Tensor::from_slice(&[1.0f32, 1.0, 3.0, 3.0], [1, 4])?]; // those of the only image
/// let y = roi_align(&x, &boxes, [1, 1], 1.0, 2, true)?;
/// assert_eq!(y.item::<f32>()?, 7.5); // the mean of 5, 6, 9 and 10
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes or dtypes do not fit, a box names no sample of the batch, an output size is 0, the scale is not a positive
/// number, or the sampling ratio is above 4096.
pub fn roi_align<R: IntoRois + ?Sized>(
    input: &Var,
    boxes: &R,
    output_size: [usize; 2],
    spatial_scale: f64,
    sampling_ratio: i64,
    aligned: bool,
) -> Result<Var> {
    let mode = RoiMode::Align {
        aligned,
        sampling_ratio: ratio(sampling_ratio),
        position_sensitive: false,
    };
    mean("roi_align", input, boxes, mode, output_size, spatial_scale)
}

/// [`roi_align`] in which every bin reads its own channels: (B, C·PH·PW, H, W) to (K, C, PH, PW), always aligned
/// (Li et al. 2017). A region without extent gives 0.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_tensor::{DType, Tensor};
/// use gradus_vision::ops::ps_roi_align;
/// let x = Var::leaf(Tensor::arange(0, 32, 1, DType::F32)?.reshape([1, 2, 4, 4])?)?;
/// let boxes = vec![Tensor::from_slice(&[1.0f32, 1.0, 3.0, 3.0], [1, 4])?];
/// let y = ps_roi_align(&x, &boxes, [2, 1], 1.0, 2)?;
/// assert_eq!(y.dims(), [1, 1, 2, 1]); // the upper bin reads channel 0, the lower one channel 1
/// let y = y.value().to_vec::<f32>()?;
/// assert!(y[0] < 16.0 && y[1] > 16.0);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`roi_align`]; if the channels are not a multiple of the bins.
pub fn ps_roi_align<R: IntoRois + ?Sized>(
    input: &Var,
    boxes: &R,
    output_size: [usize; 2],
    spatial_scale: f64,
    sampling_ratio: i64,
) -> Result<Var> {
    let mode = RoiMode::Align {
        aligned: false,
        sampling_ratio: ratio(sampling_ratio),
        position_sensitive: true,
    };
    mean(
        "ps_roi_align",
        input,
        boxes,
        mode,
        output_size,
        spatial_scale,
    )
}

/// The mean of whole elements over each bin, which reads its own channels: (B, C·PH·PW, H, W) to (K, C, PH, PW). As in
/// torchvision the last row and column are never read; the gradient is this mean's own (torchvision's spreads over the last
/// ones too, which it did not read).
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_tensor::{DType, Tensor};
/// use gradus_vision::ops::ps_roi_pool;
/// let x = Var::leaf(Tensor::arange(0, 32, 1, DType::F32)?.reshape([1, 2, 4, 4])?)?;
/// let boxes = vec![Tensor::from_slice(&[1.0f32, 1.0, 3.0, 3.0], [1, 4])?];
/// let y = ps_roi_pool(&x, &boxes, [2, 1], 1.0)?;
/// assert_eq!(y.dims(), [1, 1, 2, 1]); // the upper bin reads channel 0, the lower one channel 1
/// let y = y.value().to_vec::<f32>()?;
/// assert!(y[0] < 16.0 && y[1] > 16.0);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`ps_roi_align`].
pub fn ps_roi_pool<R: IntoRois + ?Sized>(
    input: &Var,
    boxes: &R,
    output_size: [usize; 2],
    spatial_scale: f64,
) -> Result<Var> {
    let mode = RoiMode::PositionSensitivePool;
    mean(
        "ps_roi_pool",
        input,
        boxes,
        mode,
        output_size,
        spatial_scale,
    )
}

/// The largest element of each bin of each region: (B, C, H, W) to (K, C, PH, PW); 0 for a bin outside (Girshick 2015).
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_tensor::{DType, Tensor};
/// use gradus_vision::ops::roi_pool;
/// let x = Var::leaf(Tensor::arange(0, 16, 1, DType::F32)?.reshape([1, 1, 4, 4])?)?;
/// let boxes = vec![Tensor::from_slice(&[1.0f32, 1.0, 3.0, 3.0], [1, 4])?];
/// assert_eq!(roi_pool(&x, &boxes, [1, 1], 1.0)?.item::<f32>()?, 15.0); // rows and columns 1 to 3
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`roi_align`].
pub fn roi_pool<R: IntoRois + ?Sized>(
    input: &Var,
    boxes: &R,
    output_size: [usize; 2],
    spatial_scale: f64,
) -> Result<Var> {
    let op = "roi_pool";
    let rois = boxes.rois().map_err(|e| e.in_op(op))?;
    let (y, at) = input.value().roi_max(&rois, output_size, spatial_scale)?;
    if !Op::new(op).inputs(&[input]).is_tracked() || y.numel() == 0 || input.numel() == 0 {
        let x_shape = input.dims().to_vec();
        // Of nothing: the gradient is 0.
        return Op::new(op).inputs(&[input]).record(y, move |_, dy| {
            Ok(Var::from(Tensor::zeros(&x_shape[..], dy.dtype())?))
        });
    }
    // Picked where the maxima are: the gradient goes there, any number of times.
    let nothing = at.lt_scalar(0)?;
    let at = at.clamp_min(0)?;
    input.take(&at)?.masked_fill(&nothing, 0.0)
}

fn ratio(sampling_ratio: i64) -> usize {
    usize::try_from(sampling_ratio).unwrap_or(0)
}

fn mean<R: IntoRois + ?Sized>(
    op: &'static str,
    x: &Var,
    boxes: &R,
    mode: RoiMode,
    output_size: [usize; 2],
    spatial_scale: f64,
) -> Result<Var> {
    let params = RoiParams {
        mode,
        output_size,
        spatial_scale,
    };
    let rois = boxes.rois().map_err(|e| e.in_op(op))?;
    forward(op, x, &rois, params)
}

fn forward(op: &'static str, x: &Var, rois: &Tensor, params: RoiParams) -> Result<Var> {
    let y = x.value().roi_mean(rois, &params).map_err(|e| e.in_op(op))?;
    let (rois, x_shape) = (rois.clone(), x.dims().to_vec());
    Op::new(op)
        .inputs(&[x])
        .record(y, move |_, dy| backward(op, &dy, &rois, params, &x_shape))
}

fn backward(
    op: &'static str,
    dy: &Var,
    rois: &Tensor,
    params: RoiParams,
    x_shape: &[usize],
) -> Result<Var> {
    let dx = dy.value().roi_mean_backward(rois, &params, x_shape)?;
    let rois = rois.clone();
    Op::new("roi_align_backward")
        .inputs(&[dy])
        .record(dx, move |_, g| forward(op, &g, &rois, params))
}
