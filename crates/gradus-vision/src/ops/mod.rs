//! What object detectors are made of: boxes, overlaps, suppression, pooling over regions, deformable convolution, losses.
//!
//! Names, arguments, defaults and conventions are those of `torchvision.ops`; where that is differentiable, this is
//! (`&Var`), and means over regions are so twice. Boxes are rows of four numbers, `(x1, y1, x2, y2)` unless said otherwise.
//! The kernels are `gradus-cpu`'s.

mod boxes;
mod deform;
mod iou;
mod losses;
mod nms;
mod roi;

pub use boxes::{BoxFormat, box_area, box_convert, clip_boxes_to_image, remove_small_boxes};
pub use deform::{DeformConv2d, deform_conv2d};
pub use iou::{box_iou, complete_box_iou, distance_box_iou, generalized_box_iou};
pub use losses::{
    complete_box_iou_loss, distance_box_iou_loss, generalized_box_iou_loss, sigmoid_focal_loss,
};
pub use nms::{batched_nms, nms};
pub use roi::{IntoRois, ps_roi_align, ps_roi_pool, roi_align, roi_pool};

use gradus_autograd::Var;
use gradus_tensor::{DType, Error, Result};

/// `x` in f32 if it is of 16 bits: products of sizes would overflow.
fn upcast(x: &Var) -> Result<Var> {
    match x.dtype() {
        DType::F16 | DType::BF16 => x.to_dtype(DType::F32),
        _ => Ok(x.clone()),
    }
}

/// Checks that the last dimension has `n` numbers.
fn check_rows(op: &'static str, boxes: &Var, n: usize) -> Result<()> {
    if boxes.dims().last() == Some(&n) && boxes.dtype().is_float() {
        return Ok(());
    }
    let message = format!(
        "the boxes are {} of shape {}; they take floats of shape (.., {n})",
        boxes.dtype(),
        boxes.shape()
    );
    Err(Error::shape(op, message))
}
