//! The AVX2 + FMA backend: 8 `f32` or 4 `f64` lanes in 256-bit registers.
//!
//! What it is: the trait methods as one or two intrinsics each; masks are full-width vectors of 0 or −1.
//! What it is not: complete over all of `i64`: AVX2 has no f64 ↔ i64 conversion, so those use the "magic number"
//! 1.5·2^52, whose low mantissa bits are the integer (right for |x| < 2^51; Mysticial, stackoverflow.com/a/41223013).

#![allow(unused_unsafe)] // needed where AVX2 is not enabled at compile time

use std::arch::x86_64::*;
use std::ops::{Neg, Not};

use super::avx2_moves::*;
use super::{methods, operators};
use crate::isa::{FloatVec, IntVec, Isa, MaskVec, Table};

/// The token of AVX2 with FMA.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The token, if this processor has AVX2 and FMA.
    pub fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

impl Isa for Avx2 {
    const NAME: &'static str = "avx2";
    const REGISTERS: usize = 16;
    type F32 = F32x8;
    type F64 = F64x4;
    #[inline(always)]
    fn widen(self, x: F32x8) -> (F64x4, F64x4) {
        // SAFETY: the token proves AVX2.
        unsafe {
            let low = _mm256_cvtps_pd(_mm256_castps256_ps128(x.0));
            let high = _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(x.0));
            (F64x4(low), F64x4(high))
        }
    }
    #[inline(always)]
    fn narrow(self, low: F64x4, high: F64x4) -> F32x8 {
        // SAFETY: the token proves AVX2.
        F32x8(unsafe { _mm256_set_m128(_mm256_cvtpd_ps(high.0), _mm256_cvtpd_ps(low.0)) })
    }
    #[inline(always)]
    fn prefetch<T>(self, p: *const T) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> F32x8 {
        // SAFETY: the token proves AVX2, the caller promises 8 numbers.
        F32x8(unsafe {
            let wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(wide))
        })
    }
    #[inline(always)]
    unsafe fn transpose_tile(
        self,
        src: *const f32,
        src_step: usize,
        dst: *mut f32,
        dst_step: usize,
        _stream: bool,
    ) {
        // As for AVX-512, with two lanes of four: half a line is no use to store past the cache.
        // SAFETY (all blocks): the token proves AVX2; the addresses are the caller's promise.
        let row = |j: usize| unsafe { _mm256_loadu_ps(src.add(j * src_step)) };
        let mut u = [unsafe { _mm256_setzero_ps() }; 8];
        for k in [0, 4] {
            let (r0, r1, r2, r3) = (row(k), row(k + 1), row(k + 2), row(k + 3));
            unsafe {
                let (low01, high01) = (_mm256_unpacklo_ps(r0, r1), _mm256_unpackhi_ps(r0, r1));
                let (low23, high23) = (_mm256_unpacklo_ps(r2, r3), _mm256_unpackhi_ps(r2, r3));
                u[k] = _mm256_shuffle_ps::<0x44>(low01, low23);
                u[k + 1] = _mm256_shuffle_ps::<0xee>(low01, low23);
                u[k + 2] = _mm256_shuffle_ps::<0x44>(high01, high23);
                u[k + 3] = _mm256_shuffle_ps::<0xee>(high01, high23);
            }
        }
        for c in 0..4 {
            unsafe {
                let low = _mm256_permute2f128_ps::<0x20>(u[c], u[4 + c]);
                let high = _mm256_permute2f128_ps::<0x31>(u[c], u[4 + c]);
                _mm256_storeu_ps(dst.add(c * dst_step), low);
                _mm256_storeu_ps(dst.add((4 + c) * dst_step), high);
            }
        }
    }
    #[inline(always)]
    fn fence(self) {
        // SAFETY: SSE is part of x86-64.
        unsafe { _mm_sfence() }
    }
}

/// `MASKS[8 - n..]` starts with n lanes of −1 followed by zeros.
static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// The first `n <= 8` 32-bit lanes.
#[inline(always)]
unsafe fn first_lanes_32(n: usize) -> __m256i {
    // SAFETY: 8 - n .. 16 - n lies within MASKS for n <= 8.
    unsafe { _mm256_loadu_si256(MASKS.as_ptr().add(8 - n).cast()) }
}

/// The first `n <= 4` 64-bit lanes.
#[inline(always)]
unsafe fn first_lanes_64(n: usize) -> __m256i {
    // SAFETY: 2n <= 8.
    unsafe { first_lanes_32(2 * n) }
}

const MAGIC: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52

