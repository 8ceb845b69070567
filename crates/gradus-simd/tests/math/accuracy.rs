//! The vector maths against `f64` references: every exponent of `f32`, special values, and every ISA, tail and alignment
//! bit for bit against scalar. The ignored test runs all 2^32 arguments.
use crate::common::{Function, apply, ulps};
use gradus_simd::{Float, Isa, IsaName, Kernel, available, dispatch_on, math, zip_map};

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
    let errors = (0..x.len()).map(|i| (ulps(y[i], exact[i], 0.0), x[i]));
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
        assert!(error <= f.bound(), "{}: {error} ULP at {at:e}", f.name());
    }
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

/// Bits, with one NaN for all.
fn bits<T: Float>(y: &[T]) -> Vec<u64> {
    y.iter()
        .map(|y| {
            if y.is_nan() {
                u64::MAX
            } else {
                y.to_f64().to_bits()
            }
        })
        .collect()
}

/// Arguments over all exponents, both signs.
fn spread<T: Float>(n: u64) -> Vec<T> {
    let width = if T::MANTISSA_BITS == 23 { 32 } else { 64 };
    (0..n)
        .map(|i| {
            let bits = i
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .rotate_left(17)
                .wrapping_mul(0xBF58_476D_1CE4_E5B9)
                >> (64 - width);
            let x = if width == 32 {
                f64::from(f32::from_bits(bits as u32))
            } else {
                f64::from_bits(bits)
            };
            // half of them where the functions bend
            T::from_f64(if i % 2 == 0 {
                x
            } else {
                (bits % 2_000_003) as f64 / 50_000.0 - 20.0
            })
        })
        .collect()
}

fn same_bits_everywhere<T: Float>() {
    let x = spread::<T>(20_000);
    for &f in Function::ALL {
        let scalar = bits(&apply(IsaName::Scalar, f, &x));
        for &isa in available() {
            let y = bits(&apply(isa, f, &x));
            let differs = (0..x.len()).find(|&i| y[i] != scalar[i]);
            assert_eq!(differs.map(|i| x[i]), None, "{isa} {}", f.name());
            for n in 0..=257 {
                let skip = n % 5;
                assert_eq!(
                    bits(&apply(isa, f, &x[skip..skip + n])),
                    scalar[skip..skip + n],
                    "{isa} {} length {n}",
                    f.name()
                );
            }
        }
    }
}

#[test]
fn every_isa_tail_and_alignment_gives_the_same_bits_f32() {
    same_bits_everywhere::<f32>();
}

#[test]
fn every_isa_tail_and_alignment_gives_the_same_bits_f64() {
    same_bits_everywhere::<f64>();
}

