//! What the tests of layers share: parameters and inputs made of sines and cosines, so that nothing but results had to be stored, and
//! the results themselves, computed by PyTorch in f64 (`pytorch_layers.json`).
#![allow(dead_code)]

use gradus_autograd::Var;
use gradus_nn::Module;
use gradus_tensor::{DType, Result, Tensor};
use serde_json::Value;

/// Element `k` of the parameter `name` is `0.4 sin(0.7 k + s)` with a phase from the name; variances are above 1.
pub fn filled<M: Module>(mut module: M) -> Result<M> {
    module.to_dtype(DType::F64)?;
    let mut state = module.state_dict();
    for (name, tensor) in &mut state {
        if name.ends_with("num_batches_tracked") {
            continue;
        }
        let phase = (name.bytes().map(usize::from).sum::<usize>() % 97) as f64;
        let wave = |k: usize| (0.7 * k as f64 + phase).sin() * 0.4;
        let value = |k: usize| {
            if name.ends_with("running_var") {
                1.0 + wave(k).abs()
            } else {
                wave(k)
            }
        };
        *tensor = Tensor::from_vec(
            (0..tensor.numel()).map(value).collect::<Vec<f64>>(),
            tensor.shape(),
        )?;
    }
    module.load_state_dict(&state, true)?;
    Ok(module)
}

pub fn input(shape: &[usize], phase: f64) -> Var {
    let n = shape.iter().product();
    let values: Vec<f64> = (0..n).map(|k| (k as f64 * 0.9 + phase).cos()).collect();
    Var::from(Tensor::from_vec(values, shape).unwrap())
}

pub fn mask(shape: [usize; 2], ones: &[usize]) -> Tensor {
    let values: Vec<bool> = (0..shape[0] * shape[1])
        .map(|i| ones.contains(&i))
        .collect();
    Tensor::from_vec(values, shape).unwrap()
}

pub fn listed(module: &dyn Module) -> Vec<String> {
    module
        .named_parameters()
        .into_iter()
        .map(|(name, _)| name)
        .collect()
}

/// A tensor as f64 numbers.
pub fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .to_vec::<f64>()
        .unwrap()
}

/// A list of numbers.
fn list(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().unwrap().iter();
    numbers.map(|v| v.as_f64().unwrap()).collect()
}

/// The largest difference relative to `atol + rtol |expected|`: at most 1 is close.
fn distance(actual: &[f64], expected: &[f64], rtol: f64, atol: f64) -> f64 {
    assert_eq!(actual.len(), expected.len());
    let far = |(a, e): (&f64, &f64)| (a - e).abs() / (atol + rtol * e.abs());
    let far = actual.iter().zip(expected).map(far);
    far.fold(0.0, |m, d| if d > m || d.is_nan() { d } else { m })
}

/// Compares with the results of that name.
#[track_caller]
pub fn check(name: &str, actual: &[&Var]) {
    let all: Value = serde_json::from_str(include_str!("../pytorch_layers.json")).unwrap();
    let expected = all[name].as_array().unwrap();
    assert_eq!(actual.len(), expected.len(), "{name}");
    for (i, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let shape: Vec<usize> = list(&expected["shape"])
            .into_iter()
            .map(|d| d as usize)
            .collect();
        assert_eq!(actual.dims(), shape, "{name}: output {i}");
        let far = distance(
            &numbers(actual.value()),
            &list(&expected["v"]),
            1e-10,
            1e-12,
        );
        assert!(far <= 1.0, "{name}: output {i} is {far} tolerances away");
    }
}
