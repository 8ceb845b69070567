//! `Saving`: where a run keeps its checkpoints, and how often it writes them. What is in them is `checkpoint.rs`'s.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where and how often a run is saved.
#[derive(Clone, Debug)]
pub struct Saving {
    /// The folder of `last.safetensors` and `best.safetensors`.
    pub folder: PathBuf,
    /// Also within epochs, every so many steps.
    pub every_steps: Option<u64>,
    /// Also within epochs, whenever so much time has passed since the last save.
    pub every: Option<Duration>,
    /// Written into the files beside the trainer's own facts, such as the model's name.
    pub metadata: BTreeMap<String, String>,
}

impl Saving {
    /// Saves after every epoch, and within long ones every 30 seconds.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        let every = Some(Duration::from_secs(30));
        Self {
            folder: folder.into(),
            every_steps: None,
            every,
            metadata: BTreeMap::new(),
        }
    }

    /// The file of the newest state.
    pub fn last(&self) -> PathBuf {
        self.folder.join("last.safetensors")
    }

    /// The file of the best epoch.
    pub fn best(&self) -> PathBuf {
        self.folder.join("best.safetensors")
    }

    /// Within an epoch: is it time to write, after this many steps, when it was written at `saved`?
    pub(crate) fn is_due(&self, step: u64, saved: Instant) -> bool {
        let by_steps = self
            .every_steps
            .is_some_and(|n| step.is_multiple_of(n.max(1)));
        by_steps || self.every.is_some_and(|time| saved.elapsed() >= time)
    }
}
