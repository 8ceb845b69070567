//! What moves lanes in AVX2: tables looked up, their rows, even and odd elements.
//!
//! Every function is called from methods whose values prove AVX2.

use std::arch::x86_64::*;

use crate::isa::Table;

#[inline(always)]
pub(super) unsafe fn lookup_f32(table: &[f32; 16], index: __m256i) -> __m256 {
    // SAFETY: called from methods whose values prove AVX2; both halves are of the table. The permutation takes the lowest 3 bits,
    // the blend the sign: bit 3.
    unsafe {
        let half =
            |at: usize| _mm256_permutevar8x32_ps(_mm256_loadu_ps(table.as_ptr().add(at)), index);
        let upper = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(index));
        _mm256_blendv_ps(half(0), half(8), upper)
    }
}

#[inline(always)]
pub(super) unsafe fn lookup_f64(table: &[f64; 16], index: __m256i) -> __m256d {
    // SAFETY: as above; the indices are below 16.
    unsafe {
        let index = _mm256_and_si256(index, _mm256_set1_epi64x(15));
        _mm256_i64gather_pd::<8>(table.as_ptr(), index)
    }
}

/// By rows, turned over: a fourth of the instructions that looking up each column takes.
#[inline(always)]
pub(super) unsafe fn rows_f32(table: &Table<f32>, index: __m256i) -> [__m256; 8] {
    // SAFETY: called from methods whose values prove AVX2; the indices are below 32, and a row is two halves of four.
    unsafe {
        let mut at = [0u32; 8];
        let index = _mm256_and_si256(index, _mm256_set1_epi32(31));
        _mm256_storeu_si256(at.as_mut_ptr().cast(), index);
        let mut y = [_mm256_setzero_ps(); 8];
        let mut k = 0;
        while k < 8 {
            let row = |i: usize| {
                let four = |i: usize| {
                    _mm_loadu_ps(table.rows.as_ptr().add(at[i] as usize).cast::<f32>().add(k))
                };
                _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(four(i)), four(i + 4))
            };
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (low2, high2) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            y[k] = _mm256_shuffle_ps::<0x44>(low, low2);
            y[k + 1] = _mm256_shuffle_ps::<0xee>(low, low2);
            y[k + 2] = _mm256_shuffle_ps::<0x44>(high, high2);
            y[k + 3] = _mm256_shuffle_ps::<0xee>(high, high2);
            k += 4;
        }
        y
    }
}

#[inline(always)]
pub(super) unsafe fn deinterleave_f32(a: __m256, b: __m256) -> (__m256, __m256) {
    // SAFETY: called from methods whose values prove AVX2. Within halves of four, then the pairs into order.
    unsafe {
        let order = |x| _mm256_castpd_ps(_mm256_permute4x64_pd::<0xd8>(_mm256_castps_pd(x)));
        (
            order(_mm256_shuffle_ps::<0x88>(a, b)),
            order(_mm256_shuffle_ps::<0xdd>(a, b)),
        )
    }
}

#[inline(always)]
pub(super) unsafe fn deinterleave_f64(a: __m256d, b: __m256d) -> (__m256d, __m256d) {
    // SAFETY: as above.
    unsafe {
        let order = |x| _mm256_permute4x64_pd::<0xd8>(x);
        (
            order(_mm256_unpacklo_pd(a, b)),
            order(_mm256_unpackhi_pd(a, b)),
        )
    }
}

#[inline(always)]
pub(super) unsafe fn interleave_f32(a: __m256, b: __m256) -> (__m256, __m256) {
    // SAFETY: as above. Within halves of four, then the halves into order.
    unsafe {
        let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        (
            _mm256_permute2f128_ps::<0x20>(low, high),
            _mm256_permute2f128_ps::<0x31>(low, high),
        )
    }
}

#[inline(always)]
pub(super) unsafe fn interleave_f64(a: __m256d, b: __m256d) -> (__m256d, __m256d) {
    // SAFETY: as above.
    unsafe {
        let (low, high) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
        (
            _mm256_permute2f128_pd::<0x20>(low, high),
            _mm256_permute2f128_pd::<0x31>(low, high),
        )
    }
}
