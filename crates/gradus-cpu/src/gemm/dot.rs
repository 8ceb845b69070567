//! Dot products in a register tile: `acc[i][j] += A[i, :]·B[j, :]`, vectors along k.
//!
//! Where both operands are contiguous along k this needs no packing and no transpose: MI + NJ vector loads feed MI·NJ
//! fused multiply-adds. It serves products with few rows (`matvec`) and the weight gradient of a convolution, whose k is
//! the long axis of pixels. The price is a horizontal sum for each element of C, so k must be long.

use gradus_simd::{Float, FloatVec, Isa};

/// Adds the products of `k` steps to the lanes of `acc`. Rows of A are `lda` elements apart, rows of B `ldb`.
///
/// # Safety
/// `k` elements are readable in each of the MI rows of A and the NJ rows of B.
#[inline(always)]
pub(crate) unsafe fn dot_tile<S: Isa, T: Float, const MI: usize, const NJ: usize>(
    isa: S,
    k: usize,
    (a, lda): (*const T, isize),
    (b, ldb): (*const T, isize),
    acc: &mut [[T::V<S>; NJ]; MI],
) {
    let lanes = T::V::<S>::LANES;
    let mut sums = *acc;
    let mut p = 0;
    // SAFETY: offsets p..p + lanes <= k of each row, as the caller promises; the tail reads k - p elements.
    unsafe {
        while p + lanes <= k {
            let mut x = [T::V::<S>::zero(isa); MI];
            for i in 0..MI {
                x[i] = T::V::<S>::load_ptr(isa, a.offset(i as isize * lda).add(p));
            }
            for j in 0..NJ {
                let from = b.offset(j as isize * ldb).add(p);
                if MI == 1 {
                    // One row of A: a stream from memory. A line half a kibibyte ahead is asked for now.
                    isa.prefetch(from.wrapping_add(512 / size_of::<T>()));
                }
                let y = T::V::<S>::load_ptr(isa, from);
                for i in 0..MI {
                    sums[i][j] = x[i].mul_add(y, sums[i][j]);
                }
            }
            p += lanes;
        }
        if p < k {
            let mut x = [T::V::<S>::zero(isa); MI];
            for i in 0..MI {
                x[i] = T::V::<S>::load_tail_ptr(
                    isa,
                    a.offset(i as isize * lda).add(p),
                    k - p,
                    T::ZERO,
                );
            }
            for j in 0..NJ {
                let y = T::V::<S>::load_tail_ptr(
                    isa,
                    b.offset(j as isize * ldb).add(p),
                    k - p,
                    T::ZERO,
                );
                for i in 0..MI {
                    sums[i][j] = x[i].mul_add(y, sums[i][j]);
                }
            }
        }
    }
    *acc = sums;
}
