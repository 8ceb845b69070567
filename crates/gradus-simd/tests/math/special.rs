//! Exact results at special arguments: zeros, infinities, NaN, subnormals, poles, and far out; on every instruction set.
use crate::common::{Function, apply};
use gradus_simd::{Float, available};

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
    #[rustfmt::skip]
    let table: &[(Function, &[(f64, f64)])] = &[
        (Exp, &[(0.0, 1.0), (-0.0, 1.0), (inf, inf), (-inf, 0.0), (tiny, 1.0), (1e30, inf), (-1e30, 0.0)]),
        (Exp2, &[(0.0, 1.0), (-0.0, 1.0), (inf, inf), (-inf, 0.0),
            (10.0, 1024.0), (-126.0, 2f64.powi(-126)), (-1e30, 0.0)]),
        (Expm1, &[(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -1.0),
            (tiny, tiny), (-tiny, -tiny), (1e30, inf), (-1e30, -1.0)]),
        (Ln, &[(1.0, 0.0), (0.0, -inf), (-0.0, -inf), (inf, inf), (-1.0, nan), (-inf, nan), (-tiny, nan)]),
        (Log2, &[(1.0, 0.0), (8.0, 3.0), (0.0, -inf), (-0.0, -inf),
            (inf, inf), (-1.0, nan), (2f64.powi(-126), -126.0)]),
        (Log10, &[(1.0, 0.0), (1000.0, 3.0), (1e10, 10.0), (0.0, -inf), (-0.0, -inf), (inf, inf), (-1.0, nan)]),
        (Log1p, &[(0.0, 0.0), (-0.0, -0.0), (-1.0, -inf), (inf, inf),
            (-2.0, nan), (-inf, nan), (tiny, tiny), (-tiny, -tiny)]),
        (Tanh, &[(0.0, 0.0), (-0.0, -0.0), (inf, 1.0), (-inf, -1.0),
            (tiny, tiny), (-tiny, -tiny), (50.0, 1.0), (-1e30, -1.0)]),
        (Sinh, &[(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -inf),
            (tiny, tiny), (-tiny, -tiny), (1e30, inf), (-1e30, -inf)]),
        (Cosh, &[(0.0, 1.0), (-0.0, 1.0), (inf, inf), (-inf, inf), (tiny, 1.0), (1e30, inf), (-1e30, inf)]),
        (Asinh, &[(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, -inf), (tiny, tiny), (-tiny, -tiny)]),
        (Acosh, &[(1.0, 0.0), (0.5, nan), (-1.0, nan), (inf, inf), (-inf, nan)]),
        (Atanh, &[(0.0, 0.0), (-0.0, -0.0), (1.0, inf), (-1.0, -inf), (2.0, nan), (-inf, nan), (tiny, tiny)]),
        (Sigmoid, &[(0.0, 0.5), (-0.0, 0.5), (inf, 1.0), (-inf, 0.0), (1e30, 1.0), (-1e30, 0.0)]),
        (Silu, &[(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, nan), (1e30, T::from_f64(1e30).to_f64()), (-1e30, -0.0)]),
        (Softplus, &[(inf, inf), (-inf, 0.0), (1e30, T::from_f64(1e30).to_f64()), (-1e30, 0.0)]),
        (GeluTanh, &[(0.0, 0.0), (-0.0, -0.0), (inf, inf),
            (-inf, nan), (1e30, T::from_f64(1e30).to_f64()), (-1e30, -0.0)]),
        (Mish, &[(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, nan), (1e30, T::from_f64(1e30).to_f64()), (-1e30, -0.0)]),
        (Erf, &[(0.0, 0.0), (-0.0, -0.0), (inf, 1.0), (-inf, -1.0), (30.0, 1.0), (-1e30, -1.0)]),
        (Erfc, &[(0.0, 1.0), (-0.0, 1.0), (inf, 0.0), (-inf, 2.0), (30.0, 0.0), (-1e30, 2.0)]),
        (Gelu, &[(0.0, 0.0), (-0.0, -0.0), (inf, inf), (-inf, nan), (1e30, T::from_f64(1e30).to_f64()), (-1e30, -0.0)]),
        (Rsqrt, &[(0.0, inf), (-0.0, -inf), (inf, 0.0), (-1.0, nan), (-inf, nan), (4.0, 0.5), (0.25, 2.0)]),
        (Sin, &[(0.0, 0.0), (-0.0, -0.0), (inf, nan), (-inf, nan), (tiny, tiny), (-tiny, -tiny)]),
        (Cos, &[(0.0, 1.0), (-0.0, 1.0), (inf, nan), (-inf, nan), (tiny, 1.0)]),
        (Tan, &[(0.0, 0.0), (-0.0, -0.0), (inf, nan), (-inf, nan), (tiny, tiny), (-tiny, -tiny)]),
        (Asin, &[(0.0, 0.0), (-0.0, -0.0), (1.0, half_pi), (-1.0, -half_pi), (1.5, nan), (-inf, nan), (tiny, tiny)]),
        (Acos, &[(1.0, 0.0), (-1.0, pi), (0.0, half_pi), (1.5, nan), (-1.5, nan), (inf, nan)]),
        (Atan, &[(0.0, 0.0), (-0.0, -0.0), (inf, half_pi), (-inf, -half_pi),
            (1e30, half_pi), (tiny, tiny), (-tiny, -tiny)]),
        (Lgamma, &[(1.0, 0.0), (2.0, 0.0), (0.0, inf), (-0.0, inf), (-3.0, inf), (inf, inf), (-inf, inf)]),
        (Digamma, &[(0.0, -inf), (-0.0, inf), (-2.0, nan), (inf, inf)]),
        (Erfinv, &[(0.0, 0.0), (-0.0, -0.0), (1.0, inf), (-1.0, -inf), (1.5, nan), (tiny, tiny), (-inf, nan)]),
        (GeluSlope, &[(0.0, 0.5), (-0.0, 0.5), (inf, nan), (-inf, nan), (1e30, 1.0), (-1e30, 0.0)]),
        (GeluTanhSlope, &[(0.0, 0.5), (-0.0, 0.5), (inf, nan), (-inf, nan), (1e30, 1.0), (-1e30, 0.0)]),
        (SiluSlope, &[(0.0, 0.5), (-0.0, 0.5), (inf, nan), (-inf, nan), (1e30, 1.0), (-1e30, -0.0)]),
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
