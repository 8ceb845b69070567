//! The last digits: functions against exact values, in units in the last place.
//!
//! The exact value is a double-double `y + y_lo`; the error is `|got - exact| / ulp(exact in the dtype)`.

use gradus_tensor::{DType, Tensor};
use serde::Deserialize;
use serde_json::json;

use super::args::{Arg, Args, Refusal};
use super::cases::quietly;
use super::compare::numbers;
use super::manifest::{Vectors, tensor};
use super::registry::{Output, Registry};
use super::report::{FileReport, Verdict};

#[derive(Debug, Deserialize)]
struct Manifest {
    functions: Vec<String>,
}

/// What the project promises, in ULP.
fn bound(function: &str) -> f64 {
    match function {
        "sqrt" => 0.5,
        "exp" | "log" | "log1p" | "log2" | "tanh" | "erf" | "sin" | "cos" => 1.0,
        // Nothing can hold near the roots of lgamma at 1 and 2 without twice the precision throughout.
        "lgamma" => 16.0,
        _ => 2.0,
    }
}

/// Runs `ulp.json`: one case per function and dtype.
pub fn run(vectors: &Vectors, registry: &Registry) -> Result<FileReport, String> {
    let manifest: Manifest = vectors.json("ulp")?;
    let tensors = vectors.tensors("ulp")?;
    let mut report = FileReport::new("ulp");
    for function in &manifest.functions {
        let name = match function.as_str() {
            "gelu" | "softplus" | "silu" => format!("nn.functional.{function}"),
            _ => function.clone(),
        };
        for dtype in [DType::F32, DType::F64] {
            let key = |what: &str| tensor(&tensors, &format!("{function}.{dtype}.{what}"));
            let (x, y, y_lo) = (key("x")?, numbers(key("y")?)?, numbers(key("y_lo")?)?);
            let verdict = match registry.get(&name) {
                None => Verdict::Unsupported("not registered".into()),
                Some(entry) => {
                    // ln(1 + e^x) everywhere, not PyTorch's straight line above its threshold.
                    let endless = ("threshold".to_string(), Arg::Json(json!({"f": "inf"})));
                    let keywords = if function == "softplus" {
                        vec![endless]
                    } else {
                        Vec::new()
                    };
                    let args = Args::new(vec![Arg::Tensor(x.clone())], keywords);
                    match quietly(|| (entry.run)(&args)) {
                        Err(panic) => Verdict::Failed(format!("panicked: {panic}")),
                        Ok(Err(Refusal::Failed(e))) => Verdict::Failed(e.to_string()),
                        Ok(Err(Refusal::Unsupported(why) | Refusal::NotApplicable(why))) => {
                            Verdict::Unsupported(why)
                        }
                        Ok(Ok(outputs)) => match outputs.0.first() {
                            Some(Output::Var(v)) => {
                                judge(function, dtype, x, v.value(), &y, &y_lo)?
                            }
                            Some(Output::Tensor(t)) => judge(function, dtype, x, t, &y, &y_lo)?,
                            None => Verdict::Failed("no output".into()),
                        },
                    }
                }
            };
            report.add(function, &format!("{function}.{dtype}"), verdict);
        }
    }
    Ok(report)
}

fn judge(
    function: &str,
    dtype: DType,
    x: &Tensor,
    got: &Tensor,
    y: &[f64],
    y_lo: &[f64],
) -> Result<Verdict, String> {
    if got.dtype() != dtype {
        return Ok(Verdict::Failed(format!("the result is {}", got.dtype())));
    }
    let (x, got) = (numbers(x)?, numbers(got)?);
    let (mut worst, mut at) = (0.0f64, 0);
    for i in 0..y.len() {
        let error = error_in_ulp(got[i], y[i], y_lo[i], dtype);
        if error > worst {
            (worst, at) = (error, i);
        }
    }
    if worst <= bound(function) {
        return Ok(Verdict::Passed);
    }
    Ok(Verdict::Failed(format!(
        "{worst:.3} ULP at {:e}: {:e}, exactly {:e} (bound {})",
        x[at],
        got[at],
        y[at],
        bound(function)
    )))
}

fn error_in_ulp(got: f64, y: f64, y_lo: f64, dtype: DType) -> f64 {
    if y.is_nan() || got.is_nan() {
        return if y.is_nan() && got.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    let (digits, lowest, largest) = match dtype {
        DType::F32 => (23, -149, f64::from(f32::MAX)),
        _ => (52, -1074, f64::MAX),
    };
    if got.is_infinite() || y.is_infinite() {
        // Beyond the largest number, infinity is right; half a unit beyond is where rounding turns to it.
        let overflows = y.is_infinite() || y.abs() > largest;
        return if overflows && got.is_infinite() && got.signum() == y.signum() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    let exponent = if y == 0.0 {
        lowest
    } else {
        (y.abs().log2().floor() as i32 - digits).max(lowest)
    };
    // In two steps: 2^-1074 is below the smallest power `powi` reaches by dividing.
    let unit = 2f64.powi(exponent.max(-1000)) * 2f64.powi((exponent + 1000).min(0));
    ((got - y) - y_lo).abs() / unit
}
