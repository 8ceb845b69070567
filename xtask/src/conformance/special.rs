//! Special values: NaN, infinities, signed zeros, subnormals and overflow through every function; empty reductions.

use std::collections::BTreeMap;

use gradus_autograd::{Var, grad};
use gradus_tensor::{DType, Tensor};
use serde::Deserialize;
use serde_json::{Value, json};

use super::args::{Arg, Args, Refusal};
use super::cases::quietly;
use super::compare::{Tolerance, compare, numbers};
use super::manifest::{Vectors, tensor};
use super::registry::{Output, Registry};
use super::report::{FileReport, Verdict};

#[derive(Debug, Deserialize)]
struct Case {
    op: String,
    /// One key or two: stored arguments.
    #[serde(rename = "in")]
    input: Option<Value>,
    /// Or an empty argument of this shape.
    shape: Option<Vec<usize>>,
    /// A dimension; null means all. Absent where there is none to give.
    #[serde(default)]
    dim: Option<i64>,
    out: Option<String>,
    out32: Option<String>,
    grad: Option<String>,
    error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    cases: Vec<Case>,
}

/// Ops whose zeros must have the right sign.
const SIGNED_ZERO: [&str; 6] = ["abs", "neg", "round", "copysign", "minimum", "maximum"];

/// Runs `special.json`.
pub fn run(vectors: &Vectors, registry: &Registry) -> Result<FileReport, String> {
    let manifest: Manifest = vectors.json("special")?;
    let tensors = vectors.tensors("special")?;
    let mut report = FileReport::new("special");
    for case in &manifest.cases {
        let id = match (&case.shape, case.dim) {
            (Some(shape), Some(dim)) => format!("{}#{shape:?} dim {dim}", case.op),
            (Some(shape), None) => format!("{}#{shape:?}", case.op),
            (None, Some(_)) => format!("{}#rows", case.op),
            (None, None) => format!("{}#values", case.op),
        };
        report.add(&case.op, &id, judge(case, registry, &tensors)?);
    }
    Ok(report)
}