fn special<T: Float>() {
    use Function::*;
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let tiny = if T::MANTISSA_BITS == 23 {
        1e-45f32.into()
    } else {
        5e-324
    };
    let half_pi = T::from_f64(std::f64::consts::FRAC_PI_2).to_f64();
    let pi = T::from_f64(std::f64::consts::PI).to_f64();
    let table: &[(Function, &[(f64, f64)])] = &[
        (
            Exp,
            &[
                (0.0, 1.0),
                (-0.0, 1.0),
                (inf, inf),
                (-inf, 0.0),
                (tiny, 1.0),
                (1e30, inf),
                (-1e30, 0.0),
            ],
        ),
        (
            Exp2,
            &[
                (0.0, 1.0),
                (-0.0, 1.0),
                (inf, inf),
                (-inf, 0.0),
                (10.0, 1024.0),
                (-126.0, 2f64.powi(-126)),
                (-1e30, 0.0),
            ],
        ),
        (
            Expm1,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (inf, inf),
                (-inf, -1.0),
                (tiny, tiny),
                (-tiny, -tiny),
                (1e30, inf),
                (-1e30, -1.0),
            ],
        ),
        (
            Ln,
            &[
                (1.0, 0.0),
                (0.0, -inf),
                (-0.0, -inf),
                (inf, inf),
                (-1.0, nan),
                (-inf, nan),
                (-tiny, nan),
            ],
        ),
        (
            Log2,
            &[
                (1.0, 0.0),
                (8.0, 3.0),
                (0.0, -inf),
                (-0.0, -inf),
                (inf, inf),
                (-1.0, nan),
                (2f64.powi(-126), -126.0),
            ],
        ),
        (
            Log10,
            &[
                (1.0, 0.0),
                (1000.0, 3.0),
                (1e10, 10.0),
                (0.0, -inf),
                (-0.0, -inf),
                (inf, inf),
                (-1.0, nan),
            ],
        ),
        (
            Log1p,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (-1.0, -inf),
                (inf, inf),
                (-2.0, nan),
                (-inf, nan),
                (tiny, tiny),
                (-tiny, -tiny),
            ],
        ),
        (
            Tanh,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (inf, 1.0),
                (-inf, -1.0),
                (tiny, tiny),
                (-tiny, -tiny),
                (50.0, 1.0),
                (-1e30, -1.0),
            ],
        ),
        (
            Sinh,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (inf, inf),
                (-inf, -inf),
                (tiny, tiny),
                (-tiny, -tiny),
                (1e30, inf),
                (-1e30, -inf),
            ],
        ),
        (
            Cosh,
            &[
                (0.0, 1.0),
                (-0.0, 1.0),
                (inf, inf),
                (-inf, inf),
                (tiny, 1.0),
                (1e30, inf),
                (-1e30, inf),
            ],
        ),
        (
            Asinh,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (inf, inf),
                (-inf, -inf),
                (tiny, tiny),
                (-tiny, -tiny),
            ],
        ),
        (
            Acosh,
            &[(1.0, 0.0), (0.5, nan), (-1.0, nan), (inf, inf), (-inf, nan)],
        ),
        (
            Atanh,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (1.0, inf),
                (-1.0, -inf),
                (2.0, nan),
                (-inf, nan),
                (tiny, tiny),
            ],
        ),
        (
            Sigmoid,
            &[
                (0.0, 0.5),
                (-0.0, 0.5),
                (inf, 1.0),
                (-inf, 0.0),
                (1e30, 1.0),
                (-1e30, 0.0),
            ],
        ),
        (
            Silu,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (inf, inf),
                (-inf, nan),
                (1e30, T::from_f64(1e30).to_f64()),
                (-1e30, -0.0),
            ],
        ),
        (
            Softplus,
            &[
                (inf, inf),
                (-inf, 0.0),
                (1e30, T::from_f64(1e30).to_f64()),
                (-1e30, 0.0),
            ],
        ),
        (
            GeluTanh,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (inf, inf),
                (-inf, nan),
                (1e30, T::from_f64(1e30).to_f64()),
                (-1e30, -0.0),
            ],
        ),
        (
            Mish,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (inf, inf),
                (-inf, nan),
                (1e30, T::from_f64(1e30).to_f64()),
                (-1e30, -0.0),
            ],
        ),
        (
            Erf,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (inf, 1.0),
                (-inf, -1.0),
                (30.0, 1.0),
                (-1e30, -1.0),
            ],
        ),
        (
            Erfc,
            &[
                (0.0, 1.0),
                (-0.0, 1.0),
                (inf, 0.0),
                (-inf, 2.0),
                (30.0, 0.0),
                (-1e30, 2.0),
            ],
        ),
        (
            Gelu,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (inf, inf),
                (-inf, nan),
                (1e30, T::from_f64(1e30).to_f64()),
                (-1e30, -0.0),
            ],
        ),
        (
            Rsqrt,
            &[
                (0.0, inf),
                (-0.0, -inf),
                (inf, 0.0),
                (-1.0, nan),
                (-inf, nan),
                (4.0, 0.5),
                (0.25, 2.0),
            ],
        ),
        (
            Sin,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (inf, nan),
                (-inf, nan),
                (tiny, tiny),
                (-tiny, -tiny),
            ],
        ),
        (
            Cos,
            &[
                (0.0, 1.0),
                (-0.0, 1.0),
                (inf, nan),
                (-inf, nan),
                (tiny, 1.0),
            ],
        ),
        (
            Tan,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (inf, nan),
                (-inf, nan),
                (tiny, tiny),
                (-tiny, -tiny),
            ],
        ),
        (
            Asin,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (1.0, half_pi),
                (-1.0, -half_pi),
                (1.5, nan),
                (-inf, nan),
                (tiny, tiny),
            ],
        ),
        (
            Acos,
            &[
                (1.0, 0.0),
                (-1.0, pi),
                (0.0, half_pi),
                (1.5, nan),
                (-1.5, nan),
                (inf, nan),
            ],
        ),
        (
            Atan,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (inf, half_pi),
                (-inf, -half_pi),
                (1e30, half_pi),
                (tiny, tiny),
                (-tiny, -tiny),
            ],
        ),
        (
            Lgamma,
            &[
                (1.0, 0.0),
                (2.0, 0.0),
                (0.0, inf),
                (-0.0, inf),
                (-3.0, inf),
                (inf, inf),
                (-inf, inf),
            ],
        ),
        (
            Digamma,
            &[(0.0, -inf), (-0.0, inf), (-2.0, nan), (inf, inf)],
        ),
        (
            Erfinv,
            &[
                (0.0, 0.0),
                (-0.0, -0.0),
                (1.0, inf),
                (-1.0, -inf),
                (1.5, nan),
                (tiny, tiny),
                (-inf, nan),
            ],
        ),
    ];
    assert_eq!(table.len(), Function::ALL.len());
    for (f, cases) in table {
        for &isa in available() {
            for &(x, want) in cases.iter().chain(&[(nan, nan)]) {
                let got = apply(isa, *f, &[T::from_f64(x)])[0].to_f64();
                let right = if want.is_nan() {
                    got.is_nan()
                } else {
                    got.to_bits() == want.to_bits()
                };
                assert!(right, "{isa}: {}({x:e}) = {got:e}, not {want:e}", f.name());
            }
        }
    }
}

