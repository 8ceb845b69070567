//! `torchvision.ops`: boxes, overlaps, suppression, pooling over regions, deformable convolution, losses. Each case in four
//! layouts and two precisions, with its gradients.

use std::collections::BTreeMap;

use gradus_autograd::functional::Reduction;
use gradus_autograd::{Var, grad};
use gradus_tensor::{DType, Device, Result as TensorResult, Tensor};
use gradus_vision::ops;
use serde::Deserialize;
use serde_json::Value;

use super::cases::quietly;
use super::compare::{Tolerance, compare, numbers};
use super::layouts::Arrangement;
use super::manifest::{Vectors, tensor};
use super::registry::Output;
use super::report::{FileReport, Verdict};

#[derive(Debug, Deserialize)]
struct Case {
    op: String,
    /// Slots of the arguments; `cot` is the gradient of the output.
    #[serde(rename = "in")]
    input: Vec<String>,
    /// Slots of the outputs; `g_x` is the gradient of `x`.
    out: Vec<String>,
    kw: BTreeMap<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    cases: Vec<Case>,
}

/// Runs `vision_ops.json`.
pub fn run(vectors: &Vectors) -> Result<FileReport, String> {
    let manifest: Manifest = vectors.json("vision_ops")?;
    let tensors = vectors.tensors("vision_ops")?;
    let mut report = FileReport::new("vision_ops");
    for (number, case) in manifest.cases.iter().enumerate() {
        let id = format!("{}#{number}", case.op);
        let verdict = judge(case, &|slot| tensor(&tensors, &format!("{number}.{slot}")))?;
        report.add(&case.op, &id, verdict);
    }
    Ok(report)
}

fn judge<'a>(
    case: &Case,
    slot: &dyn Fn(&str) -> Result<&'a Tensor, String>,
) -> Result<Verdict, String> {
    for arrangement in Arrangement::ALL {
        for precision in [DType::F64, DType::F32] {
            let mut inputs = BTreeMap::new();
            for name in &case.input {
                let stored = slot(name)?;
                let dtype = if stored.dtype().is_float() {
                    precision
                } else {
                    stored.dtype()
                };
                let value = stored
                    .to_dtype(dtype)
                    .and_then(|x| arrangement.of(&x, &Device::Cpu));
                let value = value.map_err(|e| e.to_string())?;
                let tracked = case.out.contains(&format!("g_{name}"));
                let var = if tracked {
                    Var::leaf(value).map_err(|e| e.to_string())?
                } else {
                    Var::from(value)
                };
                inputs.insert(name.as_str(), var);
            }
            let at = format!("{arrangement:?} {precision}");
            let call = Call {
                case,
                inputs,
                precision,
            };
            match quietly(|| call.run(slot)) {
                Err(panic) => return Ok(Verdict::Failed(format!("{at}: panicked: {panic}"))),
                Ok(Err(Wrong::Unknown)) => {
                    return Ok(Verdict::Unsupported(format!("no op {}", case.op)));
                }
                Ok(Err(Wrong::Failed(why))) => return Ok(Verdict::Failed(format!("{at}: {why}"))),
                Ok(Ok(())) => {}
            }
        }
    }
    Ok(Verdict::Passed)
}

enum Wrong {
    Unknown,
    Failed(String),
}

impl<E: ToString> From<E> for Wrong {
    fn from(e: E) -> Self {
        Wrong::Failed(e.to_string())
    }
}

/// A case with its inputs, in one of the ways in which it is run.
struct Call<'a> {
    case: &'a Case,
    inputs: BTreeMap<&'a str, Var>,
    precision: DType,
}

