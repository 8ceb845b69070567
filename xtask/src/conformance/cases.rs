//! The five families of op cases: each case in four layouts and two precisions, with every gradient.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use gradus_autograd::{Var, grad};
use gradus_tensor::{DType, Device, Error, ErrorKind, Tensor};
use serde_json::Value;

use super::Place;
use super::args::{Arg, Args, Ran, Refusal};
use super::compare::{Tolerance, compare};
use super::layouts::Arrangement;
use super::manifest::{Case, Manifest, Vectors, tensor};
use super::registry::{Entry, Output, Outputs, Registry};
use super::report::{FileReport, Verdict};

type Tensors = BTreeMap<String, Tensor>;

/// Runs `NAME.json`, or the cases of the ops that `only` accepts.
pub fn run(
    vectors: &Vectors,
    name: &str,
    registry: &Registry,
    only: &dyn Fn(&str) -> bool,
    place: &Place,
) -> Result<FileReport, String> {
    let manifest: Manifest = vectors.json(name)?;
    let tensors = vectors.tensors(name)?;
    // Sums and products of many terms are allowed the rounding of many terms.
    let many_terms = name != "elementwise" && name != "shape";
    let mut report = FileReport::new(name);
    for case in manifest.cases.iter().filter(|c| only(&c.op)) {
        let verdict = match registry.get(&case.op) {
            None => Verdict::Unsupported("not registered".into()),
            Some(entry) => judge(case, entry, &tensors, many_terms, place),
        };
        if verdict == Verdict::Passed {
            report.checked(&case.op, case.grads.len(), case.error.is_some());
        }
        report.add(&case.op, &case.id, verdict);
    }
    Ok(report)
}

/// Why a result is not the expected one.
enum Wrong {
    /// It differs.
    Differs(String),
    /// The device lacks what the gradient takes.
    Lacking(String),
}

impl From<String> for Wrong {
    fn from(why: String) -> Self {
        Self::Differs(why)
    }
}

impl Wrong {
    fn text(self) -> String {
        match self {
            Self::Differs(why) | Self::Lacking(why) => why,
        }
    }

    fn backward(e: &Error) -> Self {
        let why = format!("backward: {e}");
        match e.kind() {
            ErrorKind::Device => Self::Lacking(why),
            _ => Self::Differs(why),
        }
    }
}

/// What the library says when the device does not have an op or a dtype: not a failure, on a device that does not have all.
fn lacking(refusal: Refusal, device: &Device) -> Refusal {
    match refusal {
        Refusal::Failed(e) if *device != Device::Cpu && e.kind() == ErrorKind::Device => {
            Refusal::Unsupported(e.to_string())
        }
        other => other,
    }
}

fn judge(
    case: &Case,
    entry: &Entry,
    tensors: &Tensors,
    many_terms: bool,
    place: &Place,
) -> Verdict {
    let device = &place.device;
    for arrangement in Arrangement::ALL {
        // An error case says itself which dtypes it has.
        let there = [place.dtype];
        let precisions: &[DType] = if case.error.is_some() {
            &[DType::F32]
        } else if *device != Device::Cpu {
            &there
        } else {
            &[DType::F64, DType::F32]
        };
        for &precision in precisions {
            let call = Call {
                case,
                tensors,
                arrangement,
                precision,
                device,
            };
            let outcome = quietly(|| {
                let args = call.args()?;
                let run = (entry.run)(&args);
                match (run, args.ignored()) {
                    (Ok(_), Some(ignored)) if case.error.is_none() => {
                        Err(Refusal::Unsupported(ignored))
                    }
                    (Ok(_), Some(_)) => Err(Refusal::NotApplicable(
                        "an option we do not have is what is wrong".into(),
                    )),
                    (run, _) => run.and_then(|outputs| {
                        if case.error.is_some() {
                            outputs.read()?; // a GPU says at the latest here what was wrong
                            Ok(Err("accepted".to_string().into()))
                        } else {
                            Ok(call.judged(&args, outputs, entry, many_terms))
                        }
                    }),
                }
            });
            let outcome = outcome.map(|run| run.map_err(|refusal| lacking(refusal, device)));
            let at = format!("{arrangement:?} {precision}");
            match (outcome, &case.error) {
                (Err(panic), _) => return Verdict::Failed(format!("{at}: panicked: {panic}")),
                (Ok(Err(Refusal::Unsupported(why))), _)
                | (Ok(Ok(Err(Wrong::Lacking(why)))), None) => return Verdict::Unsupported(why),
                (Ok(Err(Refusal::NotApplicable(why))), _) => {
                    return Verdict::NotApplicable(why);
                }
                (Ok(Err(Refusal::Failed(_))), Some(_)) | (Ok(Ok(Ok(()))), None) => {}
                (Ok(Err(Refusal::Failed(e))), None)
                    if precision.size() == 2 && call.is_refused_here(entry) =>
                {
                    return Verdict::NotApplicable(format!("not in {precision}: {}", e.message()));
                }
                (Ok(Err(Refusal::Failed(e))), None) => {
                    return Verdict::Failed(format!("{at}: {e}"));
                }
                (Ok(Ok(_)), Some(error)) => {
                    return Verdict::Failed(format!(
                        "{at}: accepted, but PyTorch refuses: {error}"
                    ));
                }
                (Ok(Ok(Err(Wrong::Differs(why)))), None) => {
                    return Verdict::Failed(format!("{at}: {why}"));
                }
            }
        }
    }
    Verdict::Passed
}

