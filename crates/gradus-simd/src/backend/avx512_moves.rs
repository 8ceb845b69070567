//! What moves lanes in AVX-512: tables looked up, their rows, even and odd elements.
//!
//! Every function is called from methods whose values prove AVX-512.

use std::arch::x86_64::*;

use crate::isa::Table;

#[inline(always)]
pub(super) unsafe fn lookup_f32(table: &[f32; 16], index: __m512i) -> __m512 {
    // SAFETY: called from methods whose values prove AVX-512; the instruction takes the lowest 4 bits.
    unsafe { _mm512_permutexvar_ps(index, _mm512_loadu_ps(table.as_ptr())) }
}

#[inline(always)]
pub(super) unsafe fn lookup_f64(table: &[f64; 16], index: __m512i) -> __m512d {
    // SAFETY: as above; both halves are of the table.
    unsafe {
        let half = |at: usize| _mm512_loadu_pd(table.as_ptr().add(at));
        _mm512_permutex2var_pd(half(0), index, half(8))
    }
}

#[inline(always)]
pub(super) unsafe fn rows_f32(table: &Table<f32>, index: __m512i) -> [__m512; 8] {
    // SAFETY: called from methods whose values prove AVX-512. A column is two registers; the instruction takes the lowest 5 bits.
    unsafe {
        let mut y = [_mm512_setzero_ps(); 8];
        let mut k = 0;
        while k < 8 {
            let half = |at: usize| _mm512_loadu_ps(table.columns[k].as_ptr().add(at));
            y[k] = _mm512_permutex2var_ps(half(0), index, half(16));
            k += 1;
        }
        y
    }
}

#[inline(always)]
pub(super) unsafe fn deinterleave_f32(a: __m512, b: __m512) -> (__m512, __m512) {
    // SAFETY: called from methods whose values prove AVX-512.
    unsafe {
        let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
        (
            _mm512_permutex2var_ps(a, even, b),
            _mm512_permutex2var_ps(a, odd, b),
        )
    }
}

#[inline(always)]
pub(super) unsafe fn deinterleave_f64(a: __m512d, b: __m512d) -> (__m512d, __m512d) {
    // SAFETY: as above.
    unsafe {
        let even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
        let odd = _mm512_add_epi64(even, _mm512_set1_epi64(1));
        (
            _mm512_permutex2var_pd(a, even, b),
            _mm512_permutex2var_pd(a, odd, b),
        )
    }
}

#[inline(always)]
pub(super) unsafe fn interleave_f32(a: __m512, b: __m512) -> (__m512, __m512) {
    // SAFETY: as above.
    unsafe {
        let first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
        let second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
        (
            _mm512_permutex2var_ps(a, first, b),
            _mm512_permutex2var_ps(a, second, b),
        )
    }
}

#[inline(always)]
pub(super) unsafe fn interleave_f64(a: __m512d, b: __m512d) -> (__m512d, __m512d) {
    // SAFETY: as above.
    unsafe {
        let first = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
        let second = _mm512_add_epi64(first, _mm512_set1_epi64(4));
        (
            _mm512_permutex2var_pd(a, first, b),
            _mm512_permutex2var_pd(a, second, b),
        )
    }
}
