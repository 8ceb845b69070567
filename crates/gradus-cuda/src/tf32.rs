//! Whether f32 may be multiplied as TF32: by tensor cores, in products of numbers of ten bits of fraction, with sums in f32.
//!
//! PyTorch has these switches as `torch.backends.cuda.matmul.allow_tf32` (off) and `torch.backends.cudnn.allow_tf32` (on). Here both are
//! off: an f32 network gives on the GPU what it gives on the CPU, until somebody asks for the speed. `GRADUS_CUDA_TF32=1` turns both on.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// What may be computed in TF32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tf32 {
    /// Matrix products.
    Matmul,
    /// Convolutions and their gradients.
    Conv,
}

/// Of products, of convolutions; for the whole process, as in PyTorch.
fn switches() -> &'static [AtomicBool; 2] {
    static SWITCHES: OnceLock<[AtomicBool; 2]> = OnceLock::new();
    SWITCHES.get_or_init(|| {
        let on = std::env::var("GRADUS_CUDA_TF32").is_ok_and(|v| v == "1");
        [AtomicBool::new(on), AtomicBool::new(on)]
    })
}

/// Whether `what` may be computed in TF32.
pub fn allow_tf32(what: Tf32) -> bool {
    switches()[what as usize].load(Ordering::Relaxed)
}

/// Allows TF32 for what is launched from now on, or forbids it.
///
/// ```
/// use gradus_cuda::{Tf32, allow_tf32, set_allow_tf32};
/// set_allow_tf32(Tf32::Matmul, true);
/// assert!(allow_tf32(Tf32::Matmul));
/// ```
pub fn set_allow_tf32(what: Tf32, allow: bool) {
    switches()[what as usize].store(allow, Ordering::Relaxed);
}
