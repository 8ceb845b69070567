//! Softmax, cosine and sine in single precision, to the last rounding. Where Hugging Face computes these in f32 whatever the model's
//! dtype (the weights of attention in its vision transformer and its Llama, the tables of rotary positions), the published outputs of a
//! model in f64 have those roundings in them, and exact functions agree with them to 1e-7 only. So a model in f64 that is only looked
//! at rounds where the reference does: exponential, cosine and sine are Sleef's (within one unit of the last place), sums are in the
//! order of PyTorch with AVX-512, and there is one division for a row. Source: Shibata and Petrogalli 2020 (arXiv:2001.09258).

use gradus_autograd::Var;
use gradus_autograd::functional::{Attention, scaled_dot_product_attention};
use gradus_tensor::{DType, Result, Tensor};

/// Numbers side by side in one step.
const LANES: usize = 16;

/// Attention of q (B, nh, T, hs) to k and v (B, nkv, S, hs): (B, nh, T, hs), with weights in f32. The exact one where gradients are
/// recorded, where weights are dropped or something is added to the scores, and in every other dtype.
pub(super) fn attention(q: &Var, k: &Var, v: &Var, options: &Attention) -> Result<Var> {
    let only_looked_at = ![q, k, v].iter().any(|x| x.is_tracked()) && options.dropout_p == 0.0;
    let seen = match &options.mask {
        None if options.is_causal => {
            Some(Tensor::ones([q.dim(-2)?, k.dim(-2)?], DType::Bool)?.tril(0)?)
        }
        mask => mask.clone(),
    };
    let added = options.bias.is_some() || seen.as_ref().is_some_and(|m| m.dtype() != DType::Bool);
    if q.dtype() != DType::F64 || !only_looked_at || added {
        return scaled_dot_product_attention(q, k, v, options);
    }
    let q = q.unflatten(1, [k.dim(1)? as isize, -1])?; // (B, nkv, nh / nkv, T, hs)
    let (k, v) = (k.unsqueeze(2)?, v.unsqueeze(2)?); // (B, nkv, 1, S, hs)
    let scale = options.scale.unwrap_or(1.0 / (q.dim(-1)? as f64).sqrt());
    let scores = q.matmul(&k.transpose(-2, -1)?)?.mul_scalar(scale)?; // (B, nkv, nh / nkv, T, S)
    let scores = match seen {
        Some(seen) => scores
            .value()
            .masked_fill(&seen.logical_not()?, f64::NEG_INFINITY)?,
        None => scores.value().clone(),
    };
    Var::from(softmax(&scores)?).matmul(&v)?.flatten(1, 2)
}

/// The softmax of f64 scores (…, S) along the last dimension, computed in f32.
fn softmax(scores: &Tensor) -> Result<Tensor> {
    let width = scores.dims().last().copied().unwrap_or(1).max(1);
    let mut weights = scores.to_vec::<f64>()?;
    for row in weights.chunks_exact_mut(width) {
        let single: Vec<f32> = row.iter().map(|&x| x as f32).collect();
        let largest = single.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f32> = single.iter().map(|x| exp(x - largest)).collect();
        let share = 1.0 / sum(&powers);
        for (weight, power) in row.iter_mut().zip(&powers) {
            *weight = f64::from(power * share);
        }
    }
    Tensor::from_vec(weights, scores.shape())
}

/// `eˣ` for x up to 0: x is a multiple of ln 2, in two parts, and a rest for a polynomial.
fn exp(x: f32) -> f32 {
    if x < -104.0 {
        return 0.0;
    }
    let twos = (x * std::f32::consts::LOG2_E).round_ties_even();
    let rest = twos.mul_add(-0.693_145_75, x);
    let rest = twos.mul_add(-1.428_606_8e-6, rest);
    let mut y = 0.000_198_527_62_f32;
    for c in [
        0.001_393_043_6,
        0.008_333_361,
        0.041_666_485,
        0.166_666_67,
        0.5,
    ] {
        y = y.mul_add(rest, c);
    }
    let y = 1.0 + (rest * rest).mul_add(y, rest);
    // In two steps: the power of two alone may be too small for f32, the product is not.
    let half = (twos / 2.0).floor();
    y * half.exp2() * (twos - half).exp2()
}

