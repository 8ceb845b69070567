//! Dot products in a register tile: `sums[i][j] += A[i, :]·B[j, :]`, vectors along k.
//!
//! Where both operands are contiguous along k this needs no packing and no transpose: MI + NJ vector loads feed MI·NJ
//! fused multiply-adds. It serves products with few rows (`matvec`) and the weight gradient of a convolution, whose k is
//! the long axis of pixels. The price is a horizontal sum for each element of C, so k must be long.

use gradus_simd::{Float, FloatVec, Isa};

use crate::unroll::{Registers, unroll};

/// The lanes of `sums`, with the products of `k` steps added. Rows of A are `lda` elements apart, rows of B anywhere.
///
/// # Safety
/// `k` elements are readable in each of the MI rows of A and the NJ rows of B.
#[inline(always)]
pub(crate) unsafe fn dot_tile<S: Isa, T: Float, const MI: usize, const NJ: usize>(
    isa: S,
    k: usize,
    (a, lda): (*const T, isize),
    b: [*const T; NJ],
    mut sums: Registers<T::V<S>, MI, NJ>,
) -> Registers<T::V<S>, MI, NJ> {
    let lanes = T::V::<S>::LANES;
    let mut p = 0;
    // SAFETY: offsets p..p + lanes <= k of each row, as the caller promises; the tail reads k - p elements.
    unsafe {
        while p + lanes <= k {
            let mut x = Registers::<T::V<S>, MI, 1>::new(T::V::<S>::zero(isa));
            unroll!(I in 0..MI (0 1 2 3) {
                x.set(I, 0, T::V::<S>::load_ptr(isa, a.offset(I as isize * lda).add(p)));
            });
            unroll!(J in 0..NJ (0 1 2 3 4 5 6 7) {
                let from = b[J].add(p);
                if MI == 1 {
                    // One row of A: a stream from memory. A line half a kibibyte ahead is asked for now.
                    isa.prefetch(from.wrapping_add(512 / size_of::<T>()));
                }
                let y = T::V::<S>::load_ptr(isa, from);
                unroll!(I in 0..MI (0 1 2 3) {
                    sums.set(I, J, x.get(I, 0).mul_add(y, sums.get(I, J)));
                });
            });
            p += lanes;
        }
        if p < k {
            let mut x = Registers::<T::V<S>, MI, 1>::new(T::V::<S>::zero(isa));
            unroll!(I in 0..MI (0 1 2 3) {
                let from = a.offset(I as isize * lda).add(p);
                x.set(I, 0, T::V::<S>::load_tail_ptr(isa, from, k - p, T::ZERO));
            });
            unroll!(J in 0..NJ (0 1 2 3 4 5 6 7) {
                let from = b[J].add(p);
                let y = T::V::<S>::load_tail_ptr(isa, from, k - p, T::ZERO);
                unroll!(I in 0..MI (0 1 2 3) {
                    sums.set(I, J, x.get(I, 0).mul_add(y, sums.get(I, J)));
                });
            });
        }
    }
    sums
}
