//! The AVX-512 backend (F, BW, DQ, VL): 16 `f32` or 8 `f64` lanes in 512-bit registers.
//!
//! What it is: the trait methods as one or two intrinsics each; masks are bits in mask registers, and tails are
//! masked loads and stores. What it is not: VNNI's dot products.

#![allow(unused_unsafe)] // needed where AVX-512 is not enabled at compile time

use std::arch::x86_64::*;
use std::ops::{BitAnd, BitOr, BitXor, Neg, Not};

use super::avx512_moves::*;
use super::{methods, operators};
use crate::isa::{FloatVec, IntVec, Isa, MaskVec, Table};

/// The token of AVX-512 F, BW, DQ and VL (with AVX2 and FMA, which come with them).
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

impl Avx512 {
    /// The token, if this processor has AVX-512 F, BW, DQ and VL.
    pub fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma"))
        .then_some(Self(()))
    }
}

impl Isa for Avx512 {
    const NAME: &'static str = "avx512";
    const REGISTERS: usize = 32;
    type F32 = F32x16;
    type F64 = F64x8;
    #[inline(always)]
    fn widen(self, x: F32x16) -> (F64x8, F64x8) {
        // SAFETY: the token proves AVX-512.
        unsafe {
            let low = _mm512_cvtps_pd(_mm512_castps512_ps256(x.0));
            let high = _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(x.0));
            (F64x8(low), F64x8(high))
        }
    }
    #[inline(always)]
    fn narrow(self, low: F64x8, high: F64x8) -> F32x16 {
        // SAFETY: the token proves AVX-512.
        F32x16(unsafe {
            _mm512_insertf32x8::<1>(
                _mm512_castps256_ps512(_mm512_cvtpd_ps(low.0)),
                _mm512_cvtpd_ps(high.0),
            )
        })
    }
    #[inline(always)]
    fn prefetch<T>(self, p: *const T) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn load_bf16(self, p: *const u16) -> F32x16 {
        // SAFETY: the token proves AVX-512, the caller promises 16 numbers.
        F32x16(unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        })
    }
    #[inline(always)]
    unsafe fn store_bf16(self, x: F32x16, p: *mut u16) {
        // SAFETY: as above.
        unsafe {
            let bits = _mm512_castps_si512(x.0);
            let high = _mm512_srli_epi32::<16>(bits);
            let odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
            let near = _mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7fff));
            let near = _mm512_srli_epi32::<16>(near);
            let nan = _mm512_or_si512(high, _mm512_set1_epi32(0x40));
            let half = _mm512_mask_blend_epi32(x.is_nan().0, near, nan);
            _mm256_storeu_si256(p.cast(), _mm512_cvtepi32_epi16(half));
        }
    }
    const TILE: usize = 16;
    #[inline(always)]
    unsafe fn transpose_tile(
        self,
        src: *const f32,
        src_step: usize,
        dst: *mut f32,
        dst_step: usize,
        stream: bool,
    ) {
        // Within lanes of four, 4x4 blocks are turned over by unpacking singles, then pairs; then the 4x4 lanes themselves.
        // SAFETY (all blocks): the token proves AVX-512; the addresses are the caller's promise.
        let row = |j: usize| unsafe { _mm512_loadu_ps(src.add(j * src_step)) };
        let pair = |x| unsafe { _mm512_castps_pd(x) };
        let mut u = [unsafe { _mm512_setzero_ps() }; 16];
        for k in (0..16).step_by(4) {
            let (r0, r1, r2, r3) = (row(k), row(k + 1), row(k + 2), row(k + 3));
            unsafe {
                let (low01, high01) = (_mm512_unpacklo_ps(r0, r1), _mm512_unpackhi_ps(r0, r1));
                let (low23, high23) = (_mm512_unpacklo_ps(r2, r3), _mm512_unpackhi_ps(r2, r3));
                u[k] = _mm512_castpd_ps(_mm512_unpacklo_pd(pair(low01), pair(low23)));
                u[k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(pair(low01), pair(low23)));
                u[k + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(pair(high01), pair(high23)));
                u[k + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(pair(high01), pair(high23)));
            }
        }
        for c in 0..4 {
            unsafe {
                let (a, b) = (u[c], u[4 + c]);
                let (d, e) = (u[8 + c], u[12 + c]);
                let (even0, odd0) = (
                    _mm512_shuffle_f32x4::<0x88>(a, b),
                    _mm512_shuffle_f32x4::<0xdd>(a, b),
                );
                let (even1, odd1) = (
                    _mm512_shuffle_f32x4::<0x88>(d, e),
                    _mm512_shuffle_f32x4::<0xdd>(d, e),
                );
                for (i, y) in [
                    (c, _mm512_shuffle_f32x4::<0x88>(even0, even1)),
                    (4 + c, _mm512_shuffle_f32x4::<0x88>(odd0, odd1)),
                    (8 + c, _mm512_shuffle_f32x4::<0xdd>(even0, even1)),
                    (12 + c, _mm512_shuffle_f32x4::<0xdd>(odd0, odd1)),
                ] {
                    let to = dst.add(i * dst_step);
                    if stream {
                        _mm512_stream_ps(to, y);
                    } else {
                        _mm512_storeu_ps(to, y);
                    }
                }
            }
        }
    }
    #[inline(always)]
    fn fence(self) {
        // SAFETY: SSE is part of x86-64.
        unsafe { _mm_sfence() }
    }
}

