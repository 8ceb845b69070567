//! Whole architectures against PyTorch's: every name and shape of the state dict, and the logits in both precisions when all weights
//! are filled by a formula of their names. No weights are shipped: the formula, written in the README beside the vectors, gives the
//! same ones anywhere. [`fill`] and [`agrees`] know no family; what is torchvision's is at the end, what is
//! Hugging Face's in `models_hf.rs`.

use std::collections::BTreeMap;

use gradus_autograd::{Var, no_grad};
use gradus_nn::{Layer, Module, StateDict};
use gradus_tensor::{DType, Result as TensorResult, Tensor};
use gradus_vision::models::{Argument, Options, build};
use serde::Deserialize;
use serde_json::Value;

use super::cases::quietly;
use super::compare::numbers;
use super::manifest::{Vectors, tensor};
use super::report::{FileReport, Verdict};

/// One architecture of a manifest.
#[derive(Debug, Deserialize)]
pub struct Architecture {
    /// `torchvision/resnet18`.
    pub model: String,
    /// Constructor arguments (torchvision).
    #[serde(default)]
    pub kwargs: BTreeMap<String, Value>,
    /// The contents of `config.json` (Hugging Face).
    #[serde(default)]
    pub config: Value,
    /// Shape of the input (torchvision).
    #[serde(default)]
    pub input: Vec<usize>,
    /// Name, shape and dtype of each tensor of the state dict.
    pub names: Vec<(String, Vec<usize>, String)>,
    /// How many numbers the parameters hold.
    pub params: Option<usize>,
    /// Key of the logits.
    pub out: String,
}

/// The manifest of a file.
#[derive(Debug, Deserialize)]
pub struct Architectures {
    pub models: Vec<Architecture>,
}

/// Numbers in [0, 1) that belong to a name: 24 bits each of splitmix64, seeded with the name's CRC-32.
pub fn uniform(name: &str, n: usize) -> Vec<f32> {
    let mut state = u64::from(crc32(name.as_bytes()));
    let mut u = vec![0.0; n];
    for u in &mut u {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        *u = (z >> 40) as f32 / 16_777_216.0;
    }
    u
}

/// The CRC-32 of zip and PNG, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
        }
    }
    !crc
}

/// The tensor the formula gives a name and a shape: f32, or i64 zeros for a counter. Numbers are computed in f64 and rounded once.
pub fn fill(name: &str, dims: &[usize]) -> Result<Tensor, String> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let ends = |endings: &[&str]| endings.iter().any(|e| last.ends_with(e));
    if last == "num_batches_tracked" {
        return Tensor::zeros(dims, DType::I64).map_err(|e| e.to_string());
    }
    // (u - middle) * factor + shift
    let (middle, factor, shift) = match last {
        "running_var" => (0.0, 1.0, 0.5),
        "running_mean" => (0.5, 0.2, 0.0),
        _ if dims.len() > 1 => {
            let inputs: usize = dims[1..].iter().product();
            (
                0.5,
                2.0 * f64::from((6.0 / inputs as f64).sqrt() as f32),
                0.0,
            )
        }
        _ if ends(&["weight", "gamma", "layer_scale"]) => (0.0, 0.5, 0.75),
        _ => (0.5, 0.2, 0.0),
    };
    let mut u = uniform(name, dims.iter().product());
    for u in &mut u {
        *u = ((f64::from(*u) - middle) * factor + shift) as f32;
    }
    Tensor::from_vec(u, dims).map_err(|e| e.to_string())
}

/// Do the names and shapes of the state dict agree with the architecture's?
pub fn same_names(architecture: &Architecture, state: &StateDict) -> Result<(), String> {
    let expected: BTreeMap<&str, &[usize]> = architecture
        .names
        .iter()
        .map(|(name, shape, _)| (name.as_str(), shape.as_slice()))
        .collect();
    for (name, shape) in &expected {
        match state.get(*name) {
            None => return Err(format!("no {name}")),
            Some(x) if x.dims() != *shape => {
                return Err(format!("{name} is {}, expected {shape:?}", x.shape()));
            }
            Some(_) => {}
        }
    }
    match state
        .keys()
        .find(|name| !expected.contains_key(name.as_str()))
    {
        Some(name) => Err(format!("{name} is not in the reference")),
        None => Ok(()),
    }
}

