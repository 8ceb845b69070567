//! PyTorch's CPU generator, bit for bit: `torch.manual_seed` and what follows it.
//!
//! What it is: the Mersenne Twister and, on top of it, the very transformations PyTorch applies on an x86 CPU, so that a
//! published notebook that starts with `torch.manual_seed(…)` or `torch.Generator().manual_seed(…)` can be a test here. What it is not: fast
//! (PyTorch's is serial too) or PyTorch's GPU generator.
//!
//! Source: PyTorch's `CPUGeneratorImpl.cpp`, `DistributionTemplates.h`, `TransformationHelper.h`, `TensorFactories.cpp`
//! (`randperm`) and `Distributions.cpp` (`multinomial`); the numbers in the tests are PyTorch 2.15's.

use super::cephes;
use super::mt19937::{Mt19937, N};
use half::{bf16, f16};

/// Bytes of `torch.get_rng_state()`.
const STATE_BYTES: usize = 5056;

/// PyTorch's CPU generator.
///
/// ```
/// use gradus_tensor::random::TorchRng;
/// let mut g = TorchRng::manual_seed(137);
/// assert_eq!([g.next_u32(), g.next_u32(), g.next_u32()], [4053805790, 2173880614, 380293709]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct TorchRng {
    seed: u64,
    engine: Mt19937,
    /// The second number of the last scalar Box–Muller pair, if not yet used.
    next_normal: Option<f64>,
}

impl TorchRng {
    /// `torch.Generator().manual_seed(seed)`.
    pub fn manual_seed(seed: u64) -> Self {
        Self {
            seed,
            engine: Mt19937::new(seed as u32),
            next_normal: None,
        }
    }

    /// The seed it started from.
    pub fn initial_seed(&self) -> u64 {
        self.seed
    }

    /// 32 uniform bits.
    pub fn next_u32(&mut self) -> u32 {
        self.engine.next_u32()
    }

    /// 64 uniform bits: the first word is the high one.
    pub fn next_u64(&mut self) -> u64 {
        let high = self.next_u32();
        u64::from(high) << 32 | u64::from(self.next_u32())
    }

    /// One f32 in [0, 1), a multiple of 2^-24.
    pub fn uniform_f32(&mut self) -> f32 {
        (self.next_u32() & 0xFF_FFFF) as f32 * (1.0 / 16_777_216.0)
    }

    /// One f64 in [0, 1), a multiple of 2^-53.
    pub fn uniform_f64(&mut self) -> f64 {
        (self.next_u64() & ((1 << 53) - 1)) as f64 * (1.0 / 9_007_199_254_740_992.0)
    }

    /// One standard normal number; every second call uses what the first left over.
    pub fn normal_f64(&mut self) -> f64 {
        if let Some(x) = self.next_normal.take() {
            return x;
        }
        let (u1, u2) = (self.uniform_f64(), self.uniform_f64());
        let radius = (-2.0 * (-u2).ln_1p()).sqrt();
        let theta = 2.0 * std::f64::consts::PI * u1;
        self.next_normal = Some(radius * theta.sin());
        radius * theta.cos()
    }

    /// One number of the exponential distribution with rate `lambda`.
    pub fn exponential_f64(&mut self, lambda: f64) -> f64 {
        -1.0 / lambda * (-self.uniform_f64()).ln_1p()
    }

    /// `tensor.uniform_(from, to)`.
    pub fn fill_uniform<T: TorchFloat>(&mut self, out: &mut [T], from: f64, to: f64) {
        T::fill_uniform(self, out, from, to);
    }

    /// `tensor.normal_(mean, std)` on a contiguous tensor: from 16 elements on in groups of 16, with the last 16 drawn anew when
    /// the length is not a multiple of 16; below, one by one in double precision.
    pub fn fill_normal<T: TorchFloat>(&mut self, out: &mut [T], mean: f64, std: f64) {
        if out.len() < 16 {
            for y in out {
                *y = T::from_f64(self.normal_f64() * std + mean);
            }
            return;
        }
        T::fill_normal_16s(self, out, mean, std);
    }

    /// `tensor.exponential_(lambda)`.
    pub fn fill_exponential<T: TorchFloat>(&mut self, out: &mut [T], lambda: f64) {
        for y in out {
            *y = T::from_f64(self.exponential_f64(lambda));
        }
    }

    /// `torch.randint(low, high, …)`: integers in [`low`, `high`); nothing but `low` when the interval is empty.
    pub fn fill_int(&mut self, out: &mut [i64], low: i64, high: i64) {
        let range = (high.wrapping_sub(low) as u64).max(1);
        for y in out {
            // A small range takes 32 bits (with the modulo's small bias), as in PyTorch.
            let w = if range >= 1 << 28 {
                self.next_u64()
            } else {
                u64::from(self.next_u32())
            };
            *y = ((w % range) as i64).wrapping_add(low);
        }
    }

