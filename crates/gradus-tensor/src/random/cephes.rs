//! `log`, `sin` and `cos` of f32 in a fixed order of multiplications and additions: the same bits on every machine.
//!
//! What it is: the Cephes polynomials as PyTorch's AVX2 path evaluates them when it fills a tensor with normal numbers. With
//! `FUSED`, products and sums are fused where PyTorch's compiler fuses them, and [`crate::random::TorchRng`] agrees bit for bit;
//! without, they are not (a machine with no such instruction would be slow), and [`crate::random::Rng`] uses that. What it is
//! not: the mathematics of the framework; that is gradus-simd's, which is more accurate.
//!
//! Source: S. Moshier's Cephes library (`logf`, `sinf`, `cosf`), by way of J. Pommier's and G. Garberoglio's
//! `avx_mathfun`.

/// `a * b + c`, rounded once if `FUSED` and twice if not.
#[inline(always)]
fn mul_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Natural logarithm of a positive normal number.
#[inline(always)]
pub(super) fn log<const FUSED: bool>(x: f32) -> f32 {
    let bits = x.max(f32::MIN_POSITIVE).to_bits();
    let mut e = ((bits >> 23) as i32 - 127) as f32 + 1.0;
    let mut x = f32::from_bits((bits & 0x807F_FFFF) | 0x3F00_0000); // the mantissa, in [0.5, 1)
    if x < std::f32::consts::FRAC_1_SQRT_2 {
        e -= 1.0;
        x = (x - 1.0) + x;
    } else {
        x -= 1.0;
    }
    let z = x * x;
    let mut y = 7.0376836292E-2f32;
    for c in [
        -1.1514610310E-1,
        1.1676998740E-1,
        -1.2420140846E-1,
        1.4249322787E-1,
        -1.6668057665E-1,
        2.0000714765E-1,
        -2.4999993993E-1,
        3.3333331174E-1,
    ] {
        y = mul_add::<FUSED>(y, x, c);
    }
    y = mul_add::<FUSED>(y * x, z, e * -2.12194440e-4);
    y = mul_add::<FUSED>(z, -0.5, y);
    mul_add::<FUSED>(e, 0.693359375, x + y)
}

/// (sin x, cos x) for x >= 0, good below 8192.
#[inline(always)]
pub(super) fn sin_cos<const FUSED: bool>(x: f32) -> (f32, f32) {
    // The octant, rounded up to an even number; then Cody and Waite's reduction by three pieces of pi/4.
    let octant = ((x * 1.27323954473516) as i32 + 1) & !1;
    let y = octant as f32;
    let x = mul_add::<FUSED>(y, -0.78515625, x);
    let x = mul_add::<FUSED>(y, -2.4187564849853515625e-4, x);
    let x = mul_add::<FUSED>(y, -3.77489497744594108e-8, x);
    let z = x * x;
    let mut cos = 2.443315711809948E-005f32;
    cos = mul_add::<FUSED>(cos, z, -1.388731625493765E-003);
    cos = mul_add::<FUSED>(cos, z, 4.166664568298827E-002);
    cos = mul_add::<FUSED>(cos * z, z, -(z * 0.5)) + 1.0;
    let mut sin = -1.9515295891E-4f32;
    sin = mul_add::<FUSED>(sin, z, 8.3321608736E-3);
    sin = mul_add::<FUSED>(sin, z, -1.6666654611E-1);
    sin = mul_add::<FUSED>(sin * z, x, x);
    let (s, c) = if octant & 2 == 0 {
        (sin, cos)
    } else {
        (cos, sin)
    };
    let s = if octant & 4 == 0 { s } else { -s };
    let c = if (octant - 2) & 4 == 0 { -c } else { c };
    (s, c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const FUSED: bool>() {
        for i in 1..100_000 {
            let x = i as f32 * 1e-5;
            let exact = f64::from(x).ln();
            assert!(
                (f64::from(log::<FUSED>(x)) - exact).abs() < 1e-6 * exact.abs().max(0.1),
                "{x}"
            );
            let (s, c) = sin_cos::<FUSED>(x * 6.3);
            let (es, ec) = f64::from(x * 6.3).sin_cos();
            assert!(
                (f64::from(s) - es).abs() < 2e-7 && (f64::from(c) - ec).abs() < 2e-7,
                "{x}"
            );
        }
    }

    #[test]
    fn close_to_the_exact_functions() {
        check::<true>();
        check::<false>();
    }
}