/// Beyond this angle, in radians, Sleef divides by π in another manner; the nearest f32 is as good a value.
const LARGEST_ANGLE: f32 = 125.0;
/// π in three parts, each short enough that its product with a small whole number is nearly exact.
const PI_PARTS: [f32; 3] = [3.141_479_5, 0.000_113_159_42, 1.984_187_3e-9];

/// `cos x`: x is an odd multiple of π / 2 and a rest, whose sine it is.
pub(super) fn cos(x: f32) -> f32 {
    if x.abs() > LARGEST_ANGLE {
        return f64::from(x).cos() as f32;
    }
    let turns = x.mul_add(std::f32::consts::FRAC_1_PI, -0.5);
    let halves = 2.0_f32.mul_add(turns.round_ties_even(), 1.0); // x / (π / 2), odd
    let [high, middle, low] = PI_PARTS.map(|part| f64::from(halves * (-0.5 * part)));
    let y = sine_of_rest(f64::from(x) + high + middle + low);
    if halves as i32 & 2 == 0 { -y } else { y }
}

/// `sin x`: x is a multiple of π and a rest.
pub(super) fn sin(x: f32) -> f32 {
    if x.abs() > LARGEST_ANGLE {
        return f64::from(x).sin() as f32;
    }
    let turns = (x * std::f32::consts::FRAC_1_PI).round_ties_even();
    let [high, middle, low] = PI_PARTS;
    let rest = f64::from(turns.mul_add(-high, x));
    let y = sine_of_rest(rest + f64::from(turns * -middle) + f64::from(turns * -low));
    if turns as i32 & 1 == 0 { y } else { -y }
}

/// The sine of an angle up to π / 2. Sleef holds what matters in pairs of f32, here f64.
fn sine_of_rest(x: f64) -> f32 {
    let square = x * x;
    let s = square as f32;
    let y = 2.608_316e-6_f32
        .mul_add(s, -0.000_198_106_91)
        .mul_add(s, 0.008_333_079);
    let y = f64::from(-0.166_666_6_f32) + f64::from(y * s);
    (x * (1.0 + y * square)) as f32
}

