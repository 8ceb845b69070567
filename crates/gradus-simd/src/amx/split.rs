//! Panels for the tiles: f32 split into three bf16, in the two orders that `tdpbf16ps` takes.
//!
//! A panel is 32 *lines* (rows of A, columns of B) of some steps of 32 k. A step holds its parts one after the other
//! (h, m, l of A; l, m, h of B), a part two tiles of 16 lines. In a tile of A a row of 64 bytes is a line's 32 k; in a tile of B it is a pair of k of 16
//! lines, `(k, k + 1)` side by side. One is the transpose of the other in units of a pair, so wherever the memory runs along k
//! or along the lines, one of the two orders falls out of the conversion and the other of a 16 × 16 transpose of 32-bit units.
//!
//! The work, an element: two conversions a part for 32 elements, shifts and subtractions between; under a cycle.

#![allow(clippy::cast_ptr_alignment)] // the rows of tiles are aligned to 64 bytes

use std::arch::x86_64::*;
use std::mem::transmute;

use super::{PART, TILE};

/// Which order of a tile is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A's: a line's 32 k side by side.
    Lines,
    /// B's: pairs of k side by side.
    Pairs,
}

/// What decides whether a block of lines may be split: bits of absolute values, which order as the values do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exponents {
    /// Of each line that is not all zero the largest element; the smallest of these. `u32::MAX` if all lines are zero.
    pub smallest: u32,
    /// The largest element of all; above 0x7f80_0000 if one is NaN.
    pub largest: u32,
}

impl Exponents {
    /// Of no lines at all.
    pub const NONE: Self = Self {
        smallest: u32::MAX,
        largest: 0,
    };

    /// Of lines whose largest elements these are.
    pub fn of(largest: &[u32]) -> Self {
        largest.iter().fold(Self::NONE, |all, &largest| {
            all.and(Self {
                smallest: largest.wrapping_sub(1),
                largest,
            })
        })
    }

    /// Of two blocks of lines together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            smallest: self.smallest.min(other.smallest),
            largest: self.largest.max(other.largest),
        }
    }

    /// Whether the split product of such lines, over at most 512 steps of k, is an f32 product: nothing overflows that would not
    /// in f32, and what underflows, at most 2⁻¹¹⁴ in all, is below 2⁻³⁰ of the largest elements of a row times that of a column.
    pub fn fit(self, other: Self) -> bool {
        if self.smallest == u32::MAX || other.smallest == u32::MAX {
            // One side is zero: so is the product, unless the other is not finite.
            return self.largest.max(other.largest) < 0x7f80_0000;
        }
        let exponent = |bits: u32| (bits >> 23) as i32 - 127;
        let (high, low) = (
            [exponent(self.largest), exponent(other.largest)],
            [exponent(self.smallest), exponent(other.smallest)],
        );
        high[0] <= 126
            && high[1] <= 126
            && high[0] + high[1] <= 115
            && low[0] >= -100
            && low[1] >= -100
            && low[0] + low[1] >= -80
    }
}

/// Splits up to 16 lines of `ks` elements into the tile `tile` (0 or 1) of a panel of three parts, padded with zeros, and says
/// what their exponents are. `src` is line 0, k 0; one of the two strides must be 1.
///
/// # Safety
/// AMX [is available](super::is_available). Elements `(i, p)` of `lines × ks` are readable; `to` is writable for three parts of
/// `ks / 32`, rounded up, steps.
pub unsafe fn split(
    order: Order,
    src: *const f32,
    (line_stride, k_stride): (isize, isize),
    (lines, ks): (usize, usize),
    to: *mut u8,
    tile: usize,
) -> Exponents {
    assert!(lines <= 16 && tile < 2 && (line_stride == 1 || k_stride == 1));
    // SAFETY: the caller's promise; AMX comes with AVX-512 and its bf16.
    unsafe {
        let to = to.add(tile * TILE);
        match (order, k_stride == 1 && (line_stride != 1 || lines == 1)) {
            (Order::Lines, true) => along_k::<false>(src, line_stride, lines, ks, to),
            (Order::Pairs, true) => along_k::<true>(src, line_stride, lines, ks, to),
            (Order::Lines, false) => along_lines::<true>(src, k_stride, lines, ks, to),
            (Order::Pairs, false) => along_lines::<false>(src, k_stride, lines, ks, to),
        }
    }
}

