//! The NEON (AArch64 Advanced SIMD) backend: 4 `f32` or 2 `f64` lanes in 128-bit registers.
//!
//! What it is: the trait methods as one or two intrinsics each; NEON is part of the AArch64 baseline, so the token is
//! free. What it is not: SVE. Tails go through a small array, since NEON has no masked loads.

#![allow(unused_unsafe)] // the intrinsics are safe where NEON is enabled at compile time, as it is by default

use std::arch::aarch64::*;
use std::ops::{Neg, Not};

use super::{methods, operators};
use crate::isa::{FloatVec, IntVec, Isa, MaskVec, Table};

/// The token of NEON.
#[derive(Clone, Copy, Debug)]
pub struct Neon(());

impl Neon {
    /// The token; every AArch64 processor this crate is built for has NEON.
    #[allow(clippy::new_without_default)] // a proof is asked for by name
    pub fn new() -> Self {
        Self(())
    }
}

impl Isa for Neon {
    const NAME: &'static str = "neon";
    const REGISTERS: usize = 32;
    type F32 = F32x4;
    type F64 = F64x2;
    #[inline(always)]
    fn widen(self, x: F32x4) -> (F64x2, F64x2) {
        // SAFETY: the token proves NEON.
        unsafe {
            (
                F64x2(vcvt_f64_f32(vget_low_f32(x.0))),
                F64x2(vcvt_high_f64_f32(x.0)),
            )
        }
    }
    #[inline(always)]
    fn narrow(self, low: F64x2, high: F64x2) -> F32x4 {
        // SAFETY: the token proves NEON.
        F32x4(unsafe { vcvt_high_f32_f64(vcvt_f32_f64(low.0), high.0) })
    }
}

#[inline(always)]
unsafe fn not_u64(x: uint64x2_t) -> uint64x2_t {
    // SAFETY: called from methods whose values prove NEON.
    unsafe { vreinterpretq_u64_u32(vmvnq_u32(vreinterpretq_u32_u64(x))) }
}

#[inline(always)]
unsafe fn not_s64(x: int64x2_t) -> int64x2_t {
    // SAFETY: called from methods whose values prove NEON.
    unsafe { vreinterpretq_s64_s32(vmvnq_s32(vreinterpretq_s32_s64(x))) }
}

#[inline(always)]
unsafe fn lookup_f32(table: &[f32; 16], index: int32x4_t) -> float32x4_t {
    // SAFETY: NEON is part of the baseline; the table is four vectors. Bytes are looked up: four next to each other for a number.
    unsafe {
        let low = vandq_s32(index, vdupq_n_s32(15));
        let bytes = vmlaq_s32(vdupq_n_s32(0x0302_0100), low, vdupq_n_s32(0x0404_0404));
        let quarter = |at: usize| vreinterpretq_u8_f32(vld1q_f32(table.as_ptr().add(at)));
        let all = uint8x16x4_t(quarter(0), quarter(4), quarter(8), quarter(12));
        vreinterpretq_f32_u8(vqtbl4q_u8(all, vreinterpretq_u8_s32(bytes)))
    }
}

#[inline(always)]
unsafe fn lookup_f64(table: &[f64; 16], index: int64x2_t) -> float64x2_t {
    // SAFETY: NEON is part of the baseline.
    unsafe {
        let low = vgetq_lane_s64::<0>(index) & 15;
        let high = vgetq_lane_s64::<1>(index) & 15;
        vcombine_f64(
            vdup_n_f64(table[low as usize]),
            vdup_n_f64(table[high as usize]),
        )
    }
}

/// By rows, turned over.
#[inline(always)]
unsafe fn rows_f32(table: &Table<f32>, index: int32x4_t) -> [float32x4_t; 8] {
    // SAFETY: NEON is part of the baseline; the indices are below 32, and a row is two halves of four.
    unsafe {
        let mut at = [0i32; 4];
        vst1q_s32(at.as_mut_ptr(), vandq_s32(index, vdupq_n_s32(31)));
        let mut y = [vdupq_n_f32(0.0); 8];
        let mut k = 0;
        while k < 8 {
            let row =
                |i: usize| vld1q_f32(table.rows.as_ptr().add(at[i] as usize).cast::<f32>().add(k));
            let pairs = |a, b| {
                (
                    vreinterpretq_f64_f32(vtrn1q_f32(a, b)),
                    vreinterpretq_f64_f32(vtrn2q_f32(a, b)),
                )
            };
            let (even, odd) = pairs(row(0), row(1));
            let (even2, odd2) = pairs(row(2), row(3));
            y[k] = vreinterpretq_f32_f64(vtrn1q_f64(even, even2));
            y[k + 1] = vreinterpretq_f32_f64(vtrn1q_f64(odd, odd2));
            y[k + 2] = vreinterpretq_f32_f64(vtrn2q_f64(even, even2));
            y[k + 3] = vreinterpretq_f32_f64(vtrn2q_f64(odd, odd2));
            k += 4;
        }
        y
    }
}

