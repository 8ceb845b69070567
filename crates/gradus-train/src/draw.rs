//! `Draw`: the dice of one sample, so that augmentation never depends on threads.
//!
//! A data loader hands every sample its own small generator, seeded by (seed, epoch, index) and nothing else. Whichever
//! thread prepares the sample, and in whatever order, the sample comes out the same. That is also what makes a resumed run
//! equal to the uninterrupted one: there is no generator state to save, only the epoch number.
//!
//! The generator is SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014). It is not the
//! generator for tensors: that is `gradus_tensor::random`.

/// A small generator that belongs to one sample of one epoch.
///
/// ```
/// use gradus_train::Draw;
/// let mut a = Draw::for_sample(42, 0, 7);
/// let mut b = Draw::for_sample(42, 0, 7);
/// assert_eq!(a.next_u64(), b.next_u64()); // same seed, epoch and index: same dice
/// assert_ne!(Draw::for_sample(42, 1, 7).next_u64(), Draw::for_sample(42, 0, 7).next_u64());
/// ```
#[derive(Clone, Debug)]
pub struct Draw {
    state: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finaliser: a bijection whose every output bit depends on every input bit.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Draw {
    /// A generator from one number.
    pub fn new(seed: u64) -> Self {
        Self { state: mix(seed) }
    }

    /// The generator of sample `index` in epoch `epoch`.
    pub fn for_sample(seed: u64, epoch: u64, index: u64) -> Self {
        let key = mix(mix(mix(seed).wrapping_add(epoch)).wrapping_add(index ^ GOLDEN));
        Self { state: key }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// A whole number in `0..n`, each as likely as the next (0 when `n` is 0).
    ///
    /// The high half of a 128-bit product; the bias, below n / 2^64, is far under what could ever be seen.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A number in `[0, 1)` with 24 random bits, all an `f32` can hold there.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 * (1.0 / 16_777_216.0)
    }

    /// A number in `[low, high)` (exactly `low` when they are equal).
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// A whole number in `low..=high`.
    pub fn int_range(&mut self, low: i64, high: i64) -> i64 {
        let span = high.saturating_sub(low).max(0) as u64;
        low + self.below(span.saturating_add(1)) as i64
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f32) -> bool {
        self.uniform() < p
    }

    /// Shuffles in place (Fisher and Yates): every order equally likely.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i as u64 + 1) as usize;
            items.swap(i, j);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_in_range_and_fill_it() {
        let mut draw = Draw::new(3);
        let (mut low, mut high, mut seen) = (1.0f32, 0.0f32, [0u32; 5]);
        for _ in 0..10_000 {
            let x = draw.uniform();
            assert!((0.0..1.0).contains(&x));
            (low, high) = (low.min(x), high.max(x));
            seen[(draw.int_range(-2, 2) + 2) as usize] += 1;
        }
        assert!(low < 0.001 && high > 0.999);
        assert!(
            seen.iter().all(|&n| (1_800..2_200).contains(&n)),
            "{seen:?}"
        );
        assert_eq!(Draw::new(1).below(0), 0);
        assert_eq!(Draw::new(1).int_range(4, 4), 4);
    }

    #[test]
    fn shuffle_is_a_permutation() {
        let mut items: Vec<usize> = (0..100).collect();
        Draw::new(9).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
