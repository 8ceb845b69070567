//! What the tests share: the frozen PyTorch cases (a directory named by `GRADUS_VECTORS`) and comparisons.
#![allow(dead_code)]

use std::path::PathBuf;

use gradus_nn::StateDict;
use gradus_tensor::{DType, Tensor, safetensors};
use serde_json::Value;

/// The manifest and the tensors of one file of cases; `None`, with a line saying so, where there are none.
pub fn vectors(name: &str) -> Option<(Value, StateDict)> {
    let Some(dir) = std::env::var_os("GRADUS_VECTORS").map(PathBuf::from) else {
        println!("skipped: no GRADUS_VECTORS");
        return None;
    };
    let text = std::fs::read_to_string(dir.join(format!("{name}.json"))).expect("the manifest");
    let tensors = safetensors::load(dir.join(format!("{name}.safetensors"))).expect("the tensors");
    Some((
        serde_json::from_str(&text).expect("JSON"),
        tensors.into_iter().collect(),
    ))
}

/// A tensor as f64 numbers.
pub fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .to_vec::<f64>()
        .unwrap()
}

/// The largest difference relative to `atol + rtol |expected|`: at most 1 is close.
pub fn distance(actual: &[f64], expected: &[f64], rtol: f64, atol: f64) -> f64 {
    assert_eq!(actual.len(), expected.len());
    let far = |(a, e): (&f64, &f64)| (a - e).abs() / (atol + rtol * e.abs());
    actual
        .iter()
        .zip(expected)
        .map(far)
        .fold(0.0, |m, d| if d > m || d.is_nan() { d } else { m })
}

/// A number of an object, or what it is by default.
pub fn number(object: &Value, key: &str, default: f64) -> f64 {
    object.get(key).map_or(default, |v| {
        v.as_f64().unwrap_or_else(|| panic!("{key}: {v}"))
    })
}

/// A truth value of an object, false by default.
pub fn flag(object: &Value, key: &str) -> bool {
    object.get(key).is_some_and(|v| v.as_bool().unwrap())
}

/// A list of numbers.
pub fn list(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect()
}