#[inline(always)]
unsafe fn deinterleave_f32(a: float32x4_t, b: float32x4_t) -> (float32x4_t, float32x4_t) {
    // SAFETY: NEON is part of the baseline.
    unsafe { (vuzp1q_f32(a, b), vuzp2q_f32(a, b)) }
}

#[inline(always)]
unsafe fn deinterleave_f64(a: float64x2_t, b: float64x2_t) -> (float64x2_t, float64x2_t) {
    // SAFETY: NEON is part of the baseline.
    unsafe { (vuzp1q_f64(a, b), vuzp2q_f64(a, b)) }
}

#[inline(always)]
unsafe fn interleave_f32(a: float32x4_t, b: float32x4_t) -> (float32x4_t, float32x4_t) {
    // SAFETY: NEON is part of the baseline.
    unsafe { (vzip1q_f32(a, b), vzip2q_f32(a, b)) }
}

#[inline(always)]
unsafe fn interleave_f64(a: float64x2_t, b: float64x2_t) -> (float64x2_t, float64x2_t) {
    // SAFETY: NEON is part of the baseline.
    unsafe { (vzip1q_f64(a, b), vzip2q_f64(a, b)) }
}

macro_rules! vectors {
    (
        $fvec:ident, $ivec:ident, $mvec:ident: $lanes:literal lanes of $float:ident, $int:ident, $uint:ident;
        $freg:ident $ireg:ident $ureg:ident, dup $fdup:ident $idup:ident;
        arithmetic $add:ident $sub:ident $mul:ident $div:ident $fma:ident $fms:ident $sqrt:ident $neg:ident $abs:ident;
        rounding $floor:ident $ceil:ident $trunc:ident $round:ident;
        compare $eq:ident $lt:ident $le:ident $select:ident;
        memory $fload:ident $fstore:ident $iload:ident $istore:ident $ustore:ident;
        casts $f_to_i:ident $i_to_f:ident $i_to_u:ident $u_to_i:ident $to_int:ident $from_int:ident $lookup:ident $deinterleave:ident $interleave:ident $($rows:ident)?;
        integers $iadd:ident $isub:ident $iand:ident $ior:ident $ixor:ident $inot:ident
            $shl:ident $shlu:ident $ieq:ident $igt:ident $iselect:ident;
        masks $uand:ident $uor:ident $uxor:ident $unot:ident
    ) => {
        #[doc = concat!(stringify!($lanes), " lanes of `", stringify!($float), "`.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $fvec($freg);
        #[doc = concat!(stringify!($lanes), " lanes of `", stringify!($int), "`.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $ivec($ireg);
        #[doc = concat!(stringify!($lanes), " booleans.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $mvec($ureg);

        operators!($fvec: Add::add = $add, Sub::sub = $sub, Mul::mul = $mul, Div::div = $div);
        operators!($mvec: BitAnd::bitand = $uand, BitOr::bitor = $uor, BitXor::bitxor = $uxor);
        operators!($ivec: Add::add = $iadd, Sub::sub = $isub, BitAnd::bitand = $iand,
            BitOr::bitor = $ior, BitXor::bitxor = $ixor);

        // SAFETY (every block below): NEON is part of the baseline; pointer methods pass on their caller's promise.
        impl Neg for $fvec {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $neg(self.0) })
            }
        }
        impl Not for $mvec {
            type Output = Self;
            #[inline(always)]
            fn not(self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $unot(self.0) })
            }
        }
        impl Not for $ivec {
            type Output = Self;
            #[inline(always)]
            fn not(self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $inot(self.0) })
            }
        }

        impl MaskVec<Neon> for $mvec {
            #[inline(always)]
            fn to_bits(self) -> u32 {
                let mut lanes: [$uint; $lanes] = [0; $lanes];
                // SAFETY: see above; the array has LANES elements.
                unsafe { $ustore(lanes.as_mut_ptr(), self.0) };
                lanes.iter().enumerate().fold(0, |bits, (i, &lane)| bits | (u32::from(lane != 0) << i))
            }
            #[inline(always)]
            fn any(self) -> bool {
                // SAFETY: see above; any set bit in the register is a set bit of some byte.
                unsafe { vmaxvq_u32(self.as_u32()) != 0 }
            }
            #[inline(always)]
            fn all(self) -> bool {
                // SAFETY: see above.
                unsafe { vminvq_u32(self.as_u32()) != 0 }
            }
        }

        impl FloatVec<Neon, $float> for $fvec {
            type Int = $ivec;
            type Mask = $mvec;
            type Array = [$float; $lanes];
            const LANES: usize = $lanes;
            #[inline(always)]
            fn splat(_: Neon, x: $float) -> Self {
                // SAFETY: see above.
                Self(unsafe { $fdup(x) })
            }
            #[inline(always)]
            unsafe fn load_ptr(_: Neon, p: *const $float) -> Self {
                // SAFETY: see above.
                Self(unsafe { $fload(p) })
            }
            #[inline(always)]
            unsafe fn store_ptr(self, p: *mut $float) {
                // SAFETY: see above.
                unsafe { $fstore(p, self.0) }
            }
            #[inline(always)]
            unsafe fn load_tail_ptr(isa: Neon, p: *const $float, n: usize, fill: $float) -> Self {
                let mut lanes = [fill; $lanes];
                // SAFETY: the caller promises n <= LANES readable elements.
                unsafe {
                    std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
                    Self::load_ptr(isa, lanes.as_ptr())
                }
            }
            #[inline(always)]
            unsafe fn store_tail_ptr(self, p: *mut $float, n: usize) {
                // SAFETY: the caller promises n <= LANES writable elements.
                unsafe { std::ptr::copy_nonoverlapping(self.to_array().as_ptr(), p, n) }
            }
            #[inline(always)]
            fn to_array(self) -> [$float; $lanes] {
                let mut y = [0.0; $lanes];
                // SAFETY: see above; the array has LANES elements.
                unsafe { $fstore(y.as_mut_ptr(), self.0) };
                y
            }
            methods! {
                Self: sqrt() = $sqrt, abs() = $abs, floor() = $floor, ceil() = $ceil, trunc() = $trunc,
                    round_ties_even() = $round;
                $mvec: eq(o) = $eq, lt(o) = $lt, le(o) = $le;
                $ivec: to_bits() = $f_to_i, to_int_round() = $to_int;
            }
            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $fma(c.0, self.0, b.0) })
            }
            #[inline(always)]
            fn neg_mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $fms(c.0, self.0, b.0) })
            }
            #[inline(always)]
            fn mul_sub(self, b: Self, c: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $fma($neg(c.0), self.0, b.0) })
            }
            #[inline(always)]
            fn min(self, o: Self) -> Self {
                Self::select(self.lt(o) | self.is_nan(), self, o)
            }
            #[inline(always)]
            fn max(self, o: Self) -> Self {
                Self::select(o.lt(self) | self.is_nan(), self, o)
            }
            #[inline(always)]
            fn at_least(self, low: Self) -> Self {
                Self::select(self.lt(low), low, self)
            }
            #[inline(always)]
            fn at_most(self, high: Self) -> Self {
                Self::select(high.lt(self), high, self)
            }
            #[inline(always)]
            fn copysign(self, sign: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $select($i_to_u($idup($int::MIN)), sign.0, self.0) })
            }
            #[inline(always)]
            fn ne(self, o: Self) -> $mvec {
                !self.eq(o)
            }
            #[inline(always)]
            fn select(mask: $mvec, a: Self, b: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $select(mask.0, a.0, b.0) })
            }
            #[inline(always)]
            fn from_bits(bits: $ivec) -> Self {
                // SAFETY: see above.
                Self(unsafe { $i_to_f(bits.0) })
            }
            #[inline(always)]
            fn from_int(i: $ivec) -> Self {
                // SAFETY: see above.
                Self(unsafe { $from_int(i.0) })
            }
            #[inline(always)]
            fn lookup(_: Neon, table: &[$float; 16], index: $ivec) -> Self {
                // SAFETY: see above.
                Self(unsafe { $lookup(table, index.0) })
            }
            $(#[inline(always)]
            fn rows(_: Neon, table: &Table<$float>, index: $ivec) -> [Self; 8] {
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

        impl IntVec<Neon, $int> for $ivec {
            type Mask = $mvec;
            const LANES: usize = $lanes;
            #[inline(always)]
            fn splat(_: Neon, x: $int) -> Self {
                // SAFETY: see above.
                Self(unsafe { $idup(x) })
            }
            #[inline(always)]
            unsafe fn load_ptr(_: Neon, p: *const $int) -> Self {
                // SAFETY: see above.
                Self(unsafe { $iload(p) })
            }
            #[inline(always)]
            unsafe fn store_ptr(self, p: *mut $int) {
                // SAFETY: see above.
                unsafe { $istore(p, self.0) }
            }
            methods!($mvec: eq(o) = $ieq, gt(o) = $igt;);
            #[inline(always)]
            fn shl(self, n: u32) -> Self {
                // SAFETY: see above.
                Self(unsafe { $shl(self.0, $idup(n as $int)) })
            }
            #[inline(always)]
            fn shr(self, n: u32) -> Self {
                // A shift by a negative count is one to the right.
                // SAFETY: see above.
                Self(unsafe { $shl(self.0, $idup(-(n as $int))) })
            }
            #[inline(always)]
            fn shr_logical(self, n: u32) -> Self {
                // SAFETY: see above.
                Self(unsafe { $u_to_i($shlu($i_to_u(self.0), $idup(-(n as $int)))) })
            }
            #[inline(always)]
            fn select(mask: $mvec, a: Self, b: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $iselect(mask.0, a.0, b.0) })
            }
        }
    };
}

