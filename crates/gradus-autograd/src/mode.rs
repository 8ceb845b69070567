//! Whether operations are being recorded: one flag per thread.
//!
//! Like `torch.no_grad()`: inside [`no_grad`] an operation on tracked values gives a constant. The flag is restored by
//! a guard, so a panic or an early `?` leaves it as it was.

use std::cell::Cell;

thread_local! {
    static RECORDING: Cell<bool> = const { Cell::new(true) };
}

/// Is this thread recording operations?
pub fn is_grad_enabled() -> bool {
    RECORDING.get()
}

/// Runs `f` without recording: what it computes from tracked values is constant.
///
/// ```
/// use gradus_autograd::{Var, no_grad};
/// use gradus_tensor::Tensor;
/// let x = Var::leaf(Tensor::scalar(2.0f32))?;
/// assert!(x.exp()?.is_tracked());
/// assert!(!no_grad(|| x.exp())?.is_tracked());
/// # Ok::<(), gradus_tensor::Error>(())
/// ```
pub fn no_grad<T>(f: impl FnOnce() -> T) -> T {
    let _guard = GradMode::set(false);
    f()
}

/// Runs `f` with recording on, also inside [`no_grad`].
pub fn enable_grad<T>(f: impl FnOnce() -> T) -> T {
    let _guard = GradMode::set(true);
    f()
}

/// Sets the flag of this thread, and puts it back when dropped.
///
/// For code that cannot be one closure; prefer [`no_grad`].
#[derive(Debug)]
#[must_use = "the mode is put back when this is dropped"]
pub struct GradMode {
    before: bool,
    // The flag belongs to a thread, so the guard must stay on it.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl GradMode {
    /// Records from here on if `recording`, until the guard is dropped.
    pub fn set(recording: bool) -> GradMode {
        GradMode {
            before: RECORDING.replace(recording),
            _not_send: std::marker::PhantomData,
        }
    }
}

impl Drop for GradMode {
    fn drop(&mut self) {
        RECORDING.set(self.before);
    }
}
