//! [`skip`]: models without their first weights, for those who load others right after. It is not an initialiser.
//! The idea is `torch.nn.utils.skip_init`; here it covers a whole model at once.

use std::cell::Cell;

thread_local! {
    static SKIPPED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` on this thread with every initialiser that draws or computes numbers giving zeros instead, and drawing nothing.
/// Zeros that are never touched take no memory either, so even a model of a billion parameters is built at once.
///
/// ```
/// use gradus_nn::{Linear, init};
/// # fn main() -> gradus_tensor::Result<()> {
/// let head = init::skip(|| Linear::new(100_000, 1_000))?; // 400 MB, were it written to
/// assert_eq!(head.weight.numel(), 100_000_000);
/// assert_eq!(head.bias.unwrap().data().sum(.., false)?.item::<f32>()?, 0.0);
/// # Ok(())
/// # }
/// ```
pub fn skip<R>(f: impl FnOnce() -> R) -> R {
    /// Puts things back, whatever `f` does.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            SKIPPED.set(self.0);
        }
    }
    let _restore = Restore(SKIPPED.replace(true));
    f()
}

/// Are initialisers skipped now, on this thread?
pub(super) fn skipped() -> bool {
    SKIPPED.get()
}