    /// `torch.randperm(n)`.
    pub fn permutation(&mut self, n: usize) -> Vec<i64> {
        let mut order: Vec<i64> = (0..n as i64).collect();
        let small = n < u32::MAX as usize / 20;
        for i in 0..n.saturating_sub(1) {
            let w = if small {
                u64::from(self.next_u32())
            } else {
                self.next_u64()
            };
            order.swap(i, i + (w % (n - i) as u64) as usize);
        }
        order
    }

    /// `torch.multinomial(weights, draws, replacement)` of one row. `None` when the weights are negative, not finite, all zero,
    /// or, without replacement, fewer than the draws.
    ///
    /// PyTorch draws one sample, or several without replacement, as the largest `p / q` with `q` exponential; several with replacement, by
    /// bisection of the cumulated weights.
    pub fn multinomial_row<T: TorchFloat>(
        &mut self,
        weights: &[T],
        draws: usize,
        replacement: bool,
    ) -> Option<Vec<i64>> {
        let w: Vec<f64> = weights.iter().map(|w| w.to_f64()).collect();
        let total: f64 = w.iter().sum();
        let bad = !total.is_finite() || total <= 0.0 || w.iter().any(|&w| w < 0.0);
        if bad || (!replacement && draws > w.len()) {
            return None;
        }
        if draws == 1 || !replacement {
            let mut q = vec![T::from_f64(0.0); w.len()];
            self.fill_exponential(&mut q, 1.0);
            let score: Vec<f64> = weights
                .iter()
                .zip(&q)
                .map(|(&p, &q)| T::div(p, q).to_f64())
                .collect();
            let mut order: Vec<i64> = (0..w.len() as i64).collect();
            order.sort_by(|&a, &b| score[b as usize].total_cmp(&score[a as usize])); // stable: the first of equals
            order.truncate(draws);
            return Some(order);
        }
        let cumulated = T::cumulated(weights);
        Some(
            (0..draws)
                .map(|_| {
                    let u = self.uniform_f64();
                    (cumulated.partition_point(|&c| c < u) as i64).min(w.len() as i64 - 1)
                })
                .collect(),
        )
    }

    /// `torch.get_rng_state()` / `generator.get_state()`: 5,056 bytes in PyTorch's layout.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut b = Vec::with_capacity(STATE_BYTES);
        b.extend(self.seed.to_le_bytes());
        b.extend((self.engine.left as u32).to_le_bytes());
        b.extend(1u32.to_le_bytes()); // "seeded"
        b.extend((self.engine.next as u64).to_le_bytes());
        for w in self.engine.state {
            b.extend(u64::from(w).to_le_bytes());
        }
        b.extend(0f64.to_le_bytes()); // normal_x, of old versions
        b.extend(self.next_normal.unwrap_or(0.0).to_le_bytes());
        b.extend(0f64.to_le_bytes()); // normal_rho, of old versions
        b.extend(u64::from(self.next_normal.is_some()).to_le_bytes());
        b.resize(STATE_BYTES, 0); // the cached f32 normal, which no CPU path uses
        b
    }

    /// `torch.set_rng_state(bytes)`; `None` when the bytes are not such a state.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != STATE_BYTES {
            return None;
        }
        let word =
            |i: usize| u64::from_le_bytes(bytes[8 * i..8 * i + 8].try_into().unwrap_or_default());
        let mut state = [0u32; N];
        for (i, s) in state.iter_mut().enumerate() {
            *s = u32::try_from(word(3 + i)).ok()?;
        }
        let (left, next) = ((word(1) as u32) as usize, usize::try_from(word(2)).ok()?);
        // Between refills the two move together: `next + left` is N, but for the freshly seeded (0, 1).
        if !((1..=N).contains(&left) && ((next, left) == (0, 1) || next + left == N + 1)) {
            return None;
        }
        let next_normal = (word(3 + N + 3) as u32 != 0).then(|| f64::from_bits(word(3 + N + 1)));
        Some(Self {
            seed: word(0),
            engine: Mt19937 { state, next, left },
            next_normal,
        })
    }
}

/// The element types PyTorch's CPU generator fills: `f16`, `bf16`, `f32` and `f64`.
pub trait TorchFloat: Copy + private::Fill {}
impl<T: Copy + private::Fill> TorchFloat for T {}

mod private {
    use super::*;

    /// How each type is filled; sealed.
    pub trait Fill: Copy {
        fn from_f64(x: f64) -> Self;
        fn to_f64(self) -> f64;
        fn div(p: Self, q: Self) -> Self;
        /// Running sums divided by the last, all in this type.
        fn cumulated(weights: &[Self]) -> Vec<f64>;
        fn fill_uniform(g: &mut TorchRng, out: &mut [Self], from: f64, to: f64);
        fn fill_normal_16s(g: &mut TorchRng, out: &mut [Self], mean: f64, std: f64);
    }