/// Two places of a 16-bit type, of the number or of the largest of all results of the case: what is small among them often is the difference
/// of what is not. Both sides compute in f32, and round what a composed operation passes on.
fn rounded(largest: f64, dtype: DType, entry: &Entry) -> Tolerance {
    let place = if dtype == DType::BF16 {
        1.0 / 128.0
    } else {
        1.0 / 1024.0
    };
    Tolerance {
        rtol: 2.0 * place * entry.slack,
        atol: 2.0 * place * entry.slack * largest.max(1e-3),
    }
}

/// The largest magnitude of all finite numbers.
fn largest<'a>(all: impl Iterator<Item = &'a Tensor>) -> Result<f64, String> {
    let mut most = 0.0f64;
    for x in all.filter(|x| x.dtype().is_float()) {
        let numbers = super::compare::numbers(x)?;
        most = numbers
            .iter()
            .filter(|x| x.is_finite())
            .fold(most, |m, x| m.max(x.abs()));
    }
    Ok(most)
}

/// Runs `f`; a panic becomes its message.
pub fn quietly<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        let text = payload.downcast_ref::<String>().cloned();
        text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "(no message)".into())
    })
}

/// One of the ways in which a case is run.
struct Call<'a> {
    case: &'a Case,
    tensors: &'a Tensors,
    arrangement: Arrangement,
    precision: DType,
    device: &'a Device,
}

