//! `StopFlag`: asking a training run to finish its step, save and leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Result, invalid};

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
    /// A flag that Ctrl-C, SIGTERM and SIGHUP set; a second signal ends the process at once with code 130.
    ///
    /// Errors when the process has such a handler already.
    pub fn on_signals() -> Result<Self> {
        let flag = Self::default();
        let handle = flag.clone();
        ctrlc::set_handler(move || {
            if handle.0.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        })
        .map_err(|e| invalid(format!("cannot listen for Ctrl-C: {e}")))?;
        Ok(flag)
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
