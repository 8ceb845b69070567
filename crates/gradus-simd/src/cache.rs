//! How large the last cache is: what decides whether a large output should go past it.

use std::sync::OnceLock;

/// Bytes of the last level of cache that a core sees, as the processor tells it; `None` where it does not say.
///
/// ```
/// assert!(gradus_simd::last_level_cache().is_none_or(|bytes| bytes > 32 << 10));
/// ```
pub fn last_level_cache() -> Option<usize> {
    static BYTES: OnceLock<Option<usize>> = OnceLock::new();
    *BYTES.get_or_init(ask)
}

/// CPUID's list of caches: leaf 4 (Intel), or 0x8000001D (AMD), of the same layout. Each is ways × partitions × line × sets.
#[cfg(target_arch = "x86_64")]
fn ask() -> Option<usize> {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    let list = |leaf: u32| {
        let caches = (0..16).map(move |i| __cpuid_count(leaf, i));
        caches
            .take_while(|cache| cache.eax & 31 != 0)
            .map(|cache| {
                let part =
                    |shift: u32, bits: u32| (cache.ebx >> shift & ((1 << bits) - 1)) as usize + 1;
                part(22, 10) * part(12, 10) * part(0, 12) * (cache.ecx as usize + 1)
            })
            .max()
    };
    let intel = (__cpuid(0).eax >= 4).then(|| list(4)).flatten();
    intel.or_else(|| {
        (__cpuid(0x8000_0000).eax >= 0x8000_001d)
            .then(|| list(0x8000_001d))
            .flatten()
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn ask() -> Option<usize> {
    None
}
