//! How much boxes overlap, every pair of two sets: intersection over union, and its kin that also say how far apart they are.

use std::f64::consts::PI;

use gradus_autograd::Var;
use gradus_tensor::{Error, Result};

use super::boxes::{BoxFormat, box_convert, check_upright, numbers};
use super::{check_rows, upcast};

/// Both sets as corners, (.., N, 1, 4) and (.., 1, M, 4), in which every pair meets.
fn pairs(
    op: &'static str,
    boxes1: &Var,
    boxes2: &Var,
    fmt: BoxFormat,
) -> Result<(Corners, Corners)> {
    check_upright(op, fmt)?;
    for boxes in [boxes1, boxes2] {
        check_rows(op, boxes, 4)?;
        if boxes.rank() < 2 {
            let message = format!(
                "the boxes have shape {}; they take (.., N, 4)",
                boxes.shape()
            );
            return Err(Error::shape(op, message));
        }
    }
    let corners = |boxes: &Var, dim| {
        let boxes = box_convert(&upcast(boxes)?, fmt, BoxFormat::Xyxy)?;
        Corners::new(&boxes.unsqueeze(dim)?)
    };
    Ok((corners(boxes1, -2)?, corners(boxes2, -3)?))
}

/// Boxes as four numbers, each (..).
pub(super) struct Corners {
    pub x1: Var,
    pub y1: Var,
    pub x2: Var,
    pub y2: Var,
}

impl Corners {
    pub fn new(boxes: &Var) -> Result<Self> {
        let [x1, y1, x2, y2] = numbers(boxes)?;
        Ok(Self { x1, y1, x2, y2 })
    }

    pub fn width(&self) -> Result<Var> {
        self.x2.sub(&self.x1)
    }

    pub fn height(&self) -> Result<Var> {
        self.y2.sub(&self.y1)
    }

    pub fn area(&self) -> Result<Var> {
        self.width()?.mul(&self.height()?)
    }

    pub fn centre(&self) -> Result<[Var; 2]> {
        let middle = |a: &Var, b: &Var| a.add(b)?.div_scalar(2.0);
        Ok([middle(&self.x1, &self.x2)?, middle(&self.y1, &self.y2)?])
    }

    /// The smallest boxes around these and others: width and height.
    pub fn around(&self, other: &Self) -> Result<[Var; 2]> {
        Ok([
            self.x2
                .maximum(&other.x2)?
                .sub(&self.x1.minimum(&other.x1)?)?,
            self.y2
                .maximum(&other.y2)?
                .sub(&self.y1.minimum(&other.y1)?)?,
        ])
    }

    /// What these and others share: width and height, negative where they do not meet.
    pub fn shared(&self, other: &Self) -> Result<[Var; 2]> {
        Ok([
            self.x2
                .minimum(&other.x2)?
                .sub(&self.x1.maximum(&other.x1)?)?,
            self.y2
                .minimum(&other.y2)?
                .sub(&self.y1.maximum(&other.y1)?)?,
        ])
    }

    /// The squared distance between the centres of these and others.
    pub fn apart(&self, other: &Self) -> Result<Var> {
        let ([x, y], [u, v]) = (self.centre()?, other.centre()?);
        x.sub(&u)?.square()?.add(&y.sub(&v)?.square()?)
    }

    /// `4 / π² · (atan(w / h) − atan(w' / h'))²`: how much the proportions differ.
    pub fn proportions(&self, other: &Self) -> Result<Var> {
        let angle = |c: &Self| c.width()?.div(&c.height()?)?.atan();
        angle(self)?
            .sub(&angle(other)?)?
            .square()?
            .mul_scalar(4.0 / (PI * PI))
    }
}

/// Intersection over union, and the union.
fn iou(a: &Corners, b: &Corners) -> Result<(Var, Var)> {
    let [w, h] = a.shared(b)?;
    let inter = w.clamp_min(0.0)?.mul(&h.clamp_min(0.0)?)?;
    let union = a.area()?.add(&b.area()?)?.sub(&inter)?;
    Ok((inter.div(&union)?, union))
}