/// The lowest `n` bits, n <= 16.
#[inline(always)]
fn first_lanes(n: usize) -> u32 {
    (1u32 << n) - 1
}

macro_rules! vectors {
    (
        $fvec:ident, $ivec:ident, $mvec:ident: $lanes:literal lanes of $float:ident, $int:ident;
        $reg:ident, $bits:ident, set $set1:ident, $iset1:ident;
        arithmetic $add:ident $sub:ident $mul:ident $div:ident $fmadd:ident $fnmadd:ident $fmsub:ident $sqrt:ident;
        bits $and:ident $andnot:ident $or:ident $xor:ident $cmp:ident $blend:ident $round:ident $scale:ident;
        memory $loadu:ident $storeu:ident $stream:ident $maskload:ident $maskstore:ident;
        minmax $min:ident $max:ident;
        casts $cast_to_int:ident $cast_from_int:ident $to_int:ident $from_int:ident $lookup:ident $deinterleave:ident $interleave:ident $($rows:ident)?;
        integers $iadd:ident $isub:ident $sll:ident $sra:ident $srl:ident $cmpeq:ident $cmpgt:ident $iblend:ident
    ) => {
        #[doc = concat!(stringify!($lanes), " lanes of `", stringify!($float), "`.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $fvec($reg);
        #[doc = concat!(stringify!($lanes), " lanes of `", stringify!($int), "`.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $ivec(__m512i);
        #[doc = concat!(stringify!($lanes), " booleans.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $mvec($bits);

        operators!($fvec: Add::add = $add, Sub::sub = $sub, Mul::mul = $mul, Div::div = $div);
        operators!($ivec: Add::add = $iadd, Sub::sub = $isub, BitAnd::bitand = _mm512_and_si512,
            BitOr::bitor = _mm512_or_si512, BitXor::bitxor = _mm512_xor_si512);

        impl BitAnd for $mvec {
            type Output = Self;
            #[inline(always)]
            fn bitand(self, o: Self) -> Self {
                Self(self.0 & o.0)
            }
        }
        impl BitOr for $mvec {
            type Output = Self;
            #[inline(always)]
            fn bitor(self, o: Self) -> Self {
                Self(self.0 | o.0)
            }
        }
        impl BitXor for $mvec {
            type Output = Self;
            #[inline(always)]
            fn bitxor(self, o: Self) -> Self {
                Self(self.0 ^ o.0)
            }
        }
        impl Not for $mvec {
            type Output = Self;
            #[inline(always)]
            fn not(self) -> Self {
                Self(!self.0)
            }
        }

        // SAFETY (every block below): a value or token of these types exists only where AVX-512 does; pointer
        // methods pass on their caller's promise.
        impl Neg for $fvec {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $xor(self.0, $set1(-0.0)) })
            }
        }
        impl Not for $ivec {
            type Output = Self;
            #[inline(always)]
            fn not(self) -> Self {
                // SAFETY: see above.
                Self(unsafe { _mm512_xor_si512(self.0, _mm512_set1_epi32(-1)) })
            }
        }

        impl MaskVec<Avx512> for $mvec {
            #[inline(always)]
            fn to_bits(self) -> u32 {
                self.0.into()
            }
            #[inline(always)]
            fn all(self) -> bool {
                self.0 == $bits::MAX
            }
        }

        impl FloatVec<Avx512, $float> for $fvec {
            type Int = $ivec;
            type Mask = $mvec;
            type Array = [$float; $lanes];
            const LANES: usize = $lanes;
            #[inline(always)]
            fn splat(_: Avx512, x: $float) -> Self {
                // SAFETY: see above.
                Self(unsafe { $set1(x) })
            }
            #[inline(always)]
            unsafe fn load_ptr(_: Avx512, p: *const $float) -> Self {
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
            unsafe fn load_tail_ptr(_: Avx512, p: *const $float, n: usize, fill: $float) -> Self {
                // SAFETY: see above; masked lanes are not touched.
                Self(unsafe { $maskload($set1(fill), first_lanes(n) as $bits, p) })
            }
            #[inline(always)]
            unsafe fn store_tail_ptr(self, p: *mut $float, n: usize) {
                // SAFETY: see above; masked lanes are not touched.
                unsafe { $maskstore(p, first_lanes(n) as $bits, self.0) }
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
            fn times_power_of_two(self, n: Self) -> Option<Self> {
                // SAFETY: see above.
                Some(Self(unsafe { $scale(self.0, n.0) }))
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
                Self(unsafe { $blend(mask.0, b.0, a.0) })
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
            fn lookup(_: Avx512, table: &[$float; 16], index: $ivec) -> Self {
                // SAFETY: see above.
                Self(unsafe { $lookup(table, index.0) })
            }
            $(#[inline(always)]
            fn rows(_: Avx512, table: &Table<$float>, index: $ivec) -> [Self; 8] {
                // SAFETY: see above.
                let [a, b, c, d, e, f, g, h] = unsafe { $rows(table, index.0) };
                [Self(a), Self(b), Self(c), Self(d), Self(e), Self(f), Self(g), Self(h)]
            }
            const DOTS: bool = true;
            #[inline(always)]
            unsafe fn dot_pairs(self, b: Self, c: Self) -> Self {
                // SAFETY: the caller promises the instruction; 512 bits are any 32 bf16.
                unsafe {
                    let pairs = |x: $reg| std::mem::transmute::<$reg, __m512bh>(x);
                    Self(_mm512_dpbf16_ps(c.0, pairs(self.0), pairs(b.0)))
                }
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

        impl IntVec<Avx512, $int> for $ivec {
            type Mask = $mvec;
            const LANES: usize = $lanes;
            #[inline(always)]
            fn splat(_: Avx512, x: $int) -> Self {
                // SAFETY: see above.
                Self(unsafe { $iset1(x) })
            }
            #[inline(always)]
            unsafe fn load_ptr(_: Avx512, p: *const $int) -> Self {
                // SAFETY: see above.
                Self(unsafe { _mm512_loadu_si512(p.cast()) })
            }
            #[inline(always)]
            unsafe fn store_ptr(self, p: *mut $int) {
                // SAFETY: see above.
                unsafe { _mm512_storeu_si512(p.cast(), self.0) }
            }
            methods!($mvec: eq(o) = $cmpeq, gt(o) = $cmpgt;);
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
            fn select(mask: $mvec, a: Self, b: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $iblend(mask.0, b.0, a.0) })
            }
        }
    };
}

vectors! {
    F32x16, I32x16, M32x16: 16 lanes of f32, i32;
    __m512, __mmask16, set _mm512_set1_ps, _mm512_set1_epi32;
    arithmetic _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_div_ps _mm512_fmadd_ps _mm512_fnmadd_ps _mm512_fmsub_ps _mm512_sqrt_ps;
    bits _mm512_and_ps _mm512_andnot_ps _mm512_or_ps _mm512_xor_ps _mm512_cmp_ps_mask _mm512_mask_blend_ps _mm512_roundscale_ps _mm512_scalef_ps;
    memory _mm512_loadu_ps _mm512_storeu_ps _mm512_stream_ps _mm512_mask_loadu_ps _mm512_mask_storeu_ps;
    minmax _mm512_min_ps _mm512_max_ps;
    casts _mm512_castps_si512 _mm512_castsi512_ps _mm512_cvtps_epi32 _mm512_cvtepi32_ps lookup_f32 deinterleave_f32 interleave_f32 rows_f32;
    integers _mm512_add_epi32 _mm512_sub_epi32 _mm512_sll_epi32 _mm512_sra_epi32 _mm512_srl_epi32 _mm512_cmpeq_epi32_mask _mm512_cmpgt_epi32_mask _mm512_mask_blend_epi32
}

vectors! {
    F64x8, I64x8, M64x8: 8 lanes of f64, i64;
    __m512d, __mmask8, set _mm512_set1_pd, _mm512_set1_epi64;
    arithmetic _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_div_pd _mm512_fmadd_pd _mm512_fnmadd_pd _mm512_fmsub_pd _mm512_sqrt_pd;
    bits _mm512_and_pd _mm512_andnot_pd _mm512_or_pd _mm512_xor_pd _mm512_cmp_pd_mask _mm512_mask_blend_pd _mm512_roundscale_pd _mm512_scalef_pd;
    memory _mm512_loadu_pd _mm512_storeu_pd _mm512_stream_pd _mm512_mask_loadu_pd _mm512_mask_storeu_pd;
    minmax _mm512_min_pd _mm512_max_pd;
    casts _mm512_castpd_si512 _mm512_castsi512_pd _mm512_cvtpd_epi64 _mm512_cvtepi64_pd lookup_f64 deinterleave_f64 interleave_f64;
    integers _mm512_add_epi64 _mm512_sub_epi64 _mm512_sll_epi64 _mm512_sra_epi64 _mm512_srl_epi64 _mm512_cmpeq_epi64_mask _mm512_cmpgt_epi64_mask _mm512_mask_blend_epi64
}