#[test]
fn special_values() {
    special::<f32>();
    special::<f64>();
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

struct Two<'a, T>(bool, &'a [T], &'a [T], &'a mut [T]);

impl<T: Float> Kernel for Two<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Isa>(self, isa: S) {
        let Self(is_pow, x, y, z) = self;
        if is_pow {
            zip_map::<S, T>(
                isa,
                x,
                y,
                z,
                #[inline(always)]
                |x, y| math::pow::<S, T>(isa, x, y),
            );
        } else {
            zip_map::<S, T>(
                isa,
                x,
                y,
                z,
                #[inline(always)]
                |x, y| math::atan2::<S, T>(isa, x, y),
            );
        }
    }
}

fn two<T: Float>(isa: IsaName, is_pow: bool, x: &[T], y: &[T]) -> Vec<T> {
    let mut z = vec![T::ZERO; x.len()];
    dispatch_on(isa, Two(is_pow, x, y, &mut z)).unwrap();
    z
}

fn pow_and_atan2<T: Float>(exact: impl Fn(bool, f64, f64) -> f64, bound: f64) {
    let specials = [
        0.0,
        1.0,
        0.5,
        2.0,
        3.0,
        2.5,
        1e30,
        1e-30,
        7e-46,
        33.0,
        1e9 + 1.0,
        0.999,
        f64::INFINITY,
        f64::NAN,
    ];
    let specials: Vec<f64> = specials.iter().flat_map(|&x| [x, -x]).collect();
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    for &x in &specials {
        for &y in &specials {
            xs.push(T::from_f64(x));
            ys.push(T::from_f64(y));
        }
    }
    let wide = spread::<T>(40_000);
    for i in 0..20_000 {
        xs.push(wide[i]);
        ys.push(wide[i + 20_000]);
        xs.push(wide[i].abs()); // powers that neither overflow nor vanish
        ys.push(T::from_f64(
            ((i % 400) as f64 - 200.0) / (wide[i].abs().to_f64().ln().abs() + 0.01),
        ));
    }
    for is_pow in [true, false] {
        let scalar = two(IsaName::Scalar, is_pow, &xs, &ys);
        for &isa in available() {
            assert!(
                bits(&two(isa, is_pow, &xs, &ys)) == bits(&scalar),
                "{isa} differs from scalar"
            );
        }
        let mut largest = (0.0, 0);
        for i in 0..xs.len() {
            let want = exact(is_pow, xs[i].to_f64(), ys[i].to_f64());
            let error = ulps(scalar[i], want, 0.0);
            let signs =
                want != 0.0 || scalar[i].to_f64().is_sign_negative() == want.is_sign_negative();
            assert!(signs, "({}, {}) = {}, not {want}", xs[i], ys[i], scalar[i]);
            if error > largest.0 {
                largest = (error, i);
            }
        }
        let (error, i) = largest;
        let name = if is_pow { "pow" } else { "atan2" };
        println!(
            "{name:9} {} bits: {error:.3} ULP at {:e}, {:e}",
            T::MANTISSA_BITS,
            xs[i],
            ys[i]
        );
        assert!(
            error <= bound,
            "{name}: {error} ULP at {:e}, {:e}: {:e}",
            xs[i],
            ys[i],
            scalar[i]
        );
    }
}

#[test]
fn two_arguments() {
    let exact = |is_pow: bool, x: f64, y: f64| if is_pow { x.powf(y) } else { x.atan2(y) };
    pow_and_atan2::<f32>(exact, 1.0);
    // The reference itself is only within an ULP here.
    pow_and_atan2::<f64>(exact, 1.0);
}
