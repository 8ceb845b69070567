//! Random numbers: a counter-based generator for everyday use, PyTorch's for reproducing PyTorch, and a default per thread.
//!
//! - [`Rng`]: Philox4x32-10. Explicit, seedable, its state is two integers; parallel fills that do not depend on the threads.
//! - [`TorchRng`]: `torch.manual_seed` and the numbers that follow it on the CPU, bit for bit.
//! - [`PythonRng`]: `random.seed` and `random.shuffle`.
//! - [`manual_seed`], [`with_default`]: the generator that layers use to initialise themselves and for dropout. One per
//!   thread, so that tests that run side by side do not disturb each other.

mod cephes;
mod fill;
mod mt19937;
mod philox;
mod python;
mod tensor;
mod torch_rng;
mod torch_tensor;

pub use philox::{Rng, RngState, philox4x32};
pub use python::PythonRng;
pub use torch_rng::{TorchFloat, TorchRng};

use std::cell::Cell;

thread_local! {
    static DEFAULT: Cell<RngState> = const { Cell::new(RngState { seed: 0, offset: 0 }) };
    /// Whether the generator in hand is the default one.
    static IS_DEFAULT: Cell<bool> = const { Cell::new(false) };
}

/// Seeds this thread's default generator (which otherwise starts from seed 0: runs are reproducible unless one asks
/// for something else).
pub fn manual_seed(seed: u64) {
    DEFAULT.set(RngState { seed, offset: 0 });
}

/// Runs `f` with this thread's default generator. Do not nest: an inner call would see the state at the outer one's start.
pub fn with_default<R>(f: impl FnOnce(&mut Rng) -> R) -> R {
    let mut rng = Rng::new(0);
    rng.set_state(DEFAULT.get());
    IS_DEFAULT.set(true);
    let result = f(&mut rng);
    IS_DEFAULT.set(false);
    DEFAULT.set(rng.state());
    result
}

/// The state of this thread's default generator, for a checkpoint.
pub fn default_state() -> RngState {
    DEFAULT.get()
}

/// Restores what [`default_state`] returned.
pub fn set_default_state(state: RngState) {
    DEFAULT.set(state);
}

/// Whether the generator in hand is this thread's default one: what a graph can draw from anew.
#[cfg(feature = "cuda")]
pub(crate) fn is_default() -> bool {
    IS_DEFAULT.get()
}
