//! Non-maximum suppression: of boxes that overlap, the one with the highest score.

use std::collections::BTreeMap;

use gradus_tensor::{DType, Error, Result, Tensor};

/// The indices, i64, of the boxes (N, 4) that stay, by falling score: from the highest score (N) on, each box removes those
/// after it whose intersection over union with it is above the threshold. Equal scores keep their order.
///
/// ```
/// use gradus_tensor::Tensor;
/// use gradus_vision::ops::nms;
/// let boxes = [0.0f32, 0.0, 2.0, 2.0, 0.0, 0.0, 2.0, 2.1, 4.0, 4.0, 5.0, 5.0];
/// let boxes = Tensor::from_slice(&boxes, [3, 4])?;
/// let scores = Tensor::from_slice(&[0.3f32, 0.9, 0.5], [3])?;
/// assert_eq!(nms(&boxes, &scores, 0.5)?.to_vec::<i64>()?, [1, 2]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes are not (N, 4) and (N).
pub fn nms(boxes: &Tensor, scores: &Tensor, iou_threshold: f64) -> Result<Tensor> {
    let (boxes, order) = prepared("nms", boxes, scores)?;
    indices(suppressed(&boxes, &order, iou_threshold))
}

/// [`nms`] within each category: `idxs` (N), whole numbers, are the categories of the boxes.
///
/// ```
/// use gradus_tensor::Tensor;
/// use gradus_vision::ops::batched_nms;
/// let boxes = [0.0f32, 0.0, 2.0, 2.0, 0.0, 0.0, 2.0, 2.1];
/// let boxes = Tensor::from_slice(&boxes, [2, 4])?;
/// let scores = Tensor::from_slice(&[0.3f32, 0.9], [2])?;
/// let of = |categories: [i64; 2]| Tensor::from_slice(&categories, 2);
/// assert_eq!(batched_nms(&boxes, &scores, &of([0, 0])?, 0.5)?.to_vec::<i64>()?, [1]);
/// assert_eq!(batched_nms(&boxes, &scores, &of([0, 1])?, 0.5)?.to_vec::<i64>()?, [1, 0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the shapes are not (N, 4), (N) and (N), or the categories are not whole numbers.
pub fn batched_nms(
    boxes: &Tensor,
    scores: &Tensor,
    idxs: &Tensor,
    iou_threshold: f64,
) -> Result<Tensor> {
    let op = "batched_nms";
    if idxs.dims() != scores.dims() || idxs.dtype().is_float() {
        let message = format!(
            "the categories are {} of shape {}; they take whole numbers, one for each of the {} scores",
            idxs.dtype(),
            idxs.shape(),
            scores.numel()
        );
        return Err(Error::shape(op, message));
    }
    let (boxes, order) = prepared(op, boxes, scores)?;
    let categories = idxs.to_dtype(DType::I64)?.to_vec::<i64>()?;
    let mut groups: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    for &i in &order {
        groups.entry(categories[i]).or_default().push(i);
    }
    let mut stays = vec![false; order.len()];
    for group in groups.values() {
        for i in suppressed(&boxes, group, iou_threshold) {
            stays[i] = true;
        }
    }
    indices(order.into_iter().filter(|&i| stays[i]).collect())
}

/// The boxes in f64, and their indices by falling score.
fn prepared(
    op: &'static str,
    boxes: &Tensor,
    scores: &Tensor,
) -> Result<(Vec<[f64; 4]>, Vec<usize>)> {
    if boxes.rank() != 2 || boxes.dims()[1] != 4 || scores.dims() != &boxes.dims()[..1] {
        let message = format!(
            "boxes {} and scores {}: they take (N, 4) and (N)",
            boxes.shape(),
            scores.shape()
        );
        return Err(Error::shape(op, message));
    }
    let flat = boxes.to_dtype(DType::F64)?.to_vec::<f64>()?;
    let order = scores.argsort(0, true)?.to_vec::<i64>()?;
    Ok((
        flat.chunks_exact(4)
            .map(|b| [b[0], b[1], b[2], b[3]])
            .collect(),
        order.into_iter().map(|i| i as usize).collect(),
    ))
}

/// Those of `order` that stay.
fn suppressed(boxes: &[[f64; 4]], order: &[usize], iou_threshold: f64) -> Vec<usize> {
    let area = |b: &[f64; 4]| (b[2] - b[0]) * (b[3] - b[1]);
    let mut left: Vec<usize> = order.to_vec();
    let mut keep = Vec::new();
    while let Some((&best, rest)) = left.split_first() {
        keep.push(best);
        let a = boxes[best];
        let overlaps = |&i: &usize| {
            let b = boxes[i];
            let w = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
            let h = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
            w * h / (area(&a) + area(&b) - w * h) > iou_threshold
        };
        left = rest.iter().copied().filter(|i| !overlaps(i)).collect();
    }
    keep
}

fn indices(keep: Vec<usize>) -> Result<Tensor> {
    let n = keep.len();
    Tensor::from_vec(keep.into_iter().map(|i| i as i64).collect(), n)
}
