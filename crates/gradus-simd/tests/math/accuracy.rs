//! The functions of one argument against `f64` references: every exponent of `f32` and `f64`, and identities where there is
//! no reference. The ignored test runs all 2^32 arguments.
use crate::common::{Function, apply, spread, ulps};
use gradus_simd::{IsaName, available};

/// The function in `f64`: the standard library's where it has it, ours where it has not (those are held to the
/// reference vectors in `vectors.rs`).
fn reference(f: Function, x: &[f64]) -> Vec<f64> {
    let exact: fn(f64) -> f64 = match f {
        Function::Exp => f64::exp,
        Function::Exp2 => f64::exp2,
        Function::Expm1 => f64::exp_m1,
        Function::Ln => f64::ln,
        Function::Log2 => f64::log2,
        Function::Log10 => f64::log10,
        Function::Log1p => f64::ln_1p,
        Function::Tanh => f64::tanh,
        Function::Sinh => f64::sinh,
        Function::Cosh => f64::cosh,
        Function::Asinh => f64::asinh,
        Function::Acosh => |x| {
            if x < 1.0 {
                f64::NAN
            } else {
                (x - 1.0 + ((x - 1.0) * (x + 1.0)).sqrt()).ln_1p()
            }
        },
        Function::Atanh => f64::atanh,
        Function::Sigmoid => |x| 1.0 / (1.0 + (-x).exp()),
        Function::Silu => |x| {
            if x < -700.0 {
                x * 0.0
            } else {
                x / (1.0 + (-x).exp())
            }
        },
        Function::Softplus => |x| {
            if x > 0.0 {
                x + (-x).exp().ln_1p()
            } else {
                x.exp().ln_1p()
            }
        },
        Function::GeluTanh => |x| {
            let u = 2.0 * (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            if u < -700.0 {
                x * 0.0
            } else {
                x / (1.0 + (-u).exp())
            }
        },
        Function::Mish => |x| {
            let e = x.exp();
            if x > 40.0 {
                x
            } else {
                x * (e * (e + 2.0) / (e * (e + 2.0) + 2.0))
            }
        },
        Function::Rsqrt => |x| 1.0 / x.sqrt(),
        Function::Sin => f64::sin,
        Function::Cos => f64::cos,
        Function::Tan => f64::tan,
        Function::Asin => f64::asin,
        Function::Acos => f64::acos,
        Function::Atan => f64::atan,
        _ => return apply(IsaName::Scalar, f, x),
    };
    x.iter().map(|&x| exact(x)).collect()
}

fn best() -> IsaName {
    *available().last().unwrap()
}

/// The largest error over these `f32`s on the best instruction set, and where.
fn worst(f: Function, x: &[f32], exact: impl Fn(Function, &[f64]) -> Vec<f64>) -> (f64, f32) {
    let y = apply(best(), f, x);
    let exact = exact(f, &x.iter().map(|&x| x.into()).collect::<Vec<_>>());
    let error = |i: usize| {
        if (f64::from(y[i]) - exact[i]).abs() <= f.floor() {
            0.0
        } else {
            ulps(y[i], exact[i], 0.0)
        }
    };
    let errors = (0..x.len()).map(|i| (error(i), x[i]));
    errors.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap()
}

#[test]
fn f32_over_all_exponents() {
    // Other machines are mostly emulated when tests run, at a twentieth of the speed.
    let step = if cfg!(target_arch = "x86_64") {
        5003
    } else {
        50_021
    };
    let x: Vec<f32> = (0..u32::MAX).step_by(step).map(f32::from_bits).collect();
    for &f in Function::ALL {
        let (error, at) = worst(f, &x, reference);
        println!("{:9} f32: {error:.3} ULP at {at:e}", f.name());
        assert!(error <= f.bound(), "{}: {error} ULP at {at:e}", f.name());
    }
}

/// Against our own `f64` functions, which are fast, and held to the standard library's and the vectors elsewhere here.
#[test]
#[ignore = "runs all 2^32 inputs"]
fn f32_over_all_inputs() {
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let mut failures = Vec::new();
    for &f in Function::ALL {
        let next = std::sync::atomic::AtomicU32::new(0);
        let run = || {
            let mut largest = (0.0, 0.0);
            loop {
                let block = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                if block >= 1 << 16 {
                    return largest;
                }
                let x: Vec<f32> = (0..1 << 16)
                    .map(|i| f32::from_bits(block << 16 | i))
                    .collect();
                let (error, at) = worst(f, &x, |f, x| apply(best(), f, x));
                if error > largest.0 {
                    largest = (error, at);
                }
            }
        };
        let (error, at) = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            workers
                .into_iter()
                .map(|w| w.join().unwrap())
                .max_by(|a, b| a.0.total_cmp(&b.0))
                .unwrap()
        });
        println!("{:9} f32, all inputs: {error:.4} ULP at {at:e}", f.name());
        if error > f.bound() {
            failures.push(format!("{}: {error} ULP at {at:e}", f.name()));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// `f64` against the standard library, itself good to an ULP or two for these.
#[test]
fn f64_over_all_exponents() {
    use Function::*;
    let x = spread::<f64>(200_000);
    for f in [
        Exp, Exp2, Expm1, Ln, Log2, Log10, Log1p, Tanh, Sinh, Cosh, Sin, Cos, Tan, Asin, Acos, Atan,
    ] {
        let (y, exact) = (apply(best(), f, &x), reference(f, &x));
        let errors = (0..x.len()).map(|i| (ulps(y[i], exact[i], 0.0), x[i]));
        let (error, at) = errors.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        println!(
            "{:9} f64: {error:.1} ULP from the standard library at {at:e}",
            f.name()
        );
        assert!(error <= 3.0, "{}: {error} ULP at {at:e}", f.name());
    }
}

#[test]
fn gamma_functions_and_erfinv_by_their_identities() {
    let x: Vec<f64> = (1..4000)
        .map(|i| f64::from(i) / 100.0 - 19.99)
        .filter(|x| (x - x.round()).abs() > 1e-3)
        .collect();
    let next: Vec<f64> = x.iter().map(|x| x + 1.0).collect();
    let f = |f, x: &[f64]| apply(IsaName::Scalar, f, x);
    let (a, b) = (f(Function::Lgamma, &x), f(Function::Lgamma, &next));
    let (c, d) = (f(Function::Digamma, &x), f(Function::Digamma, &next));
    for i in 0..x.len() {
        // Γ(x + 1) = x Γ(x), and its logarithmic derivative
        let (error, size) = (b[i] - a[i] - x[i].abs().ln(), 1.0 + a[i].abs());
        assert!(error.abs() < 1e-14 * size, "lgamma({}): {error:e}", x[i]);
        let (error, size) = (
            d[i] - c[i] - 1.0 / x[i],
            1.0 + c[i].abs() + 1.0 / x[i].abs(),
        );
        assert!(error.abs() < 4e-13 * size, "digamma({}): {error:e}", x[i]);
    }
    assert!((f(Function::Digamma, &[1.0])[0] + 0.577_215_664_901_532_9).abs() < 1e-15);
    let y: Vec<f64> = (1..1000).map(|i| f64::from(i) / 1000.0).collect();
    for (y, back) in y.iter().zip(f(Function::Erf, &f(Function::Erfinv, &y))) {
        assert!(
            (y - back).abs() <= 4e-16 * y.max(0.5),
            "erfinv({y}): {back}"
        );
    }
}
