//! Boxes: their formats, areas, and what to do with those that are too large or too small.

use std::f64::consts::PI;
use std::str::FromStr;

use gradus_autograd::Var;
use gradus_tensor::{DType, Error, Result, Tensor};

use super::{check_rows, upcast};

/// What the numbers of a box mean; torchvision's names. Angles are in degrees, counter-clockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BoxFormat {
    /// Two corners: x1, y1, x2, y2.
    #[default]
    Xyxy,
    /// A corner and the size: x, y, w, h.
    Xywh,
    /// The centre and the size: cx, cy, w, h.
    Cxcywh,
    /// Rotated: a corner, the size, the angle.
    Xywhr,
    /// Rotated: the centre, the size, the angle.
    Cxcywhr,
    /// Rotated: four corners, from the top left clockwise.
    Xyxyxyxy,
}

impl BoxFormat {
    fn numbers(self) -> usize {
        match self {
            Self::Xyxy | Self::Xywh | Self::Cxcywh => 4,
            Self::Xywhr | Self::Cxcywhr => 5,
            Self::Xyxyxyxy => 8,
        }
    }

    fn is_rotated(self) -> bool {
        self.numbers() > 4
    }
}

impl FromStr for BoxFormat {
    type Err = Error;
    /// `"xyxy"`, `"xywh"`, `"cxcywh"`, `"xywhr"`, `"cxcywhr"`, `"xyxyxyxy"`.
    fn from_str(s: &str) -> Result<Self> {
        Ok(match s {
            "xyxy" => Self::Xyxy,
            "xywh" => Self::Xywh,
            "cxcywh" => Self::Cxcywh,
            "xywhr" => Self::Xywhr,
            "cxcywhr" => Self::Cxcywhr,
            "xyxyxyxy" => Self::Xyxyxyxy,
            _ => {
                let message =
                    format!("{s:?} is none of xyxy, xywh, cxcywh, xywhr, cxcywhr, xyxyxyxy");
                return Err(Error::value("box format", message));
            }
        })
    }
}

/// Boxes (.., n) in another format, (.., m): upright ones among each other, and rotated ones.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_tensor::Tensor;
/// use gradus_vision::ops::{BoxFormat, box_convert};
/// let boxes = Var::from(Tensor::from_slice(&[10.0f32, 20.0, 30.0, 60.0], [1, 4])?);
/// let sizes = box_convert(&boxes, BoxFormat::Xyxy, BoxFormat::Cxcywh)?;
/// assert_eq!(sizes.value().to_vec::<f32>()?, [20.0, 40.0, 20.0, 40.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the boxes do not have as many numbers as the format, or one format is rotated and the other upright.
pub fn box_convert(boxes: &Var, in_fmt: BoxFormat, out_fmt: BoxFormat) -> Result<Var> {
    let op = "box_convert";
    check_rows(op, boxes, in_fmt.numbers())?;
    if in_fmt.is_rotated() != out_fmt.is_rotated() {
        let message = format!("{in_fmt:?} to {out_fmt:?}: one is rotated and the other is not");
        return Err(Error::value(op, message));
    }
    if in_fmt == out_fmt {
        return Ok(boxes.clone());
    }
    // By way of corners (or of a corner, the size and the angle), as torchvision.
    let middle = match in_fmt {
        BoxFormat::Xyxy | BoxFormat::Xywhr => boxes.clone(),
        BoxFormat::Xywh => {
            let [x, y, w, h] = numbers(boxes)?;
            let (x2, y2) = (x.add(&w)?, y.add(&h)?);
            rows(&[&x, &y, &x2, &y2])?
        }
        BoxFormat::Cxcywh => {
            let [cx, cy, w, h] = numbers(boxes)?;
            let (w, h) = (w.mul_scalar(0.5)?, h.mul_scalar(0.5)?);
            rows(&[&cx.sub(&w)?, &cy.sub(&h)?, &cx.add(&w)?, &cy.add(&h)?])?
        }
        BoxFormat::Cxcywhr => {
            let [cx, cy, w, h, r] = numbers(boxes)?;
            let [dx, dy] = to_centre(&w, &h, &r)?;
            rows(&[&cx.sub(&dx)?, &cy.sub(&dy)?, &w, &h, &r])?
        }
        BoxFormat::Xyxyxyxy => {
            let [x1, y1, x2, y2, x3, y3, _, _] = numbers(boxes)?;
            let (across, down) = (x2.sub(&x1)?, y1.sub(&y2)?);
            let angle = down.atan2(&across)?.mul_scalar(180.0 / PI)?;
            let w = across.square()?.add(&down.square()?)?.sqrt()?;
            let h = x3
                .sub(&x2)?
                .square()?
                .add(&y3.sub(&y2)?.square()?)?
                .sqrt()?;
            rows(&[&x1, &y1, &w, &h, &angle])?
        }
    };
    match out_fmt {
        BoxFormat::Xyxy | BoxFormat::Xywhr => Ok(middle),
        BoxFormat::Xywh => {
            let [x1, y1, x2, y2] = numbers(&middle)?;
            rows(&[&x1, &y1, &x2.sub(&x1)?, &y2.sub(&y1)?])
        }
        BoxFormat::Cxcywh => {
            let [x1, y1, x2, y2] = numbers(&middle)?;
            let (cx, cy) = (x1.add(&x2)?.div_scalar(2.0)?, y1.add(&y2)?.div_scalar(2.0)?);
            rows(&[&cx, &cy, &x2.sub(&x1)?, &y2.sub(&y1)?])
        }
        BoxFormat::Cxcywhr => {
            let [x, y, w, h, r] = numbers(&middle)?;
            let [dx, dy] = to_centre(&w, &h, &r)?;
            rows(&[&x.add(&dx)?, &y.add(&dy)?, &w, &h, &r])
        }
        BoxFormat::Xyxyxyxy => {
            let [x1, y1, w, h, r] = numbers(&middle)?;
            let (cos, sin) = cos_sin(&r)?;
            let (x2, y2) = (x1.add(&w.mul(&cos)?)?, y1.sub(&w.mul(&sin)?)?);
            let (dx, dy) = (h.mul(&sin)?, h.mul(&cos)?);
            let (x3, y3) = (x2.add(&dx)?, y2.add(&dy)?);
            let (x4, y4) = (x1.add(&dx)?, y1.add(&dy)?);
            rows(&[&x1, &y1, &x2, &y2, &x3, &y3, &x4, &y4])
        }
    }
}