/// `x = h + m + l` of 32 elements, the first 16 in `low`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn three(low: __m512, high: __m512) -> [__m512i; 3] {
    let (h, low, high) = part(low, high);
    let (m, low, high) = part(low, high);
    let (l, _, _) = part(low, high);
    [h, m, l]
}

/// The bf16 nearest to 32 elements, and what they leave, exactly.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn part(low: __m512, high: __m512) -> (__m512i, __m512, __m512) {
    // SAFETY: both are 512 bits, and any bits are a value.
    let near: __m512i = unsafe { transmute::<__m512bh, _>(_mm512_cvtne2ps_pbh(high, low)) };
    let wide = |x: __m256i| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(x)));
    let first = wide(_mm512_castsi512_si256(near));
    let second = wide(_mm512_extracti64x4_epi64::<1>(near));
    (near, _mm512_sub_ps(low, first), _mm512_sub_ps(high, second))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn magnitude(x: __m512) -> __m512i {
    _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fff_ffff))
}

/// The first `n` (at most 16, or fewer than none) lanes.
#[inline]
pub(super) fn mask(n: usize) -> __mmask16 {
    if n >= 16 { !0 } else { (1 << n) - 1 }
}

/// Memory runs along k.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn along_k<const TRANSPOSE: bool>(
    src: *const f32,
    stride: isize,
    lines: usize,
    ks: usize,
    to: *mut u8,
) -> Exponents {
    let zero = _mm512_setzero_si512();
    let mut largest = [zero; 16];
    // In the order in which they are read: h, m, l of A; l, m, h of B.
    let place = |part: usize| if TRANSPOSE { 2 - part } else { part } * PART;
    let mut kept = [[zero; 16]; 3];
    for step in 0..ks.div_ceil(32) {
        let p = step * 32;
        let left = ks - p;
        // SAFETY: lines 0..lines, elements p..ks of each, masked; three parts of this step.
        unsafe {
            let to = to.add(step * 3 * PART);
            for i in 0..16 {
                let parts = if i < lines {
                    let from = src.offset(i as isize * stride).add(p);
                    let (low, high) = if left >= 32 {
                        (_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(16)))
                    } else {
                        let rest = left.saturating_sub(16);
                        (
                            _mm512_maskz_loadu_ps(mask(left), from),
                            _mm512_maskz_loadu_ps(mask(rest), from.wrapping_add(16)),
                        )
                    };
                    largest[i] = _mm512_max_epu32(
                        largest[i],
                        _mm512_max_epu32(magnitude(low), magnitude(high)),
                    );
                    three(low, high)
                } else {
                    [zero; 3]
                };
                for q in 0..3 {
                    if TRANSPOSE {
                        kept[q][i] = parts[q];
                    } else {
                        _mm512_store_si512(to.add(place(q) + i * 64).cast(), parts[q]);
                    }
                }
            }
            if TRANSPOSE {
                for q in 0..3 {
                    transpose(&kept[q], to.add(place(q)));
                }
            }
        }
    }
    let mut all = Exponents::NONE;
    for largest in &largest[..lines] {
        let largest = _mm512_reduce_max_epu32(*largest);
        all = all.and(Exponents {
            smallest: largest.wrapping_sub(1),
            largest,
        });
    }
    all
}

