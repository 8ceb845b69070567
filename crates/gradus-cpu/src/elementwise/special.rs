//! The special functions the standard library lacks, in `f64`: erf, erfc, erfinv, lgamma, digamma.
//!
//! These are readable references (a series here, a continued fraction there), right to a few units in the last place
//! and not fast: the vector versions of erf and erfc are gradus-simd's.
//! Sources: Abramowitz & Stegun, Handbook of Mathematical Functions, 6 and 7; erfinv's starting value is the rational
//! approximation PyTorch uses (two Newton steps after it).

use std::f64::consts::{FRAC_2_SQRT_PI, PI};

/// The error function.
pub fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a.is_nan() {
        x
    } else if a < 2.0 {
        // erf(x) = 2/√π · e^(-x²) · Σ 2ⁿ x^(2n+1) / (1·3·…·(2n+1)): no cancellation, every term is positive.
        let (mut term, mut sum, mut n) = (a, a, 0.0);
        while term > sum * 1e-17 {
            n += 1.0;
            term *= 2.0 * a * a / (2.0 * n + 1.0);
            sum += term;
        }
        if a < 1e-150 {
            FRAC_2_SQRT_PI * x
        } else {
            (FRAC_2_SQRT_PI * (-a * a).exp() * sum).copysign(x)
        }
    } else {
        (1.0 - erfc(a)).copysign(x)
    }
}

/// 1 − erf(x).
pub fn erfc(x: f64) -> f64 {
    if x.is_nan() {
        x
    } else if x < 1.0 {
        1.0 - erf(x)
    } else if x > 27.3 {
        0.0
    } else {
        // e^(-x²)/√π · 1/(x + ½/(x + 1/(x + 3⁄2/(x + …)))), evaluated from the inside.
        let mut tail = x;
        for k in (1..=200).rev() {
            tail = x + f64::from(k) * 0.5 / tail;
        }
        // e^(-x²) with x² in two parts, or its error is that of x² times x².
        let square = x * x;
        let rest = x.mul_add(x, -square);
        (-square).exp() * (1.0 - rest) * (0.5 * FRAC_2_SQRT_PI) / tail
    }
}

/// The inverse of [`erf`]: NaN outside [−1, 1].
pub fn erfinv(y: f64) -> f64 {
    const A: [f64; 4] = [0.886226899, -1.645349621, 0.914624893, -0.140543331];
    const B: [f64; 4] = [-2.118377725, 1.442710462, -0.329097515, 0.012229801];
    const C: [f64; 4] = [-1.970840454, -1.624906493, 3.429567803, 1.641345311];
    const D: [f64; 2] = [3.543889200, 1.637067800];
    let a = y.abs();
    if a.is_nan() || a > 1.0 {
        return f64::NAN;
    }
    if a == 1.0 {
        return f64::INFINITY.copysign(y);
    }
    let mut x = if a <= 0.7 {
        let z = y * y;
        let top = ((A[3] * z + A[2]) * z + A[1]) * z + A[0];
        let bottom = (((B[3] * z + B[2]) * z + B[1]) * z + B[0]) * z + 1.0;
        y * top / bottom
    } else {
        let z = (-((1.0 - a) / 2.0).ln()).sqrt();
        let top = ((C[3] * z + C[2]) * z + C[1]) * z + C[0];
        let bottom = (D[1] * z + D[0]) * z + 1.0;
        top.copysign(y) / bottom
    };
    for _ in 0..3 {
        // Near ±1 the residual is taken on the side of erfc, which does not round to 1.
        let residual = if a <= 0.7 {
            erf(x) - y
        } else {
            ((1.0 - a) - erfc(x.abs())) * y.signum()
        };
        x -= residual / (FRAC_2_SQRT_PI * (-x * x).exp());
    }
    x
}

/// ζ(k) − 1 for k = 2, 3, ….
fn zeta_minus_one(k: i32) -> f64 {
    // Euler–Maclaurin from N = 24: Σ_{n=2}^{N-1} n^-k + N^(1-k)/(k-1) + N^-k/2 + k·N^(-k-1)/12 − ….
    let s = f64::from(k);
    let head: f64 = (2..24).rev().map(|n| f64::from(n).powi(-k)).sum();
    let n = 24f64;
    let tail = n.powi(1 - k) / (s - 1.0) + n.powi(-k) / 2.0 + s * n.powi(-k - 1) / 12.0
        - s * (s + 1.0) * (s + 2.0) * n.powi(-k - 3) / 720.0
        + s * (s + 1.0) * (s + 2.0) * (s + 3.0) * (s + 4.0) * n.powi(-k - 5) / 30240.0
        - s * (s + 1.0)
            * (s + 2.0)
            * (s + 3.0)
            * (s + 4.0)
            * (s + 5.0)
            * (s + 6.0)
            * n.powi(-k - 7)
            / 1209600.0;
    head + tail
}

