//! bf16 as they are, for the tiles: packed in the two orders that [`split`](super::split) makes, and rounded from f32.

#![allow(clippy::cast_ptr_alignment)] // the rows of tiles are aligned to 64 bytes

use std::arch::x86_64::*;
use std::mem::transmute;

use super::split::{interleave, mask, transpose};
use super::{Order, PART, TILE};

/// Packs up to 16 lines of `ks` bf16 (as bits) into the tile `tile` (0 or 1) of a panel of one part, padded with zeros. One of the
/// two strides must be 1.
///
/// # Safety
/// As [`split`](super::split), with one part.
pub unsafe fn copy(
    order: Order,
    src: *const u16,
    (line_stride, k_stride): (isize, isize),
    (lines, ks): (usize, usize),
    to: *mut u8,
    tile: usize,
) {
    assert!(lines <= 16 && tile < 2 && (line_stride == 1 || k_stride == 1));
    // SAFETY: the caller's promise.
    unsafe {
        let to = to.add(tile * TILE);
        if k_stride == 1 && (line_stride != 1 || lines == 1) {
            copy_along_k(order, src, line_stride, lines, ks, to);
        } else {
            copy_along_lines(order, src, k_stride, lines, ks, to);
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn copy_along_k(
    order: Order,
    src: *const u16,
    stride: isize,
    lines: usize,
    ks: usize,
    to: *mut u8,
) {
    for step in 0..ks.div_ceil(32) {
        let left = (ks - step * 32).min(32);
        let some = !0u32 >> (32 - left);
        let mut rows = [_mm512_setzero_si512(); 16];
        // SAFETY: lines 0..lines, `left` elements of each from this step on; one part of this step.
        unsafe {
            for i in 0..lines {
                let from = src.offset(i as isize * stride).add(step * 32);
                rows[i] = _mm512_maskz_loadu_epi16(some, from.cast());
            }
            let to = to.add(step * PART);
            if order == Order::Pairs {
                transpose(&rows, to);
            } else {
                for i in 0..16 {
                    _mm512_store_si512(to.add(i * 64).cast(), rows[i]);
                }
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn copy_along_lines(
    order: Order,
    src: *const u16,
    stride: isize,
    lines: usize,
    ks: usize,
    to: *mut u8,
) {
    let some = mask(lines);
    for step in 0..ks.div_ceil(32) {
        let mut rows = [_mm512_setzero_si512(); 16];
        // SAFETY: element p of each line, p < ks, masked; one part of this step.
        unsafe {
            for pair in 0..16 {
                let line = |p: usize| {
                    if p < ks {
                        _mm256_maskz_loadu_epi16(
                            some,
                            src.wrapping_offset(p as isize * stride).cast(),
                        )
                    } else {
                        _mm256_setzero_si256()
                    }
                };
                let p = step * 32 + 2 * pair;
                let both = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(line(p)), line(p + 1));
                rows[pair] = _mm512_permutexvar_epi16(interleave(), both);
            }
            let to = to.add(step * PART);
            if order == Order::Lines {
                transpose(&rows, to);
            } else {
                for i in 0..16 {
                    _mm512_store_si512(to.add(i * 64).cast(), rows[i]);
                }
            }
        }
    }
}

/// Rounds `n` elements to the nearest bf16, halves to even; denormal ones to 0.
///
/// # Safety
/// AMX [is available](super::is_available). `from` is readable and `to` writable for `n` elements.
pub unsafe fn narrow(from: *const f32, to: *mut u16, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { narrow_vectors(from, to, n) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn narrow_vectors(from: *const f32, to: *mut u16, n: usize) {
    let mut i = 0;
    while i < n {
        let some = mask(n - i);
        // SAFETY: the elements from i to n, masked; 256 bits are any 16 bf16.
        unsafe {
            let near = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(some, from.add(i)));
            _mm256_mask_storeu_epi16(to.add(i).cast(), some, transmute::<__m256bh, __m256i>(near));
        }
        i += 16;
    }
}
