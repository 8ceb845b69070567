//! `StopFlag`: asking a training run to finish its step, save and leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{Result, file_error};

/// The exit code of a process that was interrupted: 128 + SIGINT, as shells have it.
pub const INTERRUPTED: i32 = 130;

/// A flag the trainer looks at after every step. Clones share it.
///
/// ```
/// let stop = gradus_train::StopFlag::default();
/// assert!(!stop.is_set());
/// stop.clone().set();
/// assert!(stop.is_set());
/// ```
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// A flag that Ctrl-C and SIGTERM set; a second one ends the process at once with code 130.
    ///
    /// SIGHUP is left alone, so `nohup` keeps its meaning. Errors when the system refuses.
    pub fn on_signals() -> Result<Self> {
        let stop = Self::default();
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag unset and sets it, the second finds it set and exits.
            flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&stop.0))
                .and_then(|_| flag::register(signal, Arc::clone(&stop.0)))
                .map_err(|e| file_error("listen for", "Ctrl-C", e))?;
        }
        Ok(stop)
    }

    /// Asks to stop.
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether someone asked.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
