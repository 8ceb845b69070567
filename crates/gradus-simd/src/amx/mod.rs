//! AMX: the tile registers of Intel's server processors (Sapphire Rapids on), and their product of bf16 matrices.
//!
//! What it is: eight registers of 16 rows × 64 bytes. `tdpbf16ps` adds the product of a 16 × 32 and a 32 × 16 matrix of bf16 to a
//! 16 × 16 matrix of f32: 8192 multiply-adds in 16 cycles, sixteen times what the FMA ports do. The instructions are written as
//! inline assembly, their intrinsics not being stable. What it is not: a GEMM; the loops around are gradus-cpu's.
//!
//! **An f32 product from bf16 ones.** `x = h + m + l`, each a bf16, holds an f32's 24 bits exactly ([`split`]). Of the nine products
//! of two such sums, `m·l`, `l·m` and `l·l` are below 2⁻²⁴ of the whole; the other six are formed. First the five small ones
//! are summed over all of k, then `h·h` on top: the sums of small products are rounded at their own small scale, and each product of
//! two bf16 is exact in f32, so the error is *below* that of a chain of fused multiply-adds. (Henry, Tang & Heinecke, *Leveraging
//! the bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations*, 2019, has the split; the two passes are ours.)
//!
//! `tdpbf16ps` rounds to nearest even whatever the mode, takes denormal inputs as 0 and gives 0 for denormal results. So sums below
//! 2⁻¹²⁶ are lost; callers look at the exponents ([`Exponents`]) and take another path where that would matter.

mod half;
mod kernels;
mod split;

use std::arch::asm;
use std::marker::PhantomData;
use std::sync::OnceLock;

pub use half::{copy, narrow};
use kernels::{single, tall, whole, wide};
pub use split::{Exponents, Order, split, split_line, split_pairs};

/// Rows and columns of C that one call computes: two tiles each way.
pub const PANEL: usize = 32;
/// Steps of k in a tile.
pub const STEP: usize = 32;
/// Bytes of a tile.
const TILE: usize = 1024;
/// Bytes of a panel's step of one part: two tiles.
pub const PART: usize = 2 * TILE;

/// Whether this processor has AMX with bf16 and the kernel lets this process use it (asked for once; Linux alone).
pub fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_instructions() && is_permitted())
}

/// CPUID leaf 7: AMX-BF16 and AMX-TILE; XCR0: the system keeps their state. The vectors around need AVX-512 with bf16.
fn has_instructions() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
    let vectors = is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("xsave");
    if !vectors || __cpuid(0).eax < 7 {
        return false;
    }
    let edx = __cpuid_count(7, 0).edx;
    // SAFETY: XSAVE was detected, and with AVX-512 usable the system has enabled XGETBV.
    let state = unsafe { _xgetbv(0) };
    edx >> 22 & 1 == 1 && edx >> 24 & 1 == 1 && state >> 17 & 3 == 3
}

/// `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`: the state is large, so Linux gives it to those who ask.
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_PRCTL: isize = 158;
    const REQUEST: usize = 0x1023;
    const TILE_DATA: usize = 18;
    let result: isize;
    // SAFETY: a system call that touches no memory of ours.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") REQUEST,
            in("rsi") TILE_DATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}

/// What `ldtilecfg` reads: palette 1, and for each register the bytes of a row and the rows.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

/// All eight registers whole.
static WHOLE: Configuration = {
    let (mut bytes, mut rows) = ([0; 16], [0; 16]);
    let mut i = 0;
    while i < 8 {
        bytes[i] = 64;
        rows[i] = 16;
        i += 1;
    }
    Configuration {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        bytes,
        rows,
    }
};

/// The tile registers of this thread, configured; given back when dropped, so that a thread switched off saves nothing.
#[derive(Debug)]
pub struct Tiles(PhantomData<*mut ()>);

impl Tiles {
    /// Configures the registers, if there are any.
    pub fn new() -> Option<Self> {
        if !is_available() {
            return None;
        }
        // SAFETY: the instruction exists and is permitted; the configuration is valid.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const WHOLE, options(nostack, readonly)) };
        Some(Self(PhantomData))
    }