/// The numbers of boxes (.., N), one Var (..) each.
pub(super) fn numbers<const N: usize>(boxes: &Var) -> Result<[Var; N]> {
    boxes.unbind(-1)?.try_into().map_err(|all: Vec<Var>| {
        Error::shape("boxes", format!("{} numbers instead of {N}", all.len()))
    })
}

fn rows(numbers: &[&Var]) -> Result<Var> {
    Var::stack(numbers, -1)
}

fn cos_sin(degrees: &Var) -> Result<(Var, Var)> {
    let radians = degrees.mul_scalar(PI)?.div_scalar(180.0)?;
    Ok((radians.cos()?, radians.sin()?))
}

/// From the corner to the centre of rotated boxes.
fn to_centre(w: &Var, h: &Var, r: &Var) -> Result<[Var; 2]> {
    let (cos, sin) = cos_sin(r)?;
    let (w, h) = (w.div_scalar(2.0)?, h.div_scalar(2.0)?);
    Ok([
        w.mul(&cos)?.add(&h.mul(&sin)?)?,
        h.mul(&cos)?.sub(&w.mul(&sin)?)?,
    ])
}

/// The areas (..) of upright boxes (.., 4).
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_tensor::Tensor;
/// use gradus_vision::ops::{BoxFormat, box_area};
/// let boxes = Var::from(Tensor::from_slice(&[10.0f32, 20.0, 30.0, 60.0], [1, 4])?);
/// assert_eq!(box_area(&boxes, BoxFormat::Xyxy)?.value().to_vec::<f32>()?, [800.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the boxes do not have four numbers, or the format is rotated.
pub fn box_area(boxes: &Var, fmt: BoxFormat) -> Result<Var> {
    let op = "box_area";
    check_upright(op, fmt)?;
    check_rows(op, boxes, 4)?;
    let [a, b, c, d] = numbers(&upcast(boxes)?)?;
    match fmt {
        BoxFormat::Xyxy => c.sub(&a)?.mul(&d.sub(&b)?),
        _ => c.mul(&d),
    }
}

pub(super) fn check_upright(op: &'static str, fmt: BoxFormat) -> Result<()> {
    if fmt.is_rotated() {
        let message = format!("{fmt:?}: the boxes must be upright (Xyxy, Xywh or Cxcywh)");
        return Err(Error::value(op, message));
    }
    Ok(())
}

/// Boxes (.., 4) cut off at the edges of an image of `size` (height, width).
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_tensor::Tensor;
/// use gradus_vision::ops::clip_boxes_to_image;
/// let boxes = Var::from(Tensor::from_slice(&[-5.0f32, 2.0, 30.0, 60.0], [1, 4])?);
/// let inside = clip_boxes_to_image(&boxes, [50, 20])?; // height, width
/// assert_eq!(inside.value().to_vec::<f32>()?, [0.0, 2.0, 20.0, 50.0]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the boxes do not have four numbers.
pub fn clip_boxes_to_image(boxes: &Var, size: [usize; 2]) -> Result<Var> {
    check_rows("clip_boxes_to_image", boxes, 4)?;
    let [height, width] = size.map(|n| n as f64);
    let [x1, y1, x2, y2] = numbers(boxes)?;
    let clip = |x: &Var, most: f64| x.clamp(Some(0.0), Some(most));
    rows(&[
        &clip(&x1, width)?,
        &clip(&y1, height)?,
        &clip(&x2, width)?,
        &clip(&y2, height)?,
    ])
}

/// The indices (K), i64, of those boxes (N, 4) whose width and height are both at least `min_size`.
///
/// ```
/// use gradus_tensor::Tensor;
/// use gradus_vision::ops::remove_small_boxes;
/// let boxes = Tensor::from_slice(&[0.0f32, 0.0, 1.0, 9.0, 0.0, 0.0, 5.0, 5.0], [2, 4])?;
/// assert_eq!(remove_small_boxes(&boxes, 2.0)?.to_vec::<i64>()?, [1]);
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
///
/// # Errors
/// If the boxes do not have the shape (N, 4).
pub fn remove_small_boxes(boxes: &Tensor, min_size: f64) -> Result<Tensor> {
    let op = "remove_small_boxes";
    if boxes.rank() != 2 || boxes.dims()[1] != 4 {
        let message = format!("the boxes have shape {}; they take (N, 4)", boxes.shape());
        return Err(Error::shape(op, message));
    }
    let boxes = boxes.to_dtype(DType::F64)?.to_vec::<f64>()?;
    let large = |b: &[f64]| b[2] - b[0] >= min_size && b[3] - b[1] >= min_size;
    let keep = boxes.chunks_exact(4).enumerate().filter(|(_, b)| large(b));
    let keep: Vec<i64> = keep.map(|(i, _)| i as i64).collect();
    let n = keep.len();
    Tensor::from_vec(keep, n)
}
