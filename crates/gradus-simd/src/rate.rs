//! How fast the processor multiplies: what a choice between more products and more of other work counts on.

use crate::IsaName;

/// `f32` multiply-adds a cycle that vectors of an instruction set come to on this processor, where nothing else holds them up. From the
/// kind of processor, not from a clock: what is chosen by it is the same in every run.
///
/// ```
/// use gradus_simd::{IsaName, multiply_adds};
///
/// assert!(multiply_adds(IsaName::Scalar) < 8.0);
/// ```
pub fn multiply_adds(isa: IsaName) -> f64 {
    match isa {
        IsaName::Scalar => 2.0,
        IsaName::Neon => 8.0,
        IsaName::Avx2 => 16.0,
        IsaName::Avx512 | IsaName::Amx if halves_vectors() => 16.0,
        IsaName::Avx512 | IsaName::Amx => 32.0,
    }
}

/// Whether vectors multiply pairs of bf16 (`dot_pairs` of their `f32` lanes), and twice as fast as `f32`: AMD's do from Zen 4 on. Intel's
/// have the instruction at half the speed, and AMX beside it.
pub fn multiplies_bf16(isa: IsaName) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        isa == IsaName::Avx512 && is_amd() && is_x86_feature_detected!("avx512bf16")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = isa;
        false
    }
}

/// Whether a vector of 512 bits takes the multiplying ports for two cycles: Zen 4, the first of AMD's families to have it.
fn halves_vectors() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::__cpuid;
        let family = __cpuid(1).eax;
        // base and extended family
        is_amd() && (family >> 8 & 15) + (family >> 20 & 255) == 0x19
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Whether the maker is "AuthenticAMD".
#[cfg(target_arch = "x86_64")]
fn is_amd() -> bool {
    std::arch::x86_64::__cpuid(0).ebx == u32::from_le_bytes(*b"Auth")
}
