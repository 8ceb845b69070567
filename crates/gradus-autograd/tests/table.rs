//! The table of every differentiable operation: `gradcheck` and `gradgradcheck` of each, in every layout.
//!
//! The last test reads the sources and fails if a public function of `src/ops` or `src/functional` is not in the table.

#![allow(clippy::redundant_closure_for_method_calls)] // a table reads better with one form

mod table {
    pub mod conv;
    pub mod elementwise;
    pub mod functional;
    pub mod index;
    pub mod linalg;
    pub mod linear;
    pub mod pool;
    pub mod reduce;
    pub mod resample;
    pub mod sample;
    pub mod shape;
}

use std::collections::BTreeSet;

use gradus_autograd::{Var, gradcheck, gradgradcheck, jvp};
use gradus_tensor::Tensor;
use table::sample::{Case, Layout};

fn all() -> Vec<Case> {
    let mut all = Vec::new();
    all.extend(table::elementwise::cases());
    all.extend(table::shape::cases());
    all.extend(table::reduce::cases());
    all.extend(table::linear::cases());
    all.extend(table::linalg::cases());
    all.extend(table::index::cases());
    all.extend(table::functional::cases());
    all.extend(table::pool::cases());
    all.extend(table::conv::cases());
    all.extend(table::resample::cases());
    all
}

/// Runs `check` on every case and layout, and reports all that failed at once.
fn run(check: impl Fn(&Case, Layout) -> gradus_tensor::Result<()> + Sync) {
    let mut failures = Vec::new();
    let mut ran = 0;
    for case in all() {
        for layout in Layout::ALL {
            if layout == Layout::Broadcast && !case.elementwise {
                continue;
            }
            ran += 1;
            if let Err(e) = check(&case, layout) {
                failures.push(format!(
                    "{} ({layout:?}, {:?}): {e}",
                    case.name,
                    case.shapes()
                ));
            }
        }
    }
    println!("{ran} cases");
    assert!(
        failures.is_empty(),
        "{} of {ran} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn first_derivatives() {
    run(|case, layout| gradcheck(&case.f, &case.inputs(layout)?, case.options()));
}

#[test]
fn second_derivatives() {
    run(|case, layout| {
        if !case.twice || layout == Layout::Stepped {
            return Ok(());
        }
        gradgradcheck(&case.f, &case.inputs(layout)?, case.options())
    });
}

/// Forward mode along one direction, against the difference of two values.
#[test]
fn along_a_direction() {
    run(|case, layout| {
        if case.coarse {
            return Ok(()); // its inside is f32: a difference along a direction says little
        }
        let inputs = case.inputs(layout)?;
        let directions = case.directions()?;
        let moved = |by: f64| -> gradus_tensor::Result<_> {
            let step = |(x, v): (&Tensor, &Tensor)| x.add_scaled(v, by).map(Var::from);
            let x: Vec<Var> = inputs
                .iter()
                .zip(&directions)
                .map(step)
                .collect::<Result<_, _>>()?;
            Ok((case.f)(&x)?.value().clone())
        };
        let step = 1e-6;
        let numeric = moved(step)?.sub(&moved(-step)?)?.div_scalar(2.0 * step)?;
        let vars = |x: &[Tensor]| -> Vec<Var> { x.iter().map(Var::from).collect() };
        let (_, forward) = jvp(&case.f, &vars(&inputs), &vars(&directions))?;
        let (forward, numeric) = (forward.value().to_vec::<f64>()?, numeric.to_vec::<f64>()?);
        let far = |(a, b): (&f64, &f64)| {
            (a - b).abs() > 1e-5 + 1e-3 * b.abs() || a.is_nan() != b.is_nan()
        };
        match forward.iter().zip(&numeric).find(|&(a, b)| far((a, b))) {
            None => Ok(()),
            Some((a, b)) => Err(gradus_tensor::Error::value(
                "jvp",
                format!("{a}, but by differences {b}"),
            )),
        }
    });
}

#[test]
fn every_operation_is_in_the_table() {
    let listed: BTreeSet<&str> = all().iter().map(|case| case.name).collect();
    // Not operations on a value (constructors), on tensors alone, or with a gradient that is not meant to be the derivative.
    let known = [
        "new",
        "zeros_like",
        "ones_like",
        "batch_stats",
        "one_hot",
        "embedding_renorm",
        "embedding_scale_grad_by_freq",
    ];
    let mut missing = Vec::new();
    for folder in ["ops", "functional"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src")
            .join(folder);
        for file in files(&folder) {
            let text = std::fs::read_to_string(file).unwrap();
            let mut before = "";
            for line in text.lines() {
                let hidden = std::mem::replace(&mut before, line).contains("cfg(any())");
                let Some(rest) = line.trim_start().strip_prefix("pub fn ") else {
                    continue;
                };
                let name = rest.split(['(', '<']).next().unwrap();
                if !hidden && !listed.contains(name) && !known.contains(&name) {
                    missing.push(name.to_owned());
                }
            }
        }
    }
    assert!(
        missing.is_empty(),
        "{} operations are not in the table: {missing:?}",
        missing.len()
    );
}

/// All files in a folder and the folders in it.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