    /// The common part of f32 and f64.
    macro_rules! native {
        ($t:ty, $uniform:ident, $sixteen:ident) => {
            impl Fill for $t {
                fn from_f64(x: f64) -> Self {
                    x as $t
                }
                fn to_f64(self) -> f64 {
                    f64::from(self)
                }
                fn div(p: Self, q: Self) -> Self {
                    p / q
                }
                fn cumulated(weights: &[Self]) -> Vec<f64> {
                    let mut sum = 0.0;
                    let sums: Vec<$t> = weights
                        .iter()
                        .map(|w| {
                            sum += w;
                            sum
                        })
                        .collect();
                    sums.iter().map(|s| f64::from(s / sum)).collect()
                }
                fn fill_uniform(g: &mut TorchRng, out: &mut [Self], from: f64, to: f64) {
                    let (from, to) = (from as $t, to as $t);
                    for y in out {
                        let x = g.$uniform() * (to - from) + from;
                        *y = if x == to { from } else { x };
                    }
                }
                fn fill_normal_16s(g: &mut TorchRng, out: &mut [Self], mean: f64, std: f64) {
                    let n = out.len();
                    g.fill_uniform(out, 0.0, 1.0);
                    for group in out.chunks_exact_mut(16) {
                        $sixteen(group, mean as $t, std as $t);
                    }
                    if n % 16 != 0 {
                        let last = &mut out[n - 16..];
                        g.fill_uniform(last, 0.0, 1.0);
                        $sixteen(last, mean as $t, std as $t);
                    }
                }
            }
        };
    }
    native!(f32, uniform_f32, box_muller_16_f32);
    native!(f64, uniform_f64, box_muller_16_f64);

    /// The two halves compute in f32 and round once.
    macro_rules! half {
        ($t:ty) => {
            impl Fill for $t {
                fn from_f64(x: f64) -> Self {
                    <$t>::from_f32(x as f32)
                }
                fn to_f64(self) -> f64 {
                    <$t>::to_f64(self)
                }
                fn div(p: Self, q: Self) -> Self {
                    p / q
                }
                fn cumulated(weights: &[Self]) -> Vec<f64> {
                    let mut sum = <$t>::ZERO;
                    let sums: Vec<$t> = weights
                        .iter()
                        .map(|w| {
                            sum += *w;
                            sum
                        })
                        .collect();
                    sums.iter().map(|s| (*s / sum).to_f64()).collect()
                }
                fn fill_uniform(g: &mut TorchRng, out: &mut [Self], from: f64, to: f64) {
                    let (from, to) = (from as f32, to as f32);
                    let (lowest, end) = (<$t>::from_f32(from), <$t>::from_f32(to));
                    for y in out {
                        let x = <$t>::from_f32(g.uniform_f32() * (to - from) + from);
                        *y = if x == end { lowest } else { x };
                    }
                }
                fn fill_normal_16s(g: &mut TorchRng, out: &mut [Self], mean: f64, std: f64) {
                    let n = out.len();
                    let mut group = |y: &mut [$t]| {
                        let mut x = [0f32; 16];
                        g.fill_uniform(&mut x, 0.0, 1.0);
                        box_muller_16_f32(&mut x, mean as f32, std as f32);
                        for (y, x) in y.iter_mut().zip(x) {
                            *y = <$t>::from_f32(x);
                        }
                    };
                    out.chunks_exact_mut(16).for_each(&mut group);
                    if n % 16 != 0 {
                        group(&mut out[n - 16..]);
                    }
                }
            }
        };
    }
    half!(f16);
    half!(bf16);
}

/// Sixteen uniforms to sixteen normals: element `i` pairs with `i + 8`.
fn box_muller_16_f32(x: &mut [f32], mean: f32, std: f32) {
    for i in 0..8 {
        let radius = (-2.0 * cephes::log::<true>(1.0 - x[i])).sqrt();
        let (sin, cos) = cephes::sin_cos::<true>((2.0 * std::f64::consts::PI) as f32 * x[i + 8]);
        x[i] = (radius * cos).mul_add(std, mean);
        x[i + 8] = (radius * sin).mul_add(std, mean);
    }
}

fn box_muller_16_f64(x: &mut [f64], mean: f64, std: f64) {
    for i in 0..8 {
        let radius = (-2.0 * (1.0 - x[i]).ln()).sqrt();
        let theta = 2.0 * std::f64::consts::PI * x[i + 8];
        x[i] = (radius * theta.cos()).mul_add(std, mean);
        x[i + 8] = (radius * theta.sin()).mul_add(std, mean);
    }
}

#[cfg(test)]
#[path = "torch_rng_tests.rs"]
mod tests;