#[inline(always)]
unsafe fn f64_to_i64(x: __m256d) -> __m256i {
    // SAFETY: called from methods whose values prove AVX2.
    unsafe {
        let magic = _mm256_set1_pd(MAGIC);
        _mm256_sub_epi64(
            _mm256_castpd_si256(_mm256_add_pd(x, magic)),
            _mm256_castpd_si256(magic),
        )
    }
}

#[inline(always)]
unsafe fn i64_to_f64(i: __m256i) -> __m256d {
    // SAFETY: called from methods whose values prove AVX2.
    unsafe {
        let magic = _mm256_set1_pd(MAGIC);
        _mm256_sub_pd(
            _mm256_castsi256_pd(_mm256_add_epi64(i, _mm256_castpd_si256(magic))),
            magic,
        )
    }
}

/// Arithmetic shift of 64-bit lanes, which AVX2 lacks: shift the biased (unsigned) value and take the bias back.
#[inline(always)]
unsafe fn sra_epi64(x: __m256i, n: __m128i) -> __m256i {
    // SAFETY: called from methods whose values prove AVX2.
    unsafe {
        let sign = _mm256_set1_epi64x(i64::MIN);
        _mm256_sub_epi64(
            _mm256_srl_epi64(_mm256_xor_si256(x, sign), n),
            _mm256_srl_epi64(sign, n),
        )
    }
}