/// The intersection over union of every pair: (.., N, 4) and (.., M, 4) to (.., N, M).
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_tensor::Tensor;
/// use gradus_vision::ops::{BoxFormat, box_iou};
/// let a = Var::from(Tensor::from_slice(&[0.0f32, 0.0, 2.0, 2.0], [1, 4])?);
/// let b = Var::from(Tensor::from_slice(&[1.0f32, 0.0, 3.0, 2.0, 5.0, 5.0, 6.0, 6.0], [2, 4])?);
/// let iou = box_iou(&a, &b, BoxFormat::Xyxy)?;
/// assert_eq!(iou.value().to_vec::<f32>()?, [2.0 / 6.0, 0.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the boxes do not have such shapes, the leading dimensions do not broadcast, or the format is rotated.
pub fn box_iou(boxes1: &Var, boxes2: &Var, fmt: BoxFormat) -> Result<Var> {
    let (a, b) = pairs("box_iou", boxes1, boxes2, fmt)?;
    Ok(iou(&a, &b)?.0)
}

/// [`box_iou`] less the share of the smallest box around both that neither covers (Rezatofighi et al. 2019).
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_tensor::Tensor;
/// use gradus_vision::ops::generalized_box_iou;
/// let a = Var::from(Tensor::from_slice(&[0.0, 0.0, 2.0, 2.0], [1, 4])?);
/// let b = Var::from(Tensor::from_slice(&[1.0, 1.0, 3.0, 3.0], [1, 4])?);
/// let y = generalized_box_iou(&a, &b)?.item::<f64>()?; // 7 of the 9 around both are covered, 1 of the 7 twice
/// assert!((y - (1.0 / 7.0 - 2.0 / 9.0)).abs() < 1e-9);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`box_iou`].
pub fn generalized_box_iou(boxes1: &Var, boxes2: &Var) -> Result<Var> {
    let (a, b) = pairs("generalized_box_iou", boxes1, boxes2, BoxFormat::Xyxy)?;
    let (iou, union) = iou(&a, &b)?;
    let [w, h] = a.around(&b)?;
    let around = w.clamp_min(0.0)?.mul(&h.clamp_min(0.0)?)?;
    iou.sub(&around.sub(&union)?.div(&around)?)
}

/// [`box_iou`] less the squared distance of the centres over the squared diagonal of the smallest box around both
/// (Zheng et al. 2019). torchvision's `eps` is 1e-7.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_tensor::Tensor;
/// use gradus_vision::ops::distance_box_iou;
/// let a = Var::from(Tensor::from_slice(&[0.0, 0.0, 2.0, 2.0], [1, 4])?);
/// let b = Var::from(Tensor::from_slice(&[1.0, 1.0, 3.0, 3.0], [1, 4])?);
/// let y = distance_box_iou(&a, &b, 0.0)?.item::<f64>()?; // the centres are √2 apart, the corners √18
/// assert!((y - (1.0 / 7.0 - 2.0 / 18.0)).abs() < 1e-9);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`box_iou`].
pub fn distance_box_iou(boxes1: &Var, boxes2: &Var, eps: f64) -> Result<Var> {
    let (a, b) = pairs("distance_box_iou", boxes1, boxes2, BoxFormat::Xyxy)?;
    Ok(diou(&a, &b, eps)?.0)
}

/// [`distance_box_iou`] less how much the proportions differ (Zheng et al. 2019). torchvision's `eps` is 1e-7.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_tensor::Tensor;
/// use gradus_vision::ops::complete_box_iou;
/// let a = Var::from(Tensor::from_slice(&[0.0, 0.0, 2.0, 2.0], [1, 4])?);
/// let b = Var::from(Tensor::from_slice(&[1.0, 1.0, 3.0, 3.0], [1, 4])?);
/// let y = complete_box_iou(&a, &b, 0.0)?.item::<f64>()?; // both are square
/// assert!((y - (1.0 / 7.0 - 2.0 / 18.0)).abs() < 1e-9);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// As [`box_iou`].
pub fn complete_box_iou(boxes1: &Var, boxes2: &Var, eps: f64) -> Result<Var> {
    let (a, b) = pairs("complete_box_iou", boxes1, boxes2, BoxFormat::Xyxy)?;
    let (diou, iou) = diou(&a, &b, eps)?;
    let v = a.proportions(&b)?;
    let alpha = v.detach().div(
        &iou.detach()
            .rsub_scalar(1.0)?
            .add(&v.detach())?
            .add_scalar(eps)?,
    )?;
    diou.sub(&alpha.mul(&v)?)
}

fn diou(a: &Corners, b: &Corners, eps: f64) -> Result<(Var, Var)> {
    let iou = iou(a, b)?.0;
    let [w, h] = a.around(b)?;
    let (w, h) = (w.clamp_min(0.0)?, h.clamp_min(0.0)?);
    let diagonal = w.square()?.add(&h.square()?)?.add_scalar(eps)?;
    Ok((iou.sub(&a.apart(b)?.div(&diagonal)?)?, iou))
}
