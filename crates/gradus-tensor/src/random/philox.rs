//! Philox4x32-10: random numbers as a function of (seed, position).
//!
//! What it is: a counter-based generator. Block `k` of the stream of `seed` is ten rounds of a keyed bijection on a
//! 128-bit counter, so any element can be computed without the ones before it: fills are parallel, and
//! the numbers do not depend on the number of threads. What it is not: a cryptographic generator, or PyTorch's CPU
//! generator (that is [`crate::random::TorchRng`]).
//!
//! The bijection itself is gradus-cpu's ([`philox4x32`]); the known answers in the tests are those of its authors' library Random123.

use super::cephes;
use gradus_cpu::parallel;
use gradus_cpu::random::philox_blocks;
pub use gradus_cpu::random::philox4x32;

/// Where a [`Rng`] stands: all there is to save and restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RngState {
    /// The stream.
    pub seed: u64,
    /// The number of 128-bit blocks already consumed.
    pub offset: u64,
}

/// A seedable, counter-based random number generator (Philox4x32-10).
///
/// Two generators with the same [`RngState`] give the same numbers on every machine and for every number of
/// threads. The state is two integers, so a checkpoint keeps it exactly.
///
/// ```
/// use gradus_tensor::random::Rng;
/// let mut a = Rng::new(7);
/// let state = a.state();
/// let x = a.next_u64();
/// a.set_state(state);
/// assert_eq!(x, a.next_u64());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rng {
    state: RngState,
}

/// Elements filled by one task. A multiple of every `per_block`, so a block never straddles two tasks.
const CHUNK: usize = 1 << 14;

/// Blocks made at a time.
const BLOCKS: usize = 256;