macro_rules! vectors {
    (
        $fvec:ident, $ivec:ident, $mvec:ident: $lanes:literal lanes of $float:ident, $int:ident;
        $reg:ident, set $set1:ident, $iset1:ident;
        arithmetic $add:ident $sub:ident $mul:ident $div:ident $fmadd:ident $fnmadd:ident $fmsub:ident $sqrt:ident;
        bits $and:ident $andnot:ident $or:ident $xor:ident $cmp:ident $blend:ident $movemask:ident $round:ident;
        memory $loadu:ident $storeu:ident $stream:ident $maskload:ident $maskstore:ident $first:ident;
        minmax $min:ident $max:ident;
        casts $cast_to_int:ident $cast_from_int:ident $to_int:path, $from_int:path, $lookup:ident $deinterleave:ident $interleave:ident $($rows:ident)?;
        integers $iadd:ident $isub:ident $sll:ident $sra:path, $srl:ident $cmpeq:ident $cmpgt:ident
    ) => {
        #[doc = concat!(stringify!($lanes), " lanes of `", stringify!($float), "`.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $fvec($reg);
        #[doc = concat!(stringify!($lanes), " lanes of `", stringify!($int), "`.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $ivec(__m256i);
        #[doc = concat!(stringify!($lanes), " booleans.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $mvec($reg);

        operators!($fvec: Add::add = $add, Sub::sub = $sub, Mul::mul = $mul, Div::div = $div);
        operators!($mvec: BitAnd::bitand = $and, BitOr::bitor = $or, BitXor::bitxor = $xor);
        operators!($ivec: Add::add = $iadd, Sub::sub = $isub, BitAnd::bitand = _mm256_and_si256,
            BitOr::bitor = _mm256_or_si256, BitXor::bitxor = _mm256_xor_si256);

        // SAFETY (every block below): a value or token of these types exists only where AVX2 and FMA do; pointer
        // methods pass on their caller's promise.
        impl Neg for $fvec {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $xor(self.0, $set1(-0.0)) })
            }
        }
        impl Not for $mvec {
            type Output = Self;
            #[inline(always)]
            fn not(self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $xor(self.0, $cast_from_int(_mm256_set1_epi32(-1))) })
            }
        }
        impl Not for $ivec {
            type Output = Self;
            #[inline(always)]
            fn not(self) -> Self {
                // SAFETY: see above.
                Self(unsafe { _mm256_xor_si256(self.0, _mm256_set1_epi32(-1)) })
            }
        }

        impl MaskVec<Avx2> for $mvec {
            #[inline(always)]
            fn to_bits(self) -> u32 {
                // SAFETY: see above.
                unsafe { $movemask(self.0) as u32 }
            }
            #[inline(always)]
            fn all(self) -> bool {
                self.to_bits() == (1 << $lanes) - 1
            }
        }

        impl FloatVec<Avx2, $float> for $fvec {
            type Int = $ivec;
            type Mask = $mvec;
            type Array = [$float; $lanes];
            const LANES: usize = $lanes;
            #[inline(always)]
            fn splat(_: Avx2, x: $float) -> Self {
                // SAFETY: see above.
                Self(unsafe { $set1(x) })
            }
            #[inline(always)]
            unsafe fn load_ptr(_: Avx2, p: *const $float) -> Self {
                // SAFETY: see above.
                Self(unsafe { $loadu(p) })
            }
            #[inline(always)]
            unsafe fn store_ptr(self, p: *mut $float) {
                // SAFETY: see above.
                unsafe { $storeu(p, self.0) }
            }
            #[inline(always)]
            unsafe fn stream_ptr(self, p: *mut $float) {
                // SAFETY: see above; the caller promises alignment.
                unsafe { $stream(p, self.0) }
            }
            #[inline(always)]
            unsafe fn load_tail_ptr(_: Avx2, p: *const $float, n: usize, fill: $float) -> Self {
                // SAFETY: see above; masked lanes are not touched.
                unsafe {
                    let lanes = $first(n);
                    Self($blend($set1(fill), $maskload(p, lanes), $cast_from_int(lanes)))
                }
            }
            #[inline(always)]
            unsafe fn store_tail_ptr(self, p: *mut $float, n: usize) {
                // SAFETY: see above; masked lanes are not touched.
                unsafe { $maskstore(p, $first(n), self.0) }
            }
            #[inline(always)]
            fn to_array(self) -> [$float; $lanes] {
                let mut y = [0.0; $lanes];
                // SAFETY: see above; the array has LANES elements.
                unsafe { $storeu(y.as_mut_ptr(), self.0) };
                y
            }
            methods! {
                Self: mul_add(b, c) = $fmadd, neg_mul_add(b, c) = $fnmadd, mul_sub(b, c) = $fmsub, sqrt() = $sqrt,
                    floor() = $round::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>,
                    ceil() = $round::<{ _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC }>,
                    trunc() = $round::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>,
                    round_ties_even() = $round::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>;
                $mvec: eq(o) = $cmp::<_CMP_EQ_OQ>, ne(o) = $cmp::<_CMP_NEQ_UQ>, lt(o) = $cmp::<_CMP_LT_OQ>,
                    le(o) = $cmp::<_CMP_LE_OQ>;
                $ivec: to_bits() = $cast_to_int, to_int_round() = $to_int;
            }
            #[inline(always)]
            fn abs(self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $andnot($set1(-0.0), self.0) })
            }
            #[inline(always)]
            fn min(self, o: Self) -> Self {
                // The instruction gives `o` where either is NaN: only a NaN in `self` is left to pass on.
                // SAFETY: see above.
                Self::select(self.is_nan(), self, Self(unsafe { $min(self.0, o.0) }))
            }
            #[inline(always)]
            fn max(self, o: Self) -> Self {
                // SAFETY: see above.
                Self::select(self.is_nan(), self, Self(unsafe { $max(self.0, o.0) }))
            }
            #[inline(always)]
            fn at_least(self, low: Self) -> Self {
                // The instruction gives its second argument where either is NaN, or both are equal.
                // SAFETY: see above.
                Self(unsafe { $max(low.0, self.0) })
            }
            #[inline(always)]
            fn at_most(self, high: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $min(high.0, self.0) })
            }
            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                // SAFETY: see above.
                unsafe {
                    let bit = $set1(-0.0);
                    Self($or($andnot(bit, self.0), $and(bit, sign.0)))
                }
            }
            #[inline(always)]
            fn select(mask: $mvec, a: Self, b: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $blend(b.0, a.0, mask.0) })
            }
            #[inline(always)]
            fn from_bits(bits: $ivec) -> Self {
                // SAFETY: see above.
                Self(unsafe { $cast_from_int(bits.0) })
            }
            #[inline(always)]
            fn from_int(i: $ivec) -> Self {
                // SAFETY: see above.
                Self(unsafe { $from_int(i.0) })
            }
            #[inline(always)]
            fn lookup(_: Avx2, table: &[$float; 16], index: $ivec) -> Self {
                // SAFETY: see above.
                Self(unsafe { $lookup(table, index.0) })
            }
            $(#[inline(always)]
            fn rows(_: Avx2, table: &Table<$float>, index: $ivec) -> [Self; 8] {
                // SAFETY: see above.
                let [a, b, c, d, e, f, g, h] = unsafe { $rows(table, index.0) };
                [Self(a), Self(b), Self(c), Self(d), Self(e), Self(f), Self(g), Self(h)]
            })?
            #[inline(always)]
            fn deinterleave(self, o: Self) -> (Self, Self) {
                // SAFETY: see above.
                let (even, odd) = unsafe { $deinterleave(self.0, o.0) };
                (Self(even), Self(odd))
            }
            #[inline(always)]
            fn interleave(self, o: Self) -> (Self, Self) {
                // SAFETY: see above.
                let (first, second) = unsafe { $interleave(self.0, o.0) };
                (Self(first), Self(second))
            }
        }

        impl IntVec<Avx2, $int> for $ivec {
            type Mask = $mvec;
            const LANES: usize = $lanes;
            #[inline(always)]
            fn splat(_: Avx2, x: $int) -> Self {
                // SAFETY: see above.
                Self(unsafe { $iset1(x) })
            }
            #[inline(always)]
            unsafe fn load_ptr(_: Avx2, p: *const $int) -> Self {
                // SAFETY: see above.
                Self(unsafe { _mm256_loadu_si256(p.cast()) })
            }
            #[inline(always)]
            unsafe fn store_ptr(self, p: *mut $int) {
                // SAFETY: see above.
                unsafe { _mm256_storeu_si256(p.cast(), self.0) }
            }
            #[inline(always)]
            fn shl(self, n: u32) -> Self {
                // SAFETY: see above.
                Self(unsafe { $sll(self.0, _mm_cvtsi32_si128(n as i32)) })
            }
            #[inline(always)]
            fn shr(self, n: u32) -> Self {
                // SAFETY: see above.
                Self(unsafe { $sra(self.0, _mm_cvtsi32_si128(n as i32)) })
            }
            #[inline(always)]
            fn shr_logical(self, n: u32) -> Self {
                // SAFETY: see above.
                Self(unsafe { $srl(self.0, _mm_cvtsi32_si128(n as i32)) })
            }
            #[inline(always)]
            fn eq(self, o: Self) -> $mvec {
                // SAFETY: see above.
                $mvec(unsafe { $cast_from_int($cmpeq(self.0, o.0)) })
            }
            #[inline(always)]
            fn gt(self, o: Self) -> $mvec {
                // SAFETY: see above.
                $mvec(unsafe { $cast_from_int($cmpgt(self.0, o.0)) })
            }
            #[inline(always)]
            fn select(mask: $mvec, a: Self, b: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { _mm256_blendv_epi8(b.0, a.0, $cast_to_int(mask.0)) })
            }
        }
    };
}