/// Memory runs along the lines.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn along_lines<const TRANSPOSE: bool>(
    src: *const f32,
    stride: isize,
    lines: usize,
    ks: usize,
    to: *mut u8,
) -> Exponents {
    let some = mask(lines);
    let zero = _mm512_setzero_ps();
    let mut largest = _mm512_setzero_si512();
    let place = |part: usize| if TRANSPOSE { part } else { 2 - part } * PART;
    let mut kept = [[_mm512_setzero_si512(); 16]; 3];
    for step in 0..ks.div_ceil(32) {
        // SAFETY: element p of each line, p < ks, masked; three parts of this step.
        unsafe {
            let to = to.add(step * 3 * PART);
            for pair in 0..16 {
                let p = step * 32 + 2 * pair;
                let line = |p: usize| {
                    if p < ks {
                        _mm512_maskz_loadu_ps(some, src.wrapping_offset(p as isize * stride))
                    } else {
                        zero
                    }
                };
                let (even, odd) = (line(p), line(p + 1));
                largest =
                    _mm512_max_epu32(largest, _mm512_max_epu32(magnitude(even), magnitude(odd)));
                let parts = pairs(even, odd);
                for q in 0..3 {
                    if TRANSPOSE {
                        kept[q][pair] = parts[q];
                    } else {
                        _mm512_store_si512(to.add(place(q) + pair * 64).cast(), parts[q]);
                    }
                }
            }
            if TRANSPOSE {
                for q in 0..3 {
                    transpose(&kept[q], to.add(place(q)));
                }
            }
        }
    }
    let smallest = _mm512_sub_epi32(largest, _mm512_set1_epi32(1));
    Exponents {
        smallest: _mm512_reduce_min_epu32(smallest),
        largest: _mm512_reduce_max_epu32(largest),
    }
}

/// Splits two lines of `n` elements, channels of an image that are neighbours in k, into pairs: `to` are where the low, the middle and
/// the high parts go, 4 bytes an element. `largest` keeps, for each element, the largest magnitude seen.
///
/// # Safety
/// AMX [is available](super::is_available). The lines are readable, and the parts writable, for `n` elements; so long is `largest`.
pub unsafe fn split_pairs(
    even: *const f32,
    odd: *const f32,
    n: usize,
    to: [*mut u8; 3],
    largest: &mut [u32],
) {
    assert!(largest.len() >= n);
    // SAFETY: the caller's promise.
    unsafe { split_pair_lines(even, odd, n, to, largest) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn split_pair_lines(
    even: *const f32,
    odd: *const f32,
    n: usize,
    to: [*mut u8; 3],
    largest: &mut [u32],
) {
    let mut i = 0;
    while i < n {
        let some = mask(n - i);
        // SAFETY: the elements from i to n, masked.
        unsafe {
            let (even, odd) = (
                _mm512_maskz_loadu_ps(some, even.add(i)),
                _mm512_maskz_loadu_ps(some, odd.add(i)),
            );
            let kept = largest.as_mut_ptr().add(i).cast::<i32>();
            let here = _mm512_max_epu32(magnitude(even), magnitude(odd));
            let here = _mm512_max_epu32(here, _mm512_maskz_loadu_epi32(some, kept));
            _mm512_mask_storeu_epi32(kept, some, here);
            let [h, m, l] = pairs(even, odd);
            for (to, part) in to.into_iter().zip([l, m, h]) {
                _mm512_mask_storeu_epi32(to.add(4 * i).cast(), some, part);
            }
        }
        i += 16;
    }
}

/// Splits a line of `n` elements: `to` are where its high, middle and low parts go, 2 bytes an element, and what comes back the largest
/// magnitude.
///
/// # Safety
/// AMX [is available](super::is_available). The line is readable, and the parts writable, for `n` elements.
pub unsafe fn split_line(from: *const f32, n: usize, to: [*mut u16; 3]) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { split_line_vectors(from, n, to) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
unsafe fn split_line_vectors(from: *const f32, n: usize, to: [*mut u16; 3]) -> u32 {
    let mut largest = _mm512_setzero_si512();
    let mut i = 0;
    while i < n {
        let left = n - i;
        let some = !0u32 >> (32 - left.min(32));
        // SAFETY: the elements from i to n, masked.
        unsafe {
            let from = from.add(i);
            let low = _mm512_maskz_loadu_ps(mask(left), from);
            let high = _mm512_maskz_loadu_ps(mask(left.saturating_sub(16)), from.wrapping_add(16));
            largest = _mm512_max_epu32(largest, _mm512_max_epu32(magnitude(low), magnitude(high)));
            for (to, part) in to.into_iter().zip(three(low, high)) {
                _mm512_mask_storeu_epi16(to.add(i).cast(), some, part);
            }
        }
        i += 32;
    }
    _mm512_reduce_max_epu32(largest)
}

/// [`three`] of 16 elements and the 16 that follow them in k: each lane of 32 bits is a pair.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn pairs(even: __m512, odd: __m512) -> [__m512i; 3] {
    let (h, even, odd) = pair(even, odd);
    let (m, even, odd) = pair(even, odd);
    let (l, _, _) = pair(even, odd);
    [h, m, l]
}

/// [`part`] in pairs: the even one is the low half of a lane.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn pair(even: __m512, odd: __m512) -> (__m512i, __m512, __m512) {
    // SAFETY: both are 512 bits, and any bits are a value.
    let near: __m512i = unsafe { transmute::<__m512bh, _>(_mm512_cvtne2ps_pbh(odd, even)) };
    let near = _mm512_permutexvar_epi16(interleave(), near);
    let first = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(near));
    let second = _mm512_castsi512_ps(_mm512_and_si512(
        near,
        _mm512_set1_epi32(0xffff_0000u32 as i32),
    ));
    (near, _mm512_sub_ps(even, first), _mm512_sub_ps(odd, second))
}