impl Call<'_> {
    fn slot(&self, slot: &str) -> Result<&Tensor, String> {
        tensor(self.tensors, &format!("{}.{slot}", self.case.id))
    }

    fn args(&self) -> Ran<Args> {
        let positional = self
            .case
            .args
            .iter()
            .map(|a| self.arg(a))
            .collect::<Ran<_>>()?;
        let keywords = self
            .case
            .kwargs
            .iter()
            .map(|(k, v)| Ok((k.clone(), self.arg(v)?)));
        Ok(Args::new(positional, keywords.collect::<Ran<_>>()?))
    }

    fn arg(&self, arg: &Value) -> Ran<Arg> {
        if let Some(list) = arg.get("list").and_then(Value::as_array) {
            return Ok(Arg::List(
                list.iter().map(|a| self.arg(a)).collect::<Ran<_>>()?,
            ));
        }
        let Some(slot) = arg.get("t").and_then(Value::as_str) else {
            return Ok(Arg::Json(arg.get("v").unwrap_or(arg).clone()));
        };
        let stored = self.slot(slot).map_err(Refusal::Unsupported)?;
        let dtype = match arg.get("dtype").and_then(Value::as_str) {
            Some(dtype) => dtype.parse::<DType>()?,
            None if stored.dtype().is_float() => self.precision,
            None => stored.dtype(),
        };
        let value = self.arrangement.of(&stored.to_dtype(dtype)?, self.device)?;
        if arg.get("grad") == Some(&Value::Bool(true)) {
            return Ok(Arg::Var(Var::leaf(value)?));
        }
        Ok(Arg::Tensor(value))
    }

    /// Compares with the vectors, or, in 16 bits, with what the CPU makes of the same rounded operands: their rounding is not the device's
    /// fault, and some functions enlarge it without bound.
    fn judged(
        &self,
        args: &Args,
        outputs: Outputs,
        entry: &Entry,
        many_terms: bool,
    ) -> Result<(), Wrong> {
        if self.precision.size() != 2 {
            return self.check(args, outputs, entry, many_terms);
        }
        let here = Call {
            device: &Device::Cpu,
            ..*self
        };
        let want = here.args().and_then(|args| {
            let outputs = (entry.run)(&args)?;
            here.results(&args, &outputs.0)
                .map_err(|e| Refusal::Unsupported(e.text()))
        });
        let Ok(want) = want else {
            return Err(Wrong::Lacking(format!(
                "the CPU does not have it in {}",
                self.precision
            )));
        };
        let got = self.results(args, &outputs.0)?;
        let largest = largest(want.iter().filter_map(|(_, x)| x.as_ref()))?;
        for (i, ((what, got), (_, want))) in got.iter().zip(&want).enumerate() {
            let (got, want) = match (got, want) {
                (Some(got), Some(want)) => (got, want),
                (None, None) => continue,
                _ => return Err(format!("{what}: only one of the two has it").into()),
            };
            compare(got, want, rounded(largest, self.precision, entry))
                .map_err(|e| format!("{what} ({i}): {e}"))?;
        }
        if got.len() != want.len() {
            return Err(format!("{} results, expected {}", got.len(), want.len()).into());
        }
        Ok(())
    }

    /// Does the CPU refuse the case in this dtype?
    fn is_refused_here(&self, entry: &Entry) -> bool {
        let here = Call {
            device: &Device::Cpu,
            ..*self
        };
        here.args().and_then(|args| (entry.run)(&args)).is_err()
    }

    /// All outputs and gradients, by name.
    fn results(
        &self,
        args: &Args,
        outputs: &[Output],
    ) -> Result<Vec<(String, Option<Tensor>)>, Wrong> {
        let values = outputs.iter().enumerate().map(|(i, output)| {
            let value = match output {
                Output::Var(v) => v.value(),
                Output::Tensor(t) => t,
            };
            (format!("output {i}"), Some(value.clone()))
        });
        let mut all: Vec<_> = values.collect();
        for (slot, _, dx) in self.gradients(args, outputs)? {
            all.push((format!("gradient of {slot}"), dx));
        }
        Ok(all)
    }

    /// Compares every output, then every gradient.
    fn check(
        &self,
        args: &Args,
        outputs: Outputs,
        entry: &Entry,
        many_terms: bool,
    ) -> Result<(), Wrong> {
        let outputs = outputs.0;
        if outputs.len() != self.case.outs.len() {
            return Err(format!(
                "{} outputs, expected {}",
                outputs.len(),
                self.case.outs.len()
            )
            .into());
        }
        for (i, (output, slot)) in outputs.iter().zip(&self.case.outs).enumerate() {
            let got = match output {
                Output::Var(v) => v.value(),
                Output::Tensor(t) => t,
            };
            let expected = self.slot(slot)?;
            compare(got, expected, self.tolerance(expected, entry, many_terms)?)
                .map_err(|e| format!("output {i}: {e}"))?;
        }
        self.check_gradients(args, &outputs, entry, many_terms)
    }

    fn check_gradients(
        &self,
        args: &Args,
        outputs: &[Output],
        entry: &Entry,
        many_terms: bool,
    ) -> Result<(), Wrong> {
        for (slot, x, dx) in self.gradients(args, outputs)? {
            let Some(expected) = self.case.grads.get(&slot) else {
                continue;
            };
            let zero = Tensor::zeros(x.shape(), x.dtype()).map_err(|e| e.to_string())?;
            let dx = dx.unwrap_or(zero.clone());
            // "No gradient flows" and "the gradient is zero" are the same to us.
            let (expected, tolerance) = match expected {
                Some(slot) => {
                    let expected = self.slot(slot)?;
                    (expected, self.tolerance(expected, entry, many_terms)?)
                }
                None => (&zero, Tolerance::EXACT),
            };
            compare(&dx, expected, tolerance).map_err(|e| format!("gradient of {slot}: {e}"))?;
        }
        Ok(())
    }

    /// Every leaf with its slot and its gradient by the case's cotangents.
    fn gradients(
        &self,
        args: &Args,
        outputs: &[Output],
    ) -> Result<Vec<(String, Var, Option<Tensor>)>, Wrong> {
        let mut roots = Vec::new();
        for (number, slot) in &self.case.cot {
            let Some(Output::Var(y)) = number.parse().ok().and_then(|i: usize| outputs.get(i))
            else {
                return Err(format!("output {number} is not differentiable").into());
            };
            let cotangent = self
                .slot(slot)?
                .to_dtype(y.dtype())
                .map_err(|e| e.to_string())?;
            if y.is_tracked() {
                roots.push((
                    y,
                    Var::from(
                        self.arrangement
                            .of(&cotangent, self.device)
                            .map_err(|e| e.to_string())?,
                    ),
                ));
            }
        }
        let leaves = self.leaves(args);
        let inputs: Vec<&Var> = leaves.iter().map(|(_, v)| v).collect();
        let (ys, dys): (Vec<&Var>, Vec<&Var>) = roots.iter().map(|(y, dy)| (*y, dy)).unzip();
        let grads = if ys.is_empty() || inputs.is_empty() {
            vec![None; inputs.len()]
        } else {
            grad(&ys, &inputs, Some(&dys), false).map_err(|e| Wrong::backward(&e))?
        };
        let all = leaves.into_iter().zip(grads);
        let value = |dx: Option<Var>| dx.map(|dx| dx.value().clone());
        Ok(all.map(|((slot, x), dx)| (slot, x, value(dx))).collect())
    }

    /// Every leaf with its slot, in the manifest's order.
    fn leaves(&self, args: &Args) -> Vec<(String, Var)> {
        fn walk(json: &Value, arg: &Arg, out: &mut Vec<(String, Var)>) {
            match arg {
                Arg::Var(v) => out.push((
                    json["t"].as_str().unwrap_or_default().to_string(),
                    v.clone(),
                )),
                Arg::List(list) => {
                    for (i, arg) in list.iter().enumerate() {
                        walk(&json["list"][i], arg, out);
                    }
                }
                _ => {}
            }
        }
        let mut out = Vec::new();
        for (json, arg) in self.case.args.iter().zip(&args.positional) {
            walk(json, arg, &mut out);
        }
        for (name, arg) in &args.keywords {
            walk(&self.case.kwargs[name], arg, &mut out);
        }
        out
    }

    /// f64: fixed. f32: where many terms are added up (in reductions and products, and in the gradient of what was
    /// broadcast), as many roundings as the largest tensor has elements per result, and relative to the largest result (small
    /// ones come from cancelling large terms).
    fn tolerance(
        &self,
        expected: &Tensor,
        entry: &Entry,
        many_terms: bool,
    ) -> Result<Tolerance, String> {
        if self.precision == DType::F64 {
            return Ok(Tolerance::F64);
        }
        let mut largest = 1usize;
        for (key, x) in self.tensors.range(format!("{}.", self.case.id)..) {
            let Some(slot) = key
                .strip_prefix(&self.case.id)
                .and_then(|k| k.strip_prefix('.'))
            else {
                break;
            };
            if slot.starts_with(['a', 'k', 'o']) {
                largest = largest.max(x.numel());
            }
        }
        let terms = largest.div_ceil(expected.numel().max(1)).max(1);
        if !many_terms && terms == 1 {
            return Ok(Tolerance::F32.scaled(entry.slack));
        }
        let magnitude = super::compare::numbers(expected)?
            .iter()
            .filter(|x| x.is_finite())
            .fold(1.0f64, |m, x| m.max(x.abs()));
        let factor = (terms as f64).sqrt() * entry.slack;
        Ok(Tolerance {
            rtol: Tolerance::F32.rtol * factor,
            atol: Tolerance::F32.atol * factor * magnitude,
        })
    }
}
