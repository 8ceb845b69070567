//! The root-mean-square norm of Llama and T5 (Zhang and Sennrich 2019, arXiv:1910.07467), to the last rounding.
//!
//! Hugging Face computes the mean square in f32 even where the model is in f64 (for the sake of half precision), and its published
//! logits have those roundings in them: an exact norm agrees with them to 1e-7 only. So a model in f64 that is only looked at, as in a
//! comparison with the reference, rounds where the reference does, and adds in PyTorch's order. Where
//! gradients are recorded, and in every other dtype, the norm is [`functional::rms_norm`](gradus_autograd::functional::rms_norm).

use gradus_autograd::{Var, functional as F};
use gradus_nn::{Layer, Module, Param};
use gradus_tensor::{DType, Result, Tensor};

/// `x / √(mean(x²) + eps) · weight` over the last dimension: (…, C) to the same.
#[derive(Clone, Debug, Module)]
pub(super) struct RMSNorm {
    /// (C), ones at first.
    weight: Param,
    eps: f64,
    /// T5 rounds the mean square only, Llama all of `x / √…`.
    only_mean: bool,
}

impl RMSNorm {
    /// Llama's.
    pub fn llama(width: usize, eps: f64) -> Result<Self> {
        Ok(Self {
            weight: Param::new(Tensor::ones([width], DType::F32)?)?,
            eps,
            only_mean: false,
        })
    }

    /// T5's.
    pub fn t5(width: usize, eps: f64) -> Result<Self> {
        let only_mean = true;
        Ok(Self {
            only_mean,
            ..Self::llama(width, eps)?
        })
    }

    /// Rows of `width` numbers, rounded where the reference rounds.
    fn rounded(&self, x: &[f64], width: usize) -> Vec<f64> {
        let mut y = Vec::with_capacity(x.len());
        for row in x.chunks_exact(width) {
            let squares: Vec<f32> = row.iter().map(|&x| x as f32 * x as f32).collect();
            let mean = sum(&squares) / width as f32;
            let scale = 1.0 / (mean + self.eps as f32).sqrt();
            y.extend(row.iter().map(|&x| {
                if self.only_mean {
                    x * f64::from(scale)
                } else {
                    f64::from(x as f32 * scale)
                }
            }));
        }
        y
    }
}

impl Layer for RMSNorm {
    fn forward(&self, x: &Var) -> Result<Var> {
        let (weight, width) = (self.weight.var(), self.weight.numel());
        let fits = x.dims().last() == Some(&width) && width > 0;
        let normal = F::rms_norm(x, &[width], Some(weight), Some(self.eps));
        if x.dtype() != DType::F64 || !fits || normal.as_ref().is_ok_and(Var::is_tracked) {
            return normal;
        }
        let rows = self.rounded(&x.value().to_vec::<f64>()?, width);
        Var::from(Tensor::from_vec(rows, x.shape())?).mul(weight)
    }
}

/// Numbers side by side in one step: PyTorch adds with AVX2 even where it computes with AVX-512.
const LANES: usize = 8;
/// Sums kept beside each other, so that one need not wait for the other.
const BESIDE: usize = 4;

/// The sum of a row in PyTorch's order: 8 lanes, four sums of each beside one another, and these added in the end; shorter rows
/// number by number in the same manner. Source: `cascade_sum` in ATen's `SumKernel.cpp`.
fn sum(x: &[f32]) -> f32 {
    if x.len() < LANES {
        let row: Vec<[f32; 1]> = x.iter().map(|&x| [x]).collect();
        return row_sum(&row)[0];
    }
    let (lanes, rest) = x.as_chunks::<LANES>();
    let lanes = row_sum(lanes);
    rest.iter().chain(&lanes).fold(0.0, |sum, &x| sum + x)
}

fn row_sum<const N: usize>(x: &[[f32; N]]) -> [f32; N] {
    let (groups, rest) = x.as_chunks::<BESIDE>();
    let mut sums = cascade(groups);
    for x in rest {
        add(&mut sums[0], x);
    }
    let [mut first, others @ ..] = sums;
    for other in &others {
        add(&mut first, other);
    }
    first
}

/// Sums on four levels, so that no long row of small numbers is added to one large one.
fn cascade<const N: usize>(x: &[[[f32; N]; BESIDE]]) -> [[f32; N]; BESIDE] {
    const LEVELS: usize = 4;
    let log = x.len().next_power_of_two().trailing_zeros() as usize; // rounded up
    let power = (log / LEVELS).max(4);
    let step = 1 << power;
    let mut levels = [[[0.0; N]; BESIDE]; LEVELS];
    let whole = x.len() / step * step;
    for (i, group) in x.iter().enumerate() {
        for (sum, x) in levels[0].iter_mut().zip(group) {
            add(sum, x);
        }
        let done = i + 1;
        if done > whole || done % step != 0 {
            continue;
        }
        for level in 1..LEVELS {
            for k in 0..BESIDE {
                let below = std::mem::replace(&mut levels[level - 1][k], [0.0; N]);
                add(&mut levels[level][k], &below);
            }
            if done & ((step - 1) << (level * power)) != 0 {
                break;
            }
        }
    }
    let [mut first, others @ ..] = levels;
    for other in &others {
        for k in 0..BESIDE {
            add(&mut first[k], &other[k]);
        }
    }
    first
}

fn add<const N: usize>(sum: &mut [f32; N], x: &[f32; N]) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum += x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_the_references_to_the_last_bit() {
        // torch.rand(n, generator=torch.Generator().manual_seed(n)).sum() on x86.
        use gradus_tensor::random::TorchRng;
        for (n, expected) in SUMS {
            let x = TorchRng::manual_seed(n as u64)
                .rand([n], DType::F32)
                .unwrap();
            let got = sum(x.as_slice::<f32>().unwrap());
            assert_eq!(got.to_bits(), expected, "{n}: {got}");
        }
    }

    #[test]
    fn a_norm_in_f64_rounds_and_one_with_gradients_does_not() -> Result<()> {
        let mut norm = RMSNorm::llama(5, 1e-6)?;
        norm.to_dtype(DType::F64)?;
        let x = Tensor::from_slice(&[1.0, -2.0, 3.0, 0.1, 0.7], [1, 5])?;
        let exact = norm.forward(&Var::leaf(x.clone())?)?;
        let rounded = gradus_autograd::no_grad(|| norm.forward(&Var::from(x)))?;
        assert!(exact.is_tracked() && !rounded.is_tracked());
        let error = exact.value().sub(rounded.value())?.abs()?.to_vec::<f64>()?;
        assert!(
            error.iter().all(|&e| e < 1e-6) && error.iter().any(|&e| e > 1e-12),
            "{error:?}"
        );
        assert!(
            norm.forward(&Var::from(Tensor::ones([2, 4], DType::F64)?))
                .is_err()
        );
        Ok(())
    }

    const SUMS: [(usize, u32); 17] = [
        (1, 0x3f41f425),
        (3, 0x3eca95f6),
        (7, 0x403a8b0c),
        (15, 0x40f885bf),
        (16, 0x40f71a3b),
        (17, 0x40a8c5af),
        (31, 0x41732955),
        (32, 0x417dd44f),
        (48, 0x41d8fab3),
        (64, 0x4200cd8a),
        (100, 0x424d0158),
        (128, 0x4284ec6c),
        (768, 0x43c28f12),
        (1000, 0x43f66b31),
        (2048, 0x447a5fe3),
        (4096, 0x4501779c),
        (5000, 0x451ca752),
    ];
}