vectors! {
    F32x4, I32x4, M32x4: 4 lanes of f32, i32, u32;
    float32x4_t int32x4_t uint32x4_t, dup vdupq_n_f32 vdupq_n_s32;
    arithmetic vaddq_f32 vsubq_f32 vmulq_f32 vdivq_f32 vfmaq_f32 vfmsq_f32 vsqrtq_f32 vnegq_f32 vabsq_f32;
    rounding vrndmq_f32 vrndpq_f32 vrndq_f32 vrndnq_f32;
    compare vceqq_f32 vcltq_f32 vcleq_f32 vbslq_f32;
    memory vld1q_f32 vst1q_f32 vld1q_s32 vst1q_s32 vst1q_u32;
    casts vreinterpretq_s32_f32 vreinterpretq_f32_s32 vreinterpretq_u32_s32 vreinterpretq_s32_u32 vcvtnq_s32_f32 vcvtq_f32_s32 lookup_f32 deinterleave_f32 interleave_f32 rows_f32;
    integers vaddq_s32 vsubq_s32 vandq_s32 vorrq_s32 veorq_s32 vmvnq_s32 vshlq_s32 vshlq_u32 vceqq_s32 vcgtq_s32 vbslq_s32;
    masks vandq_u32 vorrq_u32 veorq_u32 vmvnq_u32
}

