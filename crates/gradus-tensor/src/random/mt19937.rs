//! MT19937, the 32-bit Mersenne Twister.
//!
//! What it is: the engine under PyTorch's CPU generator, seeded as Knuth and Nishimura do (`init_genrand`).
//! What it is not: a generator to build new things on; [`crate::random::Rng`] is that.
//!
//! Source: M. Matsumoto, T. Nishimura, "Mersenne Twister", ACM TOMACS 8(1), 1998.

/// Words of state.
pub(super) const N: usize = 624;
const M: usize = 397;

/// The engine. `next` is the next word to give out; `left` counts down to the next refill, as in PyTorch's saved state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mt19937 {
    pub state: [u32; N],
    pub next: usize,
    pub left: usize,
}

impl Mt19937 {
    pub fn new(seed: u32) -> Self {
        let mut state = [seed; N];
        for j in 1..N {
            let last = state[j - 1];
            state[j] = 1_812_433_253u32
                .wrapping_mul(last ^ (last >> 30))
                .wrapping_add(j as u32);
        }
        Self {
            state,
            next: 0,
            left: 1,
        }
    }

    /// From several words, as Python seeds it (`init_by_array`).
    pub fn from_key(key: &[u32]) -> Self {
        let mut engine = Self::new(19_650_218);
        let mt = &mut engine.state;
        let mixed = |last: u32| last ^ (last >> 30);
        let (mut i, mut j) = (1, 0);
        for _ in 0..N.max(key.len()) {
            mt[i] = (mt[i] ^ mixed(mt[i - 1]).wrapping_mul(1_664_525))
                .wrapping_add(key[j])
                .wrapping_add(j as u32);
            (i, j) = (i + 1, (j + 1) % key.len());
            if i == N {
                (mt[0], i) = (mt[N - 1], 1);
            }
        }
        for _ in 1..N {
            mt[i] = (mt[i] ^ mixed(mt[i - 1]).wrapping_mul(1_566_083_941)).wrapping_sub(i as u32);
            i += 1;
            if i == N {
                (mt[0], i) = (mt[N - 1], 1);
            }
        }
        mt[0] = 0x8000_0000;
        engine
    }

    /// 32 uniform bits.
    pub fn next_u32(&mut self) -> u32 {
        self.left -= 1;
        if self.left == 0 {
            self.refill();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9D2C_5680;
        y ^= (y << 15) & 0xEFC6_0000;
        y ^ (y >> 18)
    }

    fn refill(&mut self) {
        let s = &mut self.state;
        for k in 0..N {
            let mixed = (s[k] & 0x8000_0000) | (s[(k + 1) % N] & 0x7FFF_FFFF);
            let twist = if mixed & 1 == 0 { 0 } else { 0x9908_B0DF };
            s[k] = s[(k + M) % N] ^ (mixed >> 1) ^ twist;
        }
        self.left = N;
        self.next = 0;
    }
}
