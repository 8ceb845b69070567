//! Loops that are no loops in the machine code, and accumulators that stay in registers.
//!
//! A kernel's accumulators live in registers only if every index into them is a constant from the start. The compiler unrolls a
//! short loop as it sees fit, and often after it has decided what is memory; even the `[zero; N]` that begins an array is such a
//! loop. Each multiply-add then stores its result, too: a register tile of 13 rows ran at a fifth of its speed for that. So kernels
//! write their loops with [`unroll!`](unroll) and keep their sums in [`Registers`].
//!
//! What is not taken is left out before any machine code is made (`if const { … }`): a condition the optimiser would have to fold
//! costs its whole body in every instance, and once cost most of this crate's build.

use std::mem::MaybeUninit;

/// `unroll!(I in 0..N (0 1 2 3) { … })`: the body for each `I` below the constant `N` (a name, or an expression in parentheses), which the list must reach.
macro_rules! unroll {
    ($i:ident in 0..$n:tt ($($k:literal)*) $body:block) => {
        $(if const { $k < $n } {
            const $i: usize = $k;
            $body
        })*
    };
}

pub(crate) use unroll;

/// M × N values, M up to 14 and N up to 8. Index it by constants.
#[derive(Clone, Copy)]
pub(crate) struct Registers<V: Copy, const M: usize, const N: usize>([[MaybeUninit<V>; N]; M]);

impl<V: Copy, const M: usize, const N: usize> Registers<V, M, N> {
    /// All `value`.
    #[inline(always)]
    pub(crate) fn new(value: V) -> Self {
        const { assert!(M <= 14 && N <= 8) };
        let mut all = [const { [const { MaybeUninit::uninit() }; N] }; M];
        unroll!(I in 0..M (0 1 2 3 4 5 6 7 8 9 10 11 12 13) {
            unroll!(J in 0..N (0 1 2 3 4 5 6 7) {
                all[I][J] = MaybeUninit::new(value);
            });
        });
        Self(all)
    }

    #[inline(always)]
    pub(crate) fn get(&self, i: usize, j: usize) -> V {
        // SAFETY: `new` wrote all of them.
        unsafe { self.0[i][j].assume_init() }
    }

    #[inline(always)]
    pub(crate) fn set(&mut self, i: usize, j: usize, value: V) {
        self.0[i][j] = MaybeUninit::new(value);
    }
}
