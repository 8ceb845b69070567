//! The vector maths against the exact values of the reference vectors (`ulp.safetensors`), on every instruction set.
use crate::common::{Function, apply, f32s, f64s, tensor, ulps, vectors};
use gradus_simd::{Float, available};

fn check<T: Float>(file: &[u8], dtype: &str, read: impl Fn(&[u8]) -> Vec<T>) {
    let mut failures = Vec::new();
    for &f in Function::ALL {
        let name = if f == Function::Ln { "log" } else { f.name() };
        let part = |part: &str| tensor(file, &format!("{name}.{dtype}.{part}"));
        let (Some(x), Some(hi), Some(lo)) = (part("x"), part("y"), part("y_lo")) else {
            continue;
        };
        let (x, hi, lo) = (read(x), f64s(hi), f64s(lo));
        for &isa in available() {
            let y = apply(isa, f, &x);
            let errors = (0..x.len()).map(|i| (ulps(y[i], hi[i], lo[i]), i));
            let (worst, at) = errors.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
            println!("{isa:7} {name:9} {dtype}: {worst:.3} ULP at {}", x[at]);
            if worst > f.bound() {
                failures.push(format!(
                    "{isa} {name} {dtype}: {worst} ULP at {}: {}, not {}",
                    x[at], y[at], hi[at]
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn reference_vectors_f32() {
    if let Some(file) = vectors("ulp.safetensors") {
        check(&file, "f32", f32s);
    }
}

#[test]
fn reference_vectors_f64() {
    if let Some(file) = vectors("ulp.safetensors") {
        check(&file, "f64", f64s);
    }
}