/// The sum of a row: 16 lanes, folded in halves; shorter rows number by number.
fn sum(x: &[f32]) -> f32 {
    if x.len() < LANES {
        return x
            .iter()
            .skip(1)
            .fold(x.first().copied().unwrap_or(0.0), |sum, x| sum + x);
    }
    let mut lanes = [0.0; LANES];
    lanes.copy_from_slice(&x[..LANES]);
    for group in x[LANES..].chunks(LANES) {
        for (lane, x) in lanes.iter_mut().zip(group) {
            *lane += x;
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use std::f32::consts;

    use super::*;
    use gradus_tensor::DType;
    use gradus_tensor::random::TorchRng;

    /// The bits of the first and last weight of `torch.softmax(8 * torch.rand(n), 0)`, seeded with n.
    #[test]
    fn weights_are_the_references_to_the_last_bit() -> Result<()> {
        for (n, first, last) in BITS {
            let x = TorchRng::manual_seed(n as u64).rand([n], DType::F32)?;
            let x = x.mul_scalar(8.0)?.to_dtype(DType::F64)?;
            let got = softmax(&x)?.to_vec::<f64>()?;
            let bits = |x: f64| (x as f32).to_bits();
            assert_eq!((bits(got[0]), bits(got[n - 1])), (first, last), "{n}");
        }
        Ok(())
    }

    /// `torch.cos` and `torch.sin` of angles in f32.
    #[test]
    fn cosines_and_sines_are_the_references_to_the_last_bit() {
        for (x, cosine, sine) in ANGLES {
            assert_eq!((cos(x).to_bits(), sin(x).to_bits()), (cosine, sine), "{x}");
            assert_eq!((cos(-x), sin(-x)), (cos(x), -sin(x)));
        }
        for i in 0..20_000 {
            let x = i as f32 * 0.0123;
            let (exact_cos, exact_sin) = (f64::from(x).cos(), f64::from(x).sin());
            assert!((f64::from(cos(x)) - exact_cos).abs() < 1e-7, "{x}");
            assert!((f64::from(sin(x)) - exact_sin).abs() < 1e-7, "{x}");
        }
    }

    /// Weights of a decoder with shared keys: as the exact ones to f32, and exact ones where gradients are recorded.
    #[test]
    fn attention_rounds_where_it_is_only_looked_at() -> Result<()> {
        let part = |seed, heads: usize| {
            let x = TorchRng::manual_seed(seed).rand([2, heads, 5, 8], DType::F32)?;
            x.to_dtype(DType::F64)
        };
        let (q, k, v) = (part(1, 4)?, part(2, 2)?, part(3, 2)?);
        for is_causal in [false, true] {
            let options = Attention {
                is_causal,
                enable_gqa: true,
                ..Attention::default()
            };
            let var = Var::from;
            let exact = attention(
                &Var::leaf(q.clone())?,
                &var(k.clone()),
                &var(v.clone()),
                &options,
            )?;
            let rounded = attention(&var(q.clone()), &var(k.clone()), &var(v.clone()), &options)?;
            let error = exact.value().sub(rounded.value())?.abs()?.to_vec::<f64>()?;
            assert!(
                error.iter().all(|&e| e < 1e-6) && error.iter().any(|&e| e > 1e-12),
                "{error:?}"
            );
        }
        Ok(())
    }

    #[rustfmt::skip]
    const ANGLES: [(f32, u32, u32); 16] = [
        (0.0, 0x3f800000, 0x00000000),
        (0.015, 0x3f7ff8a1, 0x3c75c033),
        (0.1, 0x3f7eb898, 0x3dcc7577),
        (0.5, 0x3f60a940, 0x3ef57744),
        (consts::FRAC_PI_4, 0x3f3504f3, 0x3f3504f3),
        (1.0, 0x3f0a5141, 0x3f576aa4),
        (consts::FRAC_PI_2, 0xb33bbd2e, 0x3f800000),
        (2.0, 0xbed51133, 0x3f68c7b7),
        (3.0, 0xbf7d7026, 0x3e1081c3),
        (consts::PI, 0xbf800000, 0xb3bbbd2e),
        (5.0, 0x3e913c2c, 0xbf757c10),
        (consts::TAU, 0x3f800000, 0x343bbd2e),
        (9.0, 0xbf693fd5, 0x3ed30132),
        (12.0, 0x3f5806d0, 0xbf095cd8),
        (15.0, 0xbf427ae8, 0x3f267944),
        (100.0, 0x3f5cc0ee, 0xbf01a12e),
    ];

    const BITS: [(usize, u32, u32); 11] = [
        (1, 0x3f800000, 0x3f800000),
        (3, 0x3da07b18, 0x3f3ed395),
        (9, 0x3cff2595, 0x3b618b9d),
        (15, 0x3b1718be, 0x3ed2c390),
        (16, 0x3a12b4bc, 0x3ce3c1ea),
        (17, 0x3ce528b8, 0x3a637b3a),
        (31, 0x3a3b5e26, 0x3d29a308),
        (33, 0x3c50e768, 0x3b4988ce),
        (65, 0x3e0cba15, 0x3d7543ec),
        (197, 0x385632b0, 0x3b39b2c4),
        (577, 0x3afd0e41, 0x3c32de3b),
    ];
}