impl Rng {
    /// The start of the stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            state: RngState { seed, offset: 0 },
        }
    }

    /// Seed and position.
    pub fn state(&self) -> RngState {
        self.state
    }

    /// Continues from a saved position.
    pub fn set_state(&mut self, state: RngState) {
        self.state = state;
    }

    /// An independent generator, number `stream` of this seed: for a worker, an epoch or a layer. Does not advance `self`.
    pub fn fork(&self, stream: u64) -> Self {
        // Words 2 and 3 of the counter are zero in ordinary use, so block (stream, 1) belongs to no ordinary stream.
        let block = philox4x32(
            [stream as u32, (stream >> 32) as u32, 1, 0],
            key(self.state.seed),
        );
        Self::new(u64::from(block[0]) | u64::from(block[1]) << 32)
    }

    /// Reserves `blocks` blocks and returns the first.
    pub(crate) fn advance(&mut self, blocks: usize) -> u64 {
        let first = self.state.offset;
        self.state.offset = first.wrapping_add(blocks as u64);
        first
    }

    fn next_block(&mut self) -> [u32; 4] {
        let at = self.advance(1);
        block(self.state.seed, at)
    }

    /// 32 uniform bits (consumes one block, as does every scalar draw).
    pub fn next_u32(&mut self) -> u32 {
        self.next_block()[0]
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        let b = self.next_block();
        u64::from(b[0]) | u64::from(b[1]) << 32
    }

    /// A number in [0, 1), a multiple of 2^-53.
    pub fn next_f64(&mut self) -> f64 {
        unit_f64(self.next_u64())
    }

    /// An integer in [0, `n`); 0 when `n` is 0. The bias is below n / 2^64.
    pub fn below(&mut self, n: u64) -> u64 {
        scale(self.next_u64(), n)
    }

    /// Shuffles in place: Fisher and Yates, from the front.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in 0..items.len().saturating_sub(1) {
            let j = i + self.below((items.len() - i) as u64) as usize;
            items.swap(i, j);
        }
    }

    /// A permutation of 0..`n`.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }

    /// Uniform in [0, 1), multiples of 2^-24.
    pub fn fill_uniform_f32(&mut self, out: &mut [f32]) {
        self.fill(out, 4, |w, y| {
            for (y, w) in y.iter_mut().zip(w) {
                *y = (w >> 8) as f32 * (1.0 / 16_777_216.0);
            }
        });
    }

    /// Uniform in [0, 1), multiples of 2^-53.
    pub fn fill_uniform_f64(&mut self, out: &mut [f64]) {
        self.fill(out, 2, |w, y| {
            for (y, w) in y.iter_mut().zip(pairs(w)) {
                *y = unit_f64(w);
            }
        });
    }

    /// Standard normal, by Box and Muller: two numbers from two words.
    pub fn fill_normal_f32(&mut self, out: &mut [f32]) {
        self.fill(out, 4, |w, y| {
            let (a, b) = box_muller_f32(w[0], w[1]);
            let (c, d) = box_muller_f32(w[2], w[3]);
            for (y, x) in y.iter_mut().zip([a, b, c, d]) {
                *y = x;
            }
        });
    }

    /// Standard normal in double precision: two numbers from each block.
    pub fn fill_normal_f64(&mut self, out: &mut [f64]) {
        self.fill(out, 2, |w, y| {
            let [u1, u2] = pairs(w).map(unit_f64);
            let radius = (-2.0 * (1.0 - u1).ln()).sqrt(); // 1 - u1 is in (0, 1]
            let (sin, cos) = (std::f64::consts::TAU * u2).sin_cos();
            for (y, x) in y.iter_mut().zip([radius * cos, radius * sin]) {
                *y = x;
            }
        });
    }

    /// `true` with probability `p` (below 0 counts as 0, above 1 as 1).
    pub fn fill_bernoulli(&mut self, out: &mut [bool], p: f64) {
        let threshold = (p * 4_294_967_296.0) as u64; // `as` saturates, and takes NaN to 0
        self.fill(out, 4, |w, y| {
            for (y, w) in y.iter_mut().zip(w) {
                *y = u64::from(w) < threshold;
            }
        });
    }

    /// Integers in [`low`, `high`). Nothing but `low` when the interval is empty.
    pub fn fill_int(&mut self, out: &mut [i64], low: i64, high: i64) {
        let range = if high > low {
            high.wrapping_sub(low) as u64
        } else {
            0
        };
        self.fill(out, 2, |w, y| {
            for (y, w) in y.iter_mut().zip(pairs(w)) {
                *y = low.wrapping_add(scale(w, range) as i64);
            }
        });
    }

    /// Element `i` of `out` comes from block `offset + i / per_block`, whoever computes it.
    fn fill<T: Send>(
        &mut self,
        out: &mut [T],
        per_block: usize,
        f: impl Fn([u32; 4], &mut [T]) + Sync,
    ) {
        let first = self.advance(out.len().div_ceil(per_block));
        let seed = self.state.seed;
        parallel::for_each_chunk_mut(out, CHUNK, |chunk, y| {
            let mut first = first.wrapping_add((chunk * CHUNK / per_block) as u64);
            let mut blocks = [[0; 4]; BLOCKS];
            for y in y.chunks_mut(BLOCKS * per_block) {
                let blocks = &mut blocks[..y.len().div_ceil(per_block)];
                philox_blocks(seed, first, blocks);
                for (&words, y) in blocks.iter().zip(y.chunks_mut(per_block)) {
                    f(words, y);
                }
                first = first.wrapping_add(BLOCKS as u64);
            }
        });
    }
}

