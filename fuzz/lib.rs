//! What the targets share: limits on memory, and a folder for parsers that read from a path.

use std::path::PathBuf;
use std::sync::OnceLock;

/// No input of some kilobytes has a reason to ask for more than this; a parser that does is stopped with an `Err`.
pub fn limit_memory() {
    gradus_tensor::set_allocation_limit(256 << 20);
}

/// A folder of this process, in memory where the machine has such a place.
pub fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let base = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = tempfile::Builder::new().prefix("gradus-fuzz").tempdir_in(base);
        folder.expect("a temporary folder").keep()
    })
}
