//! Philox4x32-10: blocks of random words as a function of (seed, position), many at a time.
//!
//! What it is: the bijection, and a fill of neighbouring blocks whose loop over blocks the compiler turns into vectors. What it is not:
//! a generator; where a stream stands and what its words mean is for the floors above.
//!
//! Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The counter's layout
//! (offset in the low words) is cuRAND's, which is what PyTorch uses on the GPU.

use gradus_simd::{Isa, Kernel, dispatch};

/// Multipliers and key increments ("Weyl constants") of the paper, section 4.3 and table 2.
const M0: u32 = 0xD251_1F53;
const M1: u32 = 0xCD9E_8D57;
const W0: u32 = 0x9E37_79B9;
const W1: u32 = 0xBB67_AE85;

/// Ten rounds of Philox4x32 on `N` counters; word `w` of counter `i` is `words[w][i]`.
#[inline(always)]
fn rounds<const N: usize>(words: &mut [[u32; N]; 4], [mut k0, mut k1]: [u32; 2]) {
    let [c0, c1, c2, c3] = words;
    for _ in 0..10 {
        for i in 0..N {
            let p0 = u64::from(M0) * u64::from(c0[i]);
            let p1 = u64::from(M1) * u64::from(c2[i]);
            c0[i] = (p1 >> 32) as u32 ^ c1[i] ^ k0;
            c1[i] = p1 as u32;
            c2[i] = (p0 >> 32) as u32 ^ c3[i] ^ k1;
            c3[i] = p0 as u32;
        }
        k0 = k0.wrapping_add(W0);
        k1 = k1.wrapping_add(W1);
    }
}

/// Ten rounds of Philox4x32 on one counter block.
///
/// ```
/// // A known answer of the authors' library Random123.
/// assert_eq!(gradus_cpu::random::philox4x32([0; 4], [0; 2]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
/// ```
#[inline]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let mut words = counter.map(|word| [word]);
    rounds(&mut words, key);
    words.map(|[word]| word)
}

/// The blocks `first`, `first + 1`, … of the stream of `seed`, as many as `out` holds.
///
/// ```
/// let mut blocks = [[0; 4]; 3];
/// gradus_cpu::random::philox_blocks(0, 0, &mut blocks);
/// assert_eq!(blocks[0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
/// ```
pub fn philox_blocks(seed: u64, first: u64, out: &mut [[u32; 4]]) {
    dispatch(Blocks { seed, first, out });
}

struct Blocks<'a> {
    seed: u64,
    first: u64,
    out: &'a mut [[u32; 4]],
}

impl Kernel for Blocks<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Isa>(self, _: S) {
        const N: usize = 16;
        let low = |x: u64| x as u32;
        let high = |x: u64| (x >> 32) as u32;
        for (chunk, out) in self.out.chunks_mut(N).enumerate() {
            let mut words = [[0; N]; 4];
            for i in 0..N {
                let at = self.first.wrapping_add((chunk * N + i) as u64);
                (words[0][i], words[1][i]) = (low(at), high(at));
            }
            rounds(&mut words, [low(self.seed), high(self.seed)]);
            for (i, out) in out.iter_mut().enumerate() {
                *out = [words[0][i], words[1][i], words[2][i], words[3][i]];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gradus_simd::{available, dispatch_on};

    #[test]
    fn many_blocks_are_the_single_ones_on_every_isa() {
        let (seed, first) = (0x0123_4567_89ab_cdef, u64::from(u32::MAX) - 20);
        for n in [0, 1, 15, 16, 17, 50] {
            for &isa in available() {
                let mut out = vec![[0; 4]; n];
                dispatch_on(
                    isa,
                    Blocks {
                        seed,
                        first,
                        out: &mut out,
                    },
                )
                .unwrap();
                for (i, out) in out.iter().enumerate() {
                    let at = first + i as u64;
                    let counter = [at as u32, (at >> 32) as u32, 0, 0];
                    assert_eq!(
                        *out,
                        philox4x32(counter, [0x89ab_cdef, 0x0123_4567]),
                        "{isa} {n}"
                    );
                }
            }
        }
    }
}