impl Call<'_> {
    fn var(&self, name: &str) -> Result<&Var, Wrong> {
        Ok(self
            .inputs
            .get(name)
            .ok_or_else(|| format!("the case has no input {name:?}"))?)
    }

    fn tensor(&self, name: &str) -> Result<&Tensor, Wrong> {
        Ok(self.var(name)?.value())
    }

    fn kw(&self, name: &str) -> Option<&Value> {
        self.case.kw.get(name)
    }

    fn number(&self, name: &str, default: f64) -> f64 {
        self.kw(name).and_then(Value::as_f64).unwrap_or(default)
    }

    fn whole(&self, name: &str, default: i64) -> i64 {
        self.kw(name).and_then(Value::as_i64).unwrap_or(default)
    }

    fn flag(&self, name: &str) -> bool {
        self.kw(name).and_then(Value::as_bool).unwrap_or(false)
    }

    /// Two sizes, or one for both.
    fn sizes(&self, name: &str, default: usize) -> [usize; 2] {
        let size = |v: &Value| v.as_u64().map(|n| n as usize);
        match self.kw(name) {
            Some(Value::Array(two)) if two.len() == 2 => {
                [0, 1].map(|i| size(&two[i]).unwrap_or(default))
            }
            Some(one) => [size(one).unwrap_or(default); 2],
            None => [default; 2],
        }
    }

    fn format(&self, name: &str) -> Result<ops::BoxFormat, Wrong> {
        match self.kw(name).and_then(Value::as_str) {
            Some(name) => Ok(name.parse()?),
            None => Ok(ops::BoxFormat::default()),
        }
    }

    /// Of a loss; the vectors give numbers without saying how, which is the mean for the focal loss and the sum for the others.
    fn reduction(&self, default: Reduction) -> Result<Reduction, Wrong> {
        match self.kw("reduction").and_then(Value::as_str) {
            Some(name) => Ok(name.parse()?),
            None => Ok(default),
        }
    }

    fn output(&self) -> Result<Output, Wrong> {
        let var = |y: TensorResult<Var>| -> Result<Output, Wrong> { Ok(Output::Var(y?)) };
        let tensor = |y: TensorResult<Tensor>| -> Result<Output, Wrong> { Ok(Output::Tensor(y?)) };
        let (scale, size) = (self.number("scale", 1.0), self.sizes("size", 1));
        let eps = self.number("eps", 1e-7);
        match self.case.op.as_str() {
            "box_area" => var(ops::box_area(self.var("b")?, self.format("fmt")?)),
            "box_convert" => {
                let (from, to) = (self.format("src")?, self.format("dst")?);
                var(ops::box_convert(self.var("b")?, from, to))
            }
            "clip_boxes" => var(ops::clip_boxes_to_image(self.var("b")?, size)),
            "remove_small" => tensor(ops::remove_small_boxes(
                self.tensor("b")?,
                self.number("min", 0.0),
            )),
            "box_iou" => var(ops::box_iou(
                self.var("a")?,
                self.var("b")?,
                self.format("fmt")?,
            )),
            "generalized_box_iou" => var(ops::generalized_box_iou(self.var("a")?, self.var("b")?)),
            "distance_box_iou" => var(ops::distance_box_iou(self.var("a")?, self.var("b")?, eps)),
            "complete_box_iou" => var(ops::complete_box_iou(self.var("a")?, self.var("b")?, eps)),
            "nms" => {
                let (boxes, scores) = (self.tensor("boxes")?, self.tensor("scores")?);
                tensor(ops::nms(boxes, scores, self.number("iou", 0.5)))
            }
            "batched_nms" => {
                let (boxes, scores) = (self.tensor("boxes")?, self.tensor("scores")?);
                tensor(ops::batched_nms(
                    boxes,
                    scores,
                    self.tensor("idx")?,
                    self.number("iou", 0.5),
                ))
            }
            "roi_align" => {
                let (samples, aligned) = (self.whole("sampling", -1), self.flag("aligned"));
                var(ops::roi_align(
                    self.var("x")?,
                    self.tensor("rois")?,
                    size,
                    scale,
                    samples,
                    aligned,
                ))
            }
            "ps_roi_align" => {
                let samples = self.whole("sampling", -1);
                var(ops::ps_roi_align(
                    self.var("x")?,
                    self.tensor("rois")?,
                    size,
                    scale,
                    samples,
                ))
            }
            "roi_pool" => var(ops::roi_pool(
                self.var("x")?,
                self.tensor("rois")?,
                size,
                scale,
            )),
            "ps_roi_pool" => var(ops::ps_roi_pool(
                self.var("x")?,
                self.tensor("rois")?,
                size,
                scale,
            )),
            "deform_conv2d" => {
                let options = ops::DeformConv2d {
                    bias: self.inputs.get("b").or(self.inputs.get("bias")),
                    stride: self.sizes("stride", 1),
                    padding: self.sizes("padding", 0),
                    dilation: self.sizes("dilation", 1),
                    mask: self.inputs.get("mask"),
                };
                var(ops::deform_conv2d(
                    self.var("x")?,
                    self.var("off")?,
                    self.var("w")?,
                    &options,
                ))
            }
            "sigmoid_focal_loss" => {
                let (alpha, gamma) = (self.number("alpha", 0.25), self.number("gamma", 2.0));
                let (x, t) = (self.var("x")?, self.var("t")?);
                var(ops::sigmoid_focal_loss(
                    x,
                    t,
                    alpha,
                    gamma,
                    self.reduction(Reduction::Mean)?,
                ))
            }
            "generalized_box_iou_loss" => {
                let (p, t) = (self.var("p")?, self.var("t")?);
                var(ops::generalized_box_iou_loss(
                    p,
                    t,
                    self.reduction(Reduction::Sum)?,
                    eps,
                ))
            }
            "distance_box_iou_loss" => {
                let (p, t) = (self.var("p")?, self.var("t")?);
                var(ops::distance_box_iou_loss(
                    p,
                    t,
                    self.reduction(Reduction::Sum)?,
                    eps,
                ))
            }
            "complete_box_iou_loss" => {
                let (p, t) = (self.var("p")?, self.var("t")?);
                var(ops::complete_box_iou_loss(
                    p,
                    t,
                    self.reduction(Reduction::Sum)?,
                    eps,
                ))
            }
            _ => Err(Wrong::Unknown),
        }
    }

    /// Computes, and compares the output and every gradient.
    fn run<'a>(&self, slot: &dyn Fn(&str) -> Result<&'a Tensor, String>) -> Result<(), Wrong> {
        let output = self.output()?;
        let value = match &output {
            Output::Var(y) => y.value(),
            Output::Tensor(y) => y,
        };
        for name in self.case.out.iter().filter(|name| !name.starts_with("g_")) {
            let expected = slot(name)?;
            compare(value, expected, self.tolerance(expected)?)
                .map_err(|e| format!("output {name}: {e}"))?;
        }
        let Output::Var(y) = &output else {
            return Ok(());
        };
        let cotangent = match self.inputs.get("cot") {
            Some(cotangent) => cotangent.clone(),
            None => Var::from(y.value().ones_like()?),
        };
        for name in self
            .case
            .out
            .iter()
            .filter_map(|name| name.strip_prefix("g_"))
        {
            let expected = slot(&format!("g_{name}"))?;
            let dx = grad(&[y], &[self.var(name)?], Some(&[&cotangent]), false)?;
            let dx = dx.into_iter().flatten().next().ok_or("no gradient")?;
            compare(dx.value(), expected, self.tolerance(expected)?)
                .map_err(|e| format!("gradient of {name}: {e}"))?;
        }
        Ok(())
    }

    /// f32 is relative to the largest number: small ones come from cancelling large terms.
    fn tolerance(&self, expected: &Tensor) -> Result<Tolerance, Wrong> {
        if self.precision == DType::F64 {
            return Ok(Tolerance::F64);
        }
        let magnitude = numbers(expected)?
            .iter()
            .filter(|x| x.is_finite())
            .fold(1.0f64, |m, x| m.max(x.abs()));
        let Tolerance { rtol, atol } = Tolerance::F32;
        Ok(Tolerance {
            rtol,
            atol: atol * magnitude,
        })
    }
}
