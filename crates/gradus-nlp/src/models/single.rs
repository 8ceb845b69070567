//! Softmax in single precision, to the last rounding. Where Hugging Face computes the weights of attention in f32 whatever the model's
//! dtype, as in its vision transformer, the published outputs of a model in f64 have those roundings in them, and an exact softmax
//! agrees with them to 1e-7 only. So a model in f64 that is only looked at rounds where the reference does: the exponential is Sleef's
//! (`expf`, within one unit of the last place), sums are in the order of PyTorch with AVX-512, and there is one division for a row.

use gradus_tensor::{Result, Tensor};

/// Numbers side by side in one step.
const LANES: usize = 16;

/// The softmax of f64 scores (…, S) along the last dimension, computed in f32.
pub(super) fn softmax(scores: &Tensor) -> Result<Tensor> {
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