vectors! {
    F64x2, I64x2, M64x2: 2 lanes of f64, i64, u64;
    float64x2_t int64x2_t uint64x2_t, dup vdupq_n_f64 vdupq_n_s64;
    arithmetic vaddq_f64 vsubq_f64 vmulq_f64 vdivq_f64 vfmaq_f64 vfmsq_f64 vsqrtq_f64 vnegq_f64 vabsq_f64;
    rounding vrndmq_f64 vrndpq_f64 vrndq_f64 vrndnq_f64;
    compare vceqq_f64 vcltq_f64 vcleq_f64 vbslq_f64;
    memory vld1q_f64 vst1q_f64 vld1q_s64 vst1q_s64 vst1q_u64;
    casts vreinterpretq_s64_f64 vreinterpretq_f64_s64 vreinterpretq_u64_s64 vreinterpretq_s64_u64 vcvtnq_s64_f64 vcvtq_f64_s64 lookup_f64 deinterleave_f64 interleave_f64;
    integers vaddq_s64 vsubq_s64 vandq_s64 vorrq_s64 veorq_s64 not_s64 vshlq_s64 vshlq_u64 vceqq_s64 vcgtq_s64 vbslq_s64;
    masks vandq_u64 vorrq_u64 veorq_u64 not_u64
}

impl M32x4 {
    #[inline(always)]
    fn as_u32(self) -> uint32x4_t {
        self.0
    }
}

impl M64x2 {
    #[inline(always)]
    fn as_u32(self) -> uint32x4_t {
        // SAFETY: NEON is part of the baseline.
        unsafe { vreinterpretq_u32_u64(self.0) }
    }
}