fn judge(
    case: &Case,
    registry: &Registry,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<Verdict, String> {
    let name = torch_name(&case.op);
    let Some(entry) = registry.get(&name) else {
        return Ok(Verdict::Unsupported("not registered".into()));
    };
    let runs: &[(DType, Option<&String>)] = match &case.out32 {
        Some(out32) => &[(DType::F64, case.out.as_ref()), (DType::F32, Some(out32))],
        None => &[(DType::F64, case.out.as_ref())],
    };
    for &(precision, out) in runs {
        let args = arguments(
            case,
            tensors,
            precision,
            out.and_then(|out| tensors.get(out)),
        )?;
        let outcome = quietly(|| {
            let outputs = (entry.run)(&args)?;
            if let Some(ignored) = args.ignored() {
                return Err(Refusal::Unsupported(ignored));
            }
            Ok(check(case, &args, &outputs.0, tensors, precision, out))
        });
        match (outcome, &case.error) {
            (Err(panic), _) => {
                return Ok(Verdict::Failed(format!("{precision}: panicked: {panic}")));
            }
            (Ok(Err(Refusal::Unsupported(why))), _) => return Ok(Verdict::Unsupported(why)),
            (Ok(Err(Refusal::NotApplicable(why))), _) => return Ok(Verdict::NotApplicable(why)),
            (Ok(Err(Refusal::Failed(_))), Some(_)) | (Ok(Ok(Ok(()))), None) => {}
            (Ok(Err(Refusal::Failed(e))), None) => {
                return Ok(Verdict::Failed(format!("{precision}: {e}")));
            }
            (Ok(Ok(_)), Some(error)) => {
                return Ok(Verdict::Failed(format!(
                    "accepted, but PyTorch refuses: {error}"
                )));
            }
            (Ok(Ok(Err(why))), None) => return Ok(Verdict::Failed(format!("{precision}: {why}"))),
        }
    }
    Ok(Verdict::Passed)
}

/// The name under which the families register it.
fn torch_name(op: &str) -> String {
    match op {
        "relu" | "relu6" | "leaky_relu" | "elu" | "selu" | "celu" | "gelu" | "silu" | "mish"
        | "softplus" | "softsign" | "hardtanh" | "hardswish" | "hardsigmoid" | "logsigmoid"
        | "layer_norm" => format!("nn.functional.{op}"),
        "gelu_tanh" => "nn.functional.gelu".into(),
        "div" => "div.no_rounding_mode".into(),
        _ => op.into(),
    }
}

fn arguments(
    case: &Case,
    tensors: &BTreeMap<String, Tensor>,
    precision: DType,
    out: Option<&Tensor>,
) -> Result<Args, String> {
    let fail = |e: gradus_tensor::Error| e.to_string();
    let stored: Vec<Tensor> = match (&case.input, &case.shape) {
        (Some(Value::String(key)), _) => vec![tensor(tensors, key)?.clone()],
        (Some(Value::Array(keys)), _) => keys
            .iter()
            .map(|k| tensor(tensors, k.as_str().unwrap_or_default()).cloned())
            .collect::<Result<_, _>>()?,
        (_, Some(shape)) => vec![Tensor::zeros(shape, DType::F32).map_err(fail)?],
        _ => return Err(format!("{}: neither \"in\" nor \"shape\"", case.op)),
    };
    let mut positional = Vec::new();
    for x in stored {
        let x = x.to_dtype(precision).map_err(fail)?;
        positional.push(if case.grad.is_some() {
            Arg::Var(Var::leaf(x).map_err(fail)?)
        } else {
            Arg::Tensor(x)
        });
    }
    let mut keywords = Vec::new();
    let mut keyword =
        |name: &str, value: Value| keywords.push((name.to_string(), Arg::Json(value)));
    let over_rows = case.shape.is_some() || case.dim.is_some();
    match case.op.as_str() {
        "gelu_tanh" => keyword("approximate", json!("tanh")),
        "layer_norm" => positional.push(Arg::Json(json!([4]))),
        "norm" => {
            positional.push(Arg::Json(json!(2)));
            keyword("dim", json!(case.dim));
        }
        // These need a dimension; without one PyTorch was asked for all of them, or for the last.
        "logsumexp" => {
            let last_only = case.dim.is_none() && out.is_some_and(|o| o.rank() > 0);
            keyword(
                "dim",
                case.dim.map_or(
                    if last_only {
                        json!([-1])
                    } else {
                        json!([0, 1])
                    },
                    |d| json!([d]),
                ),
            );
        }
        "softmax" | "log_softmax" | "cumsum" | "cummax" | "sort" => {
            keyword("dim", json!(case.dim.unwrap_or(-1)));
        }
        _ if over_rows => {
            if let Some(dim) = case.dim {
                keyword("dim", json!(dim));
            }
        }
        _ => {}
    }
    Ok(Args::new(positional, keywords))
}

fn check(
    case: &Case,
    args: &Args,
    outputs: &[Output],
    tensors: &BTreeMap<String, Tensor>,
    precision: DType,
    out: Option<&String>,
) -> Result<(), String> {
    let (Some(out), Some(first)) = (out, outputs.first()) else {
        return Ok(());
    };
    let expected = tensor(tensors, out)?;
    let got = match first {
        Output::Var(v) => v.value(),
        Output::Tensor(t) => t,
    };
    let tolerance = if precision == DType::F64 {
        Tolerance::F64
    } else {
        Tolerance::F32
    };
    let exact = case.out.as_ref().and_then(|key| tensors.get(key));
    compare(got, &best(got, expected, exact, tolerance)?, tolerance)?;
    if SIGNED_ZERO.contains(&case.op.as_str()) {
        let (g, e) = (numbers(got)?, numbers(expected)?);
        if let Some(i) = (0..g.len())
            .find(|&i| e[i] == 0.0 && g[i].is_sign_negative() != e[i].is_sign_negative())
        {
            return Err(format!("at {i}: {:?}, expected {:?}", g[i], e[i]));
        }
    }
    let (Some(key), DType::F64) = (&case.grad, precision) else {
        return Ok(());
    };
    let (Output::Var(y), Some(Arg::Var(x))) = (first, args.positional.first()) else {
        return Err("not differentiable".into());
    };
    let dy = Var::from(y.value().ones_like().map_err(|e| e.to_string())?);
    let dx = if y.is_tracked() {
        grad(&[y], &[x], Some(&[&dy]), false)
            .map_err(|e| format!("backward: {e}"))?
            .remove(0)
    } else {
        None
    };
    let zero = x.value().zeros_like().map_err(|e| e.to_string())?;
    let dx = dx.map_or(zero, |dx| dx.value().clone());
    compare(&dx, tensor(tensors, key)?, Tolerance::F64).map_err(|e| format!("gradient: {e}"))
}

/// What to expect of `got`. In f32 the stored values are PyTorch's own f32, which is wrong in places (`fmod(1, 1e-45)` is
/// NaN there): where ours is instead the exact result rounded to f32, that is what is expected.
fn best(
    got: &Tensor,
    expected: &Tensor,
    exact: Option<&Tensor>,
    tolerance: Tolerance,
) -> Result<Tensor, String> {
    let Some(exact) = exact
        .filter(|e| e.dims() == got.dims() && got.dtype() == DType::F32 && e.dtype() == DType::F64)
    else {
        return Ok(expected.clone());
    };
    let (g, mut e) = (numbers(got)?, numbers(expected)?);
    for ((e, g), exact) in e.iter_mut().zip(g).zip(numbers(exact)?) {
        let exact = f64::from(exact as f32);
        if !tolerance.accepts(g, *e) && tolerance.accepts(g, exact) {
            *e = exact;
        }
    }
    Tensor::from_vec(e, got.shape()).map_err(|e| e.to_string())
}
