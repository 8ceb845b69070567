//! The exact reduction of a huge angle: x modulo π/2 for any finite `f64`, in integers.
//!
//! Of x · 2/π only the two bits above the point and what follows matter, so the product is taken with a window of the
//! bits of 2/π that starts where the multiples of 4 end (Payne and Hanek, "Radian reduction for trigonometric
//! functions", SIGNUM Newsletter, 1983). What it is not: fast; it serves |x| > 65536, one lane at a time.

/// The bits of 2/π after the point, most significant first, after one word of zeros.
const TWO_OVER_PI: [u64; 21] = [
    0,
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
    0xe88235f52ebb4484,
    0xe99c7026b45f7e41,
    0x3991d639835339f4,
    0x9c845f8bbdf9283b,
    0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f,
    0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab,
    0xf0cfbc209af4361d,
];

/// 64 bits of the table from bit `at`.
fn window(at: usize) -> u64 {
    let (word, shift) = (at / 64, at % 64);
    let next = if shift == 0 {
        0
    } else {
        TWO_OVER_PI[word + 1] >> (64 - shift)
    };
    TWO_OVER_PI[word] << shift | next
}

/// The quadrant n modulo 4 and r = x - n π/2 as a pair, |r| <= π/4; NaN for what is not finite. Wants |x| >= 2^15.
pub(super) fn reduce(x: f64) -> (u32, f64, f64) {
    if !x.is_finite() {
        return (0, f64::NAN, f64::NAN);
    }
    let bits = x.abs().to_bits();
    let exponent = (bits >> 52) as i32 - 1075; // |x| = mantissa 2^exponent
    let mantissa = u128::from(bits & ((1 << 52) - 1) | 1 << 52);
    // The first bit of 2/π that counts has weight 2 in the product: bit number exponent - 1, counted from 1.
    let at = (exponent - 2 + 64) as usize;
    let words = [window(at), window(at + 64), window(at + 128)];
    // (mantissa · window) modulo 2^192: two bits of quadrant, 190 of fraction
    let low = mantissa * u128::from(words[2]);
    let middle = mantissa * u128::from(words[1]) + (low >> 64);
    let high = (mantissa * u128::from(words[0]) + (middle >> 64)) as u64;
    let mut quadrant = (high >> 62) as u32;
    // The fraction's first 126 bits, as a signed multiple of 2^-128, nearest to 0.
    let fraction = (u128::from(high << 2 | (middle as u64) >> 62) << 64)
        | u128::from((middle as u64) << 2 | (low as u64) >> 62);
    let rounded_up = fraction >> 127 == 1;
    let magnitude = if rounded_up {
        fraction.wrapping_neg()
    } else {
        fraction
    };
    quadrant = (quadrant + u32::from(rounded_up)) % 4;
    // As a pair of floats: the top 53 bits, and the rest (exact: no more than 75 bits, of which 53 are plenty).
    let shift = (128 - magnitude.leading_zeros()).saturating_sub(53);
    let top = magnitude >> shift << shift;
    let unit = 2f64.powi(-128);
    let (hi, lo) = (top as f64 * unit, (magnitude - top) as f64 * unit);
    // times π/2
    let (pi_hi, pi_lo) = (std::f64::consts::FRAC_PI_2, 6.123233995736766e-17);
    let product = hi * pi_hi;
    let rest = hi.mul_add(pi_hi, -product) + hi.mul_add(pi_lo, lo * pi_hi);
    let (r_hi, r_lo) = (product + rest, rest - ((product + rest) - product));
    if rounded_up == (x > 0.0) {
        // r has the sign of x, or the other where it was rounded up
        (
            if x > 0.0 {
                quadrant
            } else {
                (4 - quadrant) % 4
            },
            -r_hi,
            -r_lo,
        )
    } else {
        (
            if x > 0.0 {
                quadrant
            } else {
                (4 - quadrant) % 4
            },
            r_hi,
            r_lo,
        )
    }
}
