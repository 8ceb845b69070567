//! Python's `random`: what `random.seed(n)` and the calls after it give, so that programs that shuffle their data with it can be
//! followed to the same batches. For new things there is [`Rng`](super::Rng).
//!
//! Source: CPython's `Modules/_randommodule.c` and `Lib/random.py`.

use super::mt19937::Mt19937;

/// Python's generator.
///
/// ```
/// use gradus_tensor::random::PythonRng;
/// let mut random = PythonRng::seed(42);
/// assert_eq!(random.random(), 0.6394267984578837);
/// let mut items = [0, 1, 2, 3, 4];
/// PythonRng::seed(42).shuffle(&mut items);
/// assert_eq!(items, [3, 1, 2, 4, 0]);
/// ```
#[derive(Clone, Debug)]
pub struct PythonRng {
    engine: Mt19937,
}

impl PythonRng {
    /// `random.seed(seed)`.
    pub fn seed(seed: u64) -> Self {
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let key = if high == 0 { &[low][..] } else { &[low, high] };
        Self {
            engine: Mt19937::from_key(key),
        }
    }

    /// `random.random()`: in [0, 1).
    pub fn random(&mut self) -> f64 {
        let (a, b) = (self.engine.next_u32() >> 5, self.engine.next_u32() >> 6);
        (f64::from(a) * 67_108_864.0 + f64::from(b)) / 9_007_199_254_740_992.0
    }

    /// `random.randrange(n)`; 0 when `n` is.
    pub fn below(&mut self, n: u32) -> u32 {
        if n == 0 {
            return 0;
        }
        let unused = n.leading_zeros();
        loop {
            let draw = self.engine.next_u32() >> unused;
            if draw < n {
                return draw;
            }
        }
    }

    /// `random.shuffle(items)`, for fewer than 2³² items (those beyond stay where they are).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        let n = items.len().min(u32::MAX as usize);
        for i in (1..n).rev() {
            let j = self.below(i as u32 + 1) as usize;
            items.swap(i, j);
        }
    }
}