/// Names, shapes and number of parameters; then, filled by the formula and in evaluation mode, the logits: in f64 to 1e-9 and in f32 to
/// 1e-4 of the largest.
pub fn agrees<M: Module>(
    architecture: &Architecture,
    expected: &Tensor,
    model: &mut M,
    logits: impl Fn(&M, DType) -> TensorResult<Var>,
) -> Result<(), String> {
    let said = |e: gradus_tensor::Error| e.to_string();
    same_names(architecture, &model.state_dict())?;
    if let Some(params) = architecture.params.filter(|&n| n != model.num_params()) {
        return Err(format!(
            "{} parameters, expected {params}",
            model.num_params()
        ));
    }
    let filled = architecture
        .names
        .iter()
        .map(|(name, shape, _)| Ok((name.clone(), fill(name, shape)?)))
        .collect::<Result<StateDict, String>>()?;
    model.load_state_dict(&filled, true).map_err(said)?;
    drop(filled);
    model.eval();
    let expected_logits = numbers(expected)?;
    let largest = expected_logits.iter().fold(0.0, |m: f64, e| m.max(e.abs()));
    for (dtype, rtol) in [(DType::F64, 1e-9), (DType::F32, 1e-4)] {
        model.to_dtype(dtype).map_err(said)?;
        let got = no_grad(|| logits(model, dtype)).map_err(said)?;
        if got.dims() != expected.dims() {
            return Err(format!(
                "logits {}, expected {}",
                got.shape(),
                expected.shape()
            ));
        }
        let got = numbers(got.value())?;
        let worst = got
            .iter()
            .zip(&expected_logits)
            .map(|(a, e)| {
                if a.is_nan() {
                    f64::INFINITY
                } else {
                    (a - e).abs()
                }
            })
            .fold(0.0, f64::max);
        if worst > rtol * largest {
            return Err(format!(
                "logits in {dtype} differ by {:.1e} of the largest",
                worst / largest
            ));
        }
    }
    Ok(())
}

/// Runs a manifest: one case for each architecture.
pub fn run(
    vectors: &Vectors,
    file: &str,
    check: impl Fn(&Architecture, &BTreeMap<String, Tensor>) -> Result<(), String>,
) -> Result<FileReport, String> {
    let Architectures { models } = vectors.json(file)?;
    let tensors = vectors.tensors(file)?;
    let mut report = FileReport::new(file.rsplit('/').next().unwrap_or(file));
    for architecture in &models {
        let verdict = match quietly(|| check(architecture, &tensors)) {
            Ok(Ok(())) => Verdict::Passed,
            Ok(Err(why)) => Verdict::Failed(why),
            Err(panic) => Verdict::Failed(format!("panicked: {panic}")),
        };
        report.add(&architecture.model, &architecture.model, verdict);
        // Give back what this one took: the next may need as much.
        gradus_tensor::clear_pool();
    }
    Ok(report)
}

/// One of torchvision's.
pub fn torchvision(
    architecture: &Architecture,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<(), String> {
    let name = architecture.model.trim_start_matches("torchvision/");
    let mut options = Options::default().uninitialised();
    for (name, value) in &architecture.kwargs {
        match (name.as_str(), argument(value)) {
            ("num_classes", Some(Argument::Number(n))) => options.num_classes = Some(n as usize),
            (_, Some(value)) => options = options.with(name, value),
            (_, None) => return Err(format!("the argument {name} = {value} has no equal here")),
        }
    }
    let mut model = build(name, &options).map_err(|e| e.to_string())?;
    let shape = architecture.input.as_slice();
    let input: Vec<f32> = uniform("input", shape.iter().product())
        .into_iter()
        .map(|u| (u - 0.5) * 2.0)
        .collect();
    let input = Tensor::from_vec(input, shape).map_err(|e| e.to_string())?;
    let expected = tensor(tensors, &architecture.out)?;
    agrees(architecture, expected, &mut model, |model, dtype| {
        model.forward(&Var::from(input.to_dtype(dtype)?))
    })
}

/// A constructor's argument.
fn argument(value: &Value) -> Option<Argument> {
    match value {
        Value::Bool(flag) => Some((*flag).into()),
        Value::Number(number) => number.as_f64().map(Argument::Number),
        Value::Array(values) => {
            let number = |value: &Value| match value {
                Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
                value => value.as_f64(),
            };
            values
                .iter()
                .map(number)
                .collect::<Option<_>>()
                .map(Argument::List)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_gives_the_numbers_it_should() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let u = uniform("x", 1000);
        assert!(u.iter().all(|u| (0.0..1.0).contains(u)));
        assert!((u.iter().sum::<f32>() / 1000.0 - 0.5).abs() < 0.05);
        let range = |name: &str, dims: &[usize]| {
            let x = numbers(&fill(name, dims).unwrap()).unwrap();
            let fold = |f: fn(f64, f64) -> f64, start| x.iter().copied().fold(start, f);
            (
                fold(f64::min, f64::INFINITY),
                fold(f64::max, f64::NEG_INFINITY),
            )
        };
        for (name, dims, low, high) in [
            ("bn.running_var", vec![500], 0.5, 1.5),
            ("bn.running_mean", vec![500], -0.1, 0.1),
            ("bn.weight", vec![500], 0.75, 1.25),
            ("fc.bias", vec![500], -0.1, 0.1),
            ("fc.weight", vec![50, 24], -0.5, 0.5),
            ("bn.num_batches_tracked", vec![], 0.0, 0.0),
        ] {
            let (min, max) = range(name, &dims);
            assert!(
                min >= low && max <= high && max - min >= 0.9 * (high - low),
                "{name}: {min} to {max}"
            );
        }
    }
}