/// Element `i` of the first half, then element `i` of the second.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn interleave() -> __m512i {
    _mm512_add_epi32(
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
        _mm512_slli_epi32::<16>(_mm512_setr_epi32(
            16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
        )),
    )
}

/// Writes the transpose of 16 × 16 units of 32 bits to a tile.
///
/// # Safety
/// `to` is writable for a tile and aligned to 64 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn transpose(x: &[__m512i; 16], to: *mut u8) {
    // Units of 32 bits within pairs of rows, of 64 bits within fours, then the four quarters of four rows.
    let mut y = *x;
    for i in (0..16).step_by(4) {
        let a = _mm512_unpacklo_epi32(x[i], x[i + 1]);
        let b = _mm512_unpackhi_epi32(x[i], x[i + 1]);
        let c = _mm512_unpacklo_epi32(x[i + 2], x[i + 3]);
        let d = _mm512_unpackhi_epi32(x[i + 2], x[i + 3]);
        y[i] = _mm512_unpacklo_epi64(a, c);
        y[i + 1] = _mm512_unpackhi_epi64(a, c);
        y[i + 2] = _mm512_unpacklo_epi64(b, d);
        y[i + 3] = _mm512_unpackhi_epi64(b, d);
    }
    for j in 0..4 {
        // Column 4q + j of the rows is quarter q of these four.
        let a = _mm512_shuffle_i32x4::<0x44>(y[j], y[4 + j]);
        let b = _mm512_shuffle_i32x4::<0xee>(y[j], y[4 + j]);
        let c = _mm512_shuffle_i32x4::<0x44>(y[8 + j], y[12 + j]);
        let d = _mm512_shuffle_i32x4::<0xee>(y[8 + j], y[12 + j]);
        // SAFETY: rows j, 4 + j, 8 + j, 12 + j of the tile.
        unsafe {
            let to = |q: usize| to.add((4 * q + j) * 64).cast::<__m512i>();
            _mm512_store_si512(to(0), _mm512_shuffle_i32x4::<0x88>(a, c));
            _mm512_store_si512(to(1), _mm512_shuffle_i32x4::<0xdd>(a, c));
            _mm512_store_si512(to(2), _mm512_shuffle_i32x4::<0x88>(b, d));
            _mm512_store_si512(to(3), _mm512_shuffle_i32x4::<0xdd>(b, d));
        }
    }
}