fn key(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

#[inline]
fn block(seed: u64, at: u64) -> [u32; 4] {
    philox4x32([at as u32, (at >> 32) as u32, 0, 0], key(seed))
}

#[inline]
fn pairs(w: [u32; 4]) -> [u64; 2] {
    [
        u64::from(w[0]) | u64::from(w[1]) << 32,
        u64::from(w[2]) | u64::from(w[3]) << 32,
    ]
}

#[inline]
fn unit_f64(w: u64) -> f64 {
    (w >> 11) as f64 * (1.0 / 9_007_199_254_740_992.0)
}

/// `w * n / 2^64`: D. Lemire's multiplication in place of a division.
#[inline]
fn scale(w: u64, n: u64) -> u64 {
    ((u128::from(w) * u128::from(n)) >> 64) as u64
}

/// Two independent standard normals. The first uniform keeps all its 32 bits, so the tail reaches 6.7 standard deviations.
#[inline]
fn box_muller_f32(w1: u32, w2: u32) -> (f32, f32) {
    let u1 = (w1 as f32 + 0.5) * (1.0 / 4_294_967_296.0); // (0, 1]
    let u2 = (w2 >> 8) as f32 * (1.0 / 16_777_216.0); // [0, 1)
    let radius = (-2.0 * cephes::log::<false>(u1)).max(0.0).sqrt();
    let (sin, cos) = cephes::sin_cos::<false>(std::f32::consts::TAU * u2);
    (radius * cos, radius * sin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_random123() {
        let f = u32::MAX;
        assert_eq!(
            philox4x32([0; 4], [0; 2]),
            [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]
        );
        assert_eq!(
            philox4x32([f; 4], [f; 2]),
            [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]
        );
        assert_eq!(
            philox4x32(
                [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
                [0xa4093822, 0x299f31d0]
            ),
            [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]
        );
    }

    #[test]
    fn a_fill_does_not_depend_on_how_it_is_cut() {
        let n = 3 * CHUNK + 5;
        let mut whole = vec![0.0; n];
        Rng::new(3).fill_normal_f32(&mut whole);
        let mut rng = Rng::new(3);
        for part in [0..CHUNK, CHUNK..n] {
            let mut x = vec![0.0; part.len()];
            rng.fill_normal_f32(&mut x);
            assert_eq!(x, whole[part]);
        }
    }

    #[test]
    fn moments() {
        let n = 200_000;
        let moments = |x: &[f64]| {
            let mean = x.iter().sum::<f64>() / n as f64;
            (
                mean,
                x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64,
            )
        };
        let mut x = vec![0.0; n];
        Rng::new(1).fill_normal_f64(&mut x);
        let (mean, var) = moments(&x);
        assert!(
            mean.abs() < 0.01 && (var - 1.0).abs() < 0.01,
            "{mean} {var}"
        );
        let mut y = vec![0.0f32; n];
        Rng::new(2).fill_normal_f32(&mut y);
        let (mean, var) = moments(&y.iter().map(|&y| f64::from(y)).collect::<Vec<_>>());
        assert!(
            mean.abs() < 0.01 && (var - 1.0).abs() < 0.01,
            "{mean} {var}"
        );
        Rng::new(3).fill_uniform_f32(&mut y);
        let (mean, var) = moments(&y.iter().map(|&y| f64::from(y)).collect::<Vec<_>>());
        assert!(
            (mean - 0.5).abs() < 0.005 && (var - 1.0 / 12.0).abs() < 0.002,
            "{mean} {var}"
        );
        assert!(y.iter().all(|y| (0.0..1.0).contains(y)));
        let mut b = vec![false; n];
        Rng::new(4).fill_bernoulli(&mut b, 0.3);
        let share = b.iter().filter(|b| **b).count() as f64 / n as f64;
        assert!((share - 0.3).abs() < 0.005, "{share}");
    }

    #[test]
    fn integers_stay_in_their_interval() {
        let mut x = vec![0; 10_000];
        Rng::new(5).fill_int(&mut x, -3, 4);
        assert!((-3..4).all(|k| x.iter().filter(|&&x| x == k).count() > 1200));
        assert!(x.iter().all(|x| (-3..4).contains(x)));
        Rng::new(5).fill_int(&mut x, i64::MIN, i64::MAX);
        assert!(x.iter().any(|&x| x < 0) && x.iter().any(|&x| x > 0));
        let mut sorted = Rng::new(6).permutation(1000);
        assert_ne!(sorted, (0..1000).collect::<Vec<_>>());
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn forks_differ() {
        let rng = Rng::new(9);
        let mut seen: Vec<u64> = (0..1000).map(|i| rng.fork(i).next_u64()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1000);
    }
}