vectors! {
    F32x8, I32x8, M32x8: 8 lanes of f32, i32;
    __m256, set _mm256_set1_ps, _mm256_set1_epi32;
    arithmetic _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_div_ps _mm256_fmadd_ps _mm256_fnmadd_ps _mm256_fmsub_ps _mm256_sqrt_ps;
    bits _mm256_and_ps _mm256_andnot_ps _mm256_or_ps _mm256_xor_ps _mm256_cmp_ps _mm256_blendv_ps _mm256_movemask_ps _mm256_round_ps;
    memory _mm256_loadu_ps _mm256_storeu_ps _mm256_stream_ps _mm256_maskload_ps _mm256_maskstore_ps first_lanes_32;
    minmax _mm256_min_ps _mm256_max_ps;
    casts _mm256_castps_si256 _mm256_castsi256_ps _mm256_cvtps_epi32, _mm256_cvtepi32_ps, lookup_f32 deinterleave_f32 interleave_f32 rows_f32;
    integers _mm256_add_epi32 _mm256_sub_epi32 _mm256_sll_epi32 _mm256_sra_epi32, _mm256_srl_epi32 _mm256_cmpeq_epi32 _mm256_cmpgt_epi32
}

vectors! {
    F64x4, I64x4, M64x4: 4 lanes of f64, i64;
    __m256d, set _mm256_set1_pd, _mm256_set1_epi64x;
    arithmetic _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_div_pd _mm256_fmadd_pd _mm256_fnmadd_pd _mm256_fmsub_pd _mm256_sqrt_pd;
    bits _mm256_and_pd _mm256_andnot_pd _mm256_or_pd _mm256_xor_pd _mm256_cmp_pd _mm256_blendv_pd _mm256_movemask_pd _mm256_round_pd;
    memory _mm256_loadu_pd _mm256_storeu_pd _mm256_stream_pd _mm256_maskload_pd _mm256_maskstore_pd first_lanes_64;
    minmax _mm256_min_pd _mm256_max_pd;
    casts _mm256_castpd_si256 _mm256_castsi256_pd f64_to_i64, i64_to_f64, lookup_f64 deinterleave_f64 interleave_f64;
    integers _mm256_add_epi64 _mm256_sub_epi64 _mm256_sll_epi64 sra_epi64, _mm256_srl_epi64 _mm256_cmpeq_epi64 _mm256_cmpgt_epi64
}
