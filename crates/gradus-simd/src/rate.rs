//! How fast the processor multiplies: what a choice between more products and more of other work counts on.

use std::sync::OnceLock;

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
    isa == IsaName::Avx512 && processor().dots
}

/// Whether a vector of 512 bits takes the multiplying ports for two cycles.
fn halves_vectors() -> bool {
    processor().halves
}

/// What CPUID says; asking takes microseconds in a virtual machine.
#[derive(Clone, Copy, Debug, Default)]
struct Processor {
    dots: bool,
    halves: bool,
}

fn processor() -> Processor {
    static KNOWN: OnceLock<Processor> = OnceLock::new();
    *KNOWN.get_or_init(ask)
}

#[cfg(target_arch = "x86_64")]
fn ask() -> Processor {
    use std::arch::x86_64::__cpuid;
    let amd = __cpuid(0).ebx == u32::from_le_bytes(*b"Auth"); // "AuthenticAMD"
    let signature = __cpuid(1).eax;
    let family = (signature >> 8 & 15) + (signature >> 20 & 255);
    Processor {
        dots: amd && is_x86_feature_detected!("avx512bf16"),
        halves: amd && family == 0x19, // Zen 4, the first of AMD's with such vectors
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn ask() -> Processor {
    Processor::default()
}