/// ln Γ(2 + z) for |z| ≤ ½: z(1 − γ) + Σ_{k≥2} (−1)^k (ζ(k) − 1) z^k / k. Exact near its zero at z = 0.
fn lgamma_near_two(z: f64) -> f64 {
    use std::sync::OnceLock;
    static COEFFICIENTS: OnceLock<[f64; 30]> = OnceLock::new();
    const ONE_MINUS_GAMMA: f64 = 0.422_784_335_098_467_139_393_5;
    let c = COEFFICIENTS.get_or_init(|| {
        std::array::from_fn(|i| {
            let k = i as i32 + 2;
            zeta_minus_one(k) / f64::from(if k % 2 == 0 { k } else { -k })
        })
    });
    let series = c.iter().rev().fold(0.0, |sum: f64, &c| sum.mul_add(z, c));
    z * series.mul_add(z, ONE_MINUS_GAMMA)
}

/// ln |Γ(x)|: +∞ at 0 and the negative integers.
pub fn lgamma(x: f64) -> f64 {
    if x.is_nan() {
        x
    } else if x.is_infinite() {
        f64::INFINITY
    } else if x < 0.5 {
        if x == x.floor() {
            return f64::INFINITY;
        }
        if x.abs() < 1e-20 {
            return -x.abs().ln();
        }
        // Γ(x)Γ(1 − x) = π / sin(πx), with the argument of the sine reduced first.
        let sine = (PI * (x - x.round())).sin().abs();
        (PI / sine).ln() - lgamma(1.0 - x)
    } else if x < 1.5 {
        lgamma_near_two(x - 1.0) - (x - 1.0).ln_1p()
    } else if x < 8.0 {
        // Γ(x) = (x−1)(x−2)…·Γ(x − n), down to [1.5, 2.5).
        let (mut x, mut product) = (x, 1.0);
        while x >= 2.5 {
            x -= 1.0;
            product *= x;
        }
        product.ln() + lgamma_near_two(x - 2.0)
    } else {
        // Stirling's series.
        let r = 1.0 / (x * x);
        let series = [
            1.0 / 12.0,
            -1.0 / 360.0,
            1.0 / 1260.0,
            -1.0 / 1680.0,
            1.0 / 1188.0,
            -691.0 / 360360.0,
            1.0 / 156.0,
            -3617.0 / 122400.0,
        ]
        .iter()
        .rev()
        .fold(0.0, |sum: f64, &c| sum.mul_add(r, c));
        (x - 0.5).mul_add(x.ln(), -x) + 0.5 * (2.0 * PI).ln() + series / x
    }
}

/// The derivative of ln Γ: ∓∞ at ±0, NaN at the negative integers (as PyTorch).
pub fn digamma(x: f64) -> f64 {
    if x == 0.0 {
        return f64::INFINITY.copysign(-x);
    }
    if x < 0.0 {
        if x == x.floor() {
            return f64::NAN;
        }
        // ψ(1 − x) − ψ(x) = π / tan(πx)
        return digamma(1.0 - x) - PI / (PI * (x - x.trunc())).tan();
    }
    let (mut x, mut sum) = (x, 0.0);
    while x < 10.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    if x.is_infinite() || x.is_nan() {
        return x;
    }
    let r = 1.0 / (x * x);
    let series = [
        1.0 / 12.0,
        -1.0 / 120.0,
        1.0 / 252.0,
        -1.0 / 240.0,
        1.0 / 132.0,
        -691.0 / 32760.0,
        1.0 / 12.0,
    ]
    .iter()
    .rev()
    .fold(0.0, |sum: f64, &c| sum.mul_add(r, c));
    sum + x.ln() - 0.5 / x - series * r
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64) {
        assert!(
            (got - want).abs() <= 4e-15 * want.abs().max(1e-290),
            "{got:e} {want:e}"
        );
    }

    #[test]
    fn known_values() {
        close(erf(0.5), 0.520_499_877_813_046_5);
        close(erf(-1.0), -0.842_700_792_949_714_9);
        close(erf(3.0), 0.999_977_909_503_001_4);
        close(erfc(2.0), 4.677_734_981_047_266e-3);
        close(erfc(10.0), 2.088_487_583_762_545e-45);
        close(erfc(26.0), 5.663_192_408_856_143e-296);
        close(erf(1e-300), 1.128_379_167_095_512_6e-300);
        for y in [-0.99999, -0.9, -0.3, 1e-9, 0.1, 0.69, 0.71, 0.999_999_999] {
            let x = erfinv(y);
            assert!((erf(x) - y).abs() < 3e-16, "{y}");
        }
        close(lgamma(0.5), 0.572_364_942_924_700_1);
        close(lgamma(10.0), 12.801_827_480_081_469);
        close(lgamma(3.7), 1.428_072_326_665_388_2);
        close(lgamma(1.0 + 2f64.powi(-27)), -4.3005917874997554e-09);
        close(lgamma(2.0 - 2f64.powi(-27)), -3.1499887458674646e-09);
        close(lgamma(-0.5), 1.265_512_123_484_645_4);
        close(lgamma(100.0), 359.134_205_369_575_4);
        assert_eq!(lgamma(-3.0), f64::INFINITY);
        close(digamma(1.0), -0.577_215_664_901_532_9);
        close(digamma(0.25), -4.227_453_533_376_265);
        close(digamma(-1.5), 0.703_156_640_645_243_2);
        assert!(digamma(-1.0).is_nan());
        assert_eq!(digamma(0.0), f64::NEG_INFINITY);
    }
}
