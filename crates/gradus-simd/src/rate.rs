//! How fast the processor multiplies: what a choice between more products and more of other work counts on.

use std::sync::OnceLock;

use crate::{IsaName, available};

/// `f32` multiply-adds a cycle that this processor's best vectors come to, where nothing else holds them up. By the kind of processor, not
/// by a clock, and the same whatever instruction set is [`current`](crate::current): so what is chosen by it is the same in every run.
///
/// ```
/// assert!(gradus_simd::multiply_adds() > 0.0);
/// ```
pub fn multiply_adds() -> f64 {
    let has = |isa: IsaName| available().contains(&isa);
    if has(IsaName::Avx512) && !processor().halves {
        32.0
    } else if has(IsaName::Avx512) || has(IsaName::Avx2) {
        16.0
    } else if has(IsaName::Neon) {
        8.0
    } else {
        2.0
    }
}

/// Whether vectors multiply pairs of bf16 (`dot_pairs` of their `f32` lanes), and twice as fast as `f32`: AMD's do from Zen 4 on. Intel's
/// have the instruction at half the speed, and AMX beside it.
pub fn multiplies_bf16(isa: IsaName) -> bool {
    isa == IsaName::Avx512 && processor().dots
}

/// What CPUID says; asking takes microseconds in a virtual machine.
#[derive(Clone, Copy, Debug, Default)]
struct Processor {
    dots: bool,
    /// A vector of 512 bits takes the multiplying ports for two cycles.
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