    /// `c (32 × 32, rows `stride` elements apart) = A·B` over `steps` steps of 32, A and B being panels of one part: bf16 as they are. Of C only the
    /// tiles that `rows` and `columns` touch are computed and written. Meanwhile an eighth as many bytes as a panel has are fetched
    /// from `soon` to L2.
    ///
    /// # Safety
    /// `a` and `b` are readable for `steps ·` [`PART`] bytes, those tiles of `c` are writable, 16 × 16 each. `soon` may be any address.
    #[inline(always)]
    pub unsafe fn product(
        &self,
        steps: usize,
        a: *const u8,
        b: *const u8,
        (c, stride): (*mut f32, usize),
        (rows, columns): (usize, usize),
        soon: *const u8,
    ) {
        // SAFETY: the caller's promise; self is the proof that the registers are configured.
        unsafe {
            match (rows > 16, columns > 16) {
                (true, true) => whole::plain(steps, a, b, (c, stride), soon),
                (true, false) => tall::plain(steps, a, b, (c, stride), soon),
                (false, true) => wide::plain(steps, a, b, (c, stride), soon),
                (false, false) => single::plain(steps, a, b, (c, stride), soon),
            }
        }
    }

    /// As [`Tiles::product`] for panels of three parts: an f32 product.
    ///
    /// # Safety
    /// As [`Tiles::product`], `a` and `b` being readable for `steps · 3 ·` [`PART`] bytes.
    #[inline(always)]
    pub unsafe fn split_product(
        &self,
        steps: usize,
        a: *const u8,
        b: *const u8,
        (c, stride): (*mut f32, usize),
        (rows, columns): (usize, usize),
        soon: *const u8,
    ) {
        // SAFETY: the caller's promise; self is the proof that the registers are configured.
        unsafe {
            match (rows > 16, columns > 16) {
                (true, true) => whole::split(steps, a, b, (c, stride), soon),
                (true, false) => tall::split(steps, a, b, (c, stride), soon),
                (false, true) => wide::split(steps, a, b, (c, stride), soon),
                (false, false) => single::split(steps, a, b, (c, stride), soon),
            }
        }
    }

    /// As [`Tiles::split_product`], with a B that was not packed: step `s` of its part `p` (low, middle, high) is 16 rows of pairs,
    /// `b.1` bytes apart, from `b.0 + table[s] + p·b.2` on.
    ///
    /// # Safety
    /// As [`Tiles::split_product`]; the table has `steps` entries, and what it leads to is readable, 64 or 128 bytes a row.
    #[inline(always)]
    pub unsafe fn split_shifted(
        &self,
        steps: usize,
        a: *const u8,
        b: (*const u8, usize, usize),
        table: *const usize,
        (c, stride): (*mut f32, usize),
        (rows, columns): (usize, usize),
    ) {
        // SAFETY: the caller's promise; self is the proof that the registers are configured.
        unsafe {
            match (rows > 16, columns > 16) {
                (true, true) => whole::shifted(steps, a, b, table, (c, stride)),
                (true, false) => tall::shifted(steps, a, b, table, (c, stride)),
                (false, true) => wide::shifted(steps, a, b, table, (c, stride)),
                (false, false) => single::shifted(steps, a, b, table, (c, stride)),
            }
        }
    }

    /// As [`Tiles::split_product`], with an A that was not packed: its rows are `a.1` bytes apart, part `p` (high, middle, low) of them
    /// begins at `a.0 + p·a.2`, and step `s` 64·`s` bytes further.
    ///
    /// # Safety
    /// As [`Tiles::split_product`]; 16 or 32 rows of A are readable for 64 bytes a step.
    #[inline(always)]
    pub unsafe fn split_sliding(
        &self,
        steps: usize,
        a: (*const u8, usize, usize),
        b: *const u8,
        (c, stride): (*mut f32, usize),
        (rows, columns): (usize, usize),
    ) {
        // SAFETY: the caller's promise; self is the proof that the registers are configured.
        unsafe {
            match (rows > 16, columns > 16) {
                (true, true) => whole::sliding(steps, a, b, (c, stride)),
                (true, false) => tall::sliding(steps, a, b, (c, stride)),
                (false, true) => wide::sliding(steps, a, b, (c, stride)),
                (false, false) => single::sliding(steps, a, b, (c, stride)),
            }
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the instruction exists, or there would be no value.
        unsafe { asm!("tilerelease", options(nomem, nostack)) };
    }
}
